"""One run: a mix is played, the network settles, the checkers judge.

| seconds           | what happens                                                    |
| ----------------- | --------------------------------------------------------------- |
| 0                 | the province founds the network; the others join as the mix says |
| to ``mix.seconds`` | people do their deeds, faults come and go                       |
| then              | every fault is over, the weather is good; the checkers judge    |
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from protocol.errors import FangzhiError, Unavailable
from search_shard.tables import Tables
from simulations.checkers import Verdict, judge
from simulations.clock import draws
from simulations.cluster import Cluster, Host
from simulations.faults import Deed, Fault, Mix
from simulations.history import History
from simulations.loop import run
from simulations.people import DEEDS, Office
from simulations.trace import Trace
from simulations.villains import VILLAINS
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
        cluster.on_loss = lambda host: self._history.lost(cluster, host)
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
        if fault.kind in VILLAINS:
            self._history.villains.update(fault.whom)
        struck = await effect.begin(cluster, fault)
        if struck and fault.kind == "forks":
            self._history.forks[fault.whom[0]] = asyncio.get_running_loop().time()
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


async def _deafen(cluster: Cluster, fault: Fault) -> bool:
    for one, other in cluster.across(fault.whom):
        cluster.network.block(other, one)
    return True


async def _hear(cluster: Cluster, fault: Fault) -> None:
    for one, other in cluster.across(fault.whom):
        cluster.network.unblock(other, one)


async def _mute(cluster: Cluster, fault: Fault) -> bool:
    for one, other in cluster.across(fault.whom):
        cluster.network.block(one, other)
    return True


async def _speak(cluster: Cluster, fault: Fault) -> None:
    for one, other in cluster.across(fault.whom):
        cluster.network.unblock(one, other)


async def _thin(cluster: Cluster, fault: Fault) -> bool:
    for code in fault.whom:
        cluster.network.set_line(code, fault.amount)
    return True


async def _widen(cluster: Cluster, fault: Fault) -> None:
    for code in fault.whom:
        cluster.network.set_line(code, cluster.mix.machines[code].bytes_s)


async def _stall(cluster: Cluster, fault: Fault) -> bool:
    for code in fault.whom:
        cluster.network.stall(code, fault.amount)
    return True


async def _flow(cluster: Cluster, fault: Fault) -> None:
    for code in fault.whom:
        cluster.network.stall(code, -fault.amount)


async def _crash(cluster: Cluster, fault: Fault) -> bool:
    return await _down(cluster, fault, Host.crash)


async def _stop(cluster: Cluster, fault: Fault) -> bool:
    return await _down(cluster, fault, Host.stop)


async def _down(cluster: Cluster, fault: Fault, how: Callable[[Host], Awaitable[None]]) -> bool:
    (host,) = _struck(cluster, fault)
    if host.node is None:
        return False  # not joined yet, or down already
    await how(host)
    return True


async def _start(cluster: Cluster, fault: Fault) -> None:
    for host in _struck(cluster, fault):
        if host.node is None:
            await host.start()


async def _pause(cluster: Cluster, fault: Fault) -> bool:
    (host,) = _struck(cluster, fault)
    if host.node is None:
        return False
    host.pause()
    return True


async def _resume(cluster: Cluster, fault: Fault) -> None:
    for host in _struck(cluster, fault):
        host.resume()


async def _jump(cluster: Cluster, fault: Fault) -> bool:
    for host in _struck(cluster, fault):
        host.clock.offset_ms += round(1000 * fault.amount)
    return True


async def _set_right(cluster: Cluster, fault: Fault) -> None:
    for host in _struck(cluster, fault):
        host.clock.offset_ms -= round(1000 * fault.amount)


async def _fill(cluster: Cluster, fault: Fault) -> bool:
    for host in _struck(cluster, fault):
        host.disk.full = True
    return True


async def _make_room(cluster: Cluster, fault: Fault) -> None:
    for host in _struck(cluster, fault):
        host.disk.full = False


async def _break(cluster: Cluster, fault: Fault) -> bool:
    for host in _struck(cluster, fault):
        host.disk.broken = True
    return True


async def _mend(cluster: Cluster, fault: Fault) -> None:
    for host in _struck(cluster, fault):
        host.disk.broken = False
        if host.node is None and host.has_run:  # it died of it
            await host.start()


async def _lie(cluster: Cluster, fault: Fault) -> bool:
    (host,) = _struck(cluster, fault)
    host.disk.lie()
    return True


async def _power_cut(cluster: Cluster, fault: Fault) -> None:
    (host,) = _struck(cluster, fault)
    if host.node is not None:
        await host.crash()
        host.disk.keep_word()
        await host.start()
    host.disk.keep_word()


async def _rot(cluster: Cluster, fault: Fault) -> bool:
    (host,) = _struck(cluster, fault)
    chance = draws(cluster.mix.seed, str(fault))
    for _ in range(round(fault.amount)):
        cluster.trace.record(host.code, "rot", of=host.disk.rot(chance))
    return True


async def _doctor(cluster: Cluster, fault: Fault) -> None:
    (host,) = _struck(cluster, fault)
    with contextlib.suppress(Unavailable):  # it is down
        found = await host.ask(lambda node: node.upkeep.examine(True, lambda *_: None))
        codes = "+".join(sorted({ailment.code for ailment in found})) or "nothing"
        cluster.trace.record(host.code, "doctor", found=codes)


async def _back_up(cluster: Cluster, fault: Fault) -> bool:
    (host,) = _struck(cluster, fault)
    if not host.has_run:
        return False
    host.backup = host.disk.backup()
    return True


async def _restore(cluster: Cluster, fault: Fault) -> None:
    (host,) = _struck(cluster, fault)
    if host.node is not None:
        await host.replace_disk(host.backup)
        await host.start()


async def _lose_disk(cluster: Cluster, fault: Fault) -> bool:
    (host,) = _struck(cluster, fault)
    if host.node is None:
        return False
    await host.replace_disk(None)
    return True


async def _repent(cluster: Cluster, fault: Fault) -> None:
    """The member has its node put in order: a new process is honest."""
    (host,) = _struck(cluster, fault)
    if host.node is not None:
        await host.stop()
        await host.start()


def _struck(cluster: Cluster, fault: Fault) -> list[Host]:
    return [cluster.hosts[code] for code in fault.whom]


EFFECTS: Final = {
    # between these hosts and all others:
    "cut": Effect(_cut, _heal),  # nothing passes
    "deaf": Effect(_deafen, _hear),  # nothing reaches them
    "mute": Effect(_mute, _speak),  # nothing of theirs reaches others
    "thin": Effect(_thin, _widen),  # their lines carry only ``amount`` bytes per second
    "stall": Effect(_stall, _flow),  # what they send comes ``amount`` seconds later
    # one host:
    "crash": Effect(_crash, _start),  # killed, with what was not durable
    "restart": Effect(_stop, _start),  # stopped properly
    "pause": Effect(_pause, _resume),  # its process takes no step
    "full": Effect(_fill, _make_room),  # nothing more fits on its disk
    "broken": Effect(_break, _mend),  # its syncs fail; the node that dies of it is started again
    "lie": Effect(_lie, _power_cut),  # its disk keeps nothing; at the end the power fails
    "rot": Effect(_rot, _doctor),  # ``amount`` bits flip; at the end the operator looks and mends
    "backup": Effect(_back_up, _restore),  # at the end the disk dies and the copy is put in
    "empty": Effect(_lose_disk, _start),  # its disk dies; keys come from their own copy
    # hosts:
    "jump": Effect(_jump, _set_right),  # their clocks, by ``amount`` seconds; then set right
    **{kind: Effect(act, _repent) for kind, act in VILLAINS.items()},
}
