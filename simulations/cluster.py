"""Real nodes on pretended machines: one loop, one network, a disk and a clock for each.

A :class:`Host` is a machine with its home: what outlives the process (keys, genesis note, invite,
disk).  Starting it makes a :class:`node.office.node.Node` on it, exactly as ``fangzhi serve`` does
on a real home, with simulated ports for its world.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from typing import Any, Final, TypeVar

from configs.offices import load
from ledger.genesis import Genesis, write_genesis
from ledger.note import ED25519, NoteKey
from ledger.roster import Roster
from ledger.views import TABLES as FOLDED
from node.hands.config import NodeConfig, PeerConfig, WebConfig
from node.hands.ingest.findings import Drawn, Inspection
from node.hands.ingest.orders import not_drawn
from node.hands.ingest.text import inspect_text
from node.hands.keys import OfficeKeys, make_office_keys
from node.hands.world import DrawPage, World
from node.office.catalog import TABLES as CATALOG
from node.office.changefile import add_signature
from node.office.membership import read_invite, write_request
from node.office.node import LEDGER_TABLES, Node
from protocol.errors import Missing, Unavailable
from protocol.ids import BlobId, OfficeCode
from protocol.keys import SigningKey, key_id
from protocol.limits import TEXT_BYTES_MAX
from protocol.ports import WitnessClient
from search_shard.tables import Tables
from simulations.clock import SimClock, SimRng, draws
from simulations.disk import Backup, SimDisk
from simulations.faults import Mix
from simulations.loop import SimLoop, on_machine
from simulations.trace import Trace
from simulations.wire import SimNetwork

T = TypeVar("T")

NETWORK: Final = "sim.fangzhi.example"
TABLE: Final = "jiangsu"
PORT: Final = 7000
DISK_BYTES: Final = 2**40
WORK_SECONDS: Final = (0.0, 0.010)  # how long a job waits for a thread, and is then seen as done


class Cluster:
    """A network of hosts under the conditions of ``mix``."""

    def __init__(self, mix: Mix, trace: Trace, tables: Tables) -> None:
        self.mix, self.trace, self.tables = mix, trace, tables
        self.network = SimNetwork(mix.seed, trace, mix.weather)
        self.rows = {row.code: row for row in load(TABLE)}
        self.hosts = {code: Host(self, code) for code in mix.machines}
        self.province = self.hosts[next(iter(self.hosts))]
        self.root = SigningKey.from_seed(SimRng(mix.seed, "root").random_bytes(32))
        name = f"{NETWORK}/root"
        self.genesis = Genesis(
            network=NETWORK,
            province=self.province.code,
            threshold=1,
            roots=(NoteKey(name, ED25519, self.root.public),),
            log_key=self.province.keys.log.public,
        )
        self.genesis_note = write_genesis(self.genesis, {name: self.root})
        self.outside = Outside()
        # A disk has forgotten what it had called durable, by its own fault.
        self.on_loss: Callable[[Host], None] = lambda host: None

    async def found(self) -> None:
        """Start the province and have it admit itself."""
        await self.province.start()
        await self.admit(self.province)

    async def join(self, host: Host) -> None:
        """The province admits ``host``, which takes its invite and starts.

        Raises:
            Unavailable: the province is down or died meanwhile.
        """
        if host.newcomer is None:
            host.newcomer = await self.admit(host)
        await host.start()

    async def admit(self, host: Host) -> Roster:
        """What the invite of ``host`` tells it of the roster."""
        keys, address = {host.code: host.keys}, host.address
        request = write_request(keys, host.pin, address, f"http://{host.code}")

        async def at_province(node: Node) -> bytes:
            known = node.folding.roster.members.get(host.code)
            if known is None:
                await self._change(node, {"admit": [request.decode()]})
            return node.registrar.invite([host.code])

        note, roster = read_invite(await self.province.ask(at_province))
        assert note == self.genesis_note
        self.trace.record(self.province.code, "admitted", office=host.code, roster=roster.size)
        return roster

    async def change(self, what: dict[str, Any]) -> None:
        """Have the province draft a change of the roster, sign it with the root key, apply it.

        Raises:
            FangzhiError, TimeoutError: see :meth:`Registrar.draft` and :meth:`Registrar.apply`.
        """
        await self.province.ask(lambda node: self._change(node, what))
        self.trace.record(self.province.code, "roster", change="+".join(what))

    async def _change(self, node: Node, what: dict[str, Any]) -> None:
        file = node.registrar.draft(what, self.rows.values())
        await node.registrar.apply(add_signature(file, self.root))

    def up(self) -> list[Host]:
        return [host for host in self.hosts.values() if host.node is not None]

    def cut(self, whom: Iterable[OfficeCode]) -> None:
        """Part ``whom`` from everybody else."""
        for one, other in self.across(whom):
            self.network.partition(one, other)

    def heal(self, whom: Iterable[OfficeCode]) -> None:
        for one, other in self.across(whom):
            self.network.heal(one, other)

    def across(self, whom: Iterable[OfficeCode]) -> list[tuple[OfficeCode, OfficeCode]]:
        """Each of ``whom`` with each of the others."""
        inside = set(whom)
        return [
            (one, other)
            for one in self.hosts
            for other in self.hosts
            if one in inside and other not in inside
        ]


class Host:
    """One machine, its home, and the node on it while it runs."""

    def __init__(self, cluster: Cluster, code: OfficeCode) -> None:
        mix, machine = cluster.mix, cluster.mix.machines[code]
        self.code = code
        self.row = cluster.rows[code]
        self.rng = SimRng(mix.seed, f"host {code}")
        self.keys = make_office_keys(code, SimRng(mix.seed, f"keys {code}").random_bytes)
        self.folder = SimKeys({code: (self.keys,)})
        self.disk = SimDisk(mix.seed, code, DISK_BYTES)
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimLoop)
        self._loop = loop
        self.clock = SimClock(loop.time, machine.offset_ms, machine.drift_ppm)
        certificate = f"certificate of {code}".encode()
        self.pin = hashlib.sha256(certificate).digest()
        self.wire = cluster.network.wire(code, certificate)
        cluster.network.set_line(code, machine.bytes_s)
        self.address = f"{code}:{PORT}" if machine.listens else ""
        self.config = NodeConfig(peer=PeerConfig(listen=self.address), web=WebConfig(listen=""))
        self.newcomer: Roster | None = None
        self.node: Node | None = None
        self.deaths: list[str] = []  # of a node that nobody had stopped: a bug
        self.backup: Backup | None = None
        self.has_run = False
        self._cluster = cluster
        self._life: asyncio.Task[None] | None = None
        self._calls: dict[asyncio.Task[Any], None] = {}

    def next_keys(self, *, lost: bool) -> str:
        """New keys in this home, and the request for them; ``lost``: the old ones sign nothing."""
        before = self.folder.generations[self.code]
        name = f"keys {self.code} {len(before)}"
        keys = make_office_keys(self.code, SimRng(self._cluster.mix.seed, name).random_bytes)
        self.folder.generations[self.code] = (*before, keys)
        url, old = f"http://{self.code}", () if lost else [each.event for each in before]
        return write_request({self.code: keys}, self.pin, self.address, url, old).decode()

    async def start(self) -> None:
        """Returns when the node answers."""
        loop = asyncio.get_running_loop()
        node = Node(
            self.config,
            self._world(),
            self._cluster.genesis_note,
            self.folder,
            self._cluster.tables,
            self.newcomer,
        )
        self._cluster.trace.record(self.code, "start", log=node.log_size(self.code))
        ready = loop.create_future()
        running = node.run(lambda: ready.set_result(None))
        self._life = loop.create_task(running, context=on_machine(self.code))
        self._life.add_done_callback(self._ended)
        self.node, self.has_run = node, True
        await asyncio.wait([ready, self._life], return_when=asyncio.FIRST_COMPLETED)

    async def stop(self) -> None:
        """As after SIGTERM: say goodbye, end, close the stores."""
        node, life = self.node, self._life
        if node is None or life is None:
            return
        self._cluster.trace.record(self.code, "stop")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5):
                await node.links.stop()
        if self.node is node:  # it did not crash meanwhile
            self._drop_calls()
            await self._end(life)
            await node.world.ledger.close()
            await node.world.state.close()

    async def crash(self) -> None:
        """As after kill -9 or a power failure: what was not durable is gone."""
        if self.node is None or self._life is None:
            return
        self._cluster.trace.record(self.code, "crash")
        life, self.node = self._life, None  # whatever life ends with from now on was asked for
        forgot = self._fall()
        await self._end(life)
        if forgot:
            self._cluster.on_loss(self)

    async def replace_disk(self, backup: Backup | None) -> None:
        """The disk dies; its successor has an old copy, or nothing."""
        await self.crash()
        self.disk.replace(backup)
        self._cluster.trace.record(self.code, "other disk", copied=backup is not None)
        self._cluster.on_loss(self)

    def pause(self) -> None:
        """The process takes no step until :meth:`resume`."""
        self._cluster.trace.record(self.code, "pause")
        self._loop.pause(self.code)

    def resume(self) -> None:
        self._cluster.trace.record(self.code, "resume")
        self._loop.resume(self.code)

    async def ask(self, work: Callable[[Node], Coroutine[Any, Any, T]]) -> T:
        """What a person or a program at this office wants of its node.

        Raises:
            Unavailable: the node is down, or died before it answered.
        """
        if self.node is None:
            raise Unavailable(f"node {self.code}", "a running node", "none")
        call = self._loop.create_task(work(self.node), context=on_machine(self.code))
        self._calls[call] = None
        call.add_done_callback(lambda done: self._calls.pop(done, None))
        await asyncio.wait([call])
        if call.cancelled():
            raise Unavailable(f"node {self.code}", "an answer", "it died")
        return call.result()

    def _fall(self) -> bool:
        """What ends with a process that did not say goodbye; see :meth:`SimDisk.crash`."""
        forgot = self.disk.crash()
        self._cluster.network.crash(self.code)
        self._drop_calls()
        return forgot

    def _drop_calls(self) -> None:
        for call in list(self._calls):
            call.cancel()

    async def _end(self, life: asyncio.Task[None]) -> None:
        self.node = None  # first: whatever life ends with from now on was asked for
        life.cancel()
        self._loop.resume(self.code)  # a process that is killed while it is paused ends
        await asyncio.wait([life])

    def _ended(self, life: asyncio.Task[None]) -> None:
        error = None if life.cancelled() else life.exception()
        if self.node is not None and self._life is life:
            self.node = None
            if not self.disk.broken:
                self.deaths.append(repr(error))
            self._cluster.trace.record(self.code, "died", of=repr(error))
            if self._fall():
                self._cluster.on_loss(self)

    def _world(self) -> World:
        disk, blobs = self.disk, self.disk.blobs()

        async def inspect(blob: BlobId, name: str) -> Inspection:
            return inspect_text(name, await blobs.read(blob, 0, TEXT_BYTES_MAX))

        @contextlib.asynccontextmanager
        async def drawing(blob: BlobId, name: str) -> AsyncIterator[DrawPage]:
            data = await blobs.read(blob, 0, TEXT_BYTES_MAX)

            async def draw(page: int, mark: str) -> Drawn:
                return pretend_drawn(data, name, page, mark)

            yield draw

        return World(
            clock=self.clock,
            rng=self.rng,
            wire=self.wire,
            outside=self._cluster.outside,
            ledger=disk.key_value("ledger", LEDGER_TABLES),
            state=disk.key_value("state", (*FOLDED, *CATALOG)),
            blobs=blobs,
            segments=disk.segments(),
            work=SlowWork(self._cluster.mix.seed, self.code),
            inspect=inspect,
            drawing=drawing,
            free_bytes=lambda: DISK_BYTES,
        )


def pretend_drawn(data: bytes, name: str, page: int, mark: str) -> Drawn:
    """A drawing of a file whose pages form feeds part: words about it instead of pictures."""
    pages = data.split(b"\f")
    if not 1 <= page <= len(pages) or not pages[page - 1]:
        return not_drawn(name, page, "nothing on it")
    image, small = (b"%s of " % kind + pages[page - 1] for kind in (b"image", b"thumbnail"))
    return Drawn(len(pages), image + b" by " + mark.encode(), small, 1200, 1630, None)


class Outside:
    """WitnessClient of the whole network: ``witness`` answers for every address, if there is
    one."""

    def __init__(self) -> None:
        self.witness: WitnessClient | None = None

    async def add_checkpoint(self, url: str, body: bytes) -> tuple[int, str, bytes]:
        return await self._found(url).add_checkpoint(url, body)

    async def cosigned(self, url: str, origin_hash: str) -> bytes | None:
        return await self._found(url).cosigned(url, origin_hash)

    def _found(self, url: str) -> WitnessClient:
        if self.witness is None:
            raise Unavailable(url, "a witness that answers", "nobody outside")
        return self.witness


class SimKeys:
    """The keys of a host; ``generations`` may grow while its node runs."""

    def __init__(self, generations: dict[OfficeCode, tuple[OfficeKeys, ...]]) -> None:
        self.generations = generations
        self._users: dict[bytes, SigningKey] = {}
        self._sealing: dict[OfficeCode, tuple[bytes, ...]] = {}

    def offices(self) -> dict[OfficeCode, tuple[OfficeKeys, ...]]:
        return dict(self.generations)

    def user(self, user: bytes) -> SigningKey:
        if user not in self._users:
            raise Missing("user key", "one that is kept here", user.hex())
        return self._users[user]

    def keep_user(self, key: SigningKey) -> None:
        self._users[key_id(key.public)] = key

    def sealing(self, code: OfficeCode) -> tuple[bytes, ...]:
        return self._sealing.get(code, ())

    def keep_sealing(self, code: OfficeCode, private: bytes) -> None:
        self._sealing[code] = (*self.sealing(code), private)


class SlowWork:
    """BlockingWork without threads: other things happen before a job and before it is answered."""

    def __init__(self, seed: int, name: str) -> None:
        self._chance = draws(seed, f"work {name}")

    async def run(self, work: Callable[..., T], *arguments: object) -> T:
        await asyncio.sleep(self._chance.uniform(*WORK_SECONDS))
        result = work(*arguments)
        await asyncio.sleep(self._chance.uniform(*WORK_SECONDS))
        return result
