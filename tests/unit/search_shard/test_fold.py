from __future__ import annotations

import unicodedata

import pytest

from search_shard.fold import VARIANTS, fold_table, is_common, is_skipped, own_variants, plain
from search_shard.tables import Tables


@pytest.mark.parametrize("character", list(" \n\t\u3000，。！（《〉·—…-'\u200b\ufeff\u0301\x00"))
def test_what_is_not_read_aloud_is_skipped(character: str) -> None:
    assert is_skipped(character)


@pytest.mark.parametrize("character", list("蘇𠮷〓●○1aA＋$々〇ⅻ😀\ufffd㊞"))
def test_what_stands_for_something_is_not_skipped(character: str) -> None:
    assert not is_skipped(character)


@pytest.mark.parametrize(
    ("character", "folded"),
    [
        ("Ａ", "a"), ("１", "1"), ("É", "e"), ("ü", "u"), ("①", "1"), ("ⅻ", "ⅻ"), ("㎏", "㎏"),
        ("ﬁ", "ﬁ"), ("豈", "豈"), ("⼀", "一"), ("が", "が"), ("İ", "i"), ("ß", "ß"), ("蘇", "蘇"),
        ("𠮷", "𠮷"),
    ],
)  # fmt: skip
def test_plain_is_one_character_or_the_same(character: str, folded: str) -> None:
    assert plain(character) == folded


def test_our_own_variants_are_pairs_said_once_and_end_at_a_reading_form() -> None:
    words = VARIANTS.split()
    assert all(len(word) == 2 and word[0] != word[1] for word in words)
    assert len({word[0] for word in words}) == len(words)
    assert own_variants()["𣺌"] == "渺"
    unassigned = [word for word in words if "Cn" in map(unicodedata.category, word)]
    assert not unassigned


def test_folding_follows_chains_to_their_end() -> None:
    simplify = {"臘": "腊", "龍": "龙", "靣": "面"}
    restore = {"竜": "龍", "芸": "藝"}
    table = fold_table("臈臘竜芸Ａ靣腊", lambda c: simplify.get(c, c), lambda c: restore.get(c, c))
    assert table == {"臈": "腊", "臘": "腊", "竜": "龙", "Ａ": "a", "靣": "面"}


def test_what_would_become_two_characters_stays() -> None:
    assert fold_table("後", lambda _: "后来", lambda c: c) == {}


@pytest.mark.parametrize(
    ("typed", "folded"),
    [
        ("吳郡蘇州圖經續記", "吴郡苏州图经续记"),
        ("呉葢㑹鄕邨祕閣", "吴盖会乡村秘阁"),
        ("ＡＢｃ１２", "abc12"),
        ("芸弁缶", "芸弁缶"),  # words of their own, though Japanese writes others so
        ("𠮷𠀀〓●", "𠮷𠀀〓●"),
    ],
)
def test_real_texts_fold(tables: Tables, typed: str, folded: str) -> None:
    assert tables.fold(typed) == folded


@pytest.mark.parametrize(
    "one",
    [
        *("昵暱", "檐簷", "痹痺", "睾睪", "粽糭糉", "只衹隻", "径逕迳徑", "稆穭穞", "敕勅勑𠡠"),
        *("策筴䇲䇿", "着著", "于於", "后後", "里裏裡", "台臺颱檯", "云雲", "志誌", "历曆歷厯"),
        *("干乾幹榦", "钟鐘鍾", "堤隄", "峰峯", "群羣", "村邨"),
    ],
)
def test_variants_are_one(one: str, tables: Tables) -> None:
    assert tables.fold(one) == tables.fold(one[0]) * len(one)


@pytest.mark.parametrize("apart", ["幺么", "祇祗只", "著箸", "台怡", "云芸", "径经", "敕束"])
def test_what_means_another_stays_apart(apart: str, tables: Tables) -> None:
    assert len(set(tables.fold(apart))) == len(apart)


def test_folding_twice_is_folding_once(tables: Tables) -> None:
    every = "".join(chr(point) for point in range(0x32400) if not 0xD800 <= point < 0xE000)
    once = tables.fold(every)
    assert tables.fold(once) == once


def test_every_own_variant_folds_like_what_it_is_read_as(tables: Tables) -> None:
    apart = [v + c for v, c in own_variants().items() if tables.fold(v) != tables.fold(c)]
    assert not apart


def test_common_characters() -> None:
    assert [is_common(character) for character in "苏镇蘇𠮷〓"] == [True, True, False, False, True]
