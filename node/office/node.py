"""The assembly of a node: every service, in one place, from a configuration and a world.

Data flows down this page: logs grow (own appends, peers), the fold follows, and what changed wakes
the custodian (files) and the indexer (text); faces ask ``reading``, ``searcher``, ``intake``,
``desk`` and ``upkeep``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from ledger import logbook
from ledger.genesis import Genesis, read_genesis
from ledger.roster import Roster
from ledger.views import ItemView
from node.hands.config import NodeConfig
from node.hands.world import World
from node.office.accuser import Accuser
from node.office.catalog import every_item
from node.office.closing import Closing
from node.office.desk import Desk
from node.office.directory import Directory
from node.office.disks import DISK, Disks
from node.office.drafts import TABLES as DRAFTS
from node.office.exhibits import Exhibits
from node.office.exporter import Exporter
from node.office.folding import Folding
from node.office.indexer import Indexer
from node.office.intake import Intake
from node.office.keyring import KeyFolder, Keyring
from node.office.links import Handler, Links
from node.office.mirror import Mirror
from node.office.notary import Notary
from node.office.provenance import Provenance
from node.office.reading import Reading
from node.office.registrar import Registrar
from node.office.replicator import Pace, Replicator
from node.office.sealer import Sealer
from node.office.searcher import Searcher
from node.office.sequencer import Sequencer
from node.office.shards import Shards
from node.office.snapshots import Snapshots
from node.office.spotcheck import SpotChecks
from node.office.statistician import Statistician
from node.office.submitter import Submitter
from node.office.suggester import Suggester
from node.office.thesaurus import Thesaurus
from node.office.upkeep import Upkeep
from node.office.users import Users
from node.office.using import Using
from node.office.vault import Vault
from node.office.witness import Witness
from node.office.witnessing import Witnessing
from protocol.errors import Full
from protocol.handshake import Identity
from protocol.ids import BlobId, ChunkRoot, OfficeCode
from protocol.limits import MiB
from search_shard.parse import Rules
from search_shard.tables import Tables

FULL_RETRY_S = 5.0
LEDGER_TABLES = (
    *("entry", "tile", "head", "note", "witness", "witnessed"),
    *("spool", "evidence", "closed", "cut", DISK),
    *DRAFTS,
)


class Node:
    """One node: the offices whose keys it has, and their services."""

    def __init__(
        self,
        config: NodeConfig,
        world: World,
        genesis_note: bytes,
        folder: KeyFolder,
        tables: Tables,
        newcomer: Roster | None,
    ) -> None:
        """``folder`` has the private keys; ``newcomer`` is the part of the roster that came with
        the invite, if one did."""
        self.config = config
        self.world = world
        self.tables = tables
        self.genesis_note = genesis_note
        self.genesis: Genesis = read_genesis(genesis_note)
        self._roster_news = asyncio.Event()
        self.folding = Folding(world.ledger, world.state, self.genesis)
        self.directory = Directory(self._roster, newcomer or Roster(self.genesis))
        self.keys = keys = Keyring(folder, self.directory.member)
        handlers: dict[str, Handler] = {}
        self.witnessing = Witnessing(self.genesis, self._roster)
        self.links = Links(
            world.wire,
            world.rng,
            me=lambda: Identity(self.genesis.id, keys.greeting()),
            lookup=self.directory.hello_key,
            where=self.directory.where,
            handlers=handlers,
            roster_size=lambda: self.folding.roster.size,
            redial_seconds_max=config.peer.redial_s_max,
            refused=keys.refused,
        )
        self.sequencer = Sequencer(
            world.ledger,
            world.clock,
            self.genesis,
            keys,
            self.folding.roster_ref,
            self._appended,
            lambda office, user: self.users.signer(office, user),  # noqa: PLW0108 (made below)
        )
        self.accuser = Accuser(
            world.ledger,
            world.state,
            world.clock,
            keys,
            self.links,
            self.sequencer,
            lambda: self.folding.history,
            self._open_gates,
            config.peer.request_s_max,
            config.ledger.sync_s,
        )
        self.closing = Closing(world.ledger, self._roster, self.accuser.log_keys, self._refold)
        self.exhibits = Exhibits(world.state, self.accuser, self.closing, self._roster)
        self.users = Users(world, folder, keys, self.sequencer, self._roster)
        self.replicator = Replicator(
            world.ledger,
            world.clock,
            self.genesis,
            keys,
            self.links,
            self.sequencer,
            lambda: self.folding.roster,
            self.accuser,
            self.closing,
            self._grown,
            self.folding.until,
            Pace(config.ledger.gossip_ms / 1000, config.ledger.sync_s, config.peer.request_s_max),
        )
        self.sealer = Sealer(world, folder, keys, self.sequencer, self._roster, self._bring)
        self.indexer = Indexer(
            world.state, world.blobs, world.segments, world.work, tables, keys, self._roster
        )
        self.using = Using(
            world,
            keys,
            self.links,
            self.sequencer,
            self.users,
            self.sealer,
            self._roster,
            config.peer.request_s_max,
        )
        self.vault = Vault(
            world,
            config,
            genesis_note,
            keys,
            self.links,
            self.sequencer,
            self.sealer,
            self.using.access,
            lambda: self.folding.history,
            self.indexer.look_at,
            self._keep_links,
            self._reachable,
        )
        self.custodian = self.vault.custodian
        deadline_s = config.search.deadline_ms / 1000
        rules = Rules.standard(tables)
        self.snapshots = Snapshots(world.state, world.ledger, self.indexer, self._roster)
        self.shards = Shards(world.work, self.snapshots, self._roster, deadline_s)
        self.checks = SpotChecks(
            world.state,
            world.blobs,
            world.work,
            world.clock,
            world.rng,
            self.links,
            self.custodian,
            lambda: self.folding.history,
        )
        self.statistician = Statistician(
            world.state,
            world.blobs,
            world.work,
            self.genesis,
            keys,
            self.links,
            self.sequencer,
            self.vault.transfer,
            self.indexer,
            self._roster,
            lambda office: self.searcher.holders(self._roster(), office),
            config.peer.request_s_max,
        )
        self.searcher = Searcher(
            world.state,
            world.ledger,
            rules,
            keys,
            self.links,
            lambda: self.folding.history,
            self._reachable,
            self.witnessing,
            self.shards,
            self.snapshots,
            self.checks,
            self.statistician,
            deadline_s,
            config.search.hedge_ms / 1000,
        )
        self.exporter = Exporter(world.state, self.searcher)
        self.thesaurus = Thesaurus(
            world,
            keys,
            self.sequencer,
            self.folding,
            self.vault.transfer,
            rules,
            self.searcher.use,
            config.peer.request_s_max,
        )
        self.suggester = Suggester(
            world, self.indexer, rules, keys, self.links, self._roster, self.searcher.holders
        )
        self.intake = Intake(
            world,
            keys,
            self.sequencer,
            self.users,
            self._roster,
            tables.fold,
            config.store.reserve_mib * MiB,
            config.store.upload_hours,
            self.custodian.look_at,
        )
        self.disks = Disks(
            world, self.sealer.files, self.genesis, keys, self._roster, self.custodian.look_at
        )
        self.desk = Desk(world, keys, self.sequencer, self.users, self._roster)
        self.reading = Reading(
            world,
            keys,
            self.links,
            self.custodian,
            self.vault.imager,
            self._roster,
            self.witnessing,
            self.using.recall.take_service,
        )
        self.provenance = Provenance(
            world, genesis_note, self.reading, lambda: self.folding.history
        )
        self.notary = Notary(
            world.ledger,
            world.state,
            keys,
            self.sequencer,
            self._roster,
            config.ledger.anchor_s,
        )
        self.witness = Witness(
            world.ledger,
            world.clock,
            self.genesis,
            keys,
            self._roster,
            self.accuser,
            self.replicator.is_barred,
        )
        self.mirror = Mirror(world.ledger, world.clock, self.genesis, keys, self._roster)
        self.submitter = Submitter(
            world.ledger,
            world.outside,
            self.genesis,
            keys,
            self._roster,
            self.replicator.learn,
            config.ledger.sync_s,
        )
        self.registrar = Registrar(
            world,
            self.genesis,
            genesis_note,
            keys,
            self.sequencer,
            self.folding,
            config.peer.request_s_max,
        )
        self.upkeep = Upkeep(
            world,
            keys,
            genesis_note,
            self.folding,
            self.indexer,
            self.custodian,
            self.vault.scrubber,
            self.thesaurus,
            self.accuser,
            self.exhibits,
            self.sequencer,
            self.submitter,
            self.checks,
            self.replicator,
            self.links,
            self._roster,
        )
        handlers.update(
            {
                "log.note": self.replicator.on_note,
                "log.entries": self.replicator.catchup.on_entries,
                "log.tile": self.replicator.catchup.on_tile,
                "log.heads": self.replicator.comparing.on_heads,
                "log.digest": self.replicator.comparing.on_digest,
                "log.proof": self.accuser.on_proof,
                "log.evidence": self.accuser.on_evidence,
                **self.using.handlers,
                **self.vault.handlers,
                "search": self.shards.on_search,
                "search.sketch": self.statistician.on_sketch,
                "page.proof": self.checks.on_page,
                "suggest": self.suggester.on_suggest,
            }
        )
        self.folding.listeners.append(self._folded)
        self.replicator.listeners.append(self.notary.look)

    async def run(self, ready: Callable[[], None]) -> None:
        """Run every service until cancelled; ``ready`` is called when questions can be answered.

        Raises:
            Fatal: (in a group) a sync failed; the process must end.
        """
        here, wire = self.config.peer.listen, self.world.wire
        stop_listening = await wire.listen(here, self.links.accept) if here else None
        try:
            with self.world.ledger.read() as reader:
                logs = [OfficeCode(key.decode()) for key, _ in reader.scan("head")]
            for code in logs:
                self.folding.grown(code)
            await self._carry_out_closures()
            await self.folding.advance()
            await self.vault.open()
            self._open_gates()
            async with asyncio.TaskGroup() as group:
                self._keep_links()
                for service in (
                    self.links,
                    self.folding,
                    self.replicator,
                    self.accuser,
                    self.sealer,
                    self.thesaurus,
                    self.indexer,
                    self.searcher,
                    self.statistician,
                    self.suggester,
                    self.notary,
                    self.submitter,
                    self.intake,
                ):
                    group.create_task(self._lasting(service.run))
                for run in (*self.vault.services, self._spread_roster):
                    group.create_task(self._lasting(run))
                for code in logs:
                    self.replicator.changed(code)
                ready()
        finally:
            if stop_listening is not None:
                await stop_listening()

    @property
    def has_parents(self) -> bool:
        """Whether there are nodes above this one, which it dials."""
        return bool(self.directory.parents(self.keys))

    def log_size(self, code: OfficeCode) -> int:
        with self.world.ledger.read() as reader:
            return logbook.head(reader, code).size

    # what happens when something changes

    def _appended(self, code: OfficeCode) -> None:
        self.folding.grown(code)
        self.replicator.changed(code)
        self.submitter.changed()

    def _grown(self, code: OfficeCode) -> None:
        self.folding.grown(code)
        if code in self.keys:
            self._open_gates()

    def _folded(self, items: frozenset[str], roster_changed: bool) -> None:
        self.snapshots.changed()
        self.statistician.changed()
        if roster_changed:
            items |= self._items_elsewhere()
        for item in items:
            self.indexer.look_at(item)
        self.suggester.look_at(items)
        self.vault.look_at(items)
        self.sealer.look_at(items)
        self.thesaurus.look()
        self.reading.shelf.look_at(items)
        if roster_changed:
            self.keys.refresh()
            self.submitter.changed()
            self.sealer.look_at_all()
            self.indexer.roster_changed()
            self.suggester.roster_changed()
            self._keep_links()
            self._open_gates()
            self._roster_news.set()

    async def _bring(self, view: ItemView, blob: BlobId, chunks: ChunkRoot | None) -> None:
        await self.vault.bring(view, blob, chunks)

    def _items_elsewhere(self) -> frozenset[str]:
        """Items that other offices have to keep now: of offices that moved or were abolished."""
        moved = self.directory.moved()
        with self.world.state.read() as reader:
            return frozenset(v.item for code in moved for v in every_item(reader, code))

    async def _lasting(self, run: Callable[[], Awaitable[None]]) -> None:
        """Run a service; when the disk is full, again after a while, for nothing was kept."""
        while True:
            try:
                await run()
                return
            except* Full:
                self.links.count(Full.code)
            await asyncio.sleep(FULL_RETRY_S)

    async def _spread_roster(self) -> None:
        while True:
            await self._roster_news.wait()
            self._roster_news.clear()
            await self._carry_out_closures()
            for code in sorted(self.keys):
                await self.sequencer.drain(code)  # signs the head again where the key changed
            await self.replicator.roster_changed()
            self.links.review()

    async def _carry_out_closures(self) -> None:
        for code in await self.closing.carry_out():
            if code in self.keys:
                self.sequencer.gates[code].forget()
        self._open_gates()

    async def _refold(self) -> None:
        with self.world.state.read() as reader:
            before = frozenset[str](view.item for view in every_item(reader))
        await self.upkeep.rebuild()
        with self.world.state.read() as reader:
            after = frozenset[str](view.item for view in every_item(reader))
        self._folded(before | after, False)

    def _why_barred(self, code: OfficeCode) -> str:
        """Why nothing may be signed for an office, whoever confirms its size; "" if it may."""
        if self.closing.is_due(code):
            return f"{code} 的日志正截至撤销处 · its log is being cut at the closure"
        with self.world.ledger.read() as reader:
            goal = self.closing.goal(reader, code)
        if goal is not None:
            return (
                f"{code} 正从镜像补齐到第 {goal.size} 条 · refilling from mirrors up to the closure"
            )
        return self.accuser.why_barred(code)

    def _open_gates(self) -> None:
        for code, gate in self.sequencer.gates.items():
            gate.bar(self.keys.why_barred(code) or self._why_barred(code))
            # the founder writes the first entry of the province before there is a roster
            if code == self.genesis.province and not self.log_size(code):
                gate.is_open = not gate.barred
            gate.look(self.folding.roster)
        if not self.sequencer.is_open:
            self.replicator.comparing.changed()  # who confirms it has to be asked

    # who is who

    def _roster(self) -> Roster:
        return self.folding.roster

    def _reachable(self) -> frozenset[OfficeCode]:
        """Offices that there is a link to, or an address of."""
        return self.directory.addressed() | self.links.live()

    def _keep_links(self) -> None:
        """Dial the parents and who waits for our files; if none answers: province, then cities."""
        wanted = self.directory.parents(self.keys) | self.custodian.called
        self.links.keep(wanted, [self.genesis.province, *self.directory.roster.cities()])
