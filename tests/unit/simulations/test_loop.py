from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from simulations.loop import Deadlock, SimLoop, on_machine, run

ROOT = Path(__file__).resolve().parents[3]


def test_a_day_passes_at_once_and_to_the_microsecond() -> None:
    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        seen = []
        for _ in range(1000):
            await asyncio.sleep(86.4)
            seen.append(loop.time())
        return seen

    start = time.monotonic()
    seen = run(main())
    assert seen[-1] == pytest.approx(86_400)
    assert time.monotonic() - start < 5


def test_timers_fire_in_order_of_time() -> None:
    async def main() -> list[str]:
        fired: list[str] = []
        loop = asyncio.get_running_loop()
        for name, delay in (("c", 3.0), ("a", 1.0), ("b", 2.0)):
            loop.call_later(delay, fired.append, name)
        loop.call_later(1.5, fired.append, "cancelled").cancel()
        await asyncio.sleep(10)
        return fired

    assert run(main()) == ["a", "b", "c"]


def test_timeouts_take_no_time_of_ours() -> None:
    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3600):
                await asyncio.get_running_loop().create_future()
        return asyncio.get_running_loop().time()

    assert run(main()) == 3600


def test_waiting_for_ever_is_a_deadlock_that_names_who_waits() -> None:
    cleaned: list[str] = []

    async def wait_for_nothing(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append(name)

    async def main() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(wait_for_nothing("one"), name="clerk 1")
            tasks.create_task(wait_for_nothing("two"), name="clerk 2")
            await asyncio.sleep(5)

    with pytest.raises(Deadlock, match=r"at 5\.000 s .*clerk 1.*clerk 2"):
        run(main())
    assert cleaned == ["one", "two"]


def test_blocking_work_runs_on_the_spot() -> None:
    async def main() -> None:
        assert await asyncio.to_thread(lambda: 7) == 7
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 // 0)
        assert asyncio.get_running_loop().time() == 0

    run(main())


def test_what_main_left_is_cancelled_in_order_of_creation() -> None:
    ended: list[int] = []

    async def left(number: int) -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            ended.append(number)

    async def main() -> list[asyncio.Task[None]]:
        loop = asyncio.get_running_loop()
        tasks = [loop.create_task(left(number)) for number in range(50)]
        await asyncio.sleep(1)
        return tasks

    run(main())
    assert ended == list(range(50))


def test_async_generators_are_closed() -> None:
    closed: list[bool] = []

    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            closed.append(True)

    async def main() -> AsyncIterator[int]:
        source = numbers()
        assert await anext(source) == 1
        return source

    run(main())
    assert closed == [True]


def test_an_error_that_nobody_received_fails_the_run() -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    async def main() -> None:
        loop = asyncio.get_running_loop()
        forgotten = loop.create_task(fail())
        del forgotten
        empty: dict[str, int] = {}
        loop.call_later(1, empty.__getitem__, "key")
        await asyncio.sleep(2)

    with pytest.raises(ExceptionGroup, match="nobody received") as caught:
        run(main())
    kinds = {type(error) for error in caught.value.exceptions}
    assert kinds == {ZeroDivisionError, KeyError}


def test_a_loop_is_new_each_time() -> None:
    assert SimLoop().time() == 0


# A program in which much happens at the same instants, and in sets.
CROWD = """
import asyncio
from simulations.clock import SimRng, SimClock, draws
from simulations.disk import SimDisk
from simulations.loop import run
from simulations.trace import Trace
from simulations.wire import SimNetwork, Weather
from protocol.errors import Unavailable
import hashlib, sys

async def main():
    time = asyncio.get_running_loop().time
    trace = Trace(time)
    seed = int(sys.argv[1])
    network = SimNetwork(seed, trace, Weather(loss=0.02))
    hosts = {name: name.encode() for name in ("a", "b", "c")}
    wires = {name: network.wire(name, cert) for name, cert in hosts.items()}
    store = SimDisk(seed, "a").key_value("kv", ["t"])

    async def accept(connection):
        while True:
            frame = await connection.receive()
            await store.write(lambda writer: writer.put("t", frame, b""))
            await connection.send(frame)

    async def clerk(name, number):
        try:
            rng = SimRng(seed, f"{name} {number}")
            peer = "b" if name != "b" else "c"
            connection = await wires[name].dial(peer + ":1", hashlib.sha256(hosts[peer]).digest())
            for _ in range(5):
                await connection.send(rng.random_bytes(8))
                await connection.receive()
                trace.record(name, "answered", clerk=number)
            await asyncio.sleep(1000)
        except Unavailable as error:
            trace.record(name, "unavailable", clerk=number, why=error.got)
        except asyncio.CancelledError:
            trace.record(name, "cancelled", clerk=number)
            raise

    for name in sorted(hosts):
        await wires[name].listen(name + ":1", accept)
    try:
        async with asyncio.TaskGroup() as tasks:
            for name in sorted(hosts):
                for number in range(6):
                    tasks.create_task(clerk(name, number))
            await asyncio.sleep(0.4)
            network.partition("a", "b")
            await asyncio.sleep(30)
            raise ZeroDivisionError  # cancels the rest: a set of tasks
    except* ZeroDivisionError:
        pass
    print(trace.digest, len(trace.lines))

run(main())
"""


def crowd(seed: int, hash_seed: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", CROWD, str(seed)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_the_same_seed_gives_the_same_trace_in_every_process() -> None:
    traces = {crowd(1, hash_seed) for hash_seed in ("0", "0", "1", "4711")}
    assert len(traces) == 1
    assert int(traces.pop().split()[1]) > 100


def test_another_seed_gives_another_trace() -> None:
    assert crowd(1, "0") != crowd(2, "0")


def test_a_paused_machine_takes_no_step_and_then_all_of_them() -> None:
    async def main() -> tuple[list[tuple[str, float]], float]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimLoop)
        seen: list[tuple[str, float]] = []

        async def tick(name: str) -> None:
            for _ in range(3):
                await asyncio.sleep(1)
                seen.append((name, loop.time()))

        async def within() -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(tick("a"))  # a task of a task belongs to the machine, too

        a = loop.create_task(within(), context=on_machine("a"))
        b = loop.create_task(tick("b"), context=on_machine("b"))
        await asyncio.sleep(1.5)
        loop.pause("a")
        await b
        await asyncio.sleep(7)
        assert sorted(seen) == [("a", 1.0), ("b", 1.0), ("b", 2.0), ("b", 3.0)]
        loop.resume("a")
        await a
        return seen[-2:], loop.time()

    assert run(main()) == ([("a", 10.0), ("a", 11.0)], 11.0)


def test_a_machine_that_is_paused_can_be_killed() -> None:
    async def main() -> bool:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimLoop)
        task = loop.create_task(asyncio.sleep(1), context=on_machine("a"))
        loop.pause("a")
        await asyncio.sleep(2)
        task.cancel()
        loop.resume("a")
        await asyncio.wait([task])
        return task.cancelled()

    assert run(main())
