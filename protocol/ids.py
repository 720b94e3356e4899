"""Typed names of things: digests, office codes, item ids.

One parse, one long form, one short form for logs, fixed sizes.  Two kinds of digest never compare
equal, because dataclass equality compares classes first.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import NewType, Self

from protocol.errors import DecodeError

UnixMs = NewType("UnixMs", int)
OfficeCode = NewType("OfficeCode", str)  # six digits, GB/T 2260
ItemId = NewType("ItemId", str)

_OFFICE = re.compile(r"[1-9][0-9]{5}")
_BASE32 = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford: no i, l, o, u
_DIGITS = str.maketrans(_BASE32, "0123456789abcdefghijklmnopqrstuv")  # as int() reads base 32
_CHECK = _BASE32 + "*~$=u"  # mod 37, as in Crockford's scheme
_ITEM = re.compile(rf"([1-9][0-9]{{5}})-([{_BASE32}]{{12}})([{re.escape(_CHECK)}])")


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """32 bytes of SHA-256 with a purpose; use a subclass."""

    raw: bytes

    def __post_init__(self) -> None:
        if type(self.raw) is not bytes or len(self.raw) != 32:
            raise DecodeError(type(self).__name__, "32 bytes", len(self.raw))

    @classmethod
    def of(cls, data: bytes) -> Self:
        return cls(hashlib.sha256(data).digest())

    @classmethod
    def parse(cls, text: str) -> Self:
        """From 64 lower-case hexadecimal digits."""
        if not re.fullmatch(r"[0-9a-f]{64}", text):
            raise DecodeError(cls.__name__, "64 hexadecimal digits", repr(text[:80]))
        return cls(bytes.fromhex(text))

    @property
    def hex(self) -> str:
        return self.raw.hex()

    @property
    def short(self) -> str:
        return self.raw[:4].hex()

    def __str__(self) -> str:
        return self.hex


class BlobId(Digest):
    """Content address: SHA-256 of the bytes of a file."""

    __slots__ = ()


class LeafHash(Digest):
    """RFC 6962 hash of a log entry."""

    __slots__ = ()


class RootHash(Digest):
    """RFC 6962 root of a log at some size."""

    __slots__ = ()


class ChunkRoot(Digest):
    """RFC 6962 root over the chunks of a file (protocol/chunks.py)."""

    __slots__ = ()


class NetworkId(Digest):
    """SHA-256 of the text of the genesis note: two networks never mistake each other's events."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, order=True)
class EventRef:
    """Where an event stands, and what it must be: a reference that cannot be redirected."""

    origin: OfficeCode
    index: int
    leaf: LeafHash


def parse_office(text: str) -> OfficeCode:
    """A GB/T 2260 code of six digits.

    Raises:
        DecodeError: anything else.
    """
    if not _OFFICE.fullmatch(text):
        raise DecodeError("office code", "six digits (GB/T 2260)", repr(text[:20]))
    return OfficeCode(text)


def mint_item(office: OfficeCode, entropy: bytes) -> ItemId:
    """A new item id: birth office, 60 random bits, check character; minted offline, never re-used.

    ``entropy`` is 8 random bytes; the lowest 60 bits are taken.
    """
    number = int.from_bytes(entropy, "big") & (2**60 - 1)
    body = "".join(_BASE32[number >> shift & 31] for shift in range(55, -5, -5))
    return ItemId(f"{office}-{body}{_check_character(office, number)}")


def parse_item(text: str) -> ItemId:
    """An item id whose check character holds (case does not matter).

    Raises:
        DecodeError: wrong form, or a mistyped character.
    """
    match = _ITEM.fullmatch(text.lower())
    if not match:
        raise DecodeError("item id", "office code, dash, 13 characters", repr(text[:40]))
    office, body, check = match.groups()
    number = int(body.translate(_DIGITS), 32)
    if check != _check_character(office, number):
        raise DecodeError(
            "item id", "a matching check character (is it mistyped?)", repr(text[:40])
        )
    return ItemId(text.lower())


def item_birth_office(item: ItemId) -> OfficeCode:
    return OfficeCode(item[:6])


def _check_character(office: str, number: int) -> str:
    return _CHECK[(int(office) << 60 | number) % 37]
