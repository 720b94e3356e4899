"""Which spellings of a title and a volume are taken for one."""

from __future__ import annotations

import pytest

from node.office.duplicates import near_form
from search_shard.tables import Tables

ONE = [
    ("《蘇州府志》卷一", ""),
    ("苏州府志 第1卷", ""),
    ("苏州府志", "卷一"),
    ("苏州府志", "第一卷"),
    ("苏州府志", "1"),
    ("苏州府志", "卷之一"),
    ("蘇州 府志", "壹"),
    ("苏州府志第一卷", "卷一"),
    ("苏州府志·卷０１", ""),
]
SEVERAL = [
    ("苏州府志", ""),
    ("苏州府志", "卷二"),
    ("苏州府志", "卷十一"),
    ("苏州府志", "上册"),
    ("苏州府志", "下册"),
    ("苏州府志", "卷一至卷三"),
    ("苏州府志", "卷十三"),
    ("苏州志", "卷一"),
    ("常熟县志", "卷一"),
    ("苏州年鉴2020", ""),
    ("苏州年鉴2021", ""),
    ("苏州年鉴", ""),
    ("玉山志（1991-2005）", ""),
    ("玉山志（1991-2015）", ""),
    ("上", ""),
    ("卷一", ""),
]
PAIRS = [
    (("苏州年鉴2020", ""), ("苏州年鉴·二〇二〇", "")),
    (("苏州年鉴2020", ""), ("苏州年鉴", "2020")),
    (("苏州府志", "上册"), ("苏州府志上册", "")),
    (("苏州府志", "上册"), ("苏州府志", "上卷")),
    (("苏州府志", "卷一至卷三"), ("苏州府志", "1—3")),
    (("Suzhou Gazetteer", "Vol. 2"), ("ＳＵＺＨＯＵ gazetteer", "二")),
]


def form(named: tuple[str, str], tables: Tables) -> str:
    return near_form(*named, tables.fold)


def test_spellings_of_one(tables: Tables) -> None:
    assert len({form(named, tables) for named in ONE}) == 1


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_pairs_of_one(tables: Tables, one: tuple[str, str], other: tuple[str, str]) -> None:
    assert form(one, tables) == form(other, tables)


def test_what_is_several_stays_several(tables: Tables) -> None:
    forms = [form(named, tables) for named in [*SEVERAL, ONE[0]]]
    assert len(set(forms)) == len(forms)
