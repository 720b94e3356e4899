from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from search_shard.runs import rows_of, starts_of, turns


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 5)), max_size=8))
def test_rows_are_the_indices_of_all_runs(runs: list[tuple[int, int]]) -> None:
    starts = np.array([start for start, _ in runs], dtype=np.uint32)
    sizes = np.array([size for _, size in runs], dtype=np.int64)
    assert rows_of(starts, sizes).tolist() == [at for s, n in runs for at in range(s, s + n)]
    assert np.diff(starts_of(sizes)).tolist() == sizes.tolist()


def test_turns_are_where_values_change() -> None:
    assert turns(np.array([], np.uint8)).tolist() == []
    assert turns(np.array([0, 0, 3, 3, 0], np.uint16)).tolist() == [1, 0, 1, 0, 1]
