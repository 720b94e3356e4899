from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyroaring import BitMap

from search_shard.facets import FacetCount
from search_shard.lattice import Filter, Query
from search_shard.ranking import Ask
from search_shard.search import rank
from search_shard.shard import Shard
from search_shard.tables import Tables
from tests.unit.search_shard.pages import ask, page, shard_of


class Titled:
    """Records by title alone: the items that a filter names."""

    def __init__(self, items: Sequence[str]) -> None:
        self.numbers = {item: number for number, item in enumerate(items)}

    def select(self, filters: Sequence[Filter]) -> BitMap | None:
        wanted = [value for one in filters for value in one.values]
        return BitMap([number for item, number in self.numbers.items() if item in wanted])

    def facets(self, counts: Mapping[str, int]) -> tuple[FacetCount, ...]:
        return ()


def test_deleted_items_are_hidden_in_every_segment(tables: Tables) -> None:
    batches = [
        [page("蘇州", item, seq) for item in items for seq in range(2)] for items in ("abc", "d")
    ]
    shard = shard_of(tables, *batches, deleted=frozenset({"b", "d", "unknown"}))
    answer = ask(shard, "苏州", tables)
    assert (answer.total, shard.pages) == (4, 4)
    assert {hit.item for hit in answer.hits} == {"a", "c"}
    assert ask(shard, "苏", tables).total == 4  # a single character has a way of its own


def test_a_snapshot_shares_its_segments_and_stays_as_it_was(tables: Tables) -> None:
    before = shard_of(tables, [page("蘇州", "a")], [page("蘇州", "b")])
    after = Shard(before.segments, frozenset({"a"}))
    assert [hit.item for hit in ask(before, "蘇州", tables).hits] == ["a", "b"]
    assert [hit.item for hit in ask(after, "蘇州", tables).hits] == ["b"]
    assert (before.pages, after.pages) == (2, 1)
    assert after.shown[1] is None  # nothing to look up where nothing is hidden


def test_a_shard_without_segments_or_with_everything_hidden(tables: Tables) -> None:
    hidden = shard_of(tables, [page("蘇州")], deleted=frozenset("a"))
    for shard in (Shard(()), hidden):
        assert shard.pages == 0
        assert (ask(shard, "蘇州", tables).total, ask(shard, "蘇", tables).hits) == (0, ())


def test_filters_are_the_catalogues_and_hide_beside_what_is_hidden(tables: Tables) -> None:
    pages = [page("蘇州", item, seq) for item in "abc" for seq in range(2)]
    segments = shard_of(tables, pages).segments
    chosen = Filter("item", ("b", "c"))
    for records in ("abc", "xbyac"):  # numbered otherwise than the items of the segment
        shard = Shard(segments, frozenset("c"), Titled(records))
        found = rank(shard, Query("", (), (), (chosen,)), Ask(facets=True))
        assert (found.total, found.items) == (2, {"b": 2})
    without = Shard(segments, catalogue=Titled("ca"))  # an item without a record is not let through
    assert rank(without, Query("", (), (), (chosen,)), Ask()).total == 2
    bare = Shard(segments, frozenset("c"))
    assert rank(bare, Query("", (), (), (chosen,)), Ask()).total == 0  # nobody says what it means


def test_pages_that_came_later_are_left_out(tables: Tables) -> None:
    pages = [page("蘇州", item, log_index=index) for index, item in enumerate("abcd")]
    shard = shard_of(tables, pages[:2], pages[2:], deleted=frozenset("a"))
    for size, total in ((1, 0), (2, 1), (3, 2), (4, 3), (0, 3)):
        masks = shard.allowed((), size)
        shown = [2 if mask is None else int(mask.sum()) for mask in masks]
        assert sum(shown) == total
