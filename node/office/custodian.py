"""Gets and keeps the files that placement gives to the offices hosted here (保存副本).

What this node should keep of an item follows from the roster, the offers and the item's state alone
(:mod:`ledger.keeping`), so nobody is told what to fetch: every change of an item, and every start,
is a reason to look.  When all files of a revision are durable and sound here, the holding becomes
an event in the log of the office that holds it.

Nobody can dial an office behind a firewall.  While a keeper waits for its files, such an office
dials the keeper, which fetches over that link.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from itertools import count

from ledger.custody import HoldOffer, HoldTake
from ledger.holdings import Offer, offers
from ledger.keeping import Room, Shortage, keeps, room, shortages
from ledger.roster import Roster
from ledger.views import ItemView
from node.hands.config import KeepingConfig
from node.hands.keys import OfficeKeys
from node.office.catalog import (
    damaged,
    derived_blobs,
    every_item,
    find,
    note_blob,
    read_whole,
    record,
    stale_wraps,
)
from node.office.images import Images, named_by
from node.office.links import Links
from node.office.sequencer import Sequencer
from node.office.transfer import Transfer, Wanted
from protocol.errors import FangzhiError, Full
from protocol.ids import BlobId, OfficeCode
from protocol.limits import SEAL_BYTES_MAX, GiB
from protocol.ports import BlobStore, KeyValueStore
from protocol.sealing import parse_seal

RETRY_S = 5.0
SHORT_TURNS = 6  # after so many retries, what lacks copies anywhere is looked at, too
WORKERS = 3  # items fetched at once: a source that is silent must not hold up the others
FILES_AT_ONCE = 8  # of one item, so that small ones do not wait for each other's answers


class Custodian:
    """Fetches and records what belongs here."""

    def __init__(
        self,
        state: KeyValueStore,
        blobs: BlobStore,
        keys: Mapping[OfficeCode, OfficeKeys],
        links: Links,
        transfer: Transfer,
        sequencer: Sequencer,
        roster: Callable[[], Roster],
        images: Images,
        arrived: Callable[[str], None],
        calling: Callable[[], None],
        config: KeepingConfig,
    ) -> None:
        self._state = state
        self._blobs = blobs
        self._keys = keys
        self._links = links
        self.transfer = transfer
        self._sequencer = sequencer
        self._roster = roster
        self._images = images
        self._arrived = arrived
        self._calling = calling
        self._config = config
        self._due: dict[str, None] = {}  # items to look at, oldest first
        self._busy: set[str] = set()
        self._wake = asyncio.Event()
        self._incomplete: set[str] = set()
        self._unfinished = asyncio.Event()  # set while something is incomplete or short
        self.short: dict[str, tuple[Shortage, ...]] = {}  # item -> what it lacks, anywhere
        self._called: dict[str, frozenset[OfficeCode]] = {}  # item -> who waits for its files
        self._taken: set[tuple[str, BlobId, BlobId | None]] = set()  # perhaps not folded yet

    def look_at(self, items: frozenset[str]) -> None:
        self._due.update(dict.fromkeys(sorted(items)))
        self._wake.set()

    @property
    def incomplete(self) -> int:
        """Items of which something that belongs here has not arrived."""
        return len(self._incomplete)

    @property
    def called(self) -> frozenset[OfficeCode]:
        """Offices that wait for files of ours and cannot dial us; ``calling`` is told of news."""
        return frozenset[OfficeCode]().union(*self._called.values())

    def lost(self, code: OfficeCode, view: ItemView, seal: BlobId | None) -> None:
        """The log of ``code`` says that it lost this copy: once it is whole it is taken anew."""
        self._taken.discard((code, view.manifest, seal))

    async def run(self) -> None:
        with self._state.read() as reader:
            self.look_at(frozenset(view.item for view in every_item(reader)))
        async with asyncio.TaskGroup() as group:
            for _ in range(WORKERS):
                group.create_task(self._work())
            group.create_task(self._retry())
            group.create_task(self._offers())

    async def _offers(self) -> None:
        """Each office says what it can keep as soon as it may sign: a draft that waits for that
        would be said again after every start."""
        waiting = set(self._keys)
        while waiting:
            for code in sorted(waiting):
                if self._sequencer.gates[code].is_open:
                    await self._offer(code)
                    waiting.discard(code)
            if waiting:
                await asyncio.sleep(RETRY_S)

    async def _offer(self, code: OfficeCode) -> None:
        """Say in the log of an office what it can keep for others, if that is news."""
        capacity = self._config.offer_gib * GiB
        wanted = (capacity, self._config.domain, self._config.keeps_others)
        nothing_said = KeepingConfig()
        default = (nothing_said.offer_gib * GiB, nothing_said.domain, nothing_said.keeps_others)
        with self._state.read() as reader:
            said = offers(reader, self._roster())
        before = said.get(code)
        if (_terms(before) if before else default) != wanted:
            await self._sequencer.append(code, (HoldOffer(*wanted),))

    async def _retry(self) -> None:
        for turn in count(1):
            await self._unfinished.wait()
            await asyncio.sleep(RETRY_S)
            self.look_at(frozenset(self._incomplete))
            if turn % SHORT_TURNS == 0:  # who is drawn for them changes with every holding
                self.look_at(frozenset(self.short))

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
                if self._incomplete or self.short:
                    self._unfinished.set()
                else:
                    self._unfinished.clear()

    async def _look(self, item: str) -> bool:
        """Fetch what is missing of one item; whether everything is here now."""
        roster = self._roster()
        with self._state.read() as reader:
            view, place = find(reader, item), room(reader, roster)
        if view is None or view.owner not in roster.members:
            return True
        self._note_shortage(roster, place, view)
        kinds = {code: keeps(roster, place, view, code) for code in self._keys}
        wanted = frozenset[str]().union(*kinds.values())
        if not wanted:
            return await self._keep_images(view, wanted=False)
        named = [("manifest", view.manifest), *derived_blobs(view)]
        small = [(kind, Wanted(blob)) for kind, blob in named if kind in wanted]
        complete = await self._keep_all(view, small)
        if "wraps" in wanted:  # for whom grants name; no part of the copy, which stands without
            granted = [grant.wraps for grant in view.grants if grant.wraps is not None]
            await self._keep_all(view, [("wraps", Wanted(wraps)) for wraps in granted])
            with self._state.read() as reader:
                stale = stale_wraps(reader, view)
            for wraps in stale:
                await self._blobs.delete(wraps)
        with self._state.read() as reader:
            manifest = record(reader, view.manifest)
        if "files" in wanted and manifest is not None:
            files = [("files", Wanted(file.sha256, file.chunks)) for file in manifest.files]
            complete &= await self._keep_all(view, files)
        if "sealed" in wanted and roster.heir(view.owner) not in self._keys:
            complete &= await self._keep_all(view, await self._sealed(view))
        derived = await self._keep_images(view, "images" in wanted)
        self._arrived(item)
        if complete and not (wanted & {"files", "manifest"} and manifest is None):
            for code in sorted(self._keys):
                await self._take(roster, view, code, kinds[code])
        return complete and derived

    async def _keep_images(self, view: ItemView, wanted: bool) -> bool:
        """Have the service-level images here if they are ``wanted``, else none of them; no part of
        a copy, which stands without.  Its owner makes them (node/office/imager.py)."""
        if not wanted or view.images_blob is None:
            await self._images.settle(view, wanted=False)
            return True
        is_own = self._roster().heir(view.owner) in self._keys
        if is_own or self._images.settled(view.item) == view.images_blob:
            return True
        is_here = await self._keep(view, "images", Wanted(view.images_blob))
        if is_here:
            named = named_by(await self._images.listed(view.images_blob))
            files = [(kind, Wanted(blob)) for blob, kind in named.items()]
            is_here = await self._keep_all(view, files)
        if is_here:
            await self._images.settle(view, wanted=True)
        return is_here

    def _note_shortage(self, roster: Roster, place: Room, view: ItemView) -> None:
        """What the item lacks, and who is to be dialled for it."""
        short = shortages(roster, place, view)
        if short:
            self.short[view.item] = short
        else:
            self.short.pop(view.item, None)
        owner, waiting = roster.heir(view.owner), frozenset[OfficeCode]()
        if owner in self._keys and not roster.member(owner).peer_address:
            offices = (OfficeCode(one.office) for one in short if one.office)
            waiting = frozenset(code for code in offices if code not in self._keys)
        if waiting != self._called.get(view.item, frozenset()):
            before = self.called
            self._called[view.item] = waiting
            if not waiting:
                del self._called[view.item]
            if self.called != before:
                self._calling()

    async def _take(
        self, roster: Roster, view: ItemView, code: OfficeCode, kinds: frozenset[str]
    ) -> None:
        """Log the holding of ``code``, which is complete, if the logs do not have it."""
        if "files" in kinds:
            seal, size, holders = None, view.file_bytes, view.holders
        elif "sealed" in kinds and roster.heir(view.owner) not in self._keys:
            seal, size, holders = view.seal, view.sealed_bytes, view.sealed_holders
        else:
            return
        key = (code, view.manifest, seal)
        if code not in holders and key not in self._taken:
            hold = HoldTake(view.item, view.manifest, view.files, size, seal)
            await self._sequencer.append(code, (hold,))
            self._taken.add(key)

    async def _keep_all(self, view: ItemView, files: Iterable[tuple[str, Wanted]]) -> bool:
        """Have these files here and know what they are for; whether all are."""
        places = asyncio.Semaphore(FILES_AT_ONCE)

        async def keep(kind: str, wanted: Wanted) -> bool:
            async with places:
                return await self._keep(view, kind, wanted)

        return all(await asyncio.gather(*(keep(kind, wanted) for kind, wanted in files)))

    async def _keep(self, view: ItemView, kind: str, wanted: Wanted) -> bool:
        if self._blobs.size(wanted.blob) is None:
            try:
                await self.transfer.fetch(wanted, self.sources(view))
            except Full:
                raise
            except FangzhiError:
                return False
        await note_blob(self._state, self._blobs, view.item, kind, wanted.blob)
        with self._state.read() as reader:
            return not damaged(reader, wanted.blob)

    async def _sealed(self, view: ItemView) -> list[tuple[str, Wanted]]:
        """The ciphertexts of an item, as its seal record names them."""
        assert view.seal is not None
        if self._blobs.size(view.seal) is None:
            return []
        files = parse_seal(await read_whole(self._blobs, view.seal, SEAL_BYTES_MAX))
        return [("sealed", Wanted(file.sealed, file.chunks)) for file in files]

    def sources(self, view: ItemView) -> list[str]:
        """Offices that may have the files of an item: the owner or its heir, holders, then
        those above it and us: an owner that only dials out may be out of reach of everybody but
        its parent."""
        roster = self._roster()
        parents = [roster.member(code).parent for code in sorted(self._keys)]
        above = [m.code for m in roster.active() if roster.is_above(m.code, view.owner)]
        candidates = [roster.heir(view.owner), *view.holders, *view.sealed_holders, *above]
        candidates += [parent for parent in parents if parent]
        candidates += [m.code for m in roster.active() if m.always_on] if view.public else []
        return [code for code in dict.fromkeys(candidates) if code not in self._keys]


def _terms(offer: Offer) -> tuple[int, str, bool]:
    return offer.capacity_bytes, offer.domain, offer.keeps_others
