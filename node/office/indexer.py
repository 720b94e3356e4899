"""Makes pages findable: turns the page text held here into segments of per-office shards.

One shard an office.  A shard holds every revision whose text was indexed; who may find what is
decided at the time of the query by hiding items, so passing or withdrawing an item (审核通过, 下架)
needs no re-indexing and takes effect at once.  Segments are derived: a lost one is built again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product

import structlog

from ledger.rights import indexes, may_be_found
from ledger.roster import Roster
from ledger.views import ItemView
from node.hands.keys import OfficeKeys
from node.office.catalog import SHARD, every_item, find, read_whole, record, revision_key
from node.office.cataloguer import Cataloguer
from node.office.merging import merge_from
from protocol.errors import Corrupt, Missing
from protocol.ids import ItemId, OfficeCode, item_birth_office
from protocol.limits import PAGES_BLOB_BYTES_MAX
from protocol.merkle import leaf_hash, root_of
from protocol.placement import index_holders
from protocol.ports import BlobStore, BlockingWork, KeyValueStore, SegmentStore, Writer
from protocol.records import parse_pages
from protocol.shapes import pack, unpack
from search_shard.layout import Page
from search_shard.rules.eras import Eras
from search_shard.segment import Segment, build_segment, merge_segments
from search_shard.shard import Shard
from search_shard.tables import Tables

PAGES_PER_SEGMENT_MAX = 60_000
ITEMS_PER_SEGMENT_MAX = 200

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SegmentRow:
    name: str
    revisions: tuple[str, ...]  # see :func:`revision_key`


@dataclass(frozen=True, slots=True)
class ShardRow:
    segments: tuple[SegmentRow, ...]
    next_number: int


EMPTY_ROW = ShardRow((), 0)


class Indexer:
    """Builds and opens the shards of this node."""

    def __init__(
        self,
        state: KeyValueStore,
        blobs: BlobStore,
        segments: SegmentStore,
        work: BlockingWork,
        tables: Tables,
        keys: Mapping[OfficeCode, OfficeKeys],
        roster: Callable[[], Roster],
    ) -> None:
        self._state = state
        self._blobs = blobs
        self._segments = segments
        self._work = work
        self._tables = tables
        self._keys = keys
        self._roster = roster
        self._due: dict[str, None] = {}
        self._wake = asyncio.Event()
        self._turn = asyncio.Lock()
        self._open: dict[str, Segment] = {}
        self._snapshots: dict[tuple[OfficeCode, bool, bool], Shard] = {}
        self._rows: dict[OfficeCode, ShardRow] = {}
        self.cataloguer = Cataloguer(state, work, tables, roster, Eras(tables.fold))
        self.on_change: list[Callable[[OfficeCode], None]] = []  # a shard may be another now
        with state.read() as reader:
            for key, row in reader.scan(SHARD):
                shard_row = unpack(ShardRow, row, bytes_max=2**26, where="shard row")
                self._rows[OfficeCode(key.decode())] = shard_row

    @property
    def offices(self) -> list[OfficeCode]:
        """The shards that stand here."""
        return sorted(self._rows)

    @property
    def waiting(self) -> int:
        return len(self._due)

    def look_at(self, item: str) -> None:
        """An item may have changed: what may be found of it, or its text."""
        self._forget_snapshots(item_birth_office(ItemId(item)))
        self._due[item] = None
        self._wake.set()

    async def run(self) -> None:
        self._drop_strays()
        self._look_at_all()
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self.cataloguer.renamed():
                self._look_at_all()
            while self._due:
                due, self._due = list(self._due), {}
                async with self._turn:
                    for office in await self.cataloguer.look_at(due, self._is_holder):
                        self._forget_snapshots(office)
                    await self._index(due)

    def shard(self, office: OfficeCode, staff: bool, records: bool = False) -> Shard | None:
        """A snapshot of a shard as the public, or the office's staff, may see it: its pages, or
        the records of its items.

        None when this node is no holder of it, or some text or record of it is not indexed here
        yet: an answer from half a shard would pass for the whole.
        """
        snapshot = self._snapshots.get((office, staff, records))
        if snapshot is None and self._is_holder(office):
            with self._state.read() as reader:
                seen = [
                    view
                    for view in every_item(reader, office)
                    if may_be_found(view, by_owner=staff)
                ]
            shelved = self.cataloguer.of(office)
            row = self._rows.get(office, EMPTY_ROW)
            read = {name for segment in row.segments for name in segment.revisions}
            known = shelved.catalogue.numbers.keys()
            shown = {revision_key(view) for view in seen}
            if shown <= known and read >= {revision_key(view) for view in seen if view.pages}:
                texts = self._whole(office)
                if len(texts) < len(row.segments):
                    return None
                segments, hidden = (shelved.segments, shelved.items) if records else (texts, read)
                snapshot = Shard(segments, frozenset(hidden - shown), shelved.catalogue)
                self._snapshots[office, staff, records] = snapshot
        return snapshot

    def _is_holder(self, office: OfficeCode) -> bool:
        roster = self._roster()
        acting = roster.members.get(roster.heir(office))
        if acting is None:
            return office in self._keys
        holders = index_holders(acting.code, roster.cities(), acting.parent)
        return any(code in self._keys for code in holders)

    def roster_changed(self) -> None:
        """Who holds which shard, and what regions are called, may be another now."""
        self._snapshots.clear()
        self._wake.set()

    def _forget_snapshots(self, office: OfficeCode) -> None:
        for key in product((office,), (False, True), (False, True)):
            self._snapshots.pop(key, None)
        for listener in self.on_change:
            listener(office)

    def _opened(self, name: str) -> Segment:
        segment = self._open.get(name)
        if segment is None:
            buffer = self._segments.open(name)
            segment = self._open[name] = Segment.open(buffer, self._tables)
            self._segments.page_out(buffer)  # its checksums were verified: all of it was read
        return segment

    def _whole(self, office: OfficeCode) -> tuple[Segment, ...]:
        """The segments of a shard.  A damaged one is forgotten, and its texts are indexed again."""
        whole = []
        row = self._rows.get(office, EMPTY_ROW)
        for segment in row.segments:
            try:
                whole.append(self._opened(segment.name))
            except Corrupt as error:
                log.error("segment damaged", segment=segment.name, why=str(error))
                kept = tuple(each for each in self._rows[office].segments if each != segment)
                self._rows[office] = ShardRow(kept, row.next_number)
                self._segments.delete(segment.name)
                for revision in segment.revisions:
                    self.look_at(revision.partition("/")[0])
        return tuple(whole)

    async def rebuild(self) -> None:
        """Throw every segment away and index all texts held here again."""
        async with self._turn:  # or a segment just made would pass for a stray
            self._open.clear()
            self._snapshots.clear()
            rows, self._rows = self._rows, {}

            def job(writer: Writer) -> None:
                for office in rows:
                    writer.delete(SHARD, office.encode())

            await self._state.write(job)
            self._drop_strays()
        self._look_at_all()

    def _look_at_all(self) -> None:
        with self._state.read() as reader:
            for view in every_item(reader):
                self.look_at(view.item)

    def _drop_strays(self) -> None:
        """Forget segments that no row names (a crash between the two), and rows that lost one."""
        names = set(self._segments.names())
        named = set[str]()
        for office, row in list(self._rows.items()):
            kept = tuple(segment for segment in row.segments if segment.name in names)
            named |= {segment.name for segment in kept}
            self._rows[office] = ShardRow(kept, row.next_number)
        for name in names - named:
            self._segments.delete(name)

    async def _index(self, items: list[str]) -> None:
        """Index what is new among ``items``, one segment an office."""
        roster = self._roster()
        by_office: dict[OfficeCode, list[ItemView]] = {}
        with self._state.read() as reader:
            for item in items:
                view = find(reader, item)
                if view is not None and self._belongs(roster, view):
                    by_office.setdefault(view.owner, []).append(view)
        for office, todo in by_office.items():
            for start in range(0, len(todo), ITEMS_PER_SEGMENT_MAX):
                await self._add(office, todo[start : start + ITEMS_PER_SEGMENT_MAX])

    def _belongs(self, roster: Roster, view: ItemView) -> bool:
        known = {r for s in self._rows.get(view.owner, EMPTY_ROW).segments for r in s.revisions}
        return (
            view.pages_blob is not None
            and revision_key(view) not in known
            and self._blobs.size(view.pages_blob) is not None
            and any(indexes(roster, view, code, roster.cities()) for code in self._keys)
        )

    async def _add(self, office: OfficeCode, todo: list[ItemView]) -> None:
        pages: list[Page] = []
        revisions: list[str] = []
        for view in todo:
            try:
                pages += await self._pages(view)
                revisions.append(revision_key(view))
            except (Corrupt, Missing):
                continue  # the custodian's scrub finds and repairs it
            if len(pages) > PAGES_PER_SEGMENT_MAX:
                break
        if revisions:
            data = await self._work.run(build_segment, pages, self._tables)
            await self._publish(office, data, tuple(revisions), ())
            await self._merge(office)
        for view in todo[len(revisions) :]:
            if len(pages) > PAGES_PER_SEGMENT_MAX:
                self.look_at(view.item)

    async def _pages(self, view: ItemView) -> list[Page]:
        assert view.pages_blob is not None
        assert view.text_ref is not None
        data = await read_whole(self._blobs, view.pages_blob, PAGES_BLOB_BYTES_MAX)
        item, texts = await self._work.run(parse_pages, data)
        root = root_of([leaf_hash(line) for line in data[:-1].split(b"\n")])
        committed = view.pages_root is not None and root == view.pages_root.raw
        if item != view.item or not committed or len(texts) != view.pages:
            raise Corrupt(f"pages of {view.item}", "what its event commits to", "another text")
        with self._state.read() as reader:
            manifest = record(reader, view.manifest)
        if manifest is None:
            raise Missing(f"item {view.item}", "its manifest", "not here yet")
        return [
            Page(
                item=revision_key(view),
                office=view.owner,
                seq=seq,
                page=page.page,
                title=manifest.title,
                section=page.section,
                text=page.text,
                file=page.file,
                log_index=view.text_ref.index,
            )
            for seq, page in enumerate(texts, 1)
        ]

    async def _merge(self, office: OfficeCode) -> None:
        opened = self._whole(office)
        segments = self._rows[office].segments
        start = merge_from([segment.pages for segment in opened])
        small = segments[start:]
        if len(small) < 2:
            return
        gone = frozenset(r for s in small for r in s.revisions if self._outdated(r))
        data = await self._work.run(merge_segments, opened[start:], gone, self._tables)
        kept = tuple(r for s in small for r in s.revisions if r not in gone)
        await self._publish(office, data, kept, tuple(segment.name for segment in small))

    def _outdated(self, revision: str) -> bool:
        with self._state.read() as reader:
            view = find(reader, revision.partition("/")[0])
        return view is None or revision_key(view) != revision or view.withdrawn is not None

    async def _publish(
        self, office: OfficeCode, data: bytes, revisions: tuple[str, ...], replaced: tuple[str, ...]
    ) -> None:
        """Segment first, then the row that names it: a crash between leaves a stray, no hole."""
        row = self._rows.get(office, EMPTY_ROW)
        name = f"{office}-{row.next_number}"
        await self._work.run(self._segments.put, name, data)
        kept = tuple(segment for segment in row.segments if segment.name not in replaced)
        row = ShardRow((*kept, SegmentRow(name, revisions)), row.next_number + 1)

        def job(writer: Writer) -> None:
            writer.put(SHARD, office.encode(), pack(row))

        await self._state.write(job)
        self._rows[office] = row
        self._forget_snapshots(office)
        for old in replaced:
            self._open.pop(old, None)
            self._segments.delete(old)
