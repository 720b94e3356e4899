"""A shard: a snapshot of segments with some items hidden, and the search over it."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from protocol.limits import HITS_MAX
from search_shard.blocks import Array
from search_shard.federate import NEAR_BELOW, Hit, ShardAnswer, hit_order
from search_shard.match import (
    Codes,
    Deadline,
    Found,
    Late,
    asked,
    find_in_heads,
    find_phrase,
    keep_common,
    resolve,
)
from search_shard.query import NEAR, Phrase, Query, Word, check_query
from search_shard.rank import CLASS_SCORES, HEADING_SCORE, TITLE_SCORE, text_scores
from search_shard.segment import Segment
from search_shard.snippet import make_hit

_FANOUT = 4


@dataclass(frozen=True, slots=True)
class Shard:
    """Immutable: a reader keeps the snapshot it has while newer ones are made."""

    segments: tuple[Segment, ...]
    deleted: frozenset[str]  # items that are hidden
    hidden: tuple[Array | None, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        masks = tuple(_hidden(segment, self.deleted) for segment in self.segments)
        object.__setattr__(self, "hidden", masks)

    @property
    def pages(self) -> int:
        """Pages that can be found."""
        return sum(
            segment.pages - (0 if mask is None else int(mask.sum()))
            for segment, mask in zip(self.segments, self.hidden, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Scored:
    documents: Array  # rising
    classes: Array  # how cheap the lattice is, of rank.CLASS_SCORES
    details: Array  # title, heading, frequency

    def keep(self, which: Array) -> Scored:
        return Scored(self.documents[which], self.classes[which], self.details[which])


def search(shard: Shard, query: Query, limit: int, deadline: Deadline) -> ShardAnswer:
    """The best ``limit`` pages and how many there are in all.

    Pages with one wrong character are looked for when fewer than ``NEAR_BELOW`` pages match as
    asked.  When ``deadline`` turns true the answer holds what was found so far and
    ``total_is_exact`` is false.

    Raises:
        DecodeError: a lattice beyond the bounds.
    """
    check_query(query)
    limit = min(limit, HITS_MAX)
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
    hits = [
        *_best(shard, query, literal, limit),
        *_best(shard, query, near, limit),
    ]
    asked_total = sum(len(found.documents) for found in literal)
    near_total = sum(len(found.documents) for found in near)
    best = heapq.nsmallest(limit, hits, key=hit_order)
    return ShardAnswer(asked_total + near_total, whole, tuple(best), near_total)


def plan_merge(pages: Sequence[int], pages_max: int) -> range | None:
    """Which neighbouring segments to merge next so that their number stays logarithmic.

    ``pages``: pages of each segment, oldest first.  The newest run of ``4`` or more segments of
    like size is merged, if the result has at most ``pages_max`` pages.
    """
    for start in range(len(pages)):
        tail = pages[start:]
        if len(tail) < _FANOUT or sum(tail) > pages_max:
            continue
        if tail[0] <= sum(tail[1:]):
            return range(start, len(pages))
    return None


def _hidden(segment: Segment, deleted: frozenset[str]) -> Array | None:
    gone = [segment.items[item] for item in segment.items.keys() & deleted]
    if not gone:
        return None
    mask = np.zeros(segment.pages, dtype=bool)
    for start, end in gone:
        mask[start:end] = True
    return mask


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
            parts += _near(segment, phrase, cells, deadline)
    return _either(parts)


def _near(
    segment: Segment, phrase: Phrase, cells: Sequence[Codes], deadline: Deadline
) -> list[Scored]:
    """Pages with one wrong character: each cell in turn widened to what it may be mistaken for."""
    parts = []
    for why in NEAR:
        for at, cell in enumerate(phrase.cells):
            wide = resolve(segment, (choice for choice in cell.choices if choice.why == why))
            tried = [*cells[:at], wide, *cells[at + 1 :]]
            parts.append(_score(segment, phrase, tried, CLASS_SCORES[why], deadline))
    return parts


def _score(
    segment: Segment, phrase: Phrase, cells: Sequence[Codes], base: int, deadline: Deadline
) -> Scored:
    if deadline():
        raise Late
    in_title, in_heading = find_in_heads(segment, cells)
    if phrase.titles_only:
        return _scored(in_title, base, np.full(len(in_title), TITLE_SCORE))
    found: Found = find_phrase(segment, cells, deadline)
    sizes = np.diff(segment.arrays["word_at"])[found.documents]
    details = text_scores(found.counts, sizes)
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
    return [
        make_hit(shard.segments[number], document, query, -negative)
        for negative, _, _, _, number, document in heapq.nsmallest(limit, ranked)
    ]
