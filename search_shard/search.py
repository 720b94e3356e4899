"""Searching a shard: which pages have what the plan asks, the best of them, and how many in all.

Ranking and showing are two steps, so that whoever holds many shards makes hits of the best pages of
all of them only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from search_shard.blocks import Array
from search_shard.corrected import Corrected, corrected
from search_shard.lattice import AND, NOT, OR, Phrase, Query, Word
from search_shard.match import (
    NONE,
    Cell,
    Late,
    cells_of,
    find,
    find_heads,
)
from search_shard.matched import Matched
from search_shard.postings import NOTHING
from search_shard.quick import answer, plain_words
from search_shard.rank import (
    CLASS_STEP,
    HEADING_SCORE,
    NEAR_BELOW,
    TITLE_SCORE,
    text_scores,
)
from search_shard.ranking import Ask, Matches, Ranked, Ranking, best_of, merged
from search_shard.segment import Segment
from search_shard.sets import either, keep_common
from search_shard.shard import Shard
from search_shard.written import Written, as_written, written

Told: TypeAlias = Mapping[Phrase, Sequence[Written]]


def rank(shard: Shard, query: Query, ask: Ask) -> Ranking:
    """The best pages of a shard, ``ask.limit`` of them, and how many there are.

    The query is within its bounds (:func:`search_shard.lattice.check_query`).
    """
    if ask.trace.clock:
        ask.trace.begin()
    total, near_total, exact = 0, 0, True
    best: list[Ranked] = []
    matches: list[Matches | None] = []
    each: list[int] = []  # pages of the segments
    nearly: list[list[list[Corrected]]] = []
    items: dict[str, int] = {}
    plain = plain_words(query, ask)
    try:
        allowed = shard.allowed(query.filters, ask.as_of)
        spoken = (phrase for word in query.words for phrase in word.phrases if phrase.sounds)
        told = {} if plain else written(shard.segments, spoken, allowed, ask.late)
        for number, segment in enumerate(shard.segments):
            mask = allowed[number]
            if ask.late():
                raise Late
            if plain is not None and segment.kernel is not None:
                found, top, documents = answer(segment, number, plain, mask, ask)
                matches.append(None)
            else:
                matched, documents, scores = _segment(segment, query, mask, ask, told)
                found, top = len(documents), best_of(segment, number, documents, scores, ask)
                matches.append(matched)
            if ask.facets:
                _tally(items, segment, documents)
            each.append(found)
            total += found
            best += top
        if ask.near and total < NEAR_BELOW and any(p.near for w in query.words for p in w.phrases):
            nearly = corrected(shard.segments, query.words, allowed, ask.late, ask.trace)
            for number, segment in enumerate(shard.segments):
                asked: Matches = [[] for _ in query.words]
                if each[number] or len(query.words) > 1:
                    asked = [_word(segment, word, ask, told) for word in query.words]
                matches[number] = asked
                documents, scores = _wider(segment, query, asked, nearly[number])
                mask = allowed[number]
                if mask is not None:
                    documents, scores = documents[mask[documents]], scores[mask[documents]]
                near_total += len(documents)
                best += best_of(segment, number, documents, scores, ask)
                if ask.facets:
                    _tally(items, segment, documents)
    except Late:
        exact = False
    if len(shard.segments) > 1 or (near_total and total):
        best = merged(shard, best, ask.limit)
    ask.trace.step("ranked", "", len(best))
    return Ranking(total, near_total, exact, tuple(best), items, matches, query, nearly)


def _segment(
    segment: Segment, query: Query, mask: Array | None, ask: Ask, told: Told
) -> tuple[Matches, Array, Array]:
    """(what was found of each word, the documents that match, their scores)"""
    if not query.words:
        documents = np.arange(segment.pages) if mask is None else np.flatnonzero(mask)
        return [], documents, np.zeros(len(documents), np.int64)
    matched = [_word(segment, word, ask, told) for word in query.words]
    documents = _joined(query.plan, [_documents(word) for word in matched])
    if mask is not None:
        documents = documents[mask[documents]]
    return matched, documents, _scores(segment, query, matched, documents)


def _word(segment: Segment, word: Word, ask: Ask, told: Told) -> list[Matched]:
    matched: list[Matched] = []
    for phrase in word.phrases:
        cells = cells_of(segment, phrase)
        if cells:
            one = _phrase(segment, phrase, phrase.rule, cells, ask)
            matched += as_written(segment, one, told[phrase], ask.late) if phrase in told else [one]
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
    return either(parts)


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
            stack.append(either((left, right)))
        else:
            stack.append(np.setdiff1d(left, right, assume_unique=True))
    return stack[0]


def _scores(
    segment: Segment,
    query: Query,
    matched: Sequence[Sequence[Matched]],
    documents: Array,
    nearly: Sequence[Sequence[Corrected]] = (),
) -> Array:
    """Class of the weakest word that is needed, and the mean of the rest by weight."""
    of_words = [_word_scores(segment, word, documents) for word in matched]
    for scores, more in zip(of_words, nearly, strict=False):
        for one in more:
            one.raise_scores(documents, scores)
    if len(query.plan) == 1:
        return of_words[0]
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
        scores = of_words[int(step)]
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
    scores = np.zeros(len(documents), np.int64)
    if not word or not len(documents):
        return scores
    if len(word) == 1 and word[0].found.documents is documents:
        counts = word[0].found.counts
        return word[0].base + text_scores(counts, segment.dampings[documents])
    listed = np.concatenate([matched.found.documents for matched in word]).astype(np.int64)
    counts = np.concatenate([matched.found.counts for matched in word])
    bases = [matched.base for matched in word]
    sizes = [len(matched.found.documents) for matched in word]
    place = documents.searchsorted(listed)
    place[place == len(documents)] = 0
    here = np.flatnonzero(documents[place] == listed)
    listed, place = listed[here], place[here]
    found = np.repeat(bases, sizes)[here] + text_scores(counts[here], segment.dampings[listed])
    np.maximum.at(scores, place, found)
    for matched in word:
        if len(matched.titled) or len(matched.headed):
            _add_heads(segment, matched, documents, scores)
    return scores


def _add_heads(segment: Segment, matched: Matched, documents: Array, scores: Array) -> None:
    """Raises ``scores`` to what a phrase in title or heading is worth, its text counted too."""
    base = matched.base
    own = np.zeros(len(documents), np.int64)
    for listed, extra in ((matched.headed, HEADING_SCORE), (matched.titled, TITLE_SCORE)):
        own[_inside(documents, listed)] += extra
    at = np.flatnonzero(own)
    in_text = _inside(documents[at], matched.found.documents)
    if len(in_text):
        some = documents[at[in_text]]
        counts = matched.found.counts[matched.found.documents.searchsorted(some)]
        own[at[in_text]] += text_scores(counts, segment.dampings[some])
    scores[at] = np.maximum(scores[at], base + own[at])


def _inside(documents: Array, listed: Array) -> Array:
    """Places of ``documents`` that are ``listed`` too (both rising)."""
    if not len(listed):
        return np.empty(0, np.int64)
    at = listed.searchsorted(documents)
    at[at == len(listed)] = 0
    return np.flatnonzero(listed[at] == documents)


def _wider(
    segment: Segment, query: Query, matched: Matches, nearly: Sequence[Sequence[Corrected]]
) -> tuple[Array, Array]:
    """The pages that match only with one wrong character in a word, and their scores."""
    asked = [_documents(word) for word in matched]
    before = _joined(query.plan, asked)
    if len(query.words) == len(nearly[0]) == 1 and not len(before):
        return nearly[0][0].documents, nearly[0][0].scores
    wider = [
        either([listed, *(one.documents for one in more)])
        for listed, more in zip(asked, nearly, strict=True)
    ]
    documents = np.setdiff1d(_joined(query.plan, wider), before, assume_unique=True)
    return documents, _scores(segment, query, matched, documents, nearly)


def _tally(items: dict[str, int], segment: Segment, documents: Array) -> None:
    """Adds how many of ``documents`` (rising) each item has."""
    at = np.searchsorted(np.asarray(segment.item_at), documents, side="right") - 1
    numbers, counts = np.unique(at, return_counts=True)
    for number, count in zip(numbers.tolist(), counts.tolist(), strict=True):
        _, name = segment.items[number]
        items[name] = items.get(name, 0) + count
