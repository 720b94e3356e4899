from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from search_shard.lattice import RULES
from search_shard.rules.numerals import NUMBER_MAX, Numerals, parse_number, spellings, write_number

numbers = st.integers(0, 99_999) | st.integers(0, NUMBER_MAX)


def said(text: str) -> int:
    """What a text with units says, added up word by word as one hears it."""
    total = section = digit = 0
    for character in text:
        if character in "零一二三四五六七八九":
            digit = "零一二三四五六七八九".index(character)
        elif character in "十百千":
            section += (digit or 1) * 10 ** ("十百千".index(character) + 1)
            digit = 0
        elif character == "万":
            total, section, digit = total + (section + digit) * 10**4, 0, 0
        else:
            total, section, digit = (total + section + digit) * 10**8, 0, 0
    return total + section + digit


@given(numbers)
@example(10)
@example(203_862_900_003_651)
def test_every_spelling_is_read_back(value: int) -> None:
    assert said(write_number(value)) == value
    for spelled in spellings(value):
        assert parse_number(spelled) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("一百二十", 120),
        ("一二〇", 120),
        ("一二零", 120),
        ("120", 120),
        ("廿四", 24),
        ("卅", 30),
        ("一百廿三", 123),
        ("壹佰贰拾", 120),
        ("壹仟零伍", 1005),
        ("两千", 2000),
        ("两万五千", 25_000),
        ("12万", 120_000),
        ("十二万三千零四", 123_004),
        ("一亿零三", 100_000_003),
        ("一千二百万亿", 1_200 * 10**12),
        ("百一", None),
        ("万一", None),
        ("三两", None),
        ("千", None),
        ("十百", None),
        ("一百一百", None),
        ("陆", None),
        ("陆三", None),
        ("007", None),
        ("〇〇七", None),
        ("99999999999999999", None),
        ("一万亿亿", None),
    ],
)
def test_reads_what_one_way_can_be_read(text: str, value: int | None) -> None:
    assert parse_number(text) == value


@pytest.mark.parametrize(
    ("word", "others"),
    [
        ("一百二十户", {(0, 4, "120"), (0, 4, "一二〇"), (0, 4, "一二零")}),
        ("120户", {(0, 3, "一百二十"), (0, 3, "一二〇"), (0, 3, "一二零")}),
        ("第三中学", {(1, 2, "3")}),
        ("廿四军", {(0, 2, "24"), (0, 2, "二十四")}),
        ("120000元", {(0, 6, s) for s in ("十二万", "12万", "一二〇〇〇〇", "一二零零零零")}),
        ("三官殿", set()),
        ("万寿寺", set()),
        ("千灯", set()),
        ("苏州府", set()),
    ],
)
def test_alternatives_of_numbers_in_a_word(word: str, others: set[tuple[int, int, str]]) -> None:
    found = Numerals().alternatives(word)
    assert {(a.start, a.end, a.text) for a in found} == others
    assert {a.rule for a in found} <= set(RULES)


@given(st.text("一二三十百千万亿零两廿0123456789陆苏", max_size=60))
def test_any_text_is_bounded(word: str) -> None:
    found = Numerals().alternatives(word)
    assert len(found) <= 6 * max(len(word), 1)
    assert all(word[a.start : a.end] != a.text and len(a.text) <= 60 for a in found)
