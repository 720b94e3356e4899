"""Answers for the shards that stand here: for this node's own coordinator and for others.

Shards are searched one after another in a worker thread, and only the best pages of them all become
hits: a node with a hundred shards makes and sends ten snippets, not a thousand.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from time import perf_counter  # of traces: the loop counts milliseconds

from ledger.roster import Roster
from node.office.links import Peer
from node.office.snapshots import AsOf, Snapshots
from protocol.errors import DecodeError
from protocol.ids import OfficeCode
from protocol.limits import HITS_MAX, REQUEST_BYTES_MAX
from protocol.messages import (
    FacetLine,
    HitKey,
    HitLine,
    SearchAsk,
    SearchReply,
    ShardReply,
    TraceLine,
)
from protocol.ports import BlockingWork
from protocol.shapes import to_value, unpack
from search_shard.federate import decode_sizes
from search_shard.lattice import Query, check_query
from search_shard.rank import hit_order
from search_shard.ranking import Ask, Ranked, Ranking, key_of
from search_shard.search import rank
from search_shard.snippet import show
from search_shard.trace import SILENT, Trace

VIEWS = ("snippet", "lines")
ASKED_MAX = HITS_MAX + 1  # hits of one question: one more than a page has tells whether it is all


@dataclass(frozen=True, slots=True)
class _Found:
    at: AsOf
    ranking: Ranking
    trace: Trace


class Shards:
    """The ``search`` method of the peer link."""

    def __init__(
        self,
        work: BlockingWork,
        snapshots: Snapshots,
        roster: Callable[[], Roster],
        deadline_s: float,
    ) -> None:
        self._work = work
        self._snapshots = snapshots
        self._roster = roster
        self._deadline_s = deadline_s

    async def on_search(self, _peer: Peer, ask: SearchAsk) -> SearchReply:
        """Another coordinator asks for public hits of shards that stand here.

        Raises:
            DecodeError: a question out of its bounds.
        """
        query = unpack(Query, ask.query, bytes_max=REQUEST_BYTES_MAX, where="query")
        check_query(query)
        if ask.view not in VIEWS:
            raise DecodeError("view", " or ".join(VIEWS), repr(ask.view[:20]))
        members = self._roster().members
        offices = tuple(code for code in dict.fromkeys(ask.offices) if code in members)
        seconds = min(ask.deadline_ms / 1000, self._deadline_s)
        ask = replace(ask, offices=offices, limit=min(ask.limit, ASKED_MAX))
        held = self.held(offices, _sizes(ask.as_of), (), ask.records)
        return await self.search(ask, query, held, seconds)

    def held(
        self,
        offices: Sequence[OfficeCode],
        sizes: Mapping[OfficeCode, int],
        staff: Sequence[OfficeCode],
        records: bool,
    ) -> list[AsOf]:
        """The shards of ``offices`` that are whole here, as of a snapshot; ``staff``: of these
        what is not public counts, too."""
        found = (self._snapshots.shard(code, code in staff, records, sizes) for code in offices)
        return [each for each in found if each is not None]

    async def search(
        self,
        ask: SearchAsk,
        query: Query,
        held: Sequence[AsOf],
        seconds: float,
    ) -> SearchReply:
        """What these shards answer within ``seconds``."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        is_over = False

        def late() -> bool:
            return is_over or loop.time() > started + seconds

        try:
            shards, hits = await self._work.run(_search, held, query, ask, late, perf_counter)
        finally:
            is_over = True  # cancelled: the thread stops at its next look
        return SearchReply(shards, hits, round(1e6 * (loop.time() - started)))


def _search(
    held: Sequence[AsOf],
    query: Query,
    ask: SearchAsk,
    late: Callable[[], bool],
    clock: Callable[[], float],
) -> tuple[tuple[ShardReply, ...], tuple[HitLine, ...]]:
    after = ask.after
    wanted = Ask(
        limit=ask.limit,
        after=(after.score, after.office, after.item, after.seq) if after else None,
        near=ask.near,
        facets=ask.facets,
        late=late,
    )
    found = []
    for at in held:
        trace = Trace(clock) if ask.trace else SILENT
        found.append(_Found(at, rank(at.shard, query, replace(wanted, trace=trace)), trace))
    return tuple(map(_reply, found)), tuple(_best(found, ask))


def _best(found: Sequence[_Found], ask: SearchAsk) -> list[HitLine]:
    """The best hits of all these shards, shown."""
    ranked: list[tuple[tuple[int, str, str, int], int, Ranked]] = []
    for number, each in enumerate(found):
        keys = ((hit_order(key_of(each.at.shard, one)), one) for one in each.ranking.best)
        ranked += [(key, number, one) for key, one in keys]
    best = heapq.nsmallest(ask.limit, ranked, key=lambda row: row[0])
    lines = []
    for (negative, office, item, seq), number, one in best:
        each = found[number]
        (hit,) = show(each.at.shard, each.ranking, [one], ask.view == "lines")
        key = HitKey(-negative, OfficeCode(office), item, seq)
        lines.append(HitLine(key, to_value(hit)))
    return lines


def _reply(found: _Found) -> ShardReply:
    at, ranking = found.at, found.ranking
    catalogue = at.shard.catalogue
    facets = catalogue.facets(ranking.items) if catalogue and ranking.items else ()
    return ShardReply(
        at.office,
        at.size,
        at.is_behind,
        ranking.total,
        ranking.exact,
        ranking.near_total,
        tuple(FacetLine(each.field, each.value, each.count) for each in facets),
        tuple(
            TraceLine(step.what, step.detail, step.count, step.microseconds)
            for step in found.trace.steps
        ),
    )


@lru_cache(maxsize=8)  # a coordinator asks again and again as of the same snapshot
def _sizes(encoded: bytes) -> dict[OfficeCode, int]:
    return decode_sizes(encoded)
