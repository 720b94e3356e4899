"""Latin letters as sounds: su zhou, sūzhōu, su1zhou1, xi'an, lü, 苏zhou, and initials (szfz).

Specification: docs/spec/query.md.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from itertools import islice, product
from typing import Final

from search_shard.lattice import SPOKEN
from search_shard.readings import split_syllables

# One character for each position: (text, sounds) of a phrase.
Spelled = tuple[str, tuple[tuple[str, ...], ...]]

# What input methods and passports write for ü.
_OTHERWISE: Final = {"lue": "lve", "nue": "nve", "lyu": "lv", "nyu": "nv"}
_INITIALS: Final = range(2, 13)
_PIECE: Final = re.compile(r"[a-z]+(?:[1-5](?!\d))?|[^a-z]")  # with a tone, not with a year
_HAS_LETTER: Final = re.compile("[a-z]")
_ONE_LETTER: Final = re.compile("[a-z]|[^a-z]")


class Speller:
    """The syllables of the reading tables, and what letters may stand for by them."""

    def __init__(self, syllables: Sequence[str]) -> None:
        known = frozenset(syllables)
        others = {other: own for other, own in _OTHERWISE.items() if own in known - {other}}
        self._own = {syllable: syllable for syllable in known} | others
        starts = {syllable[:size] for syllable in known for size in (1, 2)}
        self._begun = {
            start: tuple(sorted(s for s in known if s.startswith(start)))
            for start in starts
            if len(start) == 1 or start in ("zh", "ch", "sh")
        }
        begin = "".join(start for start in self._begun if len(start) == 1)
        longest_first = sorted(self._begun, key=len, reverse=True)
        self._one_initial = re.compile("|".join((*longest_first, "[^a-z]")))
        self._no_initial = re.compile(f"(?![{begin}])[a-z0-9]")

    def is_syllable(self, typed: str) -> bool:
        """Whether ``typed`` is one syllable, with its tone or without."""
        return not "\u2e80" < typed < "\uff00" and letters(typed).rstrip("12345") in self._own

    def spelled(self, typed: str, fold: Callable[[str], str], most: int) -> list[Spelled]:
        """Ways to read the letters in ``typed`` as whole syllables; none without letters.

        Other characters stay, folded.  The ways with the fewest syllables first, at most ``most``.
        """
        plain = letters(typed)
        if not _HAS_LETTER.search(plain):
            return []
        ways = []
        for piece in _PIECE.findall(plain):
            if "a" <= piece[0] <= "z":
                split = split_syllables(piece.rstrip("12345"), self._own)
                ways.append([_spoken([(self._own[each],) for each in way]) for way in split])
            else:
                ways.append([_written(fold(piece))])
        return [_whole(way) for way in islice(product(*ways), most)]

    def initials(self, typed: str, fold: Callable[[str], str]) -> list[Spelled]:
        """Ways to read each letter in ``typed`` as the beginning of a syllable, zh as one too."""
        plain = letters(typed)
        if not _HAS_LETTER.search(plain) or self._no_initial.search(plain):
            return []
        found = []
        for pattern in (_ONE_LETTER, self._one_initial):
            way = _whole([self._begins(piece, fold) for piece in pattern.findall(plain)])
            if len(way[0]) in _INITIALS and way not in found:
                found.append(way)
        return found

    def _begins(self, piece: str, fold: Callable[[str], str]) -> Spelled:
        if "a" <= piece[0] <= "z":
            return _spoken([self._begun[piece]])
        return _written(fold(piece))


def letters(typed: str) -> str:
    """Lower case, tone marks away, ü and u: as v; other characters stay."""
    if typed.isascii():
        return re.sub("(?<=[ln])u:", "v", typed.lower())
    spelled = unicodedata.normalize("NFC", unicodedata.normalize("NFKC", typed).lower())
    spelled = re.sub("[üǖǘǚǜ]|(?<=[ln])u:", "v", spelled)
    marks = unicodedata.normalize("NFD", spelled)
    bare = "".join(letter for letter in marks if not unicodedata.combining(letter))
    return unicodedata.normalize("NFC", bare)


def _spoken(sounds: Sequence[tuple[str, ...]]) -> Spelled:
    return SPOKEN * len(sounds), tuple(sounds)


def _written(text: str) -> Spelled:
    return text, ((),) * len(text)


def _whole(parts: Sequence[Spelled]) -> Spelled:
    return "".join(text for text, _ in parts), tuple(s for _, sounds in parts for s in sounds)
