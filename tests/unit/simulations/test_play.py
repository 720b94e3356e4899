"""Every kind of fault does something that can be seen, and undoes it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from protocol.ids import OfficeCode
from search_shard.tables import Tables
from simulations.cluster import Cluster
from simulations.faults import Fault, Machine, Mix
from simulations.loop import run
from simulations.play import EFFECTS
from simulations.trace import Trace
from simulations.villains import VILLAINS
from simulations.wire import Weather

HERE, THERE = OfficeCode("320000"), OfficeCode("320100")
MIX = Mix("test", 1, 100.0, Weather(), {HERE: Machine(bytes_s=7), THERE: Machine()})

# kind -> what is true while it lasts, and not before nor afterwards
SEEN: dict[str, Callable[[Cluster], Any]] = {
    "cut": lambda c: c.network._blocked[HERE, THERE] and c.network._blocked[THERE, HERE],
    "deaf": lambda c: c.network._blocked[THERE, HERE],
    "mute": lambda c: c.network._blocked[HERE, THERE],
    "thin": lambda c: c.network._bytes_s[HERE] != 7,
    "stall": lambda c: c.network._stalls.get(HERE),
    "crash": lambda c: c.hosts[HERE].node is None,
    "restart": lambda c: c.hosts[HERE].node is None,
    "pause": lambda c: c.hosts[HERE]._loop._paused,
    "full": lambda c: c.hosts[HERE].disk.full,
    "broken": lambda c: c.hosts[HERE].disk.broken,
    "lie": lambda c: c.hosts[HERE].disk._promised,
    "rot": lambda c: " rot " in c.trace.lines[-1],
    "backup": lambda c: not any("other disk" in line for line in c.trace.lines),
    "empty": lambda c: c.hosts[HERE].node is None and c.hosts[HERE].disk.durable("ledger") is None,
    "jump": lambda c: c.hosts[HERE].clock.offset_ms == 3000,
}


def test_none_is_forgotten() -> None:
    assert SEEN.keys() | VILLAINS.keys() == EFFECTS.keys()


@pytest.mark.parametrize("kind", SEEN)
def test_a_fault_comes_and_goes(kind: str, tables: Tables) -> None:
    async def main() -> None:
        cluster = Cluster(MIX, Trace(asyncio.get_running_loop().time), tables)
        await cluster.found()
        fault = Fault(kind, 1.0, 2.0, (HERE,), amount=3)
        if kind != "backup":
            assert not SEEN[kind](cluster)
        assert await EFFECTS[kind].begin(cluster, fault)
        await asyncio.sleep(1)
        assert SEEN[kind](cluster)
        await EFFECTS[kind].end(cluster, fault)
        await asyncio.sleep(20)
        assert not SEEN[kind](cluster)
        host = cluster.hosts[HERE]
        assert host.node is not None
        assert not host.deaths
        await host.stop()

    run(main())
