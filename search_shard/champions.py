"""Of every character: in how many documents it is, and the best of them with their scores.

Specification: docs/spec/segment.md.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from search_shard.blocks import Array
from search_shard.buckets import Buckets, documents_of
from search_shard.columns import Column
from search_shard.layout import CHAMPIONS
from search_shard.postings import COUNT_MAX
from search_shard.rank import HEADING_SCORE, TITLE_SCORE, text_scores
from search_shard.runs import sizes_of, starts_of, turns

_SCORE_MAX = 0xFFFF
_SIXTEEN = np.uint32(16)


class Champions:
    """Takes the rows of the texts by rising codes, and gives the blocks."""

    def __init__(self, heads: dict[str, Array], dampings: Array, size: int) -> None:
        self._dampings = dampings
        self._heads, self._head_scores = _head_places(heads)
        self._totals = np.zeros(size, np.int64)
        self._best = Column("<u4", CHAMPIONS * size)

    def add(self, rows: Buckets) -> None:
        """The next rows, in each bucket by rising document."""
        low, high = rows.low, rows.low + rows.size
        documents = rows.keys.astype(np.uint16)
        new = turns(documents)
        new[rows.starts[:-1][np.diff(rows.starts) > 0]] = True
        at = np.flatnonzero(new)
        counts = sizes_of(at, len(documents))
        documents = documents.take(at)
        scores = text_scores(np.minimum(counts, COUNT_MAX), self._dampings.take(documents))
        sizes = np.diff(at.searchsorted(rows.starts))
        places = np.repeat(np.arange(low, high, dtype=np.uint32) << _SIXTEEN, sizes)
        places |= documents
        first, end = self._heads.searchsorted(np.array([low << 16, high << 16], np.uint32))
        heads, head_scores = self._heads[first:end], self._head_scores[first:end]
        at = places.searchsorted(heads)
        also = at < len(places)
        also[also] = places[at[also]] == heads[also]
        scores[at[also]] += head_scores[also]
        alone = ~also
        places = np.insert(places, at[alone], heads[alone])
        scores = np.insert(scores, at[alone], head_scores[alone])
        sizes += np.bincount((heads[alone] >> _SIXTEEN) - np.uint32(low), minlength=high - low)
        self._totals[low:high] = sizes
        order = (_SCORE_MAX - scores).astype(np.uint32) << _SIXTEEN
        order |= places & np.uint32(0xFFFF)
        for start, end in pairwise(starts_of(sizes).tolist()):
            if end > start:
                self._best.add(_least(order[start:end]))

    def end(self) -> dict[str, Array]:
        best = self._best.values
        return {
            "totals": np.maximum(self._totals, 1) - 1,
            "champion_at": starts_of(np.minimum(self._totals, CHAMPIONS)),
            "champions": best & np.uint32(0xFFFF),
            "champion_scores": _SCORE_MAX - (best >> _SIXTEEN),
        }


def _least(order: Array) -> Array:
    """The lowest ``CHAMPIONS`` of distinct numbers, rising."""
    least = np.partition(order, CHAMPIONS)[:CHAMPIONS] if len(order) > CHAMPIONS else order
    least.sort()
    return least


def _head_places(heads: dict[str, Array]) -> tuple[Array, Array]:
    """code << 16 | document of the words of titles and headings, rising, each once, and what a
    character scores there."""
    words, head_at = heads["head_words"], heads["head_at"]
    documents = documents_of(head_at, 0, len(words))
    in_title = np.arange(len(words)) < (head_at[:-1] + heads["title_words"])[documents]
    keys = words.astype(np.uint64) << np.uint64(17) | documents.astype(np.uint64) << np.uint64(1)
    keys = np.unique(keys[words > 0] | in_title[words > 0])
    places = (keys >> np.uint64(1)).astype(np.uint32)
    scores = np.where(keys & np.uint64(1), TITLE_SCORE, HEADING_SCORE)
    new = np.flatnonzero(turns(places))
    return places[new], np.add.reduceat(scores, new) if len(new) else scores
