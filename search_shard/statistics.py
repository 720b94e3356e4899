"""How rare is a word in the whole network?  Sketches of document frequencies, summed and signed.

A *sketch* counts, in a fixed number of cells, the pages that a folded character or a pair of
neighbouring ones stands in; what shares a cell is counted together, so a count is never too low.
Sketches add up.  The province sums those of all shards and signs the result as an *epoch*: one byte
a cell, an eighth of a power of two each.  A node weighs the words of a query by an epoch in whole
numbers, so every node that has it gives a page the same score.  Only what the public may read is
counted.  Specification: docs/spec/statistics.md.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import numpy as np

from protocol.errors import DecodeError
from protocol.ids import NetworkId
from protocol.limits import STATISTICS_BYTES_MAX
from protocol.shapes import pack, unpack
from search_shard.blocks import Array
from search_shard.lattice import SPOKEN, WEIGHT_MAX, Phrase, Query, Word
from search_shard.shard import Shard

FORMAT: Final = "fangzhi/statistics/1"
CELL_BITS: Final = 18
CELLS: Final = 1 << CELL_BITS
STEPS: Final = 8  # of a level, for each doubling of a count
WEIGHT_MIN: Final = 10  # hundredths of a nat: a word that is everywhere still counts a little
_MIX_FIRST: Final = 0x9E3779B97F4A7C15
_MIX_SECOND: Final = 0xC2B2AE3D27D4EB4F
_WORD: Final = 0xFFFFFFFFFFFFFFFF
_MILLINATS: Final = 8664  # ln 2 / STEPS, in hundred-thousandths of a nat: 100 × a weight's unit


@dataclass(frozen=True, slots=True)
class Statistics:
    """An epoch: ``levels`` has one byte a cell (:func:`level`)."""

    format: str
    network: NetworkId
    pages: int
    levels: bytes

    def encoded(self) -> bytes:
        return pack(self)


def read_statistics(data: bytes, network: NetworkId) -> Statistics:
    """
    Raises:
        DecodeError: not the file of an epoch of this network.
    """
    read = unpack(Statistics, data, bytes_max=STATISTICS_BYTES_MAX, where="statistics")
    if read.format != FORMAT or len(read.levels) != CELLS:
        raise DecodeError("statistics", f"{FORMAT} with {CELLS} cells", read.format[:40])
    if read.network != network:
        raise DecodeError("statistics.network", network.short, read.network.short)
    return read


# ---- counting


class Counts:
    """A sketch that is added to."""

    def __init__(self) -> None:
        self.pages = 0
        self._cells = np.zeros(CELLS, np.int64)

    def add(self, characters: Array, starts: Array) -> None:
        """Pages of folded text: ``characters`` are code points, 0 where a text ends or is
        interrupted; ``starts`` are where each page begins, and the end."""
        self.pages += len(starts) - 1
        place = np.empty(CELLS + 1, np.int64)  # of a cell among those of a page
        for begin, end in pairwise(starts.tolist()):
            met = _met(characters[begin:end].astype(np.uint64))
            at = np.arange(len(met))
            place[met] = at
            self._cells[met[place[met] == at]] += 1  # each cell once: where it was written last

    def add_shard(self, shard: Shard) -> None:
        """The pages that a shard shows."""
        for segment, mask in zip(shard.segments, shard.shown, strict=True):
            words, word_at = segment.arrays["words"], segment.arrays["word_at"].astype(np.int64)
            folded = np.zeros(int(segment.arrays["codes"].max(initial=0)) + 1, np.uint32)
            folded[segment.arrays["codes"]] = segment.arrays["points"]
            if mask is not None:
                runs = [words[word_at[at] : word_at[at + 1]] for at in np.flatnonzero(mask)]
                words = np.concatenate([np.empty(0, np.uint16), *runs])
                word_at = np.cumsum([0, *map(len, runs)])
            self.add(folded[words], word_at)

    def join(self, pages: int, counts: bytes) -> None:
        """Add what :meth:`encoded` gave elsewhere.

        Raises:
            DecodeError: no such bytes, or a count beyond the pages.
        """
        unpacker = zlib.decompressobj()
        try:
            raw = unpacker.decompress(counts, 4 * CELLS + 1)
        except zlib.error as error:
            raise DecodeError("sketch", "compressed counts", str(error)[:80]) from error
        if len(raw) != 4 * CELLS or not unpacker.eof or unpacker.unused_data:
            raise DecodeError("sketch", f"{CELLS} counts", f"{len(raw)} bytes")
        cells = np.frombuffer(raw, "<u4")
        if cells.max(initial=0) > pages:
            raise DecodeError("sketch", f"counts of up to {pages} pages", int(cells.max()))
        self.pages += pages
        self._cells += cells

    def encoded(self) -> bytes:
        return zlib.compress(np.minimum(self._cells, 0xFFFFFFFF).astype("<u4").tobytes(), 1)

    def epoch(self, network: NetworkId) -> Statistics:
        """What has been added up, ready to be signed."""
        levels = np.floor(STEPS * np.log2(1 + self._cells)).clip(0, 255).astype(np.uint8)
        return Statistics(FORMAT, network, self.pages, levels.tobytes())


def _met(points: Array) -> Array:
    """The cells of a page's characters and pairs."""
    alone = _cells_of(points, np.zeros_like(points))
    pairs = _cells_of(points[:-1], points[1:])
    kept = points > 0
    return np.concatenate([alone[kept], pairs[kept[:-1] & kept[1:]]]).astype(np.int64)


def level(count: int) -> int:
    """Eighths of powers of two: ⌊8 log₂(1 + count)⌋, at most 255."""
    return min(math.floor(STEPS * math.log2(1 + count)), 255)


def cell(text: str) -> int:
    """Where one or two folded characters are counted."""
    first, second = ord(text[0]), ord(text[1]) if len(text) > 1 else 0
    mixed = (first * _MIX_FIRST ^ (second + 1) * _MIX_SECOND) & _WORD
    mixed = (mixed ^ mixed >> 29) * _MIX_FIRST & _WORD
    return mixed >> 64 - CELL_BITS


def _cells_of(first: Array, second: Array) -> Array:
    """As :func:`cell`, of many."""
    mixed = first * np.uint64(_MIX_FIRST) ^ (second + np.uint64(1)) * np.uint64(_MIX_SECOND)
    mixed = (mixed ^ mixed >> np.uint64(29)) * np.uint64(_MIX_FIRST)
    cells: Array = mixed >> np.uint64(64 - CELL_BITS)
    return cells


# ---- weighing


def weigh(query: Query, epoch: Statistics | None, fold: Callable[[str], str]) -> Query:
    """The query with the weight of every word, in hundredths of a nat: ln of (pages + 1) over
    (pages with it + 1), taken from the rarest pair of a phrase and the most frequent phrase.

    Without an epoch the weights stay as they are.  ``fold`` folds one character.
    """
    if epoch is None:
        return query
    words = tuple(replace(word, weight=_weight(word, epoch, fold)) for word in query.words)
    return replace(query, words=words)


def _weight(word: Word, epoch: Statistics, fold: Callable[[str], str]) -> int:
    levels = [least for phrase in word.phrases for least in _rarest(phrase, epoch, fold)]
    everywhere = level(epoch.pages)
    # of what is only told by its sounds nothing is known: half way between none and all
    frequent = max(levels) if levels else everywhere // 2
    weight = max(everywhere - frequent, 0) * _MILLINATS // 1000
    return min(max(weight, WEIGHT_MIN), WEIGHT_MAX)


def _rarest(phrase: Phrase, epoch: Statistics, fold: Callable[[str], str]) -> Iterator[int]:
    """The level of the rarest pair of a phrase; of its rarest character when it has no pair."""
    text = "".join(SPOKEN if each == SPOKEN else fold(each) for each in phrase.text)
    pairs = [text[at : at + 2] for at in range(len(text) - 1) if SPOKEN not in text[at : at + 2]]
    known = pairs or [each for each in text if each != SPOKEN]
    if known:
        yield min(epoch.levels[cell(part)] for part in known)
