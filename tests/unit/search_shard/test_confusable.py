from __future__ import annotations

import pytest

from search_shard.confusable import ALIKE_MAX, OWN_SETS, alike_table
from search_shard.fold import is_common
from search_shard.tables import Tables


def ways(**parts: str) -> dict[str, list[frozenset[str]]]:
    return {character: [frozenset(way)] for character, way in parts.items()}


def test_one_is_a_part_of_the_other_or_they_share_a_telling_part() -> None:
    table = alike_table("青清情山", ways(清="氵青", 情="忄青"), {})
    assert table == {"青": "情清", "清": "情青", "情": "清青"}


def test_a_part_that_many_have_says_nothing() -> None:
    watery = "".join(chr(0x4E00 + n) for n in range(81))
    parts = ways(**{character: "氵" + chr(0x5000 + n) for n, character in enumerate(watery)})
    assert alike_table(watery, parts, {}) == {}
    assert len(alike_table(watery[:80], parts, {})[watery[0]]) == 79


def test_corners_agree_in_four_digits_and_not_in_a_crowd() -> None:
    corners = {"戊": "53200", "戌": "53201", "丙": "10227"}
    assert alike_table("戊戌丙", {}, corners) == {"戊": "戌", "戌": "戊"}
    crowd = "".join(chr(0x4E00 + n) for n in range(41))
    assert alike_table(crowd, {}, dict.fromkeys(crowd, "00000")) == {}
    assert len(alike_table(crowd[:40], {}, dict.fromkeys(crowd[:40], "00000"))) == 40


def test_our_own_list_comes_first_and_only_known_characters_are_named() -> None:
    table = alike_table("己已弓", {}, {"己": "17717", "弓": "17717"})
    assert table["己"] == "已弓"  # 巳 is on the list and not among the characters
    assert "巳" not in table


def test_the_number_of_likenesses_is_bounded_and_the_likest_stay() -> None:
    many = "".join(chr(0x4E00 + n) for n in range(200))
    middle = many[100]
    parts = ways(**{middle: many[:70]})  # each of these is a part of it
    parts |= {other: [frozenset(middle)] for other in many[70:100]}
    parts |= {other: [frozenset(many[0])] for other in many[101:160]}
    table = alike_table(many, parts, {})
    assert len(table[middle]) == ALIKE_MAX
    assert set(many[:100]) - set(table[middle]) <= set(many[70:100])


def test_our_own_sets_are_sets_of_common_characters() -> None:
    for members in OWN_SETS.split():
        assert len(members) > 1
        assert all(map(is_common, members)), members


@pytest.mark.parametrize("pair", ["己已", "戊戌", "清请", "未末", "晴睛", "徒徙", "折拆", "栗粟"])
def test_shapes_are_alike_both_ways(tables: Tables, pair: str) -> None:
    assert pair[1] in tables.alike_to(pair[0])
    assert pair[0] in tables.alike_to(pair[1])
    assert pair[0] not in tables.alike_to(pair[0])
