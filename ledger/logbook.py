"""The log of one office, as rows: append, read, prove.

Rows per log (docs/spec/log.md): every entry; the hashes of its tree, 16 to a row, the last row of a
level growing in place (ledger/hash_rows.py); and the head.  Roots and proofs come from hashes,
never from a scan of the entries: an append costs its batch and at most a row per level.

Appending is one transaction of the caller: a crash leaves the old head with the old tiles, or the
new with the new.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import islice, takewhile
from typing import Final

from ledger import hash_rows
from ledger.checkpoint import Checkpoint
from ledger.hash_rows import ROWS_PER_STEP
from ledger.tile_tree import TILE_BYTES
from ledger.tiles import encode_bundle
from protocol.errors import Corrupt, DecodeError, Missing, ProofError
from protocol.ids import OfficeCode, RootHash
from protocol.limits import ENTRY_BYTES_MAX, TILE_WIDTH, TREE_SIZE_MAX
from protocol.merkle import (
    EMPTY_ROOT,
    HASH_BYTES,
    CompactRange,
    Growth,
    Subtree,
    leaf_hash,
    perfect_root,
    range_root,
)
from protocol.merkle import prove_consistency as merkle_consistency
from protocol.merkle import prove_inclusion as merkle_inclusion
from protocol.ports import Reader, Writer

ENTRY: Final = "entry"
HEAD: Final = "head"
CUT: Final = "cut"


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


def head(reader: Reader, code: OfficeCode) -> Head:
    """The head; that of the empty log for an office without rows.

    Raises:
        Corrupt: the row does not decode or contradicts itself.
    """
    row = reader.get(HEAD, code.encode("ascii"))
    return EMPTY_HEAD if row is None else _head(code, row)


@lru_cache(maxsize=1024)  # it is looked at far more often than it grows
def _head(code: OfficeCode, row: bytes) -> Head:
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


def put_entries(writer: Writer, code: OfficeCode, start: int, entries: Sequence[bytes]) -> None:
    """Store entries alone, from index ``start`` on, whose hashes are here or follow at once."""
    prefix = code.encode("ascii")
    writer.put_many(
        ENTRY, [(prefix + at.to_bytes(8, "big"), each) for at, each in enumerate(entries, start)]
    )


def cut(writer: Writer, code: OfficeCode, size: int, label: int) -> Head:
    """Shorten the log to ``size``; a log that short stays as it is.

    The entries from there on move to the table ``cut``, under (code, ``label`` u64, index u64).

    Raises:
        Missing, Corrupt: hashes are not there; nothing is certain then, so the caller aborts.
    """
    before = head(writer, code)
    if size >= before.size:
        return before
    tree = _tree_at(partial(hash_rows.subtree, writer, code), size)
    prefix = code.encode("ascii")
    while rows := list(islice(writer.scan(ENTRY, prefix, entry_key(code, size)), ROWS_PER_STEP)):
        for key, value in rows:
            writer.put(CUT, prefix + label.to_bytes(8, "big") + key[-8:], value)
            writer.delete(ENTRY, key)
    hash_rows.cut(writer, code, before.size, size)
    return _put_head(writer, code, tree)


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
    hashes = hash_rows.tile(reader, code, level, number)
    if len(hashes) < width * HASH_BYTES:
        where = f"log {code}, tile {level}/{number}"
        raise Missing(where, f"{width} hashes", len(hashes) // HASH_BYTES)
    return hashes[: width * HASH_BYTES]


def sound_tile(reader: Reader, code: OfficeCode, level: int, number: int, width: int) -> bytes:
    """Like :func:`tile_hashes`, checked against the hash above it, or, where the log ends, against
    the root: what is damaged here is not given to others.

    Raises:
        Missing: the log is not that long.
        Corrupt: the tile, or what it is checked against, is not what was stored.
    """
    hashes = tile_hashes(reader, code, level, number, width)
    where = f"log {code}, tile {level}/{number}"
    whole = hash_rows.tile(reader, code, level, number)
    roots = hash_rows.row(reader, code, 2 * level + 1, number)
    if roots != hash_rows.roots_of_rows(whole):
        raise Corrupt(where, "the roots of its rows", "others")
    try:
        if len(whole) < TILE_BYTES:
            now = head(reader, code)
            root, found = now.root.raw, root_at(reader, code, now.size).raw
        else:
            root = hash_rows.subtree(reader, code, 8 * level + 8, number)
            found = perfect_root(roots)
    except Missing as error:
        raise Corrupt(error.where, error.expected, error.got) from error
    if found != root:
        raise Corrupt(where, f"hashes that lead to {root.hex()[:8]}", found.hex()[:8])
    return hashes


def sound_entries(reader: Reader, code: OfficeCode, start: int, end: int) -> tuple[bytes, ...]:
    """Like :func:`entries`, each checked against its leaf hash.

    Raises:
        Missing: the log does not have them all.
        Corrupt: an entry or its tile is not what was stored.
    """
    found = entries(reader, code, start, end)
    for number in range(start // TILE_WIDTH, -(-end // TILE_WIDTH)):
        hashes = hash_rows.tile(reader, code, 0, number)
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
    return hash_rows.subtree(reader, code, level, index)


def root_at(reader: Reader, code: OfficeCode, size: int) -> RootHash:
    """The root the log had at ``size``.

    Raises:
        Missing: the log is not that long.
    """
    return RootHash(range_root(0, size, _reaching(reader, code, size)))


def prove_inclusion(reader: Reader, code: OfficeCode, index: int, size: int) -> tuple[bytes, ...]:
    """Raises ProofError when ``index`` is not below ``size``, Missing when the log is shorter."""
    return merkle_inclusion(index, size, _reaching(reader, code, size))


def prove_consistency(
    reader: Reader, code: OfficeCode, size1: int, size2: int
) -> tuple[bytes, ...]:
    """Raises ProofError when ``size1`` exceeds ``size2``, Missing when the log is shorter."""
    return merkle_consistency(size1, size2, _reaching(reader, code, size2))


def _reaching(reader: Reader, code: OfficeCode, size: int) -> Subtree:
    """The hashes of a log that is at least ``size`` long.  Not every proof needs the last leaf's
    row, so without this some proofs of a future size would come out."""
    now = head(reader, code)
    if size > now.size:
        raise Missing(f"log {code}", f"size {size}", now.size)
    return partial(hash_rows.subtree, reader, code)


def _write(
    writer: Writer, code: OfficeCode, before: Head, entries: Sequence[bytes], growth: Growth
) -> Head:
    if not entries:
        return before
    longest = max(map(len, entries))
    if longest > ENTRY_BYTES_MAX:
        raise DecodeError("log entry", f"at most {ENTRY_BYTES_MAX} bytes", longest)
    put_entries(writer, code, before.size, entries)
    hash_rows.extend(writer, code, before.size, growth.hashes)
    return _put_head(writer, code, growth.tree)


def _put_head(writer: Writer, code: OfficeCode, tree: CompactRange) -> Head:
    root = tree.root()
    row = b"".join((tree.size.to_bytes(8, "big"), root, *tree.hashes))
    writer.put(HEAD, code.encode("ascii"), row)
    return Head(tree, RootHash(root))


def _tree_at(subtree: Subtree, size: int) -> CompactRange:
    levels = [level for level in reversed(range(size.bit_length())) if size >> level & 1]
    return CompactRange(size, tuple([subtree(n, (size >> n) - 1) for n in levels]))


def _split(hashes: bytes) -> list[bytes]:
    return [hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES)]
