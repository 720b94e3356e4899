"""Gets and keeps the files that placement gives to the offices hosted here (保存副本).

What this node should keep of an item follows from the roster and the item's state alone
(:func:`ledger.rights.keeps`), so nobody is told what to fetch: every change of an item, and every
start, is a reason to look.  A file is believed by its hash.  When all files of a revision are
durable here, the holding becomes an event in the log of the office that holds it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

from ledger.events import HoldLose, HoldTake
from ledger.rights import keeps
from ledger.roster import Roster
from ledger.views import ItemView, epochs, synonym_table
from node.hands.keys import OfficeKeys
from node.office.catalog import (
    derived_blobs,
    every_item,
    find,
    is_whole,
    note_blob,
    record,
    uses,
)
from node.office.links import Links, Peer
from node.office.sequencer import Sequencer
from protocol.errors import Corrupt, FangzhiError, Forbidden, Missing, WireError
from protocol.ids import BlobId, OfficeCode
from protocol.limits import CHUNK_BYTES
from protocol.messages import BlobAsk, Chunk
from protocol.ports import BlobStore, KeyValueStore
from protocol.records import Manifest

RETRY_S = 5.0
WORKERS = 3  # items fetched at once: a source that is silent must not hold up the others


class Custodian:
    """Fetches, records and checks files."""

    def __init__(
        self,
        state: KeyValueStore,
        blobs: BlobStore,
        keys: Mapping[OfficeCode, OfficeKeys],
        links: Links,
        sequencer: Sequencer,
        roster: Callable[[], Roster],
        arrived: Callable[[str], None],
        request_s: float,
        scrub_days: int,
    ) -> None:
        self._state = state
        self._blobs = blobs
        self._keys = keys
        self._links = links
        self._sequencer = sequencer
        self._roster = roster
        self._arrived = arrived
        self._request_s = request_s
        self._scrub_days = scrub_days
        self._due: dict[str, None] = {}  # items to look at, oldest first
        self._busy: set[str] = set()
        self._wake = asyncio.Event()
        self._incomplete: set[str] = set()
        self._taken: set[tuple[str, BlobId]] = set()  # holdings logged but perhaps not folded yet

    def look_at(self, items: frozenset[str]) -> None:
        self._due.update(dict.fromkeys(sorted(items)))
        self._wake.set()

    @property
    def incomplete(self) -> int:
        """Items of which something that belongs here has not arrived."""
        return len(self._incomplete)

    async def run(self) -> None:
        with self._state.read() as reader:
            self.look_at(frozenset(view.item for view in every_item(reader)))
        async with asyncio.TaskGroup() as group:
            for _ in range(WORKERS):
                group.create_task(self._work())
            group.create_task(self._retry())
            group.create_task(self._scrub())

    async def _retry(self) -> None:
        while True:
            await asyncio.sleep(RETRY_S)
            self.look_at(frozenset(self._incomplete))

    async def _scrub(self) -> None:
        """Read and check every stored file once in ``scrub_days`` (完整性巡检), evenly paced."""
        while True:
            blobs = list(self._blobs.scan())
            pause = self._scrub_days * 86_400 / max(len(blobs), 1)
            await asyncio.sleep(min(pause, 3600.0))
            for blob in blobs:
                if not await is_whole(self._blobs, blob):
                    await self.lost(blob)
                await asyncio.sleep(pause)

    async def _work(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while (item := next((i for i in self._due if i not in self._busy), None)) is not None:
                del self._due[item]
                self._busy.add(item)
                try:
                    complete = await self._look(item)
                except FangzhiError as error:
                    self._links.count(error.code)
                    complete = False
                finally:
                    self._busy.discard(item)
                (self._incomplete.discard if complete else self._incomplete.add)(item)

    async def _look(self, item: str) -> bool:
        """Fetch what is missing of one item; whether everything is here now."""
        with self._state.read() as reader:
            view = find(reader, item)
        roster = self._roster()
        if view is None or view.owner not in roster.members:
            return True
        kinds = {code: keeps(roster, view, code, roster.cities()) for code in self._keys}
        wanted = frozenset[str]().union(*kinds.values())
        if not wanted:
            return True
        complete = await self._keep(view, "manifest", view.manifest) is not None
        manifest = self._record(view.manifest)
        for kind, blob in derived_blobs(view):
            if kind in wanted and await self._keep(view, kind, blob) is None:
                complete = False
        if "files" in wanted and manifest is not None:
            for file in manifest.files:
                complete &= await self._keep(view, "files", file.sha256) is not None
        self._arrived(item)
        if complete and manifest is not None:
            for code in sorted(self._keys):
                key = (code, view.manifest)
                if "files" in kinds[code] and code not in view.holders and key not in self._taken:
                    hold = HoldTake(item, view.manifest, view.files, view.file_bytes)
                    await self._sequencer.append(code, (hold,))
                    self._taken.add(key)
        return complete

    async def _keep(self, view: ItemView, kind: str, blob: BlobId) -> BlobId | None:
        """Have the blob here and know what it is for; None when nobody could give it."""
        if self._blobs.size(blob) is None:
            try:
                await self.fetch(blob, self.sources(view))
            except FangzhiError:
                return None
        await note_blob(self._state, self._blobs, view.item, kind, blob)
        return blob

    def sources(self, view: ItemView) -> list[str]:
        """Offices that may have the files of an item: the owner or its heir, holders, then
        those above it and us: an owner that only dials out may be out of reach of everybody but
        its parent."""
        roster = self._roster()
        parents = [roster.member(code).parent for code in sorted(self._keys)]
        above = [m.code for m in roster.active() if roster.is_above(m.code, view.owner)]
        candidates = [roster.heir(view.owner), *view.holders, *above, *(p for p in parents if p)]
        candidates += [m.code for m in roster.active() if m.always_on] if view.public else []
        return [code for code in dict.fromkeys(candidates) if code not in self._keys]

    async def fetch(self, blob: BlobId, sources: list[str]) -> None:
        """Store a blob from the first source that gives it whole.

        Raises:
            Missing: no source could.
            Full: no room.
        """
        for source in sources:
            try:
                await self._blobs.put(self.stream(blob, source, 0, None), expect=blob)
                return
            except (WireError, Corrupt, Missing, Forbidden) as error:
                self._links.count(error.code)
            except FangzhiError as error:
                if error.code == "store.full":
                    raise
        raise Missing(f"file {blob.short}", f"one of {sources} to have it", "none does now")

    async def stream(
        self, blob: BlobId, source: str, offset: int, length: int | None
    ) -> AsyncIterator[bytes]:
        """The bytes of a blob at another node, in chunks; unverified."""
        end = None if length is None else offset + length
        while end is None or offset < end:
            size = CHUNK_BYTES if end is None else min(CHUNK_BYTES, end - offset)
            ask = BlobAsk(blob, offset, size)
            chunk = await self._links.ask(OfficeCode(source), "blob.read", ask, self._request_s)
            assert isinstance(chunk, Chunk)
            end = chunk.size_total if end is None else min(end, chunk.size_total)
            offset += len(chunk.data)
            if chunk.data:
                yield chunk.data
            elif offset < end:
                raise WireError("blob.read", f"bytes up to {end}", f"none at {offset}")

    async def on_read(self, peer: Peer, ask: BlobAsk) -> Chunk:
        """A peer wants bytes: only what it keeps by placement, or what the public may see, or what
        the province signed for everybody: the table of synonyms, statistics."""
        roster = self._roster()
        with self._state.read() as reader:
            synonyms = synonym_table(reader, roster.genesis.province)
            shared = {epoch.blob for epoch in epochs(reader, roster)}
            is_shared = ask.blob in shared or (synonyms is not None and synonyms.table == ask.blob)
            allowed = (is_shared and bool(peer.offices)) or any(
                view.public or kind in keeps(roster, view, office, roster.cities())
                for view, kind in uses(reader, ask.blob)
                for office in peer.offices
            )
        size = self._blobs.size(ask.blob)
        if size is None:
            raise Missing(f"file {ask.blob.short}", "a file that is stored here", "not here")
        if not allowed:
            raise Forbidden(f"file {ask.blob.short}", "a keeper of it", ", ".join(peer.offices))
        data = await self._blobs.read(ask.blob, ask.offset, min(ask.length, CHUNK_BYTES))
        return Chunk(size, data)

    async def lost(self, blob: BlobId) -> list[str]:
        """A stored blob is damaged: log the loss of a held file, and look at its items again to
        repair them."""
        with self._state.read() as reader:
            used = list(uses(reader, blob))
        await self._blobs.delete(blob)
        for view in {view.item: view for view, kind in used if kind == "files"}.values():
            for code in sorted(self._keys):
                if code in view.holders:
                    self._taken.discard((code, view.manifest))
                    await self._sequencer.append(code, (HoldLose(view.item, view.manifest, 1),))
        items = frozenset(view.item for view, _ in used)
        self.look_at(items)
        return sorted(items)

    def _record(self, manifest: BlobId) -> Manifest | None:
        with self._state.read() as reader:
            return record(reader, manifest)
