"""The words of the demonstration chronicles: ``vocabulary.toml`` filled in by a seed."""

from __future__ import annotations

import string
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from random import Random
from typing import Any, Final

import opencc
from pypinyin import lazy_pinyin

from configs.offices import OfficeRow

QUOTED: Final = "旧志辑录"  # the chapter whose quotations are in traditional characters
_SUFFIXES: Final = "省市县区"
_DIGITS: Final = "〇一二三四五六七八九"
_SURNAMES: Final = (
    "王李张刘陈杨黄赵周吴徐孙朱马胡郭林何高梁郑谢唐许冯曹彭吕苏蒋贾丁魏薛叶余潘戴夏钟汪田范方石"
)
_GIVEN: Final = "文德明光宗志国学道世永长春林泉思孝廷元之秉仁敬士彦若海清云鹤鸣瑞芝兰桂柏"
_REIGNS: Final = (
    ("明洪武", 1368, 31),
    ("明永乐", 1403, 22),
    ("明成化", 1465, 23),
    ("明嘉靖", 1522, 45),
    ("明万历", 1573, 48),
    ("清康熙", 1662, 61),
    ("清雍正", 1723, 13),
    ("清乾隆", 1736, 60),
    ("清嘉庆", 1796, 25),
    ("清道光", 1821, 30),
    ("清同治", 1862, 13),
    ("清光绪", 1875, 34),
    ("民国", 1912, 37),
)


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words on one known page of one chronicle, and ways in which people ask for them."""

    phrase: str
    traditional: str
    typo: str  # one character replaced by another of the same sound
    pinyin: str  # syllables separated by spaces
    page: int  # from 1


@dataclass(frozen=True, slots=True)
class Page:
    chapter: str
    paragraphs: tuple[str, ...]


class Writer:
    """Writes about one office; the same ``random`` in the same state writes the same."""

    def __init__(self, row: OfficeRow, random: Random) -> None:
        self._random = random
        self._short = short_name(row.name)
        self._syllables = row.pinyin.split()[: len(self._short)]
        self._fixed = {"name": row.name, "short": self._short}
        self._words: dict[str, list[str]] = _vocabulary()["words"]

    def title(self, kind: str) -> str:
        template: str = _vocabulary()["titles"][kind]
        return template.format(**self._fixed, edition=self._random.randint(1998, 2025))

    def pages(self, count: int) -> tuple[list[Page], tuple[Phrase, ...]]:
        """``count`` pages in the order of the chapters, and the phrases planted on them."""
        chapters: dict[str, list[str]] = _vocabulary()["chapters"]
        names = list(chapters)
        pages = [
            self._page(chapter, chapters[chapter])
            for chapter in (names[number * len(names) // count] for number in range(count))
        ]
        plants: dict[str, str] = _vocabulary()["plants"]
        places = self._random.sample(range(count), len(plants))
        things = self._random.sample(self._words["thing"], len(plants))
        phrases = []
        for place, thing, plant in zip(places, things, plants.values(), strict=True):
            phrase = self._phrase(thing, place + 1)
            # At the start of a paragraph, so that no line end falls into it.
            sentence = self._fill(plant, phrase=phrase.phrase)
            pages[place] = Page(pages[place].chapter, (sentence, *pages[place].paragraphs[1:]))
            phrases.append(phrase)
        return pages, tuple(phrases)

    def _page(self, chapter: str, templates: list[str]) -> Page:
        paragraphs = []
        for _ in range(self._random.randint(3, 5)):
            chosen = self._random.sample(templates, min(len(templates), self._random.randint(3, 5)))
            text = "".join(self._fill(template) for template in chosen)
            paragraphs.append(_traditional().convert(text) if chapter == QUOTED else text)
        return Page(chapter, tuple(paragraphs))

    def _fill(self, template: str, **given: str) -> str:
        parts = []
        for literal, slot, _, _ in string.Formatter().parse(template):
            parts.append(literal)
            if slot is not None:
                parts.append(given[slot] if slot in given else self._slot(slot))
        return "".join(parts)

    def _slot(self, slot: str) -> str:
        random = self._random
        if slot in self._fixed:
            return self._fixed[slot]
        if slot == "reign":
            name, first, years = random.choice(_REIGNS)
            number = random.randint(1, years)
            return f"{name}{reign_year(number)}（{first + number - 1}）"
        if slot == "year":
            return f"{random.randint(1951, 2020)}年"
        if slot == "number":
            return numeral(random.randint(2, 99))
        if slot == "person":
            return random.choice(_SURNAMES) + "".join(random.sample(_GIVEN, random.randint(1, 2)))
        return random.choice(self._words[slot])

    def _phrase(self, thing: str, page: int) -> Phrase:
        parts = (self._random.choice(self._words[part]) for part in ("lucky", "animal", "material"))
        thing = "".join([*parts, thing])
        syllables = lazy_pinyin(thing)
        # A sound that only one common character has cannot be mistyped this way.
        places = [i for i, syllable in enumerate(syllables) if len(homophones()[syllable]) > 1]
        place = self._random.choice(places)
        others = [other for other in homophones()[syllables[place]] if other != thing[place]]
        wrong = thing[:place] + self._random.choice(others) + thing[place + 1 :]
        return Phrase(
            phrase=self._short + thing,
            traditional=_traditional().convert(self._short + thing),
            typo=self._short + wrong,
            pinyin=" ".join([*self._syllables, *syllables]),
            page=page,
        )


def alphabet() -> frozenset[str]:
    """Every character that a chronicle may have, apart from the names of its office."""
    text = files(__package__).joinpath("vocabulary.toml").read_text(encoding="utf-8")
    text += _DIGITS + _SURNAMES + _GIVEN + "".join(name for name, _, _ in _REIGNS)
    ours = text + "十元年（）" + string.printable
    return frozenset(
        character for character in ours + _traditional().convert(ours) if character.isprintable()
    )


def short_name(name: str) -> str:
    """沭阳 for 沭阳县; a name of two characters stays."""
    return name[:-1] if len(name) > 2 and name[-1] in _SUFFIXES else name


def reign_year(number: int) -> str:
    return "元年" if number == 1 else f"{numeral(number)}年"


def numeral(number: int) -> str:
    """二十三 for 23 (1 to 99)."""
    tens, ones = divmod(number, 10)
    head = "" if tens == 0 else "十" if tens == 1 else f"{_DIGITS[tens]}十"
    return head + (_DIGITS[ones] if ones else "")


@cache
def _vocabulary() -> dict[str, Any]:
    text = files(__package__).joinpath("vocabulary.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


@cache
def _traditional() -> Any:
    return opencc.OpenCC("s2t")


@cache
def homophones() -> dict[str, list[str]]:
    """Common characters (the first plane of GB 2312) by syllable without tone."""
    sounds: dict[str, list[str]] = {}
    for character in _common_characters():
        sounds.setdefault(lazy_pinyin(character)[0], []).append(character)
    return sounds


def _common_characters() -> Iterator[str]:
    for row in range(0xB0, 0xD8):
        for cell in range(0xA1, 0xFA if row == 0xD7 else 0xFF):
            yield bytes([row, cell]).decode("gb2312")
