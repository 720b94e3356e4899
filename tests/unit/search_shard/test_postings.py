from __future__ import annotations

import numpy as np

from search_shard.lists import build_table
from search_shard.postings import may_have, pair_filter
from tests.unit.search_shard.test_lists import columns


def test_the_filter_forgets_no_pair_and_tells_most_others() -> None:
    draw = np.random.default_rng(2)
    rows = draw.integers(1, 200, (4000, 3)).tolist()
    built = build_table(lambda: [columns(rows)], 201)
    beside = pair_filter((built["first_at"], built["seconds"]))
    firsts, seconds, _ = columns(rows)
    assert may_have(beside, firsts, seconds).all()
    others = draw.integers(201, 40_000, (2, 4000))
    assert may_have(beside, *others).mean() < 0.2
