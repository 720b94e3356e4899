"""Compiled from kernel.c."""

from search_shard.blocks import Array, Buffer

class Kernel:
    """Reads a segment's blocks in place and keeps hold of them."""

    def __new__(cls, blocks: tuple[Buffer | Array, ...], /) -> Kernel:
        """``blocks``: points, codes, words, word_at, dampings (i64), totals, champion_at,
        champions, champion_scores, head_words, head_at, title_words, the table of heads, then of
        every level its table, common, champions, often.

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

    def often(self, codes: Array, at: int, others: Array, keys: Array, /) -> bytes:
        """How often (u8) phrases that differ from ``codes`` (u16) at one place stand in texts: for
        each of ``keys`` (u64) number among ``others`` (u16) << 16 | document.

        Raises:
            ValueError: a key names no document or no other.
        """

    def around(self, codes: Array, at: int, documents: Array, /) -> bytes:
        """What else stands at a place of a phrase in texts of ``documents`` (u16), the rest of it
        being there: code << 16 | document (u32) for every time.

        Raises:
            ValueError: there is no such document.
        """
