"""Reads every stored file again and again (完整性巡检), and repairs what is damaged.

Every copy is read and checked once in ``scrub_days``, evenly paced by its bytes; its card says when
that was last.  A damaged copy is mended in place: chunks that are right stay, the others come from
other holders, none of whom needs a whole copy.  What is mended at once is ``hold.repair`` in the
log; what is not is ``hold.lose``, tried again until it is, and then held again by ``hold.take``.
The damaged copy stays till then, for its good chunks may be the last ones; a row of ``damaged``
says that it counts for nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from itertools import islice

import structlog

from ledger.custody import HoldLose, HoldRepair
from ledger.keeping import IMAGES, standing
from ledger.roster import Roster
from ledger.views import ItemView, number
from node.hands.keys import OfficeKeys
from node.office.catalog import DAMAGED, damaged_blobs, record, uses
from node.office.custodian import Custodian
from node.office.images import Images
from node.office.sealer import Sealer
from node.office.sequencer import Sequencer
from node.office.transfer import HERE, Brought, Transfer, Wanted
from protocol.errors import Corrupt, FangzhiError, Missing
from protocol.ids import BlobId, OfficeCode, UnixMs
from protocol.ports import BlobStore, Clock, KeyValueStore, Reader

ROUND_S = 3600.0  # how often it is looked whether a copy is due
RETRY_S = 60.0  # how often a damaged copy that could not be mended is tried again
HEADWAY = 2  # a pass is done in half of its time, so that one that began late is not late

log = structlog.get_logger(__name__)


class Scrubber:
    """Checks and mends what is stored here."""

    def __init__(
        self,
        state: KeyValueStore,
        blobs: BlobStore,
        clock: Clock,
        keys: Mapping[OfficeCode, OfficeKeys],
        transfer: Transfer,
        custodian: Custodian,
        sequencer: Sequencer,
        roster: Callable[[], Roster],
        sealer: Sealer,
        images: Images,
        redraw: Callable[[frozenset[str]], None],
        scrub_days: int,
    ) -> None:
        """``redraw`` is told of items of which images are lost."""
        self._state = state
        self._blobs = blobs
        self._clock = clock
        self._keys = keys
        self._transfer = transfer
        self._custodian = custodian
        self._sequencer = sequencer
        self._roster = roster
        self._sealer = sealer
        self._images = images
        self._redraw = redraw
        self._period_ms = scrub_days * 86_400_000
        self._suspects: set[BlobId] = set()
        self._broken = asyncio.Event()  # set while a damaged copy waits to be mended
        self._wake = asyncio.Event()

    def suspect(self, blob: BlobId) -> None:
        """Somebody saw that this copy is damaged: check it soon."""
        self._suspects.add(self._sealer.files.made_of(blob))
        self._wake.set()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._scrub())
            group.create_task(self._check_suspects())
            group.create_task(self._retry())

    async def check(self, blob: BlobId) -> bool:
        """Read a copy again, and mend it if it is damaged; whether it is whole now."""
        try:
            await self._blobs.verify(blob)
        except (Corrupt, Missing):
            return await self.mend(blob)
        return True

    async def mend(self, blob: BlobId) -> bool:
        """Make a damaged copy whole, and log what happened; whether it is whole now."""
        with self._state.read() as reader:
            used = uses(reader, blob)
            known = reader.get(DAMAGED, blob.raw) is not None
        if not used:
            await self._blobs.delete(blob)  # nobody knows what it is for; who does fetches it
            return False
        since = number(self._clock.now())
        if not known:
            await self._state.write(lambda writer: writer.put(DAMAGED, blob.raw, since))
        try:
            brought = await self._brought(blob, used)
        except FangzhiError as error:
            if {kind for _, kind in used} <= IMAGES:
                await self._forget_image(blob, used)
                return False
            if not known:
                log.error("copy damaged", file=blob.hex, why=str(error))
                await self._log_loss(used)
            self._broken.set()
            return False
        await self._state.write(lambda writer: writer.delete(DAMAGED, blob.raw))
        await self._log_repair(used, brought)
        self._custodian.look_at(frozenset(view.item for view, _ in used))
        return True

    async def _forget_image(self, blob: BlobId, used: list[tuple[ItemView, str]]) -> None:
        """Nobody has a good copy of what its owner can draw again: let it, or ask for it later."""
        items = frozenset(view.item for view, _ in used)
        await self._blobs.delete(blob)
        await self._state.write(lambda writer: writer.delete(DAMAGED, blob.raw))
        await self._images.doubt(items)
        self._custodian.look_at(items)
        self._redraw(items)

    @property
    def damaged(self) -> int:
        """Copies here that are known to be damaged."""
        with self._state.read() as reader:
            return len(damaged_blobs(reader))

    def alarms(self) -> list[tuple[BlobId, ItemView]]:
        """Damaged files of which nobody's log says any more that there is a good copy."""
        roster = self._roster()
        with self._state.read() as reader:
            return [
                (blob, view)
                for blob, _ in damaged_blobs(reader)
                for view, kind in uses(reader, blob)
                if kind in ("files", "sealed") and not set(standing(roster, view)) - set(self._keys)
            ]

    async def _scrub(self) -> None:
        while True:
            if any(self._is_due(checked) for checked, _ in islice(self._blobs.checks(), 1)):
                await self._scrub_due()
            await asyncio.sleep(ROUND_S)

    async def _scrub_due(self) -> None:
        checks = list(self._blobs.checks())
        sizes = [self._blobs.size(blob) or 0 for _, blob in checks]
        share = self._period_ms / 1000 / HEADWAY / max(sum(sizes), 1)
        for (checked, blob), size in zip(checks, sizes, strict=True):
            if not self._is_due(checked):
                break
            await asyncio.sleep(min(size * share, ROUND_S))
            await self.check(blob)

    def _is_due(self, checked: UnixMs) -> bool:
        return checked + self._period_ms <= self._clock.now()

    async def _check_suspects(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._suspects:
                await self.check(self._suspects.pop())

    async def _retry(self) -> None:
        while True:
            with self._state.read() as reader:
                left = [blob for blob, _ in damaged_blobs(reader)]
            if not left:
                self._broken.clear()
            for blob in left:
                await self.mend(blob)
            await self._broken.wait()
            await asyncio.sleep(RETRY_S)

    async def _brought(self, blob: BlobId, used: list[tuple[ItemView, str]]) -> Brought:
        """Mend from other copies: as they are, or where only sealed ones are left, from these."""
        sources = dict.fromkeys(s for view, _ in used for s in self._custodian.sources(view))
        try:
            return await self._transfer.mend(self._wanted(blob, used), list(sources))
        except Missing:
            for view, kind in used:
                if kind in ("files", "pages") and view.seal and await self._sealer.mend(view, blob):
                    return Brought(view.sealed_holders[0] if view.sealed_holders else HERE, 0)
            raise

    def _wanted(self, blob: BlobId, used: list[tuple[ItemView, str]]) -> Wanted:
        with self._state.read() as reader:
            for view, kind in used:
                if kind == "files" and (root := _root_in(reader, view, blob)):
                    return root
        return Wanted(blob)

    async def _log_loss(self, used: list[tuple[ItemView, str]]) -> None:
        for code, view, seal in self._held(used):
            self._custodian.lost(code, view, seal)
            await self._sequencer.append(code, (HoldLose(view.item, view.manifest, 1, seal),))

    async def _log_repair(self, used: list[tuple[ItemView, str]], brought: Brought) -> None:
        for code, view, _ in self._held(used):
            source = brought.source or code
            repair = HoldRepair(view.item, view.manifest, 1, source)
            await self._sequencer.append(code, (repair,))

    def _held(
        self, used: list[tuple[ItemView, str]]
    ) -> list[tuple[OfficeCode, ItemView, BlobId | None]]:
        """The holdings here that such a file belongs to."""
        views = {(view.item, kind): view for view, kind in used if kind in ("files", "sealed")}
        return [
            (code, view, view.seal if kind == "sealed" else None)
            for (_, kind), view in sorted(views.items())
            for code in sorted(self._keys)
            if code in (view.sealed_holders if kind == "sealed" else view.holders)
        ]


def _root_in(reader: Reader, view: ItemView, blob: BlobId) -> Wanted | None:
    manifest = record(reader, view.manifest)
    files = manifest.files if manifest else ()
    return next((Wanted(blob, f.chunks) for f in files if f.sha256 == blob), None)
