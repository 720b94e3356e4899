"""When are segments of a shard merged?"""

from __future__ import annotations

from itertools import pairwise
from math import log

from hypothesis import given
from hypothesis import strategies as st

from node.office.merging import MERGE_RATIO, merge_from


def test_a_large_segment_stays_apart_from_a_small_one() -> None:
    assert merge_from([1000, 10]) == 1
    assert merge_from([1000, 30, 10]) == 1
    assert merge_from([100, 30, 10]) == 0
    assert merge_from([7]) == 0


@given(st.lists(st.integers(1, 3000), min_size=1, max_size=80))
def test_segments_stay_few_and_merging_stays_cheap(added: list[int]) -> None:
    segments: list[int] = []
    merged = 0
    for pages in added:
        segments.append(pages)
        start = merge_from(segments)
        if start < len(segments) - 1:
            segments[start:] = [sum(segments[start:])]
            merged += segments[-1]
        pairs = pairwise(segments)
        assert all(older >= MERGE_RATIO * newer for older, newer in pairs)
    total = sum(added)
    assert sum(segments) == total
    assert len(segments) <= log(total, MERGE_RATIO) + 1
    assert merged <= total * (MERGE_RATIO + 1) * (log(total, MERGE_RATIO) + 2)
