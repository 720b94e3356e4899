from __future__ import annotations

from array import array

import pytest

from ledger.audit import AUDIT_TABLES
from ledger.seen import Seen, rows_of
from ledger.views import number
from node.hands.storage.memory_kv import MemoryStore

COUNTY, CITY, MINUTE = "320581", "320500", 60_000


@pytest.fixture
def reader():
    """The city recorded the county's log at sizes 10, 20 and 30, an hour after each other."""
    store = MemoryStore(AUDIT_TABLES)

    def job(writer):
        for at in (1, 2, 3):
            key = COUNTY.encode() + number(10 * at) + CITY.encode() + number(at)
            writer.put("seen", key, bytes([at]) * 32 + number(at * 60 * MINUTE))
        writer.put("seen", b"320582" + number(1) + CITY.encode() + number(9), bytes(40))

    store.run(job)
    with store.read() as reader:
        yield reader


def test_rows_come_by_size_from_where_one_asks(reader):
    assert [row[0] for row in rows_of(reader, COUNTY)] == [10, 20, 30]
    assert [row[:3] for row in rows_of(reader, COUNTY, 11)] == [(20, CITY, 2), (30, CITY, 3)]


def test_each_sight_is_met_once_as_runs_go_by(reader):
    seen = Seen(COUNTY)
    seen.begin(reader, 0)
    met = [row[2] for size in (5, 10, 25, 40) for row in seen.advance(reader, size)]
    assert met == [10, 20, 30]
    assert seen.sizes(reader, 0, 10) == (10,)
    assert seen.sizes(reader, 10, 29) == (20,)


def test_events_are_witnessed_by_the_first_sight_behind_them(reader):
    seen = Seen(COUNTY)
    seen.begin(reader, 0)
    seen.advance(reader, 15)
    rows = seen.witnessed(array("q", range(15)), 0)
    assert [(row.start, row.end, row.seen_at) for row in rows] == [
        (0, 10, 60 * MINUTE),
        (10, 15, 120 * MINUTE),
    ]
    assert (rows[0].claimed_first, rows[0].claimed_last, rows[0].by) == (0, 9, CITY)
    seen.advance(reader, 40)
    rows = seen.witnessed(array("q", [-1] * 10 + list(range(15))), 15)
    assert [(row.start, row.end) for row in rows] == [(20, 30)]  # beyond 30 nobody saw anything


@pytest.mark.parametrize("start", [0, 12])
def test_times_are_held_against_the_sights_around(reader, start):
    seen = Seen(COUNTY)
    seen.begin(reader, start)
    seen.advance(reader, 25)
    times = [90 * MINUTE] * (25 - start)
    times[18 - start] = 30 * MINUTE  # dated back behind the first sight
    times[13 - start] = 300 * MINUTE  # dated ahead of the second
    times[19 - start] = -1  # no event
    early = [30 * MINUTE] * 10 if start == 0 else []
    times[: len(early)] = early
    times[20 - start :] = [150 * MINUTE] * 5
    late = seen.lateness(array("q", times), start)
    assert [(each.index, each.not_before, each.not_after) for each in late] == [
        (13, 60 * MINUTE, 120 * MINUTE),
        (18, 60 * MINUTE, 120 * MINUTE),
    ]
