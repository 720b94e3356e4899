"""Do the tiles and entries of one log lead to its checkpoint?  Streams, 256 entries at a time.

If the hashes of the lowest tiles lead to the checkpoint's root they are right, so an entry that
does not fit its hash was changed, and its neighbours can still be judged.  If they do not, the
entries are taken for right and the tiles compared with them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from ledger.source import LogSource
from ledger.tiles import Bundle, bundles_of, decode_bundle
from protocol.errors import DecodeError, Missing, ProofError
from protocol.ids import OfficeCode
from protocol.limits import TILE_WIDTH
from protocol.merkle import HASH_BYTES, CompactRange, leaf_hash, node_hash, perfect_root

Report = Callable[[int, str], None]  # index or -1, code


@dataclass(slots=True)  # many: frozen ones cost thrice
class Leaf:
    """What stands at an index; ``entry`` is None when its bytes are not the ones of this hash."""

    index: int
    leaf: bytes
    entry: bytes | None


class LeafReader:
    """Reads the entries of one log against the hashes of its lowest tiles, which are ``trusted``
    when they lead to the root."""

    def __init__(self, source: LogSource, code: OfficeCode, trusted: bool, report: Report) -> None:
        self._source = source
        self._code = code
        self._trusted = trusted
        self._report = report

    def read(self, bundle: Bundle) -> list[Leaf] | None:
        """The leaves of a bundle; None where the log cannot be followed further."""
        first = bundle.number * TILE_WIDTH
        try:
            data = self._source.bundle(self._code, bundle.number, bundle.width)
        except Missing:
            self._report(first, "log.missing")
            return self._without_entries(bundle, [])
        try:
            entries = decode_bundle(data, bundle.width)
        except DecodeError:
            return self._damaged(bundle, data)
        hashes = [sha256(b"\x00" + entry).digest() for entry in entries]
        tile = read_tile(self._source, self._code, 0, bundle.number, bundle.width)
        if tile is None:
            self._report(first, "log.missing")
        elif tile != b"".join(hashes):
            return self._compare(first, entries, hashes, split_hashes(tile))
        return list(map(Leaf, range(first, first + bundle.width), hashes, entries))

    def _compare(
        self, first: int, entries: Sequence[bytes], hashes: list[bytes], expected: list[bytes]
    ) -> list[Leaf]:
        leaves = []
        for at, (entry, found, wanted) in enumerate(zip(entries, hashes, expected, strict=True)):
            if found == wanted:
                leaves.append(Leaf(first + at, found, entry))
                continue
            self._report(first + at, "entry.hash" if self._trusted else "tile.hash")
            leaves.append(Leaf(first + at, *((wanted, None) if self._trusted else (found, entry))))
        return leaves

    def _damaged(self, bundle: Bundle, data: bytes) -> list[Leaf] | None:
        """A bundle that does not split into its entries: as many as still fit their hashes."""
        entries: list[bytes] = []
        at = 0
        for wanted in split_hashes(self._trusted_tile(bundle) or b""):
            length = int.from_bytes(data[at : at + 2], "big")
            entry = data[at + 2 : at + 2 + length]
            if leaf_hash(entry) != wanted:
                break
            entries.append(entry)
            at += 2 + length
        # All of them: then it is the last one that has too much behind it.
        index = bundle.number * TILE_WIDTH + min(len(entries), bundle.width - 1)
        self._report(index, "bundle.decode")
        return self._without_entries(bundle, entries)

    def _without_entries(self, bundle: Bundle, entries: list[bytes]) -> list[Leaf] | None:
        """The leaves of a bundle of which only the first entries are known; None when the tiles
        cannot be trusted to tell the others."""
        tile = self._trusted_tile(bundle)
        if tile is None:
            return None
        known: list[bytes | None] = [*entries, *[None] * (bundle.width - len(entries))]
        first = bundle.number * TILE_WIDTH
        return [Leaf(first + at, leaf, known[at]) for at, leaf in enumerate(split_hashes(tile))]

    def _trusted_tile(self, bundle: Bundle) -> bytes | None:
        if not self._trusted:
            return None
        return read_tile(self._source, self._code, 0, bundle.number, bundle.width)


class UpperTiles:
    """The tiles above the lowest, held against the roots of whole bundles as these come."""

    def __init__(self, source: LogSource, code: OfficeCode, start: int, report: Report) -> None:
        """The roots of the first ``start`` bundles are added, and were compared before."""
        self._source = source
        self._code = code
        self._start = start
        self._report = report
        self._rows: list[bytearray] = []
        self._counts: list[int] = []  # hashes that came on each level

    def add_roots(self, roots: bytes) -> None:
        """The roots of the next whole bundles, joined."""
        for root in split_hashes(roots):
            self._grow(0, root)

    def close(self) -> None:
        """Compare the partial tiles at the end of the log."""
        for height, row in enumerate(self._rows):
            if row:
                self._compare(height + 1, self._counts[height] // TILE_WIDTH, bytes(row))

    def _grow(self, height: int, subtree: bytes) -> None:
        """One more hash on level ``height`` + 1, and a full tile there on the level above."""
        if height == len(self._rows):
            self._rows.append(bytearray())
            self._counts.append(0)
        row = self._rows[height]
        row += subtree
        self._counts[height] += 1
        if len(row) == TILE_WIDTH * HASH_BYTES:
            self._compare(height + 1, self._counts[height] // TILE_WIDTH - 1, bytes(row))
            self._grow(height + 1, perfect_root(bytes(row)))
            row.clear()

    def _compare(self, level: int, number: int, expected: bytes) -> None:
        first = number * TILE_WIDTH
        width = len(expected) // HASH_BYTES
        if (first + width) << 8 * (level - 1) <= self._start:
            return
        tile = read_tile(self._source, self._code, level, number, width)
        if tile is None:
            self._report(first << 8 * level, "log.missing")
            return
        pairs = zip(split_hashes(tile), split_hashes(expected), strict=True)
        for at, (found, wanted) in enumerate(pairs):
            if found != wanted:
                self._report((first + at) << 8 * level, "tile.hash")


@dataclass(frozen=True, slots=True)
class Surveyed:
    """What the lowest tiles and a glance at the entries of some bundles tell."""

    roots: bytes  # of every whole tile
    rest: bytes  # the hashes of the partial tile, if there was one
    found: tuple[tuple[int, bytes], ...]  # entries with the words looked for


def survey(
    source: LogSource, code: OfficeCode, bundles: Sequence[Bundle], words: tuple[bytes, ...]
) -> Surveyed | None:
    """The hashes of these bundles' tiles, and the entries that contain one of ``words``; None when
    a tile is not there.  Nothing is verified."""
    roots: list[bytes] = []
    rest = b""
    found: list[tuple[int, bytes]] = []
    for bundle in bundles:
        tile = read_tile(source, code, 0, bundle.number, bundle.width)
        if tile is None:
            return None
        if bundle.width == TILE_WIDTH:
            roots.append(perfect_root(tile))
        else:
            rest = tile
        if words:
            found += _entries_with(source, code, bundle, words)
    return Surveyed(b"".join(roots), rest, tuple(found))


def _entries_with(
    source: LogSource, code: OfficeCode, bundle: Bundle, words: tuple[bytes, ...]
) -> list[tuple[int, bytes]]:
    try:
        data = source.bundle(code, bundle.number, bundle.width)
        if not any(word in data for word in words):
            return []
        entries = decode_bundle(data, bundle.width)
    except (Missing, DecodeError):  # whoever examines the bundle will say so
        return []
    first = bundle.number * TILE_WIDTH
    return [
        (first + at, entry) for at, entry in enumerate(entries) if any(w in entry for w in words)
    ]


def tree_of(roots: bytes, bundles: int, rest: bytes = b"") -> CompactRange:
    """The tree of the first ``bundles`` whole tiles, from their roots, and the hashes behind."""
    level = CompactRange().extend(split_hashes(roots[: bundles * HASH_BYTES]))
    return CompactRange(bundles * TILE_WIDTH, level.hashes).extend(split_hashes(rest))


def check_replica(source: LogSource, code: OfficeCode, size: int, root: bytes) -> None:
    """Check that all entries together lead to ``root``: hashes only, a bundle at a time.

    Raises:
        ProofError: they do not.
        Missing, DecodeError: an entry is not there, or a bundle is damaged.
    """
    tree = CompactRange()
    for bundle in bundles_of(size):
        entries = decode_bundle(source.bundle(code, bundle.number, bundle.width), bundle.width)
        hashes = [sha256(b"\x00" + entry).digest() for entry in entries]
        if len(hashes) == TILE_WIDTH:
            tree = with_tile(tree, perfect_root(b"".join(hashes)))
        else:
            tree = tree.extend(hashes)
    if tree.root() != root:
        raise ProofError(f"log {code}", f"root {root.hex()[:16]}", tree.root().hex()[:16])


def with_tile(tree: CompactRange, root: bytes) -> CompactRange:
    """A tree of whole tiles, with one tile more whose root is ``root``."""
    hashes, carry = list(tree.hashes), tree.size // TILE_WIDTH
    while carry & 1:
        root = node_hash(hashes.pop(), root)
        carry >>= 1
    return CompactRange(tree.size + TILE_WIDTH, (*hashes, root))


def read_tile(
    source: LogSource, code: OfficeCode, level: int, number: int, width: int
) -> bytes | None:
    """A tile of the right length, or None."""
    try:
        hashes = source.tile(code, level, number, width)
    except Missing:
        return None
    return hashes if len(hashes) == width * HASH_BYTES else None


def split_hashes(hashes: bytes) -> list[bytes]:
    return [hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES)]
