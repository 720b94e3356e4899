"""How rare words are in the whole network: sketches of the shards, summed and signed by the
province, fetched by everybody else.

The node of the province asks every shard's holder for its sketch when the public text has changed
by a tenth, or when told to, and signs the sum as an epoch.  Every node weighs by the newest epoch
whose file it has.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any, Final

from ledger import views
from ledger.events import StatisticsPublish
from ledger.genesis import Genesis
from ledger.roster import Roster
from ledger.views import Epoch
from node.hands.keys import OfficeKeys
from node.office.catalog import put_bytes, read_whole, uses
from node.office.indexer import Indexer
from node.office.links import Links, Peer
from node.office.sequencer import Sequencer
from node.office.transfer import Transfer, Wanted
from protocol.errors import Corrupt, DecodeError, FangzhiError, Missing, Rejected, Unavailable
from protocol.ids import BlobId, OfficeCode
from protocol.limits import STATISTICS_BYTES_MAX
from protocol.messages import Sketch, SketchAsk
from protocol.ports import BlobStore, BlockingWork, KeyValueStore
from search_shard.shard import Shard
from search_shard.statistics import Counts, Statistics, read_statistics

LOOK_S: Final = 3600.0  # between looks at how much text there is
RETRY_S: Final = 5.0
CHANGED: Final = 10  # one part in so many of the pages must be new
KEPT: Final = 4  # epochs: that of now, and those that pages of older answers name
SKETCHES_AT_ONCE: Final = 4


class Statistician:
    """Makes epochs at the province, keeps them everywhere."""

    def __init__(
        self,
        state: KeyValueStore,
        blobs: BlobStore,
        work: BlockingWork,
        genesis: Genesis,
        keys: Mapping[OfficeCode, OfficeKeys],
        links: Links,
        sequencer: Sequencer,
        transfer: Transfer,
        indexer: Indexer,
        roster: Callable[[], Roster],
        holders: Callable[[OfficeCode], Iterable[OfficeCode]],
        request_s: float,
    ) -> None:
        self._state = state
        self._blobs = blobs
        self._work = work
        self._genesis = genesis
        self._keys = keys
        self._links = links
        self._sequencer = sequencer
        self._transfer = transfer
        self._indexer = indexer
        self._roster = roster
        self._holders = holders
        self._request_s = request_s
        self._read: dict[int, Statistics] = {}  # by index, the newest last
        self._wake = asyncio.Event()
        self._news = asyncio.Event()
        self._turn = asyncio.Lock()

    # ---- what a query is weighed by

    def newest(self) -> tuple[int, Statistics] | None:
        """The newest epoch that is here, and the index of its event."""
        if not self._read:
            return None
        index = max(self._read)
        return index, self._read[index]

    def epoch(self, index: int) -> Statistics | None:
        """That of the event at ``index`` of the provincial log; None when it is not here."""
        return self._read.get(index)

    def changed(self) -> None:
        """More is folded."""
        self._wake.set()
        self._news.set()

    # ---- long-lived

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow())
            if self._genesis.province in self._keys:
                group.create_task(self._watch())

    async def _follow(self) -> None:
        """Have the newest epochs here, and the files of no others."""
        self._wake.set()
        with self._state.read() as reader:
            filed = {epoch.blob for epoch in views.epochs(reader, self._roster())}
        while True:
            await self._wake.wait()
            self._wake.clear()
            with self._state.read() as reader:
                signed = list(islice(views.epochs(reader, self._roster()), KEPT))
            wanted = {epoch.index: epoch for epoch in signed}
            self._read = {index: self._read[index] for index in wanted if index in self._read}
            for epoch in signed:
                if epoch.index not in self._read and not await self._take(epoch):
                    asyncio.get_running_loop().call_later(RETRY_S, self._wake.set)
            named = {epoch.blob for epoch in signed}
            for blob in filed - named:
                await self._forget(blob)
            filed = named

    async def _forget(self, blob: BlobId) -> None:
        with self._state.read() as reader:
            is_used = bool(uses(reader, blob))  # somebody may have handed in the very same bytes
        if not is_used:
            await self._blobs.delete(blob)

    async def _take(self, epoch: Epoch) -> bool:
        try:
            if self._blobs.size(epoch.blob) is None:
                await self._transfer.fetch(Wanted(epoch.blob), self._sources())
            data = await read_whole(self._blobs, epoch.blob, STATISTICS_BYTES_MAX)
            self._read[epoch.index] = read_statistics(data, self._genesis.id)
        except (Missing, Corrupt):
            return False
        except DecodeError as error:  # signed, but nothing we can weigh by
            self._links.count(error.code)
        return True

    def _sources(self) -> list[str]:
        roster = self._roster()
        above = [member.code for code in self._keys for member in roster.above(code)]
        all_of = dict.fromkeys([*above, self._genesis.province, *roster.cities()])
        return [code for code in all_of if code not in self._keys]

    async def _watch(self) -> None:
        self._news.set()
        while True:
            await self._news.wait()
            await asyncio.sleep(LOOK_S)
            self._news.clear()
            with self._state.read() as reader:
                public = views.items(reader, public_only=True)
                pages = sum(view.pages for view in public)
                while public:
                    public = views.items(reader, public_only=True, start_after=public[-1].item)
                    pages += sum(view.pages for view in public)
                last = next(views.epochs(reader, self._roster()), None)
            known = last.pages if last else 0
            if abs(pages - known) * CHANGED > known and pages:
                try:
                    await self.refresh()
                except FangzhiError:
                    self._news.set()

    # ---- making one

    async def refresh(self) -> dict[str, Any]:
        """Sum up every shard that can be reached, and sign it; what was signed.

        Raises:
            Rejected: this node is not the province's.
            Unavailable: its log may not be signed now, or no shard can be reached.
        """
        province = self._genesis.province
        if province not in self._keys:
            raise Rejected("statistics", f"the node of the province {province}", "another")
        if not self._sequencer.gates[province].is_open:
            raise Unavailable("statistics", "an open log", "it is shut now")
        async with self._turn:
            total, missing = await self._sum()
            offices = len(self._roster().members)
            if len(missing) == offices:
                raise Unavailable("statistics", "shards that answer", "none")
            data = total.epoch(self._genesis.id).encoded()
            blob = await put_bytes(self._blobs, data)
            body = StatisticsPublish(blob, len(data), total.pages, offices - len(missing))
            refs = await self._sequencer.append(province, (body,))
        return {
            "index": refs[0].index if refs else None,
            "blob": blob.hex,
            "pages": total.pages,
            "shards": offices - len(missing),
            "missing": sorted(missing),
        }

    async def _sum(self) -> tuple[Counts, list[OfficeCode]]:
        total = Counts()
        missing: list[OfficeCode] = []
        left = sorted(self._roster().members)

        async def work() -> None:
            while left:
                office = left.pop()
                if not await self._add(office, total):
                    missing.append(office)

        async with asyncio.TaskGroup() as group:
            for _ in range(SKETCHES_AT_ONCE):
                group.create_task(work())
        return total, missing

    async def _add(self, office: OfficeCode, total: Counts) -> bool:
        """Whether anybody gave the sketch of a shard."""
        if (shard := self._indexer.shard(office, False)) is not None:
            sketch = await self._sketch(shard)
            total.join(sketch.pages, sketch.counts)
            return True
        for holder in self._holders(office):
            if holder in self._keys:
                continue
            try:
                ask = SketchAsk(office)
                sketch = await self._links.ask(holder, "search.sketch", ask, self._request_s)
                assert isinstance(sketch, Sketch)
                total.join(sketch.pages, sketch.counts)
            except FangzhiError as error:
                self._links.count(f"statistics.{error.code}")
                continue
            return True
        return False

    async def on_sketch(self, _peer: Peer, ask: SketchAsk) -> Sketch:
        """The province wants the sketch of a shard.  Only what the public may read is in it.

        Raises:
            Missing: this node cannot answer for the shard.
        """
        if ask.office not in self._roster().members:
            raise Missing("shard", "of a member", ask.office[:20])
        shard = self._indexer.shard(ask.office, False)
        if shard is None:
            raise Missing(f"shard {ask.office}", "one that stands here, whole", "none")
        return await self._sketch(shard)

    async def _sketch(self, shard: Shard) -> Sketch:
        def count() -> Sketch:
            counts = Counts()
            counts.add_shard(shard)
            return Sketch(counts.pages, counts.encoded())

        return await self._work.run(count)
