from __future__ import annotations

import random
from itertools import count

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_shard import match
from search_shard.lattice import SPOKEN, Phrase
from search_shard.match import (
    Found,
    Late,
    Sounds,
    candidates,
    cells_of,
    find,
    find_heads,
    lists_of_codes,
    scan,
    sounds_of,
)
from search_shard.segment import Segment
from search_shard.tables import Tables
from search_shard.trace import SILENT
from tests.unit.search_shard.pages import never, page, segment_of

LETTERS = "苏州虎丘山寺"


def typed(text: str, *sounds: tuple[str, ...], rule: str = "typed") -> Phrase:
    return Phrase(rule, text, sounds)


def look(segment: Segment, phrase: Phrase) -> dict[int, int]:
    """Document → how often."""
    cells = cells_of(segment, phrase)
    if not cells:
        return {}
    found = find(segment, phrase, cells, never, SILENT)
    return dict(zip(found.documents.tolist(), found.counts.tolist(), strict=True))


def overlapping(text: str, pattern: str) -> int:
    return sum(text.startswith(pattern, at) for at in range(len(text)))


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.text(LETTERS, max_size=40), min_size=1, max_size=6),
    st.text(LETTERS, min_size=1, max_size=5),
)
def test_phrases_are_found_and_counted_exactly(
    tables: Tables, texts: list[str], pattern: str
) -> None:
    segment = segment_of([page(text, seq=seq) for seq, text in enumerate(texts)], tables)
    often = {seq: overlapping(text, pattern) for seq, text in enumerate(texts)}
    wanted = {seq: many for seq, many in often.items() if many}
    assert look(segment, typed(pattern)) == wanted
    spoken = tuple(tables.readings(character)[:1] for character in pattern)
    assert look(segment, typed(SPOKEN * len(pattern), *spoken)) == wanted  # none sounds like others
    mixed = typed(SPOKEN + pattern[1:], spoken[0], *((),) * (len(pattern) - 1))
    assert look(segment, mixed) == wanted


def test_frequent_phrases_by_lists_of_longer_runs(
    tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    dice = random.Random(3)
    texts = ["".join(dice.choices(LETTERS, (9, 9, 4, 4, 1, 1), k=40)) for _ in range(1500)]
    segment = segment_of([page(text, seq=seq) for seq, text in enumerate(texts)], tables)
    assert len(segment.levels[0].common) > 3
    for size in (2, 3, 4, 6):
        for pattern in {"".join(dice.choices(LETTERS[:4], k=size)) for _ in range(12)}:
            often = {seq: overlapping(text, pattern) for seq, text in enumerate(texts)}
            wanted = {seq: many for seq, many in often.items() if many}
            assert look(segment, typed(pattern)) == wanted, pattern
            codes = segment.codes(pattern)
            if size == 3:
                monkeypatch.setattr(match, "COMMON_PAGES", 10**6)  # by pairs: verified
                assert look(segment, typed(pattern)) == wanted
                monkeypatch.undo()
            lists = lists_of_codes(segment, codes)
            left = candidates(lists)
            assert left is not None
            assert set(wanted) <= set(left.tolist())


def test_a_reading_beyond_the_first_is_found(tables: Tables) -> None:
    segment = segment_of([page("重修"), page("中修", seq=1), page("虫修", seq=2)], tables)
    assert set(look(segment, typed(SPOKEN * 2, ("chong",), ("xiu",)))) == {0, 2}
    assert set(look(segment, typed(SPOKEN * 2, ("zhong",), ("xiu",)))) == {0, 1}
    assert set(look(segment, typed(SPOKEN, ("chong",)))) == {0, 2}
    assert set(look(segment, typed(SPOKEN + "修", ("chong", "zhong"), ()))) == {0, 1, 2}


def test_what_has_no_reading_stands_beside_what_is_spoken(tables: Tables) -> None:
    segment = segment_of([page("第3州"), page("第州", seq=1), page("𠮷3舟", seq=2)], tables)
    assert set(look(segment, typed("3" + SPOKEN, (), ("zhou",)))) == {0, 2}
    assert set(look(segment, typed(SPOKEN + "3", ("di",), ()))) == {0}


def test_sounds_are_ranges_that_agree_with_their_mask(tables: Tables) -> None:
    segment = segment_of([page("重中種蟲崇沖乐岳月")], tables)
    for syllables in (("zhong",), ("chong", "yue"), ("le",)):
        sounds = sounds_of(segment, syllables)
        listed = sorted({code for low, high in sounds.ranges for code in range(low, high)})
        assert np.flatnonzero(sounds.mask).tolist() == listed
        assert all(low < high for low, high in sounds.ranges)
    assert sounds_of(segment, ("su", "nonsense")).ranges == ()


def test_a_character_or_sound_that_is_nowhere_leaves_no_cells(tables: Tables) -> None:
    segment = segment_of([page("蘇州")], tables)
    assert cells_of(segment, typed("苏无")) == []
    assert cells_of(segment, typed(SPOKEN, ("hu",))) == []
    assert len(cells_of(segment, typed("苏" + SPOKEN, (), ("zhou",)))) == 2
    assert len(cells_of(segment, typed("蘇", rule="literal"))) == 1


@settings(max_examples=60, deadline=None)
@given(st.text("苏州虎丘", max_size=20), st.lists(st.text("苏州虎丘", min_size=1), max_size=3))
def test_scanning_finds_every_place(tables: Tables, text: str, allowed: list[str]) -> None:
    segment = segment_of([page("苏州虎丘" + text)], tables)
    words = np.array(segment.codes(text), np.uint16)
    cells = []
    for some in allowed:
        mask = np.zeros(len(segment.homes), bool)
        mask[segment.codes(some)] = True
        ranges = tuple((code, code + 1) for code in sorted(set(segment.codes(some))))
        cells.append(Sounds(ranges, mask, ()))
    if not cells:
        return
    wanted = [
        at
        for at in range(len(text) - len(cells) + 1)
        if all(text[at + n] in some for n, some in enumerate(allowed))
    ]
    assert scan(words, cells).tolist() == wanted


def test_heads_are_told_apart_from_each_other_and_from_text(tables: Tables) -> None:
    pages = [page("虎丘", str(n), title="虎丘志", section="山寺") for n in range(80)]
    pages += [page("之", "x", section="虎丘"), page("山寺", "y", title="太湖")]
    segment = segment_of(pages, tables)
    for text, titled, headed in (
        ("虎丘", 80, 1), ("虎丘志", 80, 0), ("山寺", 0, 80), ("志山", 0, 0), ("太", 1, 0),
        ("太湖", 1, 0), ("丘", 80, 1), ("湖山", 0, 0),
    ):  # fmt: skip
        phrase = typed(text)
        found = find_heads(segment, phrase, cells_of(segment, phrase))
        assert tuple(map(len, found)) == (titled, headed), text
    initials = typed(SPOKEN * 2, ("tai", "tong"), ("hu",))
    assert [len(some) for some in find_heads(segment, initials, cells_of(segment, initials))] == [
        1,
        0,
    ]


def test_a_passed_deadline_stops_every_search_that_takes_long(tables: Tables) -> None:
    segment = segment_of([page("蘇州府志虎丘" * 50, seq=seq) for seq in range(3)], tables)
    for phrase in (
        typed("苏州府志"),
        typed(SPOKEN * 3, ("su",), ("zhou",), ("fu",)),
        typed(SPOKEN, ("su",)),
        typed("蘇州府", rule="literal"),
    ):
        with pytest.raises(Late):
            find(segment, phrase, cells_of(segment, phrase), lambda: True, SILENT)
    turn = count()
    phrase = typed("苏州府志")
    found = find(segment, phrase, cells_of(segment, phrase), lambda: next(turn) > 0, SILENT)
    assert isinstance(found, Found)
