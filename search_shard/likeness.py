"""How likely one character was meant by another that was typed: by sound, by shape, by neither.

Half bits, so that they add up with the logarithm of how many pages have the corrected word.  Most
slips both sound and look like what was meant, hence the premium for both.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np

from search_shard.blocks import Array
from search_shard.lattice import Phrase
from search_shard.segment import Segment
from search_shard.tables import Tables

_SOUNDS, _MAY_SOUND = 10, 4  # the same by readings in use; by one that only dictionaries know
_LOOKS: Final = ((10, 8), (40, 4), (1000, 0))  # among so many of the likest
_BOTH: Final = 3
_NEITHER: Final = -14


LIKENESS: Final = range(_NEITHER, max(_SOUNDS, _LOOKS[0][1]) + _BOTH + 1)  # half bits
_OF_PLACE: Final = np.repeat(
    np.array([bits for _, bits in _LOOKS], np.int8), np.diff([0, *(most for most, _ in _LOOKS)])
)


class Likeness:
    """Of other characters to those of one phrase."""

    def __init__(self, tables: Tables, phrase: Phrase) -> None:
        self._tables = tables
        self._text = phrase.text
        self._sound, self._shape = "sound" in phrase.near, "shape" in phrase.near
        self._known: dict[int, tuple[frozenset[str], frozenset[str], str]] = {}

    def of(self, at: int, other: str) -> tuple[str, int]:
        """(which of lattice.NEAR, half bits) for a folded character instead of the one ``at``."""
        if at not in self._known:
            self._known[at] = self._of_typed(self._text[at])
        used, read, alike = self._known[at]
        looks = alike.find(other)
        shape = next(bits for most, bits in _LOOKS if looks < most) if looks >= 0 else None
        if not read.isdisjoint(self._tables.every_reading(other)):
            same = not used.isdisjoint(self._tables.readings(other))
            sound = _SOUNDS if same else _MAY_SOUND
            return "sound", sound if shape is None else max(sound, shape) + _BOTH
        return ("other", _NEITHER) if shape is None else ("shape", shape)

    def _of_typed(self, character: str) -> tuple[frozenset[str], frozenset[str], str]:
        heard = self._sound and not character.isascii()
        return (
            frozenset(self._tables.readings(character) if heard else ()),
            frozenset(self._tables.every_reading(character) if heard else ()),
            self._tables.alike_to(character) if self._shape else "",
        )


# Half-open ranges of codes with half bits; folded characters that may sound so; those that look so,
# likest first.
Alike: TypeAlias = tuple[tuple[tuple[int, int, int], ...], str, str]


def alike_to(segment: Segment, phrase: Phrase, at: int) -> Alike:
    """What sounds or looks like the character at a place of the phrase; a code in several ranges
    has the most half bits of them."""
    character, tables = phrase.text[at], segment.tables
    ranges: list[tuple[int, int, int]] = []
    heard = ""
    if "sound" in phrase.near and not character.isascii():
        used = tables.readings(character)
        for syllable in tables.every_reading(character):
            heard += tables.sounding(syllable)
            if syllable in used:
                read = segment.codes_of_syllable(syllable)
                ranges += ((low, high, _SOUNDS) for low, high in read)
            else:
                ranges.append((*segment.home_of_syllable(syllable), _MAY_SOUND))
    return tuple(ranges), heard, tables.alike_to(character) if "shape" in phrase.near else ""


def alike_codes(segment: Segment, phrase: Phrase, at: int) -> tuple[Array, Array, Array]:
    """All characters of a segment that sound or look like the one at a place of the phrase: codes,
    rising; half bits; whether it is by sound.  As :meth:`Likeness.of` says of each."""
    ranges, may_sound, looking = alike_to(segment, phrase, at)
    none = np.int8(_NEITHER)
    heard = np.full(len(segment.folded), none)
    looks = heard.copy()
    heard[segment.codes_of(may_sound)] = _MAY_SOUND
    for low, high, bits in ranges:
        heard[low:high] = np.maximum(heard[low:high], bits)
    codes, places = segment.places_of(looking)
    looks[codes] = _OF_PLACE[places]
    both = (heard > none) & (looks > none)
    likeness = np.maximum(heard, looks) + both * np.int8(_BOTH)
    codes = np.flatnonzero(likeness > none)
    return codes, likeness[codes].astype(np.int64), heard[codes] > none
