"""Keepers of logs in pretended time: real links, sessions and catching up, nothing else of a node.

A keeper answers through its peer link alone; a liar is one with answers of its own.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from ledger import hash_rows, logbook
from ledger.checkpoint import Checkpoint, sign_checkpoint
from node.hands.storage.memory_kv import Dump, MemoryStore
from node.office.catchup import Catchup
from node.office.links import Handler, Links
from protocol.errors import Fatal
from protocol.handshake import HelloKey, Identity
from protocol.ids import NetworkId, OfficeCode, RootHash
from protocol.keys import SigningKey
from protocol.ports import KeyValueStore
from simulations.trace import Trace
from simulations.wire import SimNetwork, Weather

PROVINCE, LOG, OTHER_LOG = map(OfficeCode, ("320000", "320500", "320600"))
KEEPERS = tuple(map(OfficeCode, ("320001", "320002", "320003", "320004", "320005")))
TABLES = (logbook.ENTRY, hash_rows.TILE, logbook.HEAD)
NETWORK = NetworkId.of(b"keepers")
LOG_KEY = SigningKey.from_seed(bytes(32))
SECONDS = 20.0


def made(count: int, word: str = "entry") -> list[bytes]:
    return [f"{word} {index}".encode() for index in range(count)]


def kept(entries: Sequence[bytes], code: OfficeCode = LOG) -> MemoryStore:
    store = MemoryStore(TABLES)
    store.run(lambda writer: logbook.append(writer, code, entries))
    return store


def note_of(store: KeyValueStore, code: OfficeCode = LOG) -> bytes:
    with store.read() as reader:
        head = logbook.head(reader, code)
    return sign_checkpoint(Checkpoint(f"keepers.example/{code}", head.size, head.root), LOG_KEY)


def signed(size: int, root: bytes) -> bytes:
    return sign_checkpoint(Checkpoint(f"keepers.example/{LOG}", size, RootHash(root)), LOG_KEY)


class Keeper:
    """One node: ``asked`` counts what it was asked, by method."""

    def __init__(self, code: OfficeCode, store: KeyValueStore) -> None:
        self.code, self.store = code, store
        self.asked: Counter[str] = Counter()
        self.in_flight = self.in_flight_max = 0
        self.reached: list[tuple[OfficeCode, bytes]] = []
        self.forked: list[tuple[OfficeCode, bytes]] = []
        self.agreed: list[int] = []
        self.goals: dict[OfficeCode, Checkpoint] = {}
        self.barred: set[OfficeCode] = set()
        self.commits: list[int] = []  # size of the log after each
        self.links: Links
        self.catchup: Catchup
        self.run: asyncio.Task[None]
        self.died = False

    def size(self, code: OfficeCode = LOG) -> int:
        with self.store.read() as reader:
            return logbook.head(reader, code).size

    def dump(self) -> Dump:
        assert isinstance(self.store, MemoryStore)
        return self.store.dump()

    def counted(self, method: str, handler: Handler) -> Handler:
        async def count(peer: Any, ask: Any) -> object:
            self.asked[method] += 1
            self.in_flight += 1
            self.in_flight_max = max(self.in_flight, self.in_flight_max)
            try:
                await asyncio.sleep(0.001)
                return await handler(peer, ask)
            finally:
                self.in_flight -= 1

        return count

    async def on_reached(self, code: OfficeCode, note: bytes) -> None:
        self.reached.append((code, note))

    async def on_forked(self, code: OfficeCode, note: bytes, _peer: str, agreed: int) -> None:
        self.forked.append((code, note))
        self.agreed.append(agreed)

    def told(self, note: bytes, by: Keeper, code: OfficeCode = LOG) -> None:
        """A note has come from the node ``by``."""
        size = int(note.split(b"\n")[1])
        peer = next(peer.key for peer in self.links.peers() if by.code in peer.offices)
        self.catchup.longer(code, size, note, peer)


class Keepers:
    """A network of keepers that run until the test is over."""

    def __init__(self, tasks: asyncio.TaskGroup) -> None:
        self._tasks = tasks
        clock = asyncio.get_running_loop().time
        self._net = SimNetwork(7, Trace(clock), Weather(delay_seconds=(0.01, 0.05)))
        self._addresses: dict[OfficeCode, tuple[str, bytes]] = {}
        self._keepers: list[Keeper] = []

    async def join(self, store: KeyValueStore, answers: dict[str, Handler] | None = None) -> Keeper:
        """A keeper with a link to every earlier one; ``answers`` are a liar's."""
        keeper = Keeper(KEEPERS[len(self._keepers)], store)
        code, host = keeper.code, f"n{keeper.code}"
        key = SigningKey.from_seed(hashlib.sha256(host.encode()).digest())
        handlers: dict[str, Handler] = {}
        wire = self._net.wire(host, certificate=host.encode())
        keeper.links = Links(
            wire,
            _Dice(host),
            me=lambda: Identity(NETWORK, {code: key}),
            lookup=_lookup,
            where=self._addresses.get,
            handlers=handlers,
            roster_size=lambda: 1,
            redial_seconds_max=8.0,
            refused=lambda: None,
        )
        keeper.catchup = self.catchup(keeper)
        handlers["log.entries"] = keeper.counted("log.entries", keeper.catchup.on_entries)
        handlers["log.tile"] = keeper.counted("log.tile", keeper.catchup.on_tile)
        for method, answer in (answers or {}).items():
            handlers[method] = keeper.counted(method, answer)
        keeper.links.keep([other.code for other in self._keepers])
        self._addresses[code] = (f"{host}:1", hashlib.sha256(host.encode()).digest())
        await wire.listen(f"{host}:1", keeper.links.accept)
        self._tasks.create_task(keeper.links.run())
        keeper.run = self._tasks.create_task(_run(keeper))
        self._keepers.append(keeper)
        while len(keeper.links.peers()) < len(self._keepers) - 1:
            await asyncio.sleep(0.05)
        return keeper

    def catchup(self, keeper: Keeper) -> Catchup:
        return Catchup(
            keeper.store,
            PROVINCE,
            keeper.links,
            lambda code: keeper.commits.append(keeper.size(code)),
            keeper.on_reached,
            keeper.on_forked,
            keeper.goals.get,
            keeper.barred.__contains__,
            SECONDS,
        )

    def restart(self, keeper: Keeper) -> None:
        """Catching up dies where it stands, and begins again knowing nothing but the rows."""
        keeper.run.cancel()
        keeper.died = False
        keeper.catchup = self.catchup(keeper)
        keeper.run = self._tasks.create_task(_run(keeper))

    async def stop(self) -> None:
        for keeper in self._keepers:
            keeper.run.cancel()
            await keeper.links.stop()


@asynccontextmanager
async def keepers() -> AsyncIterator[Keepers]:
    async with asyncio.TaskGroup() as tasks:
        here = Keepers(tasks)
        try:
            yield here
        finally:
            await here.stop()


async def _run(keeper: Keeper) -> None:
    try:
        await keeper.catchup.run()
    except* Fatal:
        keeper.died = True


async def until(holds: Callable[[], bool], seconds: float = 600) -> None:
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.02)


def _lookup(office: OfficeCode, _signer: bytes, /) -> HelloKey:
    seed = hashlib.sha256(f"n{office}".encode()).digest()
    return HelloKey(SigningKey.from_seed(seed).public)


class _Dice:
    def __init__(self, seed: str) -> None:
        self._state = seed.encode()

    def random_bytes(self, count: int) -> bytes:
        self._state = hashlib.sha256(self._state).digest()
        return self._state[:count]
