"""One answer from many shards, and which holder to ask for which shard."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Mapping, Sequence

from search_shard.rank import NEAR_BELOW, ShardAnswer, hit_order, is_near


def merge(answers: Sequence[ShardAnswer], limit: int) -> ShardAnswer:
    """One answer from those of single shards, in whatever order they came.

    Pages with a wrong character stay only while fewer than ``NEAR_BELOW`` pages match as asked.
    """
    asked = sum(_asked(answer) for answer in answers)
    total = sum(answer.total for answer in answers)
    hits = [hit for answer in answers for hit in answer.hits]
    if asked >= NEAR_BELOW:
        total, hits = asked, [hit for hit in hits if not is_near(hit)]
    whole = all(answer.total_is_exact for answer in answers)
    return ShardAnswer(total, whole, tuple(heapq.nsmallest(limit, hits, key=hit_order)))


def _asked(answer: ShardAnswer) -> int:
    """How many pages of a shard match without a wrong character."""
    as_asked = sum(not is_near(hit) for hit in answer.hits)
    return as_asked if as_asked < len(answer.hits) else answer.total


def plan_routes(
    shards: Mapping[str, Sequence[str]], live: Collection[str]
) -> tuple[dict[str, list[str]], list[str]]:
    """Which holder to ask for which shards, and the shards that nobody alive holds.

    ``shards``: office → holders by preference.  The first live holder is asked.
    """
    routes: dict[str, list[str]] = {}
    missing = []
    for office in sorted(shards):
        holder = next((name for name in shards[office] if name in live), None)
        if holder is None:
            missing.append(office)
        else:
            routes.setdefault(holder, []).append(office)
    return routes, missing
