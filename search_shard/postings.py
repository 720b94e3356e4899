"""Which documents have a pair of codes, and how often: one table, built by sorting.

A table is keyed by (first, second), both u16.  Lists of documents stand as u16, or as gaps of one
byte where they are long; the shortest stand in the directory itself.  Specification:
docs/spec/segment.md.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from search_shard.blocks import Array

SORT_PAIRS: Final = 8_000_000  # sorted at a time: 64 MB, so that memory does not follow the text
_CHUNK_ROWS: Final = 1 << 18  # made keys at a time
_SLICE_PAIRS: Final = 1 << 18  # coded at a time
LONG: Final = 128  # lists with more documents than this stand as gaps
SHORT: Final = 24  # documents that are looked at one by one faster than as an array
COUNT_MAX: Final = 255  # how often a pair is in a document, as far as it is counted
_ONE, _TWO, _MANY = 1, 0, 255  # sizes: one document, two (each once), a long list
_OFTEN: Final = 1 << 31  # flag of a list that says how often
_GAP: Final = 255  # a gap byte that adds 255 and names no document
TABLE_KINDS: Final[Mapping[str, str]] = {
    "first_at": "<u4",  # first code → its first pair; one more for the end
    "seconds": "<u2",  # second code of each pair, rising within a first code
    "sizes": "|u1",
    "where": "<u4",
    "lists": "<u2",
}
NOTHING: Final = np.empty(0, np.uint16)


def build_table(firsts: Array, seconds: Array, documents: Array, size: int) -> dict[str, Array]:
    """The table of the pairs ``firsts[i], seconds[i]`` in ``documents[i]`` (u16 arrays of one
    length) whose first code is not 0; ``size`` is one more than the largest first code."""
    parts: dict[str, list[Array]] = {name: [] for name in ("pair", "sizes", "where", "lists")}
    base = 0
    for key in sorted_keys((firsts, seconds, documents), size):
        for piece in slices(key):
            coded = _encode(piece, base)
            base += len(coded["lists"])
            for name, part in coded.items():
                parts[name].append(part)
    pair = np.concatenate([np.empty(0, np.uint32), *parts["pair"]])
    begins = np.arange(size + 1, dtype=np.uint32) << np.uint32(16)
    return {
        "first_at": np.searchsorted(pair, begins),
        "seconds": pair & np.uint32(0xFFFF),
        **{
            name: np.concatenate([np.empty(0, TABLE_KINDS[name]), *parts[name]])
            for name in ("sizes", "where", "lists")
        },
    }


def sorted_keys(columns: Sequence[Array], size: int) -> Iterator[Array]:
    """The rows of u16 ``columns`` whose first is not 0, each as one u64 (first column highest), by
    rising ranges of the first column with about ``SORT_PAIRS`` rows each (or one value).

    ``size`` is one more than the largest first value.
    """
    totals = np.bincount(columns[0], minlength=size)
    totals[0] = 0
    ends = np.cumsum(totals)
    low = 1
    while low < size:
        done = int(ends[low - 1])
        high = max(int(ends.searchsorted(done + SORT_PAIRS, side="right")), low + 1)
        keys = np.empty(int(ends[high - 1]) - done, np.uint64)
        filled = 0
        for start in range(0, len(columns[0]), _CHUNK_ROWS):
            first, *others = (column[start : start + _CHUNK_ROWS] for column in columns)
            at = np.flatnonzero(first - np.uint16(low) < np.uint16(high - low))
            key = first[at].astype(np.uint64)
            for column in others:
                key <<= np.uint64(16)
                key |= column[at]
            keys[filled : filled + len(at)] = key
            filled += len(at)
        low = high
        keys.sort()
        yield keys


def slices(key: Array, shift: int = 16) -> Iterator[Array]:
    """Sorted keys in pieces that a processor's cache holds; keys that are alike but for their
    lowest ``shift`` bits stay together."""
    low, step = np.uint64(shift), np.uint64(1 << shift)
    start = 0
    while start < len(key):
        end = start + _SLICE_PAIRS
        if end < len(key):
            group = key[end] >> low << low
            end = int(key.searchsorted(group))
            if end <= start:
                end = int(key.searchsorted(group + step))
        yield key[start:end]
        start = end


def _encode(key: Array, base: int) -> dict[str, Array]:
    """Directory and lists of sorted ``first << 32 | second << 16 | document``; lists begin at
    ``base``, in units of two bytes."""
    run_at = np.flatnonzero(turns(key))
    counts = np.diff(run_at, append=len(key))
    run = key[run_at]
    documents = run.astype(np.uint16)
    pair = (run >> np.uint64(16)).astype(np.uint32)
    pair_at = np.flatnonzero(turns(pair))
    df = np.diff(pair_at, append=len(run))
    often = np.minimum(counts, COUNT_MAX).astype(np.uint8)
    repeats = np.add.reduceat(counts > 1, pair_at, dtype=np.int64) if len(pair_at) else df
    sizes = df.astype(np.uint8)
    where = np.zeros(len(df), np.uint32)

    one = df == 1
    at = pair_at[one]
    where[one] = documents[at] | often[at].astype(np.uint32) << 16
    two = (df == 2) & (repeats == 0)
    at = pair_at[two]
    where[two] = documents[at] | documents[at + 1].astype(np.uint32) << 16
    sizes[two] = _TWO

    listed = np.flatnonzero(~(one | two))
    long = df[listed] > LONG
    sizes[listed[long]] = _MANY
    rows = rows_of(pair_at[listed], df[listed])  # of the postings that are listed
    size_of = df[listed]
    shown = documents[rows]
    gaps, gap_bytes = _gaps(shown, size_of, long)
    tail = np.where(repeats[listed] > 0, (size_of + 7) // 8 + repeats[listed], 0)
    units = np.where(long, 4 + (gap_bytes + 1) // 2, size_of) + (tail + 1) // 2
    starts = np.cumsum(units) - units
    lists = np.zeros(int(units.sum()), np.uint16)
    raw = lists.view(np.uint8)
    in_short = np.repeat(~long, size_of)
    lists[rows_of(starts[~long], size_of[~long])] = shown[in_short]
    for unit, value in ((0, size_of), (2, gap_bytes)):
        lists[starts[long] + unit] = value[long] & 0xFFFF
        lists[starts[long] + unit + 1] = value[long] >> 16
    raw[rows_of(2 * starts[long] + 8, gap_bytes[long])] = gaps
    tail_at = 2 * (starts + np.where(long, 4 + (gap_bytes + 1) // 2, size_of))
    _write_often(raw, often[rows], size_of, tail_at)
    where[listed] = (starts + base).astype(np.uint32)
    where[listed] |= np.where(repeats[listed] > 0, np.uint32(_OFTEN), np.uint32(0))
    return {"pair": pair[pair_at], "sizes": sizes, "where": where, "lists": lists}


def _gaps(documents: Array, sizes: Array, long: Array) -> tuple[Array, Array]:
    """Gap bytes of the long lists among ``documents``, and how many each list has (0: short)."""
    inside = np.repeat(long, sizes)
    shown = documents[inside].astype(np.int32)
    starts = (np.cumsum(sizes[long]) - sizes[long]).astype(np.int64)
    gap = np.diff(shown, prepend=0)
    gap[starts] = shown[starts]
    width = 1 + gap // _GAP
    ends = np.cumsum(width)
    data = np.full(int(ends[-1]) if len(ends) else 0, _GAP, np.uint8)
    data[ends - 1] = gap % _GAP
    lengths = np.zeros(len(sizes), np.int64)
    if len(starts):
        lengths[long] = np.add.reduceat(width, starts)
    return data, lengths


def _write_often(raw: Array, often: Array, sizes: Array, tail_at: Array) -> None:
    """For every list with a repeat a bit a document (it repeats), then how often those do."""
    at = np.flatnonzero(often > 1)
    if not len(at):
        return
    ends = np.cumsum(sizes)
    of_list = np.searchsorted(ends, at, side="right")
    place = at - (ends - sizes)[of_list]
    byte = tail_at[of_list] + place // 8
    new = np.flatnonzero(turns(byte))
    raw[byte[new]] = np.add.reduceat(np.uint8(128) >> (place % 8).astype(np.uint8), new)
    first = np.flatnonzero(turns(of_list))
    rank = np.arange(len(at)) - np.repeat(first, np.diff(first, append=len(at)))
    raw[tail_at[of_list] + (sizes[of_list] + 7) // 8 + rank] = often[at]


def mapped(table: Array, codes: Array) -> Array:
    """``table[codes]``, in pieces that a processor's cache holds."""
    found = np.empty(len(codes), table.dtype)
    for start in range(0, len(codes), _CHUNK_ROWS):
        end = start + _CHUNK_ROWS
        found[start:end] = table[codes[start:end]]
    return found


def turns(values: Array) -> Array:
    """True where a value differs from the one before, and at the first."""
    turns = np.ones(len(values), bool)
    np.not_equal(values[1:], values[:-1], out=turns[1:])
    return turns


def rows_of(starts: Array, sizes: Array) -> Array:
    """The indices start .. start + size of every run, one after another."""
    ends = np.cumsum(sizes)
    total = int(ends[-1]) if len(ends) else 0
    shift = starts.astype(np.int64) - (ends - sizes)
    indices: Array = np.arange(total, dtype=np.int64) + np.repeat(shift, sizes)
    return indices


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
    """A reader over the blocks that :func:`build_table` made.  Memory views are read where one
    value is needed: they cost a tenth of an array's element."""

    first_at: memoryview
    seconds: memoryview
    sizes: memoryview
    where: memoryview
    lists: memoryview
    raw: memoryview  # the bytes of lists

    @classmethod
    def over(cls, blocks: Mapping[str, memoryview], prefix: str) -> Table:
        one = {name: blocks[f"{prefix}.{name}"] for name in TABLE_KINDS}
        return cls(
            one["first_at"].cast("I"),
            one["seconds"].cast("H"),
            one["sizes"],
            one["where"].cast("I"),
            one["lists"].cast("H"),
            one["lists"],
        )

    def find(self, first: int, second: int) -> int:
        """Number of a pair; -1 if it occurs nowhere."""
        low, high = self.first_at[first], self.first_at[first + 1]
        at = bisect_left(self.seconds, second, low, high)
        return at if at < high and self.seconds[at] == second else -1

    def count(self, pair: int) -> int:
        """How many documents have it."""
        size = self.sizes[pair]
        if size == _MANY:
            at = self.where[pair] & ~_OFTEN
            return self.lists[at] | self.lists[at + 1] << 16
        return size or 2

    def documents(self, pair: int) -> Array:
        """Documents that have it, rising; u16."""
        size, at = self.sizes[pair], self.where[pair]
        if size == _ONE:
            return np.array((at & 0xFFFF,), np.uint16)
        if size == _TWO:
            return np.array((at & 0xFFFF, at >> 16), np.uint16)
        at &= ~_OFTEN
        if size != _MANY:
            return np.frombuffer(self.raw, "<u2", size, 2 * at)
        length = self.lists[at + 2] | self.lists[at + 3] << 16
        gaps = np.frombuffer(self.raw, np.uint8, length, 2 * at + 8)
        ends = gaps.cumsum(dtype=np.uint16)
        documents: Array = ends[gaps != _GAP]
        return documents

    def short(self, pair: int) -> tuple[list[int], list[int]] | None:
        """What :meth:`counted` tells, as lists; None if there are more than ``SHORT`` documents."""
        size, at = self.sizes[pair], self.where[pair]
        if size == _ONE:
            return [at & 0xFFFF], [at >> 16]
        if size == _TWO:
            return [at & 0xFFFF, at >> 16], [1, 1]
        if size > SHORT:
            return None
        often, at = at & _OFTEN, at & ~_OFTEN
        counts = [1] * size
        if often:
            tail = 2 * (at + size)
            bits = int.from_bytes(self.raw[tail : tail + (size + 7) // 8]) >> (-size % 8)
            tail += (size + 7) // 8
            for place in range(size):
                if bits >> (size - 1 - place) & 1:
                    counts[place] = self.raw[tail]
                    tail += 1
        return self.lists[at : at + size].tolist(), counts

    def counted(self, pair: int) -> tuple[Array, Array]:
        """Documents that have it, rising, and how often (up to ``COUNT_MAX``)."""
        size, at = self.sizes[pair], self.where[pair]
        if size == _ONE:
            return np.array((at & 0xFFFF,), np.uint16), np.array((at >> 16,), np.uint16)
        documents = self.documents(pair)
        count = len(documents)
        counts = np.ones(count, np.uint16)
        if size != _TWO and at & _OFTEN:
            at &= ~_OFTEN
            units = count
            if size == _MANY:
                units = 4 + ((self.lists[at + 2] | self.lists[at + 3] << 16) + 1) // 2
            tail = 2 * (at + units)
            bits = np.frombuffer(self.raw, np.uint8, (count + 7) // 8, tail)
            repeated = np.unpackbits(bits, count=count).nonzero()[0]
            counts[repeated] = np.frombuffer(self.raw, np.uint8, len(repeated), tail + len(bits))
        return documents, counts
