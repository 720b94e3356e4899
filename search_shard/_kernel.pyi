"""Compiled from the C files in search_shard/kernel."""

from collections.abc import Callable

from search_shard.blocks import Array, Buffer
from search_shard.likeness import Alike

class Kernel:
    """Reads a segment's blocks in place and keeps hold of them."""

    def __new__(cls, blocks: tuple[Buffer | Array, ...], /) -> Kernel:
        """``blocks``: points, codes, words, word_at, dampings (i64), totals, champion_at,
        champions, champion_scores, head_words, head_at, title_words, the filter of pairs, the table
        of heads, then of every level its table, common, champions, often.

        Raises:
            ValueError: they do not fit each other.
        """

    def find(
        self,
        words: tuple[tuple[int, tuple[tuple[int, str], ...]], ...],
        limit: int,
        mask: Array | None,
        below: int,
        every: bool,
        segment: int,
        /,
    ) -> tuple[int, list[tuple[int, int, int]], bytes | None]:
        """Documents that have, of every word, one of its phrases.

        ``words``: (weight, phrases), a phrase (class, folded text).  ``mask``: a byte a document,
        0 for those that may not be found.  ``below``: only hits whose score << 16 | 65,535 −
        document is below this are among the best.  Returns how many documents, of the best
        ``limit`` (score, ``segment``, document), and with ``every`` all documents (u16, rising).

        Raises:
            ValueError: a number in the segment leads out of its block.
        """

    def near(
        self,
        text: str,
        alike: Callable[[int], Alike],
        late: Callable[[], bool],
        anything: int,
        fields: int,
        mask: Array | None,
        /,
    ) -> tuple[bytes, ...] | None:
        """The words that differ from ``text``, folded, at one place, and where they stand.

        ``alike``: of a place, see :func:`search_shard.likeness.alike_to`.  ``anything``: a bit for
        each place where any other character may stand in a text.  ``fields``: which to look in, 1
        texts, 2 titles, 4 headings.  ``mask``: as of ``find``; documents it has not are told, but
        not counted.

        Returns the columns of :class:`search_shard.near.Corrections`; None when it got late.

        Raises:
            ValueError: a number in the segment leads out of its block.
        """
