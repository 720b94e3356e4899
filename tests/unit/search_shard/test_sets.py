from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_shard import sets
from search_shard.blocks import Array
from search_shard.sets import either, keep_common


def rising(some: set[int]) -> Array:
    return np.array(sorted(some), np.uint16)


documents = st.sets(st.integers(0, 65_535) | st.integers(0, 40), max_size=60)


@settings(max_examples=60, deadline=None)
@given(documents, documents)
def test_keep_common_is_the_intersection(few: set[int], many: set[int]) -> None:
    assert keep_common(rising(few), rising(many)).tolist() == sorted(few & many)


@pytest.mark.parametrize("dense", [0, 2048])
@settings(max_examples=60, deadline=None)
@given(parts=st.lists(documents, min_size=1, max_size=4))
def test_either_is_the_union(dense: int, parts: list[set[int]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sets, "_DENSE", dense)
        assert either([rising(part) for part in parts]).tolist() == sorted(set().union(*parts))
