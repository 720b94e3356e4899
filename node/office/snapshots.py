"""Shards as of a snapshot: how far every log was folded when the first page was answered.

What became public later, or whose text came later, is hidden.  What was withdrawn or replaced since
stays away too: nobody is shown what must not be shown now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from ledger import logbook, views
from ledger.events import VersionUpload, VersionWithdraw, parse_event
from ledger.rights import may_be_found
from ledger.roster import Roster
from ledger.views import Fact
from node.office.catalog import every_item, revision_key
from node.office.indexer import Indexer
from protocol.errors import DecodeError
from protocol.ids import EventRef, OfficeCode
from protocol.ports import KeyValueStore
from search_shard.federate import encode_sizes
from search_shard.shard import Shard

EVENTS_READ_MAX = 2_000  # since a snapshot, to tell what went


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Log sizes by office; ``encoded`` is how they travel."""

    sizes: Mapping[OfficeCode, int]
    encoded: bytes


@dataclass(frozen=True, slots=True)
class _Dated:
    """The items that a shard shows: by which events, and the latest of these in each log."""

    shard: Shard
    events: Mapping[str, tuple[EventRef, ...]]  # revision -> its text or upload, and its review
    latest: Mapping[OfficeCode, int]


@dataclass(frozen=True, slots=True)
class AsOf:
    """A shard as of a snapshot; ``is_behind`` when events of it have not come here."""

    office: OfficeCode
    shard: Shard
    size: int
    is_behind: bool


class Snapshots:
    """Snapshots of what is folded here, and shards as of snapshots."""

    def __init__(
        self,
        state: KeyValueStore,
        ledger: KeyValueStore,
        indexer: Indexer,
        roster: Callable[[], Roster],
    ) -> None:
        self._state = state
        self._ledger = ledger
        self._indexer = indexer
        self._roster = roster
        self._now: Snapshot | None = None
        self._dated: dict[tuple[OfficeCode, bool, bool], _Dated] = {}

    def changed(self) -> None:
        """More is folded."""
        self._now = None

    def now(self) -> Snapshot:
        """How far every member's log is folded here."""
        if self._now is None:
            with self._state.read() as reader:
                sizes = {
                    code: views.folded_size(reader, code) for code in sorted(self._roster().members)
                }
            self._now = Snapshot(sizes, encode_sizes(sizes))
        return self._now

    def shard(
        self, office: OfficeCode, staff: bool, records: bool, sizes: Mapping[OfficeCode, int]
    ) -> AsOf | None:
        """None when this node cannot answer for the shard (:meth:`Indexer.shard`)."""
        shard = self._indexer.shard(office, staff, records)
        folded = self._now or self.now()
        if shard is None:
            return None
        dated = self._dated.get((office, staff, records))
        if dated is None or dated.shard is not shard:
            dated = self._dated[office, staff, records] = self._date(office, staff, records, shard)
        if any(index >= sizes.get(log, 0) for log, index in dated.latest.items()):
            later = frozenset(
                revision
                for revision, events in dated.events.items()
                if any(event.index >= sizes.get(event.origin, 0) for event in events)
            )
            shard = replace(shard, deleted=shard.deleted | later)
        above = (member.code for member in self._roster().above(office))
        logs = (office, *above)
        is_behind = any(folded.sizes.get(log, 0) < sizes.get(log, 0) for log in logs)
        return AsOf(
            office, shard, min(folded.sizes.get(office, 0), sizes.get(office, 0)), is_behind
        )

    def gone_since(self, sizes: Mapping[OfficeCode, int]) -> int:
        """How many items that were there have been withdrawn or replaced since a snapshot, as far
        as the newest ``EVENTS_READ_MAX`` events tell."""
        items: set[str] = set()
        left = EVENTS_READ_MAX
        with self._ledger.read() as reader:
            for code, now in self.now().sizes.items():
                start = max(sizes.get(code, 0), now - left)
                if start >= now:
                    continue
                left -= now - start
                items |= _ended(logbook.entries(reader, code, start, now))
        with self._state.read() as reader:
            return sum(_was_accepted(views.facts(reader, item), sizes) for item in items)

    def _date(self, office: OfficeCode, staff: bool, records: bool, shard: Shard) -> _Dated:
        events: dict[str, tuple[EventRef, ...]] = {}
        latest: dict[OfficeCode, int] = {}
        with self._state.read() as reader:
            for view in every_item(reader, office):
                if not may_be_found(view, by_owner=staff):
                    continue
                said = view.upload if records else view.text_ref
                named = (said, view.review if view.public else None)
                dates = tuple(event for event in named if event is not None)
                events[revision_key(view)] = dates
                for event in dates:
                    latest[event.origin] = max(latest.get(event.origin, 0), event.index)
        return _Dated(shard, events, latest)


def _ended(entries: Iterable[bytes]) -> set[str]:
    """The items that these events withdraw or replace."""
    items = set()
    for entry in entries:
        try:
            body = parse_event(entry).read_body()
        except DecodeError:
            continue  # the fold has passed it over, too
        if isinstance(body, VersionWithdraw) or (
            isinstance(body, VersionUpload) and body.supersedes is not None
        ):
            items.add(body.item)
    return items


def _was_accepted(facts: Iterable[Fact], sizes: Mapping[OfficeCode, int]) -> bool:
    """Whether some revision of an item had been passed as of a snapshot."""
    return any(
        fact.kind == "review.accept" and fact.ref.index < sizes.get(fact.ref.origin, 0)
        for fact in facts
    )
