"""Words with one wrong character in a segment, ranked by how likely each was meant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from search_shard.blocks import Array
from search_shard.lattice import Phrase, Word
from search_shard.match import Deadline
from search_shard.near import Corrections, corrections, is_correctable, open_places, typed_in
from search_shard.rank import HEADING_SCORE, TITLE_SCORE, near_classes, text_scores
from search_shard.runs import turns
from search_shard.segment import Segment
from search_shard.trace import Trace

_SCORE_BITS: Final = 24


@dataclass(frozen=True, slots=True)
class Spotted:
    """A corrected word in a document."""

    phrase: Phrase
    rule: str  # of lattice.NEAR
    cells: list[int]
    base: int  # what a page with it scores at least
    titled: bool
    headed: bool


@dataclass(frozen=True, slots=True)
class Corrected:
    """What stands in a segment instead of a phrase.  ``documents`` rise, each with its score."""

    phrase: Phrase
    typed: list[int]  # codes
    found: Corrections
    classes: Array  # of each word of ``found``
    documents: Array
    scores: Array

    def raise_scores(self, documents: Array, scores: Array) -> None:
        """Those of ``documents`` (rising) that score less than here get the score here."""
        place = documents.searchsorted(self.documents)
        place[place == len(documents)] = 0
        here = np.flatnonzero(documents[place] == self.documents) if len(documents) else place[:0]
        scores[place[here]] = np.maximum(scores[place[here]], self.scores[here])

    def at(self, document: int) -> list[Spotted]:
        """The words that a document has."""
        fields = (self.found.texts, self.found.titles, self.found.headings)
        here = [set(rows.numbers[rows.documents == document].tolist()) for rows in fields]
        spotted = []
        for number in sorted(set().union(*here)):
            word = self.found.words[number]
            cells = [*self.typed[: word.at], word.code, *self.typed[word.at + 1 :]]
            titled, headed = number in here[1], number in here[2]
            base = int(self.classes[number])
            spotted.append(Spotted(self.phrase, word.rule, cells, base, titled, headed))
        return spotted


def corrected(
    segments: Sequence[Segment],
    words: Sequence[Word],
    allowed: Sequence[Array | None],
    late: Deadline,
    trace: Trace,
) -> list[list[list[Corrected]]]:
    """For each segment and word what stands there instead of its phrases.

    How many pages of all segments have a word, of those that are allowed (None: all), says how
    likely it was meant, however the pages were batched.

    Raises:
        Late: the deadline passed.
    """
    found: list[list[list[Corrected]]] = [[[] for _ in words] for _ in segments]
    for at, word in enumerate(words if segments else ()):
        for phrase in filter(is_correctable, word.phrases):
            here = _corrected(segments, phrase, allowed, late, trace)
            for of_segment, one in zip(found, here, strict=True):
                of_segment[at] += one
    return found


def _corrected(
    segments: Sequence[Segment],
    phrase: Phrase,
    allowed: Sequence[Array | None],
    late: Deadline,
    trace: Trace,
) -> Iterator[list[Corrected]]:
    """For each segment one or none."""
    typed = [typed_in(segment, phrase) for segment in segments]
    anything = open_places(typed, allowed)
    here = [corrections(one, anything, late, trace) for one in typed]
    rows = [_rows(segment, each) for segment, each in zip(segments, here, strict=True)]
    pages = [_pages(each, of, mask) for each, of, mask in zip(here, rows, allowed, strict=True)]
    if len(segments) > 1:
        pages = _summed(here, pages)
    for one, each, of, counts in zip(typed, here, rows, pages, strict=True):
        if not len(of.numbers):
            yield []
            continue
        classes = near_classes(np.array([word.likeness for word in each.words]), counts)
        yield [Corrected(phrase, one.codes, each, classes, *_scored(of, classes))]


class _Rows(NamedTuple):
    """Where words stand, in whatever field: number of the word, document, score below the class;
    each pair once."""

    numbers: Array
    documents: Array
    details: Array


def _rows(segment: Segment, found: Corrections) -> _Rows:
    texts, titles, headings = found.texts, found.titles, found.headings
    details = text_scores(texts.counts, segment.dampings[texts.documents])
    if not len(titles.numbers) and not len(headings.numbers):
        return _Rows(texts.numbers, texts.documents, details)
    fields = (texts, titles, headings)
    key = np.concatenate([rows.numbers << 16 | rows.documents for rows in fields])
    heads = [len(rows.numbers) for rows in (titles, headings)]
    details = np.concatenate([details, np.repeat([TITLE_SCORE, HEADING_SCORE], heads)])
    order = np.argsort(key, kind="stable")
    key = key[order]
    first = np.flatnonzero(turns(key))
    key = key[first]
    return _Rows(key >> 16, key & 0xFFFF, np.add.reduceat(details[order], first))


def _pages(found: Corrections, rows: _Rows, allowed: Array | None) -> Array:
    """How many of the pages that are allowed have each word."""
    shown = rows.numbers if allowed is None else rows.numbers[allowed[rows.documents]]
    return np.bincount(shown, minlength=len(found.words))


def _summed(here: Sequence[Corrections], pages: Sequence[Array]) -> list[Array]:
    """The pages of all segments with each word."""
    total: Counter[tuple[int, str]] = Counter()
    for each, counts in zip(here, pages, strict=True):
        for word, count in zip(each.words, counts.tolist(), strict=True):
            total[word.at, word.character] += count
    return [np.array([total[w.at, w.character] for w in each.words], np.int64) for each in here]


def _scored(rows: _Rows, classes: Array) -> tuple[Array, Array]:
    """Documents, rising, and the best score of each."""
    scores = classes[rows.numbers] + rows.details
    both = rows.documents.astype(np.int64) << _SCORE_BITS | scores
    both.sort()
    documents = both >> _SCORE_BITS
    last = np.append(documents[1:] != documents[:-1], True)
    return documents[last], both[last] & (1 << _SCORE_BITS) - 1
