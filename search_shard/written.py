"""What is spoken, as it is written: the words of a shard that two to four syllables stand for.

Pinyin stands for many words.  The one on most pages was likeliest meant, so pages are ranked by
the words they have, however the pages were batched.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np

from search_shard.blocks import Array
from search_shard.lattice import Phrase
from search_shard.match import (
    NONE,
    Cell,
    Deadline,
    candidates,
    cells_of,
    find_codes,
    lists_of_cells,
    places_in,
)
from search_shard.matched import Matched
from search_shard.postings import NOTHING, Table
from search_shard.rank import IN_HEAD, spoken_class
from search_shard.segment import Segment

_LENGTHS: Final = range(2, 5)  # longer ones stand for one word
_WORDS_MAX: Final = 16  # that pages are ranked by
_CODE_BITS: Final = 16


class Written(NamedTuple):
    text: str  # folded
    pages: int


def written(
    segments: Sequence[Segment],
    phrases: Iterable[Phrase],
    allowed: Sequence[Array | None],
    late: Deadline,
) -> dict[Phrase, list[Written]]:
    """For each spoken phrase the words on most pages of all segments, of those that are allowed
    (None: all), the most frequent first.

    Raises:
        Late: the deadline passed.
    """
    found = {}
    for phrase in phrases:
        if phrase.sounds and not phrase.scope and len(phrase.text) in _LENGTHS:
            pages: Counter[str] = Counter()
            for segment, mask in zip(segments, allowed, strict=True):
                cells = cells_of(segment, phrase)
                if cells:
                    pages.update(_pages(segment, cells, mask, late))
            ranked = sorted(pages.items(), key=lambda item: (-item[1], item[0]))
            found[phrase] = [Written(*item) for item in ranked[:_WORDS_MAX]]
    return found


def as_written(
    segment: Segment, spoken: Matched, words: Sequence[Written], late: Deadline
) -> Iterator[Matched]:
    """What was found of a spoken phrase, by the words it is written as; title and heading first."""
    phrase, rule = spoken.phrase, spoken.rule
    yield replace(spoken, titled=NOTHING, headed=NOTHING)
    yield replace(spoken, found=NONE, more=IN_HEAD)
    for text, pages in words:
        codes = segment.codes(text)
        if 0 not in codes:
            found = find_codes(segment, codes, late)
            yield Matched(phrase, rule, codes, found, NOTHING, NOTHING, spoken_class(pages))


def _pages(
    segment: Segment, cells: Sequence[Cell], allowed: Array | None, late: Deadline
) -> Mapping[str, int]:
    """Word → pages with it."""
    if len(cells) == 2:
        return dict(_pairs(segment, cells, allowed))
    lists = lists_of_cells(segment, cells)
    if lists is None:
        return {}
    places = places_in(segment, candidates(lists), cells, late)
    words = segment.arrays["words"]
    key = np.zeros(len(places), np.uint64)
    for at in range(len(cells)):
        key = key << np.uint64(_CODE_BITS) | words[places + at]
    documents = segment.arrays["word_at"].searchsorted(places, side="right") - 1
    if allowed is not None:
        here = allowed[documents]
        key, documents = key[here], documents[here]
    distinct, number = np.unique(key, return_inverse=True)
    once = np.unique(number << 16 | documents) >> 16
    counts = np.bincount(once, minlength=len(distinct)).tolist()
    shifts = [_CODE_BITS * at for at in reversed(range(len(cells)))]
    mask, folded = (1 << _CODE_BITS) - 1, segment.folded
    return {
        "".join(folded[one >> shift & mask] for shift in shifts): count
        for one, count in zip(distinct.tolist(), counts, strict=True)
    }


def _pairs(
    segment: Segment, cells: Sequence[Cell], allowed: Array | None
) -> Iterator[tuple[str, int]]:
    """Two syllables: from the table of pairs alone; the most frequent, and more."""
    table, folded = segment.pairs, segment.folded
    seconds = np.asarray(table.seconds)
    for low, high in _ranges(cells[0]):
        start, end = table.first_at[low], table.first_at[high]
        pairs = np.flatnonzero(_in(cells[1], seconds[start:end])) + start
        firsts = np.asarray(table.first_at).searchsorted(pairs, side="right") - 1
        for pair, first in zip(pairs.tolist(), firsts.tolist(), strict=True):
            pages = _count(table, pair, allowed)
            if pages:
                yield folded[first] + folded[int(seconds[pair])], pages


def _ranges(cell: Cell) -> Sequence[tuple[int, int]]:
    return [(cell, cell + 1)] if isinstance(cell, int) else cell.ranges


def _in(cell: Cell, codes: Array) -> Array:
    inside: Array = codes == cell if isinstance(cell, int) else cell.mask[codes]
    return inside


def _count(table: Table, pair: int, allowed: Array | None) -> int:
    if allowed is None:
        return table.count(pair)
    return int(np.count_nonzero(allowed[table.documents(pair)]))
