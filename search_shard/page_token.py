"""The token that asks for a further page of an answer: opaque to whoever carries it.

It says of which question, of which snapshot, weighed by which epoch, and after which hit, so any
node can go on where another began.  It is no secret and no proof: a forged one asks for pages that
anybody may ask for.  Specification: docs/spec/query.md.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from protocol.errors import DecodeError
from protocol.limits import PAGE_TOKEN_CHARS_MAX
from protocol.messages import HitKey
from protocol.shapes import pack, unpack

VERSION: Final = 1
TRAIL_MAX: Final = 32
NO_EPOCH: Final = 0
_CHECK_BYTES: Final = 4


@dataclass(frozen=True, slots=True)
class PageToken:
    """``sizes`` are the log sizes of the snapshot, in the order of the codes of all members of the
    roster after ``roster_size`` provincial events.  ``epoch``: one more than the index of its event
    in the provincial log, :data:`NO_EPOCH` for none.  ``synonyms``: the version of the province's
    table that the question was read by, 0 for none.  ``near``: pages with a wrong character are
    among the answer.  ``trail``: the last hit of each page before
    this one (the newest ``TRAIL_MAX``), oldest first."""

    version: int
    question: bytes
    roster_size: int
    sizes: tuple[int, ...]
    epoch: int
    synonyms: int
    near: bool
    trail: tuple[HitKey, ...]

    @property
    def after(self) -> HitKey | None:
        """The hit that this page begins after; None for the first page."""
        return self.trail[-1] if self.trail else None

    def encoded(self) -> str:
        data = pack(self)
        return base64.urlsafe_b64encode(data + _check(data)).decode().rstrip("=")


def read_token(text: str, question: bytes) -> PageToken:
    """
    Raises:
        DecodeError: not a token of this version in its one spelling, or of another question.
    """
    if len(text) > PAGE_TOKEN_CHARS_MAX:
        raise DecodeError("page", f"at most {PAGE_TOKEN_CHARS_MAX} characters", len(text))
    try:
        whole = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise DecodeError("page", "a token of an answer", repr(text[:20])) from error
    data, check = whole[:-_CHECK_BYTES], whole[-_CHECK_BYTES:]
    if check != _check(data):
        raise DecodeError("page", "a token of an answer, whole", repr(text[:20]))
    token = unpack(PageToken, data, bytes_max=PAGE_TOKEN_CHARS_MAX, where="page")
    if token.version != VERSION or len(token.trail) > TRAIL_MAX or token.encoded() != text:
        raise DecodeError("page", f"a token of version {VERSION}", token.version)
    if token.question != question:
        raise DecodeError("page", "a token of this very question", "one of another")
    return token


def question_digest(text: str, without: Iterable[str]) -> bytes:
    """What a token's question is known by; how it is shown is not part of it."""
    said = "\0".join((text, *sorted(without)))
    return hashlib.sha256(said.encode("utf-8", "surrogatepass")).digest()[:8]


def _check(data: bytes) -> bytes:
    return hashlib.sha256(b"fangzhi/page\n" + data).digest()[:_CHECK_BYTES]
