"""Words with one wrong character in a segment, ranked by how likely each was meant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from search_shard.blocks import Array
from search_shard.lattice import NEAR, Phrase, Word
from search_shard.match import Deadline
from search_shard.near import (
    IN_HEADING,
    IN_TITLE,
    Corrections,
    corrections,
    is_correctable,
    open_places,
)
from search_shard.rank import near_classes
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
        found = self.found
        spotted = []
        for row in np.flatnonzero(found.documents == document).tolist():
            number, fields = int(found.numbers[row]), int(found.fields[row])
            cells = self.typed.copy()
            cells[int(found.places[number])] = int(found.codes[number])
            rule, base = NEAR[int(found.rules[number])], int(self.classes[number])
            titled, headed = bool(fields & IN_TITLE), bool(fields & IN_HEADING)
            spotted.append(Spotted(self.phrase, rule, cells, base, titled, headed))
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
    anything = open_places(segments, phrase, allowed)
    here = [
        corrections(segment, phrase, anything, mask, late, trace)
        for segment, mask in zip(segments, allowed, strict=True)
    ]
    pages = [each.pages for each in here] if len(here) == 1 else _summed(segments, here)
    for segment, each, counts in zip(segments, here, pages, strict=True):
        if not len(each.numbers):
            yield []
            continue
        classes = near_classes(each.likeness, counts)
        codes = segment.codes(phrase.text)
        yield [Corrected(phrase, codes, each, classes, *_scored(each, classes))]


def _summed(segments: Sequence[Segment], here: Sequence[Corrections]) -> list[Array]:
    """The pages of all segments with each word."""
    words = [
        [*zip(each.places.tolist(), map(segment.folded.__getitem__, each.codes), strict=True)]
        for segment, each in zip(segments, here, strict=True)
    ]
    total: Counter[tuple[int, str]] = Counter()
    for of, each in zip(words, here, strict=True):
        for word, count in zip(of, each.pages.tolist(), strict=True):
            total[word] += count
    return [np.array([total[word] for word in of], np.int64) for of in words]


def _scored(found: Corrections, classes: Array) -> tuple[Array, Array]:
    """Documents, rising, and the best score of each."""
    both = found.documents.astype(np.int64)
    both <<= _SCORE_BITS
    both |= classes[found.numbers] + found.details
    both.sort()
    documents = both >> _SCORE_BITS
    last = np.append(documents[1:] != documents[:-1], True)
    return documents[last], both[last] & (1 << _SCORE_BITS) - 1
