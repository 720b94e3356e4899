"""One answer from many shards, and which holder to ask for which shard."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from search_shard.rank import NEAR_BELOW, Hit, hit_order, is_near


@dataclass(frozen=True, slots=True)
class ShardAnswer:
    """``total`` pages match as asked, ``near_total`` more with a wrong character."""

    total: int
    near_total: int
    total_is_exact: bool
    hits: tuple[Hit, ...]


def merge(answers: Sequence[ShardAnswer], limit: int) -> ShardAnswer:
    """One answer from those of single shards, in whatever order they came.

    Pages with a wrong character stay only while fewer than ``NEAR_BELOW`` pages match as asked.
    """
    total = sum(answer.total for answer in answers)
    near_total = sum(answer.near_total for answer in answers)
    hits = [hit for answer in answers for hit in answer.hits]
    if total >= NEAR_BELOW:
        near_total, hits = 0, [hit for hit in hits if not is_near(hit.score)]
    whole = all(answer.total_is_exact for answer in answers)
    best = heapq.nsmallest(limit, hits, key=lambda hit: hit_order(hit.key))
    return ShardAnswer(total, near_total, whole, tuple(best))


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
