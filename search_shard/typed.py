"""What is typed into the box while it is typed: characters, pinyin, initials, in any mixture."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

from search_shard.fold import is_skipped
from search_shard.readings import toneless
from search_shard.tables import Tables

SYLLABLE, OPENING, CHARACTER = "syllable", "opening", "character"  # what a unit of letters spells
WHOLE, BRIEF, LATIN = 1, 2, 4  # letters of a whole syllable, its initial alone, no syllable
_TONES: Final = "12345"
_DIGRAPHS: Final = ("zh", "ch", "sh")
_SYLLABLE_LETTERS_MAX: Final = 6


class Unit(NamedTuple):
    """What stands for one character: ``kind`` says whether ``text`` is that folded character, its
    whole syllable, or how its syllable begins."""

    kind: str
    text: str
    end: int  # offset in the line behind it
    letters: int = 0  # one of the three; 0 for a character, and for a last initial


@dataclass(frozen=True, slots=True)
class Typed:
    """``line``: folded characters and the letters a to z, ü as v; without what matching skips.
    ``breaks``: offsets at which a new character must begin, for a space, an apostrophe or a tone
    was typed there."""

    line: str
    breaks: frozenset[int]

    @property
    def has_letters(self) -> bool:
        return any(map(_is_letter, self.line))

    def units(self, offset: int, whole: bool) -> Iterator[Unit]:
        """What may come at ``offset``.  ``whole``: every syllable was typed to its end."""
        first, last = self.line[offset], len(self.line)
        spoken = _is_letter(first)
        yield Unit(CHARACTER, first, offset + 1, LATIN if spoken else 0)
        if not spoken:
            return
        for end in range(offset + 1, min(offset + _SYLLABLE_LETTERS_MAX, last) + 1):
            letters = self.line[offset:end]
            if not _is_letter(letters[-1]) or (end - 1 > offset and end - 1 in self.breaks):
                return
            initial = end == offset + 1 or letters in _DIGRAPHS
            if end == last and not whole:
                yield Unit(OPENING, letters, end, 0 if initial else WHOLE)
                continue
            yield Unit(SYLLABLE, letters, end, WHOLE)
            if initial and not whole:
                yield Unit(OPENING, letters, end, BRIEF)


def read_typed(text: str, tables: Tables) -> Typed:
    """The units of ``text`` may be joined (suzhou), apart (su zhou), toned (sū zhōu, su1 zhou1),
    cut short (su zh, sz) and mixed with characters (苏zhou)."""
    line: list[str] = []
    breaks: set[int] = set()
    composed = unicodedata.normalize("NFC", text)
    for character, following in pairwise(composed + "\n"):
        if unicodedata.category(character).startswith("M"):
            continue  # a tone mark that has no composed form with its vowel
        toned = _is_tone(character, following) and line and _is_letter(line[-1])
        if toned or is_skipped(character):
            breaks.add(len(line))
        else:
            folded = tables.fold(character)
            line.append(toneless(character) or folded if _is_letter(folded) else folded)
    return Typed("".join(line), frozenset(breaks))


def _is_tone(character: str, following: str) -> bool:
    return character in _TONES and not following.isdigit()


def _is_letter(character: str) -> bool:
    return "a" <= character <= "z"
