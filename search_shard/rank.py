"""Hits and their scores.  Scores are whole numbers that depend on the page and the query alone.

No statistics of a shard or of a segment enter, so a page has the same score whichever replica
answers and however its pages were batched.  The cheapest lattice comes first: the step between
classes is wider than everything below it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from search_shard.blocks import Array

# The same class for exact and variant: whoever types simplified gets what traditional gets.
CLASS_SCORES: Mapping[str, int] = {
    "exact": 50_000,
    "variant": 50_000,
    "pinyin": 40_000,
    "initials": 30_000,
    "sound": 20_000,
    "shape": 10_000,
}
NEAR_BELOW = 10  # matches as asked; with fewer, pages with one wrong character are shown too
TITLE_SCORE = 4_000
HEADING_SCORE = 2_000
TEXT_SCORE = 1_000  # never quite reached
_PIVOT_WORDS = 500  # a page as long as this is neither favoured nor held back


def text_scores(counts: Array, sizes: Array) -> Array:
    """Saturating share of ``TEXT_SCORE`` for ``counts`` occurrences in pages of ``sizes`` words.

    BM25's form with k1 = 1.2 and b = 0.5 in whole numbers.
    """
    damping = 600 + 600 * sizes.astype("i8") // _PIVOT_WORDS
    scores: Array = TEXT_SCORE * 1000 * counts // (1000 * counts + damping)
    return scores


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
    matched_by: str  # one of query.WHYS; "title:" before it when only a title or heading matches
    score: int
    file: str
    log_index: int


@dataclass(frozen=True, slots=True)
class ShardAnswer:
    """``total`` pages match; hits are the best of them in :func:`hit_order`.

    Hits with a wrong character stand after all others and only where fewer than ``NEAR_BELOW``
    pages match as asked; an answer that has any lists all that match as asked.
    """

    total: int
    total_is_exact: bool
    hits: tuple[Hit, ...]


def hit_order(hit: Hit) -> tuple[int, str, str, int]:
    """Best score first; ties by office, item and page, so every node lists them alike."""
    return -hit.score, hit.office, hit.item, hit.seq


def is_near(hit: Hit) -> bool:
    """Whether the page matches only with a wrong character."""
    return hit.matched_by.removeprefix("title:") in ("sound", "shape")
