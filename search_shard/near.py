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
from search_shard.match import Deadline, Late
from search_shard.postings import may_have
from search_shard.segment import Segment
from search_shard.trace import Trace

_WORDS_MAX: Final = 200  # corrections that are looked for


def corrections(
    segment: Segment, phrase: Phrase, late: Deadline, trace: Trace
) -> Iterator[tuple[str, list[int]]]:
    """(rule, codes) of words with one other character that may stand here: by sound, then by shape.

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
    alike = {
        rule: [(at, others(segment, text[at])) for at in wrong]
        for rule, others in (("sound", sounding), ("shape", looking))
        if rule in phrase.near
    }
    if late():
        raise Late
    seen: set[tuple[int, int]] = set()
    for rule, tried in alike.items():
        found = [pair for pair in _standing(segment, codes, tried) if pair not in seen]
        seen.update(found)
        trace.step(rule, f"{sum(len(others) for _, others in tried)} characters", len(found))
        for at, other in found[:_WORDS_MAX]:
            yield rule, [*codes[:at], other, *codes[at + 1 :]]


def sounding(segment: Segment, character: str) -> Array:
    """Codes of the characters that share a reading, however rare, with a folded one, rising."""
    if character.isascii():
        return np.empty(0, np.int64)
    tables = segment.tables
    syllables = tables.every_reading(character)
    parts = [
        *(np.arange(low, high) for low, high in map(segment.home_of_syllable, syllables)),
        segment.codes_of("".join(map(tables.sounding, syllables))),
    ]
    return np.unique(np.concatenate(parts))


def looking(segment: Segment, character: str) -> Array:
    """Codes of the characters that look like a folded character, rising."""
    return segment.codes_of(segment.tables.alike_to(character))


def _standing(
    segment: Segment, codes: Sequence[int], tried: Sequence[tuple[int, Array]]
) -> list[tuple[int, int]]:
    """(place, other code) where the other may stand between the neighbours of the place, as far as
    the filter of pairs tells; never what was typed."""
    sizes = [len(others) for _, others in tried]
    places = np.repeat([at for at, _ in tried], sizes)
    if not len(places):
        return []
    others = np.concatenate([others for _, others in tried])
    typed, last = np.array(codes), len(codes) - 1
    stands = others != typed[places]
    left, right = typed[np.maximum(places - 1, 0)], typed[np.minimum(places + 1, last)]
    stands &= (places == 0) | may_have(segment.beside, left, others)
    stands &= (places == last) | may_have(segment.beside, others, right)
    return list(zip(places[stands].tolist(), others[stands].tolist(), strict=True))
