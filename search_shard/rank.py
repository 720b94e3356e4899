"""Scores: whole numbers that depend on the page and the query alone.

No statistics of a shard or of a segment enter, so a page has the same score whichever replica
answers and however its pages were batched.  The cheapest lattice comes first: the step between
classes is wider than everything below it.
"""

from __future__ import annotations

from collections.abc import Mapping

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
