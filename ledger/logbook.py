"""The log of one office, as rows: append, read, prove, check.

Rows per log (tables of docs/adr/0002): every entry; every tile, the last of a level growing in
place, so that any narrower partial tile is a prefix of its row; and the head.  Roots and proofs
come from tiles, never from a scan of the entries: an append costs its batch and a tile per level.

Appending is one transaction of the caller: a crash leaves the old head with the old tiles, or the
new with the new.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, takewhile
from typing import Final

from ledger.checkpoint import Checkpoint, parse_checkpoint
from ledger.merkle import (
    EMPTY_ROOT,
    HASH_BYTES,
    leaf_hash,
    perfect_root,
)
from ledger.merkle import prove_consistency as merkle_consistency
from ledger.merkle import prove_inclusion as merkle_inclusion
from ledger.tile_tree import TILE_BYTES, Row, root_of_tiles, subtree
from ledger.tiles import encode_bundle, tile_count, tiles_of
from protocol.errors import Corrupt, DecodeError, Missing, ProofError
from protocol.ids import OfficeCode, RootHash
from protocol.limits import ENTRY_BYTES_MAX, NOTE_BYTES_MAX, TILE_WIDTH, KiB
from protocol.ports import Reader, Writer
from protocol.shapes import pack, unpack

ENTRY: Final = "entry"
TILE: Final = "tile"
HEAD: Final = "head"
CUT: Final = "cut"
ROWS_PER_STEP: Final = 1000

_Rows = dict[tuple[int, int], bytes]


@dataclass(frozen=True, slots=True)
class Head:
    """Where a log ends.  ``note`` is the log's own signed checkpoint of exactly this size and root,
    or empty until it has been stored."""

    size: int
    root: RootHash
    note: bytes


EMPTY_HEAD: Final = Head(0, RootHash(EMPTY_ROOT), b"")


def entry_key(code: OfficeCode, index: int) -> bytes:
    return code.encode("ascii") + index.to_bytes(8, "big")


def tile_key(code: OfficeCode, level: int, number: int) -> bytes:
    return code.encode("ascii") + level.to_bytes(1, "big") + number.to_bytes(8, "big")


def head(reader: Reader, code: OfficeCode) -> Head:
    """The head; that of the empty log for an office without rows.

    Raises:
        Corrupt: the row does not decode.
    """
    row = reader.get(HEAD, code.encode("ascii"))
    if row is None:
        return EMPTY_HEAD
    try:
        return unpack(Head, row, bytes_max=NOTE_BYTES_MAX + KiB, where=f"head of {code}")
    except DecodeError as error:
        raise Corrupt(error.where, error.expected, error.got) from error


def append(writer: Writer, code: OfficeCode, entries: Sequence[bytes]) -> Head:
    """Add entries at the end.  The new head has no note; without entries nothing changes.

    Raises:
        DecodeError: an entry over 65,535 bytes; nothing was written.
        Corrupt: the tiles of this log are not there.
    """
    before = head(writer, code)
    if not entries:
        return before
    rows, after = _grown(writer, code, before.size, _leaves(entries))
    return _write(writer, code, entries, rows, after)


def append_verified(
    writer: Writer,
    code: OfficeCode,
    start: int,
    entries: Sequence[bytes],
    checkpoint: Checkpoint,
) -> Head:
    """Add all that another's log has up to its checkpoint, if the entries lead to it (the caller
    has verified the checkpoint's signature).

    Raises:
        ProofError: ``start`` is not the size of the log here, or the root over the entries is not
            the checkpoint's; nothing was written.
        DecodeError: an entry over 65,535 bytes; nothing was written.
    """
    before = _at(writer, code, start)
    rows, after = _grown(writer, code, start, _leaves(entries))
    if (after.size, after.root) != (checkpoint.size, checkpoint.root):
        expected = f"size {checkpoint.size}, root {checkpoint.root.short}"
        raise ProofError(f"log {code}", expected, f"size {after.size}, root {after.root.short}")
    return _write(writer, code, entries, rows, after) if entries else before


def append_hashed(
    writer: Writer, code: OfficeCode, start: int, entries: Sequence[bytes], leaves: bytes
) -> Head:
    """Add entries of another's log.  ``leaves`` are their joined leaf hashes, which the caller has
    computed and found in tiles that lead to a signed checkpoint.

    Raises:
        ProofError: ``start`` is not the size of the log here; nothing was written.
    """
    _at(writer, code, start)
    each = [leaves[at : at + HASH_BYTES] for at in range(0, len(leaves), HASH_BYTES)]
    rows, after = _grown(writer, code, start, each)
    return _write(writer, code, entries, rows, after)


def cut(writer: Writer, code: OfficeCode, size: int, label: int) -> Head:
    """Shorten the log to ``size``.  Its new head has no note; a log that short stays as it is.

    The entries from there on move to the table ``cut``, under (code, ``label`` u64, index u64).

    Raises:
        Missing, Corrupt: tiles are not there; nothing is certain then, so the caller aborts.
    """
    before = head(writer, code)
    if size >= before.size:
        return before
    after = Head(size, root_at(writer, code, size), b"")
    prefix = code.encode("ascii")
    while rows := list(islice(writer.scan(ENTRY, prefix, entry_key(code, size)), ROWS_PER_STEP)):
        for key, value in rows:
            writer.put(CUT, prefix + label.to_bytes(8, "big") + key[-8:], value)
            writer.delete(ENTRY, key)
    level = 0
    while before.size >> (8 * level):
        _narrow(writer, code, level, size >> (8 * level))
        level += 1
    return _put_head(writer, code, after)


def _narrow(writer: Writer, code: OfficeCode, level: int, count: int) -> None:
    """Leave ``count`` hashes of a level."""
    number, width = divmod(count, TILE_WIDTH)
    first = tile_key(code, level, number)
    kept = (writer.get(TILE, first) or b"")[: width * HASH_BYTES]
    while rows := list(islice(writer.scan(TILE, first[:7], first), ROWS_PER_STEP)):
        for key, _ in rows:
            writer.delete(TILE, key)
    if kept:
        writer.put(TILE, first, kept)


def set_note(writer: Writer, code: OfficeCode, note: bytes) -> Head:
    """Store the log's own checkpoint note with the head.

    Raises:
        DecodeError: not the note of a checkpoint.
        ProofError: it is not about this head.
    """
    now = head(writer, code)
    checkpoint = parse_checkpoint(note)
    if (checkpoint.size, checkpoint.root) != (now.size, now.root):
        expected = f"size {now.size}, root {now.root.short}"
        got = f"size {checkpoint.size}, root {checkpoint.root.short}"
        raise ProofError(f"note of {code}", expected, got)
    return _put_head(writer, code, Head(now.size, now.root, note))


def entry(reader: Reader, code: OfficeCode, index: int) -> bytes:
    """Raises Missing when the log has no such entry."""
    found = reader.get(ENTRY, entry_key(code, index))
    if found is None:
        raise Missing(f"log {code}", f"entry {index}", "nothing")
    return found


def entries(reader: Reader, code: OfficeCode, start: int, end: int) -> tuple[bytes, ...]:
    """Entries [start, end), all of them; the caller bounds how many.

    Raises:
        Missing: the log does not have them all.
    """
    if end <= start:
        return ()
    rows = list(
        islice(reader.scan(ENTRY, code.encode("ascii"), entry_key(code, start)), end - start)
    )
    # Keys grow, so if the last one is right, all are.
    if len(rows) < end - start or rows[-1][0] != entry_key(code, end - 1):
        due = takewhile(lambda at: rows[at][0] == entry_key(code, start + at), range(len(rows)))
        raise Missing(f"log {code}", f"entry {start + len(list(due))}", "nothing")
    return tuple([value for _, value in rows])


def tile_hashes(reader: Reader, code: OfficeCode, level: int, number: int, width: int) -> bytes:
    """``width`` concatenated hashes of a tile.

    Raises:
        Missing: the log is not that long.
    """
    row = _stored(reader, code)(level, number)
    if len(row) < width * HASH_BYTES:
        where = f"log {code}, tile {level}/{number}"
        raise Missing(where, f"{width} hashes", len(row) // HASH_BYTES)
    return row[: width * HASH_BYTES]


def bundle(reader: Reader, code: OfficeCode, number: int, width: int) -> bytes:
    """An entry bundle as tlog-tiles serves it.

    Raises:
        Missing: the log is not that long.
    """
    start = number * TILE_WIDTH
    return encode_bundle(entries(reader, code, start, start + width))


def subtree_hash(reader: Reader, code: OfficeCode, level: int, index: int) -> bytes:
    """The hash of leaves [index·2^level, (index + 1)·2^level).

    Raises:
        Missing: the log is not that long.
    """
    return subtree(_stored(reader, code), level, index)


def root_at(reader: Reader, code: OfficeCode, size: int) -> RootHash:
    """The root the log had at ``size``.

    Raises:
        Missing: the log is not that long.
    """
    return root_of_tiles(_reaching(reader, code, size), size)


def prove_inclusion(reader: Reader, code: OfficeCode, index: int, size: int) -> tuple[bytes, ...]:
    """Raises ProofError when ``index`` is not below ``size``, Missing when the log is shorter."""
    row = _reaching(reader, code, size)
    return merkle_inclusion(index, size, lambda level, at: subtree(row, level, at))


def prove_consistency(
    reader: Reader, code: OfficeCode, size1: int, size2: int
) -> tuple[bytes, ...]:
    """Raises ProofError when ``size1`` exceeds ``size2``, Missing when the log is shorter."""
    row = _reaching(reader, code, size2)
    return merkle_consistency(size1, size2, lambda level, at: subtree(row, level, at))


def _stored(reader: Reader, code: OfficeCode) -> Row:
    return lambda level, number: reader.get(TILE, tile_key(code, level, number)) or b""


def _reaching(reader: Reader, code: OfficeCode, size: int) -> Row:
    """The tiles of a log that is at least ``size`` long.  Not every proof needs the last leaf's
    tile, so without this some proofs of a future size would come out."""
    now = head(reader, code)
    if size > now.size:
        raise Missing(f"log {code}", f"size {size}", now.size)
    return _stored(reader, code)


def _at(reader: Reader, code: OfficeCode, start: int) -> Head:
    now = head(reader, code)
    if start != now.size:
        raise ProofError(f"log {code}", f"entries from index {now.size}", f"from {start}")
    return now


def _leaves(added: Sequence[bytes]) -> list[bytes]:
    for value in added:
        if len(value) > ENTRY_BYTES_MAX:
            raise DecodeError("log entry", f"at most {ENTRY_BYTES_MAX} bytes", len(value))
    return [leaf_hash(value) for value in added]


def _grown(
    reader: Reader, code: OfficeCode, size: int, leaves: Sequence[bytes]
) -> tuple[_Rows, Head]:
    """The tiles that change when a log of ``size`` gets leaves, and its head then."""
    stored = _stored(reader, code)
    rows: _Rows = {}
    level, start, hashes = 0, size, list(leaves)
    while hashes:
        number, width = divmod(start, TILE_WIDTH)
        kept = stored(level, number) if width else b""
        if len(kept) != width * HASH_BYTES:
            where = f"log {code}, tile {level}/{number}"
            raise Corrupt(where, f"{width} hashes", len(kept) // HASH_BYTES)
        run = kept + b"".join(hashes)
        hashes = []
        for at in range(0, len(run), TILE_BYTES):
            tile = run[at : at + TILE_BYTES]
            rows[level, number] = tile
            number += 1
            if len(tile) == TILE_BYTES:  # only full tiles have a hash in the level above
                hashes.append(perfect_root(tile))
        level, start = level + 1, start // TILE_WIDTH

    def row(at_level: int, number: int) -> bytes:
        return rows.get((at_level, number)) or stored(at_level, number)

    end = size + len(leaves)
    return rows, Head(end, root_of_tiles(row, end), b"")


def _write(
    writer: Writer, code: OfficeCode, added: Sequence[bytes], rows: _Rows, after: Head
) -> Head:
    for index, value in enumerate(added, after.size - len(added)):
        writer.put(ENTRY, entry_key(code, index), value)
    for (level, number), tile in rows.items():
        writer.put(TILE, tile_key(code, level, number), tile)
    return _put_head(writer, code, after)


def _put_head(writer: Writer, code: OfficeCode, new: Head) -> Head:
    writer.put(HEAD, code.encode("ascii"), pack(new))
    return new


@dataclass(frozen=True, slots=True)
class LogFinding:
    """Something wrong in the rows of a log: a stable code, what it concerns, and why."""

    code: str
    where: str
    message: str


def check_log(reader: Reader, code: OfficeCode) -> Iterator[LogFinding]:
    """Recompute everything and say what does not agree; a sound log yields nothing.

    Each hash is checked against the stored row just below it: leaves against entries, tiles against
    tiles, the root against tiles.  If nothing is found, all of it follows from the entries; if
    something is, it is named once, and one can tell whose fault it is: a leaf that disagrees alone
    means a damaged entry, one that disagrees together with what is above it a damaged tile.
    """
    try:
        now = head(reader, code)
    except Corrupt as error:
        yield LogFinding("log.head", "head", str(error))
        return
    yield from _check_entries(reader, code, now.size)
    yield from _check_tiles(reader, code, now.size)
    yield from _check_head(reader, code, now)


def _check_entries(reader: Reader, code: OfficeCode, size: int) -> Iterator[LogFinding]:
    row = _stored(reader, code)
    hashes = b""
    due = 0
    for key, value in reader.scan(ENTRY, code.encode("ascii")):
        index = int.from_bytes(key[-8:], "big")
        if index >= size:
            yield LogFinding("log.entry.extra", f"entry {index}", f"the log has {size} entries")
            continue
        if index > due:
            yield LogFinding("log.entry.missing", f"entries {due} to {index - 1}", "not stored")
        number, at = divmod(index, TILE_WIDTH)
        if at == 0 or index != due:
            hashes = row(0, number)
        due = index + 1
        leaf = hashes[at * HASH_BYTES : (at + 1) * HASH_BYTES]
        if len(leaf) == HASH_BYTES and leaf != leaf_hash(value):  # a short tile is found below
            message = f"its hash is not the one in tile 0/{number}"
            yield LogFinding("log.entry", f"entry {index}", message)
    if due < size:
        yield LogFinding("log.entry.missing", f"entries {due} to {size - 1}", "not stored")


def _check_tiles(reader: Reader, code: OfficeCode, size: int) -> Iterator[LogFinding]:
    row = _stored(reader, code)
    for tile in tiles_of(size):
        where = f"tile {tile.level}/{tile.number}"
        hashes = row(tile.level, tile.number)
        if len(hashes) != tile.width * HASH_BYTES:
            message = f"{len(hashes) / HASH_BYTES:g} hashes, not {tile.width}"
            yield LogFinding("log.tile.width", where, message)
        for at in range(tile.width if tile.level else 0):
            below = row(tile.level - 1, tile.number * TILE_WIDTH + at)
            mine = hashes[at * HASH_BYTES : (at + 1) * HASH_BYTES]
            if len(below) == TILE_BYTES and mine and perfect_root(below) != mine:
                message = f"hash {at} is not that of the tile below it"
                yield LogFinding("log.tile", where, message)
    for key, _ in reader.scan(TILE, code.encode("ascii")):
        level, number = key[-9], int.from_bytes(key[-8:], "big")
        full, partial = tile_count(size, level)
        if number >= full + (partial > 0):
            message = f"a log of {size} has no such tile"
            yield LogFinding("log.tile.extra", f"tile {level}/{number}", message)


def _check_head(reader: Reader, code: OfficeCode, now: Head) -> Iterator[LogFinding]:
    try:
        root = root_at(reader, code, now.size)
    except Missing:
        return  # the short tile has been named
    if root != now.root:
        message = f"root {now.root.short}, but the tiles give {root.short}"
        yield LogFinding("log.root", f"head of size {now.size}", message)
    if now.note:
        try:
            checkpoint = parse_checkpoint(now.note)
        except DecodeError as error:
            yield LogFinding("log.note", "note of the head", str(error))
            return
        if (checkpoint.size, checkpoint.root) != (now.size, now.root):
            yield LogFinding("log.note", "note of the head", f"about size {checkpoint.size}")
