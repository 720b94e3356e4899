from __future__ import annotations

import pytest

from search_shard.confusable import ALIKE_MAX, alike_table
from search_shard.fold import rarity
from search_shard.tables import Tables


def ways(**parts: str) -> dict[str, list[str]]:
    return {character: [way] for character, way in parts.items()}


def test_a_part_makes_alike_at_any_depth_and_the_nearer_the_more() -> None:
    table = alike_table("其斯撕山", ways(斯="其斤", 撕="扌斯"), {})
    assert table == {"其": "斯撕", "斯": "撕其", "撕": "斯其"}


def test_the_part_that_few_have_says_most() -> None:
    watery = "".join(chr(0x9000 + n) for n in range(300))
    parts = ways(**{character: "氵" + chr(0x5000 + n) for n, character in enumerate(watery)})
    table = alike_table(watery + "清情", parts | ways(清="氵青", 情="忄青"), {})
    assert table["清"][0] == "情"
    assert set(table["情"]) == {"清"}


def test_corners_agree_in_four_digits_or_in_three() -> None:
    corners = {"戊": "53100", "戌": "53101", "划": "52100", "丙": "10227"}
    table = alike_table("戊戌划丙", {}, corners)
    assert table == {"戊": "戌划", "戌": "戊划", "划": "戊戌"}


def test_of_equally_alike_ones_the_common_one_is_meant() -> None:
    characters = "请鲭圊"  # everyday, of the wider set, of the wider set
    parts = ways(请="讠青", 鲭="鱼青", 圊="囗青") | ways(靖="立青")
    assert [rarity(c) for c in "请鲭圊漼"] == [0, 1, 1, 2]
    assert alike_table(characters + "靖山川", parts, {})["靖"][0] == "请"


def test_the_number_of_likenesses_is_bounded() -> None:
    many = "".join(chr(0x4E00 + n) for n in range(1000))
    others = "".join(chr(0x6000 + n) for n in range(200))
    table = alike_table(many + others, ways(**dict.fromkeys(many, "青")), {})
    assert [len(table[c]) for c in many] == [ALIKE_MAX[rarity(c)] for c in many]
    assert {rarity(c) for c in many} == {0, 1, 2}


@pytest.mark.parametrize(
    "pair",
    [
        "己已",
        "戊戌",
        "清请",
        "未末",
        "晴睛",
        "徒徙",
        "折拆",
        "栗粟",
        "眨之",
        "龙庞",
    ],
)
def test_shapes_are_alike_both_ways(tables: Tables, pair: str) -> None:
    assert pair[1] in tables.alike_to(pair[0])
    assert pair[0] in tables.alike_to(pair[1])
    assert pair[0] not in tables.alike_to(pair[0])


def test_rare_characters_of_old_books_are_alike_to_something(tables: Tables) -> None:
    for character in "甪枏湌鄮":
        folded = tables.fold(character)
        assert tables.alike_to(folded), character
