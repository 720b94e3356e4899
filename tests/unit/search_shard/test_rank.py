from __future__ import annotations

from itertools import pairwise, permutations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from search_shard.query import NEAR, WHYS
from search_shard.rank import (
    CLASS_SCORES,
    HEADING_SCORE,
    TEXT_SCORE,
    TITLE_SCORE,
    Hit,
    hit_order,
    is_near,
    text_scores,
)


def hit(score: int, office: str = "320500", item: str = "a", seq: int = 0, why: str = "") -> Hit:
    return Hit(office, item, seq, "", "1", "", "", (), why or "exact", score, "", 0)


def test_a_cheaper_lattice_outweighs_everything_below_it() -> None:
    steps = sorted(set(CLASS_SCORES.values()))
    assert min(high - low for low, high in pairwise(steps)) > (
        TITLE_SCORE + HEADING_SCORE + TEXT_SCORE
    )
    assert [CLASS_SCORES[why] for why in WHYS] == sorted(CLASS_SCORES.values(), reverse=True)
    assert TITLE_SCORE > HEADING_SCORE + TEXT_SCORE
    assert HEADING_SCORE > TEXT_SCORE


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 65_535), st.integers(1, 100_000))
def test_more_occurrences_and_shorter_pages_score_higher_below_the_bound(
    count: int, size: int
) -> None:
    def score(count: int, size: int) -> int:
        return int(text_scores(np.array([count]), np.array([size]))[0])

    assert 0 <= score(count, size) < TEXT_SCORE
    assert score(count, size) <= score(count + 1, size)
    assert score(count, size) >= score(count, size + 500)


def test_scores_are_those_of_bm25() -> None:
    counts, sizes = np.array([1, 2, 40, 0]), np.array([500, 500, 500, 500], dtype=np.uint32)
    # n / (n + 1.2 * (0.5 + 0.5 * size / 500))
    assert text_scores(counts, sizes).tolist() == [454, 625, 970, 0]


def test_ties_break_by_office_item_and_page() -> None:
    hits = [
        hit(9, "320900", "z", 9),
        hit(8, "320100", "b", 1),
        hit(8, "320100", "b", 2),
        hit(8, "320100", "c", 0),
        hit(8, "320200", "a", 0),
    ]
    for order in permutations(hits):
        assert sorted(order, key=hit_order) == hits


def test_near_is_a_wrong_character_wherever_it_stands() -> None:
    for why in WHYS:
        assert is_near(hit(0, why=why)) == is_near(hit(0, why=f"title:{why}")) == (why in NEAR)
