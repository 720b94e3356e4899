"""Many short texts as one array of codes ordered by sound: what is read alike is one range.

A place is an offset into that array.  The places of each code are kept sorted, so looking for a
character, a syllable or an initial is a slice, and what follows is looked up place by place.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import NamedTuple, Self

import numpy as np

from search_shard.blocks import Array
from search_shard.tables import SYLLABLE_SHIFT, Tables
from search_shard.typed import BRIEF, CHARACTER, LATIN, SYLLABLE, WHOLE, Typed, Unit

END = 0  # the code behind every text; no character has it
_UMLAUTS = {"lue": "lve", "nue": "nve"}  # as people type 略 and 虐
_PURE = (0, WHOLE, BRIEF, LATIN)  # what letters may be within one way
_MIXED_AT_START = (*_PURE, WHOLE | BRIEF)
Ranges = list[tuple[int, int]]  # of codes, half-open


@dataclass(frozen=True, slots=True)
class Places:
    """Places of one code after another: those of code ``c`` are from ``edges[c]`` to the next."""

    places: Array  # int32, rising within each code
    edges: Array  # int32

    def of(self, ranges: Ranges) -> Array:
        parts = [self.places[self.edges[low] : self.edges[high]] for low, high in ranges]
        return np.concatenate(parts) if parts else self.places[:0]

    def count(self, code: int) -> int:
        return int(self.edges[code + 1] - self.edges[code])


class Spoken(NamedTuple):
    """The codes that something typed may stand for."""

    ranges: Ranges
    mask: Array  # bool for every code


@dataclass(frozen=True, slots=True)
class Match:
    """Texts that have what was typed from ``starts`` on, in ``length`` characters."""

    starts: Array  # int32, places
    length: int
    brief: bool  # some syllable was told by its initial alone


@dataclass(frozen=True, slots=True)
class SoundedTexts:
    """``codes`` has every text ended by :data:`END`; ``starts`` where each one begins."""

    tables: Tables
    characters: str  # by code
    code_of: dict[str, int]
    codes: Array
    starts: Array
    number_of: Array  # int32: at every place the number of its text
    everywhere: Places
    beginnings: Places
    keys: Array  # u64: global order of the codes from 1 on
    guests: Array  # u64, sorted: syllable << 32 | code, for readings beyond the home one
    known: dict[tuple[str, str], Spoken] = field(default_factory=dict)  # units that were typed

    @classmethod
    def build(cls, texts: Sequence[str], tables: Tables) -> Self:
        """``texts`` are folded and not empty."""
        points = np.frombuffer(("\0".join(texts) + "\0").encode("utf-32-le"), dtype="<u4")
        points = points if texts else points[:0]
        distinct = np.unique(points[points != END])
        keys = tables.keys(distinct)
        order = np.argsort(keys, kind="stable")
        width = np.min_scalar_type(len(distinct) + 1)
        code_of_point = np.zeros(int(distinct[-1]) + 1 if len(distinct) else 1, dtype=width)
        code_of_point[distinct[order]] = np.arange(1, len(distinct) + 1)
        codes = code_of_point[points]
        ends = np.fromiter(accumulate(len(text) + 1 for text in texts), np.int32, len(texts))
        starts = np.concatenate([[0], ends[:-1]]).astype(np.int32) if texts else ends
        characters = "\0" + "".join(map(chr, distinct[order].tolist()))
        code_of = {character: code for code, character in enumerate(characters) if code}
        inside = np.flatnonzero(codes).astype(np.int32)
        return cls(
            tables,
            characters,
            code_of,
            codes,
            starts,
            np.repeat(np.arange(len(texts), dtype=np.int32), np.diff(starts, append=len(codes))),
            _places(codes, inside, len(characters)),
            _places(codes, starts, len(characters)),
            keys[order],
            _guests(code_of_point, tables),
        )

    def spelled(self, typed: Typed, at_start: bool, whole: bool = False) -> Iterator[Match]:
        """Where texts read as what was typed, at their beginning or anywhere.

        Goes through the line once: what is reached at an offset is a set of places for each number
        of characters read so far, so that all divisions of the letters are followed together.
        Anywhere but at a beginning, letters are all initials or none: the rest would be accidents.
        """
        end = len(typed.line)
        ways, ahead = self._ways(typed, whole)
        reached: list[dict[tuple[int, int], list[Array]]] = [{} for _ in range(end + 1)]
        for offset in range(end):
            arrived = {key: _union(parts) for key, parts in reached[offset].items()}
            for unit, spoken in ways[offset]:
                found = reached[unit.end]
                allowed = _before(unit, ahead[unit.end], at_start)
                if not offset and 0 in allowed:
                    places = (self.beginnings if at_start else self.everywhere).of(spoken.ranges)
                    found.setdefault((1, unit.letters), []).append(places)
                for (length, letters), starts in arrived.items():
                    if letters in allowed:
                        going_on = starts[spoken.mask[self.codes[starts + length]]]
                        if len(going_on):
                            key = (length + 1, letters | unit.letters)
                            found.setdefault(key, []).append(going_on)
        for (length, letters), parts in reached[end].items():
            yield Match(_union(parts), length, bool(letters & BRIEF))

    def _ways(
        self, typed: Typed, whole: bool
    ) -> tuple[list[list[tuple[Unit, Spoken]]], list[set[int]]]:
        """The units at each offset of the line from which its end can be reached, and which
        letters (all those of one way, or-ed) lie ahead of each offset."""
        end = len(typed.line)
        ways: list[list[tuple[Unit, Spoken]]] = [[] for _ in range(end)]
        ahead: list[set[int]] = [set() for _ in range(end)] + [{0}]
        for offset in reversed(range(end)):
            for unit in typed.units(offset, whole):
                spoken = self._spoken(unit) if ahead[unit.end] else None
                if spoken is not None:
                    ways[offset].append((unit, spoken))
                    ahead[offset] |= {unit.letters | later for later in ahead[unit.end]}
        return ways, ahead

    def nearly(self, text: str, at: int) -> Array:
        """Starts of places that have ``text`` but for another character at ``at``."""
        codes = [self.code_of.get(character, END) for character in text]
        others = [index for index in range(len(text)) if index != at]
        if not all(codes[index] for index in others):
            return self.starts[:0]
        rarest = min(others, key=lambda index: self.everywhere.count(codes[index]))
        starts = self.everywhere.of([(codes[rarest], codes[rarest] + 1)]) - rarest
        starts = starts[(starts >= 0) & (starts + len(text) < len(self.codes))]
        for index in others:
            starts = starts[self.codes[starts + index] == codes[index]]
        here = self.codes[starts + at]
        found: Array = starts[(here != END) & (here != codes[at])]
        return found

    def _spoken(self, unit: Unit) -> Spoken | None:
        """What a unit may stand for; None when that is nothing here."""
        known = self.known.get(unit[:2])
        if known is None:
            ranges = self._ranges(unit)
            known = Spoken(ranges, self._mask(ranges)) if ranges else None
            if known is not None and unit.kind != CHARACTER:  # a few hundred, of some kB each
                self.known[unit[:2]] = known
        return known

    def _ranges(self, unit: Unit) -> Ranges:
        if unit.kind == CHARACTER:
            code = self.code_of.get(unit.text)
            return [] if code is None else [(code, code + 1)]
        syllables = self.tables.syllables
        letters = _UMLAUTS.get(unit.text, unit.text)
        low = bisect_left(syllables, letters)
        high = bisect_left(syllables, letters + (" " if unit.kind == SYLLABLE else "{"))
        return self._read_as(low, high) if low < high else []

    def _read_as(self, low: int, high: int) -> Ranges:
        """Codes of characters read as one of the syllables ``low`` to ``high`` (half-open)."""
        bounds = np.array([low, high], dtype=np.uint64)
        first, last = (self.keys.searchsorted(bounds << SYLLABLE_SHIFT) + 1).tolist()
        start, end = self.guests.searchsorted(bounds << np.uint64(32)).tolist()
        codes = set((self.guests[start:end] & np.uint64(0xFFFFFFFF)).tolist())
        guests = [(code, code + 1) for code in sorted(codes) if not first <= code < last]
        return ([(first, last)] if first < last else []) + guests

    def _mask(self, ranges: Ranges) -> Array:
        """Whether each code is in one of ``ranges``."""
        mask = np.zeros(len(self.characters), dtype=bool)
        for low, high in ranges:
            mask[low:high] = True
        return mask

    def alike_in_sound(self, character: str) -> Array:
        """Mask of the codes that may be read as ``character`` is."""
        numbers = map(self.tables.syllable_number, self.tables.every_reading(character))
        return self._mask([r for n in numbers if n is not None for r in self._read_as(n, n + 1)])

    def alike_in_shape(self, character: str) -> Array:
        """Mask of the codes that look like ``character``."""
        codes = map(self.code_of.get, self.tables.alike_to(character))
        return self._mask([(code, code + 1) for code in codes if code is not None])


def _places(codes: Array, places: Array, count: int) -> Places:
    here = codes[places]
    edges = np.concatenate([[0], np.cumsum(np.bincount(here, minlength=count))])
    return Places(places[np.argsort(here, kind="stable")], edges.astype(np.int32))


def _guests(code_of_point: Array, tables: Tables) -> Array:
    """Further readings of the codes, those that only dictionaries know, too: a name may have kept
    one, and there are few names."""
    known = tables.guest_codepoints < len(code_of_point)
    codes = code_of_point[tables.guest_codepoints[known]].astype(np.uint64)
    guests = tables.guest_syllables[known].astype(np.uint64) << np.uint64(32) | codes
    return np.sort(guests[codes != END])


def _before(unit: Unit, ahead: set[int], at_start: bool) -> list[int]:
    """The letters that may have come before ``unit``, so that it is worth to go on by it."""
    mixed = _MIXED_AT_START if at_start else _PURE
    after = {unit.letters | later for later in ahead}
    return [before for before in mixed if any(before | later in mixed for later in after)]


def _union(parts: list[Array]) -> Array:
    return parts[0] if len(parts) == 1 else distinct(np.concatenate(parts))


def distinct(values: Array) -> Array:
    """Each value once, rising.  (``np.unique`` hashes, which is slower here by far.)"""
    ordered = np.sort(values)
    return ordered[np.append(True, ordered[1:] != ordered[:-1])] if len(ordered) else ordered
