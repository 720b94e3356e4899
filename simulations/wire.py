"""A network that is slow, loses connections and falls apart, all drawn from a seed.

One host has one :class:`SimWire`.  Frames of a connection arrive whole, once and in order, each
after a delay drawn for its direction: TCP excludes doubled and overtaking segments, and TLS ends a
connection with a record that comes twice or out of turn.  What is never promised is that frames
arrive: a connection may be lost with any frame, and both ends learn of it only later, each at a
moment of its own (half-open till then).  So a question may be done and its answer lost, and asked
again over the next connection; and what a new connection carries overtakes what the old one held.

A partition swallows frames at once, in one direction or both; the connections across it break some
seconds after, as they do when a real peer stops answering pings.  Lines may be thin (all frames of
a machine wait for each other) and stall (frames come late, as when TCP sends them again).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from protocol.errors import AuthError, DecodeError, FangzhiError, Unavailable
from protocol.limits import FRAME_BYTES_MAX
from protocol.ports import Connection
from simulations.clock import draws
from simulations.loop import on_machine
from simulations.trace import Trace

Accept = Callable[[Connection], Awaitable[None]]

DIAL_SECONDS: Final = 10.0  # how long a dial into silence waits
NOTICE_SECONDS: Final = (5.0, 20.0)  # until an end notices that the other has gone silent
FRAMES_UNDER_WAY_MAX: Final = 16  # a sender waits when so many are not yet received


@dataclass(frozen=True, slots=True)
class Weather:
    """How the links behave."""

    delay_seconds: tuple[float, float] = (0.002, 0.080)
    loss: float = 0.0  # chance that a frame takes its whole connection with it


class SimNetwork:
    """All links between all hosts; hosts are named by the part of an address before the colon."""

    def __init__(self, seed: int, trace: Trace, weather: Weather | None = None) -> None:
        self.weather = weather or Weather()
        self._seed = seed
        self._trace = trace
        self._listeners: dict[str, _Listener] = {}
        self._connections: dict[_End, None] = {}  # one end of each, in order of making
        self._blocked: Counter[tuple[str, str]] = Counter()  # from, to
        self._bytes_s: dict[str, float] = {}  # of thin lines
        self._through: dict[tuple[str, bool], float] = {}  # when a line has sent (True) or got all
        self._stalls: dict[str, float] = {}  # seconds
        self._dials = 0
        self._tasks: dict[asyncio.Task[None], str] = {}

    def wire(self, host: str, certificate: bytes) -> SimWire:
        """The wire of ``host``, whose listeners show ``certificate``."""
        return SimWire(self, host, certificate)

    def partition(self, one: str, other: str) -> None:
        """From now on nothing passes between two hosts, either way."""
        self.block(one, other)
        self.block(other, one)

    def heal(self, one: str, other: str) -> None:
        """New connections between two hosts work again."""
        self.unblock(one, other)
        self.unblock(other, one)

    def block(self, source: str, target: str) -> None:
        """From now on nothing passes this way; blocked twice needs to be unblocked twice."""
        self._blocked[source, target] += 1
        if self._blocked[source, target] == 1:
            self._trace.record(source, "cut off", target=target)
            for end in list(self._connections):
                for side in (end, end.other):
                    if (side.host, side.peer) == (source, target):
                        side.go_silent(both_ways=False)

    def unblock(self, source: str, target: str) -> None:
        self._blocked[source, target] -= 1
        if not self._blocked[source, target]:
            self._trace.record(source, "reaches again", target=target)

    def is_apart(self, one: str, other: str) -> bool:
        """Whether no connection can be made: that needs both directions."""
        return bool(self._blocked[one, other] or self._blocked[other, one])

    def set_line(self, host: str, bytes_s: float) -> None:
        """How much passes in each direction between a host and everybody; 0: no bound."""
        self._bytes_s[host] = bytes_s

    def stall(self, host: str, seconds: float) -> None:
        """What a host sends comes later by so much, from now on; stalls add up."""
        self._stalls[host] = self._stalls.get(host, 0.0) + seconds

    def passage(self, source: str, target: str, size: int) -> float:
        """Seconds until a frame of ``size`` bytes that is sent now has passed both lines."""
        now = asyncio.get_running_loop().time()
        passed = now
        for host, sends in ((source, True), (target, False)):
            if rate := self._bytes_s.get(host):
                end = max(now, self._through.get((host, sends), 0.0)) + size / rate
                self._through[host, sends] = end
                passed = max(passed, end)
        return passed - now + self._stalls.get(source, 0.0)

    def crash(self, host: str) -> None:
        """The process on ``host`` is gone: its listeners, connections and accepting tasks end."""
        self._trace.record("network", "crash", host=host)
        for address in [name for name, heard in self._listeners.items() if heard.host == host]:
            del self._listeners[address]
        for end in list(self._connections):
            if host in (end.host, end.peer):
                end.go_silent()
        for task in [task for task, owner in self._tasks.items() if owner == host]:
            task.cancel()

    async def dial(self, host: str, address: str, pin: bytes) -> _End:
        self._dials += 1
        number = self._dials
        peer = address.rpartition(":")[0]
        self._trace.record(host, "dial", to=address, connection=number)
        away = _Lane(self, f"{number} away", self._seed, host, peer)
        back = _Lane(self, f"{number} back", self._seed, peer, host)
        await asyncio.sleep(away.delay() + back.delay())
        if self.is_apart(host, peer):
            await asyncio.sleep(DIAL_SECONDS)
            raise Unavailable(address, "an answer", f"silence for {DIAL_SECONDS} s")
        listener = self._listeners.get(address)
        if listener is None:
            raise Unavailable(address, "a listener", "connection refused")
        binding = hashlib.sha256(listener.certificate).digest()
        if binding != pin:
            raise AuthError(address, f"certificate {pin.hex()[:16]}", binding.hex()[:16])
        near = _End(self, number, host, peer, binding, away, back)
        far = _End(self, number, peer, host, binding, back, away)
        near.other, far.other = far, near
        self._connections[near] = None
        self._start(peer, _serve(listener.accept, far))
        return near

    def listen(self, address: str, listener: _Listener) -> Callable[[], Awaitable[None]]:
        if address in self._listeners:
            raise Unavailable(address, "a free address", "one in use")
        self._trace.record(listener.host, "listen", address=address)
        self._listeners[address] = listener

        async def stop() -> None:
            if self._listeners.get(address) is listener:
                del self._listeners[address]

        return stop

    def record_broken(self, end: _End, why: str) -> None:
        near = end if end in self._connections else end.other
        if near in self._connections:
            del self._connections[near]
            self._trace.record(end.host, "broken", connection=end.number, why=why)

    def record_frame(self, end: _End, frame: bytes) -> None:
        digest = hashlib.sha256(frame).hexdigest()[:12]
        facts = {"to": end.peer, "bytes": len(frame), "sha256": digest}
        self._trace.record(end.host, "frame", connection=end.number, **facts)

    def _start(self, host: str, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work, context=on_machine(host))
        self._tasks[task] = host
        task.add_done_callback(lambda done: self._tasks.pop(done, None))


@dataclass(frozen=True, slots=True, eq=False)
class _Listener:
    host: str
    certificate: bytes
    accept: Accept


async def _serve(accept: Accept, end: _End) -> None:
    """A connection lasts as long as its handler; what peers do wrong ends it, and no more."""
    try:
        with contextlib.suppress(FangzhiError):
            await accept(end)
    finally:
        await end.close()


class SimWire:
    """Wire of one host."""

    def __init__(self, network: SimNetwork, host: str, certificate: bytes) -> None:
        self._network = network
        self._host = host
        self._certificate = certificate

    async def dial(self, address: str, pin: bytes) -> Connection:
        return await self._network.dial(self._host, address, pin)

    async def listen(self, address: str, accept: Accept) -> Callable[[], Awaitable[None]]:
        if address.rpartition(":")[0] != self._host:
            raise ValueError(f"{self._host} cannot listen on {address}")
        return self._network.listen(address, _Listener(self._host, self._certificate, accept))


class _Lane:
    """One direction of a connection: frames under way, frames arrived, or the end of it."""

    def __init__(self, network: SimNetwork, name: str, seed: int, source: str, target: str) -> None:
        self._network = network
        self._ends = source, target
        self._random = draws(seed, f"lane {name}")
        self._arrives_at = 0.0
        self._under_way = 0
        self._line: deque[Callable[[], None]] = deque()
        self._arrived: deque[bytes] = deque()
        self._ended = ""
        self._deaf = False
        self._breaking = False
        self._changed: asyncio.Future[None] | None = None
        self.silent = False

    def delay(self) -> float:
        return self._random.uniform(*self._network.weather.delay_seconds)

    def breaks(self) -> bool:
        return self._random.random() < self._network.weather.loss

    def notice(self) -> float:
        return self._random.uniform(*NOTICE_SECONDS)

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Never before what was put on the lane earlier."""
        loop = asyncio.get_running_loop()
        self._arrives_at = max(self._arrives_at, loop.time() + seconds)
        # Timers of one instant come in any order, so they take from this line, not their own.
        self._line.append(action)
        loop.call_at(self._arrives_at, self._take_turn)

    def _take_turn(self) -> None:
        self._line.popleft()()

    async def put(self, frame: bytes) -> None:
        while self._under_way + len(self._arrived) >= FRAMES_UNDER_WAY_MAX and not self._ended:
            await self._change()
        if self._ended:
            raise Unavailable("connection", "an open one", self._ended)
        if not self.silent:
            self._under_way += 1
            passage = self._network.passage(*self._ends, len(frame))
            self.later(passage + self.delay(), lambda: self._arrive(frame))

    async def get(self) -> bytes:
        while not self._arrived:
            if self._deaf or self._ended:
                raise Unavailable("connection", "a frame", self._ended or "closed here")
            await self._change()
        frame = self._arrived.popleft()
        self._wake()
        return frame

    def end(self, why: str) -> None:
        """No more frames; those that arrived can still be taken."""
        self._ended = self._ended or why
        self._wake()

    def lose(self) -> None:
        self.end("lost")

    def break_soon(self) -> None:
        if not self._breaking:
            self._breaking = True
            # Not in the line of the frames: those that are still let through come before.
            asyncio.get_running_loop().call_later(self.notice(), self.lose)

    def deafen(self) -> None:
        """The receiver is gone; the sender does not know it yet."""
        self._deaf = True
        self._arrived.clear()
        self._wake()

    def _arrive(self, frame: bytes) -> None:
        self._under_way -= 1
        if not (self.silent or self._ended or self._deaf):
            self._arrived.append(frame)
        self._wake()

    async def _change(self) -> None:
        if self._changed is None:
            self._changed = asyncio.get_running_loop().create_future()
        # Shielded: several may wait, and the cancelling of one must not wake the others.
        await asyncio.shield(self._changed)

    def _wake(self) -> None:
        changed, self._changed = self._changed, None
        if changed:
            changed.set_result(None)


@dataclass(slots=True, eq=False)
class _End:
    """Connection as one of its two hosts has it."""

    _network: SimNetwork
    number: int
    host: str
    peer: str
    _binding: bytes
    _out: _Lane
    _into: _Lane
    _closed: bool = False
    other: _End = field(init=False)

    @property
    def binding(self) -> bytes:
        return self._binding

    async def send(self, frame: bytes) -> None:
        self._refuse_closed()
        self._network.record_frame(self, frame)
        if self._out.breaks():
            self.go_silent()
        await self._out.put(frame)

    async def receive(self) -> bytes:
        self._refuse_closed()
        frame = await self._into.get()
        if len(frame) > FRAME_BYTES_MAX:
            await self.close()
            raise DecodeError("frame", f"at most {FRAME_BYTES_MAX} bytes", len(frame))
        return frame

    async def close(self) -> None:
        """The other end takes what is under way, then learns of it."""
        if self._closed:
            return
        self._closed = True
        self._into.deafen()
        self._out.later(self._out.delay(), self._tell_closed)
        self._network.record_broken(self, "closed")

    def go_silent(self, *, both_ways: bool = True) -> None:
        """Nothing passes any more, or nothing from here to there; each direction breaks after a
        while of its own, for without answers TCP gives up the other one, too."""
        for lane in (self._out, self._into):
            if both_ways or lane is self._out:
                lane.silent = True
            lane.break_soon()
        if self._out.silent and self._into.silent:
            self._network.record_broken(self, "lost")

    def _tell_closed(self) -> None:
        for lane in (self._out, self._into):
            lane.end("closed by the other end")

    def _refuse_closed(self) -> None:
        if self._closed:
            raise Unavailable("connection", "an open one", "closed here")
