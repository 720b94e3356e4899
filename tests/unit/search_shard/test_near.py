from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_shard.lattice import NEAR, NEAR_LENGTHS, Phrase
from search_shard.match import Late
from search_shard.near import (
    OTHER_PAGES,
    Corrections,
    Typed,
    corrections,
    is_correctable,
    open_places,
    typed_in,
)
from search_shard.segment import Segment
from search_shard.tables import Tables
from search_shard.trace import SILENT
from tests.unit.search_shard.pages import never, page, segment_of

LETTERS = "苏素州洲舟虎丘兵秋山己已巳"


def words(segment: Segment, text: str, near: tuple[str, ...] = NEAR) -> dict[str, str]:
    """Corrected word → rule."""
    given = corrected(typed_in(segment, Phrase("typed", text, near=near)))
    rows = (given.texts, given.titles, given.headings)
    standing = {number for each in rows for number in each.numbers.tolist()}
    return {
        text[: one.at] + one.character + text[one.at + 1 :]: one.rule
        for number, one in enumerate(given.words)
        if number in standing
    }


def corrected(typed: Typed) -> Corrections:
    return corrections(typed, open_places([typed], [None]), never, SILENT)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.text(LETTERS, max_size=30), min_size=1, max_size=4),
    st.text(LETTERS, min_size=2, max_size=6),
)
def test_every_word_with_one_other_character_is_given(
    tables: Tables, texts: list[str], typed: str
) -> None:
    segment = segment_of([page(text, seq=seq) for seq, text in enumerate(texts)], tables)
    standing = {
        text[at : at + len(typed)] for text in texts for at in range(len(text) - len(typed) + 1)
    }
    meant = {}
    for other in standing:
        wrong = [n for n, pair in enumerate(zip(typed, other, strict=True)) if len(set(pair)) > 1]
        if len(wrong) == 1:
            (at,) = wrong
            heard = set(tables.every_reading(typed[at])) & set(tables.every_reading(other[at]))
            if heard:
                meant[other] = "sound"
            elif other[at] in tables.alike_to(typed[at]):
                meant[other] = "shape"
            elif len(typed) > 3 or (len(typed) == 3 and at != 1):
                meant[other] = "other"
    given = words(segment, typed)
    assert {other: given.get(other) for other in meant} == meant
    assert all(given[other] in ("sound", "shape") for other in given.keys() - meant.keys())


@pytest.mark.parametrize(
    ("typed", "meant", "rule"),
    [
        ("虎丘龜寺", "虎丘山寺", "other"),
        ("虎丘🐯寺", "虎丘山寺", "other"),  # a character that is nowhere here
        ("虎丘龜", "虎丘山", "other"),
        ("龜丘山", "虎丘山", "other"),
        ("潜隆", "干隆", "sound"),  # 乾 is read qian
        ("路合", "六合", "sound"),  # as Jiangsu says
    ],
)
def test_any_other_character_and_any_reading(
    tables: Tables, typed: str, meant: str, rule: str
) -> None:
    segment = segment_of([page("虎丘山寺於乾隆年間又至六合縣")], tables)
    assert words(segment, tables.fold(typed))[meant] == rule


def test_any_other_character_takes_half_of_the_word_as_typed(tables: Tables) -> None:
    segment = segment_of([page("虎丘山", title="蘇州府學")], tables)
    assert words(segment, "虎龙") == words(segment, "虎龙山") == words(segment, "苏州龙学") == {}


def test_only_the_ways_that_the_phrase_allows(tables: Tables) -> None:
    segment = segment_of([page("虎丘蘇州")], tables)
    assert words(segment, "虎兵") == {"虎丘": "shape"}
    assert words(segment, "虎兵", ("sound",)) == {}
    assert words(segment, "素州", ("sound",)) == {"苏州": "sound"}
    assert words(segment, "素州", ("shape",)) == {}
    assert words(segment, "素州", ()) == {}


def test_a_character_that_is_nowhere_is_the_wrong_one(tables: Tables) -> None:
    segment = segment_of([page("蘇州虎丘")], tables)
    assert words(segment, "塑州") == {"苏州": "sound"}
    assert words(segment, "塑舟") == {}  # two that are nowhere


def test_words_too_short_or_too_long_and_spoken_ones_have_none(tables: Tables) -> None:
    for size in (NEAR_LENGTHS[0] - 1, NEAR_LENGTHS[-1] + 1):
        assert not is_correctable(Phrase("typed", "州" * size, near=NEAR))
    assert is_correctable(Phrase("typed", "苏州", near=("sound",)))
    assert not is_correctable(Phrase("typed", "苏州"))
    assert not is_correctable(Phrase("pinyin", "\0州", (("su",), ()), near=NEAR))


def test_any_other_character_only_beside_what_few_pages_have(tables: Tables) -> None:
    texts = ["虎丘山寺"] + ["丘山"] * OTHER_PAGES
    segment = segment_of([page(text, seq=seq) for seq, text in enumerate(texts)], tables)
    assert words(segment, "虎丘山🐯") == {"虎丘山寺": "other"}  # 虎丘 is rare
    assert words(segment, "🐯丘山") == {}
    typed = typed_in(segment, Phrase("typed", "🐯丘山", near=NEAR))
    few = np.zeros(segment.pages, bool)
    few[:OTHER_PAGES] = True
    assert open_places([typed], [few]) == {0, 2}
    assert open_places([typed], [None]) == {2}  # 🐯丘 is nowhere
    assert open_places([typed, typed], [few, few]) == {2}  # the pages of a shard, however batched


def test_a_passed_deadline_is_heard(tables: Tables) -> None:
    segment = segment_of([page("蘇州")], tables)
    with pytest.raises(Late):
        corrections(
            typed_in(segment, Phrase("typed", "素州", near=NEAR)), frozenset(), lambda: True, SILENT
        )
