"""How are the hits of an answer arranged for a reader?  By work, by edition, by facet; and the
filters that a query has typed into it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import opencc

from node.office.answers import FacetCount, Hit
from search_shard.facets import region_nodes

# What a title may carry beside the name of the work.
_BRACKETED: Final = re.compile(r"[(〔\[【〈][^)〕\]】〉]*[)〕\]】〉]")
_YEARS: Final = re.compile(r"\d{3,4}\s*([-~—–～至]+\s*\d{2,4})?\s*年?")
_NUMERAL: Final = r"[一二三四五六七八九十百\d]"
_VOLUME: Final = re.compile(rf"(第{_NUMERAL}+|[卷上中下])[卷册编辑部]?{_NUMERAL}*$")
_EDITION: Final = re.compile(r"(点校|影印|校注|标点|刻|抄|稿|整理|增订|修订|第.{1,3})[本版]$")
_DECADE: Final = 10
_FAR: Final = 10**4  # where an open end lies
_BY_YEARS: Final = frozenset(("span", "published"))
_ELEMENTS: Final = ("edition", "volume", "published", "responsible", "compiler")


def reasons_of(hit: Hit) -> list[tuple[str, str]]:
    """(rule, what was found) of each word, for words on why a hit matched."""
    return [(reason.rule, reason.found) for reason in hit.reasons]


@dataclass(frozen=True, slots=True)
class Book:
    """The hits of one item, in their order."""

    item: str
    hits: tuple[Hit, ...]


@dataclass(frozen=True, slots=True)
class Edition:
    """One item of a work: what tells it from the others, by element of its record."""

    item: str
    title: str
    marks: tuple[tuple[str, str], ...]
    hits: tuple[Hit, ...]


@dataclass(frozen=True, slots=True)
class Work:
    """The editions of one title, side by side."""

    title: str
    editions: tuple[Edition, ...]


def by_item(hits: Iterable[Hit]) -> tuple[Book, ...]:
    """The hits of each item together, items in the order of their best hit."""
    books: dict[str, list[Hit]] = {}
    for hit in hits:
        books.setdefault(hit.item, []).append(hit)
    return tuple(Book(item, tuple(found)) for item, found in books.items())


def by_work(hits: Iterable[Hit], records: Mapping[str, Mapping[str, str]]) -> tuple[Work, ...]:
    """The items of one work side by side, works in the order of their best hit.

    ``records``: of each item, as far as this node has it.
    """
    works: dict[str, list[Edition]] = {}
    for book in by_item(hits):
        record = records.get(book.item, {})
        title = book.hits[0].title
        marks = tuple((name, record[name]) for name in _ELEMENTS if record.get(name))
        works.setdefault(work_title(title) or book.item, []).append(
            Edition(book.item, title, marks, book.hits)
        )
    return tuple(Work(title, tuple(editions)) for title, editions in works.items())


def work_title(title: str) -> str:
    """A title without what tells editions apart: simplified, and less brackets, years, the number
    of the volume, the manner of the print."""
    name = _simplified().convert(unicodedata.normalize("NFKC", title))
    name = _YEARS.sub("", _BRACKETED.sub("", name))
    name = "".join(sign for sign in name if unicodedata.category(sign)[0] in "LN")
    before = ""
    while name != before:
        before, name = name, _EDITION.sub("", _VOLUME.sub("", name)) or name
    return name


Above = Callable[[str, Collection[str]], str]  # a value and all that count, to the wider one or ""


@cache
def _simplified() -> opencc.OpenCC:
    return opencc.OpenCC("t2s")


@dataclass(frozen=True, slots=True)
class FacetValue:
    """One value of a facet, with those below it (regions: the counties of a city)."""

    value: str
    count: int
    below: tuple[FacetValue, ...] = ()

    @property
    def size(self) -> int:
        """How many values this is, with all below it."""
        return 1 + sum(one.size for one in self.below)


def facet_values(counts: Sequence[FacetCount]) -> dict[str, tuple[FacetValue, ...]]:
    """The values of every facet in the order they come, years in their own; regions and years as
    a tree."""
    fields: dict[str, dict[str, int]] = {}
    for each in counts:
        fields.setdefault(each.field, {})[each.value] = each.count
    for field in _BY_YEARS & fields.keys():
        fields[field] = dict(sorted(fields[field].items(), key=lambda row: _years(row[0])))
    return {field: _tree(found, _above(field)) for field, found in fields.items()}


def _tree(counts: Mapping[str, int], above: Above) -> tuple[FacetValue, ...]:
    """Each value below the one it belongs to, if that counts too."""
    below: dict[str, list[str]] = {}
    for value in counts:
        below.setdefault(above(value, counts), []).append(value)

    def grown(parent: str) -> tuple[FacetValue, ...]:
        return tuple(
            FacetValue(value, counts[value], grown(value)) for value in below.get(parent, ())
        )

    return grown("")


def _region_above(code: str, counts: Collection[str]) -> str:
    """The city or province (GB/T 2260) that a region is in."""
    wider = (node for node in reversed(region_nodes(code)[:-1]) if node in counts)
    return next(wider, "")


def _years_above(value: str, counts: Collection[str]) -> str:
    """The decade of a year, the period in which a decade ends."""
    low, high = _years(value)
    wider = sorted(
        (last - first, other)
        for other in counts
        for first, last in [_years(other)]
        if first <= high <= last and last - first > high - low
    )
    return wider[0][1] if wider and high - low < _DECADE else ""


def _years(value: str) -> tuple[int, int]:
    """Years as docs/spec/catalogue.md writes them."""
    first, dots, last = value.replace("-", "..").partition("..")
    low = int(first or -_FAR)
    return low, int(last or _FAR) if dots else low


def _above(field: str) -> Above:
    if field == "place":
        return _region_above
    return _years_above if field in _BY_YEARS else lambda _value, _counts: ""
