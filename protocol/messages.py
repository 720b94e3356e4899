"""What nodes say to each other: every frame, and the questions and answers inside them.

A frame is the canonical array ``(tag, *fields)``.  Frames belong to the link
(:mod:`protocol.session` says which may follow which); the bodies of requests and responses are the
dataclasses that :data:`METHODS` names.  Specification: docs/spec/peer-link.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Union

from protocol.canonical import Value, decode, decode_exactly, encode_checked
from protocol.errors import DecodeError, FangzhiError, WireError
from protocol.fetching import FetchAsk, Fetched
from protocol.ids import BlobId, NetworkId, OfficeCode
from protocol.limits import (
    FAULT_CHARS_MAX,
    FRAME_BYTES_MAX,
    METHOD_CHARS_MAX,
)
from protocol.possession import ChallengeAsk, Possession
from protocol.shapes import from_value, to_value

VERSION: Final = 1
NONCE_BYTES: Final = 32
SIGNER_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Hello:
    """Who wants to talk: the first frame of either side.

    ``nonce`` is 32 fresh random bytes; ``roster_size`` is how many provincial entries this node
    has folded, so that each side knows whose view of the members is older.
    """

    version: int
    network: NetworkId
    nonce: bytes
    offices: tuple[OfficeCode, ...]
    roster_size: int


@dataclass(frozen=True, slots=True)
class OfficeProof:
    """``signature`` over the transcript by the event key of ``office`` whose id is ``signer``."""

    office: OfficeCode
    signer: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Proof:
    """One proof for each office of the hello, in the same order."""

    signatures: tuple[OfficeProof, ...]


@dataclass(frozen=True, slots=True)
class Request:
    """``id`` grows with every request of one side; both sides count for themselves."""

    id: int
    method: str
    body: Value

    def __post_init__(self) -> None:
        if len(self.method) > METHOD_CHARS_MAX:
            raise DecodeError(
                "request.method", f"at most {METHOD_CHARS_MAX} characters", len(self.method)
            )


@dataclass(frozen=True, slots=True)
class Response:
    """The one answer to a request; ``body`` is the method's answer, or a :class:`Fault`."""

    id: int
    ok: bool
    body: Value


@dataclass(frozen=True, slots=True)
class Cancel:
    """The asker no longer wants the answer; it is answered all the same, by a fault."""

    id: int


@dataclass(frozen=True, slots=True)
class Goodbye:
    """The last frame of a side, with the reason as a stable code and as a sentence."""

    code: str
    reason: str

    def __post_init__(self) -> None:
        _bounded("goodbye", self.code, self.reason)


Frame = Union[Hello, Proof, Request, Response, Cancel, Goodbye]
_FRAMES: Final[dict[int, type[Frame]]] = {
    1: Hello,
    2: Proof,
    3: Request,
    4: Response,
    5: Cancel,
    6: Goodbye,
}
_TAGS: Final = {kind: tag for tag, kind in _FRAMES.items()}


class UnknownFrame(DecodeError):
    """A canonical array with a tag that this version does not have."""

    code = "wire.decode.tag"


def encode_frame(frame: Frame) -> bytes:
    """The canonical bytes of ``frame``.

    Raises:
        DecodeError: longer than FRAME_BYTES_MAX, or a body without canonical form.
    """
    fields = to_value(frame)
    assert isinstance(fields, tuple)
    where = type(frame).__name__.lower()
    data = encode_checked((_TAGS[type(frame)], *fields), where)
    if len(data) > FRAME_BYTES_MAX:
        raise DecodeError(where, f"a frame of at most {FRAME_BYTES_MAX} bytes", len(data))
    return data


def decode_frame(data: bytes) -> Frame:
    """The frame in ``data``.

    Raises:
        UnknownFrame: a tag that is not in the table.
        DecodeError: too long, not canonical, or fields of another shape.
    """
    value = decode_exactly(data) if len(data) <= FRAME_BYTES_MAX else None
    if value is None:
        value = decode(data, bytes_max=FRAME_BYTES_MAX, where="frame")  # says what is wrong
    if not isinstance(value, tuple) or not value or type(value[0]) is not int:
        raise DecodeError("frame", "an array that begins with a tag", type(value).__name__)
    kind = _FRAMES.get(value[0])
    if kind is None:
        raise UnknownFrame("frame", f"a tag from 1 to {len(_FRAMES)}", value[0])
    return from_value(kind, value[1:], kind.__name__.lower())


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a request has no answer: the fields of a :class:`protocol.errors.FangzhiError`."""

    code: str
    where: str
    expected: str
    got: str

    def __post_init__(self) -> None:
        _bounded("fault", self.code, self.where, self.expected, self.got)

    @classmethod
    def of(cls, error: FangzhiError) -> Fault:
        texts = (error.code, error.where, error.expected, str(error.got))
        return cls(*(text[:FAULT_CHARS_MAX] for text in texts))


class RemoteFault(WireError):
    """The peer answered a request with a fault; ``fault.code`` is the peer's own error code."""

    code = "wire.remote"

    def __init__(self, method: str, fault: Fault) -> None:
        super().__init__(f"{method} at the peer, {fault.where}", fault.expected, fault.got)
        self.fault = fault


def _bounded(where: str, *texts: str) -> None:
    for text in texts:
        if len(text) > FAULT_CHARS_MAX:
            raise DecodeError(where, f"texts of at most {FAULT_CHARS_MAX} characters", len(text))


# What is asked and answered.  A handler answers from what its node has; it never asks back over
# the link while the asker waits, so two nodes cannot hold all of each other's slots.


@dataclass(frozen=True, slots=True)
class Advert:
    """The newest checkpoint ``note`` of an office's log with all cosignatures the sender knows.

    ``size`` is how many entries of that log the sender has stored, which may be fewer.
    """

    office: OfficeCode
    note: bytes
    size: int


@dataclass(frozen=True, slots=True)
class Ack:
    pass


@dataclass(frozen=True, slots=True)
class EntriesAsk:
    """Entries ``start <= index < end`` of an office's log, at most 256."""

    office: OfficeCode
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Entries:
    """A prefix of what was asked, at least one entry: as many as fit CHUNK_BYTES, each after its
    u16 length as in an entry bundle."""

    data: bytes


@dataclass(frozen=True, slots=True)
class TileAsk:
    """The first ``width`` hashes of a tile of an office's log."""

    office: OfficeCode
    level: int
    number: int
    width: int


@dataclass(frozen=True, slots=True)
class TileHashes:
    """``width`` concatenated hashes."""

    hashes: bytes


@dataclass(frozen=True, slots=True)
class HeadsAsk:
    pass


@dataclass(frozen=True, slots=True)
class HeadLine:
    """``note`` is the SHA-256 of the newest checkpoint note, all zero while there is none.

    ``cosigned`` is the size that the sender's witness last co-signed, which may be larger than
    what it has stored: the log must not sign below it.
    """

    office: OfficeCode
    size: int
    note: bytes
    cosigned: int


@dataclass(frozen=True, slots=True)
class Heads:
    """The stored size and the note of every log that the sender has."""

    heads: tuple[HeadLine, ...]


@dataclass(frozen=True, slots=True)
class HeadsDigest:
    """SHA-256 of the sender's heads by code: six digits, size in 8 bytes, SHA-256 of the note."""

    digest: bytes


@dataclass(frozen=True, slots=True)
class ProofAsk:
    """The entry at ``index`` of an office's log, and its proof in the tree of ``size``."""

    office: OfficeCode
    index: int
    size: int


@dataclass(frozen=True, slots=True)
class EntryProof:
    """``hashes`` is the inclusion proof, the leaf's sibling first."""

    entry: bytes
    hashes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class EvidenceTell:
    """Evidence (docs/spec/evidence.md) that the log of ``office`` has signed two histories."""

    office: OfficeCode
    evidence: bytes


@dataclass(frozen=True, slots=True)
class SuggestAsk:
    """What is being typed (docs/spec/names.md); at most ``limit`` headings that may be meant."""

    typed: str
    limit: int


@dataclass(frozen=True, slots=True)
class HeadingLine:
    """A heading of public pages: how many, and some of the items that have it.  ``rule`` says how
    it was found, ``start`` to ``end`` what of it was typed."""

    text: str
    count: int
    items: tuple[str, ...]
    rule: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class SuggestReply:
    headings: tuple[HeadingLine, ...]


@dataclass(frozen=True, slots=True)
class BlobAsk:
    """Up to ``length`` bytes from ``offset`` of a stored file."""

    blob: BlobId
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """``data`` from the asked offset (at most CHUNK_BYTES); ``size_total`` is the file's length."""

    size_total: int
    data: bytes


@dataclass(frozen=True, slots=True)
class TreeAsk:
    """The tree of a stored file: the hashes of its chunks from number ``start`` on."""

    blob: BlobId
    start: int


@dataclass(frozen=True, slots=True)
class TreeLeaves:
    """As many leaf hashes as there are, at most TREE_LEAVES_MAX; ``size_total`` is the file's
    length."""

    size_total: int
    leaves: bytes


@dataclass(frozen=True, slots=True)
class HitKey:
    """Where a hit stands: by score, the highest first, then by the rest, the lowest first."""

    score: int
    office: OfficeCode
    item: str
    seq: int


@dataclass(frozen=True, slots=True)
class SearchAsk:
    """One parsed ``query`` for the shards of ``offices``; the best ``limit`` hits of them all.

    ``query`` is the canonical lattice (docs/spec/query.md), encoded once for all who are asked.
    ``as_of`` (:mod:`search_shard.federate`) are the log sizes of the snapshot: what later events
    brought is left out.  ``after`` is the key of the last hit of the page before.  ``near``: count
    pages with one wrong character, too.  ``records`` asks for items by their records instead of
    pages.  ``view`` is ``snippet`` or ``lines``.  An answer after ``deadline_ms`` (from arrival) is
    of no use to the asker.
    """

    offices: tuple[OfficeCode, ...]
    as_of: bytes
    query: bytes
    limit: int
    after: HitKey | None
    near: bool
    view: str
    facets: bool
    records: bool
    trace: bool
    deadline_ms: int


@dataclass(frozen=True, slots=True)
class HitLine:
    """A hit; ``shown`` is read only if it is among the best of all."""

    key: HitKey
    shown: Value


@dataclass(frozen=True, slots=True)
class FacetLine:
    field: str
    value: str
    count: int


@dataclass(frozen=True, slots=True)
class TraceLine:
    """A step of a search: ``count`` of ``what``, so many microseconds after its start."""

    what: str
    detail: str
    count: int
    us: int


@dataclass(frozen=True, slots=True)
class ShardReply:
    """What one shard counted.  It was built to ``as_of_size`` of the office's log;
    ``is_behind`` when events of the snapshot have not come here yet.  ``total`` match as asked,
    ``near_total`` more with a wrong character.  ``trace`` is empty unless it was asked for."""

    office: OfficeCode
    as_of_size: int
    is_behind: bool
    total: int
    total_is_exact: bool
    near_total: int
    facets: tuple[FacetLine, ...]
    trace: tuple[TraceLine, ...]


@dataclass(frozen=True, slots=True)
class SearchReply:
    """The shards that the sender could answer for (a missing one is not held there), and the best
    hits of them all."""

    shards: tuple[ShardReply, ...]
    hits: tuple[HitLine, ...]
    spent_us: int


@dataclass(frozen=True, slots=True)
class SketchAsk:
    """In how many public pages of an office's shard each pair of characters stands."""

    office: OfficeCode


@dataclass(frozen=True, slots=True)
class Sketch:
    """``counts``: see docs/spec/statistics.md."""

    pages: int
    counts: bytes


@dataclass(frozen=True, slots=True)
class PageAsk:
    """Page ``seq`` (from 1) of the present revision of an item."""

    item: str
    seq: int


@dataclass(frozen=True, slots=True)
class PageProof:
    """The page's line in its pages blob, and its inclusion in the root that the signed event
    commits to (docs/spec/pages.md); the leaf's sibling first."""

    line: bytes
    hashes: tuple[bytes, ...]


METHODS: Final[dict[str, tuple[type, type]]] = {
    "log.note": (Advert, Ack),
    "log.entries": (EntriesAsk, Entries),
    "log.tile": (TileAsk, TileHashes),
    "log.heads": (HeadsAsk, Heads),
    "log.digest": (HeadsDigest, HeadsDigest),
    "log.proof": (ProofAsk, EntryProof),
    "log.evidence": (EvidenceTell, Ack),
    "suggest": (SuggestAsk, SuggestReply),
    "blob.read": (BlobAsk, Chunk),
    "item.fetch": (FetchAsk, Fetched),
    "blob.tree": (TreeAsk, TreeLeaves),
    "hold.challenge": (ChallengeAsk, Possession),
    "search": (SearchAsk, SearchReply),
    "search.sketch": (SketchAsk, Sketch),
    "page.proof": (PageAsk, PageProof),
}
