from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from search_shard.shard import Shard, plan_merge
from search_shard.tables import Tables
from tests.unit.search_shard.pages import ask, page, shard_of


def test_deleted_items_are_hidden_in_every_segment(tables: Tables) -> None:
    batches = [
        [page("蘇州", item, seq) for item in items for seq in range(2)] for items in ("abc", "d")
    ]
    shard = shard_of(tables, *batches, deleted=frozenset({"b", "d", "unknown"}))
    answer = ask(shard, "苏州", tables)
    assert (answer.total, shard.pages) == (4, 4)
    assert {hit.item for hit in answer.hits} == {"a", "c"}


def test_a_snapshot_shares_its_segments_and_stays_as_it_was(tables: Tables) -> None:
    before = shard_of(tables, [page("蘇州", "a")], [page("蘇州", "b")])
    after = Shard(before.segments, frozenset({"a"}))
    assert [hit.item for hit in ask(before, "蘇州", tables).hits] == ["a", "b"]
    assert [hit.item for hit in ask(after, "蘇州", tables).hits] == ["b"]
    assert (before.pages, after.pages) == (2, 1)
    assert after.hidden[1] is None  # nothing to look up where nothing is hidden


def test_a_shard_without_segments_or_with_everything_hidden(tables: Tables) -> None:
    hidden = shard_of(tables, [page("蘇州")], deleted=frozenset("a"))
    for shard in (Shard((), frozenset()), hidden):
        assert shard.pages == 0
        assert (ask(shard, "蘇州", tables).total, ask(shard, "蘇", tables).hits) == (0, ())


def test_plan_merge_takes_the_newest_run_of_like_size() -> None:
    assert plan_merge([1000, 10, 10, 10, 10], 10_000) == range(1, 5)
    assert plan_merge([30, 10, 10, 10], 10_000) == range(4)
    assert plan_merge([31, 10, 10, 10], 10_000) is None
    assert plan_merge([10, 10, 10], 10_000) is None
    assert plan_merge([], 10_000) is None
    assert plan_merge([10, 10, 10, 10, 10], 40) == range(1, 5)
    assert plan_merge([10, 10, 10, 10], 39) is None


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 300), max_size=120), st.integers(1000, 5000))
def test_merging_as_planned_keeps_segments_few_and_small(
    batches: list[int], pages_max: int
) -> None:
    pages: list[int] = []
    for batch in batches:
        pages.append(batch)
        while (run := plan_merge(pages, pages_max)) is not None:
            assert len(run) >= 4
            pages[run.start : run.stop] = [sum(pages[run.start : run.stop])]
        assert max(pages) <= pages_max
    assert sum(pages) == sum(batches)
    full = sum(batches) // (pages_max // 2) + 1
    assert len(pages) <= 3 * (10 + full)
