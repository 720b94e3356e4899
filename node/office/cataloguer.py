"""Keeps the catalogues of the shards that stand here: from the manifests held and the fold.

One catalogue an office, of all its items that are not withdrawn and whose manifest is here; who may
find which of them is decided at the time of the query, as with pages.  It is derived and lives in
memory: a node that starts makes it again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ledger.roster import Roster
from ledger.views import ItemView
from node.office.catalog import find, record, revision_key
from node.office.merging import merge_from
from protocol.ids import ItemId, OfficeCode, item_birth_office
from protocol.ports import BlockingWork, KeyValueStore, Reader
from search_shard.build import SEGMENT_PAGES_MAX
from search_shard.catalogue import Catalogue, Record, elements_of, record_page
from search_shard.regions import Regions
from search_shard.segment import Segment, build_segment
from search_shard.tables import Tables
from search_shard.widening import Calendar


@dataclass(frozen=True, slots=True)
class Shelved:
    """The records of an office, in columns for filters and facets, and as pages to search."""

    catalogue: Catalogue
    segments: tuple[Segment, ...]  # some of their items may be outdated
    names: Mapping[str, str]  # of regions, when it was made

    @property
    def items(self) -> set[str]:
        """Every item that a segment has."""
        return {item for segment in self.segments for item in segment.numbers}


class Cataloguer:
    """Catalogues by office."""

    def __init__(
        self,
        state: KeyValueStore,
        work: BlockingWork,
        tables: Tables,
        roster: Callable[[], Roster],
        calendar: Calendar | None = None,
    ) -> None:
        self._state = state
        self._work = work
        self._tables = tables
        self._roster = roster
        self._calendar = calendar
        self._names: dict[str, str] = {}
        self._regions = Regions({})
        self._records: dict[OfficeCode, dict[str, Record]] = {}  # by item
        self._empty = Shelved(Catalogue.build([], tables, {}), (), {})
        self._shelved: dict[OfficeCode, Shelved] = {}

    def of(self, office: OfficeCode) -> Shelved:
        return self._shelved.get(office, self._empty)

    def renamed(self) -> bool:
        """Whether the roster's names have changed; if so, every item must be looked at again."""
        names = {str(member.code): member.name for member in self._roster().members.values()}
        if names == self._names:
            return False
        self._names, self._regions = names, Regions(names)
        self._records.clear()
        return True

    async def look_at(
        self, items: Iterable[str], is_held: Callable[[OfficeCode], bool]
    ) -> set[OfficeCode]:
        """Bring the catalogues up to what is known of ``items``; the offices whose catalogue is
        another now."""
        changed = set[OfficeCode]()
        with self._state.read() as reader:
            for item in items:
                office = item_birth_office(ItemId(item))
                if is_held(office) and self._note(reader, office, item):
                    changed.add(office)
        for office in sorted(changed):
            records = list(self._records[office].values())
            self._shelved[office] = await self._work.run(
                self._shelve, records, self._names, self.of(office)
            )
        return changed

    def _note(self, reader: Reader, office: OfficeCode, item: str) -> bool:
        """Whether the record of an item is another than before."""
        records = self._records.setdefault(office, {})
        before = records.pop(item, None)
        view = find(reader, item)
        if view is not None and view.withdrawn is None:
            now = self._record(reader, view, before)
            if now is not None:
                records[item] = now
        return records.get(item) != before

    def _record(self, reader: Reader, view: ItemView, before: Record | None) -> Record | None:
        """None while the manifest is not here."""
        key = revision_key(view)
        if before is not None and before.item == key:
            elements, places = before.elements, before.places
        else:
            manifest = record(reader, view.manifest)
            if manifest is None:
                return None
            said = manifest.record
            elements = elements_of(said)
            places = self._regions.named_in(said.get("place", ""), view.owner)
        return Record(
            key, view.owner, elements, view.rights, places, view.holders, view.upload.index
        )

    def _shelve(self, records: list[Record], names: Mapping[str, str], before: Shelved) -> Shelved:
        catalogue = Catalogue.build(records, self._tables, names, self._calendar)
        standing = before.segments if before.names is names else ()
        return Shelved(catalogue, self._searchable(catalogue, standing, names), names)

    def _searchable(
        self, catalogue: Catalogue, standing: tuple[Segment, ...], names: Mapping[str, str]
    ) -> tuple[Segment, ...]:
        """Segments with a page for each record: those that stand, and the new records with as many
        of the last ones as are merged."""
        known = {item for segment in standing for item in segment.numbers}
        new = sum(record.item not in known for record in catalogue.records)
        if not new:
            return standing
        kept = standing[: merge_from([*(segment.pages for segment in standing), new])]
        known = {item for segment in kept for item in segment.numbers}
        pages = [record_page(r, names) for r in catalogue.records if r.item not in known]
        parts = (
            pages[at : at + SEGMENT_PAGES_MAX] for at in range(0, len(pages), SEGMENT_PAGES_MAX)
        )
        built = (build_segment(part, self._tables) for part in parts)
        return (*kept, *(Segment.open(data, self._tables) for data in built))
