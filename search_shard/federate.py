"""One answer from many shards, and which holder to ask for which shard."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

NEAR_BELOW = 10  # matches as asked; with fewer, pages with one wrong character are shown too


@dataclass(frozen=True, slots=True)
class Hit:
    """A page that matches."""

    office: str
    item: str
    seq: int
    title: str
    page: str
    section: str
    snippet: str  # a piece of the original text
    highlights: tuple[tuple[int, int], ...]  # code points of the snippet, half-open
    matched_by: str  # one of query.WHYS; "title:" before it when only a title or heading matches
    score: int
    file: str
    log_index: int


@dataclass(frozen=True, slots=True)
class ShardAnswer:
    """``total`` pages match, ``near`` of them only with one wrong character; these come last."""

    total: int
    total_is_exact: bool
    hits: tuple[Hit, ...]
    near: int


def hit_order(hit: Hit) -> tuple[int, str, str, int]:
    """Best score first; ties by office, item and page, so every node lists them alike."""
    return -hit.score, hit.office, hit.item, hit.seq


def merge(answers: Sequence[ShardAnswer], limit: int) -> ShardAnswer:
    """One answer; the order in which shards answered, or were merged before, does not matter.

    Pages with a wrong character stay only while fewer than ``NEAR_BELOW`` pages match as asked.
    """
    asked = sum(answer.total - answer.near for answer in answers)
    near = sum(answer.near for answer in answers) if asked < NEAR_BELOW else 0
    hits = heapq.nsmallest(limit, (h for answer in answers for h in answer.hits), key=hit_order)
    if not near:
        hits = [hit for hit in hits if not is_near(hit)]
    whole = all(answer.total_is_exact for answer in answers)
    return ShardAnswer(asked + near, whole, tuple(hits), near)


def is_near(hit: Hit) -> bool:
    """Whether the page matches only with a wrong character."""
    return hit.matched_by.removeprefix("title:") in ("sound", "shape")


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
