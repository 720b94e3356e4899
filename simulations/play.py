"""One run: a mix is played, the network settles, the checkers judge.

| seconds           | what happens                                                    |
| ----------------- | --------------------------------------------------------------- |
| 0                 | the province founds the network; the others join as the mix says |
| to ``mix.seconds`` | people do their deeds, faults come and go                       |
| then              | every fault is over, the weather is good; the checkers judge    |
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from protocol.errors import FangzhiError
from search_shard.tables import Tables
from simulations.checkers import Verdict, judge
from simulations.cluster import Cluster, Host
from simulations.faults import Deed, Fault, Mix
from simulations.history import History
from simulations.loop import run
from simulations.people import DEEDS, Office
from simulations.trace import Trace
from simulations.wire import Weather

LOOK_S: Final = 2.0
LOOKS_MAX: Final = 2000  # of a longer run
GOOD_WEATHER: Final = Weather((0.002, 0.050))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run."""

    mix: Mix
    verdicts: tuple[Verdict, ...]
    trace: Trace
    seconds: float  # of virtual time

    @property
    def held(self) -> bool:
        return not any(verdict.wrong for verdict in self.verdicts)


def play(mix: Mix, tables: Tables, show: Callable[[str], object] | None = None) -> Outcome:
    """``show`` is given the mix, every event, and the verdicts, line by line."""
    return run(_Run(mix, tables, show).play())


class _Run:
    def __init__(self, mix: Mix, tables: Tables, show: Callable[[str], object] | None) -> None:
        self._mix, self._tables, self._show = mix, tables, show
        self._history = History()

    async def play(self) -> Outcome:
        mix, loop = self._mix, asyncio.get_running_loop()
        trace = Trace(loop.time, self._show)
        for line in mix.lines():
            trace.record("mix", line)
        cluster = Cluster(mix, trace, self._tables)
        offices = {c: Office(cluster, h, self._history) for c, h in cluster.hosts.items()}
        await cluster.found()
        async with asyncio.TaskGroup() as group:
            looking = group.create_task(self._look(cluster))
            async with asyncio.TaskGroup() as days:
                for host in cluster.hosts.values():
                    days.create_task(_join(cluster, host, mix.machines[host.code].joins))
                for deed in mix.deeds:
                    if deed.at < mix.seconds and deed.whom in cluster.hosts:
                        days.create_task(_do(offices[deed.whom], deed))
                for fault in mix.faults:
                    if fault.at < mix.seconds and set(fault.whom) <= set(cluster.hosts):
                        days.create_task(self._befall(cluster, fault))
            await _until(mix.seconds)
            cluster.network.weather = GOOD_WEATHER
            verdicts = await judge(cluster, self._history)
            looking.cancel()
        for verdict in verdicts:
            trace.record("checker", str(verdict))
        for host in cluster.up():
            await host.stop()
        return Outcome(mix, tuple(verdicts), trace, loop.time())

    async def _look(self, cluster: Cluster) -> None:
        while True:
            self._history.look(cluster)
            await asyncio.sleep(max(LOOK_S, self._mix.seconds / LOOKS_MAX))

    async def _befall(self, cluster: Cluster, fault: Fault) -> None:
        effect = EFFECTS[fault.kind]
        await _until(fault.at)
        struck = await effect.begin(cluster, fault)
        await _until(min(fault.until, self._mix.seconds))
        if struck:
            await effect.end(cluster, fault)


async def _join(cluster: Cluster, host: Host, moment: float) -> None:
    await _until(moment)
    while host is not cluster.province:
        try:
            await cluster.join(host)
            break
        except FangzhiError:
            await asyncio.sleep(2)


async def _do(office: Office, deed: Deed) -> None:
    await _until(deed.at)
    await DEEDS[deed.what](office, office.chance(deed))


async def _until(moment: float) -> None:
    await asyncio.sleep(max(0.0, moment - asyncio.get_running_loop().time()))


# faults


@dataclass(frozen=True, slots=True)
class Effect:
    """What a kind of fault does at its beginning, which tells whether it could, and at its end."""

    begin: Callable[[Cluster, Fault], Awaitable[bool]]
    end: Callable[[Cluster, Fault], Awaitable[None]]


async def _cut(cluster: Cluster, fault: Fault) -> bool:
    cluster.cut(fault.whom)
    return True


async def _heal(cluster: Cluster, fault: Fault) -> None:
    cluster.heal(fault.whom)


async def _crash(cluster: Cluster, fault: Fault) -> bool:
    return await _down(cluster, fault, Host.crash)


async def _stop(cluster: Cluster, fault: Fault) -> bool:
    return await _down(cluster, fault, Host.stop)


async def _down(cluster: Cluster, fault: Fault, how: Callable[[Host], Awaitable[None]]) -> bool:
    (code,) = fault.whom
    host = cluster.hosts[code]
    if host.node is None:
        return False  # not joined yet, or down already
    await how(host)
    return True


async def _start(cluster: Cluster, fault: Fault) -> None:
    for code in fault.whom:
        await cluster.hosts[code].start()


EFFECTS: Final = {
    "cut": Effect(_cut, _heal),  # nothing passes between these hosts and all others
    "crash": Effect(_crash, _start),  # one host: killed, with what was not durable
    "restart": Effect(_stop, _start),  # one host: stopped properly
}
