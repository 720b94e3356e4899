"""Do the tiles and entries of one log lead to its checkpoint?  Streams, 256 entries at a time.

If the hashes of the lowest tiles lead to the checkpoint's root they are right, so an entry that
does not fit its hash was changed, and its neighbours can still be judged.  If they do not, the
entries are taken for right and the tiles compared with them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ledger.merkle import HASH_BYTES, CompactRange, leaf_hash, perfect_root
from ledger.source import LogSource
from ledger.tiles import Bundle, bundles_of, decode_bundle
from protocol.errors import DecodeError, Missing
from protocol.ids import OfficeCode
from protocol.limits import TILE_WIDTH

Report = Callable[[int, str], None]  # index or -1, code


@dataclass(frozen=True, slots=True)
class Leaf:
    """What stands at an index; ``entry`` is None when its bytes are not the ones of this hash."""

    index: int
    leaf: bytes
    entry: bytes | None


class LogAudit:
    """The hashes of one log of ``size`` entries, checked against ``root``."""

    def __init__(
        self, source: LogSource, code: OfficeCode, size: int, root: bytes, report: Report
    ) -> None:
        self._source = source
        self._code = code
        self._size = size
        self._root = root
        self._report = report
        self._upper: list[bytearray] = []  # running tiles of level 1 and up
        self._tiles_lead_to_root = False
        self.tree = CompactRange()  # of the leaves given so far
        self.whole = False  # every leaf was given, and they lead to the root

    def leaves(self) -> Iterator[list[Leaf]]:
        """The leaves, a bundle at a time.  Ends early where the log cannot be followed."""
        self._tiles_lead_to_root = self._lowest_root() == self._root
        for bundle in bundles_of(self._size):
            leaves = self._read(bundle)
            if leaves is None:
                return
            yield leaves
            hashes = [each.leaf for each in leaves]
            self.tree = self.tree.extend(hashes)
            if len(hashes) == TILE_WIDTH:
                self._grow(0, perfect_root(b"".join(hashes)))
        for height, hashes_above in enumerate(self._upper):
            if hashes_above:
                number = (self._size >> 8 * (height + 1)) // TILE_WIDTH
                self._compare(height + 1, number, bytes(hashes_above))
        self.whole = self.tree.root() == self._root
        if not self.whole:
            self._report(-1, "log.root")

    def _lowest_root(self) -> bytes | None:
        tree = CompactRange()
        for bundle in bundles_of(self._size):
            hashes = self._tile(0, bundle.number, bundle.width)
            if hashes is None:
                return None
            tree = tree.extend(_split(hashes))
        return tree.root()

    def _tile(self, level: int, number: int, width: int) -> bytes | None:
        try:
            hashes = self._source.tile(self._code, level, number, width)
        except Missing:
            return None
        return hashes if len(hashes) == width * HASH_BYTES else None

    def _read(self, bundle: Bundle) -> list[Leaf] | None:
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
        hashes = [leaf_hash(entry) for entry in entries]
        tile = self._tile(0, bundle.number, bundle.width)
        if tile is None:
            self._report(first, "log.missing")
        expected = hashes if tile is None else _split(tile)
        if hashes == expected:
            return [Leaf(first + at, leaf, entries[at]) for at, leaf in enumerate(hashes)]
        trusted = self._tiles_lead_to_root
        leaves = []
        for at, (entry, found, wanted) in enumerate(zip(entries, hashes, expected, strict=True)):
            if found == wanted:
                leaves.append(Leaf(first + at, found, entry))
                continue
            self._report(first + at, "entry.hash" if trusted else "tile.hash")
            leaves.append(Leaf(first + at, *((wanted, None) if trusted else (found, entry))))
        return leaves

    def _damaged(self, bundle: Bundle, data: bytes) -> list[Leaf] | None:
        """A bundle that does not split into its entries: as many as still fit their hashes."""
        entries: list[bytes] = []
        tile = self._tile(0, bundle.number, bundle.width) if self._tiles_lead_to_root else None
        at = 0
        for wanted in _split(tile or b""):
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
        tile = self._tile(0, bundle.number, bundle.width) if self._tiles_lead_to_root else None
        if tile is None:
            return None
        known: list[bytes | None] = [*entries, *[None] * (bundle.width - len(entries))]
        first = bundle.number * TILE_WIDTH
        return [Leaf(first + at, leaf, known[at]) for at, leaf in enumerate(_split(tile))]

    def _grow(self, height: int, subtree: bytes) -> None:
        """One more hash on level ``height`` + 1, and a full tile there on the level above."""
        if height == len(self._upper):
            self._upper.append(bytearray())
        row = self._upper[height]
        row += subtree
        if len(row) == TILE_WIDTH * HASH_BYTES:
            number = (self.tree.size >> 8 * (height + 1)) // TILE_WIDTH - 1
            self._compare(height + 1, number, bytes(row))
            self._grow(height + 1, perfect_root(bytes(row)))
            row.clear()

    def _compare(self, level: int, number: int, expected: bytes) -> None:
        width = len(expected) // HASH_BYTES
        first = number * TILE_WIDTH
        tile = self._tile(level, number, width)
        if tile is None:
            self._report(first << 8 * level, "log.missing")
            return
        for at, (found, wanted) in enumerate(zip(_split(tile), _split(expected), strict=True)):
            if found != wanted:
                self._report((first + at) << 8 * level, "tile.hash")


def _split(hashes: bytes) -> list[bytes]:
    return [hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES)]
