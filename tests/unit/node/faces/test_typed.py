from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.faces.typed import FILTER_WORDS, filter_text, parts_of
from search_shard.lattice import FIELDS


def test_every_field_has_its_word() -> None:
    assert set(FILTER_WORDS) == set(FIELDS)


@pytest.mark.parametrize(
    ("typed", "parts"),
    [
        ("运河 地区:苏州", [("运河", ""), ("地区:苏州", "place")]),
        ("「东 西」 kind：旧志", [("「东 西」", ""), ("kind：旧志", "kind")]),
        ('题名:"a b" x', [('题名:"a b"', "title"), ("x", "")]),
        ("-类型:年鉴", [("-类型:年鉴", "kind")]),
        ("子曰:学而", [("子曰:学而", "")]),
        ("地区: 苏州", [("地区:", ""), ("苏州", "")]),
        ('"没有合上', [('"', ""), ("没有合上", "")]),
        ("", []),
    ],
)
def test_filters_are_told_from_words(typed: str, parts: list[tuple[str, str]]) -> None:
    assert [(part.text, part.field) for part in parts_of(typed)] == parts


def test_joins_are_no_words() -> None:
    assert [part.text for part in parts_of("甲 AND 乙 或 丙 题名:丁") if part.is_word] == list(
        "甲乙丙"
    )


@given(st.text(alphabet='甲乙"「」 :地区与', max_size=20))
def test_nothing_but_spaces_stands_between_the_parts(typed: str) -> None:
    at = 0
    for part in parts_of(typed):
        assert typed[at : part.start].strip() == ""
        assert typed[part.start : part.end] == part.text
        at = part.end
    assert typed[at:].strip() == ""


@given(st.sampled_from(FIELDS), st.text(alphabet="苏州（） 1-", min_size=1, max_size=9))
def test_a_filter_put_in_is_read_as_that_filter(field: str, value: str) -> None:
    (part,) = parts_of(filter_text(field, value))
    assert part.field == field
