"""Filters and facets of the catalogue against a judge that looks at one record at a time."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyroaring import BitMap

from search_shard.catalogue import (
    BREAK,
    Catalogue,
    Record,
    folded,
    record_page,
    western_years,
)
from search_shard.facets import FACETS, YEAR_MAX, YEAR_MIN
from search_shard.filters import Filters
from search_shard.fold import is_skipped
from search_shard.grammar import Condition
from search_shard.lattice import FIELDS, Filter
from search_shard.rules.eras import Eras
from search_shard.tables import Tables

NAMES = {
    "320000": "江苏省",
    "320500": "苏州市",
    "320583": "昆山市",
    "320600": "南通市",
    "320602": "崇川区",
}
ELEMENTS = {
    "title": ["昆山縣志", "崑山县志（校注本）", "南通州志", "志"],
    "volume": ["", "卷三"],
    "kind": ["旧志", "新方志", "新方誌；志", "年鉴", ""],
    "responsible": ["張三 主編；李四"],
    "compiler": ["昆山市地方志办公室", "南通州署"],
    "published": ["1990", "1990年5月", "1864-1866", "清同治三年", "12", ""],
    "span": ["1911—1985", "上限不限，下限2005年", "0960至1127"],
    "subject": ["地理；水利", "人物"],
    "classification": ["K295.3"],
    "edition": ["初版", "影印"],
    "publisher": ["中華書局"],
    "place": ["昆山", "江苏省南通市"],
    "holding": ["南京图书馆 K295/1", ""],
    "notice": ["演示数据"],
}
CODES = [*sorted(NAMES), "110000"]


@st.composite
def record_lists(draw: st.DrawFn) -> list[Record]:
    records = []
    for number in range(draw(st.integers(0, 9))):
        elements = [(e, draw(st.sampled_from(texts))) for e, texts in ELEMENTS.items()]
        records.append(
            Record(
                f"{draw(st.sampled_from(['a', 'ab', 'b']))}{number}/{draw(st.sampled_from('xy'))}",
                draw(st.sampled_from(CODES)),
                tuple(pair for pair in elements if draw(st.booleans())),
                draw(st.sampled_from(["open", "office", "sealed"])),
                tuple(draw(st.lists(st.sampled_from(CODES), max_size=2))),
                tuple(draw(st.lists(st.sampled_from(CODES), max_size=3, unique=True))),
            )
        )
    return records


TEXTS = sorted(
    {text for texts in ELEMENTS.values() for text in texts} | {"志", "昆 山", "《", "市"}
)
VALUES = st.sampled_from(
    [*TEXTS, "志", "昆 山", "《", "市", *CODES, "32", "3205", "open", "sealed", "a0", "a0/x", "ab1"]
) | st.text(max_size=3)
YEARS = st.sampled_from([0, -221, 960, 1864, 1866, 1911, 1990, 2005, 10**12])
FILTERS = st.lists(
    st.builds(
        Filter,
        st.sampled_from(FIELDS),
        st.lists(VALUES, max_size=2).map(tuple),
        YEARS,
        YEARS,
        st.booleans(),
    ),
    min_size=1,
    max_size=3,
)


def lets_through(one: Filter, record: Record, tables: Tables) -> bool:
    """The judge."""
    if one.field in ("published", "span") and not one.values:
        found = [western_years(text) for text in record.text(one.field)]
        low, high = one.low or YEAR_MIN, one.high or YEAR_MAX
        passes = any(years and years[0] <= high and low <= years[1] for years in found)
    else:
        passes = any(has(one.field, value, record, tables) for value in one.values)
    return passes != one.excluded


def has(field: str, value: str, record: Record, tables: Tables) -> bool:
    codes = {"office": [record.office], "holding": list(record.holders), "place": []}
    for code in record.places:
        codes["place"] += [code, code[:4] + "00", code[:2] + "0000"]
    if field == "item":
        return record.item.split("/")[0] == value
    if field == "rights":
        return record.rights == value
    if field in codes and value.isascii() and value.isdecimal() and 2 <= len(value) <= 6:
        if field == "place":
            return value.ljust(6, "0") in codes["place"]
        return any(code.startswith(value) for code in codes[field])
    elements = {
        "title": "title volume",
        "compiler": "compiler responsible",
        "subject": "subject classification",
        "edition": "edition publisher isbn extent",
    }.get(field, field)
    texts = list(record.text(*elements.split()))
    texts += [NAMES[code] for code in codes.get(field, ()) if code in NAMES]
    plain = "".join(c for c in tables.fold(value) if not is_skipped(c))
    return bool(plain) and any(plain in folded(text, tables) for text in texts)


@settings(max_examples=40, deadline=None)
@given(record_lists(), FILTERS)
def test_filters_keep_what_the_judge_keeps(
    tables: Tables, records: list[Record], filters: list[Filter]
) -> None:
    catalogue = Catalogue.build(records, tables, NAMES)
    expected = sorted(
        record.item for record in records if all(lets_through(f, record, tables) for f in filters)
    )
    chosen = catalogue.select(filters)
    assert chosen is not None
    assert [catalogue.records[number].item for number in chosen] == expected


def as_filter(field: str, value: str, tables: Tables) -> Filter:
    """As the grammar of queries reads it."""
    condition = Condition(field, ((value, False),))
    return Filters(tables.fold, (), None, None, ()).filter(condition, excluded=False)


@settings(max_examples=40, deadline=None)
@given(st.data(), record_lists())
def test_a_facet_counts_what_its_filter_would_leave(
    tables: Tables, data: st.DataObject, records: list[Record]
) -> None:
    catalogue = Catalogue.build(records, tables, NAMES)
    pages = {
        r.item: data.draw(st.integers(1, 9), r.item) for r in records if data.draw(st.booleans())
    }
    chosen = BitMap(catalogue.numbers[item] for item in pages)
    for facets, weights in (
        (catalogue.facets(chosen), dict.fromkeys(pages, 1)),
        (catalogue.facets(pages), pages),
    ):
        for facet in facets:
            left = catalogue.select([as_filter(facet.field, facet.value, tables)])
            assert left is not None
            items = [catalogue.records[number].item for number in left & chosen]
            assert facet.count == sum(weights[item] for item in items)
        every = {facet.value: facet.count for facet in facets if facet.field == "rights"}
        rights = {record.item: record.rights for record in records}
        assert every == {
            name: total
            for name in ("open", "office", "sealed")
            if (total := sum(n for item, n in weights.items() if rights[item] == name))
        }
    assert {facet.field for facet in catalogue.facets(pages)} <= set(FACETS)


def build(tables: Tables, *records: Record) -> Catalogue:
    return Catalogue.build(records, tables, NAMES)


def record(item: str, places: Sequence[str] = (), **elements: str) -> Record:
    return Record(item, "320583", tuple(elements.items()), "open", tuple(places))


def test_regions_are_a_tree_most_records_first(tables: Tables) -> None:
    catalogue = build(
        tables,
        record("a", ["320583"]),
        record("b", ["320583", "320602"]),
        record("c", ["320500"]),
    )
    counts = catalogue.facets(BitMap([0, 1, 2]))
    assert [(f.value, f.count) for f in counts if f.field == "place"] == [
        ("320000", 3),
        ("320500", 3),
        ("320583", 2),
        ("320600", 1),
        ("320602", 1),
    ]


def test_years_of_a_span_count_in_each_period_they_touch(tables: Tables) -> None:
    catalogue = build(tables, record("a", span="1911—1951"), record("b", span="不详"))
    spans = [f.value for f in catalogue.facets(BitMap([0, 1])) if f.field == "span"]
    decades = [f"{year}-{year + 9}" for year in range(1910, 1960, 10)]
    assert spans == sorted(["1644-1911", "1912-1949", "1949..", *decades])


def test_a_calendar_reads_what_has_no_western_year(tables: Tables) -> None:
    published = {
        "同治三年": (1864, 1864),
        "清同治三年至1870": (1864, 1870),
        "民國二十三年鉛印本": (1934, 1934),
        "上限清，下限1990-05": (1990, 1990),
        "自清起": (1644, 1911),
        "2012-03": (2012, 2012),
        "不详": None,
    }
    for text, expected in published.items():
        dated = [record("a", published=text)]
        years = Catalogue.build(dated, tables, NAMES, Eras(tables.fold)).years["published"]
        low, high = int(years.lows[0]), int(years.highs[0])
        assert ((low, high) if high <= YEAR_MAX else None) == expected, text


def test_a_published_year_counts_in_its_period_decade_and_year(tables: Tables) -> None:
    counts = build(tables, record("a", published="1998年12月")).facets(BitMap([0]))
    values = [facet.value for facet in counts if facet.field == "published"]
    assert values == ["1949..", "1990-1999", "1998"]


@pytest.mark.parametrize(
    ("text", "years"),
    [
        ("1911—1990", (1911, 1990)),
        ("1998", (1998, 1998)),
        ("下限2005年", (2005, 2005)),
        ("印数 12000 册", None),
        ("卷三", None),
        ("", None),
    ],
)
def test_western_years(text: str, years: tuple[int, int] | None) -> None:
    assert western_years(text) == years


def test_no_filters_and_no_records(tables: Tables) -> None:
    nothing = build(tables)
    assert nothing.select([]) is None
    assert nothing.select([Filter("kind", ("志",), excluded=True)]) == BitMap()
    assert nothing.facets(BitMap()) == nothing.facets({}) == ()
    assert len(nothing) == 0


def test_the_page_of_a_record_has_every_element_but_the_notice(tables: Tables) -> None:
    page = record_page(
        record("a", title="昆山县志", volume="卷三", subject="水利", summary="简介", notice="演示"),
        NAMES,
    )
    assert (page.title, page.section, page.seq) == ("昆山县志 卷三", "水利", 1)
    assert page.text.split(BREAK) == ["昆山县志", "卷三", "水利", "简介", "昆山市"]
    assert not is_skipped(BREAK)
    assert tables.fold(BREAK) == BREAK
