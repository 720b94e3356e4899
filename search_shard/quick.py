"""Words as typed, all of which must occur: what is asked most, answered by the compiled kernel.

The answers are those of :mod:`search_shard.search`, which has every kind of query, explains what it
does, and answers alone where the kernel was not compiled.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Final

import numpy as np

from protocol.errors import Corrupt
from search_shard.blocks import Array
from search_shard.lattice import NOT, OR, Query
from search_shard.match import NONE
from search_shard.matched import Matched
from search_shard.postings import NOTHING
from search_shard.rank import CLASSES, HitKey
from search_shard.ranking import DOCUMENTS, Ask, Matches, Ranked
from search_shard.segment import Segment

_ALL: Final = 2**64 - 1

Words = tuple[tuple[int, tuple[tuple[int, str], ...]], ...]  # (weight, ((class, text), ...))
Answer = tuple[int, list[Ranked], Array]  # how many documents; the best; all, for facets


def plain_words(query: Query, ask: Ask) -> Words | None:
    """The words of a query of this kind; None for any other, and where steps are to be told."""
    if ask.trace.clock or OR in query.plan or NOT in query.plan or not query.words:
        return None
    words = []
    for word in query.words:
        phrases = []
        for phrase in word.phrases:
            if phrase.sounds or phrase.scope or phrase.rule == "literal":
                return None
            phrases.append((CLASSES[phrase.rule], phrase.text))
        words.append((word.weight or 1, tuple(phrases)))
    return tuple(words)


def answer(segment: Segment, number: int, words: Words, mask: Array | None, ask: Ask) -> Answer:
    """The answer of one segment that has a kernel.

    Raises:
        Corrupt: the segment is damaged in a way that no checksum tells.
    """
    assert segment.kernel is not None, "asked of segments with a kernel"
    below = _ALL if ask.after is None else _below(segment, ask.after)
    try:
        total, best, every = segment.kernel.find(words, ask.limit, mask, below, ask.facets, number)
    except ValueError as error:
        raise Corrupt("segment", "numbers within their blocks", str(error)) from error
    return total, best, NOTHING if every is None else np.frombuffer(every, np.uint16)


def _below(segment: Segment, after: HitKey) -> int:
    """What a score and a document in one number is below when it comes after a hit."""

    def key(document: int) -> tuple[str, str, int]:
        return *segment.owner_of(document), segment.seq(document)

    later = bisect_right(range(segment.pages), after[1:], key=key)
    return after[0] * DOCUMENTS + DOCUMENTS - later


def matches_of(segment: Segment, query: Query) -> Matches:
    """The phrases of plain words, for showing where they stand on a page."""
    return [
        [
            Matched(phrase, phrase.rule, codes, NONE)
            for phrase in word.phrases
            if 0 not in (codes := segment.codes(phrase.text))
        ]
        for word in query.words
    ]
