"""Receipts (入库回执): the province says that the copies of a passed revision stand.

Anyone may have a receipt and check it (:mod:`ledger.receipt`); it names no title and no file.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from ledger import views
from ledger.custody import HoldTake, ReceiptIssue
from ledger.events import parse_event
from ledger.keeping import is_kept_sealed, standing, stands
from ledger.recall import RecallProof, RecallReceipt, check_recall, make_recall_proof
from ledger.receipt import Receipt, Received, check_receipt, make_receipt
from ledger.roster import Roster, RosterHistory
from ledger.views import Fact, ItemView
from node.hands.keys import OfficeKeys
from node.hands.world import World
from node.office.catalog import every_item, find
from node.office.provenance import StoredLogs
from node.office.sequencer import Sequencer
from protocol.errors import Missing, Unavailable
from protocol.ids import BlobId, EventRef, OfficeCode
from protocol.limits import HOLDS_PER_RECEIPT_MAX
from protocol.ports import Reader

Enrolment = Callable[[EventRef], int | None]


class Receipts:
    """Issues receipts where the province is hosted; makes the bundle of any, also of a recall's."""

    def __init__(
        self,
        world: World,
        genesis_note: bytes,
        keys: Mapping[OfficeCode, OfficeKeys],
        sequencer: Sequencer,
        history: Callable[[], RosterHistory],
    ) -> None:
        self._world = world
        self._genesis_note = genesis_note
        self._keys = keys
        self._sequencer = sequencer
        self._history = history
        self._due: dict[str, None] = {}
        self._wake = asyncio.Event()
        self._issued: set[tuple[str, EventRef]] = set()  # perhaps not folded yet

    def look_at(self, items: frozenset[str]) -> None:
        if self._history().newest.genesis.province in self._keys:
            self._due.update(dict.fromkeys(sorted(items)))
            self._wake.set()

    async def run(self) -> None:
        with self._world.state.read() as reader:
            self.look_at(frozenset(view.item for view in every_item(reader)))
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._due:
                item = next(iter(self._due))
                del self._due[item]
                await self._look(item)

    async def bundle(self, item: str) -> bytes:
        """The receipt of an item's present revision, as a file that anyone checks.

        Raises:
            Missing: no such item, or no receipt yet.
            Unavailable: it cannot be proven yet.
        """
        with self._world.state.read() as reader:
            view = views.item(reader, item)
        if view.receipt is None:
            raise Missing(f"receipt of {item}", "one that the province has issued", "none yet")
        receipt = await self._world.work.run(self._make, view.receipt)
        return receipt.encoded()

    async def recall_proof(self, data: bytes) -> bytes:
        """The receipt of a recall with its proof, as a file that anyone checks.

        Raises:
            DecodeError: it is no receipt.
            Unavailable: it cannot be proven yet: an access is not logged here, or not witnessed.
            ProofError: an event that it names is another one.
        """
        proof = await self._world.work.run(self._prove, RecallReceipt.decode(data))
        await self._world.work.run(check_recall, proof, self._genesis_note)
        return proof.encoded()

    async def received(self, item: str) -> Received:
        """What that receipt says, checked from this node's genesis note up.

        Raises:
            ProofError: it does not hold; Missing, Unavailable: as :meth:`bundle`.
        """
        receipt = Receipt.decode(await self.bundle(item))
        return await self._world.work.run(check_receipt, receipt, self._genesis_note)

    async def _look(self, item: str) -> None:
        roster = self._history().newest
        with self._world.state.read() as reader:
            view = find(reader, item)
            if view is None or view.status != "accepted" or view.receipt is not None:
                return
            if (item, view.upload) in self._issued or not stands(roster, view):
                return
            holds = _holds(views.facts(reader, item), view, roster)
        receipt = ReceiptIssue(view.item, view.manifest, view.upload, holds)
        await self._sequencer.append(roster.genesis.province, (receipt,))
        self._issued.add((item, view.upload))

    def _make(self, ref: EventRef) -> Receipt:
        with self._proving() as (logs, enrolment):
            body = parse_event(logs.opened(ref.origin).reader.entry(ref.index)).read_body()
            assert isinstance(body, ReceiptIssue)
            given = (ref, body, enrolment, logs.opened)
            return make_receipt(self._genesis_note, self._history(), *given)

    def _prove(self, receipt: RecallReceipt) -> RecallProof:
        with self._proving() as (logs, enrolment):
            given = (receipt, enrolment, logs.opened)
            return make_recall_proof(self._genesis_note, self._history(), *given)

    @contextmanager
    def _proving(self) -> Iterator[tuple[StoredLogs, Enrolment]]:
        with self._world.ledger.read() as ledger, self._world.state.read() as state:
            logs = StoredLogs(ledger)
            try:
                yield logs, lambda said: _enrolment(state, logs, said)
            except Missing as error:
                raise Unavailable("receipt", "what it takes to be logged here", error) from error


def _enrolment(state: Reader, logs: StoredLogs, ref: EventRef) -> int | None:
    signer = parse_event(logs.opened(ref.origin).reader.entry(ref.index)).signer
    return views.enrolment(state, ref.origin, signer, ref.index)


def _holds(facts: list[Fact], view: ItemView, roster: Roster) -> tuple[EventRef, ...]:
    """The newest hold.take of each copy that stands: of the owner, the province, and others."""
    owner, newest = roster.heir(view.owner), dict[str, EventRef]()
    for fact in facts:
        body = fact.read_body()
        if not isinstance(body, HoldTake) or body.manifest != view.manifest:
            continue
        if body.seal == _form(view, fact.ref.origin, owner):
            newest[fact.ref.origin] = fact.ref
    first = (owner, roster.genesis.province)
    held = sorted(standing(roster, view), key=lambda code: (code not in first, code))
    return tuple(newest[code] for code in held[:HOLDS_PER_RECEIPT_MAX] if code in newest)


def _form(view: ItemView, holder: str, owner: str) -> BlobId | None:
    return view.seal if is_kept_sealed(view) and holder != owner else None
