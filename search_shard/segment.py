"""A segment: an immutable, checksummed buffer with the pages of one batch and their index.

Layout and meaning of every block: docs/spec/segment.md.  A segment is built by sorting and read
in place, from bytes or a memory map.
"""

from __future__ import annotations

from array import array as numbers
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from protocol.canonical import Value, decode
from protocol.errors import Corrupt
from protocol.limits import MiB
from search_shard.blocks import Array, Buffer, array, open_blocks
from search_shard.build import build_segment
from search_shard.layout import (
    KINDS,
    LEVEL_KINDS,
    LEVELS,
    MAGIC,
    MEMBERS,
    Page,
    Source,
)
from search_shard.postings import TABLE_KINDS, Table, pair_filter
from search_shard.rank import damping
from search_shard.tables import SYLLABLE_SHIFT, Tables

__all__ = ["Page", "Segment", "build_segment", "merge_segments"]

try:
    from search_shard._kernel import Kernel
except ImportError:  # no compiler was at hand when this was installed
    Kernel = None  # type: ignore[assignment, misc]

_BESIDE = ("pairs", "heads")  # tables of neighbouring characters
_KEPT_CODES = 4096  # of characters asked for, remembered


@dataclass(frozen=True, slots=True)
class Level:
    """Runs of so many characters, and which of them are common."""

    table: Table
    common: memoryview  # entries of the table, rising

    @classmethod
    def over(cls, blocks: Mapping[str, memoryview], level: str) -> Self:
        return cls(
            Table.over(blocks, level),
            blocks[f"{level}.common"].cast("I"),
        )

    def number(self, entry: int) -> int:
        """The number, from 1, of a run among the common ones; 0 if it is not common."""
        at = bisect_left(self.common, entry)
        return at + 1 if at < len(self.common) and self.common[at] == entry else 0


@dataclass(frozen=True, slots=True)
class Segment:
    """A reader.  A *document* is the number of a page here, in order of (office, item, seq)."""

    arrays: Mapping[str, Array]
    tables: Tables
    pairs: Table
    levels: tuple[Level, ...]  # the pairs, runs of three, of four, ...: see search_shard.grams
    syllables: Table
    heads: Table
    beside: Array  # a filter of pairs of neighbours, see postings.pair_filter
    words: memoryview  # the bytes of all texts: u16 codes, a boundary after each text
    word_at: memoryview
    totals: memoryview  # code → documents that have it, less one
    champion_at: memoryview  # first of the best documents of each code, and the end
    dampings: Array  # of each document, see rank.damping
    home_at: Array  # syllable → first code at home in it; the end, too
    guests: Mapping[int, Sequence[int]]  # syllable → codes that are read so beside
    homes: Array  # code → number of its syllable from 1; 0: not read
    folded: str  # code → folded character
    newest: int  # the highest log index of its pages
    kernel: Kernel | None  # None where it was not compiled
    items: tuple[tuple[str, str], ...]  # (office, item), rising
    item_at: numbers[int]  # first document of each item, and the end
    numbers: Mapping[str, int]  # item → its place in items
    known: dict[str, int] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def open(cls, buffer: Buffer, tables: Tables) -> Self:
        """Verify every checksum and lay the arrays over ``buffer``.

        Raises:
            Corrupt: damaged, or made with other reading tables; build it again.
        """
        digest, blocks = open_blocks(buffer, MAGIC, "segment")
        if blocks.keys() != KINDS.keys():
            raise Corrupt("segment", "the blocks of this format", sorted(blocks)[:8])
        if digest != tables.digest:
            raise Corrupt("segment", "the reading tables in use", "others; build it again")
        arrays = {name: array(blocks[name], kind) for name, kind in KINDS.items()}
        classes = np.empty(len(arrays["points"]), np.uint32)
        classes[arrays["codes"].astype(np.int64) - 1] = arrays["points"]
        homes, home_at, guests = _readings(classes, tables)
        items, item_at = _items(arrays)
        dampings = damping(np.diff(arrays["word_at"]))
        beside = pair_filter(
            *((arrays[f"{table}.first_at"], arrays[f"{table}.seconds"]) for table in _BESIDE)
        )
        return cls(
            arrays=arrays,
            tables=tables,
            pairs=Table.over(blocks, "pairs"),
            levels=tuple(Level.over(blocks, level) for level in LEVELS),
            syllables=Table.over(blocks, "syllables"),
            heads=Table.over(blocks, "heads"),
            beside=beside,
            words=blocks["words"],
            word_at=blocks["word_at"].cast("I"),
            totals=blocks["totals"].cast("H"),
            champion_at=blocks["champion_at"].cast("I"),
            dampings=dampings,
            home_at=home_at,
            guests=guests,
            homes=homes,
            folded="\0" + classes.tobytes().decode("utf-32-le", "surrogatepass"),
            newest=int(arrays["logged"].max(initial=0)),
            kernel=_kernel(blocks, dampings, beside),
            items=items,
            item_at=item_at,
            numbers={item: number for number, (_, item) in enumerate(items)},
        )

    @property
    def pages(self) -> int:
        return len(self.arrays["source_of"])

    @property
    def nbytes(self) -> int:
        return sum(block.nbytes for block in self.arrays.values())

    def code(self, character: str) -> int:
        """Code of a folded character; 0 if no page has it."""
        code = self.known.get(character)
        if code is None:
            points = self.arrays["points"]
            at = int(points.searchsorted(np.uint32(ord(character))))
            here = at < len(points) and int(points[at]) == ord(character)
            code = int(self.arrays["codes"][at]) if here else 0
            if len(self.known) >= _KEPT_CODES:
                self.known.clear()
            self.known[character] = code
        return code

    def codes(self, text: str) -> list[int]:
        """Codes of folded characters, 0 for what no page has."""
        known = self.known
        try:
            return [known[character] for character in text]
        except KeyError:
            return [self.code(character) for character in text]

    def codes_of(self, characters: str) -> Array:
        """Codes of those of many folded characters that are here, rising."""
        codes, _ = self.places_of(characters)
        codes.sort()
        return codes

    def places_of(self, characters: str) -> tuple[Array, Array]:
        """Codes of those of many folded characters that are here, and the place of each."""
        wanted = np.frombuffer(characters.encode("utf-32-le", "surrogatepass"), np.uint32)
        points = self.arrays["points"]
        if not len(points):
            return np.empty(0, np.int64), np.empty(0, np.int64)
        at = points.searchsorted(wanted)
        at[at == len(points)] = 0
        places = np.flatnonzero(points[at] == wanted)
        codes: Array = self.arrays["codes"][at[places]].astype(np.int64)
        return codes, places

    def codes_of_syllable(self, syllable: str) -> list[tuple[int, int]]:
        """Half-open ranges of codes read so: the home range, then the guests."""
        number = self.tables.syllable_number(syllable)
        if number is None:
            return []
        home = self.home_of_syllable(syllable)
        away = [(code, code + 1) for code in self.guests.get(number, ())]
        return [home, *away] if home[0] < home[1] else away

    def home_of_syllable(self, syllable: str) -> tuple[int, int]:
        """Half-open range of the codes that are at home in a syllable of the tables."""
        number = self.tables.syllable_number(syllable)
        assert number is not None, syllable
        return int(self.home_at[number]), int(self.home_at[number + 1])

    def spoken(self, document: int) -> str:
        """The words of a text as a string of codes, the boundary left out."""
        return str(
            self.words[2 * self.word_at[document] : 2 * self.word_at[document + 1] - 2], "utf-16-le"
        )

    def owner_of(self, document: int) -> tuple[str, str]:
        """Office and item of a page."""
        return self.items[bisect_right(self.item_at, document) - 1]

    def source(self, document: int) -> Source:
        number = int(self.arrays["source_of"][document])
        return Source(*self._record("source", number))  # type: ignore[misc]

    def seq(self, document: int) -> int:
        """Place of a page in its item."""
        return int(self.arrays["seqs"][document])

    def label(self, document: int) -> str:
        return str(self._record("label", document))

    def title_and_heading(self, document: int) -> tuple[str, str]:
        """Words of the title and of the heading that stand at a page, as strings of codes."""
        at, end = (int(place) for place in self.arrays["head_at"][document : document + 2])
        half = at + int(self.arrays["title_words"][document])
        words = self.arrays["head_words"]
        title, heading = words[at:half].tobytes(), words[half:end].tobytes()
        return title[:-2].decode("utf-16-le"), heading[:-2].decode("utf-16-le")

    def shape(self, document: int) -> Array:
        """For each character of the original text whether it is a word's (True) or skipped."""
        words, skips = self.arrays["word_at"], self.arrays["skip_at"]
        start = int(words[document]) + int(skips[document])
        end = int(words[document + 1]) + int(skips[document + 1]) - 1  # less the boundary
        bits = np.unpackbits(self.arrays["shape"][start // 8 : (end + 7) // 8])
        return bits[start % 8 : start % 8 + end - start].astype(bool)

    def written(self, document: int) -> Array:
        """The original characters (code points) of the words of a text."""
        start, end = int(self.word_at[document]), int(self.word_at[document + 1]) - 1
        at = np.arange(start, end)
        forms = self.forms(at)
        place = self.arrays["words"][start:end].astype(np.int64) * MEMBERS
        points: Array = self.arrays["members"][place + np.minimum(forms, MEMBERS - 1)]
        first = int(self.arrays["odd_at"][document])
        strange = forms == MEMBERS
        points[strange] = self.arrays["odd"][first : first + int(strange.sum())]
        return points

    def forms(self, at: Array) -> Array:
        """Which member of its class each of the words ``at`` is; ``MEMBERS``: an exception."""
        packed = self.arrays["which"][at >> 2]
        forms: Array = packed >> ((at & 3) << 1).astype(np.uint8) & np.uint8(3)
        return forms

    def text(self, document: int) -> str:
        """The original text of a page."""
        shape = self.shape(document)
        points = np.empty(len(shape), np.uint32)
        start, end = self.arrays["skip_at"][document : document + 2]
        points[shape] = self.written(document)
        points[~shape] = self.arrays["skipped"][self.arrays["skips"][start:end]]
        return points.tobytes().decode("utf-32-le", "surrogatepass")

    def read_pages(self) -> Iterator[Page]:
        """The pages as they were handed in, in order."""
        for document in range(self.pages):
            source = self.source(document)
            yield Page(
                source.item,
                source.office,
                self.seq(document),
                self.label(document),
                source.title,
                source.section,
                self.text(document),
                source.file,
                source.log_index,
            )

    def _record(self, table: str, number: int) -> Value:
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


_KERNEL_BLOCKS = (  # as search_shard/_kernel.pyi has them, the dampings and the filter aside
    *("points", "codes", "words", "word_at"),
    *("totals", "champion_at", "champions", "champion_scores"),
    *("head_words", "head_at", "title_words"),
    *(f"heads.{name}" for name in TABLE_KINDS),
    *(f"{level}.{name}" for level in LEVELS for name in (*TABLE_KINDS, *LEVEL_KINDS)),
)


def _kernel(blocks: Mapping[str, memoryview], dampings: Array, beside: Array) -> Kernel | None:
    if Kernel is None:
        return None
    named = [blocks[name] for name in _KERNEL_BLOCKS]
    try:
        damped = dampings.astype(np.int64, copy=False)
        return Kernel((*named[:4], damped, *named[4:11], beside, *named[11:]))
    except ValueError as error:
        raise Corrupt("segment", "blocks that fit each other", str(error)) from error


def _read_record(arrays: Mapping[str, Array], table: str, number: int) -> Value:
    start, end = arrays[f"{table}_at"][number : number + 2]
    data = arrays[f"{table}s"][start:end].tobytes()
    return decode(data, bytes_max=MiB, where="segment record")


def _readings(classes: Array, tables: Tables) -> tuple[Array, Array, dict[int, list[int]]]:
    """Syllable of every code, first code of every syllable, and the codes read so beside."""
    none = len(tables.syllables)
    home = (tables.keys(classes) >> SYLLABLE_SHIFT).astype(np.int64)
    homes = np.concatenate([[0], np.where(home == none, 0, home + 1)]).astype(np.uint16)
    guests: dict[int, list[int]] = {}
    for place, syllable in zip(
        *(found.tolist() for found in tables.guests_of(classes)), strict=True
    ):
        guests.setdefault(syllable, []).append(place + 1)
    return homes, np.searchsorted(home, np.arange(none + 1)) + 1, guests


def _items(arrays: Mapping[str, Array]) -> tuple[tuple[tuple[str, str], ...], numbers[int]]:
    of_page = arrays["source_of"]
    turns = np.flatnonzero(np.diff(of_page, prepend=~of_page[:1]) != 0)
    items: list[tuple[str, str]] = []
    starts = numbers("q")
    for start in turns.tolist():
        record = _read_record(arrays, "source", int(of_page[start]))
        assert type(record) is tuple, "the checksum held, so we wrote it, and we write tuples"
        owner = str(record[0]), str(record[1])
        if not items or items[-1] != owner:
            items.append(owner)
            starts.append(start)
    starts.append(len(of_page))
    return tuple(items), starts
