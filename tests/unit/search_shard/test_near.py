from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_shard.lattice import NEAR, NEAR_LENGTHS, Phrase
from search_shard.match import Late
from search_shard.near import corrections, looking, sounding
from search_shard.segment import Segment
from search_shard.tables import Tables
from search_shard.trace import SILENT
from tests.unit.search_shard.pages import never, page, segment_of

LETTERS = "苏素州洲舟虎丘兵秋山己已巳"


def words(segment: Segment, text: str, near: tuple[str, ...] = NEAR) -> dict[str, str]:
    """Corrected word → rule."""
    points, codes = segment.arrays["points"].tolist(), segment.arrays["codes"].tolist()
    names = {code: chr(point) for point, code in zip(points, codes, strict=True)}
    given = corrections(segment, Phrase("typed", text, near=near), never, SILENT)
    return {"".join(names[code] for code in one.codes): one.rule for one in given}


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.text(LETTERS, max_size=30), min_size=1, max_size=4),
    st.text(LETTERS, min_size=2, max_size=6),
)
def test_every_word_with_one_other_character_is_given(
    tables: Tables, texts: list[str], typed: str
) -> None:
    segment = segment_of([page(text, seq=seq) for seq, text in enumerate(texts)], tables)
    given = words(segment, typed)
    for other, rule in given.items():
        (at,) = (n for n, pair in enumerate(zip(typed, other, strict=True)) if len(set(pair)) > 1)
        alike = set(tables.alike_to(typed[at])) if rule == "shape" else set()
        heard = set(tables.readings(typed[at])) & set(tables.readings(other[at]))
        assert heard if rule == "sound" else other[at] in alike
    standing = {
        text[at : at + len(typed)] for text in texts for at in range(len(text) - len(typed) + 1)
    }
    for other in standing:
        wrong = [n for n, pair in enumerate(zip(typed, other, strict=True)) if len(set(pair)) > 1]
        if len(wrong) != 1:
            continue
        (at,) = wrong
        heard = set(tables.readings(typed[at])) & set(tables.readings(other[at]))
        if heard:
            assert given[other] == "sound"
        elif other[at] in tables.alike_to(typed[at]):
            assert given[other] == "shape"
        else:
            assert other not in given


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
    segment = segment_of([page("蘇州" * 20)], tables)
    assert words(segment, "素") == {}
    assert words(segment, "素州" + "苏州" * (NEAR_LENGTHS[-1] // 2)) == {}
    spoken = Phrase("pinyin", "\0州", (("su",), ()), near=NEAR)
    assert list(corrections(segment, spoken, never, SILENT)) == []


def test_what_sounds_or_looks_alike_here(tables: Tables) -> None:
    segment = segment_of([page("蘇素塑虎a")], tables)
    assert sounding(segment, "苏").tolist() == sorted(segment.codes("苏素塑"))
    assert sounding(segment, "a").tolist() == []
    assert set(looking(segment, "素").tolist()) <= set(segment.codes("苏塑虎"))


def test_a_passed_deadline_is_heard(tables: Tables) -> None:
    segment = segment_of([page("蘇州")], tables)
    with pytest.raises(Late):
        list(corrections(segment, Phrase("typed", "素州", near=NEAR), lambda: True, SILENT))
