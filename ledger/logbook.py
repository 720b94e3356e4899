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

from ledger.checkpoint import Checkpoint
from ledger.merkle import (
    EMPTY_ROOT,
    HASH_BYTES,
    CompactRange,
    Growth,
    leaf_hash,
    perfect_root,
)
from ledger.merkle import prove_consistency as merkle_consistency
from ledger.merkle import prove_inclusion as merkle_inclusion
from ledger.tile_tree import TILE_BYTES, Row, check_tile, root_of_tiles, subtree
from ledger.tiles import encode_bundle, tile_count, tiles_of
from protocol.errors import Corrupt, DecodeError, Missing, ProofError
from protocol.ids import OfficeCode, RootHash
from protocol.limits import ENTRY_BYTES_MAX, TILE_WIDTH, TREE_SIZE_MAX
from protocol.ports import Reader, Writer

ENTRY: Final = "entry"
TILE: Final = "tile"
HEAD: Final = "head"
CUT: Final = "cut"
ROWS_PER_STEP: Final = 1000


@dataclass(frozen=True, slots=True)
class Head:
    """Where a log ends."""

    tree: CompactRange
    root: RootHash

    @property
    def size(self) -> int:
        return self.tree.size


EMPTY_HEAD: Final = Head(CompactRange(), RootHash(EMPTY_ROOT))


def entry_key(code: OfficeCode, index: int) -> bytes:
    return code.encode("ascii") + index.to_bytes(8, "big")


def tile_key(code: OfficeCode, level: int, number: int) -> bytes:
    return code.encode("ascii") + level.to_bytes(1, "big") + number.to_bytes(8, "big")


def head(reader: Reader, code: OfficeCode) -> Head:
    """The head; that of the empty log for an office without rows.

    Raises:
        Corrupt: the row does not decode or contradicts itself.
    """
    row = reader.get(HEAD, code.encode("ascii"))
    if row is None:
        return EMPTY_HEAD
    size = int.from_bytes(row[:8], "big")
    if size > TREE_SIZE_MAX or len(row) != 8 + HASH_BYTES * (1 + size.bit_count()):
        raise Corrupt(f"head of {code}", f"{1 + size.bit_count()} hashes", f"{len(row)} bytes")
    root, *hashes = _split(row[8:])
    tree = CompactRange(size, tuple(hashes))
    if tree.root() != root:  # a flipped bit that an append would have signed for ever
        raise Corrupt(f"head of {code}", f"the hashes of root {root.hex()[:8]}", "others")
    return Head(tree, RootHash(root))


def head_at(reader: Reader, code: OfficeCode, size: int) -> Head:
    """:func:`head`, for what continues at ``size``.

    Raises:
        ProofError: the log has another size here.
    """
    now = head(reader, code)
    if now.size != size:
        raise ProofError(f"log {code}", f"entries from index {now.size}", f"from {size}")
    return now


def append(writer: Writer, code: OfficeCode, entries: Sequence[bytes]) -> Head:
    """Add entries at the end.

    Raises:
        DecodeError: an entry over 65,535 bytes.
        Corrupt: the rows of this log do not fit together.
    """
    before = head(writer, code)
    return _write(writer, code, before, entries, before.tree.grow(map(leaf_hash, entries)))


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
        DecodeError, Corrupt: as :func:`append`.
    """
    before = head_at(writer, code, start)
    growth = before.tree.grow(map(leaf_hash, entries))
    size, root = growth.tree.size, RootHash(growth.tree.root())
    if (size, root) != (checkpoint.size, checkpoint.root):
        expected = f"size {checkpoint.size}, root {checkpoint.root.short}"
        raise ProofError(f"log {code}", expected, f"size {size}, root {root.short}")
    return _write(writer, code, before, entries, growth)


def append_hashed(
    writer: Writer, code: OfficeCode, before: Head, entries: Sequence[bytes], leaves: bytes
) -> Head:
    """Add entries after the head of this transaction.  The caller has computed ``leaves``, their
    joined leaf hashes; and has found those of another's log in tiles that lead to a signed
    checkpoint.

    Raises:
        ProofError: not one hash for each entry.
        DecodeError, Corrupt: as :func:`append`.
    """
    if len(leaves) != len(entries) * HASH_BYTES:
        raise ProofError(f"log {code}", f"{len(entries)} leaf hashes", f"{len(leaves)} bytes")
    return _write(writer, code, before, entries, before.tree.grow(_split(leaves)))


def cut(writer: Writer, code: OfficeCode, size: int, label: int) -> Head:
    """Shorten the log to ``size``; a log that short stays as it is.

    The entries from there on move to the table ``cut``, under (code, ``label`` u64, index u64).

    Raises:
        Missing, Corrupt: tiles are not there; nothing is certain then, so the caller aborts.
    """
    before = head(writer, code)
    if size >= before.size:
        return before
    tree = _tree_at(_stored(writer, code), size)
    prefix = code.encode("ascii")
    while rows := list(islice(writer.scan(ENTRY, prefix, entry_key(code, size)), ROWS_PER_STEP)):
        for key, value in rows:
            writer.put(CUT, prefix + label.to_bytes(8, "big") + key[-8:], value)
            writer.delete(ENTRY, key)
    level = 0
    while before.size >> (8 * level):
        _narrow(writer, code, level, size >> (8 * level))
        level += 1
    return _put_head(writer, code, tree)


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


def sound_tile(reader: Reader, code: OfficeCode, level: int, number: int, width: int) -> bytes:
    """Like :func:`tile_hashes`, checked against the tile above it, or, where the log ends, against
    the root: what is damaged here is not given to others.

    Raises:
        Missing: the log is not that long.
        Corrupt: the tile, or what it is checked against, is not what was stored.
    """
    hashes = tile_hashes(reader, code, level, number, width)
    stored = _stored(reader, code)
    row = stored(level, number)
    if len(row) < TILE_BYTES:
        _check_edge(code, head(reader, code), stored)
    else:
        try:
            check_tile(row, level, number, stored(level + 1, number // TILE_WIDTH))
        except ProofError as error:
            raise Corrupt(f"log {code}, {error.where}", error.expected, error.got) from error
    return hashes


def sound_entries(reader: Reader, code: OfficeCode, start: int, end: int) -> tuple[bytes, ...]:
    """Like :func:`entries`, each checked against its leaf hash.

    Raises:
        Missing: the log does not have them all.
        Corrupt: an entry or its tile is not what was stored.
    """
    found = entries(reader, code, start, end)
    for number in range(start // TILE_WIDTH, -(-end // TILE_WIDTH)):
        hashes = _stored(reader, code)(0, number)
        first = number * TILE_WIDTH
        for index in range(max(start, first), min(end, first + TILE_WIDTH)):
            at = (index - first) * HASH_BYTES
            if leaf_hash(found[index - start]) != hashes[at : at + HASH_BYTES]:
                raise Corrupt(f"log {code}", f"entry {index} with its hash", "another")
    return found


def bundle(reader: Reader, code: OfficeCode, number: int, width: int) -> bytes:
    """An entry bundle as tlog-tiles serves it.

    Raises:
        Missing: the log is not that long.
        Corrupt: an entry is not what was stored.
    """
    start = number * TILE_WIDTH
    return encode_bundle(sound_entries(reader, code, start, start + width))


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


def _check_edge(code: OfficeCode, now: Head, row: Row) -> None:
    try:
        root = root_of_tiles(row, now.size)
    except Missing as error:
        raise Corrupt(f"log {code}, {error.where}", error.expected, error.got) from error
    if root != now.root:
        raise Corrupt(f"log {code}, tiles", f"root {now.root.short}", root.short)


def _write(
    writer: Writer, code: OfficeCode, before: Head, entries: Sequence[bytes], growth: Growth
) -> Head:
    if not entries:
        return before
    prefix = code.encode("ascii")
    for index, value in enumerate(entries, before.size):
        if len(value) > ENTRY_BYTES_MAX:
            raise DecodeError("log entry", f"at most {ENTRY_BYTES_MAX} bytes", len(value))
        writer.put(ENTRY, prefix + index.to_bytes(8, "big"), value)
    for level, hashes in enumerate(growth.hashes):
        number, width = divmod(before.size >> 8 * level, TILE_WIDTH)
        run = _stored(writer, code)(level, number) if width else b""
        if len(run) != width * HASH_BYTES:
            where = f"log {code}, tile {level}/{number}"
            raise Corrupt(where, f"{width} hashes", len(run) // HASH_BYTES)
        run += b"".join(hashes)
        for at in range(0, len(run), TILE_BYTES):
            key = tile_key(code, level, number + at // TILE_BYTES)
            writer.put(TILE, key, run[at : at + TILE_BYTES])
    return _put_head(writer, code, growth.tree)


def _put_head(writer: Writer, code: OfficeCode, tree: CompactRange) -> Head:
    root = tree.root()
    row = b"".join((tree.size.to_bytes(8, "big"), root, *tree.hashes))
    writer.put(HEAD, code.encode("ascii"), row)
    return Head(tree, RootHash(root))


def _tree_at(row: Row, size: int) -> CompactRange:
    levels = [level for level in reversed(range(size.bit_length())) if size >> level & 1]
    return CompactRange(size, tuple([subtree(row, n, (size >> n) - 1) for n in levels]))


def _split(hashes: bytes) -> list[bytes]:
    return [hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES)]


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
