"""The office as its faces see it: the port :class:`node.faces.service.Service`, delegating.

Who may change something is decided here: the unix socket and the administrator's token may; rights
to see are decided in :mod:`node.office.reading`.
"""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

from ledger import logbook, views
from ledger.receipt import Received
from node.office.answers import (
    PUBLIC,
    Asker,
    CandidateWord,
    CatalogueAnswer,
    EvidenceAnswer,
    ExportHit,
    ExportReceipt,
    ImageAnswer,
    ItemAnswer,
    ItemLine,
    LieLine,
    OfficeLine,
    PageAnswer,
    PageProofAnswer,
    Question,
    SearchAnswer,
    StatusAnswer,
    SuggestAnswer,
)
from node.office.cards import cards
from node.office.catalog import tally
from node.office.fixity import FixityAnswer
from node.office.node import Node
from node.office.uploads import Checksum, Upload
from protocol.errors import AuthError, Forbidden, Missing
from protocol.ids import parse_office
from protocol.limits import HITS_MAX

Json = dict[str, Any]
Progress = Callable[[str, int, int], None]
ReadRange = Callable[[int, int], AsyncIterator[bytes]]
Operation = Callable[[Json, Progress], Awaitable[Json]]

SHORT_SHOWN = 20  # items that lack copies, in the status
STAFF = Asker("administrator", "*")


class OfficeService:
    """One running node.  ``operations`` are the operator's commands that need more than a node
    (a folder to write to); ``resident_bytes`` asks the operating system."""

    def __init__(
        self,
        node: Node,
        token: str,
        version: str,
        resident_bytes: Callable[[], int],
        operations: dict[str, Operation],
    ) -> None:
        self._node = node
        self._token = token
        self._version = version
        self._resident_bytes = resident_bytes
        self._operations = operations

    def asker_for(self, token: str | None) -> Asker:
        """
        Raises:
            AuthError: not a token of this node.
        """
        if token is None:
            return PUBLIC
        if not hmac.compare_digest(token.encode(), self._token.encode()):
            raise AuthError("token", "the token of this node (HOME/token)", "another")
        return STAFF

    async def search(self, question: Question, asker: Asker) -> SearchAnswer:
        return await self._node.searcher.search(question, asker)

    async def catalogue(self, question: Question, asker: Asker) -> CatalogueAnswer:
        found = await self._node.searcher.search(replace(question, records=True), asker)
        with self._node.world.state.read() as reader:
            shown = cards(reader, found.hits, question.text, self._node.tables.fold)
        return CatalogueAnswer(found, shown)

    def export(self, question: Question, asker: Asker) -> AsyncIterator[ExportHit | ExportReceipt]:
        return self._node.exporter.export(question, asker)

    async def page_proof(self, item: str, seq: int) -> PageProofAnswer:
        return await self._node.checks.shown_proof(item, seq)

    def lies(self) -> tuple[LieLine, ...]:
        return self._node.checks.lie_lines()

    async def candidate_words(self, text: str, asker: Asker) -> tuple[CandidateWord, ...]:
        return await self._node.suggester.words(text, asker)

    async def suggest(self, typed: str, limit: int, asker: Asker) -> SuggestAnswer:
        return await self._node.suggester.suggest(typed, limit, asker)

    def item(self, item: str, asker: Asker) -> ItemAnswer:
        return self._node.reading.item(item, asker)

    async def proof(self, item: str, asker: Asker) -> bytes:
        return (await self._node.provenance.proof(item, asker)).encoded()

    def items(self, office: str | None, asker: Asker, after: str, limit: int) -> list[ItemLine]:
        return self._node.reading.items(office, asker, after, min(limit, HITS_MAX))

    async def page(self, item: str, seq: int, asker: Asker) -> PageAnswer:
        return await self._node.reading.page(item, seq, asker)

    async def image(self, item: str, seq: int, thumbnail: bool, asker: Asker) -> ImageAnswer:
        return await self._node.reading.image(item, seq, thumbnail, asker)

    def offices(self) -> list[OfficeLine]:
        return self._node.reading.offices()

    def status(self) -> StatusAnswer:
        node = self._node
        gate: dict[str, str] = {}
        logs: dict[str, tuple[int, int]] = {}
        with node.world.ledger.read() as ledger, node.world.state.read() as state:
            for code in sorted(node.keys.hosted):
                size = logbook.head(ledger, code).size
                door = node.sequencer.gates[code]
                gate[code] = "open" if door.is_open else f"waiting: {door.why_shut(size)}"
            for code in sorted({*node.folding.roster.members, *node.keys.hosted}):
                size = logbook.head(ledger, code).size
                logs[code] = (size, node.witnessing.covered(ledger, code)[0])
            items: dict[str, int] = {}
            for code in node.keys.hosted:
                for word, count in views.counts(state, code).items():
                    items[word] = items.get(word, 0) + count
            files, file_bytes = tally(state)
        return StatusAnswer(
            network=node.genesis.network,
            offices=tuple(sorted(node.keys.hosted)),
            version=self._version,
            gate=gate,
            logs=logs,
            spooled=node.sequencer.spooled(),
            items=items,
            blobs=files,
            blob_bytes=file_bytes,
            shards=tuple(node.indexer.offices),
            links=tuple(
                sorted(",".join(peer.offices) for peer in node.links.peers() if peer.offices)
            ),
            counters=self.counters(),
            quarantined=tuple(sorted(node.accuser.quarantined)),
            lost_tails={
                code: (row.log_size, row.lost_size) for code, _, row in node.closing.lost_tails()
            },
            resident_bytes=self._resident_bytes(),
            synonyms=node.thesaurus.version,
            short=node.vault.fixity.short(SHORT_SHOWN),
            short_total=len(node.custodian.short),
            damaged=node.vault.scrubber.damaged,
        )

    def counters(self) -> dict[str, int]:
        node = self._node
        waiting = {
            "waiting.files": node.custodian.incomplete,
            "copies.short": len(node.custodian.short),
            "copies.damaged": node.vault.scrubber.damaged,
            "copies.lost": len(node.vault.scrubber.alarms()),
            "waiting.index": node.indexer.waiting,
            "waiting.images": node.vault.imager.waiting,
            "waiting.seal": node.sealer.waiting,
            "sealed.locked": len(node.sealer.locked()),
            "waiting.disks": len(node.disks.waiting()),
            "logs.quarantined": len(node.accuser.quarantined),
            "logs.lost-tails": len(node.closing.lost_tails()),
        }
        return {**node.links.counters, **node.submitter.counters, **waiting}

    async def fixity(self) -> FixityAnswer:
        return await self._node.vault.fixity.report()

    async def receipt(self, item: str) -> bytes:
        return await self._node.vault.receipts.bundle(item)

    async def read_receipt(self, item: str) -> Received:
        return await self._node.vault.receipts.received(item)

    def evidence(self) -> EvidenceAnswer:
        return self._node.exhibits.answer()

    def evidence_file(self, path: str) -> bytes:
        return self._node.exhibits.file(path)

    def genesis(self) -> bytes:
        return self._node.genesis_note

    async def recall_file(
        self, item: str, sha256: str, asker: Asker
    ) -> tuple[int, str, str, ReadRange]:
        _staff(asker, "recall")
        return await self._node.using.recall.open_file(item, sha256)

    async def open_file(self, sha256: str, asker: Asker) -> tuple[int, str, str, ReadRange]:
        return await self._node.reading.open_file(sha256, asker)

    def file_items(self, sha256: str, asker: Asker) -> list[tuple[str, int, str, str]]:
        return self._node.reading.file_items(sha256, asker)

    def manifest(self, sha256: str, asker: Asker) -> bytes:
        return self._node.reading.manifest(sha256, asker)

    def checkpoint(self, code: str) -> bytes:
        return self._node.reading.checkpoint(code)

    def tile(self, code: str, level: int, number: int, width: int) -> bytes:
        return self._node.reading.tile(code, level, number, width)

    def bundle(self, code: str, number: int, width: int) -> bytes:
        return self._node.reading.bundle(code, number, width)

    def policy(self, code: str) -> bytes:
        roster = self._node.folding.roster
        return roster.policy(roster.member(parse_office(code)).code).format()

    def log_of(self, origin_hash: str) -> str:
        return self._node.mirror.log_of(origin_hash)

    def mirrored_checkpoint(self, origin_hash: str) -> bytes:
        return self._node.mirror.checkpoint(origin_hash)

    async def add_checkpoint(self, body: bytes) -> tuple[int, str, bytes]:
        return await self._node.witness.add_checkpoint(body)

    def cosigned_checkpoint(self, origin_hash: str) -> bytes:
        return self._node.witness.cosigned(origin_hash)

    async def begin_report(self, request: Json, asker: Asker) -> Json:
        _staff(asker, "report")
        return await self._node.intake.begin(request)

    async def report(self, report: str, asker: Asker) -> Json:
        _staff(asker, "report")
        return await self._node.intake.status(report)

    async def upload(self, report: str, number: int, asker: Asker) -> Upload:
        _staff(asker, "report")
        return await self._node.intake.upload(report, number)

    async def receive(
        self,
        report: str,
        number: int,
        offset: int,
        body: AsyncIterator[bytes],
        checksum: Checksum | None,
        asker: Asker,
    ) -> Upload:
        _staff(asker, "report")
        return await self._node.intake.receive(report, number, body, offset, checksum)

    async def drop_upload(self, report: str, number: int, asker: Asker) -> None:
        _staff(asker, "report")
        await self._node.intake.drop(report, number)

    async def submit_report(self, report: str, confirm: bool, asker: Asker) -> Json:
        _staff(asker, "report")
        return await self._node.intake.submit(report, confirm)

    async def forget_report(self, report: str, asker: Asker) -> None:
        _staff(asker, "report")
        await self._node.intake.forget(report)

    async def review(self, item: str, verdict: str, reason: str, user: str, asker: Asker) -> Json:
        _staff(asker, "review")
        return await self._node.desk.review(item, verdict, reason, user)

    async def withdraw(self, item: str, reason: str, user: str, asker: Asker) -> Json:
        _staff(asker, "withdraw")
        return await self._node.desk.withdraw(item, reason, user)

    async def operate(
        self, command: str, arguments: Json, asker: Asker, progress: Progress
    ) -> Json:
        _staff(asker, command)
        operation = self._operations.get(command)
        if operation is None:
            raise Missing("operation", f"one of {sorted(self._operations)}", command[:40])
        return await operation(arguments, progress)


def _staff(asker: Asker, what: str) -> None:
    if asker.role == "public":
        raise Forbidden(what, "the home's socket or its token", "the public")
