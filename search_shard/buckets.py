"""Rows (first, second, document) laid together by their first, in few passes over few bytes.

A row becomes second << 16 | document, 32 bits, in the bucket of its first.  Such keys sort in half
the time and half the memory of rows that carry the first along, and rows that come by document
keep that order until they are sorted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, TypeAlias

import numpy as np

from search_shard.blocks import Array
from search_shard.runs import sizes_of, turns

RANGE_ROWS: Final = 8_000_000  # held at a time: 32 MB, so that memory does not follow the text
_PIECE_BITS: Final = 17  # of the number of a row in a piece
PIECE_ROWS: Final = 1 << _PIECE_BITS  # worked on at a time: what a processor's cache holds
_RANGE_FIRSTS: Final = 1 << 32 - _PIECE_BITS  # so that both are one number of 32 bits

Rows: TypeAlias = tuple[Array, Array, Array]  # firsts, seconds, documents: u16, of one length
Pieces: TypeAlias = Callable[[], Iterable[Rows]]  # the same rows each time, few at a time


@dataclass(frozen=True, slots=True)
class Buckets:
    """The rows of the firsts ``low`` .. ``low + len(starts) - 1`` (half-open)."""

    low: int
    starts: Array  # i64: where each bucket begins in ``keys``, and the end
    keys: Array  # u32: second << 16 | document, in each bucket in the order the rows came

    @property
    def size(self) -> int:
        return len(self.starts) - 1

    def groups(self) -> Iterator[tuple[int, int]]:
        """Half-open ranges of buckets with about ``PIECE_ROWS`` rows each, or one large bucket."""
        low, end = 0, self.size
        while low < end:
            most = self.starts[low] + PIECE_ROWS
            high = max(int(self.starts.searchsorted(most, side="right")) - 1, low + 1)
            yield low, min(high, end)
            low = high

    def part(self, low: int, high: int) -> Buckets:
        start, end = int(self.starts[low]), int(self.starts[high])
        return Buckets(self.low + low, self.starts[low : high + 1] - start, self.keys[start:end])

    def sort(self) -> None:
        """Sort each bucket, in place."""
        for start, end in pairwise(self.starts.tolist()):
            if end - start > 1:
                self.keys[start:end].sort()


def neighbours(words: Array, word_at: Array) -> Pieces:
    """The pairs of neighbours in texts; ``word_at``: where each document's words begin, and the
    end.  The last word of all is a boundary."""

    def pieces() -> Iterator[Rows]:
        for start in range(0, len(words) - 1, PIECE_ROWS):
            end = min(start + PIECE_ROWS, len(words) - 1)
            yield words[start:end], words[start + 1 : end + 1], documents_of(word_at, start, end)

    return pieces


def documents_of(word_at: Array, start: int, end: int) -> Array:
    """The documents (u16) of the words start .. end."""
    within = np.array([start, end], word_at.dtype)  # of another kind, all would be converted
    low, high = word_at.searchsorted(within, side="right").tolist()
    starts = word_at[low - 1 : high].astype(np.int64)
    starts[:1] = start
    return np.repeat(np.arange(low - 1, high).astype(np.uint16), sizes_of(starts, end))


def by_first(pieces: Pieces, size: int, ends: Array | None = None) -> Iterator[Buckets]:
    """The rows whose first is not 0, by rising ranges of the first with about ``RANGE_ROWS`` rows
    each (or one first, or what no range may divide).  The next range takes the memory of the one
    before.

    Args:
        size: one more than the largest first.
        ends: the firsts at which a range may end, rising, the last ``size``; every one if None.
    """
    totals = np.zeros(size, np.int64)
    for firsts, _, _ in pieces():
        totals += np.bincount(firsts, minlength=size)
    totals[:1] = 0
    rows = np.concatenate([[0], np.cumsum(totals)])  # before each first
    ranges = list(_ranges(rows, np.arange(1, size + 1) if ends is None else ends))
    keys = np.empty(max((rows[high] - rows[low] for low, high in ranges), default=0), np.uint32)
    for low, high in ranges:
        starts = rows[low : high + 1] - rows[low]
        buckets = Buckets(low, starts, keys[: starts[-1]])
        _lay(pieces(), buckets)
        yield buckets


def _ranges(rows: Array, ends: Array) -> Iterator[tuple[int, int]]:
    """Half-open ranges of firsts; ``rows``: how many rows are before each first."""
    low, size = 1, len(rows) - 1
    while low < size:
        most = int(rows.searchsorted(rows[low] + RANGE_ROWS, side="right")) - 1
        at = int(ends.searchsorted(min(most, low + _RANGE_FIRSTS), side="right")) - 1
        high = int(ends[at]) if at >= 0 and ends[at] > low else int(ends[at + 1])
        yield low, high
        low = high


def _lay(pieces: Iterable[Rows], buckets: Buckets) -> None:
    low, keys, free = buckets.low, buckets.keys, buckets.starts[:-1].copy()
    bits, number = np.uint32(_PIECE_BITS), np.uint32((1 << _PIECE_BITS) - 1)
    for firsts, seconds, documents in pieces:
        inside = firsts - np.uint16(low)
        at = np.flatnonzero(inside < len(free))
        order = inside.take(at).astype(np.uint32)
        order <<= bits
        order |= np.arange(len(at), dtype=np.uint32)
        order.sort()
        key = seconds.take(at).astype(np.uint32)
        key <<= np.uint32(16)
        key |= documents.take(at)
        key = key.take(order & number)
        order >>= bits
        runs = np.flatnonzero(turns(order))
        sizes = sizes_of(runs, len(order))
        first = order.take(runs)
        place = np.repeat(free.take(first) - runs, sizes)
        place += np.arange(len(order))
        keys[place] = key
        free[first] += sizes
