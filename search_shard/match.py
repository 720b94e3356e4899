"""Finding a phrase in one segment: pairs of neighbours first, then the text itself.

A cell becomes a set of codes.  One or two cells are answered by the posting lists alone; longer
phrases intersect the lists of their pairs, rarest first, and verify what is left on the text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from protocol.limits import MiB
from search_shard.blocks import Array
from search_shard.layout import ragged
from search_shard.query import NEAR, Cell, Choice, Phrase
from search_shard.segment import Codes, Segment
from search_shard.tables import FOLD_SHIFT

Deadline = Callable[[], bool]  # True when time is over

_VERIFY_CODES = 1 << 20  # of text looked at between two looks at the clock
_FEW = 64  # candidates that are verified faster than another list is read
_KEPT_BYTES = 1 * MiB  # of masks of cells, in each segment
_KEPT_LEAST = 32
_ENOUGH = 4096  # candidates at which lists of whole classes of characters are no longer read


class Late(Exception):
    """Time was over before the answer was whole; a signal inside this room."""


@dataclass(frozen=True, slots=True)
class Found:
    """Documents in rising order and how often each has the phrase."""

    documents: Array
    counts: Array


NOTHING = Found(np.empty(0, np.int64), np.empty(0, np.int64))


def resolve(segment: Segment, choices: Iterable[Choice]) -> Codes:
    """The codes that any of ``choices`` allows here.

    A query asks for each cell again and again (as asked, with a neighbour widened, for the
    reasons of a hit), so the segment keeps the last ones.
    """
    key = tuple(choices)
    codes = segment.resolved.get(key)
    if codes is None:
        codes = _resolve(segment, key)
        if len(segment.resolved) >= max(_KEPT_LEAST, _KEPT_BYTES // len(codes.mask)):
            segment.resolved.clear()
        segment.resolved[key] = codes
    return codes


def _resolve(segment: Segment, choices: Sequence[Choice]) -> Codes:
    ranges: list[tuple[int, int]] = []
    shift = int(FOLD_SHIFT)
    for choice in choices:
        if choice.chars:
            points = np.array([ord(character) for character in choice.chars], dtype=np.uint32)
            keys = segment.tables.keys(points)
            if choice.why == "exact":
                ranges += segment.codes_of_keys(keys, 1)
            else:
                ranges += segment.codes_of_keys(keys >> FOLD_SHIFT << FOLD_SHIFT, 1 << shift)
        for syllable in choice.syllables:
            number = segment.tables.syllable_number(syllable)
            if number is not None:
                ranges += segment.codes_of_syllable(number)
    return _codes(segment, ranges)


def asked(segment: Segment, cell: Cell) -> Codes:
    """The codes of a cell without wrong characters."""
    return resolve(segment, (choice for choice in cell.choices if choice.why not in NEAR))


def widened(
    segment: Segment, phrase: Phrase, cells: Sequence[Codes], why: str
) -> Iterator[list[Codes]]:
    """The phrase with one wrong character: each cell in turn is what it may be mistaken for."""
    for at, cell in enumerate(phrase.cells):
        wide = resolve(segment, (choice for choice in cell.choices if choice.why == why))
        if wide.ranges:
            yield [*cells[:at], wide, *cells[at + 1 :]]


def find_phrase(segment: Segment, cells: Sequence[Codes], deadline: Deadline) -> Found:
    """Every document that has ``cells`` one after another, counted exactly.

    Raises:
        Late: the deadline passed.
    """
    if any(not cell.ranges for cell in cells):
        return NOTHING
    if len(cells) <= 2:
        return pair_list(segment, cells[0], cells[1] if len(cells) == 2 else None, deadline)
    documents = _candidates(segment, cells, deadline)
    if not len(documents):
        return NOTHING
    positions = _verify(segment, documents, cells, deadline)
    at = np.searchsorted(segment.arrays["word_at"], positions, side="right") - 1
    if not len(at):
        return NOTHING
    return Found(*np.unique(at, return_counts=True))


def find_in_heads(segment: Segment, cells: Sequence[Codes]) -> tuple[Array, Array]:
    """Documents whose title has the phrase, and documents whose heading has it."""
    at = scan(segment.head_words, cells)
    place = np.searchsorted(segment.head_at, at, side="right") - 1
    documents = segment.head_documents[place]
    in_title = at - segment.head_at[place] < segment.arrays["title_words"][documents]
    return np.unique(documents[in_title]), np.unique(documents[~in_title])


def pair_list(segment: Segment, first: Codes, second: Codes | None, deadline: Deadline) -> Found:
    """Documents with a ``first`` directly before a ``second`` (or before anything)."""
    arrays = segment.arrays
    first_at, list_at, seconds = arrays["first_at"], arrays["list_at"], arrays["seconds"]
    if len(first.ranges) == 1:
        low, high = first.ranges[0]
        start, end = int(first_at[low]), int(first_at[high])
        if second is None:
            return _count_slice(segment, int(list_at[start]), int(list_at[end]))
        if high - low == 1 and len(second.ranges) == 1:  # rising seconds: a slice of lists
            after, past = second.ranges[0]
            listed = seconds[start:end]
            left = start + int(listed.searchsorted(np.uint16(after)))
            right = start + int(listed.searchsorted(np.uint16(past - 1), side="right"))
            return _count_slice(segment, int(list_at[left]), int(list_at[right]))
    if deadline():
        raise Late
    edges = np.array(first.ranges, dtype=np.int64)
    starts = first_at[edges[:, 0]].astype(np.int64)
    pairs = ragged(starts, first_at[edges[:, 1]] - starts)
    if second is not None:
        pairs = pairs[second.mask[seconds[pairs]]]
    starts = list_at[pairs].astype(np.int64)
    return _count(segment, ragged(starts, list_at[pairs + 1] - starts))


def scan(words: Array, cells: Sequence[Codes]) -> Array:
    """Where ``cells`` stand one after another in ``words``; boundaries match nothing."""
    if len(words) < len(cells) or any(not cell.ranges for cell in cells):
        return np.empty(0, np.int64)
    order = sorted(range(len(cells)), key=lambda at: cells[at].weight)
    last = len(words) - len(cells)
    positions = np.flatnonzero(_test(words, cells[order[0]])) - order[0]
    positions = positions[(positions >= 0) & (positions <= last)]
    for at in order[1:]:
        positions = positions[cells[at].mask[words[positions + at]]]
    return positions


def keep_common(few: Array, many: Array) -> Array:
    """Members of both rising arrays."""
    if not len(many):
        return few[:0]
    at = np.minimum(np.searchsorted(many, few), len(many) - 1)
    common: Array = few[many[at] == few]
    return common


def _codes(segment: Segment, ranges: Iterable[tuple[int, int]]) -> Codes:
    merged: list[tuple[int, int]] = []
    for low, high in sorted(pair for pair in ranges if pair[0] < pair[1]):
        if merged and low <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    mask = np.zeros(len(segment.arrays["chars"]), dtype=bool)
    first_at, weight = segment.arrays["first_at"], 0
    for low, high in merged:
        mask[low:high] = True
        weight += int(first_at[high]) - int(first_at[low])
    return Codes(tuple(merged), mask, weight)


def _test(words: Array, codes: Codes) -> Array:
    low, high = codes.ranges[0]
    inside: Array
    if len(codes.ranges) > 1:
        inside = codes.mask[words]
    elif high - low == 1:
        inside = words == np.uint16(low)
    else:
        inside = words - np.uint16(low) < np.uint16(high - low)
    return inside


def _count_slice(segment: Segment, start: int, end: int) -> Found:
    """Documents of the postings ``start`` .. ``end``, with how often the pairs occur in each."""
    often_at = segment.arrays["often_at"]
    low, high = np.searchsorted(often_at, np.array([start, end], dtype=np.uint32))
    counts = np.ones(end - start, dtype=np.int64)
    counts[often_at[low:high].astype(np.int64) - start] = segment.arrays["often"][low:high]
    return _sum(segment.arrays["lists"][start:end], counts)


def _count(segment: Segment, at: Array) -> Found:
    """The same of the postings ``at``."""
    often_at = segment.arrays["often_at"]
    place = np.searchsorted(often_at, at.astype(np.uint32))
    inside = np.flatnonzero(place < len(often_at))
    hit = inside[often_at[place[inside]] == at[inside]]
    counts = np.ones(len(at), dtype=np.int64)
    counts[hit] = segment.arrays["often"][place[hit]]
    return _sum(segment.arrays["lists"][at], counts)


def _sum(documents: Array, counts: Array) -> Found:
    """Each document once; documents of a single list are rising and distinct already."""
    if len(documents) < 2 or bool((documents[1:] > documents[:-1]).all()):
        return Found(documents.astype(np.int64), counts)
    sums = np.bincount(documents, weights=counts)
    present = np.flatnonzero(sums)
    return Found(present, sums[present].astype(np.int64))


def _candidates(segment: Segment, cells: Sequence[Codes], deadline: Deadline) -> Array:
    """Documents that have every pair of the phrase somewhere (or most: verification follows)."""
    pairs = sorted(
        pairwise(cells),
        key=lambda pair: (_spread(pair), pair[0].weight + pair[1].weight),
    )
    documents: Array | None = None
    for first, second in pairs:
        if deadline():
            raise Late
        if documents is not None:
            enough = _ENOUGH if _spread((first, second)) > 1 else _FEW
            if len(documents) <= enough:
                break
        listed = pair_list(segment, first, second, deadline).documents
        few, many = (listed, documents) if documents is not None else (listed, listed)
        documents = keep_common(*sorted((few, many), key=len))
    return NOTHING.documents if documents is None else documents


def _spread(pair: tuple[Codes, Codes]) -> int:
    return len(pair[0].ranges) * len(pair[1].ranges)


def _verify(
    segment: Segment, documents: Array, cells: Sequence[Codes], deadline: Deadline
) -> Array:
    """Positions of the phrase in the words of ``documents``."""
    words, word_at = segment.arrays["words"], segment.arrays["word_at"]
    starts = word_at[documents].astype(np.int64)
    sizes = word_at[documents + 1] - starts
    ends = np.cumsum(sizes)
    found = []
    first = 0
    while first < len(documents):
        if deadline():
            raise Late
        done = int(ends[first - 1]) if first else 0
        stop = max(first + 1, int(np.searchsorted(ends, done + _VERIFY_CODES, side="right")))
        span = slice(int(starts[first]), int(starts[stop - 1] + sizes[stop - 1]))
        wanted = int(ends[stop - 1]) - done
        if wanted * 4 > span.stop - span.start:  # dense: read through, then keep
            at = scan(words[span], cells) + span.start
            document = np.searchsorted(word_at, at, side="right") - 1
            found.append(at[np.isin(document, documents[first:stop])])
        else:
            index = ragged(starts[first:stop], sizes[first:stop])
            found.append(index[scan(words[index], cells)])
        first = stop
    return np.concatenate(found)
