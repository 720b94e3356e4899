"""A province, two cities, four counties: start-up, uploads, faults, recovery.

| seconds        | what happens                                                   |
| -------------- | -------------------------------------------------------------- |
| 0 to 50        | the province founds the network, the others join               |
| 20 to 240      | people report, review, withdraw, search                        |
| 60 to 240      | faults, at least a city cut off and a county and the province crashed |
| 250 on         | the weather is good; the network settles; the checkers judge   |
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from protocol.errors import FangzhiError
from protocol.ids import OfficeCode
from search_shard.tables import Tables
from simulations.checkers import Verdict, judge
from simulations.clock import draws
from simulations.cluster import Cluster, Host
from simulations.faults import Fault, draw_mix
from simulations.history import History
from simulations.loop import run
from simulations.people import Office
from simulations.trace import Trace
from simulations.wire import Weather

PROVINCE: Final = OfficeCode("320000")
CITIES: Final = (OfficeCode("320100"), OfficeCode("320500"))
COUNTIES: Final = tuple(map(OfficeCode, ("320104", "320116", "320509", "320581")))
JOINED_S: Final = 50.0
WORK_S: Final = (20.0, 240.0)
FAULTS_S: Final = (60.0, 240.0)
LOOK_S: Final = 2.0
CALM_S: Final = 250.0
GOOD_WEATHER: Final = Weather((0.002, 0.050))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run."""

    verdicts: tuple[Verdict, ...]
    trace: Trace
    seconds: float  # of virtual time

    @property
    def held(self) -> bool:
        return not any(verdict.wrong for verdict in self.verdicts)


def play(seed: int, tables: Tables, show: Callable[[str], object] | None = None) -> Outcome:
    """One run; ``show`` is given the drawn mix, every event, and the verdicts, line by line."""
    return run(_Run(seed, tables, show).play())


class _Run:
    def __init__(self, seed: int, tables: Tables, show: Callable[[str], object] | None) -> None:
        self._seed, self._tables, self._show = seed, tables, show
        self._history = History()

    async def play(self) -> Outcome:
        loop = asyncio.get_running_loop()
        mix = draw_mix(self._seed, PROVINCE, CITIES, COUNTIES, *FAULTS_S)
        trace = Trace(loop.time, self._show)
        for line in mix.lines():
            trace.record("mix", line)
        cluster = Cluster((PROVINCE, *CITIES, *COUNTIES), mix, trace, self._tables)
        offices = {
            code: Office(cluster, host, self._history) for code, host in cluster.hosts.items()
        }
        await cluster.found()
        async with asyncio.TaskGroup() as group:
            looking = group.create_task(self._look(cluster))
            async with asyncio.TaskGroup() as day:
                for host in cluster.hosts.values():
                    day.create_task(self._office_day(cluster, host, offices[host.code]))
                for fault in mix.faults:
                    day.create_task(self._fault(cluster, fault, offices))
            await asyncio.sleep(max(0.0, CALM_S - loop.time()))
            cluster.network.weather = GOOD_WEATHER
            verdicts = await judge(cluster, self._history)
            looking.cancel()
        for verdict in verdicts:
            trace.record("checker", str(verdict))
        for host in cluster.up():
            await host.stop()
        return Outcome(tuple(verdicts), trace, loop.time())

    async def _look(self, cluster: Cluster) -> None:
        while True:
            self._history.look(cluster)
            await asyncio.sleep(LOOK_S)

    async def _office_day(self, cluster: Cluster, host: Host, office: Office) -> None:
        chance = draws(self._seed, f"day {host.code}")
        if host is not cluster.province:
            await self._join(cluster, host, chance.uniform(0, JOINED_S))
        begin, end = WORK_S

        async def at(moment: float, work: Callable[[], Awaitable[None]]) -> None:
            await asyncio.sleep(max(0.0, moment - asyncio.get_running_loop().time()))
            await work()

        async with asyncio.TaskGroup() as group:
            for _ in range(cluster.mix.reports_each):
                group.create_task(at(chance.uniform(begin, end), office.report))
            for work, count in ((office.review, 15), (office.mend, 4), (office.search, 6)):
                for _ in range(count):
                    group.create_task(at(chance.uniform(begin, end), work))

    async def _join(self, cluster: Cluster, host: Host, moment: float) -> None:
        await asyncio.sleep(moment)
        while True:
            try:
                return await cluster.join(host)
            except FangzhiError:
                await asyncio.sleep(2)

    async def _fault(
        self, cluster: Cluster, fault: Fault, offices: dict[OfficeCode, Office]
    ) -> None:
        chance = draws(self._seed, f"fault {fault}")
        await asyncio.sleep(fault.at - asyncio.get_running_loop().time())
        if fault.kind == "cut":
            cluster.cut(fault.whom)
            await asyncio.sleep(fault.until - fault.at)
            cluster.heal(fault.whom)
            return
        for host in (cluster.hosts[code] for code in fault.whom):
            if host.node is None:
                continue  # not joined yet, or down already
            async with asyncio.TaskGroup() as group:
                group.create_task(offices[host.code].report())  # so that something is under way
                group.create_task(self._down(host, fault, chance.uniform(0, 0.4)))

    async def _down(self, host: Host, fault: Fault, delay: float) -> None:
        await asyncio.sleep(delay)
        if host.node is None:
            return
        await (host.crash() if fault.kind == "crash" else host.stop())
        await asyncio.sleep(fault.until - fault.at)
        await host.start()
