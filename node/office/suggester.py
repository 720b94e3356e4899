"""Suggests titles, places and headings while somebody types.

Titles and places are those of the whole network, which every node knows.  Headings are those of the
shards that stand here; while these are too few, the nearest holders of the other shards are asked,
for as long as a reader does not notice.  The names are gathered anew when items or shards change;
what must not be shown any more is left out from that moment on.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Final

import numpy as np

from ledger import views
from ledger.rights import may_be_found
from ledger.roster import Roster
from ledger.views import ItemView
from node.hands.keys import OfficeKeys
from node.hands.world import World
from node.office.answers import Asker, CandidateWord, SuggestAnswer
from node.office.catalog import find, record
from node.office.indexer import Indexer
from node.office.links import Links, Peer
from protocol.errors import DecodeError, FangzhiError
from protocol.ids import BlobId, OfficeCode
from protocol.limits import SUGGEST_CHARS_MAX, SUGGESTIONS_MAX, TITLE_CHARS_MAX
from protocol.messages import HeadingLine, SuggestAsk, SuggestReply
from protocol.ports import Reader
from search_shard.candidates import words_of
from search_shard.names import (
    RULES,
    SOURCES_MAX,
    Name,
    Names,
    Suggestion,
    merge_suggestions,
)
from search_shard.parse import Rules
from search_shard.readings import split_syllables
from search_shard.shard import Shard
from search_shard.typed import read_typed

ASK_S: Final = 0.015  # others have so long: a reader notices 30 ms
SETTLE_S: Final = 0.3  # what changes together is gathered together
WORDS_SHOWN: Final = 6
ITEMS_AT_ONCE: Final = 256  # are read without letting others have their turn
REST_RATIO: Final = 4  # and for so many times as long as gathering took, nothing is gathered

Holders = Callable[[Roster, OfficeCode], list[OfficeCode]]


@dataclass(slots=True)
class _Gathered:
    """The names that the public, or the staff, may see: of each office, and of all."""

    parts: dict[OfficeCode, list[Name]]
    names: Names
    changed: set[str] = field(default_factory=set)  # items, since gathering began
    shown: Names | None = None  # the names without what of these may not be seen now


class Suggester:
    """The ``suggest`` method, for people and as a holder of headings."""

    def __init__(
        self,
        world: World,
        indexer: Indexer,
        rules: Rules,
        keys: Mapping[OfficeCode, OfficeKeys],
        links: Links,
        roster: Callable[[], Roster],
        holders: Holders,
    ) -> None:
        self._state = world.state
        self._work = world.work
        self._indexer = indexer
        self._rules = rules
        self._tables = rules.tables
        self._keys = keys
        self._links = links
        self._roster = roster
        self._holders = holders
        self._turn = asyncio.Lock()
        self._wake = asyncio.Event()
        self._gathered: dict[bool, _Gathered] = {}  # by whether for the staff
        self._coming: list[_Gathered] = []  # what is being gathered
        self._due: dict[bool, set[OfficeCode]] = {}  # offices to gather again
        self._titles: dict[BlobId, str] = {}
        indexer.on_change.append(self._shard_changed)

    def look_at(self, items: Iterable[str]) -> None:
        """These items may have changed; what may not be seen of them is not shown from now on."""
        for gathered in (*self._gathered.values(), *self._coming):
            gathered.changed.update(items)
            gathered.shown = None

    def roster_changed(self) -> None:
        """Places may have other names, and shards other holders."""
        for due in self._due.values():
            due.update(self._roster().members)
        self._wake.set()

    def _shard_changed(self, office: OfficeCode) -> None:
        for due in self._due.values():
            due.add(office)
        self._wake.set()

    async def run(self) -> None:
        """Keep the names up with the items and shards."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            for staff in sorted({False, *self._gathered}):
                await self._gather(staff)
            await asyncio.sleep(SETTLE_S + REST_RATIO * (loop.time() - began))
            await self._wake.wait()
            self._wake.clear()

    async def suggest(self, typed: str, limit: int, asker: Asker) -> SuggestAnswer:
        """At most ``limit`` names that may be meant, and what pinyin may stand for."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        staff, limit = bool(asker.office), max(1, min(limit, SUGGESTIONS_MAX))
        typed = typed[:SUGGEST_CHARS_MAX]
        if staff not in self._gathered:
            await self._gather(staff)
        names = self._shown(staff)
        found = names.suggest(typed, limit)
        if len(found) < limit and typed.strip():
            found = merge_suggestions([found, *await self._ask_others(typed, limit)], limit)
        found = [self._noted(one) for one in found]
        words = names.words(typed, limit)
        return SuggestAnswer(
            typed=typed,
            suggestions=tuple(found),
            words=tuple(CandidateWord(text, pages) for text, pages in words),
            took_ms=round((loop.time() - started) * 1000),
        )

    def _noted(self, one: Suggestion) -> Suggestion:
        places = self._rules.gazetteer
        if one.kind != "place" or places is None:
            return one
        return replace(one, note=places.told(self._rules.fold(one.text), one.sources))

    async def words(self, text: str, asker: Asker) -> tuple[CandidateWord, ...]:
        """What a query of two syllables of pinyin may stand for, and on how many pages of the
        shards that stand here; nothing for other queries."""
        read = read_typed(text[:SUGGEST_CHARS_MAX], self._tables)
        inner = {at for at in read.breaks if 0 < at < len(read.line)}
        ways = split_syllables(read.line, self._tables.syllables) if read.line.isascii() else ()
        pairs = [(way[0], way[1]) for way in ways if len(way) == 2 and inner <= {len(way[0])}]
        staff = bool(asker.office)
        shards = [self._indexer.shard(office, staff) for office in self._indexer.offices]
        here = [shard for shard in shards if shard is not None]

        def count() -> Counter[str]:
            counts = (words_of(shard, *pair) for shard in here for pair in pairs)
            return sum(counts, Counter[str]())

        found = await self._work.run(count) if pairs else Counter[str]()
        ranked = sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))
        return tuple(CandidateWord(word, pages) for word, pages in ranked[:WORDS_SHOWN])

    async def on_suggest(self, _peer: Peer, ask: SuggestAsk) -> SuggestReply:
        """Another node wants headings of the public pages of shards that stand here."""
        if False not in self._gathered:
            return SuggestReply(())
        limit = max(1, min(ask.limit, SUGGESTIONS_MAX))
        found = self._shown(False).suggest(ask.typed[:SUGGEST_CHARS_MAX], 3 * limit)
        return SuggestReply(
            tuple(
                HeadingLine(one.text, one.count, one.sources, one.rule, *one.marked)
                for one in found
                if one.kind == "heading"
            )[:limit]
        )

    # what is known here

    def _shown(self, staff: bool) -> Names:
        """The names, without those that only items have which may not be seen now."""
        gathered = self._gathered[staff]
        if gathered.shown is None:
            with self._state.read() as reader:
                hidden = frozenset(
                    item
                    for item in gathered.changed
                    if not self._may_show(find(reader, item), staff)
                )
            gathered.shown = gathered.names.without(hidden)
        return gathered.shown

    def _may_show(self, view: ItemView | None, staff: bool) -> bool:
        if view is None:
            return False
        ours = self._roster().heir(view.owner) in self._keys
        return may_be_found(view, by_owner=staff and ours)

    async def _gather(self, staff: bool) -> None:
        """Read again what may have changed, and build the names of it."""
        async with self._turn:
            before, members = self._gathered.get(staff), self._roster().members
            due, self._due[staff] = self._due.get(staff, set()), set()
            if before is not None and not due:
                return
            coming = _Gathered(dict(before.parts) if before else {}, Names.build((), self._tables))
            self._coming.append(coming)
            try:
                for office in sorted(due) if before else members:
                    kept = coming.parts.get(office, [])
                    coming.parts[office] = await self._part(office, staff, kept)
                names = chain.from_iterable(coming.parts.values())
                coming.names = await self._work.run(Names.build, names, self._tables)
                coming.shown = None
                self._gathered[staff] = coming
            finally:
                self._coming.remove(coming)

    async def _part(self, office: OfficeCode, staff: bool, kept: list[Name]) -> list[Name]:
        """The names of one office: its own, its titles, the headings of its shard."""
        names: list[Name] = []
        last = ""
        while True:
            with self._state.read() as reader:
                page = views.items(reader, office, start_after=last, limit=ITEMS_AT_ONCE)
                for view in page:
                    if self._may_show(view, staff):
                        title = self._title(reader, view)
                        names.append(Name("title", title, view.item, view.pages))
            if len(page) < ITEMS_AT_ONCE:
                break
            last = page[-1].item
            await asyncio.sleep(0)  # others have their turn
        items = {name.source for name in names}
        member = self._roster().members.get(office)
        if member is not None:
            pages = sum(name.count for name in names)
            places = self._rules.gazetteer
            others = places.old_names(office) if places else ()
            called = dict.fromkeys((member.name, *others))
            names += [Name("place", name, office, pages) for name in called]
        shard = self._indexer.shard(office, staff)
        if shard is not None:
            return names + await self._work.run(_headings, shard)
        # some text is being indexed, or none is here: what was there and may be seen, stays
        return names + [n for n in kept if n.kind == "heading" and n.source in items]

    def _title(self, reader: Reader, view: ItemView) -> str:
        """The title of an item, "" while its record is not here."""
        title = self._titles.get(view.manifest)
        if title is None:
            manifest = record(reader, view.manifest)
            if manifest is None:
                return ""
            title = self._titles[view.manifest] = manifest.title
        return title

    # what others know

    async def _ask_others(self, typed: str, limit: int) -> list[list[Suggestion]]:
        """Headings of shards that do not stand here, as far as they are told in time."""
        targets = self._targets()
        if not targets:
            return []
        ask = SuggestAsk(typed, limit)
        asking = [asyncio.ensure_future(self._ask(code, ask)) for code in targets]
        done, late = await asyncio.wait(asking, timeout=ASK_S)
        for task in late:
            task.cancel()
        return [task.result() for task in done]

    def _targets(self) -> list[OfficeCode]:
        """For each shard that is not here its first holder that there is a link to."""
        roster, live = self._roster(), self._links.live()
        here = set(self._indexer.offices)
        holders = (self._holders(roster, code) for code in roster.members if code not in here)
        firsts = (next((code for code in codes if code in live), None) for codes in holders)
        return sorted({code for code in firsts if code is not None})

    async def _ask(self, holder: OfficeCode, ask: SuggestAsk) -> list[Suggestion]:
        try:
            reply = await self._links.ask(holder, "suggest", ask, 10 * ASK_S)
            return list(self._believable(reply))
        except FangzhiError as error:
            self._links.count(error.code)
            return []

    def _believable(self, reply: SuggestReply) -> Iterator[Suggestion]:
        """Headings of at least one item that is public as far as we know.

        Raises:
            DecodeError: a heading that cannot be shown.
        """
        with self._state.read() as reader:
            for line in reply.headings[:SUGGESTIONS_MAX]:
                inside = 0 <= line.start < line.end <= len(line.text) <= TITLE_CHARS_MAX
                if line.rule not in RULES or not inside:
                    raise DecodeError("suggest", "headings with a part that was typed", line.rule)
                items = line.items[:SOURCES_MAX]
                seen = tuple(i for i in items if self._may_show(find(reader, i), staff=False))
                if seen:
                    marked = line.start, line.end
                    yield Suggestion("heading", line.text, line.count, seen, line.rule, marked)


def _headings(shard: Shard) -> list[Name]:
    """The headings of what is not hidden in a shard, with how many pages of an item have them."""
    found: list[Name] = []
    for segment in shard.segments:
        _, firsts, counts = np.unique(
            segment.arrays["source_of"], return_index=True, return_counts=True
        )
        for document, count in zip(firsts.tolist(), counts.tolist(), strict=True):
            source = segment.source(document)
            if source.section and source.item not in shard.deleted:
                item = source.item.partition("/")[0]
                found.append(Name("heading", source.section, item, count))
    return found
