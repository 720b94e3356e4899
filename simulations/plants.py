"""Faults planted in the real node, to see whether a checker speaks.

Each is a row of PLANTS: what the node forgets, and a context manager that makes it forget.  They
patch the classes of the running process and stand nowhere else: a node that is served has no
switch for them.  ``hunt`` plays mixes until something speaks.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Final
from unittest.mock import patch
from zlib import crc32

from ledger import keeping, logbook
from ledger.replay import Change, Fold
from ledger.rights import may_be_found
from ledger.views import ItemView
from node.office import custodian, folding, indexer, replicator, searcher, snapshots
from node.office import node as assembly
from node.office.custodian import Custodian
from node.office.lending import Lending
from node.office.links import Links, Peer
from node.office.notary import Notary
from node.office.receipts import Receipts
from node.office.replicator import Pace
from node.office.searcher import Searcher
from node.office.sequencer import Sequencer
from node.office.snapshots import Snapshots
from protocol.errors import FangzhiError
from protocol.ids import BlobId, OfficeCode
from protocol.messages import BlobAsk, Chunk, SearchAsk, SearchReply, ShardReply
from protocol.ports import Writer
from search_shard.tables import Tables
from simulations.blobs import SimBlobStore
from simulations.checkers import NOTHING
from simulations.disk import SimDisk
from simulations.faults import Mix
from simulations.play import play

NEVER_S: Final = 1e9
UNSYNCED_S: Final = 5.0  # what was written last, when nothing syncs it
EARLY_S: Final = 0.2  # from the signature to the entries that it is about
LIED_TO: Final = OfficeCode("320000")


@dataclass(frozen=True, slots=True)
class Plant:
    what: str
    planted: Callable[[], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True)
class Caught:
    """``checker`` is "run" when the run itself ended with an error."""

    seed: int
    checker: str
    said: str


def hunt(name: str, mixes: Iterable[Mix], tables: Tables) -> Caught | None:
    """What spoke first, at the first mix at which anything did.

    Raises:
        KeyError: no plant has this name.
    """
    for mix in mixes:
        with PLANTS[name].planted():
            caught = _play(mix, tables)
        if caught:
            return caught
    return None


def _play(mix: Mix, tables: Tables) -> Caught | None:
    try:
        outcome = play(mix, tables)
    except Exception as error:  # whatever ends the run has spoken
        return Caught(mix.seed, "run", repr(error)[:200])
    for verdict in outcome.verdicts:
        if said := [wrong for wrong in verdict.wrong if wrong != NOTHING]:
            return Caught(mix.seed, verdict.checker, said[0])
    return None


@contextmanager
def _patched(*patches: tuple[object, str, object]) -> Iterator[None]:
    with ExitStack() as stack:
        for owner, name, replacement in patches:
            stack.enter_context(patch.object(owner, name, replacement))
        yield


# durable


@contextmanager
def _sync_skipped() -> Iterator[None]:
    put, crash = SimBlobStore.put, SimDisk.crash
    unsynced: dict[BlobId, float] = {}

    async def early(
        self: SimBlobStore, chunks: AsyncIterator[bytes], expect: BlobId | None = None
    ) -> BlobId:
        blob = await put(self, chunks, expect)
        unsynced.setdefault(blob, asyncio.get_running_loop().time())
        return blob

    def lose(self: SimDisk) -> bool:
        now, torn = asyncio.get_running_loop().time(), crash(self)
        for blob, at in unsynced.items():
            if now - at < UNSYNCED_S:
                self._blobs.content.pop(blob, None)
        return torn

    with _patched((SimBlobStore, "put", early), (SimDisk, "crash", lose)):
        yield


class _Undone(Exception):
    """Ends a job whose writes are not to stay."""


@contextmanager
def _signed_early() -> Iterator[None]:
    async def commit(self: Sequencer, code: OfficeCode, turns: Sequence[Any]) -> None:
        drafts = [draft for turn in turns for draft in turn.drafts]
        made: dict[str, Any] = {}

        def sign(writer: Writer) -> None:
            start = logbook.head(writer, code).size
            made["refs"] = self._take(writer, code, drafts)
            end = logbook.head(writer, code).size
            made["entries"] = logbook.entries(writer, code, start, end)
            made["note"] = writer.get("note", code.encode())
            if made["refs"]:
                raise _Undone

        def keep(writer: Writer) -> None:
            logbook.append(writer, code, made["entries"])

        try:
            try:
                await self._store.write(sign)
            except _Undone:
                await self._store.write(lambda w: w.put("note", code.encode(), made["note"]))
                self._appended(code)
                await asyncio.sleep(EARLY_S)
                await self._store.write(keep)
                self._appended(code)
        except FangzhiError as error:  # the machine crashed
            for turn in turns:
                if not turn.answer.done():
                    turn.answer.set_exception(error)
            return
        refs, start = list(made["refs"]), 0
        for turn in turns:
            if not turn.answer.done():
                turn.answer.set_result(tuple(refs[start : start + len(turn.drafts)]))
            start += len(turn.drafts)

    with _patched((Sequencer, "_commit", commit)):
        yield


@contextmanager
def _spool_lost() -> Iterator[None]:
    drain = Sequencer._drain

    def forget(self: Sequencer, writer: Writer, code: OfficeCode) -> int:
        for key, _ in list(writer.scan("spool", code.encode())):
            writer.delete("spool", key)
        return drain(self, writer, code)

    with _patched((Sequencer, "_drain", forget)):
        yield


# told and heard


def _fetch_once() -> AbstractContextManager[None]:
    return _patched((custodian, "RETRY_S", NEVER_S))


def _heads_once() -> AbstractContextManager[None]:
    def pace(gossip_s: float, _sync_s: float, request_s: float) -> Pace:
        return Pace(gossip_s, NEVER_S, request_s)

    return _patched((assembly, "Pace", pace))


def _dialled_once() -> AbstractContextManager[None]:
    return _patched((Links, "_pause", lambda *_: NEVER_S))


def _cosignatures_dropped() -> AbstractContextManager[None]:
    return _patched((replicator, "merge_signatures", lambda _ours, theirs, _keys: theirs))


def _anchors_unsaid() -> AbstractContextManager[None]:
    async def silent(_self: Notary) -> None:
        """Nothing."""

    return _patched((Notary, "anchor_all", silent))


# kept


def _holding_unsaid() -> AbstractContextManager[None]:
    take = Custodian._take

    async def forget(
        self: Custodian, roster: Any, view: ItemView, code: OfficeCode, kinds: frozenset[str]
    ) -> None:
        if crc32(view.item.encode()) % 3:
            await take(self, roster, view, code, kinds)

    return _patched((Custodian, "_take", forget))


def _receipt_unsaid() -> AbstractContextManager[None]:
    async def silent(_self: Receipts, _item: str) -> None:
        """Nothing."""

    return _patched((Receipts, "_look", silent))


def _sealed_in_plain() -> AbstractContextManager[None]:
    return _patched(
        (keeping, "is_kept_sealed", lambda _view: False), (Lending, "_may", lambda *_: True)
    )


@contextmanager
def _content_unchecked() -> Iterator[None]:
    """The province is lent files with a bit turned over, and nobody looks."""
    on_read, put = Lending.on_read, SimBlobStore.put

    async def lie(self: Lending, peer: Peer, ask: BlobAsk) -> Chunk:
        chunk = await on_read(self, peer, ask)
        if LIED_TO not in peer.offices or not chunk.data:
            return chunk
        return Chunk(chunk.size_total, bytes([chunk.data[0] ^ 1]) + chunk.data[1:])

    async def believe(
        self: SimBlobStore, chunks: AsyncIterator[bytes], expect: BlobId | None = None
    ) -> BlobId:
        data = b"".join([chunk async for chunk in chunks])
        blob = await put(self, _once(data))
        if expect is not None and blob != expect:
            self._durable[expect] = self._durable.pop(blob)
            self._leaves[expect] = self._leaves.pop(blob)
            self._checked[expect] = self._checked.pop(blob)
        return expect or blob

    class Believing(BlobId):
        """A hash that is whatever one hopes for."""

        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = BlobId.__hash__

    with (
        _patched(
            (Lending, "on_read", lie),
            (SimBlobStore, "put", believe),
        ),
        patch("node.office.transfer.BlobId", Believing),
    ):
        yield


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


# folded and found


@contextmanager
def _folded_twice() -> Iterator[None]:
    apply_run = Fold.apply_run

    def again(
        self: Fold, writer: Writer, code: OfficeCode, start: int, entries: Sequence[bytes]
    ) -> list[Change]:
        before = writer.get("cursor", code.encode())
        changes = apply_run(self, writer, code, start, entries)
        if before is not None and code != self.genesis.province:
            writer.put("cursor", code.encode(), before)
            changes = apply_run(self, writer, code, start, entries)
        return changes

    with _patched((Fold, "apply_run", again)), patch.object(folding, "Fold", Fold):
        yield


def _dead_shard_answered() -> AbstractContextManager[None]:
    ask_holder = Searcher._ask

    async def presume(
        self: Searcher, holder: OfficeCode, ask: SearchAsk, seconds: float
    ) -> SearchReply:
        reply = await ask_holder(self, holder, ask, seconds)
        if reply is not None:
            return reply
        empty = (ShardReply(code, 2**40, False, 0, True, 0, (), ()) for code in ask.offices)
        return SearchReply(tuple(empty), (), 0)

    return _patched((Searcher, "_ask", presume))


def _snapshot_kept() -> AbstractContextManager[None]:
    def keep(_self: Snapshots) -> None:
        """As if nothing had been folded since the first question."""

    return _patched((Snapshots, "changed", keep))


def _unreviewed_found() -> AbstractContextManager[None]:
    def found(view: ItemView, by_owner: bool = False) -> bool:
        return view.rights == "open" and bool(view.pages)

    names = (indexer, searcher, snapshots)
    return _patched(*((module, "may_be_found", found) for module in names))


def _withdrawal_forgotten() -> AbstractContextManager[None]:

    def found(view: ItemView, by_owner: bool = False) -> bool:
        return view.status == "withdrawn" or may_be_found(view, by_owner=by_owner)

    names = (indexer, searcher, snapshots)
    return _patched(*((module, "may_be_found", found) for module in names))


PLANTS: Final = {
    "sync-skipped": Plant("a file is said to be stored before it is synced", _sync_skipped),
    "signed-early": Plant("a checkpoint is told before its entries are durable", _signed_early),
    "spool-lost": Plant("drafts that waited for the gate are forgotten", _spool_lost),
    "fetch-once": Plant("a file that did not come is not asked for again", _fetch_once),
    "heads-once": Plant("heads are compared when a link comes up, and never again", _heads_once),
    "dialled-once": Plant("a link that broke is not dialled again", _dialled_once),
    "cosignatures-dropped": Plant(
        "of two notes of one size the later one wins, with its cosignatures only",
        _cosignatures_dropped,
    ),
    "anchors-unsaid": Plant("parents do not record their children's heads", _anchors_unsaid),
    "holding-unsaid": Plant("one holding in three is not logged", _holding_unsaid),
    "receipt-unsaid": Plant("the province issues no receipt", _receipt_unsaid),
    "sealed-in-plain": Plant("what is not open is lent and kept as it is", _sealed_in_plain),
    "content-unchecked": Plant("bad files are lent, and no hash is checked", _content_unchecked),
    "folded-twice": Plant("every run of events is folded two times", _folded_twice),
    "dead-shard-answered": Plant(
        "a holder that is silent counts as one without hits", _dead_shard_answered
    ),
    "snapshot-kept": Plant("questions are asked as of the first one", _snapshot_kept),
    "unreviewed-found": Plant("what nobody has reviewed is found", _unreviewed_found),
    "withdrawal-forgotten": Plant("what was withdrawn is found", _withdrawal_forgotten),
}
