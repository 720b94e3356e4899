"""Brute force: where strings stand in a text, by looking at every position of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]
_BETWEEN = "\U0010ffff"  # between two texts; no text has it
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_MARKS = np.uint64(24)  # bits of a hash that are looked up first
_CHUNK = 1 << 22  # positions looked at together
_POINTS = 0x110000


class Scan:
    """Texts end to end.  Strings of one length are looked for together, by 64-bit hashes of every
    position, since a search for each alone would read everything thousands of times."""

    def __init__(self, texts: Sequence[str]) -> None:
        joined = _BETWEEN.join([*texts, ""])
        self.points = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype="<u4")
        self.often = np.bincount(self.points, minlength=_POINTS)
        self.starts = np.cumsum([0, *(len(text) + 1 for text in texts)])

    def texts_with(self, words: Iterable[str]) -> dict[str, Numbers]:
        """The numbers of the texts that have each word."""
        lengths: dict[int, list[str]] = {}
        for word in set(words):
            lengths.setdefault(len(word), []).append(word)
        found: dict[str, Numbers] = {}
        for length, group in lengths.items():
            found |= self._same_length(group, length)
        return found

    def texts_with_gap(self, left: str, right: str) -> Numbers:
        """The numbers of the texts that have ``left``, any one character, and ``right``."""
        parts = ((left, 0), (right, len(left) + 1))
        fixed = [(ord(one), at + shift) for part, shift in parts for at, one in enumerate(part)]
        width = len(left) + 1 + len(right)
        last = len(self.points) - width + 1
        at: Numbers | None = None
        for point, shift in sorted(fixed, key=lambda each: self.often[each[0]]):
            if at is None:
                at = np.flatnonzero(self.points[shift : shift + last] == point)
            else:
                at = at[self.points[at + shift] == point]
        assert at is not None, "something is left beside the gap"
        return self._numbers(at[self.points[at + len(left)] != ord(_BETWEEN)])

    def texts_with_classes(self, classes: Sequence[Collection[str]]) -> Numbers:
        """The numbers of the texts that have one character of each class, one after another."""
        at: Numbers | None = None
        for place, members in enumerate(classes):
            allowed = np.zeros(_POINTS, dtype=bool)
            allowed[[ord(character) for character in members]] = True
            if at is None:
                at = np.flatnonzero(allowed[self.points[: len(self.points) - len(classes) + 1]])
            else:
                at = at[allowed[self.points[at + place]]]
        assert at is not None, "a phrase has a position"
        return self._numbers(at)

    def _same_length(self, words: Sequence[str], length: int) -> dict[str, Numbers]:
        encoded = "".join(words).encode("utf-32-le", "surrogatepass")
        wanted = _hashes(np.frombuffer(encoded, dtype="<u4"), length)[::length]
        order = np.argsort(wanted)
        marked = np.zeros(1 << int(_MARKS), dtype=bool)
        marked[wanted >> (np.uint64(64) - _MARKS)] = True
        which, where = [], []
        for start in range(0, len(self.points) - length + 1, _CHUNK):
            hashes = _hashes(self.points[start : start + _CHUNK + length - 1], length)
            maybe = np.flatnonzero(marked[hashes >> (np.uint64(64) - _MARKS)])
            place = np.searchsorted(wanted, hashes[maybe], sorter=order)
            place = order[np.minimum(place, len(order) - 1)]
            same = wanted[place] == hashes[maybe]
            which.append(place[same])
            where.append(maybe[same] + start)
        numbers, positions = np.concatenate(which), np.concatenate(where)
        grouped = np.argsort(numbers, kind="stable")
        edges = np.searchsorted(numbers[grouped], np.arange(len(words) + 1))
        return {
            word: self._numbers(positions[grouped[edges[at] : edges[at + 1]]])
            for at, word in enumerate(words)
        }

    def _numbers(self, positions: Numbers) -> Numbers:
        return np.unique(np.searchsorted(self.starts, positions, side="right") - 1)


def with_all(words: Sequence[str], found: Mapping[str, Numbers]) -> set[int]:
    """Texts that have every one of ``words``."""
    sets = [set(found[word].tolist()) for word in words]
    return set.intersection(*sets)


def _hashes(points: NDArray[np.uint32], length: int) -> NDArray[np.uint64]:
    """One for each place where ``length`` characters begin."""
    count = len(points) - length + 1
    hashes = np.zeros(count, dtype=np.uint64)
    for at in range(length):
        hashes = hashes * _FACTOR + points[at : at + count]
    hashes ^= hashes >> np.uint64(32)
    return hashes * np.uint64(0xD6E8FEB86659FD93)
