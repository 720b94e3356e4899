"""One wrong character: which other words stand in a segment that differ from a phrase in one place.

The places are tried one by one; a character takes its place only if both its neighbours are found
beside it, so few words are left to look for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from search_shard.blocks import Array
from search_shard.lattice import NEAR_LENGTHS, Phrase
from search_shard.match import Cell, Deadline, Late
from search_shard.postings import Table
from search_shard.segment import Segment
from search_shard.trace import Trace

_WORDS_MAX: Final = 200  # corrections that are looked for


def corrections(
    segment: Segment, phrase: Phrase, late: Deadline, trace: Trace
) -> Iterator[tuple[str, list[Cell]]]:
    """(rule, cells) of words with one other character that may stand here: by sound, then by shape.

    Raises:
        Late: the deadline passed.
    """
    if phrase.sounds or len(phrase.text) not in NEAR_LENGTHS:
        return
    text = phrase.text
    codes = [segment.code(character) for character in text]
    if codes.count(0) > 1:
        return
    wrong = [codes.index(0)] if 0 in codes else range(len(codes))
    given = 0
    seen: set[tuple[int, int]] = set()
    for rule, alike in (("sound", sounding), ("shape", looking)):
        if rule not in phrase.near:
            continue
        tried = [(at, alike(segment, text[at])) for at in wrong]
        if late():
            raise Late
        found = [
            (at, other)
            for at, other in _standing(segment, codes, tried)
            if other != codes[at] and (at, other) not in seen
        ]
        trace.step(rule, f"{sum(len(others) for _, others in tried)} characters", len(found))
        seen.update(found)
        for at, other in found:
            given += 1
            if given > _WORDS_MAX:
                return
            yield rule, [*codes[:at], other, *codes[at + 1 :]]


def sounding(segment: Segment, character: str) -> Array:
    """Codes of the characters that share a reading with a folded character, rising."""
    if character.isascii():
        return np.empty(0, np.int64)
    parts = [
        np.arange(low, high)
        for syllable in segment.tables.readings(character)
        for low, high in segment.codes_of_syllable(syllable)
    ]
    return np.unique(np.concatenate(parts)) if parts else np.empty(0, np.int64)


def looking(segment: Segment, character: str) -> Array:
    """Codes of the characters that look like a folded character, rising."""
    return segment.codes_of(segment.tables.alike_to(character))


def _standing(
    segment: Segment, codes: Sequence[int], tried: Sequence[tuple[int, Array]]
) -> list[tuple[int, int]]:
    """(place, other code) where the other stands between the neighbours of the place."""
    table, last = segment.pairs, len(codes) - 1
    left: list[tuple[int, Array]] = []
    for at, others in tried:
        left.append((at, others if at == 0 else _seconds(table, codes[at - 1], others)))
    places = np.repeat([at for at, _ in left], [len(others) for _, others in left])
    if not len(places):
        return []
    firsts = np.concatenate([others for _, others in left])
    after = np.array([*codes[1:], 0])[places]
    stands = (places == last) | _has(table, firsts, after)
    return list(zip(places[stands].tolist(), firsts[stands].tolist(), strict=True))


def _seconds(table: Table, first: int, others: Array) -> Array:
    """Those of the rising ``others`` that stand after ``first``."""
    low, high = table.first_at[first], table.first_at[first + 1]
    listed = np.frombuffer(table.seconds, np.uint16)[low:high]
    if not len(listed):
        return others[:0]
    at = listed.searchsorted(others.astype(np.uint16))
    at[at == len(listed)] = 0
    found: Array = others[listed[at] == others]
    return found


def _has(table: Table, firsts: Array, seconds: Array) -> Array:
    """Whether each pair is in the table: a search in halves, for all of them at once."""
    first_at = np.frombuffer(table.first_at, np.uint32)
    listed = np.frombuffer(table.seconds, np.uint16)
    low = first_at[firsts].astype(np.int64)
    end = first_at[firsts + 1].astype(np.int64)
    high = end.copy()
    for _ in range(int((high - low).max(initial=0)).bit_length()):
        middle = (low + high) >> 1
        less = listed[np.minimum(middle, len(listed) - 1)] < seconds
        open_ = low < high
        low = np.where(open_ & less, middle + 1, low)
        high = np.where(open_ & ~less, middle, high)
    found: Array = (low < end) & (listed[np.minimum(low, len(listed) - 1)] == seconds)
    return found
