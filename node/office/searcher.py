"""Answers queries: from its own shards, and as coordinator from everybody's.

The coordinator parses once, picks for every office's shard a live holder that answers for many
shards at once, asks each holder once, asks elsewhere when one is silent, merges, and says what it
did not reach.  What a hit may show is decided twice: by the holder, and by the coordinator's own
view of the item, so a holder that has not heard of a withdrawal cannot leak it here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from ledger import views
from ledger.roster import Roster
from ledger.views import ItemView
from node.office.answers import (
    Asker,
    Coverage,
    Hit,
    Note,
    Question,
    Reason,
    SearchAnswer,
    ShardSource,
)
from node.office.catalog import find
from node.office.fanout import fan_out
from node.office.indexer import Indexer
from node.office.keyring import Keyring
from node.office.links import Links, Peer
from node.office.witnessing import Witnessing
from protocol.canonical import Value
from protocol.errors import DecodeError, FangzhiError
from protocol.ids import OfficeCode
from protocol.limits import HITS_MAX
from protocol.messages import SearchAsk, SearchReply, ShardReply
from protocol.placement import index_holders
from protocol.ports import BlockingWork, KeyValueStore
from protocol.shapes import from_value, to_value
from search_shard.federate import ShardAnswer, merge
from search_shard.lattice import NEAR, RULES, Query, check_query
from search_shard.parse import Rules, parse_query
from search_shard.rank import Hit as ShardHit
from search_shard.search import Ask, rank
from search_shard.shard import Shard
from search_shard.snippet import show
from search_shard.tables import Tables


class Searcher:
    """The ``search`` method, as a holder and as the coordinator."""

    def __init__(
        self,
        state: KeyValueStore,
        ledger: KeyValueStore,
        work: BlockingWork,
        indexer: Indexer,
        tables: Tables,
        keys: Keyring,
        links: Links,
        roster: Callable[[], Roster],
        reachable: Callable[[OfficeCode], bool],
        witnessing: Witnessing,
        deadline_s: float,
        hedge_s: float,
    ) -> None:
        self._state = state
        self._ledger = ledger
        self._work = work
        self._indexer = indexer
        self._rules = Rules.standard(tables)
        self._keys = keys
        self._links = links
        self._roster = roster
        self._reachable = reachable
        self._witnessing = witnessing
        self._deadline_s = deadline_s
        self._hedge_s = hedge_s

    def use(self, rules: Rules) -> None:
        """Parse with these from now on: the province has signed another table of synonyms."""
        self._rules = rules

    async def on_search(self, _peer: Peer, ask: SearchAsk) -> SearchReply:
        """Another coordinator asks for public hits of shards that stand here."""
        query = from_value(Query, ask.query, "query")
        check_query(query)
        seconds = min(ask.deadline_ms / 1000, self._deadline_s)
        members, limit = self._roster().members, min(ask.limit, HITS_MAX)
        offices = tuple(code for code in dict.fromkeys(ask.offices) if code in members)
        return SearchReply(await self._local(offices, query, limit, seconds, staff=()))

    async def search(self, question: Question, asker: Asker) -> SearchAnswer:
        """
        Raises:
            Rejected: the query cannot be answered (empty, too long); says what to do.
        """
        loop = asyncio.get_running_loop()
        started = loop.time()
        query = parse_query(question.text, self._rules, frozenset(question.without))
        limit = max(1, min(question.limit, HITS_MAX))
        staff = tuple(self._keys) if asker.office else ()
        replies, sources, missing = await self._ask_all(query, limit, staff, started)
        answers = [self._believable(reply) for reply in replies]
        merged = merge(answers, limit)
        asked = len(sources) + len(missing)
        return SearchAnswer(
            query=question.text,
            without=question.without,
            total=merged.total,
            total_is_exact=merged.total_is_exact and not missing,
            near_total=merged.near_total,
            hits=tuple(self._shown(hit) for hit in merged.hits),
            facets=(),
            notes=tuple(Note(note.rule, note.typed, note.taken_for) for note in query.notes),
            did_you_mean=(),
            next="",
            previous="",
            gone=0,
            coverage=Coverage(asked, len(sources), tuple(sorted(missing)), (), tuple(sources)),
            epoch="",
            took_ms=round((loop.time() - started) * 1000),
            explanation=None,
        )

    def holders(self, roster: Roster, office: OfficeCode) -> list[OfficeCode]:
        """Offices whose nodes index an office's public text, the preferred first; of an abolished
        office those of its heir.

        An always-on office comes before a county: it answers for many shards at once.
        """
        acting = roster.member(roster.heir(office))
        holders = index_holders(acting.code, roster.cities(), acting.parent)
        return sorted(holders, key=lambda code: not roster.member(code).always_on)

    async def _ask_all(
        self, query: Query, limit: int, staff: tuple[OfficeCode, ...], started: float
    ) -> tuple[list[ShardReply], list[ShardSource], list[OfficeCode]]:
        """(replies, who gave them, shards that nobody answered for)"""
        roster = self._roster()
        offices = sorted(roster.members)  # those without keys, too: their pages are kept
        here = await self._local(offices, query, limit, self._deadline_s, staff)
        me = min(self._keys.hosted)
        answered = {reply.office for reply in here}
        shards = {code: self.holders(roster, code) for code in offices if code not in answered}
        live = frozenset(
            code
            for codes in shards.values()
            for code in codes
            if code not in self._keys and self._reachable(code)
        )
        left = started + self._deadline_s - asyncio.get_running_loop().time()
        value = to_value(query)

        async def ask(
            holder: OfficeCode, offices: tuple[OfficeCode, ...], seconds: float
        ) -> SearchReply | None:
            question = SearchAsk(offices, value, limit, max(int(seconds * 1000), 0))
            return await self._ask(holder, question, seconds)

        there = await fan_out(shards, live, ask, left, self._hedge_s)
        replies = [*here, *(answer.reply for answer in there)]
        sources = [ShardSource(reply.office, me, reply.as_of_size) for reply in here]
        sources += [ShardSource(a.reply.office, a.holder, a.reply.as_of_size) for a in there]
        missing = set(shards) - {answer.reply.office for answer in there}
        return replies, sorted(sources, key=lambda s: s.office), sorted(missing)

    async def _ask(self, holder: OfficeCode, ask: SearchAsk, seconds: float) -> SearchReply | None:
        try:
            reply = await self._links.ask(holder, "search", ask, seconds)
        except FangzhiError as error:
            self._links.count(error.code)
            return None
        assert isinstance(reply, SearchReply)
        return reply

    async def _local(
        self,
        offices: Sequence[OfficeCode],
        query: Query,
        limit: int,
        seconds: float,
        staff: tuple[OfficeCode, ...],
    ) -> tuple[ShardReply, ...]:
        """Replies of the shards that are whole here, in a worker thread."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        jobs: list[tuple[OfficeCode, int, Shard]] = []
        with self._state.read() as reader:
            sizes = {office: views.folded_size(reader, office) for office in offices}
        for office in offices:
            shard = self._indexer.shard(office, office in staff)
            if shard is not None:
                jobs.append((office, sizes[office], shard))

        def run() -> tuple[ShardReply, ...]:
            replies = []
            for office, size, shard in jobs:
                found = rank(shard, query, Ask(limit, late=lambda: loop.time() > end))
                hits = tuple(to_value(hit) for hit in show(shard, found, found.best))
                replies.append(
                    ShardReply(office, size, found.total, found.near_total, found.exact, hits)
                )
            return tuple(replies)

        return await self._work.run(run)

    def _believable(self, reply: ShardReply) -> ShardAnswer:
        """The answer of a shard, less what our own view of its items says must not be shown."""
        hits = []
        total = reply.total
        with self._state.read() as reader:
            for value in reply.hits:
                hit = self._decoded(value)
                view = find(reader, hit.item.partition("/")[0]) if hit else None
                owned = hit and view and hit.office == view.owner == reply.office
                if hit and view and owned and self._may_show(view):
                    hits.append(hit)
                else:
                    total -= 1
        return ShardAnswer(max(total, 0), reply.near_total, reply.total_is_exact, tuple(hits))

    def _may_show(self, view: ItemView) -> bool:
        return view.public or (
            self._roster().heir(view.owner) in self._keys and view.withdrawn is None
        )

    def _decoded(self, value: Value) -> ShardHit | None:
        try:
            hit = from_value(ShardHit, value, "hit")
            _check_hit(hit)
            return hit
        except DecodeError as error:
            self._links.count(error.code)
            return None

    def _shown(self, hit: ShardHit) -> Hit:
        item = hit.item.partition("/")[0]
        with self._state.read() as reader, self._ledger.read() as ledger:
            view = views.item(reader, item)
            witnesses = self._witnessing.of(ledger, view.upload.origin, view.upload.index)
        return Hit(
            office=hit.office,
            office_name=self._roster().member(hit.office).name,
            item=item,
            title=hit.title,
            page=hit.page,
            section=hit.section,
            snippet=hit.snippet,
            highlights=hit.highlights,
            matched_by=_weakest(hit),
            score=hit.score,
            file=hit.file,
            log_index=hit.log_index,
            seq=hit.seq,
            public=view.public,
            witnessed_by=witnesses,
            reasons=tuple(Reason(each.word, each.rule, each.found) for each in hit.reasons),
            lines=(),
        )


def _weakest(hit: ShardHit) -> str:
    """The least sure of the reasons; the field before it where that is not the text."""
    if not hit.reasons:
        return ""
    order = (*RULES, *NEAR)
    reason = max(hit.reasons, key=lambda each: order.index(each.rule))
    return reason.rule if reason.field == "text" else f"{reason.field}:{reason.rule}"


def _check_hit(hit: ShardHit) -> None:
    """That a hit from elsewhere can be shown.

    Raises:
        DecodeError: a reason there is not, or marks outside its snippet.
    """
    for reason in hit.reasons:
        if reason.rule not in (*RULES, *NEAR):
            raise DecodeError("hit.reasons", " or ".join((*RULES, *NEAR)), repr(reason.rule[:20]))
    for mark in hit.highlights:
        if len(mark) != 2 or not mark[0] < mark[1] <= len(hit.snippet):
            raise DecodeError("hit.highlights", "marks inside the snippet", repr(mark)[:40])
