"""The hashes of a log's tree as rows of 16: what an append writes and a proof reads.

Hash *i* of row (*k*, *n*) covers the 16^*k* entries from (16 *n* + *i*) · 16^*k*; the root of each
full row is a hash of the level above.  Sixteen rows of an even level are one tile of C2SP.  So an
append of one entry writes a row of at most 512 bytes and, each sixteenth time, one more; a proof
reads a row for four levels of the tree, and no hash of it follows from more than eight stored ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Final

from protocol.errors import Corrupt, Missing
from protocol.ids import OfficeCode
from protocol.limits import TILE_WIDTH
from protocol.merkle import HASH_BYTES, ROW_LEVELS, perfect_root
from protocol.ports import Reader, Writer

TILE: Final = "tile"
ROW_HASHES: Final = 1 << ROW_LEVELS
ROW_BYTES: Final = ROW_HASHES * HASH_BYTES
ROWS_PER_TILE: Final = TILE_WIDTH // ROW_HASHES
ROWS_PER_STEP: Final = 1000


def row_key(code: OfficeCode, level: int, number: int) -> bytes:
    return code.encode("ascii") + level.to_bytes(1, "big") + number.to_bytes(8, "big")


def row(reader: Reader, code: OfficeCode, level: int, number: int) -> bytes:
    """The hashes of a row, as many as there are."""
    return reader.get(TILE, row_key(code, level, number)) or b""


def tile(reader: Reader, code: OfficeCode, level: int, number: int) -> bytes:
    """The hashes of a tile of C2SP, up to the first that is not there."""
    hashes = b""
    for place in range(ROWS_PER_TILE):
        hashes += row(reader, code, 2 * level, number * ROWS_PER_TILE + place)
        if len(hashes) != (place + 1) * ROW_BYTES:
            break
    return hashes


def subtree(reader: Reader, code: OfficeCode, level: int, index: int) -> bytes:
    """The hash of leaves [index·2^level, (index + 1)·2^level).

    Raises:
        Missing: its row has no such hashes.
    """
    row_level, height = divmod(level, ROW_LEVELS)
    number, at = divmod(index << height, ROW_HASHES)
    end = at + (1 << height)
    hashes = row(reader, code, row_level, number)[at * HASH_BYTES : end * HASH_BYTES]
    if len(hashes) != HASH_BYTES << height:
        raise Missing(f"log {code}, row {row_level}/{number}", f"{end} hashes", "fewer")
    return perfect_root(hashes)


def roots_of_rows(tile_hashes: bytes) -> bytes:
    """What stands in the level between a tile and the one above it: its full rows' roots."""
    ends = range(ROW_BYTES, len(tile_hashes) + 1, ROW_BYTES)
    return b"".join([perfect_root(tile_hashes[end - ROW_BYTES : end]) for end in ends])


def extend(writer: Writer, code: OfficeCode, size: int, added: Sequence[Sequence[bytes]]) -> None:
    """Add to the rows of a log of ``size``: ``added[k]`` are the next hashes of level k.

    Raises:
        Corrupt: the last rows are not those of a log of this size.
    """
    rows = []
    for level, hashes in enumerate(added):
        first, width = divmod(size >> ROW_LEVELS * level, ROW_HASHES)
        run = row(writer, code, level, first) if width else b""
        if len(run) != width * HASH_BYTES:
            where = f"log {code}, row {level}/{first}"
            raise Corrupt(where, f"{width} hashes", len(run) // HASH_BYTES)
        rows += _rows(code, level, first, run + b"".join(hashes))
    writer.put_many(TILE, rows)


def put_tile(writer: Writer, code: OfficeCode, level: int, number: int, hashes: bytes) -> None:
    """Store a whole or partial tile of C2SP again, which the caller has verified."""
    rows = _rows(code, 2 * level, number * ROWS_PER_TILE, hashes)
    writer.put_many(TILE, rows + _rows(code, 2 * level + 1, number, roots_of_rows(hashes)))


def cut(writer: Writer, code: OfficeCode, before: int, size: int) -> None:
    """Leave of the rows of a log of ``before`` entries those of ``size``."""
    for level in range(-(-before.bit_length() // ROW_LEVELS)):
        number, width = divmod(size >> ROW_LEVELS * level, ROW_HASHES)
        first = row_key(code, level, number)
        kept = row(writer, code, level, number)[: width * HASH_BYTES]
        while rows := list(islice(writer.scan(TILE, first[:7], first), ROWS_PER_STEP)):
            for key, _ in rows:
                writer.delete(TILE, key)
        if kept:
            writer.put(TILE, first, kept)


def _rows(code: OfficeCode, level: int, first: int, hashes: bytes) -> list[tuple[bytes, bytes]]:
    return [
        (row_key(code, level, number), hashes[at : at + ROW_BYTES])
        for number, at in enumerate(range(0, len(hashes), ROW_BYTES), first)
    ]
