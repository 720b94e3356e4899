"""The assembled node on bad days: a clock a year off, a disk that is full for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from configs.offices import load
from node.hands.config import LedgerConfig
from node.hands.keys import make_office_keys
from node.office.answers import PUBLIC, Question
from node.office.changefile import add_signature
from node.office.membership import write_request
from protocol.errors import Full, Unavailable
from protocol.ids import OfficeCode
from simulations.clock import SimRng

PROVINCE, CITY, CITY2, COUNTY = map(OfficeCode, ("320000", "320500", "320600", "320581"))
YEAR_MS = 365 * 86_400_000
Play = Callable[..., None]


@pytest.mark.parametrize("offset_ms", [-YEAR_MS, YEAR_MS])
def test_a_clock_that_is_a_year_off_stops_nothing(play: Play, offset_ms: int) -> None:
    """Its claimed times are wrong, for all to see; no link, proof or review depends on them."""

    async def story(town: Any) -> None:
        town.hosts[COUNTY].clock.offset_ms = offset_ms
        await town.hosts[COUNTY].stop()
        await town.hosts[COUNTY].start()
        item = await town.public_item(COUNTY, "常熟虞山")
        answer = await town.node(PROVINCE).searcher.search(Question("虞山"), PUBLIC)
        assert [hit.item for hit in answer.hits] == [item]
        shown = town.node(PROVINCE).reading.item(item, PUBLIC)
        assert shown.line.witnessed_by
        claimed = [event.time for event in shown.events if event.kind == "version.upload"]
        passed = [event.time for event in shown.events if event.kind == "review.accept"]
        assert abs((claimed[0] - passed[0]) - offset_ms) < 60_000
        assert [ail.code for ail in await town.node(COUNTY).upkeep.examine(False, print)] == []

    play(story, PROVINCE, CITY, COUNTY)


@pytest.mark.parametrize("which", ["ledger", "state"])
def test_a_full_disk_ends_no_node_and_passes(play: Play, which: str) -> None:
    async def story(town: Any) -> None:
        host = town.hosts[CITY]
        await host.stop()
        host.config = replace(host.config, ledger=LedgerConfig(50, 2, 3, 1))
        await host.start()
        await town.quiet()
        store = getattr(town.node(CITY).world, which)
        write = store.write

        async def full(_: Callable[..., Any]) -> Any:
            raise Full("disk", "room", 0)

        store.write = full
        item = (await town.report(COUNTY, {"a.txt": "满盘".encode()}))["item"]
        await asyncio.sleep(20)
        assert host.deaths == []
        store.write = write
        await asyncio.sleep(20)
        await town.quiet()
        await town.node(CITY).desk.review(item, "pass", "")

    play(story, PROVINCE, CITY, COUNTY)


def test_nobody_is_admitted_behind_a_shut_gate(play: Play) -> None:
    async def story(town: Any) -> None:
        node = town.node(PROVINCE)
        node.sequencer.gates[PROVINCE].outgrown(99)
        town.cluster.cut([PROVINCE])
        size = node.log_size(PROVINCE)
        keys = {CITY2: make_office_keys(CITY2, SimRng(9, "keys").random_bytes)}
        what = {"admit": [write_request(keys, bytes(32), "", "").decode()]}
        file = add_signature(node.registrar.draft(what, load("jiangsu")), town.cluster.root)
        with pytest.raises(Unavailable, match="gate"):
            await node.registrar.apply(file)
        assert (node.log_size(PROVINCE), node.sequencer.spooled()) == (size, 0)

    play(story, PROVINCE, CITY, COUNTY)


def test_a_quiet_hour_wakes_nobody_for_nothing(play: Play) -> None:
    async def story(town: Any) -> None:
        await town.public_item(COUNTY, "一个安静的县")
        await asyncio.sleep(300)
        loop: Any = asyncio.get_running_loop()
        before = next(loop._numbers)
        await asyncio.sleep(3600)
        futures = next(loop._numbers) - before  # nothing waits without one
        assert futures < 600, "of three nodes: mostly a dozen challenges and what they cost"

    play(story, PROVINCE, CITY, COUNTY)
