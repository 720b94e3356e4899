"""Toneless syllables: how characters are read, and how typed Latin letters split into syllables."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection

# How Jiangsu reads its own names, where dictionaries of single characters may not say so.
LOCAL_READINGS = {
    "六合": "lu he",
    "盱眙": "xu yi",
    "甪直": "lu zhi",
    "浒墅关": "xu shu guan",
    "栟茶": "ben cha",
    "邗江": "han jiang",
    "邳州": "pi zhou",
    "睢宁": "sui ning",
    "涟水": "lian shui",
    "溧阳": "li yang",
    "沭阳": "shu yang",
    "滆湖": "ge hu",
    "洮湖": "tao hu",
    "堽城": "gang cheng",
    "氾水": "fan shui",
    "郯城": "tan cheng",
    "茅山": "mao shan",
    "角里": "lu li",
}

_SEGMENTATIONS_MAX = 8
_SYLLABLE_LETTERS_MAX = 6


def toneless(reading: str) -> str:
    """``zhòng`` → ``zhong``, ``nǚ`` → ``nv``; letters only."""
    letters = []
    for letter in unicodedata.normalize("NFC", reading.lower()):
        plain = unicodedata.normalize("NFD", letter)
        letters.append("v" if plain.startswith("u\u0308") else plain[0])
    return "".join(letter for letter in letters if "a" <= letter <= "z")


def local_readings() -> dict[str, set[str]]:
    """Character → the syllables that names of this region give it."""
    readings: dict[str, set[str]] = {}
    for name, spelled in LOCAL_READINGS.items():
        for character, syllable in zip(name, spelled.split(), strict=True):
            readings.setdefault(character, set()).add(syllable)
    return readings


def split_syllables(letters: str, syllables: Collection[str]) -> tuple[tuple[str, ...], ...]:
    """The ways to read ``letters`` as syllables, fewest syllables first (xian: xian, xi an).

    At most eight, whatever the input; none when the letters cannot be read to their end.
    """
    if not letters:
        return ()
    ways: list[list[tuple[str, ...]]] = [[] for _ in letters] + [[()]]  # from here to the end
    for start in range(len(letters) - 1, -1, -1):
        ends = range(start + 1, min(start + _SYLLABLE_LETTERS_MAX, len(letters)) + 1)
        found = [
            (letters[start:end], *way)
            for end in ends
            if letters[start:end] in syllables
            for way in ways[end]
        ]
        ways[start] = sorted(found, key=lambda way: (len(way), way))[:_SEGMENTATIONS_MAX]
    return tuple(ways[0])
