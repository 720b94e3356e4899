"""The building half of a table of pairs: sorted keys to directory and lists.

Specification: docs/spec/segment.md.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from search_shard.blocks import Array
from search_shard.buckets import PIECE_ROWS, Buckets, Pieces, by_first
from search_shard.columns import BitColumn, Column
from search_shard.postings import COUNT_MAX, GAP, LONG, MANY, MARKED, TWO
from search_shard.runs import sizes_of, starts_of, turns

_DOCUMENTS = 1 << 16
_INLINE, _SHORT, _LONG = 0, 1, 2  # where the documents of a pair stand


def build_table(pieces: Pieces, size: int) -> dict[str, Array]:
    """The table of the rows whose first is not 0; ``size`` is one more than the largest first."""
    return table_builder(pieces, size).end()


def table_builder(pieces: Pieces, size: int) -> TableBuilder:
    """A builder that has taken the rows of :func:`build_table`."""
    builder = TableBuilder(sum(len(firsts) for firsts, _, _ in pieces()), size)
    for buckets in by_first(pieces, size):
        for low, high in buckets.groups():
            part = buckets.part(low, high)
            part.sort()
            builder.add(part)
    return builder


class TableBuilder:
    """Takes the rows of a table by rising firsts, and gives its blocks."""

    def __init__(self, rows: int, size: int) -> None:
        """A table of at most ``rows`` rows, with firsts below ``size``."""
        self._pairs_of = np.zeros(size, np.int64)
        self._seconds, self._sizes = Column("<u2", rows), Column("|u1", rows)
        self._where, self._lists = Column("<u4", rows), Column("<u2", rows)
        self._gaps = Column("|u1", rows + (rows // LONG + 1) * (_DOCUMENTS // GAP + 1))
        self._short, self._long = _Marks(rows), _Marks(rows)
        self._longs = Column("<u4", 3 * (rows // LONG + 1))  # pair, documents, gap bytes of each

    def add(self, rows: Buckets, width: int = _DOCUMENTS) -> None:
        """The next rows, each bucket sorted; a second is told as what remains by ``width``."""
        here = np.flatnonzero(np.diff(rows.starts))
        firsts, starts = here + rows.low, rows.starts[here]
        if len(here) > 1:
            self._add(firsts, starts, rows.keys, width)
        elif len(here):
            for piece in _pieces(rows.keys):
                self._add(firsts, starts, piece, width)

    def end(self) -> dict[str, Array]:
        """The blocks of the table."""
        postings = self._short.padded()
        marks = np.concatenate([self._short.bits.end(), self._long.bits.end()])
        repeats = np.bitwise_count(
            np.append(marks, np.zeros(-len(marks) % (MARKED // 8), np.uint8))
        )
        _, sizes, gap_bytes = self._longs.values.reshape(-1, 3).T
        return {
            "first_at": starts_of(self._pairs_of),
            "seconds": self._seconds.values,
            "sizes": self._sizes.values,
            "where": self._where.values,
            "lists": self._lists.values,
            "longs": np.column_stack([starts_of(gap_bytes), starts_of(sizes) + postings]).ravel(),
            "gaps": self._gaps.values,
            "marks": marks,
            "mark_at": starts_of(repeats.reshape(-1, MARKED // 8).sum(axis=1)),
            "counts": np.concatenate([self._short.counts.values, self._long.counts.values]),
        }

    def longer_than(self, documents: int) -> tuple[Array, Array]:
        """The pairs (first << 16 | second, rising) with more than so many documents, at least
        ``LONG``, and how many they have."""
        pairs, sizes, _ = self._longs.values.reshape(-1, 3).T
        many = sizes > documents
        return pairs[many], sizes[many]

    def _add(self, firsts: Array, starts: Array, keys: Array, width: int) -> None:
        new = turns(keys)
        new[starts] = True
        posting_at = np.flatnonzero(new)
        counts = sizes_of(posting_at, len(keys))
        keys = keys.take(posting_at)
        bucket_at = posting_at.searchsorted(starts)
        documents = keys.astype(np.uint16)
        keys >>= np.uint32(16)
        new = turns(keys)
        new[bucket_at] = True
        pair_at = np.flatnonzero(new)
        seconds = keys.take(pair_at) % np.uint32(width)
        sizes = sizes_of(pair_at, len(keys))
        pairs = sizes_of(pair_at.searchsorted(bucket_at), len(pair_at))
        self._pairs_of[firsts] += pairs
        self._seconds.add(seconds)
        kinds = self._directory(sizes, pair_at, documents, counts)
        of_posting = np.repeat(kinds, sizes)
        repeated = counts > 1
        repeats = np.flatnonzero(repeated)
        often = np.minimum(counts.take(repeats), COUNT_MAX)
        short = of_posting == _SHORT
        self._lists.add(np.compress(short, documents))
        self._short.add(np.compress(short, repeated), often[short.take(repeats)])
        long = np.flatnonzero(kinds == _LONG)
        if len(long):
            listed = of_posting == _LONG
            self._long.add(np.compress(listed, repeated), often[listed.take(repeats)])
            first = firsts[np.cumsum(pairs).searchsorted(long, side="right")]
            gap_bytes = self._add_gaps(np.compress(listed, documents), sizes[long])
            told = np.column_stack([first << 16 | seconds[long], sizes[long], gap_bytes])
            self._longs.add(told.ravel())

    def _directory(self, sizes: Array, pair_at: Array, documents: Array, counts: Array) -> Array:
        """Add sizes and whereabouts of pairs; returns where the documents of each stand."""
        where = np.zeros(len(sizes), np.uint32)
        kinds = np.full(len(sizes), _SHORT, np.uint8)
        one = np.flatnonzero(sizes == 1)
        at = pair_at[one]
        where[one] = documents[at] | np.minimum(counts[at], COUNT_MAX).astype(np.uint32) << 16
        two = np.flatnonzero(sizes == 2)
        at = pair_at[two]
        once = (counts[at] == 1) & (counts[at + 1] == 1)
        two, at = two[once], at[once]
        where[two] = documents[at] | documents[at + 1].astype(np.uint32) << 16
        kinds[one] = kinds[two] = _INLINE
        long = np.flatnonzero(sizes > LONG)
        kinds[long] = _LONG
        where[long] = len(self._longs) // 3 + np.arange(len(long))
        short = np.flatnonzero(kinds == _SHORT)
        ends = np.cumsum(sizes[short])
        where[short] = len(self._lists) + ends - sizes[short]
        self._where.add(where)
        sizes = sizes.astype(np.uint8)
        sizes[two], sizes[long] = TWO, MANY
        self._sizes.add(sizes)
        return kinds

    def _add_gaps(self, documents: Array, sizes: Array) -> Array:
        """Add long lists as gaps; returns how many bytes each has."""
        starts = np.cumsum(sizes) - sizes
        gaps = np.diff(documents, prepend=documents[:1])
        gaps[starts] = documents[starts]
        far = np.flatnonzero(gaps >= GAP)
        wide = gaps[far] // np.uint16(GAP)
        gaps[far] -= wide * np.uint16(GAP)
        self._gaps.add(np.insert(gaps.astype(np.uint8), np.repeat(far, wide), GAP))
        of_list = starts.searchsorted(far, side="right") - 1
        more: Array = np.bincount(of_list, wide, len(sizes)).astype(np.int64)
        return sizes + more


class _Marks:
    """Of the postings in lists which repeat, a bit each, and how often those do."""

    def __init__(self, most: int) -> None:
        self.bits, self.counts = BitColumn(1, most + MARKED), Column("|u1", most)
        self._size = 0

    def add(self, repeated: Array, often: Array) -> None:
        self.bits.add(repeated)
        self.counts.add(often)
        self._size += len(repeated)

    def padded(self) -> int:
        """Add postings that do not repeat, up to a multiple of ``MARKED``; returns how many there
        are now."""
        self.add(np.zeros(-self._size % MARKED, bool), np.empty(0, np.uint8))
        return self._size


def _pieces(keys: Array) -> Iterator[Array]:
    """Sorted keys of one first in pieces of about ``PIECE_ROWS``; those of a pair stay together."""
    start = 0
    while start < len(keys):
        end = start + PIECE_ROWS
        if end < len(keys):
            pair = int(keys[end]) >> 16 << 16
            cut = int(keys.searchsorted(np.uint32(pair)))
            end = (
                cut
                if cut > start
                else int(keys.searchsorted(np.uint32(pair | 0xFFFF), side="right"))
            )
        yield keys[start:end]
        start = end
