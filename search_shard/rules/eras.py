"""Reign years and cyclical years (年号、干支) to Western years and back.

康熙三十年 = 康熙30年 = 康熙辛未 = 1691.  A cyclical year alone (辛未) is every sixtieth year and is
left as it is.  There is no year 0: -1 is 1 BC.  Specification: docs/spec/rules.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

from search_shard.rules.era_table import ERAS, SPANS
from search_shard.rules.finder import Fold, digest
from search_shard.rules.numerals import parse_number, spellings, write_number
from search_shard.widening import Alternative

STEMS: Final = "甲乙丙丁戊己庚辛壬癸"
BRANCHES: Final = "子丑寅卯辰巳午未申酉戌亥"
READINGS_MAX: Final = 4  # of a date: eras of one name, or of one year

_NAME_CHARS: Final = range(5, 1, -1)
_REGIME_CHARS: Final = range(3, 0, -1)
_NUMBER: Final = "[〇零○一二三四五六七八九十百廿卅卌]+"
_ERA_YEAR: Final = re.compile(
    rf"(?:(?P<year>元|{_NUMBER}|[0-9]{{1,2}})[年载]|(?P<pair>[{STEMS}][{BRANCHES}])年?)"
)
_WESTERN: Final = re.compile(
    r"(?<![0-9])(?:公元)?(?P<bc>前)?"
    r"(?P<digits>[0-9]{4}(?:年|(?![0-9]))|[0-9]{1,3}年|[〇零○一二三四五六七八九]{4}年)"
)
_SIGN: Final = f"[元0-9〇零○一二三四五六七八九十百千廿卅卌两][年载]|[{STEMS}][{BRANCHES}]|[0-9]"
_TRIGGER: Final = re.compile(_SIGN)
_DATE: Final = re.compile(rf"(?:公元)?(?P<bc>前?)(?P<number>[0-9]{{1,4}}|{_NUMBER})年?")
_RANGE: Final = re.compile(r"[-‐–—―~～〜]+")
_WHILE: Final = re.compile("(?:年间|时期|时代|朝代|[朝代间时])$")
_CHINESE: Final = str.maketrans("0123456789", "〇一二三四五六七八九")
_ENTRY: Final = re.compile(r"([^\d@-]+)(-?\d+)(?:-(-?\d+))?(?:@(-?\d+))?")


@dataclass(frozen=True, slots=True)
class Era:
    """One era of one regime; in use from ``first`` to ``last``, its years counted from ``base``."""

    regime: str
    names: tuple[str, ...]  # the usual one first
    folded: tuple[str, ...]
    base: int
    first: int
    last: int

    def unfolded(self, text: str) -> str:
        """``text`` with the name of the era as it is written (乾隆, where folding has 干隆)."""
        if self.folded != self.names:
            for folded, name in zip(self.folded, self.names, strict=True):
                text = text.replace(folded, name)
        return text

    def year(self, number: int) -> int | None:
        """The Western year of year ``number``, if the era was then in use."""
        at = _plus(self.base, number - 1)
        return at if self.first <= at <= self.last else None


@dataclass(frozen=True, slots=True)
class EraYear:
    """One year as an era counts it."""

    era: Era
    year: int  # Western

    @property
    def number(self) -> int:
        return _linear(self.year) - _linear(self.era.base) + 1

    @property
    def name(self) -> str:
        regime, era = self.era.regime, self.era.names[0]
        return f"{'' if regime == era else regime}{era}{_ordinal(self.number)}年"


def cyclical(year: int) -> str:
    """甲子 to 癸亥: 1984 is 甲子."""
    at = _linear(year) - 4
    return STEMS[at % 10] + BRANCHES[at % 12]


def years_of(pair: str, first: int, last: int) -> tuple[int, ...]:
    """The years from ``first`` to ``last`` that a pair of stem and branch names."""
    start, end = _linear(first), _linear(last)
    years = (_historical(at) for at in range(start, end + 1))
    return tuple(year for year in years if cyclical(year) == pair)


class Eras:
    """The rule ``year``, and the calendar of filters."""

    rule: Final = "year"
    sign: Final = _SIGN

    def __init__(self, fold: Fold) -> None:
        self.version = digest(ERAS + SPANS)
        self.eras = tuple(_read_eras(ERAS, fold))
        self._by_name: dict[str, list[Era]] = {}
        self._regimes: dict[str, set[str]] = {}
        for regimes, _ in _lines(ERAS):
            for name in regimes:
                self._regimes.setdefault(fold(name), set()).add(regimes[0])
        for era in self.eras:
            for name in era.folded:
                self._by_name.setdefault(name, []).append(era)
        self._spans = {fold(name): (low, high) for name, low, high, _ in _read_entries(SPANS)}

    def alternatives(self, text: str) -> list[Alternative]:
        """Other spellings of every year of an era, and of every Western year, in a folded word."""
        if _TRIGGER.search(text) is None:
            return []
        found: list[Alternative] = []
        for match in _ERA_YEAR.finditer(text):
            start, readings = self._readings(text, match)
            found += _respelled(text, start, match.end(), readings)
        for match in _WESTERN.finditer(text):
            found += self._named(match)
        return found

    def years(self, text: str) -> tuple[int, int] | None:
        """First and last Western year of a folded date: a year of an era or a Western one, an era,
        a regime (康熙三十年, 1691, 康熙年间, 清), or a range of two (一 and 到 or 至 between).

        A name of several eras (太和) is from the first to the last of them, unless the regime is
        said (唐太和).  0 is an open end.  None when it is no date.
        """
        text = re.sub(r"\s+", "", text)
        whole = self._single(text)
        if whole is not None:
            return whole
        for low, high in _splits(text):
            first = self._single(low) if low else (0, 0)
            last = self._single(high) if high else (0, 0)
            if first and last and (low or high) and (not low or not high or first[0] <= last[1]):
                return first[0], last[1]
        return None

    def _single(self, text: str) -> tuple[int, int] | None:
        if (western := _DATE.fullmatch(text)) is not None:
            year = parse_number(western["number"].lstrip("0"))
            return None if not year else ((-year, -year) if western["bc"] else (year, year))
        span = _WHILE.sub("", text) or text
        for name in (text, span):
            if name in self._spans:
                return self._spans[name]
        eras = self._eras_before(span, len(span), whole=True)[1]
        if eras:
            return min(era.first for era in eras), max(era.last for era in eras)
        dated = text if text.endswith(("年", "载")) else f"{text}年"
        for match in _ERA_YEAR.finditer(dated):
            if match.end() == len(dated):
                start, readings = self._readings(dated, match)
                years = [reading.year for reading in readings]
                return (min(years), max(years)) if years and start == 0 else None
        return None

    def _readings(self, text: str, match: re.Match[str]) -> tuple[int, list[EraYear]]:
        """Where the date that ends with ``match`` begins, and what it may mean, latest first."""
        start, eras = self._eras_before(text, match.start())
        if match["pair"]:
            readings = [
                EraYear(e, y) for e in eras for y in years_of(match["pair"], e.first, e.last)
            ]
        else:
            number = 1 if match["year"] == "元" else parse_number(match["year"]) or 0
            dated = ((era, era.year(number)) for era in eras)
            readings = [EraYear(era, year) for era, year in dated if year is not None and number]
        return start, sorted(readings, key=lambda reading: -reading.year)

    def _eras_before(self, text: str, end: int, *, whole: bool = False) -> tuple[int, list[Era]]:
        """The eras whose name ends at ``end``, of the regime named before it if one is."""
        for size in _NAME_CHARS:
            start = end - size
            eras = self._by_name.get(text[start:end]) if start >= 0 else None
            if not eras:
                continue
            for more in _REGIME_CHARS:
                regimes = self._regimes.get(text[max(start - more, 0) : start], set())
                known = [era for era in eras if era.regime in regimes]
                if known and start >= more:
                    start, eras = start - more, known
                    break
            if not whole or start == 0:
                return start, eras
        return end, []

    def _named(self, match: re.Match[str]) -> Iterator[Alternative]:
        """The eras of a Western year; its other spellings are numbers."""
        year = parse_number(match["digits"].removesuffix("年")) or 0
        year = -year if match["bc"] else year
        eras = [era for era in self.eras if era.first <= year <= era.last]
        readings = [EraYear(era, year) for era in eras[:READINGS_MAX]]
        for form, reading in _in_turn(readings, _forms):
            yield Alternative(Eras.rule, form, match.start(), match.end(), reading.name)


def _respelled(text: str, start: int, end: int, readings: list[EraYear]) -> Iterator[Alternative]:
    def forms(reading: EraYear) -> list[str]:
        western = _western(reading.year)
        first, *others = _forms(reading)
        if reading.year >= 1000:
            others.append(f"{western.translate(_CHINESE)}年")
        ending = "年" if text[end:] or reading.year < 1000 else ""
        return [western + ending, first, *others]

    for form, reading in _in_turn(readings[:READINGS_MAX], forms):
        if form != reading.era.unfolded(text[start:end]):
            note = f"{reading.name}，{_western(reading.year)}年"
            yield Alternative(Eras.rule, form, start, end, note)


def _forms(reading: EraYear) -> list[str]:
    """Spellings of a year of an era, the commonest first."""
    era, number = reading.era, reading.number
    first, *others = era.names
    forms = [f"{first}{_ordinal(number)}年", f"{first}{cyclical(reading.year)}"]
    if number > 1:
        forms.insert(1, f"{first}{number}年")
    forms += [f"{other}{_ordinal(number)}年" for other in others if first not in other]
    if 20 <= number < 50:
        forms.append(f"{first}{spellings(number)[-1]}年")
    return forms


def _in_turn(
    readings: list[EraYear], forms: Callable[[EraYear], list[str]]
) -> Iterator[tuple[str, EraYear]]:
    """The first form of every reading, then the second of every one, ...; each form once."""
    said: set[str] = set()
    for row in zip_longest(*map(forms, readings)):
        for form, reading in zip(row, readings, strict=True):
            if form is not None and form not in said:
                said.add(form)
                yield form, reading


def _ordinal(number: int) -> str:
    return "元" if number == 1 else write_number(number)


def _western(year: int) -> str:
    return str(year) if year > 0 else f"前{-year}"


def _linear(year: int) -> int:
    """Years counted through, 1 BC as 0."""
    return year if year > 0 else year + 1


def _historical(linear: int) -> int:
    return linear if linear > 0 else linear - 1


def _plus(year: int, more: int) -> int:
    return _historical(_linear(year) + more)


def _splits(text: str) -> Iterator[tuple[str, str]]:
    """Ways to read ``text`` as a range: at its dashes, else at a 至 or 到 (which eras have too)."""
    dashes = list(_RANGE.finditer(text))
    for match in dashes or re.finditer("[至到]", text):
        yield text[: match.start()], text[match.end() :]


def _lines(table: str) -> Iterator[tuple[list[str], str]]:
    """(names of the regime, its entries)"""
    names, entries = [""], ""
    for line in table.split("\n"):
        head, bar, rest = line.rpartition("|")
        if bar:
            if entries:
                yield names, entries
            names, entries = head.split(), ""
        entries += f" {rest}"
    yield names, entries


def _read_eras(table: str, fold: Fold) -> Iterator[Era]:
    for names, entries in _lines(table):
        for spelled, first, last, base in _read_entries(entries):
            known = tuple(spelled.split("/"))
            yield Era(names[0], known, tuple(map(fold, known)), base, first, last)


def _read_entries(entries: str) -> Iterator[tuple[str, int, int, int]]:
    for entry in entries.split():
        match = _ENTRY.fullmatch(entry)
        assert match is not None, entry
        first = int(match[2])
        yield match[1], first, int(match[3] or first), int(match[4] or first)
