"""Hits and their scores.  Scores are whole numbers that depend on the page and the query alone.

No statistics of a shard or of a segment enter (a query carries the weights of its words), so a page
has the same score whichever replica answers and however its pages were batched.  The surest rule
comes first: the step between classes is wider than everything below it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np

from search_shard.blocks import Array

CLASS_STEP: Final = 10_000
# By lattice.RULES (of wrong characters: near_classes).  Whoever types simplified gets what
# traditional gets, and a page that says the year or the place in another way is as good as one
# that says it as asked.
CLASSES: Final[Mapping[str, int]] = {
    "literal": 2_010_000,
    "typed": 2_010_000,
    "year": 2_000_000,
    "number": 2_000_000,
    "place": 2_000_000,
    "synonym": 2_000_000,
    "pinyin": 1_010_000,  # and more by the word it is written as, see spoken_class
    "initials": 1_000_000,
}
_SPOKEN_STEPS: Final = 90
_NEAR_FIRST: Final = 20  # class of a word as unlike as can be that stands nowhere
NEAR_BELOW: Final = 10  # matches as asked; with fewer, pages with one wrong character are shown too
TITLE_SCORE: Final = 4_000
HEADING_SCORE: Final = 2_000
TEXT_SCORE: Final = 1_000  # never quite reached
_PIVOT_WORDS: Final = 500  # a page as long as this is neither favoured nor held back

HitKey: TypeAlias = tuple[int, str, str, int]  # score, office, item, seq


def spoken_class(pages: int) -> int:
    """What is added to the class of pinyin for a word that so many pages of the shard have; for a
    title or heading the most."""
    return CLASS_STEP * min((pages * pages).bit_length(), _SPOKEN_STEPS - 1)


IN_HEAD: Final = CLASS_STEP * _SPOKEN_STEPS


def near_classes(likeness: Array, pages: Array) -> Array:
    """What all pages with a corrected word score at least: the likelier it was meant, the more.

    ``likeness`` in half bits (:mod:`search_shard.likeness`); ``pages`` of the shard that have it,
    for what stands often is written often.
    """
    _, half_bits = np.frexp(pages.astype(np.float64) ** 2)  # 1 + 2 log₂ of it, the whole part
    classes: Array = CLASS_STEP * (_NEAR_FIRST + likeness + half_bits.astype(np.int64))
    return classes


def damping(sizes: Array) -> Array:
    """What the length of pages of ``sizes`` words takes from a score."""
    held: Array = 600 + 600 * sizes.astype(np.int64) // _PIVOT_WORDS
    return held


def text_scores(counts: Array, dampings: Array) -> Array:
    """Saturating share of ``TEXT_SCORE`` for ``counts`` occurrences: BM25's form with k1 = 1.2 and
    b = 0.5, as the whole part (which no rounding of the division can change)."""
    often = 1000.0 * counts
    scores: Array = (TEXT_SCORE * often / (often + dampings)).astype(np.int64)
    return scores


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a page matches a word of the query: the rule, of lattice.RULES or lattice.NEAR, the
    field, and the text that stands there ("" in a title or heading, but with a wrong character)."""

    word: int
    rule: str
    field: str  # text | title | heading
    found: str


@dataclass(frozen=True, slots=True)
class Line:
    """An occurrence in its context (逐行索引): original text before, of and after it."""

    left: str
    match: str
    right: str


@dataclass(frozen=True, slots=True)
class Hit:
    """A page that matches."""

    office: str
    item: str
    seq: int
    title: str
    page: str
    section: str
    snippet: str  # a piece of the original text
    highlights: tuple[tuple[int, int], ...]  # code points of the snippet, half-open
    reasons: tuple[Reason, ...]  # one for each word that is here
    lines: tuple[Line, ...]  # where asked for
    score: int
    file: str
    log_index: int

    @property
    def key(self) -> HitKey:
        return self.score, self.office, self.item, self.seq


def hit_order(key: HitKey) -> tuple[int, str, str, int]:
    """Best score first; ties by office, item and page, so every node lists them alike."""
    score, office, item, seq = key
    return -score, office, item, seq
