from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_shard.lattice import SPOKEN, Phrase, Query, Word
from search_shard.match import Late
from search_shard.ranking import key_of
from search_shard.search import Ask, rank
from search_shard.shard import Shard
from search_shard.tables import Tables
from search_shard.written import written
from tests.unit.search_shard.pages import never, page, segment_of

SOUNDS = ("su", "zhou", "zhong", "chong", "yue", "le")
LETTERS = "苏素州舟重虫乐"
TWO = Phrase("pinyin", SPOKEN * 2, (("su",), ("zhou",)))
TEXTS = ["苏州苏州", "苏州素舟", "素舟", "苏州", "重乐"]


@st.composite
def spoken(draw: st.DrawFn) -> Phrase:
    size = draw(st.integers(2, 4))
    said = [draw(st.one_of(st.none(), st.sampled_from(SOUNDS))) for _ in range(size - 1)]
    said.insert(draw(st.integers(0, size - 1)), draw(st.sampled_from(SOUNDS)))
    text = "".join(SPOKEN if one else draw(st.sampled_from(LETTERS)) for one in said)
    return Phrase("pinyin", text, tuple((one,) if one else () for one in said))


@settings(max_examples=80, deadline=None)
@given(st.lists(st.text(LETTERS, max_size=16), min_size=1, max_size=5), spoken())
def test_every_word_is_told_with_its_pages(
    tables: Tables, texts: list[str], phrase: Phrase
) -> None:
    size = len(phrase.text)

    def is_meant(word: str) -> bool:
        each = zip(word, phrase.text, phrase.sounds, strict=True)
        return all(
            {*sounds} & {*tables.readings(one)} if typed == SPOKEN else one == typed
            for one, typed, sounds in each
        )

    segments = [segment_of([page(text, str(n))], tables) for n, text in enumerate(texts)]
    pages = {
        word: sum(word in other for other in texts)
        for text in texts
        for word in (text[at : at + size] for at in range(len(text) - size + 1))
        if is_meant(word)
    }
    told = written(segments, [phrase], [None] * len(segments), never)
    meant = sorted((-count, word) for word, count in pages.items())[:16]
    assert told[phrase] == [(word, -count) for count, word in meant]


def test_only_pages_that_are_allowed_count(tables: Tables) -> None:
    segment = segment_of([page(text, seq=n) for n, text in enumerate(TEXTS)], tables)
    hidden = np.array([True, False, True, False, True])
    assert written([segment], [TWO], [None], never) == {TWO: [("苏州", 3), ("素舟", 2)]}
    assert written([segment], [TWO], [hidden], never) == {TWO: [("素舟", 1), ("苏州", 1)]}


def test_the_likeliest_word_first_and_heads_before_it_however_batched(tables: Tables) -> None:
    pages = [page(text, str(n)) for n, text in enumerate(TEXTS)]
    pages.append(page("山", "9", title="素州"))
    query = Query("", (Word("su zhou", (TWO,)),), ("0",))
    whole = Shard((segment_of(pages, tables),))
    parts = Shard(tuple(segment_of([one], tables) for one in pages))
    listed = [
        [key_of(shard, one) for one in rank(shard, query, Ask()).best] for shard in (whole, parts)
    ]
    assert listed[0] == listed[1]
    assert [item for _, _, item, _ in listed[0]] == ["9", "0", "3", "1", "2"]


def test_titles_alone_and_long_phrases_are_not_told(tables: Tables) -> None:
    segment = segment_of([page("苏州" * 5)], tables)
    long = Phrase("pinyin", SPOKEN * 5, (("su",),) * 5)
    in_title = Phrase("pinyin", SPOKEN * 2, TWO.sounds, "title")
    assert written([segment], [long, in_title, Phrase("typed", "苏州")], [None], never) == {}


def test_time_over(tables: Tables) -> None:
    segment = segment_of([page("苏州苏州")], tables)
    three = Phrase("pinyin", SPOKEN * 3, (("su",), ("zhou",), ("su",)))
    with pytest.raises(Late):
        written([segment], [three], [None], lambda: True)
