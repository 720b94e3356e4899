from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from search_shard.rank import hit_order
from search_shard.ranking import Ask, best_of, key_of, merged
from search_shard.shard import Shard
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


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=6), min_size=1, max_size=4),
    st.integers(1, 8),
)
def test_the_best_of_several_segments_come_in_the_order_of_hits(
    tables: Tables, scores: list[list[int]], limit: int
) -> None:
    pages = iter(page("州", "ba"[seq % 2], seq) for seq in range(30))
    shards = [shard_of(tables, [next(pages) for _ in part]) for part in scores]
    shard = Shard(tuple(one.segments[0] for one in shards))
    every = [
        (score, number, document)
        for number, part in enumerate(scores)
        for document, score in enumerate(part)
    ]
    ordered = sorted(every, key=lambda one: hit_order(key_of(shard, one)))
    assert merged(shard, every, limit) == ordered[:limit]
