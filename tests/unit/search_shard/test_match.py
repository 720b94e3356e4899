from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from search_shard.query import Choice, Phrase, parse_query

from search_shard import match
from search_shard.match import (
    Late,
    asked,
    find_in_heads,
    find_phrase,
    keep_common,
    pair_list,
    resolve,
    scan,
    widened,
)
from search_shard.segment import Codes, Segment
from search_shard.tables import Tables
from tests.unit.search_shard.pages import never, page, segment_of


def cells_of(segment: Segment, *allowed: str) -> list[Codes]:
    """For each cell the codes of just these characters."""
    return [resolve(segment, [Choice("exact", characters, ())]) for characters in allowed]


def characters(segment: Segment, codes: Codes) -> set[str]:
    return {chr(point) for point in segment.arrays["chars"][codes.mask].tolist()}


def brute(texts: Sequence[str], allowed: Sequence[str]) -> dict[int, int]:
    """Document → in how many places the characters stand one after another."""
    counts: dict[int, int] = {}
    for document, text in enumerate(texts):
        starts = range(len(text) - len(allowed) + 1)
        here = sum(all(text[s + n] in a for n, a in enumerate(allowed)) for s in starts)
        counts |= {document: here} if here else {}
    return counts


def test_a_choice_is_its_characters_its_fold_or_its_sound(tables: Tables) -> None:
    segment = segment_of([page("蘇苏甦素粟州洲重")], tables)

    def allowed(*choices: Choice) -> set[str]:
        return characters(segment, resolve(segment, choices))

    assert allowed(Choice("exact", "苏", ())) == {"苏"}
    assert allowed(Choice("variant", "苏", ())) == set("苏蘇甦")
    assert allowed(Choice("pinyin", "", ("su",))) == set("苏蘇甦素粟")
    assert allowed(Choice("pinyin", "", ("chong",))) == {"重"}
    assert allowed(Choice("exact", "苏虎", ("zhou",))) == set("苏州洲")
    assert allowed(Choice("exact", "虎", ("nothing",))) == set()


def test_codes_are_disjoint_rising_ranges_that_agree_with_their_mask(tables: Tables) -> None:
    segment = segment_of([page("蘇苏甦素粟州洲重蘇")], tables)
    choices = [Choice("variant", "苏州", ()), Choice("pinyin", "", ("su", "chong"))]
    codes = resolve(segment, choices)
    edges = [edge for pair in codes.ranges for edge in pair]
    assert edges == sorted(set(edges))
    inside = [code for low, high in codes.ranges for code in range(low, high)]
    assert inside == np.flatnonzero(codes.mask).tolist()
    first_at = segment.arrays["first_at"]
    assert codes.weight == sum(int(first_at[c + 1]) - int(first_at[c]) for c in inside) > 0


def test_one_cell_at_a_time_is_widened(tables: Tables) -> None:
    segment = segment_of([page("苏州素洲山")], tables)
    phrase = parse_query("苏州", "auto", tables).words[0].phrases[0]
    cells = [asked(segment, cell) for cell in phrase.cells]
    assert [characters(segment, cell) for cell in cells] == [{"苏"}, {"州"}]
    wide = [
        [characters(segment, cell) for cell in way]
        for way in widened(segment, phrase, cells, "sound")
    ]
    assert wide == [[set("苏素"), {"州"}], [{"苏"}, set("州洲")]]
    assert not list(widened(segment_of([page("山")], tables), phrase, cells, "sound"))


@settings(max_examples=30, deadline=None)
@given(st.text("蘇州虎丘", max_size=30), st.lists(st.text("蘇州虎丘", max_size=3), min_size=1))
def test_scanning_finds_every_place(tables: Tables, text: str, allowed: list[str]) -> None:
    segment = segment_of([page(text), page("蘇州虎丘", seq=1)], tables)
    at = scan(segment.words(0), cells_of(segment, *allowed))
    wanted = [
        start
        for start in range(len(text) - len(allowed) + 1)
        if all(text[start + n] in some for n, some in enumerate(allowed))
    ]
    assert at.tolist() == wanted


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.text("蘇州虎丘", max_size=16), min_size=1, max_size=10),
    st.lists(st.text("蘇州虎丘", max_size=3), min_size=1, max_size=5),
)
def test_phrases_are_found_and_counted_exactly(
    tables: Tables, texts: list[str], allowed: list[str]
) -> None:
    segment = segment_of([page(text, seq=seq) for seq, text in enumerate(texts)], tables)
    got = find_phrase(segment, cells_of(segment, *allowed), never)
    assert dict(zip(got.documents.tolist(), got.counts.tolist(), strict=True)) == brute(
        texts, allowed
    )
    assert got.documents.tolist() == sorted(set(got.documents.tolist()))


@pytest.mark.parametrize("chunk", [1, 50, 1 << 20])
@pytest.mark.parametrize("few", [0, 2, 10**6])
def test_candidates_dense_and_sparse_verify_alike(
    tables: Tables, monkeypatch: pytest.MonkeyPatch, chunk: int, few: int
) -> None:
    monkeypatch.setattr(match, "_VERIFY_CODES", chunk)
    monkeypatch.setattr(match, "_FEW", few)
    monkeypatch.setattr(match, "_ENOUGH", few)
    draw = random.Random(5)
    letters = "之乎者也蘇州府志山川"
    texts = ["".join(draw.choices(letters, k=draw.randrange(60))) for _ in range(200)]
    texts[7] += "虎丘山寺"
    texts[90] += "山寺虎丘山"  # has every pair and not the phrase
    texts[150] = "虎丘山寺" * 3 + texts[150]
    segment = segment_of([page(text, seq=seq) for seq, text in enumerate(texts)], tables)
    for allowed in (
        ["虎", "丘", "山", "寺"],
        ["之乎", "者也", "蘇州"],
        list("之乎者"),
        list("府府府"),
    ):
        got = find_phrase(segment, cells_of(segment, *allowed), never)
        assert dict(zip(got.documents.tolist(), got.counts.tolist(), strict=True)) == brute(
            texts, allowed
        )
    assert find_phrase(segment, cells_of(segment, *"虎丘山寺"), never).counts.tolist() == [1, 3]


def test_pairs_that_are_apart_in_the_lists_are_summed(tables: Tables) -> None:
    texts = ["蘇州蘇洲", "州蘇", "素州蘇州蘇州", "蘇"]
    segment = segment_of([page(text, seq=seq) for seq, text in enumerate(texts)], tables)
    first, second = cells_of(segment, "蘇素", "州洲")
    both = pair_list(segment, first, second, never)
    assert (both.documents.tolist(), both.counts.tolist()) == ([0, 2], [2, 3])
    alone = pair_list(segment, first, None, never)
    assert (alone.documents.tolist(), alone.counts.tolist()) == ([0, 1, 2, 3], [2, 1, 3, 1])


def test_heads_are_told_apart_from_each_other_and_from_text(tables: Tables) -> None:
    segment = segment_of(
        [
            page("虎丘", "a", 0, "虎丘志", "蘇州"),
            page("虎丘", "a", 1, "虎丘志", "虎丘山"),
            page("之", "b", 0, "志虎", "丘"),
            page("虎丘", "c"),
        ],
        tables,
    )
    in_title, in_heading = find_in_heads(segment, cells_of(segment, "虎", "丘"))
    assert (in_title.tolist(), in_heading.tolist()) == ([0], [1])
    nothing = find_in_heads(segment_of([page("虎丘")], tables), cells_of(segment, "虎", "丘"))
    assert [found.tolist() for found in nothing] == [[], []]


@settings(max_examples=30, deadline=None)
@given(st.sets(st.integers(0, 40)), st.sets(st.integers(0, 40)))
def test_keep_common_is_the_intersection(few: set[int], many: set[int]) -> None:
    left, right = (np.array(sorted(some), dtype=np.int64) for some in (few, many))
    assert keep_common(left, right).tolist() == sorted(few & many)


def test_a_passed_deadline_stops_every_search_that_takes_long(tables: Tables) -> None:
    segment = segment_of([page("蘇州虎丘素州" * 9)], tables)
    classes = cells_of(segment, "蘇素", "州丘", "虎蘇")
    with pytest.raises(Late):
        find_phrase(segment, classes, lambda: True)
    with pytest.raises(Late):
        pair_list(segment, classes[0], classes[1], lambda: True)
    looks = iter([False] * len(list(pairwise(classes))))
    with pytest.raises(Late):  # while verifying
        find_phrase(segment, classes, lambda: next(looks, True))
    assert not len(find_phrase(segment, cells_of(segment, "蘇", "山"), lambda: True).documents)


def test_phrase_of_a_cell_that_nothing_can_be(tables: Tables) -> None:
    segment = segment_of([page("蘇州府")], tables)
    phrase = Phrase(parse_query("蘇無府", "exact", tables).words[0].phrases[0].cells, False)
    cells = [asked(segment, cell) for cell in phrase.cells]
    assert not cells[1].ranges
    assert not len(find_phrase(segment, cells, never).documents)
    assert not len(scan(segment.words(0), cells))
