"""Columns over numbered records: which records have a value, and how many records a value has.

A *facet* counts what a further filter would leave: the count of a value is exactly the total of
the same question with that value as one more filter.  Specification: docs/spec/catalogue.md.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, Self

import numpy as np
from pyroaring import BitMap

from search_shard.blocks import Array

# Periods that years are counted by, both ends included, 0 for an open one; they overlap by the
# years in which two dynasties stood, and a span counts in every period it touches.
PERIODS: Final = (
    (0, 220),  # 汉及以前
    (220, 589),  # 魏晋南北朝
    (581, 960),  # 隋唐五代
    (960, 1279),  # 宋辽金
    (1271, 1368),  # 元
    (1368, 1644),  # 明
    (1644, 1911),  # 清
    (1912, 1949),  # 民国
    (1949, 0),  # 中华人民共和国
)
DECADES: Final = tuple((year, year + 9) for year in range(1900, 2100, 10))
SINGLE_YEARS: Final = tuple((year, year) for year in range(1900, 2100))
YEAR_MIN, YEAR_MAX = -3_000, 3_000
# The fields of a filter that are counted by.
FACETS: Final = ("place", "kind", "span", "rights", "published", "office", "holding")
Range = tuple[int, int]  # years, both included, 0 for an open end


@dataclass(frozen=True, slots=True)
class FacetCount:
    """``count`` pages or records have ``value`` in ``field``, a field of a filter."""

    field: str
    value: str
    count: int


def merge_facets(counted: Iterable[Sequence[FacetCount]]) -> tuple[FacetCount, ...]:
    """The sums of what shards counted, in whatever order they came: fields in the order of
    :data:`FACETS`, most first within a field; other fields are left out."""
    sums: dict[tuple[str, str], int] = {}
    for facets in counted:
        for facet in facets:
            if facet.field not in FACETS:
                continue
            key = facet.field, facet.value
            sums[key] = sums.get(key, 0) + facet.count
    rows = sorted(sums.items(), key=lambda row: (FACETS.index(row[0][0]), -row[1], row[0][1]))
    return tuple(FacetCount(field, value, count) for (field, value), count in rows)


@dataclass(frozen=True, slots=True)
class Texts:
    """The distinct folded texts of an element, and the records that have each."""

    lines: str  # the texts, one a line
    starts: Array  # i64: where each text begins in ``lines``
    at: Array  # i64: where the records of a text begin, and the end
    records: Array  # u32, rising within a text

    @classmethod
    def build(cls, rows: Sequence[Sequence[str]]) -> Self:
        """``rows``: the texts of record 0, 1, 2 …, without line breaks; the empty text is none."""
        numbers: dict[str, int] = {}
        cells = [
            (numbers.setdefault(v, len(numbers)), n) for n, row in enumerate(rows) for v in row
        ]
        pairs = np.array(cells, dtype=np.int64).reshape(-1, 2)
        pairs = pairs[np.argsort(pairs[:, 0], kind="stable")]
        sizes = [len(text) + 1 for text in numbers]
        return cls(
            "\n".join(numbers),
            np.cumsum([0, *sizes], dtype=np.int64)[:-1],
            np.searchsorted(pairs[:, 0], np.arange(len(numbers) + 1)),
            pairs[:, 1].astype(np.uint32),
        )

    def containing(self, part: str) -> BitMap:
        """Records with a text in which ``part``, folded too, stands; an empty one in none."""
        found, places = self.lines.find(part) if part else -1, []
        while found >= 0:
            places.append(found)
            found = self.lines.find(part, found + 1)
        if not places:
            return BitMap()
        hit = np.zeros(len(self.starts), dtype=bool)
        hit[np.searchsorted(self.starts, places, side="right") - 1] = True
        return _set_of(self.records[np.repeat(hit, np.diff(self.at))])


@dataclass(frozen=True, slots=True)
class Sets:
    """The records that have each of a few values: as sets to select by, in a row to count by."""

    values: tuple[str, ...]  # sorted
    maps: tuple[BitMap, ...]
    at: Array  # i64: where the records of each value begin in ``records``
    records: Array  # i64

    @classmethod
    def build(cls, rows: Sequence[Iterable[str]]) -> Self:
        """``rows``: the values of record 0, 1, 2 …"""
        numbers: dict[str, list[int]] = {}
        for number, row in enumerate(rows):
            for value in row:
                numbers.setdefault(value, []).append(number)
        return cls.of({value: BitMap(array("I", found)) for value, found in numbers.items()})

    @classmethod
    def of(cls, maps: Mapping[str, BitMap]) -> Self:
        """``maps``: value → records that have it, at least one."""
        values = tuple(sorted(maps))
        parts = [_numbers_of(maps[value]) for value in values]
        ends = np.cumsum([0, *map(len, parts)], dtype=np.int64)
        joined = np.concatenate(parts) if parts else np.empty(0)
        return cls(values, tuple(maps[v] for v in values), ends[:-1], joined.astype(np.int64))

    def equal(self, value: str) -> BitMap:
        at = bisect_left(self.values, value)
        there = at < len(self.values) and self.values[at] == value
        return self.maps[at].copy() if there else BitMap()

    def beginning(self, prefix: str) -> BitMap:
        low = bisect_left(self.values, prefix)
        high = bisect_left(self.values, prefix + "\U0010ffff")
        return BitMap.union(BitMap(), *self.maps[low:high])

    def counts(self, weights: Array) -> Iterator[tuple[str, int]]:
        """(value, sum of the weights (i64) of the records that have it), sums of 0 left out."""
        if self.values:
            sums = np.add.reduceat(weights[self.records], self.at)
            for place in np.flatnonzero(sums).tolist():
                yield self.values[place], int(sums[place])


@dataclass(frozen=True, slots=True)
class Years:
    """The years of every record, both ends included."""

    lows: Array  # i32; both beyond YEAR_MAX where no year is known
    highs: Array  # i32

    @classmethod
    def build(cls, rows: Sequence[Range | None]) -> Self:
        """``rows``: within YEAR_MIN .. YEAR_MAX, or None where no year is known."""
        unknown = (YEAR_MAX + 1, YEAR_MAX + 1)
        pairs = np.array([row or unknown for row in rows], dtype=np.int32).reshape(-1, 2)
        return cls(np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1]))

    def overlapping(self, low: int, high: int) -> BitMap:
        """Records whose years touch ``low`` .. ``high``, 0 for an open end."""
        low, high = max(low or YEAR_MIN, YEAR_MIN), min(high or YEAR_MAX, YEAR_MAX)
        touched = (self.lows <= high) & (self.highs >= low)
        return _set_of(np.flatnonzero(touched).astype(np.uint32))

    def counts(self, weights: Array, ranges: tuple[Range, ...]) -> Iterator[tuple[str, int]]:
        """(range, sum of the weights (i64) of the records that touch it), sums of 0 left out.

        A record does not touch a range when it begins after it or ends before it, so two running
        sums over the years answer for every range.
        """
        lows, highs = _ends(ranges)
        sums = _before(self.lows, weights, highs + 1) - _before(self.highs, weights, lows)
        for place in np.flatnonzero(sums).tolist():
            yield range_value(*ranges[place]), int(sums[place])


def range_value(low: int, high: int) -> str:
    """How a range of years is written, in a filter too: ``1644-1911``, ``1998``, ``1949..``."""
    if low == high:
        return str(low)
    return f"{low}-{high}" if low and high else f"{low or ''}..{high or ''}"


def region_nodes(code: str) -> tuple[str, ...]:
    """The regions that a GB/T 2260 code stands in, the widest first: province, city, county."""
    nodes = (f"{code[:2]}0000", f"{code[:4]}00", code)
    return tuple(dict.fromkeys(nodes))


@cache
def _ends(ranges: tuple[Range, ...]) -> tuple[Array, Array]:
    lows = np.array([low or YEAR_MIN for low, _ in ranges])
    return lows, np.array([high or YEAR_MAX for _, high in ranges])


def _before(years: Array, weights: Array, ends: Array) -> Array:
    """For each of ``ends`` the sum of the weights whose years are before it."""
    sums = np.bincount(years - YEAR_MIN, weights=weights, minlength=YEAR_MAX - YEAR_MIN + 2)
    sums = np.concatenate([[0], np.cumsum(sums)]).astype(np.int64)
    found: Array = sums[ends - YEAR_MIN]
    return found


def _set_of(numbers: Array) -> BitMap:
    """The set of these u32; the array module is what pyroaring reads without a detour."""
    plain = array("I")
    plain.frombytes(numbers.tobytes())
    return BitMap(plain)


def _numbers_of(records: BitMap) -> Array:
    return np.frombuffer(records.to_array(), dtype=np.uint32)
