from __future__ import annotations

from itertools import pairwise, permutations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from search_shard.lattice import RULES
from search_shard.likeness import LIKENESS
from search_shard.postings import COUNT_MAX
from search_shard.rank import (
    CLASS_STEP,
    CLASSES,
    HEADING_SCORE,
    IN_HEAD,
    TEXT_SCORE,
    TITLE_SCORE,
    HitKey,
    damping,
    hit_order,
    near_classes,
    spoken_class,
    text_scores,
)

MAX_PAGES = 1 << 24


def test_a_surer_rule_outweighs_everything_below_it() -> None:
    steps = sorted(set(CLASSES.values()))
    assert min(high - low for low, high in pairwise(steps)) == CLASS_STEP
    assert CLASS_STEP > TITLE_SCORE + HEADING_SCORE + TEXT_SCORE
    order = [CLASSES[rule] for rule in RULES]
    assert order == sorted(order, reverse=True)
    assert TITLE_SCORE > HEADING_SCORE + TEXT_SCORE
    assert HEADING_SCORE > TEXT_SCORE


@settings(max_examples=60, deadline=None)
@given(st.integers(1, COUNT_MAX - 1), st.integers(1, 100_000))
def test_more_occurrences_and_shorter_pages_score_higher_below_the_bound(
    count: int, size: int
) -> None:
    def score(count: int, size: int) -> int:
        return int(text_scores(np.array([count]), damping(np.array([size])))[0])

    assert 0 <= score(count, size) < TEXT_SCORE
    assert score(count, size) <= score(count + 1, size)
    assert score(count, size) >= score(count, size + 500)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, COUNT_MAX), st.integers(600, 10**9))
def test_no_rounding_of_the_division_changes_a_score(count: int, damped: int) -> None:
    many = text_scores(np.array([count], np.uint16), np.array([damped]))
    assert many.tolist() == [TEXT_SCORE * 1000 * count // (1000 * count + damped)]


def test_scores_are_those_of_bm25() -> None:
    dampings = damping(np.full(4, 500, np.uint32))
    # n / (n + 1.2 * (0.5 + 0.5 * size / 500))
    assert text_scores(np.array([1, 2, 40, 0]), dampings).tolist() == [454, 625, 970, 0]


def test_ties_break_by_office_item_and_page() -> None:
    keys: list[HitKey] = [
        (9, "320900", "z", 9),
        (8, "320100", "b", 1),
        (8, "320100", "b", 2),
        (8, "320100", "c", 0),
        (8, "320200", "a", 0),
    ]
    for order in permutations(keys):
        assert sorted(order, key=hit_order) == keys


def test_a_corrected_word_is_the_likelier_the_more_pages_have_it() -> None:
    pages = np.array([1, 2, 3, 4, 1000, MAX_PAGES])
    classes = near_classes(np.full(6, 5), pages)
    assert (classes % CLASS_STEP == 0).all()
    assert (np.diff(classes) > 0).all()
    assert (near_classes(np.full(6, 4), pages) == classes - CLASS_STEP).all()
    steps = [(page * page).bit_length() - 1 for page in pages.tolist()]
    assert (classes - classes[0] == CLASS_STEP * np.array(steps)).all()


def test_pinyin_ranks_by_the_word_and_heads_first_below_what_is_surer() -> None:
    steps = [spoken_class(pages) for pages in (0, 1, 2, 1000, MAX_PAGES)]
    assert steps == sorted(set(steps))
    assert all(step % CLASS_STEP == 0 for step in steps)
    assert steps[-1] < IN_HEAD
    assert CLASSES["pinyin"] + IN_HEAD + CLASS_STEP <= CLASSES["synonym"]


def test_near_ranks_below_everything_else() -> None:
    most = TITLE_SCORE + HEADING_SCORE + TEXT_SCORE
    surest = min(CLASSES.values())
    for likeness, pages in ((LIKENESS[0], 1), (LIKENESS[-1], MAX_PAGES)):
        (base,) = near_classes(np.array([likeness]), np.array([pages])).tolist()
        assert base > 0
        assert base + most < surest
