"""Runs of characters that stand on many pages: what phrases of common characters are found by.

A run of k characters is listed at level k where both runs of k − 1 characters in it are *common*:
on more than ``COMMON_PAGES`` pages.  The pairs are level 2.  So a phrase either is a run that is
listed whole, or has a run in it that is on few pages, or is longer than every level; whoever
verifies candidates on the text reads few of them.  Of every common run the best documents are kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np

from search_shard.blocks import Array
from search_shard.buckets import PIECE_ROWS, Pieces, Rows
from search_shard.layout import CHAMPIONS_OF_RUN, LEVELS
from search_shard.lists import TableBuilder, table_builder
from search_shard.postings import TABLE_KINDS, Table
from search_shard.rank import text_scores

COMMON_PAGES: Final = 512
_COMMON_MAX: Final = 60_000  # runs of one level, so that their numbers are u16


def build_levels(
    pairs: TableBuilder, pieces: Pieces, size: int, dampings: Array
) -> dict[str, Array]:
    """The blocks of all levels.

    Args:
        pairs: the rows of ``pieces``, the neighbours in the texts.
        size: one more than the largest code.
    """
    common = _common(pairs)
    blocks = _level(LEVELS[0], pairs, common, dampings)
    numbers, codes, documents, at = _listed(pieces, common, size)
    for level in LEVELS[1:]:
        table = table_builder(_pieces(numbers, codes, documents), len(common) + 1)
        common = _common(table)
        blocks |= _level(level, table, common, dampings)
        longer = _numbers(common, numbers, codes)
        both = np.flatnonzero((longer[:-1] > 0) & (longer[1:] > 0) & (np.diff(at) == 1))
        numbers = longer[both]
        both += 1
        codes, documents, at = codes[both], documents[both], at[both]
    return blocks


def _common(table: TableBuilder) -> Array:
    """first << 16 | second of the runs on more than ``COMMON_PAGES`` pages, of these the most
    frequent ``_COMMON_MAX``, rising."""
    runs, counts = table.longer_than(COMMON_PAGES)
    whole = np.flatnonzero(runs & np.uint32(0xFFFF))  # not what a text ends with
    if len(whole) > _COMMON_MAX:
        order = np.argsort(-counts[whole].astype(np.int64), kind="stable")
        whole = np.sort(whole[order[:_COMMON_MAX]])
    return runs[whole]


def _listed(pieces: Pieces, common: Array, size: int) -> tuple[Array, Array, Array, Array]:
    """Where two common pairs overlap: number of the first (from 1), the third code, document,
    place of the third code."""
    rows, columns = np.zeros(size, np.int64), np.zeros(size, np.int64)
    for ranks, codes in ((rows, common >> 16), (columns, common & 0xFFFF)):
        distinct = np.unique(codes)
        ranks[distinct] = np.arange(1, len(distinct) + 1)
    width = int(columns.max(initial=0)) + 1
    number = np.zeros((int(rows.max(initial=0)) + 1) * width, np.uint16)
    rows *= width
    number[rows[common >> 16] + columns[common & 0xFFFF]] = np.arange(1, len(common) + 1)
    found = [(*(np.empty(0, np.uint16),) * 3, np.empty(0, np.uint32))]
    last, start = np.zeros(1, np.uint16), 0
    for firsts, seconds, documents in pieces():
        pair = np.concatenate([last, number.take(rows.take(firsts) + columns.take(seconds))])
        at = np.flatnonzero((pair[:-1] > 0) & (pair[1:] > 0))
        found.append((pair[at], seconds[at], documents[at], (at + start).astype(np.uint32)))
        last, start = pair[-1:], start + len(firsts)
    numbers, thirds, of, places = map(np.concatenate, zip(*found, strict=True))
    return numbers, thirds, of, places


def _pieces(*columns: Array) -> Pieces:
    def pieces() -> Iterator[Rows]:
        for start in range(0, len(columns[0]), PIECE_ROWS):
            firsts, seconds, documents = (each[start : start + PIECE_ROWS] for each in columns)
            yield firsts, seconds, documents

    return pieces


def _numbers(common: Array, firsts: Array, seconds: Array) -> Array:
    """The number, from 1, of each run that is common; 0 for the others."""
    numbers = np.zeros(len(firsts), np.uint16)
    if len(common):
        maybe = np.zeros(1 << 16, bool)  # by a hash of both, which tells most that are not
        maybe[_hash(common >> np.uint32(16), common)] = True
        here = np.flatnonzero(maybe.take(_hash(firsts, seconds)))
        keys = firsts[here].astype(np.uint32) << np.uint32(16) | seconds[here]
        at = common.searchsorted(keys)
        at[at == len(common)] = 0
        numbers[here] = np.where(common[at] == keys, at + 1, 0)
    return numbers


def _hash(firsts: Array, seconds: Array) -> Array:
    """A number of 16 bits, of the lowest 16 of both."""
    mixed: Array = firsts.astype(np.uint16) * np.uint16(40_503) + seconds.astype(np.uint16)
    return mixed


def _level(level: str, builder: TableBuilder, common: Array, dampings: Array) -> dict[str, Array]:
    """The blocks of a level; ``common``: first << 16 | second of its common runs."""
    arrays = builder.end()
    shape = (len(common), CHAMPIONS_OF_RUN)
    entries = np.zeros(len(common), np.uint32)
    best, often = np.zeros(shape, np.uint16), np.zeros(shape, np.uint8)
    if len(common):
        table = _reader(level, arrays)
    for row, run in enumerate(common.tolist()):
        entries[row] = entry = table.find(run >> 16, run & 0xFFFF)
        documents, counts = table.counted(entry)
        keys = np.arange(len(documents)) - (text_scores(counts, dampings[documents]) << 16)
        keys.partition(CHAMPIONS_OF_RUN - 1)
        places = np.sort(keys[:CHAMPIONS_OF_RUN]) & 0xFFFF
        best[row], often[row] = documents[places], counts[places]
    named = {f"{level}.{name}": array for name, array in arrays.items()}
    return named | {
        f"{level}.common": entries,
        f"{level}.champions": best.ravel(),
        f"{level}.often": often.ravel(),
    }


def _reader(level: str, arrays: Mapping[str, Array]) -> Table:
    blocks = {
        f"{level}.{name}": np.ascontiguousarray(arrays[name], kind).view(np.uint8).data
        for name, kind in TABLE_KINDS.items()
    }
    return Table.over(blocks, level)
