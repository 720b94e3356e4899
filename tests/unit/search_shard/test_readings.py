from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pypinyin.constants import PINYIN_DICT

from search_shard.readings import (
    LOCAL_READINGS,
    Readings,
    folded_readings,
    local_readings,
    split_syllables,
    syllables_of,
    toneless,
)
from search_shard.shard import Shard
from search_shard.tables import Tables
from tests.unit.search_shard.pages import found, page, shard_of


def test_toneless() -> None:
    assert [toneless(r) for r in ("zhòng", "nǚ", "lǜ", "ḿ", "ê̄")] == ["zhong", "nv", "lv", "m", "e"]


def test_local_readings_give_each_character_its_syllable() -> None:
    readings = local_readings()
    assert readings["六"] == {"lu"}
    assert readings["里"] == {"li"}
    assert readings["州"] == {"zhou"}
    assert set("".join(LOCAL_READINGS)) == set(readings)


def test_readings_of_a_folded_character_are_those_of_its_variants() -> None:
    read = {"征": ["zheng"], "徵": ["zhi", "zheng"], "六": ["liu"], "多": [*"aeiou", "ai"]}
    phrases = {"多多": [["ū"], ["ū"]], "多": [["ó"]], "不等": [["a"]], "征征": [["zhi"], ["zhi"]]}
    table = folded_readings({"徵": "征", "〡": "无"}, read, phrases)
    assert table["征"] == Readings("zheng", ("zhi",))
    assert table["六"] == Readings("liu", ("lu",))  # as Jiangsu says
    assert table["多"] == Readings("a", ("u",), tuple("oei"))  # most phrases, then as listed; four


def test_a_reading_of_few_phrases_is_rare(tables: Tables) -> None:
    phrases = {"大" * n: [["da"]] * n for n in range(1, 40)} | {"大夫": [["dai"], ["fu"]]}
    table = folded_readings({}, {"大": ["da", "dai", "tai"]}, phrases)
    assert table["大"] == Readings("da", (), ("dai", "tai"))
    for character, rare in (("溪", "qi"), ("也", "yi"), ("于", "wu")):
        assert rare not in tables.readings(character)
        assert rare in tables.every_reading(character)
    for character, used in (("重", "chong"), ("乐", "yue"), ("行", "hang"), ("会", "kuai")):
        assert used in tables.readings(character)


def test_names_are_read_as_jiangsu_reads_them(tables: Tables) -> None:
    for name, spelled in LOCAL_READINGS.items():
        for character, syllable in zip(name, spelled.split(), strict=True):
            assert syllable in tables.readings(character), name


def test_every_local_reading_is_in_a_dictionary_so_none_is_a_slip_of_ours() -> None:
    for character, syllables in local_readings().items():
        assert syllables <= set(syllables_of(PINYIN_DICT[ord(character)])), character


@pytest.fixture(scope="module")
def named(tables: Tables) -> Shard:
    return shard_of(tables, [page(f"在{name}。", seq=n) for n, name in enumerate(LOCAL_READINGS)])


@pytest.mark.parametrize("name", LOCAL_READINGS)
def test_a_name_is_found_by_how_it_is_said(name: str, tables: Tables, named: Shard) -> None:
    spelled, seq = LOCAL_READINGS[name], [*LOCAL_READINGS].index(name)
    for typed in (spelled, spelled.replace(" ", "")):
        assert (seq, "pinyin") in found(named, typed, tables), typed


@pytest.mark.parametrize(
    ("letters", "ways"),
    [
        ("suzhou", (("su", "zhou"),)),
        ("xian", (("xian",), ("xi", "an"))),
        ("fangan", (("fan", "gan"), ("fang", "an"))),
        ("lv", (("lv",),)),
        ("xyz", ()),
        ("su zhou", ()),
        ("", ()),
    ],
)
def test_split_syllables(tables: Tables, letters: str, ways: tuple[tuple[str, ...], ...]) -> None:
    assert split_syllables(letters, tables.syllables) == ways


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["xi", "an", "xian", "su", "e", "er", "ren", "a"]), max_size=8))
def test_every_way_spells_the_letters_and_shorter_ones_come_first(
    tables: Tables, syllables: list[str]
) -> None:
    letters = "".join(syllables)
    ways = split_syllables(letters, tables.syllables)
    assert len(ways) <= 8
    assert bool(ways) == bool(letters)
    assert all("".join(way) == letters and set(way) <= set(tables.syllables) for way in ways)
    assert list(ways) == sorted(set(ways), key=lambda way: (len(way), way))


def test_split_syllables_is_bounded(tables: Tables) -> None:
    assert len(split_syllables("xian" * 50, tables.syllables)) == 8
    assert split_syllables("xian" * 50 + "q", tables.syllables) == ()
