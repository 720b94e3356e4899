from __future__ import annotations

from itertools import count

from search_shard.parse import Rules, parse_query
from search_shard.ranking import Ask
from search_shard.search import rank
from search_shard.tables import Tables
from search_shard.trace import SILENT, Trace
from tests.unit.search_shard.pages import ONE, shard_of


def test_a_search_tells_its_steps_in_order_of_time(tables: Tables) -> None:
    ticks = count()
    trace = Trace(lambda: next(ticks) / 1000)
    query = parse_query("苏州虎丘 重修", Rules(tables))
    told = rank(shard_of(tables, [ONE]), query, Ask(trace=trace))
    assert told == rank(shard_of(tables, [ONE]), query, Ask()) or told.total == 0
    what = [step.what for step in trace.steps]
    assert {"postings", "found", "ranked"} <= set(what)
    times = [step.microseconds for step in trace.steps]
    assert times == sorted(times)
    assert times[0] > 0


def test_without_a_clock_nothing_is_kept(tables: Tables) -> None:
    rank(shard_of(tables, [ONE]), parse_query("苏州", Rules(tables)), Ask())
    assert SILENT.steps == []
