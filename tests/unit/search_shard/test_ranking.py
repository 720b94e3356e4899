from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from search_shard.rank import hit_order
from search_shard.ranking import Ask, best_of, key_of
from search_shard.tables import Tables
from tests.unit.search_shard.pages import page, shard_of


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=12), st.integers(1, 5), st.data())
def test_the_best_come_in_the_order_of_hits_and_after_a_hit_the_later(
    tables: Tables, scores: list[int], limit: int, data: st.DataObject
) -> None:
    shard = shard_of(tables, [page("州", "ab"[seq % 2], seq) for seq in range(len(scores))])
    segment, documents = shard.segments[0], np.arange(len(scores))
    every = [(score, 0, document) for document, score in enumerate(scores)]
    ordered = sorted((key_of(shard, one) for one in every), key=hit_order)

    def listed(ask: Ask) -> list[tuple[int, str, str, int]]:
        best = best_of(segment, 0, documents, np.array(scores), ask)
        return [key_of(shard, one) for one in best]

    assert listed(Ask(limit)) == ordered[:limit]
    last = data.draw(st.integers(0, len(scores) - 1))
    assert listed(Ask(limit, after=ordered[last])) == ordered[last + 1 :][:limit]
