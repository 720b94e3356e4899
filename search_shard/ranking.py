"""What is asked of a shard, and what it answers: pages by number, not yet shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Final, NamedTuple, TypeAlias

import numpy as np

from search_shard.blocks import Array
from search_shard.corrected import Corrected
from search_shard.lattice import Query
from search_shard.match import Deadline
from search_shard.matched import Matched
from search_shard.rank import HitKey
from search_shard.segment import Segment
from search_shard.shard import Shard
from search_shard.trace import SILENT, Trace

DOCUMENTS: Final = 1 << 16  # a document and a score in one number: document − score × DOCUMENTS


def never() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Ask:
    """How much of an answer is wanted.

    ``after``: only hits that come later in the order.  ``as_of``: only pages whose text entered the
    log below this size (0: all).  ``near``: look for one wrong character when fewer than
    ``NEAR_BELOW`` pages match as asked.
    """

    limit: int = 10
    after: HitKey | None = None
    as_of: int = 0
    near: bool = True
    facets: bool = False
    late: Deadline = never
    trace: Trace = SILENT


# A page among the best: its score, which segment of the shard, which document.
Ranked: TypeAlias = tuple[int, int, int]

Matches: TypeAlias = list[list[Matched]]  # for each word its phrases


_score: Final = itemgetter(0)


class Ranking(NamedTuple):
    """``total`` pages match as asked, and ``near_total`` more with a wrong character; ``exact`` is
    false where time was over ("at least").  ``items``: pages that match, by item, where facets were
    asked for."""

    total: int
    near_total: int
    exact: bool
    best: tuple[Ranked, ...]
    items: Mapping[str, int]
    matches: list[Matches | None]  # by segment; None: the plain words of query
    query: Query
    corrected: list[list[list[Corrected]]]  # by segment, by word


def key_of(shard: Shard, ranked: Ranked) -> HitKey:
    score, number, document = ranked
    segment = shard.segments[number]
    office, item = segment.owner_of(document)
    return score, office, item, segment.seq(document)


def merged(shard: Shard, best: list[Ranked], limit: int) -> list[Ranked]:
    """The first of the best of several segments in the order of hits.  Whose page it is counts only
    where scores are equal, and is looked up only there."""
    best.sort(key=_score, reverse=True)
    first: list[Ranked] = []
    for _, tied in groupby(best, _score):
        equals = list(tied)
        if len(equals) > 1:
            equals.sort(key=lambda one: key_of(shard, one))
        first += equals
        if len(first) >= limit:
            break
    return first[:limit]


def best_of(
    segment: Segment, number: int, documents: Array, scores: Array, ask: Ask
) -> list[Ranked]:
    """The best of a segment in order; documents are in the order of their ids."""
    if ask.after is not None:
        later = _later(segment, documents, scores, ask.after)
        documents, scores = documents[later], scores[later]
    keys = scores * -DOCUMENTS + documents
    if len(keys) > ask.limit:
        keys.partition(ask.limit - 1)
        keys = keys[: ask.limit]
    keys.sort()
    return [(-(k // DOCUMENTS), number, k % DOCUMENTS) for k in keys.tolist()]


def _later(segment: Segment, documents: Array, scores: Array, after: HitKey) -> Array:
    """Which of the documents come after a hit in the order."""
    later: Array = scores < after[0]
    for place in np.flatnonzero(scores == after[0]).tolist():
        document = int(documents[place])
        later[place] = (*segment.owner_of(document), segment.seq(document)) > after[1:]
    return later
