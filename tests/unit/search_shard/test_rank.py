from __future__ import annotations

from itertools import pairwise, permutations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from search_shard.lattice import NEAR, RULES
from search_shard.postings import COUNT_MAX
from search_shard.rank import (
    CLASS_STEP,
    CLASSES,
    HEADING_SCORE,
    TEXT_SCORE,
    TITLE_SCORE,
    HitKey,
    damping,
    hit_order,
    is_near,
    text_score,
    text_scores,
)


def test_a_surer_rule_outweighs_everything_below_it() -> None:
    steps = sorted(set(CLASSES.values()))
    assert {high - low for low, high in pairwise([0, *steps])} == {CLASS_STEP}
    assert CLASS_STEP > TITLE_SCORE + HEADING_SCORE + TEXT_SCORE
    order = [CLASSES[rule] for rule in (*RULES, *NEAR)]
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
def test_one_and_many_are_scored_alike(count: int, damped: int) -> None:
    many = text_scores(np.array([count], np.uint16), np.array([damped]))
    assert many.tolist() == [text_score(count, damped)]


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


def test_near_is_told_by_the_class() -> None:
    for rule, base in CLASSES.items():
        assert is_near(base + TITLE_SCORE + HEADING_SCORE + TEXT_SCORE) == (rule in NEAR)
        assert is_near(base) == (rule in NEAR)
