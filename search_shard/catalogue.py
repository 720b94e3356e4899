"""The catalogue of a shard (书目): which of its items a filter keeps, and what they are counted by.

A snapshot of the records of the items that one asker may see, in columns.  It answers filters with
sets of record numbers, facets with exact counts, and lends each record a page, so that the engine
that searches text searches records.  Specification: docs/spec/catalogue.md.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, Self

import numpy as np
from pyroaring import BitMap

from protocol.records import RECORD_ELEMENTS
from search_shard.blocks import Array
from search_shard.facets import (
    DECADES,
    FACETS,
    PERIODS,
    SINGLE_YEARS,
    YEAR_MAX,
    YEAR_MIN,
    FacetCount,
    Sets,
    Texts,
    Years,
    region_nodes,
)
from search_shard.fold import is_skipped
from search_shard.lattice import FIELDS, Filter
from search_shard.layout import Page
from search_shard.tables import Tables
from search_shard.widening import Calendar

KINDS_MAX: Final = 200  # kinds of one catalogue that are counted, the most frequent ones
KIND_CHARS_MAX: Final = 40
# Between the elements of a record in the text that is searched: a symbol that no phrase has, so
# that none reaches over the end of an element.
BREAK: Final = "␟"
_CODE: Final = re.compile(r"[0-9]{2,6}", re.ASCII)
_LIST: Final = re.compile(r"[;；,，、|/\n]")
_RANGE: Final = re.compile(r"[至到~〜～—–－-]+")
# What stands around a date in a record: 上限, 下限, how the book was made.
_AROUND: Final = re.compile(
    "^(?:上限|下限|上起|下迄|起自|止于|约|自|起|迄|止)+"
    "|(?:[重续增补纂编刻刊抄钞影铅石排印修本起止]|活字|出版|发行)+$"
)
_SAYS_NOTHING: Final = re.compile(r"[0-9.]*", re.ASCII)  # a month, a day
_YEAR: Final = re.compile(r"(?<![0-9])[0-9]{3,4}(?![0-9])", re.ASCII)
# Elements whose text a filter of a field looks into.
_LOOKED_INTO: Final[Mapping[str, tuple[str, ...]]] = {
    "title": ("title", "volume"),
    "kind": ("kind",),
    "compiler": ("compiler", "responsible"),
    "published": ("published",),
    "span": ("span",),
    "subject": ("subject", "classification"),
    "edition": ("edition", "publisher", "isbn", "extent"),
    "holding": ("holding",),
    "place": ("place",),
    "office": (),
}
_RECORDED: Final = (*PERIODS, *DECADES)
_PUBLISHED: Final = (*_RECORDED, *SINGLE_YEARS)
_DATED: Final = ("published", "span")


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of one item: its elements (著录) and what its logs say."""

    item: str  # as the index calls it
    office: str  # GB/T 2260
    elements: tuple[tuple[str, str], ...]  # of RECORD_ELEMENTS, with their texts
    rights: str
    places: tuple[str, ...]  # codes of the regions it is about
    holders: tuple[str, ...] = ()  # offices whose logs say that they hold it
    log_index: int = 0  # of the upload in the office's log

    def text(self, *names: str) -> tuple[str, ...]:
        """The texts of these elements, as far as it has them."""
        return tuple(text for name, text in self.elements if name in names and text)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Records in order of item; a record's number is its place in that order."""

    records: tuple[Record, ...]
    numbers: Mapping[str, int]  # item → record number
    texts: Mapping[str, Texts]  # field → its elements' texts and the names of its codes
    codes: Mapping[str, Sets]  # office, place, holding, rights
    years: Mapping[str, Years]  # published, span
    kinds: Sets  # what is counted as a kind
    tables: Tables

    @classmethod
    def build(
        cls,
        records: Iterable[Record],
        tables: Tables,
        names: Mapping[str, str],
        calendar: Calendar | None = None,
    ) -> Self:
        """``names``: code → name of every office and region known; ``calendar`` reads dates that
        have no Western year."""
        ordered = tuple(sorted(records, key=lambda record: record.item))
        said = [dict(record.elements) for record in ordered]
        fold = _fold_all([text for r in ordered for _, text in r.elements], names.values(), tables)
        codes: dict[str, list[tuple[str, ...]]] = {
            "office": [(record.office,) for record in ordered],
            "place": [_regions(record) for record in ordered],
            "holding": [record.holders for record in ordered],
            "rights": [(record.rights,) for record in ordered],
        }
        date = cache(lambda text: _years(text, calendar, tables))
        texts = {}
        for field, elements in _LOOKED_INTO.items():
            rows = [[fold[one[name]] for name in elements if name in one] for one in said]
            for row, coded in zip(rows, codes.get(field, ()), strict=field in codes):
                row += [fold[names[code]] for code in coded if code in names]
            texts[field] = Texts.build(rows)
        return cls(
            ordered,
            {record.item: number for number, record in enumerate(ordered)},
            texts,
            {field: Sets.build(rows) for field, rows in codes.items()},
            {field: Years.build([date(one.get(field, "")) for one in said]) for field in _DATED},
            _kinds(ordered, texts["kind"], tables),
            tables,
        )

    def __len__(self) -> int:
        return len(self.records)

    def select(self, filters: Sequence[Filter]) -> BitMap | None:
        """The numbers of the records that every filter lets through; None when there is none to
        ask."""
        chosen: BitMap | None = None
        for one in filters:
            found = self._let_through(one)
            if one.excluded:
                found = BitMap(range(len(self.records))) - found
            chosen = found if chosen is None else chosen & found
        return chosen

    def facets(self, counts: BitMap | Mapping[str, int]) -> tuple[FacetCount, ...]:
        """How many records of a set, or pages of items (item → pages), have which value.

        Counts are exact: each is what :meth:`select` with that value would leave.
        """
        weights = self._weights(counts)
        found: dict[str, Iterable[tuple[str, int]]] = {
            "kind": self.kinds.counts(weights),
            "span": self.years["span"].counts(weights, _RECORDED),
            "published": self.years["published"].counts(weights, _PUBLISHED),
            **{field: sets.counts(weights) for field, sets in self.codes.items()},
        }
        return tuple(
            FacetCount(field, value, count)
            for field in FACETS
            for value, count in sorted(found[field], key=lambda row: (-row[1], row[0]))
        )

    def _let_through(self, one: Filter) -> BitMap:
        if one.field in self.years and not one.values:
            return self.years[one.field].overlapping(one.low, one.high)
        found = BitMap()
        for value in one.values:
            found |= self._having(one.field, value)
        return found

    def _having(self, field: str, value: str) -> BitMap:
        assert field in FIELDS, "check_query lets no other field through"
        if field == "item":
            return BitMap(self._revisions(value))
        if field == "rights":
            return self.codes["rights"].equal(value)
        if field == "place" and _CODE.fullmatch(value):
            return self.codes["place"].equal(value.ljust(6, "0"))
        if field in self.codes and _CODE.fullmatch(value):
            return self.codes[field].beginning(value)
        return self.texts[field].containing(folded(value, self.tables))

    def _revisions(self, item: str) -> Iterator[int]:
        """An item by its id, in whatever revision it stands here."""
        start = bisect_left(self.records, item, key=lambda record: record.item)
        for number in range(start, len(self.records)):
            known = self.records[number].item
            if not known.startswith(item):
                return
            if known.partition("/")[0] == item:
                yield number

    def _weights(self, counts: BitMap | Mapping[str, int]) -> Array:
        weights = np.zeros(len(self.records), dtype=np.int64)
        if isinstance(counts, BitMap):
            weights[np.array(counts.to_array(), dtype=np.int64)] = 1
        else:
            numbers = [self.numbers[item] for item in counts]
            weights[numbers] = [*counts.values()]
        return weights


def folded(text: str, tables: Tables) -> str:
    """``text`` as filters compare it: folded, without what matching passes over."""
    return _without_skipped(tables.fold(text))


def western_years(text: str) -> tuple[int, int] | None:
    """The first and last year of three or four digits in ``text``."""
    found = [int(year) for year in _YEAR.findall(text)]
    return (min(found), max(found)) if found else None


def elements_of(said: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The elements of a record that say something, in their order."""
    return tuple((name, said[name]) for name in RECORD_ELEMENTS if said.get(name))


def record_page(record: Record, names: Mapping[str, str]) -> Page:
    """The record as the engine searches it: title and volume as the title, subjects as the
    heading, and every element but the notice, and the office's name, as text."""
    said = [text for name, text in record.elements if name != "notice" and text]
    return Page(
        item=record.item,
        office=record.office,
        seq=1,
        page="",
        title=" ".join(record.text("title", "volume")),
        section=" ".join(record.text("subject")),
        text=BREAK.join([*said, names.get(record.office, "")]),
        file="",
        log_index=record.log_index,
    )


def _years(text: str, calendar: Calendar | None, tables: Tables) -> tuple[int, int] | None:
    """The years that an element speaks of, from the first to the last, within any calendar."""
    found: list[tuple[int, int]] = []
    for part in _RANGE.split(text):
        years = western_years(part)
        if years is None and calendar is not None:
            date = _AROUND.sub("", folded(part, tables))
            years = None if _SAYS_NOTHING.fullmatch(date) else calendar.years(date)
        found += [years] if years else []
    if not found:
        return None
    low, high = min(low for low, _ in found), max(high for _, high in found)
    return (low, high) if YEAR_MIN <= low <= high <= YEAR_MAX else None


def _fold_all(texts: Iterable[str], names: Iterable[str], tables: Tables) -> dict[str, str]:
    """Every text → :func:`folded`, in one pass: a call a text would take most of a build."""
    distinct = list(dict.fromkeys(("", *texts, *names)))
    lines = tables.fold("\n".join(text.replace("\n", " ") for text in distinct))
    return dict(zip(distinct, _without_skipped(lines, but="\n").split("\n"), strict=True))


def _without_skipped(text: str, but: str = "") -> str:
    skipped = {ord(character) for character in set(text) if is_skipped(character)}
    return text.translate(dict.fromkeys(skipped - set(map(ord, but))))


def _regions(record: Record) -> tuple[str, ...]:
    return tuple(dict.fromkeys(node for code in record.places for node in region_nodes(code)))


def _kinds(records: Sequence[Record], texts: Texts, tables: Tables) -> Sets:
    """Every kind that is named, with the records in whose kind it stands."""
    named = Counter(text for record in records for text in record.text("kind"))
    parts: Counter[str] = Counter()
    for text, count in named.items():
        for part in _LIST.split(text):
            parts[folded(part, tables)[:KIND_CHARS_MAX]] += count
    del parts[""]
    kinds = sorted(parts, key=lambda kind: (-parts[kind], kind))[:KINDS_MAX]
    return Sets.of({kind: texts.containing(kind) for kind in kinds})
