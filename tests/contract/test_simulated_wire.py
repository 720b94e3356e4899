"""What every Wire promises (protocol/ports.py), on the simulated network, and what that one adds:
delay, loss, partitions, crashes."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable

import pytest

from protocol.errors import AuthError, DecodeError, Unavailable
from protocol.limits import FRAME_BYTES_MAX
from protocol.ports import Connection
from simulations.loop import run
from simulations.trace import Trace
from simulations.wire import DIAL_SECONDS, NOTICE_SECONDS, SimNetwork, SimWire, Weather

PIN = hashlib.sha256(b"certificate of b").digest()
ADDRESS = "b:7000"


async def echo(connection: Connection) -> None:
    while True:
        await connection.send(await connection.receive())


class World:
    def __init__(self, weather: Weather | None = None) -> None:
        self.time = asyncio.get_running_loop().time
        self.trace = Trace(self.time)
        self.network = SimNetwork(7, self.trace, weather)
        self.a: SimWire = self.network.wire("a", b"certificate of a")
        self.b: SimWire = self.network.wire("b", b"certificate of b")


def play(story: Callable[[World], Awaitable[None]], weather: Weather | None = None) -> None:
    async def tell() -> None:
        await story(World(weather))

    run(tell())


def test_frames_arrive_whole_and_in_order() -> None:
    async def story(world: World) -> None:
        await world.b.listen(ADDRESS, echo)
        connection = await world.a.dial(ADDRESS, PIN)
        frames = [bytes([number]) * number for number in range(100)]

        async def send() -> None:
            for frame in frames:
                await connection.send(frame)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(send())
            assert [await connection.receive() for _ in frames] == frames

    play(story)


def test_both_ends_have_the_same_binding_the_listeners_certificate() -> None:
    async def story(world: World) -> None:
        bindings: list[bytes] = []

        async def accept(connection: Connection) -> None:
            bindings.append(connection.binding)

        await world.b.listen(ADDRESS, accept)
        connection = await world.a.dial(ADDRESS, PIN)
        with pytest.raises(Unavailable):
            await connection.receive()  # it ends with its handler
        assert bindings == [connection.binding] == [PIN]

    play(story)


def test_dialling_nobody_another_certificate_or_a_stopped_listener() -> None:
    async def story(world: World) -> None:
        with pytest.raises(Unavailable, match="refused"):
            await world.a.dial(ADDRESS, PIN)
        stop = await world.b.listen(ADDRESS, echo)
        with pytest.raises(AuthError):
            await world.a.dial(ADDRESS, bytes(32))
        with pytest.raises(Unavailable, match="in use"):
            await world.b.listen(ADDRESS, echo)
        await stop()
        with pytest.raises(Unavailable, match="refused"):
            await world.a.dial(ADDRESS, PIN)
        await world.b.listen(ADDRESS, echo)

    play(story)


def test_a_closed_connection_gives_what_was_under_way_and_then_ends() -> None:
    async def story(world: World) -> None:
        got: list[bytes] = []
        ended = asyncio.Event()

        async def accept(connection: Connection) -> None:
            try:
                while True:
                    got.append(await connection.receive())
            finally:
                with pytest.raises(Unavailable):
                    await connection.send(b"too late")
                ended.set()

        await world.b.listen(ADDRESS, accept)
        connection = await world.a.dial(ADDRESS, PIN)
        for number in range(5):
            await connection.send(bytes([number]))
        await connection.close()
        await connection.close()
        for call in (connection.send(b"x"), connection.receive()):
            with pytest.raises(Unavailable):
                await call
        await ended.wait()
        assert got == [bytes([number]) for number in range(5)]

    play(story)


def test_a_sender_waits_for_a_slow_receiver() -> None:
    async def story(world: World) -> None:
        sent = 0
        release = asyncio.Event()

        async def accept(connection: Connection) -> None:
            await release.wait()
            for _ in range(100):
                await connection.receive()

        async def send(connection: Connection) -> None:
            nonlocal sent
            for _ in range(100):
                await connection.send(b"x")
                sent += 1

        await world.b.listen(ADDRESS, accept)
        connection = await world.a.dial(ADDRESS, PIN)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(send(connection))
            await asyncio.sleep(60)
            assert 0 < sent < 100
            release.set()
        assert sent == 100

    play(story)


def test_a_frame_too_long_closes_the_connection() -> None:
    async def story(world: World) -> None:
        await world.b.listen(ADDRESS, echo)
        connection = await world.a.dial(ADDRESS, PIN)
        await connection.send(bytes(FRAME_BYTES_MAX))
        assert len(await connection.receive()) == FRAME_BYTES_MAX
        refused: list[DecodeError] = []

        async def accept(connection: Connection) -> None:
            try:
                await connection.receive()
            except DecodeError as error:
                refused.append(error)

        await world.b.listen("b:7001", accept)
        connection = await world.a.dial("b:7001", PIN)
        await connection.send(bytes(FRAME_BYTES_MAX + 1))
        with pytest.raises(Unavailable):
            await connection.receive()
        assert len(refused) == 1

    play(story)


def test_a_partition_blocks_both_ways_until_it_heals() -> None:
    async def story(world: World) -> None:
        heard: list[bytes] = []

        async def accept(connection: Connection) -> None:
            while True:
                heard.append(await connection.receive())
                await connection.send(b"heard")

        await world.b.listen(ADDRESS, accept)
        await world.a.listen("a:7000", accept)
        connection = await world.a.dial(ADDRESS, PIN)
        await connection.send(b"before")
        assert await connection.receive() == b"heard"

        world.network.partition("b", "a")
        await connection.send(b"lost")  # nobody has noticed yet
        start = world.time()
        with pytest.raises(Unavailable, match="lost"):
            await connection.receive()
        assert NOTICE_SECONDS[0] <= world.time() - start <= NOTICE_SECONDS[1]
        for wire, address in ((world.a, ADDRESS), (world.b, "a:7000")):
            start = world.time()
            with pytest.raises(Unavailable, match="silence"):
                await wire.dial(address, PIN)
            assert world.time() - start >= DIAL_SECONDS

        world.network.heal("a", "b")
        connection = await world.a.dial(ADDRESS, PIN)
        await connection.send(b"after")
        assert await connection.receive() == b"heard"
        assert heard == [b"before", b"after"]

    play(story)


def test_a_partition_leaves_others_alone() -> None:
    async def story(world: World) -> None:
        await world.b.listen(ADDRESS, echo)
        connection = await world.network.wire("c", b"certificate of c").dial(ADDRESS, PIN)
        world.network.partition("a", "b")
        await asyncio.sleep(2 * NOTICE_SECONDS[1])
        await connection.send(b"still here")
        assert await connection.receive() == b"still here"

    play(story)


def test_a_crash_ends_listeners_and_handlers_and_the_peer_notices() -> None:
    async def story(world: World) -> None:
        ended: list[str] = []

        async def accept(connection: Connection) -> None:
            try:
                await echo(connection)
            except asyncio.CancelledError:
                ended.append("cancelled")
                raise

        await world.b.listen(ADDRESS, accept)
        connection = await world.a.dial(ADDRESS, PIN)
        await asyncio.sleep(0)  # the handler begins
        world.network.crash("b")
        with pytest.raises(Unavailable):
            await connection.receive()
        assert ended == ["cancelled"]
        with pytest.raises(Unavailable, match="refused"):
            await world.a.dial(ADDRESS, PIN)
        await world.b.listen(ADDRESS, echo)
        await world.a.dial(ADDRESS, PIN)

    play(story)


def test_lossy_links_lose_connections_and_never_reorder() -> None:
    async def story(world: World) -> None:
        await world.b.listen(ADDRESS, echo)
        lost = 0
        for _ in range(20):
            connection = await world.a.dial(ADDRESS, PIN)
            try:
                for number in range(20):
                    await connection.send(bytes([number]))
                    assert await connection.receive() == bytes([number])
            except Unavailable:
                lost += 1
            await connection.close()
        assert 0 < lost < 20

    play(story, Weather(loss=0.02))


def test_blocked_one_way_what_goes_the_other_way_still_arrives() -> None:
    async def story(world: World) -> None:
        heard: list[bytes] = []

        async def accept(connection: Connection) -> None:
            while True:
                heard.append(await connection.receive())
                await connection.send(b"heard")

        await world.b.listen(ADDRESS, accept)
        connection = await world.a.dial(ADDRESS, PIN)
        world.network.block("b", "a")
        await connection.send(b"one")
        start = world.time()
        with pytest.raises(Unavailable, match="lost"):
            await connection.receive()
        assert NOTICE_SECONDS[0] <= world.time() - start <= NOTICE_SECONDS[1]
        assert heard == [b"one"]
        with pytest.raises(Unavailable, match="silence"):
            await world.a.dial(ADDRESS, PIN)
        world.network.unblock("b", "a")
        await world.a.dial(ADDRESS, PIN)

    play(story)


def test_a_cut_within_a_cut_lasts_as_long_as_the_longer() -> None:
    async def story(world: World) -> None:
        await world.b.listen(ADDRESS, echo)
        world.network.partition("a", "b")
        world.network.partition("b", "a")
        world.network.heal("a", "b")
        with pytest.raises(Unavailable, match="silence"):
            await world.a.dial(ADDRESS, PIN)
        world.network.heal("a", "b")
        await world.a.dial(ADDRESS, PIN)

    play(story)


def test_frames_wait_for_each_other_on_a_thin_line_whatever_their_connection() -> None:
    async def story(world: World) -> None:
        await world.b.listen(ADDRESS, echo)
        one, other = [await world.a.dial(ADDRESS, PIN) for _ in range(2)]
        world.network.set_line("a", 1000)
        start = world.time()
        await one.send(bytes(5000))
        await other.send(bytes(5000))
        await one.receive()
        assert 10 <= world.time() - start < 11  # 5 s away, 5 s back, and both ways at once
        await other.receive()
        assert 15 <= world.time() - start < 16
        world.network.set_line("a", 0)
        await one.send(bytes(5000))
        await one.receive()
        assert world.time() - start < 17

    play(story)


def test_frames_of_a_stalled_host_come_late_and_in_order() -> None:
    async def story(world: World) -> None:
        await world.b.listen(ADDRESS, echo)
        connection = await world.a.dial(ADDRESS, PIN)
        start = world.time()
        world.network.stall("a", 7)
        await connection.send(b"1")
        world.network.stall("a", -7)
        await connection.send(b"2")
        assert [await connection.receive() for _ in range(2)] == [b"1", b"2"]
        assert 7 <= world.time() - start < 8

    play(story)
