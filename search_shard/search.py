"""Searching a shard: which pages have what the plan asks, the best of them, and how many in all.

Ranking and showing are two steps, so that whoever holds many shards makes hits of the best pages of
all of them only.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

import numpy as np

from search_shard.blocks import Array
from search_shard.lattice import AND, NOT, OR, Phrase, Query, Word
from search_shard.layout import CHAMPIONS
from search_shard.match import (
    NONE,
    Cell,
    Deadline,
    Found,
    Late,
    best_single,
    candidates,
    cells_of,
    find,
    find_heads,
    keep_common,
    lists_of_codes,
    verified,
)
from search_shard.near import corrections
from search_shard.postings import NOTHING
from search_shard.rank import (
    CLASS_STEP,
    CLASSES,
    HEADING_SCORE,
    NEAR_BELOW,
    TITLE_SCORE,
    HitKey,
    hit_order,
    text_score,
    text_scores,
)
from search_shard.segment import Segment
from search_shard.shard import Shard
from search_shard.trace import SILENT, Trace

_KEY_DOCUMENTS: Final = 1 << 16


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


@dataclass(frozen=True, slots=True)
class Matched:
    """A phrase and where it was found in one segment."""

    phrase: Phrase
    rule: str  # of the phrase, or of the wrong character
    cells: Sequence[Cell]
    found: Found
    titled: Array  # documents
    headed: Array


class Ranked(NamedTuple):
    """A page among the best: which segment of the shard, which document."""

    score: int
    segment: int
    document: int


Matches: TypeAlias = list[list[Matched]]  # for each word its phrases


@dataclass(frozen=True, slots=True)
class Ranking:
    """``total`` pages match as asked, and ``near_total`` more with a wrong character; ``exact`` is
    false where time was over ("at least").  ``items``: pages that match, by item, where facets were
    asked for."""

    total: int
    near_total: int
    exact: bool
    best: tuple[Ranked, ...]
    items: Mapping[str, int]
    matches: list[Matches] = field(repr=False)  # by segment


def rank(shard: Shard, query: Query, ask: Ask) -> Ranking:
    """The best pages of a shard, ``ask.limit`` of them, and how many there are.

    The query is within its bounds (:func:`search_shard.lattice.check_query`).
    """
    ask.trace.begin()
    total, near_total, exact = 0, 0, True
    best: list[Ranked] = []
    matches: list[Matches] = []
    items: dict[str, int] = {}
    try:
        allowed = shard.allowed(query.filters, ask.as_of)
        for number, segment in enumerate(shard.segments):
            mask = allowed[number]
            quick = _quick(segment, number, query, ask) if mask is None else None
            if quick is None:
                matched, documents, scores = _segment(segment, query, mask, ask)
                found, top = len(documents), _best(segment, number, documents, scores, ask)
                if ask.facets:
                    _tally(items, segment, documents)
            else:
                matched, found, top = quick
            matches.append(matched)
            total += found
            best += top
        if ask.near and total < NEAR_BELOW and any(p.near for w in query.words for p in w.phrases):
            for number, segment in enumerate(shard.segments):
                matches[number] = _segment(segment, query, allowed[number], ask)[0]
                documents, scores = _wider(segment, query, matches[number], allowed[number], ask)
                near_total += len(documents)
                best += _best(segment, number, documents, scores, ask)
                if ask.facets:
                    _tally(items, segment, documents)
    except Late:
        exact = False
    if len(shard.segments) > 1 or near_total:
        best = heapq.nsmallest(ask.limit, best, key=lambda one: hit_order(key_of(shard, one)))
    ask.trace.step("ranked", "", len(best))
    return Ranking(total, near_total, exact, tuple(best), items, matches)


def key_of(shard: Shard, ranked: Ranked) -> HitKey:
    segment = shard.segments[ranked.segment]
    office, item = segment.owner_of(ranked.document)
    return ranked.score, office, item, segment.seq(ranked.document)


def _quick(
    segment: Segment, number: int, query: Query, ask: Ask
) -> tuple[Matches, int, list[Ranked]] | None:
    """What :func:`_segment` and :func:`_best` find for a single phrase as typed that stands in no
    title or heading, which is what is asked most; None for anything else."""
    if len(query.words) != 1 or ask.after is not None or ask.facets or ask.trace.clock:
        return None
    phrases = query.words[0].phrases
    phrase = phrases[0]
    if len(phrases) > 1 or phrase.rule != "typed" or phrase.sounds or phrase.scope:
        return None
    codes = segment.codes(phrase.text)
    if 0 in codes:
        return [[]], 0, []
    if len(codes) == 1:
        return _quick_single(segment, number, phrase, codes, ask)
    if segment.heads.find(codes[0], codes[1]) >= 0:
        return None
    lists = lists_of_codes(segment, codes)
    if not lists:
        return [[]], 0, []
    count, table, (pair,), width = lists[0]
    if width == len(codes):
        found = table.short(pair)
        if found is None:
            documents, counts = table.counted(pair)
            scores = CLASSES["typed"] + text_scores(counts, segment.dampings[documents])
            matches = [[Matched(phrase, phrase.rule, codes, NONE, NOTHING, NOTHING)]]
            return matches, count, _best(segment, number, documents, scores, ask)
    else:
        few = candidates(lists)
        assert few is not None, "there are lists"
        found = verified(segment, few.tolist(), codes, ask.late)
    damping_at, base = segment.damping_at, CLASSES["typed"]
    keys = [
        document - (base + text_score(count, damping_at[document])) * _KEY_DOCUMENTS
        for document, count in zip(*found, strict=True)
    ]
    keys.sort()
    best = [Ranked(-(k // _KEY_DOCUMENTS), number, k % _KEY_DOCUMENTS) for k in keys[: ask.limit]]
    return [[Matched(phrase, phrase.rule, codes, NONE, NOTHING, NOTHING)]], len(keys), best


def _quick_single(
    segment: Segment, number: int, phrase: Phrase, codes: Sequence[int], ask: Ask
) -> tuple[Matches, int, list[Ranked]] | None:
    if ask.limit > CHAMPIONS:
        return None
    total, documents, scores = best_single(segment, codes[0])
    base = CLASSES[phrase.rule]
    best = zip(scores[: ask.limit].tolist(), documents[: ask.limit].tolist(), strict=True)
    top = [Ranked(base + score, number, document) for score, document in best]
    listed = np.sort(documents)  # in text or head: whoever shows a page looks there
    return [[Matched(phrase, phrase.rule, codes, NONE, listed, listed)]], total, top


def _segment(
    segment: Segment, query: Query, mask: Array | None, ask: Ask
) -> tuple[Matches, Array, Array]:
    """(what was found of each word, the documents that match, their scores)"""
    if not query.words:
        documents = np.arange(segment.pages) if mask is None else np.flatnonzero(mask)
        return [], documents, np.zeros(len(documents), np.int64)
    matched = [_word(segment, word, ask) for word in query.words]
    documents = _joined(query.plan, [_documents(word) for word in matched])
    if mask is not None:
        documents = documents[mask[documents]]
    return matched, documents, _scores(segment, query, matched, documents)


def _word(segment: Segment, word: Word, ask: Ask) -> list[Matched]:
    matched = []
    for phrase in word.phrases:
        cells = cells_of(segment, phrase)
        if cells:
            matched.append(_phrase(segment, phrase, phrase.rule, cells, ask))
    return matched


def _phrase(
    segment: Segment, phrase: Phrase, rule: str, cells: Sequence[Cell], ask: Ask
) -> Matched:
    if ask.late():
        raise Late
    titled, headed = find_heads(segment, phrase, cells)
    if phrase.scope:
        both = (titled, NOTHING) if phrase.scope == "title" else (NOTHING, headed)
        return Matched(phrase, rule, cells, NONE, *both)
    found = find(segment, phrase, cells, ask.late, ask.trace)
    ask.trace.step("found", rule, len(found.documents))
    return Matched(phrase, rule, cells, found, titled, headed)


def _documents(word: Sequence[Matched]) -> Array:
    parts = [
        part
        for matched in word
        for part in (matched.found.documents, matched.titled, matched.headed)
        if len(part)
    ]
    if len(parts) <= 1:
        return parts[0] if parts else NOTHING
    return np.unique(np.concatenate(parts))


def _joined(plan: Sequence[str], words: Sequence[Array]) -> Array:
    """Documents that the plan leaves."""
    stack: list[Array] = []
    for step in plan:
        if step not in (AND, OR, NOT):
            stack.append(words[int(step)])
            continue
        right, left = stack.pop(), stack.pop()
        if step == AND:
            stack.append(keep_common(left, right))
        elif step == OR:
            stack.append(np.union1d(left, right))
        else:
            stack.append(np.setdiff1d(left, right, assume_unique=True))
    return stack[0]


def _scores(
    segment: Segment, query: Query, matched: Sequence[Sequence[Matched]], documents: Array
) -> Array:
    """Class of the weakest word that is needed, and the mean of the rest by weight."""
    if len(query.plan) == 1:
        return _word_scores(segment, matched[0], documents)
    classes: list[Array] = []
    details = np.zeros(len(documents), np.int64)
    weights = 0
    wanted = set(_wanted(query.plan))
    for step in query.plan:
        if step in (AND, OR, NOT):
            right, left = classes.pop(), classes.pop()
            if step == NOT:
                classes.append(left)
            else:
                classes.append((np.minimum if step == AND else np.maximum)(left, right))
            continue
        scores = _word_scores(segment, matched[int(step)], documents)
        part = scores % CLASS_STEP
        classes.append(scores - part)
        if step in wanted:
            weight = max(query.words[int(step)].weight, 1)
            details += weight * part
            weights += weight
    total: Array = classes[0] + details // weights
    return total


def _wanted(plan: Sequence[str]) -> Iterator[str]:
    """Words that a page may have: those that no NOT takes away."""
    stack: list[tuple[str, ...]] = []
    for step in plan:
        if step in (AND, OR, NOT):
            right, left = stack.pop(), stack.pop()
            stack.append(left if step == NOT else left + right)
        else:
            stack.append((step,))
    yield from stack[0]


def _word_scores(segment: Segment, word: Sequence[Matched], documents: Array) -> Array:
    """The best of the alternatives for each of ``documents``; 0 where none stands."""
    best: Array | None = None
    for matched in word:
        scores = _phrase_scores(segment, matched, documents)
        best = scores if best is None else np.maximum(best, scores)
    return np.zeros(len(documents), np.int64) if best is None else best


def _phrase_scores(segment: Segment, matched: Matched, documents: Array) -> Array:
    found = matched.found
    base = CLASSES[matched.rule]
    if found.documents is documents:
        return base + text_scores(found.counts, segment.dampings[documents])
    scores = np.zeros(len(documents), np.int64)
    inside = _inside(documents, found.documents)
    if len(inside):
        at = found.documents.searchsorted(documents[inside])
        scores[inside] = base + text_scores(found.counts[at], segment.dampings[documents[inside]])
    for listed, extra in ((matched.headed, HEADING_SCORE), (matched.titled, TITLE_SCORE)):
        if len(listed):
            inside = _inside(documents, listed)
            scores[inside] = np.maximum(scores[inside], base) + extra
    return scores


def _inside(documents: Array, listed: Array) -> Array:
    """Places of ``documents`` that are ``listed`` too (both rising)."""
    if not len(listed):
        return np.empty(0, np.int64)
    at = listed.searchsorted(documents)
    at[at == len(listed)] = 0
    return np.flatnonzero(listed[at] == documents)


def _wider(
    segment: Segment, query: Query, matched: Matches, mask: Array | None, ask: Ask
) -> tuple[Array, Array]:
    """Pages that match only with one wrong character in a word; adds what was found to
    ``matched``."""
    before = _joined(query.plan, [_documents(word) for word in matched])
    for number, word in enumerate(query.words):
        for phrase in word.phrases:
            if phrase.near:
                for rule, cells in corrections(segment, phrase, ask.late, ask.trace):
                    matched[number].append(_phrase(segment, phrase, rule, cells, ask))
    documents = _joined(query.plan, [_documents(word) for word in matched])
    documents = np.setdiff1d(documents, before, assume_unique=True)
    if mask is not None:
        documents = documents[mask[documents]]
    return documents, _scores(segment, query, matched, documents)


def _best(segment: Segment, number: int, documents: Array, scores: Array, ask: Ask) -> list[Ranked]:
    """The best of a segment in order; documents are in the order of their ids."""
    if ask.after is not None:
        later = _later(segment, documents, scores, ask.after)
        documents, scores = documents[later], scores[later]
    keys = scores * -_KEY_DOCUMENTS + documents
    if len(keys) > ask.limit:
        keys.partition(ask.limit - 1)
        keys = keys[: ask.limit]
    keys.sort()
    return [Ranked(-(k // _KEY_DOCUMENTS), number, k % _KEY_DOCUMENTS) for k in keys.tolist()]


def _later(segment: Segment, documents: Array, scores: Array, after: HitKey) -> Array:
    """Which of the documents come after a hit in the order."""
    later: Array = scores < after[0]
    for place in np.flatnonzero(scores == after[0]).tolist():
        document = int(documents[place])
        later[place] = (*segment.owner_of(document), segment.seq(document)) > after[1:]
    return later


def _tally(items: dict[str, int], segment: Segment, documents: Array) -> None:
    """Adds how many of ``documents`` (rising) each item has."""
    at = np.searchsorted(np.asarray(segment.item_at), documents, side="right") - 1
    numbers, counts = np.unique(at, return_counts=True)
    for number, count in zip(numbers.tolist(), counts.tolist(), strict=True):
        _, name = segment.items[number]
        items[name] = items.get(name, 0) + count
