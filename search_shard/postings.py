"""Which documents have a pair of codes, and how often: the reading half of a table.

A table is keyed by (first, second), both u16.  Lists of documents stand as u16, or as gaps of one
byte where they are long; the shortest stand in the directory itself.  Specification:
docs/spec/segment.md.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from search_shard.blocks import Array

LONG: Final = 128  # lists with more documents than this stand as gaps
COUNT_MAX: Final = 255  # how often a pair is in a document, as far as it is counted
ONE, TWO, MANY = 1, 0, 255  # sizes: one document, two (each once), a long list
GAP: Final = 255  # a gap byte that adds 255 and names no document
MARKED: Final = 256  # postings between two sums of those that repeat
TABLE_KINDS: Final[Mapping[str, str]] = {
    "first_at": "<u4",  # first code → its first pair; one more for the end
    "seconds": "<u2",  # second code of each pair, rising within a first code
    "sizes": "|u1",
    "where": "<u4",
    "lists": "<u2",  # documents of short lists
    "longs": "<u4",  # of each long list where its gaps begin, and its first posting; and the ends
    "gaps": "|u1",
    "marks": "|u1",  # a bit for each posting of the lists, short ones first: it repeats
    "mark_at": "<u4",  # how many postings repeat before each MARKED
    "counts": "|u1",  # how often those that repeat do
}
NOTHING: Final = np.empty(0, np.uint16)


def pair_filter(*tables: tuple[Array, Array]) -> Array:
    """A bit for every hash of a pair, eight bits a pair: one look tells most pairs that are in none
    of the tables (``first_at`` and ``seconds`` of each)."""
    bits = 1 << max(13, (8 * sum(len(seconds) for _, seconds in tables)).bit_length())
    mask = np.zeros(bits, bool)
    for first_at, seconds in tables:
        firsts = np.repeat(np.arange(len(first_at) - 1, dtype=np.uint32), np.diff(first_at))
        mask[_hashes(firsts, seconds, bits)] = True
    packed: Array = np.packbits(mask, bitorder="little")
    return packed


def may_have(beside: Array, firsts: Array, seconds: Array) -> Array:
    """Whether each pair may be in the table that ``beside`` is the filter of."""
    at = _hashes(firsts, seconds, 8 * len(beside))
    found: Array = beside[at >> 3] >> (at & 7).astype(np.uint8) & 1 > 0
    return found


def _hashes(firsts: Array, seconds: Array, bits: int) -> Array:
    key = firsts.astype(np.uint32) << np.uint32(16) | seconds.astype(np.uint32)
    key *= np.uint32(2_654_435_761)  # Knuth's multiplier: 2^32 by the golden ratio
    key >>= np.uint32(33 - bits.bit_length())
    hashes: Array = key
    return hashes


@dataclass(frozen=True, slots=True)
class Table:
    """A reader over the blocks of a table.  Memory views are read where one value is needed: they
    cost a tenth of an array's element."""

    first_at: memoryview
    seconds: memoryview
    sizes: memoryview
    where: memoryview
    lists: memoryview
    longs: memoryview
    gaps: memoryview
    marks: memoryview
    mark_at: memoryview
    counts: memoryview

    @classmethod
    def over(cls, blocks: Mapping[str, memoryview], prefix: str) -> Table:
        one = {name: blocks[f"{prefix}.{name}"] for name in TABLE_KINDS}
        return cls(
            one["first_at"].cast("I"),
            one["seconds"].cast("H"),
            one["sizes"],
            one["where"].cast("I"),
            one["lists"].cast("H"),
            one["longs"].cast("I"),
            one["gaps"],
            one["marks"],
            one["mark_at"].cast("I"),
            one["counts"],
        )

    def find(self, first: int, second: int) -> int:
        """Number of a pair; -1 if it occurs nowhere."""
        low, high = self.first_at[first], self.first_at[first + 1]
        at = bisect_left(self.seconds, second, low, high)
        return at if at < high and self.seconds[at] == second else -1

    def count(self, pair: int) -> int:
        """How many documents have it."""
        size = self.sizes[pair]
        if size == MANY:
            at = 2 * self.where[pair] + 1
            return self.longs[at + 2] - self.longs[at]
        return size or 2

    def documents(self, pair: int) -> Array:
        """Documents that have it, rising; u16."""
        size, at = self.sizes[pair], self.where[pair]
        if size == ONE:
            return np.array((at & 0xFFFF,), np.uint16)
        if size == TWO:
            return np.array((at & 0xFFFF, at >> 16), np.uint16)
        if size != MANY:
            return np.frombuffer(self.lists, "<u2", size, 2 * at)
        start = self.longs[2 * at]
        gaps = np.frombuffer(self.gaps, np.uint8, self.longs[2 * at + 2] - start, start)
        documents: Array = gaps.cumsum(dtype=np.uint16)
        if len(gaps) != self.count(pair):
            documents = documents[gaps != GAP]
        return documents

    def counted(self, pair: int) -> tuple[Array, Array]:
        """Documents that have it, rising, and how often (up to ``COUNT_MAX``)."""
        size, at = self.sizes[pair], self.where[pair]
        if size == ONE:
            return np.array((at & 0xFFFF,), np.uint16), np.array((at >> 16,), np.uint16)
        documents = self.documents(pair)
        count = len(documents)
        counts = np.ones(count, np.uint16)
        if size != TWO:
            posting = self.longs[2 * at + 1] if size == MANY else at
            low = posting >> 3
            bits = np.frombuffer(self.marks, np.uint8, ((posting + count + 7) >> 3) - low, low)
            shift = posting & 7
            repeated = np.unpackbits(bits, count=shift + count)[shift:].nonzero()[0]
            if len(repeated):
                rank = self._repeats_before(posting)
                counts[repeated] = np.frombuffer(self.counts, np.uint8, len(repeated), rank)
        return documents, counts

    def _repeats_before(self, posting: int) -> int:
        start = posting // MARKED
        marks = int.from_bytes(self.marks[start * MARKED >> 3 : (posting + 7) >> 3])
        return self.mark_at[start] + (marks >> (-posting & 7)).bit_count()
