from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import DecodeError, Rejected
from protocol.limits import QUERY_CHARS_MAX, REQUEST_BYTES_MAX
from protocol.shapes import pack, unpack
from search_shard.query import (
    NEAR,
    PHRASES_MAX,
    WHYS,
    WORDS_MAX,
    Cell,
    Choice,
    Phrase,
    Query,
    Word,
    check_query,
    parse_query,
)
from search_shard.tables import Tables

REFUSED = {
    "": "at least one character to look for, got ''",
    "  \n\u3000": "at least one character to look for",
    "，。！《》……": "at least one character to look for",
    "\u200b\u0301": "at least one character to look for",
    "蘇" * 10_000: "at most 300 characters, got 10000",
    "\ud840": "text, got half of a surrogate pair",
    "一 " * 50: "at most 12 words, got 50",
}


def whys(query: Query) -> list[list[list[str]]]:
    """Of each phrase of the first word, the reasons each cell allows."""
    return [
        [[choice.why for choice in cell.choices] for cell in phrase.cells]
        for phrase in query.words[0].phrases
    ]


def syllables(query: Query, word: int = 0) -> list[list[str]]:
    """The spelled phrases of a word, cell by cell."""
    return [
        [cell.choices[0].syllables[0] for cell in phrase.cells]
        for phrase in query.words[word].phrases
        if not phrase.titles_only and all(cell.choices[0].why == "pinyin" for cell in phrase.cells)
    ]


@pytest.mark.parametrize("typed", REFUSED)
def test_refused_queries_say_why(tables: Tables, typed: str) -> None:
    with pytest.raises(Rejected) as refusal:
        parse_query(typed, "auto", tables)
    assert str(refusal.value).startswith(f"query: expected {REFUSED[typed]}")
    assert len(str(refusal.value)) < 100


def test_an_unknown_mode_is_refused(tables: Tables) -> None:
    with pytest.raises(Rejected, match="search mode: expected auto or exact or pinyin, got 'f'"):
        parse_query("苏州", "f", tables)


@pytest.mark.parametrize("typed", ["州", "𠮷", "😀", "a", "1", "〓"])
def test_one_character_is_asked_as_it_is(tables: Tables, typed: str) -> None:
    cells = parse_query(typed, "auto", tables).words[0].phrases[0].cells
    assert [[c.why for c in cell.choices] for cell in cells] == [["exact", "variant"]]
    assert cells[0].choices[0].chars == typed


def test_modes_allow_what_they_say(tables: Tables) -> None:
    assert whys(parse_query("苏州", "exact", tables)) == [[["exact"], ["exact"]]]
    auto = ["exact", "variant", "sound", "shape"]
    assert whys(parse_query("苏州", "auto", tables)) == [[auto, auto]]
    literal, heard = ["exact", "variant"], ["pinyin"]
    assert whys(parse_query("苏州", "pinyin", tables)) == [[literal, literal], [heard, heard]]
    assert whys(parse_query("suzhou", "exact", tables)) == [[["exact"]] * 6]
    assert whys(parse_query("〓州", "pinyin", tables)) == [[literal, literal]]


@pytest.mark.parametrize(("length", "near"), [(1, False), (2, True), (12, True), (13, False)])
def test_wrong_characters_are_for_words_of_usual_length(
    tables: Tables, length: int, near: bool
) -> None:
    phrase = parse_query("州" * length, "auto", tables).words[0].phrases[0]
    assert any(c.why in NEAR for cell in phrase.cells for c in cell.choices) == near


@pytest.mark.parametrize(
    ("typed", "spelled"),
    [
        ("suzhou", ["su", "zhou"]),
        ("Su1zhou1", ["su", "zhou"]),
        ("sū zhōu", ["su", "zhou"]),
        ("su zhou", ["su", "zhou"]),
        ("su'zhou", ["su", "zhou"]),
        ("ｓｕ zhou", ["su", "zhou"]),
        ("lǜ", ["lv"]),
        ("nü", ["nv"]),
    ],
)
def test_spelled_words(tables: Tables, typed: str, spelled: list[str]) -> None:
    query = parse_query(typed, "auto", tables)
    assert len(query.words) == 1
    assert spelled in syllables(query)


def test_an_ambiguous_spelling_is_read_both_ways(tables: Tables) -> None:
    assert syllables(parse_query("xian", "auto", tables)) == [["xian"], ["xi", "an"]]


def test_letters_are_initials_in_titles_only(tables: Tables) -> None:
    phrases = parse_query("szfz", "auto", tables).words[0].phrases
    last = phrases[-1]
    assert last.titles_only
    assert all("su" in last.cells[0].choices[0].syllables for _ in "s")
    assert all(s.startswith("f") for s in last.cells[2].choices[0].syllables)
    for typed in ("s", "sz1", "苏z", "s" * 13):
        phrases = parse_query(typed, "auto", tables).words[0].phrases
        assert not any(phrase.titles_only for phrase in phrases), typed


def test_characters_and_letters_mix(tables: Tables) -> None:
    mixed = parse_query("苏zhou府", "auto", tables).words[0].phrases[1]
    first = [cell.choices[0] for cell in mixed.cells]
    assert [choice.why for choice in first] == ["exact", "pinyin", "exact"]
    assert first[1].syllables == ("zhou",)


def test_words_are_what_spaces_part_and_punctuation_does_not(tables: Tables) -> None:
    query = parse_query(" 蘇州，府　虎丘 ， ", "exact", tables)
    read = ["".join(c.choices[0].chars for c in word.phrases[0].cells) for word in query.words]
    assert read == ["蘇州府", "虎丘"]


def test_an_apostrophe_or_a_chinese_word_ends_a_run_of_syllables(tables: Tables) -> None:
    query = parse_query("su zhou 虎丘 shan", "auto", tables)
    assert len(query.words) == 3
    assert ["su", "zhou"] in syllables(query)
    assert ["shan"] in syllables(query, 2)


LONG = [
    "之" * QUERY_CHARS_MAX,
    "xian" * 50,
    "zh" * 6,
    "a" * 200,
    "i" * 12,
    " ".join(["xianai"] * 12),
]


@pytest.mark.parametrize("typed", LONG)
@pytest.mark.parametrize("mode", ["auto", "pinyin", "exact"])
def test_the_largest_queries_are_within_bounds_and_fit_a_request(
    tables: Tables, typed: str, mode: str
) -> None:
    query = parse_query(typed, mode, tables)
    check_query(query)
    assert len(pack(query)) < REQUEST_BYTES_MAX


@settings(max_examples=50, deadline=None)
@given(st.text("苏蘇𠮷😀〓 ，\nsuzhoix1ü'é", max_size=14), st.sampled_from(["auto", "pinyin"]))
def test_whatever_is_typed_is_refused_or_travels(tables: Tables, typed: str, mode: str) -> None:
    try:
        query = parse_query(typed, mode, tables)
    except Rejected:
        return
    check_query(query)
    assert unpack(Query, pack(query), bytes_max=2**20, where="query") == query


PLAIN = Choice("exact", "苏", ())
OUT_OF_BOUNDS = {
    "words": Query("", "auto", ()),
    "more words": Query("", "auto", (Word((Phrase((Cell((PLAIN,)),), False),)),) * (WORDS_MAX + 1)),
    "phrases": Query("", "auto", (Word(()),)),
    "more phrases": Query(
        "", "auto", (Word((Phrase((Cell((PLAIN,)),), False),) * (PHRASES_MAX + 1)),)
    ),
}
PHRASES = {
    "cells": Phrase((), False),
    "more cells": Phrase((Cell((PLAIN,)),) * (QUERY_CHARS_MAX + 1), False),
    "choices": Phrase((Cell(()),), False),
    "more choices": Phrase((Cell((PLAIN,) * (len(WHYS) + 1)),), False),
    "characters": Phrase((Cell((replace(PLAIN, chars="苏" * 129),)),), False),
    "syllables": Phrase((Cell((replace(PLAIN, syllables=("su",) * 129),)),), False),
    "reasons": Phrase((Cell((replace(PLAIN, why="magic" * 99),)),), False),
}
OUT_OF_BOUNDS |= {what: Query("", "auto", (Word((p,)),)) for what, p in PHRASES.items()}


@pytest.mark.parametrize("what", OUT_OF_BOUNDS)
def test_a_strange_lattice_is_refused(what: str) -> None:
    with pytest.raises(DecodeError, match="query: expected") as refusal:
        check_query(OUT_OF_BOUNDS[what])
    assert len(str(refusal.value)) < 120
