"""Members that lie do lie, and the others see through it; whole runs are in tests/sim."""

from __future__ import annotations

import asyncio

import pytest

from ledger.custody import HoldOffer
from protocol.ids import OfficeCode
from search_shard.tables import Tables
from simulations.cluster import Cluster
from simulations.faults import Fault, Machine, Mix
from simulations.loop import run
from simulations.trace import Trace
from simulations.villains import VILLAINS
from simulations.wire import Weather

PROVINCE, CITY, VILLAIN = map(OfficeCode, ("320000", "320100", "320500"))
MIX = Mix("test", 1, 100.0, Weather(), dict.fromkeys((PROVINCE, CITY, VILLAIN), Machine()))


@pytest.mark.parametrize(
    ("kind", "convicted"), [("forks", {VILLAIN}), ("impersonates", set()), ("replays", set())]
)
def test_who_signs_two_histories_is_convicted_by_all_and_nobody_else_is(
    kind: str, convicted: set[OfficeCode], tables: Tables
) -> None:
    async def main() -> None:
        cluster = Cluster(MIX, Trace(asyncio.get_running_loop().time), tables)
        await cluster.found()
        for host in list(cluster.hosts.values())[1:]:
            await cluster.join(host)
        offer = (HoldOffer(1, "", keeps_others=False),)  # a log of which two histories can be told
        await cluster.hosts[VILLAIN].ask(lambda node: node.sequencer.append(VILLAIN, offer))
        await asyncio.sleep(90)  # links, mirrors
        now = asyncio.get_running_loop().time()
        assert await VILLAINS[kind](cluster, Fault(kind, now, now + 10, (VILLAIN,)))
        await asyncio.sleep(30)
        for code in (PROVINCE, CITY):
            node = cluster.hosts[code].node
            assert node is not None
            assert set(node.accuser.quarantined) == convicted, code
        for host in cluster.up():
            assert not host.deaths
            await host.stop()

    run(main())
