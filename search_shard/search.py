"""Searching a shard: words, their alternatives, wrong characters, the best hits."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from protocol.limits import HITS_MAX
from search_shard.blocks import Array
from search_shard.match import (
    Deadline,
    Found,
    Late,
    asked,
    find_in_heads,
    find_phrase,
    keep_common,
    widened,
)
from search_shard.query import NEAR, Phrase, Query, Word, check_query
from search_shard.rank import (
    CLASS_SCORES,
    HEADING_SCORE,
    NEAR_BELOW,
    TITLE_SCORE,
    Hit,
    ShardAnswer,
    hit_order,
    text_scores,
)
from search_shard.segment import Codes, Segment
from search_shard.shard import Shard
from search_shard.snippet import make_hit, prepare


@dataclass(frozen=True, slots=True)
class Scored:
    documents: Array  # rising
    classes: Array  # how cheap the lattice is, of rank.CLASS_SCORES
    details: Array  # title, heading, frequency

    def keep(self, which: Array) -> Scored:
        return Scored(self.documents[which], self.classes[which], self.details[which])


def search(shard: Shard, query: Query, limit: int, deadline: Deadline) -> ShardAnswer:
    """The best pages and how many there are in all; ``limit`` hits, or ``NEAR_BELOW`` if that is
    more, so that :func:`search_shard.federate.merge` can tell as asked from nearly.

    Pages with one wrong character are looked for when fewer than ``NEAR_BELOW`` pages match as
    asked.  When ``deadline`` turns true the answer holds what was found so far and
    ``total_is_exact`` is false.

    Raises:
        DecodeError: a lattice beyond the bounds.
    """
    check_query(query)
    most = min(max(limit, NEAR_BELOW), HITS_MAX)
    literal: list[Scored] = []
    near: list[Scored] = []
    whole = True
    try:
        for segment, mask in zip(shard.segments, shard.hidden, strict=True):
            literal.append(_visible(_all_words(segment, query, deadline, near=False), mask))
        if sum(len(found.documents) for found in literal) < NEAR_BELOW and _has_near(query):
            for segment, mask, known in zip(shard.segments, shard.hidden, literal, strict=True):
                wider = _visible(_all_words(segment, query, deadline, near=True), mask)
                near.append(_without(wider, known.documents))
    except Late:
        whole = False
    hits = _best(shard, query, literal, most)
    hits += _best(shard, query, near, most - len(hits))  # their classes are below all others
    total = sum(len(found.documents) for found in [*literal, *near])
    return ShardAnswer(total, whole, tuple(sorted(hits, key=hit_order)))


def _visible(found: Scored, hidden: Array | None) -> Scored:
    if hidden is None:
        return found
    return found.keep(~hidden[found.documents])


def _without(found: Scored, documents: Array) -> Scored:
    return found.keep(np.isin(found.documents, documents, assume_unique=True, invert=True))


def _has_near(query: Query) -> bool:
    return any(
        choice.why in NEAR
        for word in query.words
        for phrase in word.phrases
        for cell in phrase.cells
        for choice in cell.choices
    )


def _all_words(segment: Segment, query: Query, deadline: Deadline, *, near: bool) -> Scored:
    """Pages with every word: the class of the costliest word, the mean of what is below that."""
    both: Scored | None = None
    for word in query.words:
        found = _word(segment, word, deadline, near=near)
        both = found if both is None else _both(both, found)
        if not len(both.documents):
            break
    assert both is not None, "check_query lets no query without words through"
    return Scored(both.documents, both.classes, both.details // len(query.words))


def _word(segment: Segment, word: Word, deadline: Deadline, *, near: bool) -> Scored:
    """Pages with one of the alternatives; the best alternative gives the score."""
    parts = []
    for phrase in word.phrases:
        cells = [asked(segment, cell) for cell in phrase.cells]
        whys = [cell.choices[0].why for cell in phrase.cells]
        worst = min((CLASS_SCORES[why] for why in whys), default=0)
        parts.append(_score(segment, phrase, cells, worst, deadline))
        if near:
            parts += [
                _score(segment, phrase, wide, CLASS_SCORES[why], deadline)
                for why in NEAR
                for wide in widened(segment, phrase, cells, why)
            ]
    return _either(parts)


def _score(
    segment: Segment, phrase: Phrase, cells: Sequence[Codes], base: int, deadline: Deadline
) -> Scored:
    if deadline():
        raise Late
    if phrase.titles_only:
        in_title, _ = find_in_heads(segment, cells)
        return _scored(in_title, base, np.full(len(in_title), TITLE_SCORE))
    found: Found = find_phrase(segment, cells, deadline)
    word_at = segment.arrays["word_at"]
    sizes = word_at[found.documents + 1] - word_at[found.documents]
    details = text_scores(found.counts, sizes)
    if not len(keep_common(found.documents, segment.head_documents)):
        return _scored(found.documents, base, details)
    in_title, in_heading = find_in_heads(segment, cells)
    for documents, extra in ((in_heading, HEADING_SCORE), (in_title, TITLE_SCORE)):
        details[np.searchsorted(found.documents, documents)] += extra
    return _scored(found.documents, base, details)


def _scored(documents: Array, base: int, details: Array) -> Scored:
    return Scored(documents, np.full(len(documents), base, dtype=np.int64), details)


def _either(parts: Sequence[Scored]) -> Scored:
    if len(parts) == 1:
        return parts[0]
    joined = Scored(
        np.concatenate([part.documents for part in parts]),
        np.concatenate([part.classes for part in parts]),
        np.concatenate([part.details for part in parts]),
    )
    joined = joined.keep(np.lexsort((-joined.details, -joined.classes, joined.documents)))
    return joined.keep(np.flatnonzero(np.diff(joined.documents, prepend=-1)))


def _both(left: Scored, right: Scored) -> Scored:
    common = keep_common(left.documents, right.documents)
    left = left.keep(np.searchsorted(left.documents, common))
    right = right.keep(np.searchsorted(right.documents, common))
    classes = np.minimum(left.classes, right.classes)
    return Scored(common, classes, left.details + right.details)


def _best(shard: Shard, query: Query, found: Sequence[Scored], limit: int) -> list[Hit]:
    """The best hits, made from the text of their pages; documents are in order of their ids."""
    ranked: list[tuple[int, str, str, int, int, int]] = []
    for number, part in enumerate(found):
        segment = shard.segments[number]
        scores = part.classes + part.details
        for at in np.argsort(-scores, kind="stable")[:limit].tolist():
            document = int(part.documents[at])
            source, (seq, _) = segment.source(document), segment.label(document)
            score = int(scores[at])
            ranked.append((-score, source.office, source.item, seq, number, document))
    numbers = {number for *_, number, _ in ranked}
    prepared = {number: prepare(shard.segments[number], query) for number in numbers}
    return [
        make_hit(shard.segments[number], document, prepared[number], -negative)
        for negative, _, _, _, number, document in heapq.nsmallest(limit, ranked)
    ]
