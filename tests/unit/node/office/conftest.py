"""A small town of real nodes for the tests of their services: pretend machines, pretend time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from configs.offices import load
from node.hands.config import LedgerConfig, StoreConfig
from node.hands.ingest.findings import Inspection
from node.hands.keys import make_office_keys
from node.office.changefile import add_signature
from node.office.membership import write_request
from node.office.node import Node
from protocol.ids import OfficeCode
from search_shard.tables import Tables
from simulations.clock import SimRng
from simulations.cluster import Cluster, Host
from simulations.faults import Machine, Mix
from simulations.loop import run
from simulations.scenarios.places import is_county
from simulations.trace import Trace
from simulations.wire import Weather

PROVINCE, CITY, CITY2, COUNTY, COUNTY2 = map(
    OfficeCode, ("320000", "320500", "320600", "320581", "320681")
)
EVERYBODY = (PROVINCE, CITY, CITY2, COUNTY, COUNTY2)
PACE = LedgerConfig(gossip_ms=50, sync_s=2, anchor_s=3600)
Story = Callable[["Town"], Awaitable[None]]


class Town:
    """A founded network; ``hosts`` are its machines, all up at first."""

    def __init__(self, codes: tuple[OfficeCode, ...], tables: Tables) -> None:
        machines = {code: Machine(listens=not is_county(code)) for code in codes}
        mix = Mix("town", 1, 0, Weather((0.001, 0.005)), machines)
        self.cluster = Cluster(mix, Trace(asyncio.get_running_loop().time), tables)
        self.hosts: dict[OfficeCode, Host] = self.cluster.hosts

    @property
    def office(self) -> RootOffice:
        return RootOffice(self)

    async def found(self) -> None:
        store = StoreConfig(reserve_mib=1)
        for host in self.hosts.values():
            host.config = replace(host.config, ledger=PACE, store=store)
        await self.cluster.found()
        for host in list(self.hosts.values())[1:]:
            await self.cluster.join(host)
        await self.until(lambda: self.is_quiet() and self.all_open())

    def node(self, code: OfficeCode) -> Node:
        node = self.hosts[code].node
        assert node is not None, self.hosts[code].deaths
        return node

    def all_open(self) -> bool:
        return all(
            gate.is_open
            for host in self.cluster.up()
            for gate in self.node(host.code).sequencer.gates.values()
        )

    def is_quiet(self) -> bool:
        """Whether all who are up have the same logs, folded, and every file that they keep."""
        nodes = [self.node(host.code) for host in self.cluster.up()]
        sizes = {tuple(node.log_size(code) for code in self.hosts) for node in nodes}
        digests = {node.upkeep.digest() for node in nodes}
        waiting = sum(node.custodian.incomplete + node.indexer.waiting for node in nodes)
        return len(sizes) == len(digests) == 1 and not waiting

    async def until(self, holds: Callable[[], bool], seconds: float = 120) -> None:
        end = asyncio.get_running_loop().time() + seconds
        while not holds():
            assert asyncio.get_running_loop().time() < end, "it did not happen in time"
            await asyncio.sleep(0.2)

    async def until_soon(self, holds: Callable[[], bool]) -> None:
        """:meth:`until`, looking so often that little happens between."""
        while not holds():
            await asyncio.sleep(0.001)

    async def quiet(self) -> None:
        """Everything has reached everybody."""
        await asyncio.sleep(1)
        await self.until(self.is_quiet)

    async def report(
        self, code: OfficeCode, files: dict[str, bytes], title: str = "志", **fields: str
    ) -> dict[str, Any]:
        """Hand files in at an office; what the last step answered."""
        intake = self.node(code).intake
        sizes = [{"path": path, "size": len(data)} for path, data in files.items()]
        asked = {"record": {"title": title}, "confirm": True, "files": sizes, **fields}
        begun = await intake.begin(asked)
        if begun["status"] == "refused":
            return begun
        for number, data in enumerate(files.values()):
            await intake.receive(begun["report"], number, stream(data))
        return await intake.submit(begun["report"], confirm=True)

    async def report_data(self, code: OfficeCode, data: bytes, **fields: str) -> str:
        """Hand in one file that nobody looks into; its item."""

        async def opaque(*_: object) -> Inspection:
            return Inspection("application/octet-stream", "other", (), None, 0)

        node = self.node(code)
        node.intake._world = replace(node.intake._world, inspect=opaque)
        said = await self.report(code, {"a.bin": data}, **fields)
        return str(said["item"])

    async def public_item(self, code: OfficeCode, text: str) -> str:
        """An item of one text file that its reviewer has passed."""
        item = str((await self.report(code, {"a.txt": text.encode()}))["item"])
        await self.quiet()
        reviewer = self.node(code).folding.roster.reviewer_of(code)
        await self.node(reviewer).desk.review(item, "pass", "")
        await self.quiet()
        return item


class RootOffice:
    """The desk of the town's one root key, beside the provincial node."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.registrar = town.node(PROVINCE).registrar

    async def change(self, what: dict[str, Any]) -> None:
        """Draft, sign, apply, and wait until everybody who is up knows."""
        file = self.registrar.draft(what, load("jiangsu"))
        size = await self.registrar.apply(add_signature(file, self.town.cluster.root))
        nodes = [self.town.node(host.code) for host in self.town.cluster.up()]
        await self.town.until(lambda: all(n.folding.roster.size >= size for n in nodes))

    def next_keys(self, code: OfficeCode, *, lost: bool = False) -> str:
        """A new generation in the home of ``code``, and the request for it."""
        host = self.town.hosts[code]
        before = host.folder.generations[code]
        keys = make_office_keys(code, SimRng(len(before), f"next {code}").random_bytes)
        host.folder.generations[code] = (*before, keys)
        old = [] if lost else [each.event for each in before]
        url = f"http://{code}"
        return write_request({code: keys}, host.pin, host.address, url, old).decode()

    async def rotate(self, code: OfficeCode) -> None:
        await self.change({"rotate": [self.next_keys(code)]})


async def stream(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


@pytest.fixture
def play(tables: Tables) -> Callable[..., None]:
    """``play(story, *codes)``: run ``story`` in a founded town; a node that dies is a failure."""

    def play_story(story: Story, *codes: OfficeCode) -> None:
        async def main() -> None:
            town = Town(codes or EVERYBODY, tables)
            await town.found()
            await story(town)
            assert not [death for host in town.hosts.values() for death in host.deaths]

        run(main())

    return play_story
