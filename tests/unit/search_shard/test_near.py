from __future__ import annotations

import random
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_shard.blocks import Array
from search_shard.lattice import NEAR, NEAR_LENGTHS, Phrase
from search_shard.match import Late
from search_shard.near import (
    IN_HEADING,
    IN_TEXT,
    IN_TITLE,
    OTHER_PAGES,
    Corrections,
    corrections,
    is_correctable,
    open_places,
)
from search_shard.segment import Segment
from search_shard.tables import Tables
from search_shard.trace import SILENT
from tests.unit.search_shard.pages import never, page, segment_of

LETTERS = "苏素州洲舟虎丘兵秋山己已巳"
HEADS = (st.text(LETTERS, max_size=6),) * 2  # a title and a heading


def words(segment: Segment, text: str, near: tuple[str, ...] = NEAR) -> dict[str, str]:
    """Corrected word → rule."""
    found = corrected(segment, Phrase("typed", text, near=near))
    assert np.bincount(found.numbers, minlength=len(found.places)).all(), "each stands somewhere"
    return {
        text[:at] + segment.folded[code] + text[at + 1 :]: NEAR[rule]
        for at, code, rule in zip(
            *(column.tolist() for column in (found.places, found.codes, found.rules)), strict=True
        )
    }


def corrected(segment: Segment, phrase: Phrase, mask: Array | None = None) -> Corrections:
    """What the kernel says, or where there is none, the definition; they are the same."""
    anything = open_places([segment], phrase, [mask])
    ways = (segment, replace(segment, kernel=None))
    found, defined = (corrections(one, phrase, anything, mask, never, SILENT) for one in ways)
    for column in fields(Corrections):
        np.testing.assert_array_equal(getattr(found, column.name), getattr(defined, column.name))
    return found


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
    phrase = Phrase("typed", "🐯丘山", near=NEAR)
    few = np.zeros(segment.pages, bool)
    few[:OTHER_PAGES] = True
    assert open_places([segment], phrase, [few]) == {0, 2}
    assert open_places([segment], phrase, [None]) == {2}  # 🐯丘 is nowhere
    # the pages of a shard, however batched
    assert open_places([segment, segment], phrase, [few, few]) == {2}


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.text(LETTERS, max_size=20), *HEADS), min_size=1, max_size=6),
    st.text(LETTERS + "🐯", min_size=2, max_size=5),
    st.sampled_from(["", "title", "heading"]),
    st.frozensets(st.integers(0, 5)),
)
def test_titles_headings_and_texts_of_what_is_allowed(
    tables: Tables,
    library: list[tuple[str, str, str]],
    typed: str,
    scope: str,
    shown: frozenset[int],
) -> None:
    pages = [
        page(text, seq=n, title=title, section=section)
        for n, (text, title, section) in enumerate(library)
    ]
    segment = segment_of(pages, tables)
    mask = np.array([n in shown for n in range(segment.pages)])
    phrase = Phrase("typed", typed, near=NEAR, scope=scope)
    everywhere, found = corrected(segment, phrase), corrected(segment, phrase, mask)
    allowed = mask[everywhere.documents]
    counts = np.bincount(everywhere.numbers[allowed], minlength=len(everywhere.places))
    if np.array_equal(found.numbers, everywhere.numbers):  # as many places were open
        np.testing.assert_array_equal(found.pages, counts)
    if scope:
        assert not (found.fields & (IN_TEXT | (IN_HEADING if scope == "title" else IN_TITLE))).any()


def test_many_pages_with_what_is_left(tables: Tables) -> None:
    """Lists of every kind: documents that are read, like characters that are looked for in them,
    long lists, common runs of three."""
    dice = random.Random(3)
    runs = 2 * ["苏州府志", "素州府志", "苏洲府学", "虎丘山寺", "虎兵山寺", "虎秋", "山寺"]
    texts = ["".join(dice.choices([*runs, *LETTERS], k=dice.randint(3, 16))) for _ in range(1500)]
    segment = segment_of([page(text, seq=n) for n, text in enumerate(texts)], tables)
    assert len(segment.levels[2].common), "runs of four"
    for typed in ("虎球", "苏粥", "州府制", "粥府志", "州富志", "素周府志", "虎丘衫寺", "丘山士"):
        assert len(corrected(segment, Phrase("typed", typed, near=NEAR)).numbers), typed


def test_a_passed_deadline_is_heard(tables: Tables) -> None:
    segment = segment_of([page("蘇州")], tables)
    for one in (segment, replace(segment, kernel=None)):
        with pytest.raises(Late):
            corrections(
                one,
                Phrase("typed", "素州", near=NEAR),
                frozenset(),
                None,
                lambda: True,
                SILENT,
            )
