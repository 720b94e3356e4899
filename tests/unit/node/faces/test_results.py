from __future__ import annotations

from dataclasses import replace

import pytest

from node.faces.results import FacetValue, by_item, by_work, facet_values, work_title
from node.office.answers import PUBLIC, FacetCount
from tests.fake_search import FACETS, hits_for
from tests.fake_shelf import BOOK, CARVED, PUNCTUATED

HITS = hits_for(PUBLIC, hostile_shown=True)


def test_hits_of_a_book_stand_together_and_none_is_lost() -> None:
    mixed = [HITS[0], HITS[-1], *HITS[1:-1]]
    books = by_item(mixed)
    assert [book.item for book in books][:2] == [BOOK, PUNCTUATED]
    for book in books:
        assert list(book.hits) == [hit for hit in mixed if hit.item == book.item]
    assert sum(len(book.hits) for book in books) == len(mixed)


def test_editions_of_one_work_stand_side_by_side_with_what_tells_them_apart() -> None:
    records = {CARVED: {"edition": "刻本", "volume": "", "title": "x"}}
    works = by_work(HITS, records)
    side_by_side = next(work for work in works if len(work.editions) > 1)
    assert side_by_side.title == "常昭合志"
    assert [(one.item, one.marks) for one in side_by_side.editions] == [
        (CARVED, (("edition", "刻本"),)),
        (PUNCTUATED, ()),
    ]


def test_books_without_a_title_are_not_one_work() -> None:
    nameless = [replace(HITS[0], title="", item=item) for item in ("a", "b")]
    assert len(by_work(nameless, {})) == 2


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("常昭合志（光绪三十年）", "常昭合志"),
        ("常昭合志（点校本）", "常昭合志"),
        ("常昭合志 第二册", "常昭合志"),
        ("常昭合志·卷三", "常昭合志"),
        ("常昭合志点校本", "常昭合志"),
        ("常昭合誌（上册）", "常昭合志"),
        ("江蘇省志·水利志", "江苏省志水利志"),
        ("张家港市志（1986—2005）", "张家港市志"),
        ("张家港年鉴2019年", "张家港年鉴"),
        ("张家港年鉴 ２０２０", "张家港年鉴"),
        ("上海县志", "上海县志"),
        ("1949", ""),
        ("", ""),
    ],
)
def test_a_work_is_known_by_its_title_without_what_tells_editions_apart(
    title: str, name: str
) -> None:
    assert work_title(title) == name


def test_regions_are_a_tree_and_every_value_is_there_once() -> None:
    facets = facet_values(FACETS)
    (province,) = facets["place"]
    assert [(city.value, [county.value for county in city.below]) for city in province.below] == [
        ("320500", ["320582", "320581"]),
        ("320200", []),
    ]
    assert [value.value for value in facets["kind"]] == ["新方志", "旧志", "年鉴"]


def test_a_region_whose_city_does_not_count_stands_higher() -> None:
    counts = [FacetCount("place", code, 2) for code in ("320582", "320000", "330000")]
    assert facet_values(counts) == {
        "place": (
            FacetValue("320000", 2, (FacetValue("320582", 2),)),
            FacetValue("330000", 2),
        )
    }


def test_years_stand_below_their_decade_and_decades_below_their_period() -> None:
    values = ("1644-1911", "1949..", "..220", "1912-1949", "1271-1368", "1368-1644")
    values += ("1900-1909", "1940-1949", "1990-1999", "1998", "1911")
    tree = facet_values([FacetCount("published", value, 1) for value in values])["published"]
    assert [top.value for top in tree][::5] == ["..220", "1949.."]
    assert {top.value: [one.value for one in top.below] for top in tree} == {
        "1644-1911": ["1900-1909", "1911"],
        "1949..": ["1990-1999"],
        "..220": [],
        "1912-1949": ["1940-1949"],
        "1271-1368": [],
        "1368-1644": [],
    }
    assert [one.value for one in tree[-1].below[0].below] == ["1998"]
