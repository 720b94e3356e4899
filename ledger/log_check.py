"""Do the rows of a log here agree with each other?  Everything is computed again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ledger import hash_rows
from ledger.hash_rows import ROW_BYTES, ROW_HASHES, TILE
from ledger.logbook import ENTRY, Head, head, root_at
from protocol.errors import Corrupt, Missing
from protocol.ids import OfficeCode
from protocol.merkle import HASH_BYTES, ROW_LEVELS, leaf_hash, perfect_root
from protocol.ports import Reader


@dataclass(frozen=True, slots=True)
class LogFinding:
    """Something wrong in the rows of a log: a stable code, what it concerns, and why."""

    code: str
    where: str
    message: str


def check_log(reader: Reader, code: OfficeCode) -> Iterator[LogFinding]:
    """Recompute everything and say what does not agree; a sound log yields nothing.

    Each hash is checked against the stored row just below it: leaves against entries, rows against
    rows, the root against rows.  If nothing is found, all of it follows from the entries; if
    something is, it is named once, and one can tell whose fault it is: a leaf that disagrees alone
    means a damaged entry, one that disagrees together with what is above it a damaged row.
    """
    try:
        now = head(reader, code)
    except Corrupt as error:
        yield LogFinding("log.head", "head", str(error))
        return
    yield from _check_entries(reader, code, now.size)
    yield from _check_rows(reader, code, now.size)
    yield from _check_head(reader, code, now)


def _check_entries(reader: Reader, code: OfficeCode, size: int) -> Iterator[LogFinding]:
    hashes = b""
    due = 0
    for key, value in reader.scan(ENTRY, code.encode("ascii")):
        index = int.from_bytes(key[-8:], "big")
        if index >= size:
            yield LogFinding("log.entry.extra", f"entry {index}", f"the log has {size} entries")
            continue
        if index > due:
            yield LogFinding("log.entry.missing", f"entries {due} to {index - 1}", "not stored")
        number, at = divmod(index, ROW_HASHES)
        if at == 0 or index != due:
            hashes = hash_rows.row(reader, code, 0, number)
        due = index + 1
        leaf = hashes[at * HASH_BYTES : (at + 1) * HASH_BYTES]
        if len(leaf) == HASH_BYTES and leaf != leaf_hash(value):  # a short row is found below
            message = f"its hash is not the one in row 0/{number}"
            yield LogFinding("log.entry", f"entry {index}", message)
    if due < size:
        yield LogFinding("log.entry.missing", f"entries {due} to {size - 1}", "not stored")


def _check_rows(reader: Reader, code: OfficeCode, size: int) -> Iterator[LogFinding]:
    for level in range(-(-size.bit_length() // ROW_LEVELS)):
        for number in range(_rows_of(size, level)):
            yield from _check_row(reader, code, size, level, number)
    for key, _ in reader.scan(TILE, code.encode("ascii")):
        level, number = key[-9], int.from_bytes(key[-8:], "big")
        if number >= _rows_of(size, level):
            message = f"a log of {size} has no such row"
            yield LogFinding("log.tile.extra", f"row {level}/{number}", message)


def _rows_of(size: int, level: int) -> int:
    return -(-(size >> ROW_LEVELS * level) // ROW_HASHES)


def _check_row(
    reader: Reader, code: OfficeCode, size: int, level: int, number: int
) -> Iterator[LogFinding]:
    where = f"row {level}/{number}"
    hashes = hash_rows.row(reader, code, level, number)
    width = min(ROW_HASHES, (size >> ROW_LEVELS * level) - number * ROW_HASHES)
    if len(hashes) != width * HASH_BYTES:
        message = f"{len(hashes) / HASH_BYTES:g} hashes, not {width}"
        yield LogFinding("log.tile.width", where, message)
    for at in range(width if level else 0):
        below = hash_rows.row(reader, code, level - 1, number * ROW_HASHES + at)
        mine = hashes[at * HASH_BYTES : (at + 1) * HASH_BYTES]
        if len(below) == ROW_BYTES and mine and perfect_root(below) != mine:
            yield LogFinding("log.tile", where, f"hash {at} is not that of the row below it")


def _check_head(reader: Reader, code: OfficeCode, now: Head) -> Iterator[LogFinding]:
    try:
        root = root_at(reader, code, now.size)
    except Missing:
        return  # the short row has been named
    if root != now.root:
        message = f"root {now.root.short}, but the rows give {root.short}"
        yield LogFinding("log.root", f"head of size {now.size}", message)
