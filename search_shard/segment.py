"""A segment: an immutable, checksummed buffer with the pages of one batch and their index.

Layout and meaning of every block: docs/spec/segment.md.  A segment is built by sorting and read
in place, from bytes or a memory map.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Self

import numpy as np

from protocol.canonical import Value, decode
from protocol.errors import Corrupt
from protocol.limits import MiB
from search_shard.blocks import Array, Buffer, array, open_blocks
from search_shard.build import build_segment
from search_shard.layout import KINDS, MAGIC, Page, Source, ragged
from search_shard.tables import SYLLABLE_SHIFT, Tables

__all__ = ["Codes", "Page", "Segment", "build_segment", "merge_segments"]


@dataclass(frozen=True, slots=True)
class Codes:
    """A set of codes of one segment."""

    ranges: tuple[tuple[int, int], ...]  # half-open, sorted, disjoint
    mask: Array  # bool for every code
    weight: int  # lists that begin with one of these: how frequent they are, roughly


@dataclass(frozen=True, slots=True)
class Segment:
    """A reader.  A *document* is the number of a page here, in order of (office, item, seq)."""

    arrays: Mapping[str, Array]
    tables: Tables
    skipped: int  # codes 1..skipped are passed over in matching; the rest are in global order
    keys: Array  # u64: global order of the codes above ``skipped``
    guests: Array  # u64, sorted: syllable << 16 | code, for readings beyond the home one
    items: Mapping[str, tuple[int, int]]  # item → its documents, half-open
    head_documents: Array  # documents that carry a title or a heading
    head_words: Array  # their titles and headings, one after another
    head_at: Array  # where each one's part begins, and the end
    resolved: dict[object, Codes] = field(  # cells that were asked for, see match.resolve
        default_factory=dict, repr=False, compare=False
    )

    @classmethod
    def open(cls, buffer: Buffer, tables: Tables) -> Self:
        """Verify every checksum and lay the arrays over ``buffer``.

        Raises:
            Corrupt: damaged, or made with other reading tables; build it again.
        """
        header, blocks = open_blocks(buffer, MAGIC, "segment")
        if blocks.keys() != KINDS.keys() or type(header) is not tuple or len(header) != 2:
            raise Corrupt("segment", "the blocks of this format", sorted(blocks))
        digest, skipped = header
        if digest != tables.digest or type(skipped) is not int:
            raise Corrupt("segment", "the reading tables in use", "others; build it again")
        arrays = {name: array(blocks[name], kind) for name, kind in KINDS.items()}
        characters = arrays["chars"][skipped + 1 :]
        return cls(
            arrays,
            tables,
            skipped,
            tables.keys(characters),
            _guest_codes(characters, skipped, tables),
            _item_ranges(arrays),
            *_heads(arrays),
        )

    @property
    def pages(self) -> int:
        return len(self.arrays["source_of"])

    @property
    def nbytes(self) -> int:
        return sum(block.nbytes for block in self.arrays.values())

    def codes_of_keys(self, keys: Array, span: int) -> list[tuple[int, int]]:
        """Half-open ranges of codes whose order is in key .. key + span; empty ones left out."""
        lows = (self.keys.searchsorted(keys) + (self.skipped + 1)).tolist()
        highs = (self.keys.searchsorted(keys + np.uint64(span)) + (self.skipped + 1)).tolist()
        return [pair for pair in zip(lows, highs, strict=True) if pair[0] < pair[1]]

    def codes_of_syllable(self, syllable: int) -> list[tuple[int, int]]:
        """Ranges of codes read so: the home range, then one for each guest."""
        bounds = np.array([syllable << 16, (syllable + 1) << 16], dtype=np.uint64)
        low, high = np.searchsorted(self.guests, bounds)
        guests = (self.guests[low:high] & np.uint64(0xFFFF)).tolist()
        key = np.array([syllable], dtype=np.uint64) << SYLLABLE_SHIFT
        home = self.codes_of_keys(key, 1 << int(SYLLABLE_SHIFT))
        return [*home, *((code, code + 1) for code in guests)]

    def source(self, document: int) -> Source:
        number = int(self.arrays["source_of"][document])
        return Source(*self._record("source", number))  # type: ignore[arg-type]

    def label(self, document: int) -> tuple[int, str]:
        """Place in the item and label of a page."""
        seq, page = self._record("label", document)
        return seq, page  # type: ignore[return-value]

    def words(self, document: int) -> Array:
        """Codes of a page without what is skipped: title, heading, text, each ended by 0."""
        start, end = self.arrays["word_at"][document : document + 2]
        return self.arrays["words"][start:end]

    def fields(self, document: int) -> tuple[int, int]:
        """Where heading and text begin in :meth:`words`."""
        title = int(self.arrays["title_words"][document])
        return title, title + int(self.arrays["heading_words"][document])

    def shape(self, document: int) -> Array:
        """For each character of the original text whether it is a word's (True) or skipped."""
        start, end = (int(at) for at in self.arrays["shape_at"][document : document + 2])
        bits = np.unpackbits(self.arrays["shape"][start // 8 : (end + 7) // 8])
        return bits[start % 8 : start % 8 + end - start].astype(bool)

    def text(self, document: int) -> str:
        """The original text of a page."""
        shape = self.shape(document)
        codes = np.empty(len(shape), dtype=np.uint16)
        start, end = self.arrays["skip_at"][document : document + 2]
        codes[shape] = self.words(document)[self.fields(document)[1] : -1]
        codes[~shape] = self.arrays["skips"][start:end]
        return self.arrays["chars"][codes].tobytes().decode("utf-32-le", "surrogatepass")

    def read_pages(self) -> Iterator[Page]:
        """The pages as they were handed in, in order."""
        for document in range(self.pages):
            source, (seq, label) = self.source(document), self.label(document)
            yield Page(
                source.item,
                source.office,
                seq,
                label,
                source.title,
                source.section,
                self.text(document),
                source.file,
                source.log_index,
            )

    def _record(self, table: str, number: int) -> tuple[Value, ...]:
        return _read_record(self.arrays, table, number)


def merge_segments(
    segments: Sequence[Segment], deleted_items: frozenset[str], tables: Tables
) -> bytes:
    """One segment of what the others hold, less the deleted items; the bytes are those of
    :func:`build_segment` over the remaining pages.

    Raises:
        Rejected: more than 65,536 pages remain.
    """
    kept = [
        page
        for segment in segments
        for page in segment.read_pages()
        if page.item not in deleted_items
    ]
    return build_segment(kept, tables)


def _read_record(arrays: Mapping[str, Array], table: str, number: int) -> tuple[Value, ...]:
    start, end = arrays[f"{table}_at"][number : number + 2]
    data = arrays[f"{table}s"][start:end].tobytes()
    value = decode(data, bytes_max=MiB, where="segment record")
    assert type(value) is tuple, "the checksum held, so we wrote it, and we write tuples"
    return value


def _guest_codes(characters: Array, skipped: int, tables: Tables) -> Array:
    """Further readings of the characters that this segment has."""
    order = np.argsort(characters)
    at = np.searchsorted(characters, tables.guest_codepoints, sorter=order)
    at = order[np.minimum(at, len(order) - 1)] if len(order) else at[:0]
    here = characters[at] == tables.guest_codepoints if len(order) else at == 1
    codes = at[here].astype(np.uint64) + np.uint64(skipped + 1)
    syllables = tables.guest_syllables[here] if len(order) else tables.guest_syllables[:0]
    found: Array = syllables.astype(np.uint64) << np.uint64(16) | codes
    found.sort()
    return found


def _item_ranges(arrays: Mapping[str, Array]) -> dict[str, tuple[int, int]]:
    numbers = arrays["source_of"]
    turns = np.flatnonzero(numbers[1:] != numbers[:-1]) + 1
    edges = [0, *turns.tolist(), len(numbers)] if len(numbers) else [0]
    ranges: dict[str, tuple[int, int]] = {}
    for start, end in pairwise(edges):
        item = str(_read_record(arrays, "source", int(numbers[start]))[1])
        ranges[item] = (ranges.get(item, (start, end))[0], end)
    return ranges


def _heads(arrays: Mapping[str, Array]) -> tuple[Array, Array, Array]:
    sizes = arrays["title_words"].astype(np.int64) + arrays["heading_words"]
    documents = np.flatnonzero(sizes)
    at = np.concatenate([[0], np.cumsum(sizes[documents])]).astype(np.int64)
    words: Array = arrays["words"][ragged(arrays["word_at"][documents], sizes[documents])]
    return documents, words, at
