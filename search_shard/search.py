"""Searching a shard: which pages have what the plan asks, the best of them, and how many in all.

Ranking and showing are two steps, so that whoever holds many shards makes hits of the best pages of
all of them only.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
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
    PostingList,
    best_single,
    candidates,
    cells_of,
    either,
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
_QUICK_DOCUMENTS: Final = 100  # of several words, verified one by one


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
                matches[number], documents, scores = _wider(segment, query, allowed[number], ask)
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
    """What :func:`_segment` and :func:`_best` find for words as typed, all of which must occur and
    none of which stands in a title or heading: what is asked most.  None for anything else."""
    if ask.after is not None or ask.facets or ask.trace.clock:
        return None
    if OR in query.plan or NOT in query.plan:
        return None
    words: list[list[int]] = []
    matches: Matches = []
    lists: list[PostingList] = []
    for word in query.words:
        phrase = word.phrases[0]
        if len(word.phrases) > 1 or phrase.rule != "typed" or phrase.sounds or phrase.scope:
            return None
        codes = segment.codes(phrase.text)
        if 0 in codes:
            return [[] for _ in query.words], 0, []
        if len(codes) == 1:
            single = len(query.words) == 1 and ask.limit <= CHAMPIONS
            return _quick_single(segment, number, phrase, codes, ask) if single else None
        if segment.heads.find(codes[0], codes[1]) >= 0:
            return None
        of_word = lists_of_codes(segment, codes)
        if not of_word:
            return [[] for _ in query.words], 0, []
        words.append(codes)
        lists += of_word
        matches.append([Matched(phrase, phrase.rule, codes, NONE, NOTHING, NOTHING)])
    if not words:
        return None
    if len(words) > 1:
        lists.sort(key=itemgetter(0))
    elif lists[0][3] == len(words[0]):
        return matches, lists[0][0], _best_of_list(segment, number, lists[0], ask)
    few = candidates(lists)
    assert few is not None, "there are lists"
    if len(few) > _QUICK_DOCUMENTS and len(words) > 1:
        return None
    found = verified(segment, few.tolist(), words, ask.late)
    weights = [max(word.weight, 1) for word in query.words]
    return matches, len(found[0]), _best_of_few(segment, number, *found, weights, ask)


def _best_of_list(segment: Segment, number: int, listed: PostingList, ask: Ask) -> list[Ranked]:
    """The best of the documents of a list that is the whole answer."""
    _, table, (pair,), _ = listed
    short = table.short(pair)
    if short is not None:
        return _best_of_few(segment, number, short[0], [(count,) for count in short[1]], [1], ask)
    documents, counts = table.counted(pair)
    scores = CLASSES["typed"] + text_scores(counts, segment.dampings[documents])
    return _best(segment, number, documents, scores, ask)


def _best_of_few(
    segment: Segment,
    number: int,
    documents: Sequence[int],
    counts: Sequence[Sequence[int]],
    weights: Sequence[int],
    ask: Ask,
) -> list[Ranked]:
    """The best of documents, where each word occurs as often as ``counts`` tells of each."""
    damping_at, base = segment.damping_at, CLASSES["typed"]
    keys = []
    if len(weights) == 1:
        for document, (count,) in zip(documents, counts, strict=True):
            score = base + text_score(count, damping_at[document])
            keys.append(document - score * _KEY_DOCUMENTS)
    else:
        whole = sum(weights)
        for document, often in zip(documents, counts, strict=True):
            damped = damping_at[document]
            details = sum(
                weight * text_score(count, damped)
                for weight, count in zip(weights, often, strict=True)
            )
            keys.append(document - (base + details // whole) * _KEY_DOCUMENTS)
    keys.sort()
    return [Ranked(-(k // _KEY_DOCUMENTS), number, k % _KEY_DOCUMENTS) for k in keys[: ask.limit]]


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
    scores = np.zeros(len(documents), np.int64)
    if not word or not len(documents):
        return scores
    if len(word) == 1 and word[0].found.documents is documents:
        counts = word[0].found.counts
        return CLASSES[word[0].rule] + text_scores(counts, segment.dampings[documents])
    listed = np.concatenate([matched.found.documents for matched in word]).astype(np.int64)
    counts = np.concatenate([matched.found.counts for matched in word])
    bases = [CLASSES[matched.rule] for matched in word]
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
    base = CLASSES[matched.rule]
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
    segment: Segment, query: Query, mask: Array | None, ask: Ask
) -> tuple[Matches, Array, Array]:
    """(what was found, the pages that match only with one wrong character in a word, scores)"""
    matched = [_word(segment, word, ask) for word in query.words]
    before = _joined(query.plan, [_documents(word) for word in matched])
    for number, word in enumerate(query.words):
        for phrase in word.phrases:
            if phrase.near:
                matched[number] += _corrected(segment, phrase, ask)
    documents = _joined(query.plan, [_documents(word) for word in matched])
    documents = np.setdiff1d(documents, before, assume_unique=True)
    if mask is not None:
        documents = documents[mask[documents]]
    return matched, documents, _scores(segment, query, matched, documents)


def _corrected(segment: Segment, phrase: Phrase, ask: Ask) -> Iterator[Matched]:
    """The words that differ from a phrase in one character and stand somewhere."""
    for one in corrections(segment, phrase, ask.late, ask.trace):
        titled = np.array(one.titled if phrase.scope != "heading" else [], np.int64)
        headed = np.array(one.headed if phrase.scope != "title" else [], np.int64)
        if len(one.found.documents) or len(titled) or len(headed):
            yield Matched(phrase, one.rule, one.codes, one.found, titled, headed)


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
