from __future__ import annotations

from dataclasses import replace

import pytest

from protocol.errors import DecodeError
from protocol.limits import QUERY_CHARS_MAX
from search_shard.lattice import (
    FILTER_VALUES_MAX,
    FILTERS_MAX,
    NOTE_CHARS_MAX,
    NOTES_MAX,
    PHRASES_MAX,
    SPOKEN,
    SYLLABLES_MAX,
    TYPED_CHARS_MAX,
    WEIGHT_MAX,
    WORDS_MAX,
    YEAR_MAX,
    Filter,
    Note,
    Phrase,
    Query,
    Word,
    check_query,
)

TYPED = Phrase("typed", "苏州", near=("sound", "shape"))
SPOKEN_PHRASE = Phrase("pinyin", f"苏{SPOKEN}", ((), ("zhou",)))
WORD = Word("苏州", (TYPED, SPOKEN_PHRASE))
NOTE = Note("place", "姑苏", "苏州")
KIND = Filter("kind", ("旧志",))
QUERY = Query("苏州 虎丘", (WORD, WORD), ("0", "1", "and"), (KIND,))


def asked(*phrases: Phrase) -> Query:
    return Query("", (Word("", phrases),), ("0",))


STRANGE = {
    "nothing": Query("", (), ()),
    "a plan of nothing": replace(QUERY, words=()),
    "many words": replace(QUERY, words=(WORD,) * (WORDS_MAX + 1)),
    "no plan": replace(QUERY, plan=()),
    "an unjoined word": replace(QUERY, plan=("0", "1")),
    "a join of one": replace(QUERY, plan=("0", "not")),
    "a join of nothing": replace(QUERY, plan=("and",)),
    "an unknown word": replace(QUERY, plan=("0", "2", "and")),
    "an unknown step": replace(QUERY, plan=("0", "1", "xor" * 99)),
    "a number spelled otherwise": replace(QUERY, plan=("0", "01", "and")),
    "a long plan": replace(QUERY, plan=("0", *("0", "or") * WORDS_MAX)),
    "many filters": replace(QUERY, filters=(KIND,) * (FILTERS_MAX + 1)),
    "many values": replace(QUERY, filters=(Filter("kind", ("",) * (FILTER_VALUES_MAX + 1)),)),
    "a long value": replace(QUERY, filters=(Filter("kind", ("志" * (QUERY_CHARS_MAX + 1),)),)),
    "a year far off": replace(QUERY, filters=(Filter("span", (), 1911, YEAR_MAX + 1),)),
    "a year before all": replace(QUERY, filters=(Filter("span", (), -1, 1911),)),
    "a long text": replace(QUERY, text="苏" * (QUERY_CHARS_MAX + 1)),
    "a long word": replace(QUERY, words=(WORD, replace(WORD, typed="苏" * (TYPED_CHARS_MAX + 1)))),
    "many notes": replace(QUERY, notes=(NOTE,) * (NOTES_MAX + 1)),
    "a note of a long word": replace(QUERY, notes=(Note("place", "苏" * 301, ""),)),
    "a long note": replace(QUERY, notes=(Note("place", "", "苏" * (NOTE_CHARS_MAX + 1)),)),
    "a note of an unknown rule": replace(QUERY, notes=(Note("magic", "", ""),)),
    "a long syllable": asked(replace(SPOKEN_PHRASE, sounds=((), ("zhuangzhu",)))),
    "an empty syllable": asked(replace(SPOKEN_PHRASE, sounds=((), ("",)))),
    "an unknown field": replace(QUERY, filters=(Filter("magic" * 99, ()),)),
    "no phrases": asked(),
    "many phrases": asked(*(TYPED,) * (PHRASES_MAX + 1)),
    "a heavy word": replace(QUERY, words=(WORD, replace(WORD, weight=WEIGHT_MAX + 1))),
    "an unknown rule": asked(replace(TYPED, rule="sound")),
    "an unknown scope": asked(replace(TYPED, scope="page")),
    "an unknown way to be wrong": asked(replace(TYPED, near=("typed",))),
    "many ways to be wrong": asked(replace(TYPED, near=("sound",) * 4)),
    "no characters": asked(Phrase("typed", "")),
    "many characters": asked(Phrase("typed", "苏" * (QUERY_CHARS_MAX + 1))),
    "sounds without a place": asked(replace(TYPED, sounds=((), ("zhou",)))),
    "a place without sounds": asked(replace(SPOKEN_PHRASE, sounds=((), ()))),
    "fewer sounds": asked(replace(SPOKEN_PHRASE, sounds=(("zhou",),))),
    "many sounds": asked(replace(SPOKEN_PHRASE, sounds=((), ("a",) * (SYLLABLES_MAX + 1)))),
}


def test_a_lattice_within_bounds_is_taken() -> None:
    check_query(QUERY)
    check_query(Query("", (), (), (KIND,)))
    check_query(replace(QUERY, notes=(NOTE,) * NOTES_MAX))
    check_query(replace(QUERY, plan=("0", *("0", "or") * (WORDS_MAX - 1))))


@pytest.mark.parametrize("what", STRANGE)
def test_a_strange_lattice_is_refused(what: str) -> None:
    with pytest.raises(DecodeError, match=r"query.*: expected") as refusal:
        check_query(STRANGE[what])
    assert len(str(refusal.value)) < 200
