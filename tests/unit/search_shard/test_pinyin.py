from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_shard.lattice import SPOKEN, SYLLABLES_MAX
from search_shard.parse import Rules
from search_shard.pinyin import Spelled
from search_shard.tables import Tables


@pytest.fixture(scope="module")
def rules(tables: Tables) -> Rules:
    return Rules(tables)


def shown(ways: list[Spelled]) -> list[str]:
    """su zhou 府; initials as their letters, s* z*."""
    return [
        " ".join(
            character if character != SPOKEN else sounds[0] if len(sounds) == 1 else common(sounds)
            for character, sounds in zip(*way, strict=True)
        )
        for way in ways
    ]


def common(sounds: tuple[str, ...]) -> str:
    size = 2 if len({sound[:2] for sound in sounds}) == 1 else 1
    assert len({sound[:size] for sound in sounds}) == 1
    return sounds[0][:size] + "*"


SPELLED = {
    "suzhou": ["su zhou"],
    "Su1zhou1": ["su zhou"],
    "sūzhōu": ["su zhou"],
    "su'zhou": ["su zhou"],
    "ｓｕzhou": ["su zhou"],
    "xian": ["xian", "xi an"],
    "xi'an": ["xi an"],
    "xī’ān": ["xi an"],
    "fangan": ["fan gan", "fang an"],
    "lǜ": ["lv"],
    "nü": ["nv"],
    "lv4": ["lv"],
    "lu:4": ["lv"],
    "NU:er": ["nv er"],
    "lyu": ["lv"],
    "lue": ["lve", "lu e"],
    "苏zhou": ["苏 zhou"],
    "su州": ["su 州"],
    "苏zhou府zhi": ["苏 zhou 府 zhi"],
    "蘇zhou": ["苏 zhou"],
    "suzhou1949": ["su zhou 1 9 4 9"],
    "zhi2 1": ["zhi 1"],
    "zh": [],
    "suzhoux": [],
    "kr0001": [],
    "v": [],
    "苏州": [],
    "1949": [],
    "": [],
}


@pytest.mark.parametrize("typed", SPELLED)
def test_letters_are_read_as_syllables(rules: Rules, typed: str) -> None:
    assert shown(rules.speller.spelled(typed, rules.fold, 8)) == SPELLED[typed]


INITIALS = {
    "szfz": ["s* z* f* z*"],
    "zh": ["z* h*"],
    "szh": ["s* z* h*", "s* zh*"],
    "shsh": ["s* h* s* h*", "sh* sh*"],
    "苏z志": ["苏 z* 志"],
    "SZ": ["s* z*"],
    "s": [],
    "u": [],
    "sv": [],
    "sz1": [],
    "苏州": [],
    "s" * 13: [],
}


@pytest.mark.parametrize("typed", INITIALS)
def test_letters_are_read_as_initials(rules: Rules, typed: str) -> None:
    ways = rules.speller.initials(typed, rules.fold)
    assert shown(ways) == INITIALS[typed]
    assert all(len(sounds) <= SYLLABLES_MAX for _, each in ways for sounds in each)


def test_one_syllable_is_told_from_more(rules: Rules) -> None:
    for typed in ("su", "Zhōu", "su1", "lü", "lǜ4", "ａ", "lu:"):
        assert rules.speller.is_syllable(typed), typed
    for typed in ("suzhou", "苏", "zh", "", "1", "su，", "，"):
        assert not rules.speller.is_syllable(typed), typed


def test_ways_are_bounded(rules: Rules) -> None:
    assert len(rules.speller.spelled("xian" * 75, rules.fold, 8)) == 8
    assert len(rules.speller.spelled("xian苏" * 60, rules.fold, 8)) == 8
    assert rules.speller.spelled("zh" * 1000, rules.fold, 8) == []


@settings(max_examples=200, deadline=None)
@given(typed=st.text("suzhoxinale 苏蘇'’1５üǜ:é한ﷺ\0", max_size=12))
def test_every_way_has_a_character_or_sounds_at_each_position(rules: Rules, typed: str) -> None:
    for text, sounds in rules.speller.spelled(typed, rules.fold, 8):
        assert len(text) == len(sounds) > 0
        for character, heard in zip(text, sounds, strict=True):
            assert (character == SPOKEN) == bool(heard)
            assert rules.speller.is_syllable(heard[0]) if heard else rules.fold(character)
