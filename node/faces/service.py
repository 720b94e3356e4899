"""What a face asks of the node behind it: one port, so that pages and tests need no node.

Rights are decided behind this port: every call that could show or change something says who asks.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol

from ledger.receipt import Received
from node.office.answers import (
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
from node.office.fixity import FixityAnswer
from node.office.uploads import Checksum, Upload

Json = dict[str, Any]
ReadRange = Callable[[int, int], AsyncIterator[bytes]]  # offset, length in bytes
Progress = Callable[[str, int, int], None]  # what is being done, how many are done, of how many


class Service(Protocol):
    """One running node.

    Raises, where it applies: Missing (nothing under that name, or nothing this asker may know of),
    Forbidden, AuthError (a bad token), DecodeError, Rejected, Full, Unavailable.
    """

    def asker_for(self, token: str | None) -> Asker:
        """Who holds ``token``; the public for None."""

    async def search(self, question: Question, asker: Asker) -> SearchAnswer: ...

    async def catalogue(self, question: Question, asker: Asker) -> CatalogueAnswer:
        """The same of records; hits are items."""

    def export(self, question: Question, asker: Asker) -> AsyncIterator[ExportHit | ExportReceipt]:
        """The hits (or records) of a snapshot in order, at most EXPORT_LINES_MAX, then the
        receipt."""

    async def page_proof(self, item: str, seq: int) -> PageProofAnswer:
        """What proves page ``seq`` (from 1) of a public item."""

    def lies(self) -> tuple[LieLine, ...]:
        """Holders that showed what does not stand in the signed text, by time."""

    async def candidate_words(self, text: str, asker: Asker) -> tuple[CandidateWord, ...]:
        """What a query of two syllables of pinyin may stand for; nothing for other queries."""

    async def suggest(self, typed: str, limit: int, asker: Asker) -> SuggestAnswer:
        """At most ``limit`` names that may be meant by what is being typed."""

    def item(self, item: str, asker: Asker) -> ItemAnswer: ...

    async def proof(self, item: str, asker: Asker) -> bytes:
        """The proof of the item's present revision (docs/spec/proof.md), in JSON."""

    def items(self, office: str | None, asker: Asker, after: str, limit: int) -> list[ItemLine]:
        """At most ``limit`` items of one office or of all, those after the item ``after`` ("": from
        the first)."""

    async def page(self, item: str, seq: int, asker: Asker) -> PageAnswer:
        """``seq`` counts from 1."""

    async def image(self, item: str, seq: int, thumbnail: bool, asker: Asker) -> ImageAnswer:
        """How page ``seq`` (from 1) is shown (服务级), or its thumbnail."""

    def offices(self) -> list[OfficeLine]:
        """Every office of the roster, in order of code."""

    def status(self) -> StatusAnswer: ...

    def counters(self) -> dict[str, int]: ...

    def genesis(self) -> bytes: ...

    # files and manifests

    async def recall_file(
        self, item: str, sha256: str, asker: Asker
    ) -> tuple[int, str, str, ReadRange]:
        """The same of an own or granted item's file, from whichever holder is up (调取)."""

    async def open_file(self, sha256: str, asker: Asker) -> tuple[int, str, str, ReadRange]:
        """(size, media type, file name, read); bytes may come from a holder elsewhere."""

    def file_items(self, sha256: str, asker: Asker) -> list[tuple[str, int, str, str]]:
        """Where a file is recorded: (office, log index of the upload, manifest, item)."""

    def manifest(self, sha256: str, asker: Asker) -> bytes: ...

    # logs and witnessing

    def checkpoint(self, code: str) -> bytes: ...

    def tile(self, code: str, level: int, number: int, width: int) -> bytes: ...

    def bundle(self, code: str, number: int, width: int) -> bytes: ...

    def policy(self, code: str) -> bytes:
        """The witness policy of a log in force now, as c2sp.org/tlog-policy has it."""

    def log_of(self, origin_hash: str) -> str:
        """The office whose log has the origin with this SHA-256 (hexadecimal)."""

    def mirrored_checkpoint(self, origin_hash: str) -> bytes:
        """The checkpoint below which this node holds all of that log, co-signed by its mirror."""

    async def add_checkpoint(self, body: bytes) -> tuple[int, str, bytes]:
        """(HTTP status, content type, body) as c2sp.org/tlog-witness has them."""

    def cosigned_checkpoint(self, origin_hash: str) -> bytes:
        """The newest note that a witness of this node co-signed for the log whose origin has the
        SHA-256 ``origin_hash`` (hexadecimal)."""

    # forks

    def evidence(self) -> EvidenceAnswer:
        """Every fork and lost tail that this node can prove."""

    def evidence_file(self, path: str) -> bytes:
        """The file that stands at an address of this node which :meth:`evidence` names."""

    # copies

    async def fixity(self) -> FixityAnswer:
        """How the copies are: of this node from its cards, of everybody from the logs."""

    async def receipt(self, item: str) -> bytes:
        """The receipt of an item's present revision, as anyone checks it (docs/spec/receipt.md)."""

    async def read_receipt(self, item: str) -> Received:
        """What that receipt says, checked."""

    # changes

    async def begin_report(self, request: Json, asker: Asker) -> Json:
        """``{office?, item?, as?, record, rights, confirm?, files: [{path, size, modified?}]}`` to
        ``{report, item, status, expires, files: [{path, size, offset}], findings}``; the same
        again gives the same report."""

    async def report(self, report: str, asker: Asker) -> Json:
        """The answer of :meth:`begin_report`, as far as it is now."""

    async def upload(self, report: str, number: int, asker: Asker) -> Upload:
        """How far one file is."""

    async def receive(
        self,
        report: str,
        number: int,
        offset: int,
        body: AsyncIterator[bytes],
        checksum: Checksum | None,
        asker: Asker,
    ) -> Upload:
        """Takes what follows the first ``offset`` bytes of a file; ProofError for a body that is
        not what its checksum says, Rejected for another offset."""

    async def drop_upload(self, report: str, number: int, asker: Asker) -> None: ...

    async def submit_report(self, report: str, confirm: bool, asker: Asker) -> Json:
        """``{item, manifest, log_index, status, findings, pending}``."""

    async def forget_report(self, report: str, asker: Asker) -> None: ...

    async def review(self, item: str, verdict: str, reason: str, user: str, asker: Asker) -> Json:
        """``verdict`` is pass or return; a return has a reason.  ``user`` is the id of the key of
        the named user who says so, "" for the office itself."""

    async def withdraw(self, item: str, reason: str, user: str, asker: Asker) -> Json: ...

    async def operate(
        self, command: str, arguments: Json, asker: Asker, progress: Progress
    ) -> Json:
        """An operator's command (admit, export, backup, rebuild, doctor …), perhaps a long one."""
