"""A peer that signs two histories with a real key, over the real peer link."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from ledger import hash_rows, logbook
from ledger.checkpoint import Checkpoint, parse_checkpoint, sign_checkpoint
from ledger.custody import HoldTake
from ledger.events import Context, sign_event
from ledger.evidence import CHAIN, PREFIX, Evidence, verify_evidence
from ledger.views import reported_forks
from node.hands.storage.memory_kv import MemoryStore
from node.office.catchup import Catchup
from node.office.links import Links, Peer
from protocol.errors import Missing, ProofError
from protocol.handshake import HelloKey, Identity
from protocol.ids import BlobId, OfficeCode, RootHash, UnixMs
from protocol.messages import (
    Ack,
    Advert,
    EntryProof,
    EvidenceTell,
    Heads,
    HeadsAsk,
    ProofAsk,
    RemoteFault,
)
from protocol.ports import Writer

PROVINCE, CITY, COUNTY = map(OfficeCode, ("320000", "320500", "320581"))
Play = Callable[..., None]


@dataclass
class Liar:
    """Speaks for the county, whose node is down, with its keys; serves a log of its own making."""

    town: Any
    proves: bool = True
    store: MemoryStore = field(
        default_factory=lambda: MemoryStore([logbook.ENTRY, hash_rows.TILE, logbook.HEAD])
    )
    heard: list[EvidenceTell] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.host = self.town.hosts[COUNTY]
        self.genesis = self.town.cluster.genesis
        province = self.town.node(PROVINCE)
        self.roster = province.folding.roster_ref()
        city = self.town.hosts[CITY]
        self.links = Links(
            self.host.wire,
            self.host.rng,
            me=lambda: Identity(self.genesis.id, {COUNTY: self.host.keys.event}),
            lookup=lambda *_: HelloKey(city.keys.event.public),
            where=lambda _: (city.address, city.pin),
            handlers={
                "log.heads": self._heads,
                "log.note": self._heard_note,
                "log.proof": self._proof,
                "log.evidence": self._evidence,
            },
            roster_size=lambda: self.roster.size,
            redial_seconds_max=1,
            refused=lambda: None,
        )

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        nothing: Any = None
        served = Catchup(
            self.store,
            PROVINCE,
            self.links,
            nothing,
            nothing,
            nothing,
            nothing,
            nothing,
            1,  # type: ignore[arg-type]
        )
        self.links._handlers |= {"log.entries": served.on_entries, "log.tile": served.on_tile}  # type: ignore[operator]
        async with asyncio.TaskGroup() as group:
            group.create_task(self.links.run())
            await asyncio.sleep(0.1)
            yield
            await self.links.stop()

    def write(self, count: int, last: tuple[int, RootHash] | None = None) -> None:
        """Append one batch that names ``last`` (or the truth)."""

        def job(writer: Writer) -> None:
            head = logbook.head(writer, COUNTY)
            size, root = last or (head.size, head.root)
            context = Context(
                self.genesis.id, COUNTY, size, root, self.roster.size, self.roster.root
            )
            item = f"lie {head.size}"
            body = HoldTake(item, BlobId(bytes(32)), 1, 1)
            entries = [
                sign_event(context, body, UnixMs(n), self.host.keys.event).encoded()
                for n in range(count)
            ]
            logbook.append(writer, COUNTY, entries)

        self.store.run(job)

    def copy(self, size: int) -> None:
        """Begin with the true entries."""
        with self.town.node(CITY).world.ledger.read() as reader:
            entries = logbook.entries(reader, COUNTY, 0, size)
        self.store.run(lambda writer: logbook.append(writer, COUNTY, entries))

    def note(self) -> bytes:
        with self.store.read() as reader:
            head = logbook.head(reader, COUNTY)
        checkpoint = Checkpoint(self.genesis.origin(COUNTY), head.size, head.root)
        return sign_checkpoint(checkpoint, self.host.keys.log)

    async def tell(self) -> None:
        note = self.note()
        await self.links.ask(CITY, "log.note", Advert(COUNTY, note, parse_checkpoint(note).size), 5)

    async def _heads(self, _peer: Peer, _ask: HeadsAsk) -> Heads:
        return Heads(())

    async def _heard_note(self, _peer: Peer, _ask: Advert) -> Ack:
        return Ack()

    async def _proof(self, _peer: Peer, ask: ProofAsk) -> EntryProof:
        if not self.proves:
            raise Missing("log.proof", "a proof", "none for you")
        with self.store.read() as reader:
            hashes = logbook.prove_inclusion(reader, COUNTY, ask.index, ask.size)
            return EntryProof(logbook.entry(reader, COUNTY, ask.index), hashes)

    async def _evidence(self, _peer: Peer, tell: EvidenceTell) -> Ack:
        self.heard.append(tell)
        return Ack()


async def county_is_down(town: Any) -> int:
    """The size of the county's log, which everybody has."""
    for text in ("一", "二"):
        await town.report(COUNTY, {"a.txt": text.encode()})
    await town.quiet()
    size: int = town.node(COUNTY).log_size(COUNTY)
    await town.hosts[COUNTY].stop()
    return size


def held(node: Any) -> list[Any]:
    keys = node.accuser.log_keys(COUNTY)
    return [verify_evidence(each.evidence, keys) for _, _, each in node.accuser.evidence()]


@pytest.mark.parametrize("shape", [CHAIN, PREFIX])
def test_a_longer_history_convicts_its_signer(play: Play, shape: str) -> None:
    async def story(town: Any) -> None:
        size = await county_is_down(town)
        liar, city = Liar(town), town.node(CITY)
        liar.copy(size - 2)
        liar.write(2)
        with city.world.ledger.read() as reader:
            truth = (size, logbook.root_at(reader, COUNTY, size))
        liar.write(3, truth if shape == PREFIX else None)
        async with liar.at_work():
            await liar.tell()
            await town.until(lambda: bool(held(town.node(PROVINCE))) and bool(liar.heard))
        (verdict,) = held(city)
        assert held(town.node(PROVINCE)) == [verdict]
        assert (verdict.shape, verdict.size, verdict.size_b) == (shape, size, size + 3)
        assert [tell.office for tell in liar.heard] == [COUNTY], "told once, to the liar as well"
        for code in (CITY, PROVINCE):
            assert town.node(code).accuser.quarantined == {COUNTY}
            assert town.node(code).log_size(COUNTY) == size
        await town.until(lambda: len(reports(town.node(PROVINCE))) == 1)
        # the honest node of the office hears it too, and signs no more with that key
        await town.hosts[COUNTY].start()
        await town.until(lambda: bool(held(town.node(COUNTY))))
        gate = town.node(COUNTY).sequencer.gates[COUNTY]
        assert not gate.is_open
        assert "two histories" in gate.why_shut(size)
        # shown, with files that convince anybody
        (fork,) = town.node(PROVINCE).exhibits.answer().forks
        assert (fork.office, fork.shape, fork.standing) == (COUNTY, shape, True)
        assert [line.office for line in fork.reports] == [CITY]
        a, b = (town.node(PROVINCE).exhibits.file(path) for path in fork.files)
        assert verify_evidence(Evidence(a, b).encoded(), city.accuser.log_keys(COUNTY)) == verdict

    play(story, PROVINCE, CITY, COUNTY)


def reports(node: Any) -> list[Any]:
    with node.world.state.read() as reader:
        return reported_forks(reader, COUNTY)


def test_without_proof_nobody_is_accused(play: Play) -> None:
    async def story(town: Any) -> None:
        size = await county_is_down(town)
        liar, city = Liar(town, proves=False), town.node(CITY)
        liar.copy(size - 2)
        liar.write(5)
        async with liar.at_work():
            await liar.tell()
            await asyncio.sleep(10)
            assert not held(city)
            assert city.log_size(COUNTY) == size
        await town.hosts[COUNTY].start()
        await town.until(town.all_open)
        await town.report(COUNTY, {"b.txt": "三".encode()})
        await town.quiet()
        assert city.log_size(COUNTY) > size
        assert not any(held(town.node(code)) for code in town.hosts)

    play(story, PROVINCE, CITY, COUNTY)


def test_false_evidence_is_refused(play: Play) -> None:
    async def story(town: Any) -> None:
        size = await county_is_down(town)
        liar, city = Liar(town), town.node(CITY)
        liar.copy(size)
        true = liar.note()
        with liar.store.read() as reader:
            older = Checkpoint(
                town.cluster.genesis.origin(COUNTY), 1, logbook.root_at(reader, COUNTY, 1)
            )
        before = sign_checkpoint(older, liar.host.keys.log)
        async with liar.at_work():
            for evidence in (
                Evidence(true, true).encoded(),
                Evidence(before, true).encoded(),
                b"noise",
            ):
                for office in (COUNTY, PROVINCE, OfficeCode("329999")):
                    tell = EvidenceTell(office, evidence)
                    with pytest.raises(RemoteFault):
                        await liar.links.ask(CITY, "log.evidence", tell, 5)
        assert not city.accuser.evidence()
        assert not city.accuser.quarantined

    play(story, PROVINCE, CITY, COUNTY)


def test_an_own_key_that_signs_elsewhere_shuts_the_gate(play: Play) -> None:
    async def story(town: Any) -> None:
        await town.report(COUNTY, {"a.txt": "一".encode()})
        await town.quiet()
        node = town.node(COUNTY)
        liar = Liar(town)
        liar.copy(1)
        liar.write(node.log_size(COUNTY) - 1)
        with pytest.raises(ProofError, match="with evidence"):
            await node.replicator.learn(COUNTY, liar.note())
        assert node.accuser.quarantined == {COUNTY}
        assert not node.sequencer.gates[COUNTY].is_open
        assert (await town.report(COUNTY, {"b.txt": "二".encode()}))["pending"]
        await town.until(lambda: bool(held(town.node(PROVINCE))))
        assert not reports(town.node(PROVINCE)), "no office accuses itself in its own log"

    play(story, PROVINCE, CITY, COUNTY)
