"""Under which name does a log serve which hashes and entries?  (c2sp.org/tlog-tiles)

Names are relative to the log's prefix: ``tile/<level>/<N>[.p/<width>]`` for hashes and
``tile/entries/<N>[.p/<width>]`` for bundles of entries; a full tile has 256 and no ``.p`` part.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from protocol.errors import DecodeError
from protocol.limits import ENTRY_BYTES_MAX, TILE_WIDTH, TREE_SIZE_MAX

TILE_LEVEL_MAX: Final = 63
TILE_NUMBER_MAX: Final = TREE_SIZE_MAX // TILE_WIDTH

_NUMBER = r"(?:x[0-9]{3}/){0,6}[0-9]{3}"
_PATH = re.compile(rf"tile/([0-9]{{1,2}}|entries)/({_NUMBER})(?:\.p/([0-9]{{1,3}}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Tile:
    """``width`` consecutive hashes; hash i covers 256^level entries."""

    level: int
    number: int
    width: int


@dataclass(frozen=True, slots=True)
class Bundle:
    """``width`` consecutive entries from index ``number * 256``."""

    number: int
    width: int


def tile_path(level: int, number: int, width: int = TILE_WIDTH) -> str:
    """Raises DecodeError when there is no such tile."""
    if not 0 <= level <= TILE_LEVEL_MAX:
        raise DecodeError("tile path", f"a level of 0 to {TILE_LEVEL_MAX}", level)
    return f"tile/{level}/{_name(number, width)}"


def bundle_path(number: int, width: int = TILE_WIDTH) -> str:
    """Raises DecodeError when there is no such bundle."""
    return f"tile/entries/{_name(number, width)}"


def parse_path(path: str) -> Tile | Bundle:
    """What a path names; only the one spelling of it is taken.

    Raises:
        DecodeError: another path, leading zeros, wrong groups, a width of 0 or over 255.
    """
    match = _PATH.fullmatch(path)
    if not match:
        raise DecodeError(
            "tile path", "tile/<level or entries>/<number>[.p/<width>]", repr(path[:80])
        )
    kind, groups, partial = match.groups()
    number = int(groups.replace("x", "").replace("/", ""))
    width = TILE_WIDTH if partial is None else int(partial)
    if kind == "entries":
        expected = bundle_path(number, width)
    else:
        expected = tile_path(int(kind), number, width)
    # one spelling only: this also refuses .p/256, which is the full tile written another way
    if path != expected:
        raise DecodeError("tile path", expected, repr(path[:80]))
    return Bundle(number, width) if kind == "entries" else Tile(int(kind), number, width)


def tile_count(size: int, level: int) -> tuple[int, int]:
    """(full tiles, width of the partial tile after them) at ``level`` of a log of ``size``."""
    return divmod(size >> 8 * level, TILE_WIDTH)


def tiles_of(size: int) -> Iterator[Tile]:
    """Every tile that a log of ``size`` serves, lowest level first."""
    level = 0
    while size >> 8 * level:
        full, partial = tile_count(size, level)
        for number in range(full):
            yield Tile(level, number, TILE_WIDTH)
        if partial:
            yield Tile(level, full, partial)
        level += 1


def bundles_of(size: int) -> Iterator[Bundle]:
    """Every entry bundle that a log of ``size`` serves."""
    full, partial = tile_count(size, 0)
    for number in range(full):
        yield Bundle(number, TILE_WIDTH)
    if partial:
        yield Bundle(full, partial)


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """The entries, each after its u16 length.

    Raises:
        DecodeError: no entries, more than 256, or one over 65,535 bytes.
    """
    if not 0 < len(entries) <= TILE_WIDTH:
        raise DecodeError("entry bundle", f"1 to {TILE_WIDTH} entries", len(entries))
    parts = []
    for entry in entries:
        if len(entry) > ENTRY_BYTES_MAX:
            raise DecodeError("log entry", f"at most {ENTRY_BYTES_MAX} bytes", len(entry))
        parts += [len(entry).to_bytes(2, "big"), entry]
    return b"".join(parts)


def decode_bundle(data: bytes, width: int) -> tuple[bytes, ...]:
    """Exactly ``width`` entries and nothing after them.

    Raises:
        DecodeError: truncated, or longer than its entries.
    """
    if not 0 < width <= TILE_WIDTH:
        raise DecodeError("entry bundle", f"1 to {TILE_WIDTH} entries", width)
    entries = split_bundle(data)
    if len(entries) != width:
        raise DecodeError("entry bundle", f"{width} entries", len(entries))
    return entries


def split_bundle(data: bytes) -> tuple[bytes, ...]:
    """All entries of a bundle or of a part of one, at most 256.

    Raises:
        DecodeError: truncated, or more entries.
    """
    entries: list[bytes] = []
    at, end = 0, len(data)
    while at < end and len(entries) < TILE_WIDTH:
        start = at + 2
        at = start + int.from_bytes(data[at:start], "big")
        entries.append(data[start:at])
    if at != end:
        raise DecodeError("entry bundle", f"at most {TILE_WIDTH} whole entries", len(entries))
    return tuple(entries)


def _name(number: int, width: int) -> str:
    if not 0 <= number <= TILE_NUMBER_MAX:
        raise DecodeError("tile path", f"a number of 0 to {TILE_NUMBER_MAX}", number)
    if not 0 < width <= TILE_WIDTH:
        raise DecodeError("tile path", f"a width of 1 to {TILE_WIDTH}", width)
    digits = f"{number:03d}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    name = "/".join([f"x{group}" for group in groups[:-1]] + groups[-1:])
    return name if width == TILE_WIDTH else f"{name}.p/{width}"
