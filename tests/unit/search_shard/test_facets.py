from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from search_shard.facets import (
    DECADES,
    PERIODS,
    SINGLE_YEARS,
    YEAR_MAX,
    YEAR_MIN,
    FacetCount,
    Sets,
    Texts,
    Years,
    merge_facets,
    range_value,
    region_nodes,
)

RANGES = (*PERIODS, *DECADES, *SINGLE_YEARS)
TEXT = st.text(alphabet="昆山志12", max_size=4)
ROWS = st.lists(st.lists(TEXT, max_size=3), max_size=12)
YEAR = st.integers(YEAR_MIN, YEAR_MAX).filter(bool) | st.integers(1890, 2010)
SPAN = st.tuples(YEAR, YEAR).map(lambda pair: (min(pair), max(pair)))
SPANS = st.lists(st.none() | SPAN, max_size=12)


def touches(years: tuple[int, int] | None, low: int, high: int) -> bool:
    """The judge: no running sums."""
    if years is None:
        return False
    return years[0] <= (high or YEAR_MAX) and (low or YEAR_MIN) <= years[1]


@given(ROWS, TEXT)
def test_texts_are_found_by_any_part(rows: list[list[str]], part: str) -> None:
    expected = [n for n, row in enumerate(rows) if part and any(part in text for text in row)]
    assert list(Texts.build(rows).containing(part)) == expected


def test_no_part_reaches_from_one_text_into_the_next() -> None:
    texts = Texts.build([["昆山"], ["志", "昆"]])
    assert not texts.containing("山志")
    assert list(texts.containing("昆")) == [0, 1]


@given(ROWS, TEXT)
def test_sets_by_value_and_by_beginning(rows: list[list[str]], value: str) -> None:
    sets = Sets.build(rows)
    assert list(sets.equal(value)) == [n for n, row in enumerate(rows) if value in row]
    begun = [n for n, row in enumerate(rows) if any(v.startswith(value) for v in row)]
    assert list(sets.beginning(value)) == begun


def test_what_is_found_may_be_changed() -> None:
    sets = Sets.build([["a"], ["a"]])
    sets.equal("a").clear()
    sets.beginning("a").clear()
    assert list(sets.equal("a")) == [0, 1]


@given(SPANS, YEAR | st.just(0), YEAR | st.just(0))
def test_years_overlap(spans: list[tuple[int, int] | None], low: int, high: int) -> None:
    expected = [n for n, span in enumerate(spans) if touches(span, low, high)]
    assert list(Years.build(spans).overlapping(low, high)) == expected


def test_years_beyond_any_calendar() -> None:
    years = Years.build([(1911, 1949), None])
    assert list(years.overlapping(-(10**30), 10**30)) == [0]
    assert not years.overlapping(10**30, 10**31)


@given(st.data(), SPANS)
def test_counts_are_what_a_filter_would_leave(
    data: st.DataObject, spans: list[tuple[int, int] | None]
) -> None:
    weights = data.draw(st.lists(st.integers(0, 9), min_size=len(spans), max_size=len(spans)))
    rows = data.draw(st.lists(st.lists(TEXT), min_size=len(spans), max_size=len(spans)))
    years, sets = Years.build(spans), Sets.build([dict.fromkeys(row) for row in rows])
    dense = np.array(weights, dtype=np.int64)
    by_range = {
        range_value(*each): sum(weights[n] for n in years.overlapping(*each)) for each in RANGES
    }
    assert dict(years.counts(dense, RANGES)) == {v: n for v, n in by_range.items() if n}
    by_value = {v: sum(weights[n] for n in sets.equal(v)) for v in sets.values}
    assert dict(sets.counts(dense)) == {v: n for v, n in by_value.items() if n}


def test_ranges_are_told_apart_by_their_values() -> None:
    assert len({range_value(*each) for each in RANGES}) == len(RANGES)
    assert (range_value(1998, 1998), range_value(0, 220)) == ("1998", "..220")
    assert (range_value(1949, 0), range_value(1990, 1999)) == ("1949..", "1990-1999")


def test_a_code_stands_in_its_city_and_province() -> None:
    assert region_nodes("320583") == ("320000", "320500", "320583")
    assert region_nodes("320500") == ("320000", "320500")
    assert region_nodes("320000") == ("320000",)


def test_shards_counts_add_up() -> None:
    one = (FacetCount("kind", "旧志", 2), FacetCount("rights", "open", 3))
    two = (FacetCount("kind", "年鉴", 5), FacetCount("kind", "旧志", 1))
    assert merge_facets([one, two]) == (
        FacetCount("kind", "年鉴", 5),
        FacetCount("kind", "旧志", 3),
        FacetCount("rights", "open", 3),
    )
    assert merge_facets([one, two]) == merge_facets([two, one])
    assert merge_facets([]) == merge_facets([[FacetCount("unheard-of", "x", 9)]]) == ()
    three = (FacetCount("place", "320000", 1),)
    assert merge_facets([one, three])[0] == three[0]
