"""Known-item queries, drawn afresh from a seed.

Each case says what was meant, so that an answer can be judged without asking an engine.  Words are
taken from the text; readings come from pypinyin's phrases and spellings from OpenCC, character by
character; wrong characters from confusion sets that the engine does not use.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from opencc import OpenCC
from pypinyin.constants import PHRASES_DICT

from benchmarks.shard.answers import Case
from benchmarks.shard.corpus import Section
from benchmarks.shard.folding import Folding, spelled

EXACT_LENGTHS = (1, 2, 3, 4, 8)
POOLED = (  # the kinds that the bars of exact queries are about
    "and of three",
    *(f"exact {n} {how}" for n in (1, 2, 4, 8) for how in ("frequent", "rare")),
)
NEAR_LENGTHS = range(2, 9)
DICTIONARY_LENGTHS = (2, 3, 4)  # short wrong words are words, as people type them
_CJK_FIRST = 0x3400
_TRIES = 400  # draws for each case before a class is left smaller
# Old names and the cities they became; written by us from common knowledge of the region.
OLD_PLACES = (
    ("姑苏", "苏州"),
    ("平江", "苏州"),
    ("吴郡", "苏州"),
    ("金陵", "南京"),
    ("建康", "南京"),
    ("江宁府", "南京"),
    ("广陵", "扬州"),
    ("江都", "扬州"),
    ("京口", "镇江"),
    ("毗陵", "常州"),
    ("彭城", "徐州"),
    ("海州", "连云港"),
)
_ERAS = (
    ("康熙", 1661, 61),
    ("雍正", 1722, 13),
    ("乾隆", 1735, 60),
    ("順治", 1643, 18),
    ("嘉靖", 1521, 45),
    ("萬曆", 1572, 48),
    ("洪武", 1367, 31),
    ("成化", 1464, 23),
)
_DIGITS = "〇一二三四五六七八九"


@dataclass(slots=True)
class QueryMaker:
    sections: Sequence[Section]
    seed: int
    folding: Folding
    confusions: Path
    draw: random.Random = field(init=False)
    _points: NDArray[np.uint32] = field(init=False)
    _whole: NDArray[np.int64] = field(init=False)  # good characters before each position
    _folded: str = field(init=False)  # position by position as _points
    _read: str = field(init=False)  # what matching sees of the text, sections apart

    def __post_init__(self) -> None:
        self.draw = random.Random(self.seed)
        joined = "\n".join(section.text for section in self.sections)
        self._points = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype="<u4")
        distinct = np.flatnonzero(np.bincount(self._points))
        good = np.zeros(int(distinct[-1]) + 1, dtype=bool)
        good[[p for p in distinct.tolist() if p >= _CJK_FIRST and chr(p).isalpha()]] = True
        self._whole = np.concatenate([[0], np.cumsum(good[self._points])])
        self._folded = self.folding.fold(joined)
        self._read = "\0".join(self.folding.read(section.text) for section in self.sections)

    def make(self, count: int) -> list[Case]:
        """``count`` cases of each kind (fewer where the text does not have them), shuffled."""
        kinds: list[Iterator[Case]] = [self._and_of_three()]
        kinds += [self._frequent(length) for length in EXACT_LENGTHS]
        kinds += [self._rare(length, count) for length in EXACT_LENGTHS]
        kinds += [self._near(by) for by in ("sound", "shape")]
        kinds += [self._titles("title pinyin"), self._titles("title initials"), self._spoken()]
        kinds += [self._variants("t2s"), self._variants("s2t"), self._years()]
        cases = [case for kind in kinds for case, _ in zip(kind, range(count), strict=False)]
        cases += list(self._places())
        self.draw.shuffle(cases)
        return cases

    def _word(self, length: int, *, dictionary: bool = False) -> str:
        """Characters that stand together somewhere, every place as likely; of a dictionary's words
        only, if that is wanted."""
        while True:
            at = self.draw.randrange(len(self._points) - length)
            whole = self._whole[at + length] - self._whole[at] == length
            if whole and (not dictionary or self._folded[at : at + length] in PHRASES_DICT):
                return self._text(at, length)

    def _stands(self, typed: str) -> bool:
        return self.folding.fold(typed) in self._read

    def _text(self, at: int, length: int) -> str:
        return self._points[at : at + length].tobytes().decode("utf-32-le")

    def _frequent(self, length: int) -> Iterator[Case]:
        seen: set[str] = set()
        for _ in range(_TRIES * length):
            word = self._word(length)
            if word not in seen:
                seen.add(word)
                yield Case(f"exact {length} frequent", "words", word, (word,))

    def _rare(self, length: int, count: int) -> Iterator[Case]:
        """Every distinct string as likely: those whose hash is smallest, each once."""
        starts = np.flatnonzero(self._whole[length:] - self._whole[:-length] == length)
        hashes = np.zeros(len(starts), dtype=np.uint64)
        for at in range(length):
            hashes = hashes * np.uint64(0x9E3779B97F4A7C15) + self._points[starts + at]
            hashes ^= hashes >> np.uint64(29)
        hashes = (hashes + np.uint64(self.seed)) * np.uint64(0xBF58476D1CE4E5B9)
        share = 1e-6
        while True:
            low = np.flatnonzero(hashes < np.uint64(min(share, 0.999) * 2**64))
            _, first = np.unique(hashes[low], return_index=True)
            if len(first) >= count or share > 1:
                break
            share *= 2
        words = [self._text(int(starts[low[at]]), length) for at in first]
        for word in self.draw.sample(words, min(count, len(words))):
            yield Case(f"exact {length} rare", "words", word, (word,))

    def _and_of_three(self) -> Iterator[Case]:
        for _ in range(_TRIES):
            text = self.draw.choice(self.sections).text
            places = [at for at in range(len(text) - 1) if _is_word(text[at : at + 2])]
            if len(places) > 3:
                words = tuple(text[at : at + 2] for at in self.draw.sample(places, 3))
                yield Case("and of three", "words", " ".join(words), words)

    def _near(self, by: str) -> Iterator[Case]:
        others = read_confusions(self.confusions, by)
        if not others:
            print(f"NO confusion sets in {self.confusions}: no wrong characters by {by}")
            return
        for number in range(_TRIES):
            length = NEAR_LENGTHS[number % len(NEAR_LENGTHS)]
            right = typed = ""
            while not typed or self._stands(typed):
                right = self._word(length, dictionary=length in DICTIONARY_LENGTHS)
                at = self.draw.randrange(length)
                wrong = others.get(right[at]) or others.get(self.folding.fold(right[at]))
                typed = right[:at] + self.draw.choice(wrong) + right[at + 1 :] if wrong else ""
            yield Case(f"wrong by {by}", "near", typed, (right,), size=length)

    def _titles(self, kind: str) -> Iterator[Case]:
        titles = sorted({section.title for section in self.sections})
        self.draw.shuffle(titles)
        for title in titles:
            if not 3 <= len(title) <= 12 or not _is_word(title):
                continue
            syllables = tuple(spelled(title))
            if kind == "title initials":
                typed = "".join(syllable[0] for syllable in syllables)
            else:
                typed = self.draw.choice(["", " "]).join(syllables)
            yield Case(kind, kind, typed, (title,), syllables, len(title))

    def _spoken(self) -> Iterator[Case]:
        while True:
            word = self._word(self.draw.choice([2, 3, 4]))
            syllables = tuple(spelled(word))
            if all(syllable.isascii() for syllable in syllables):
                yield Case("pinyin on text", "pinyin", " ".join(syllables), (word,), syllables)

    def _variants(self, way: str) -> Iterator[Case]:
        convert, fold = OpenCC(way).convert, self.folding.fold
        for _ in range(_TRIES * 50):
            word = self._word(self.draw.choice([2, 3, 4]))
            typed = "".join(map(convert, word))
            if typed != word and len(typed) == len(word) and fold(typed) == fold(word):
                yield Case(f"variants {way}", "folded", typed, (word,))

    def _places(self) -> Iterator[Case]:
        for old, new in OLD_PLACES:
            if self._stands(new):
                yield Case("old place", "rules", old, (new,))

    def _years(self) -> Iterator[Case]:
        """The Western year, for a reign year that the text has."""
        eras = [(era, start, n) for era, start, last in _ERAS for n in range(2, last + 1)]
        self.draw.shuffle(eras)
        for era, start, year in eras:
            written = f"{era}{chinese_number(year)}年"
            if self._stands(written):
                yield Case("reign year", "rules", f"{start + year}年", (written,))


def chinese_number(number: int) -> str:
    """1 to 99 in Chinese."""
    tens, ones = divmod(number, 10)
    return (_DIGITS[tens] if tens > 1 else "") + "十" * (tens > 0) + _DIGITS[ones] * (ones > 0)


def read_confusions(folder: Path, by: str) -> dict[str, str]:
    """Character → characters it is mistaken for; empty where the data is absent."""
    file = folder / ("same_pinyin.txt" if by == "sound" else "same_stroke.txt")
    if not file.is_file():
        return {}
    lines = file.read_text("utf-8").splitlines()
    rows = (line.split("\t") for line in lines if line and not line.startswith("#"))
    return {row[0]: "".join(row[1:]) for row in rows if len(row[0]) == 1 and "".join(row[1:])}


def _is_word(text: str) -> bool:
    return text.isalpha() and all(ord(character) >= _CJK_FIRST for character in text)
