"""Pages to a segment, by sorting: one u64 for every pair of neighbouring characters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple

import numpy as np

from protocol.errors import Rejected
from search_shard.blocks import Array, pack_blocks
from search_shard.fold import is_skipped
from search_shard.layout import BOUNDARY, KINDS, MAGIC, Page, Source, records
from search_shard.tables import Tables

SEGMENT_PAGES_MAX = 65_536  # a document is a u16
_CHARACTERS_MAX = 65_535  # and so is a code, one of which is the boundary
_SORT_PAIRS = 8_000_000  # sorted at a time: 64 MB, so that memory does not follow the text
_REPLACEMENT = 0xFFFD
_HEAD_CHARS_MAX = 65_000  # of a title or heading that is searchable


def build_segment(pages: Sequence[Page], tables: Tables) -> bytes:
    """The segment of ``pages``; equal pages in any order give equal bytes.

    In a batch with more than 65,535 distinct characters the rarest are kept as U+FFFD.

    Raises:
        Rejected: more than 65,536 pages.
    """
    if len(pages) > SEGMENT_PAGES_MAX:
        raise Rejected("segment", f"at most {SEGMENT_PAGES_MAX} pages", len(pages))
    ordered = sorted(pages, key=lambda page: (page.office, page.item, page.seq, page.page))
    points, lengths = _code_points(ordered)
    characters, skipped, code_of = _number_characters(points, tables)
    codes = code_of[points]
    arrays = {"chars": characters, **_lay_out(codes, lengths, skipped), **_records(ordered)}
    arrays |= _postings(arrays["words"], arrays["word_at"], len(characters))
    blocks = {
        name: np.ascontiguousarray(arrays[name], dtype=kind).data for name, kind in KINDS.items()
    }
    return pack_blocks(MAGIC, (tables.digest, skipped), blocks)


def _code_points(pages: Sequence[Page]) -> tuple[Array, Array]:
    """All characters to index, and the lengths of title, heading and text of each page.

    A title stands at the first page of its item, a heading at the first page of its section, so
    that a title that matches is one hit and not one for every page.
    """
    fields: list[str] = []
    seen: set[tuple[str, ...]] = set()
    for page in pages:
        for kind, name in (("title", page.title), ("section", page.section)):
            mark = (kind, page.office, page.item, name)
            fields.append("" if mark in seen else name[:_HEAD_CHARS_MAX])
            seen.add(mark)
        fields.append(page.text)
    lengths = np.fromiter(map(len, fields), dtype=np.int64, count=len(fields))
    encoded = "".join(fields).encode("utf-32-le", "surrogatepass")
    return np.frombuffer(encoded, dtype="<u4"), lengths


def _number_characters(points: Array, tables: Tables) -> tuple[Array, int, Array]:
    """Characters by code, how many codes are skipped ones, and code point → code."""
    counts = np.bincount(points, minlength=_REPLACEMENT + 1)
    distinct = np.flatnonzero(counts).astype(np.uint32)
    replaced = distinct[:0]
    if len(distinct) > _CHARACTERS_MAX:
        by_count = np.argsort(-counts[distinct], kind="stable")
        replaced = distinct[by_count[_CHARACTERS_MAX - 1 :]]
        distinct = np.union1d(distinct[by_count[: _CHARACTERS_MAX - 1]], [_REPLACEMENT])
        distinct = distinct.astype(np.uint32)
    skipped = np.array([is_skipped(chr(point)) for point in distinct.tolist()], dtype=bool)
    read = distinct[~skipped]
    read = read[np.argsort(tables.keys(read), kind="stable")]
    characters = np.concatenate([[0], distinct[skipped], read]).astype(np.uint32)
    code_of = np.zeros(len(counts), dtype=np.uint16)
    code_of[characters[1:]] = np.arange(1, len(characters), dtype=np.uint16)
    code_of[replaced] = code_of[_REPLACEMENT]
    return characters, int(skipped.sum()), code_of


def _lay_out(codes: Array, lengths: Array, skipped: int) -> dict[str, Array]:
    """Words with their boundaries, skipped characters, and the bits that tell which is where."""
    is_word = codes > skipped
    before = np.concatenate([[0], np.cumsum(is_word)])
    ends = np.cumsum(lengths)
    counts = before[ends] - before[ends - lengths]  # words of each field
    is_text = np.arange(len(lengths)) % 3 == 2
    closed = is_text | (counts > 0)
    boundaries = np.cumsum(closed) - closed
    words = np.full(int(counts.sum() + closed.sum()), BOUNDARY, dtype=np.uint16)
    words[np.arange(int(counts.sum())) + np.repeat(boundaries, counts)] = codes[is_word]
    sizes = (counts + closed).reshape(-1, 3)
    in_text = np.repeat(is_text, lengths)
    text_sizes, text_words = lengths.reshape(-1, 3)[:, 2], counts.reshape(-1, 3)[:, 2]
    return {
        "words": words,
        "word_at": _starts(sizes.sum(axis=1)),
        "title_words": sizes[:, 0],
        "heading_words": sizes[:, 1],
        "skips": codes[in_text & ~is_word],
        "skip_at": _starts(text_sizes - text_words),
        "shape": np.packbits(is_word[in_text]),
        "shape_at": _starts(text_sizes),
    }


def _postings(words: Array, word_at: Array, codes: int) -> dict[str, Array]:
    """For every pair of neighbours the documents that have it, and how often where that is
    more than once.  The last character of a field is paired with the boundary, so the pairs of
    a first character are all of its occurrences."""
    documents = np.repeat(np.arange(len(word_at) - 1, dtype=np.uint16), np.diff(word_at))
    firsts, seconds = words[:-1], words[1:]
    totals = np.cumsum(np.bincount(firsts, minlength=codes)[1:])
    runs, counts = [], []
    for low, high in _partitions(totals):
        at = np.flatnonzero((firsts >= low) & (firsts < high))
        key = firsts[at].astype(np.uint64) << np.uint64(32)
        key |= seconds[at].astype(np.uint64) << np.uint64(16)
        key |= documents[at]
        key.sort()
        turns = np.concatenate([[True], key[1:] != key[:-1]]) if len(key) else np.empty(0, bool)
        starts = np.flatnonzero(turns)
        runs.append(key[starts])
        counts.append(np.diff(np.append(starts, len(key))))
    run = np.concatenate(runs) if runs else np.empty(0, np.uint64)
    count = np.concatenate(counts) if counts else np.empty(0, np.int64)
    pair = run >> np.uint64(16)
    new = np.flatnonzero(np.concatenate([[True], pair[1:] != pair[:-1]])) if len(pair) else run
    pair = pair[new.astype(np.int64)]
    often = np.flatnonzero(count > 1)
    return {
        "first_at": np.searchsorted(pair >> np.uint64(16), np.arange(codes + 1, dtype=np.uint64)),
        "seconds": pair & np.uint64(0xFFFF),
        "list_at": np.append(new, len(run)),
        "lists": run & np.uint64(0xFFFF),
        "often_at": often,
        "often": np.minimum(count[often], 0xFFFF),
    }


def _partitions(totals: Array) -> list[tuple[int, int]]:
    """Ranges of first codes with about ``_SORT_PAIRS`` pairs each; ``totals`` is cumulative."""
    ranges, low = [], 1
    while low <= len(totals):
        done = int(totals[low - 2]) if low > 1 else 0
        high = int(np.searchsorted(totals, done + _SORT_PAIRS, side="right")) + 1
        high = max(high, low + 1)
        ranges.append((low, high))
        low = high
    return ranges


def _records(pages: Sequence[Page]) -> dict[str, Array]:
    numbers: dict[Source, int] = {}
    source_of = [
        numbers.setdefault(
            Source(page.office, page.item, page.title, page.section, page.file, page.log_index),
            len(numbers),
        )
        for page in pages
    ]
    source_at, sources = records(astuple(source) for source in numbers)
    label_at, labels = records((page.seq, page.page) for page in pages)
    return {
        "source_of": np.array(source_of, dtype=np.uint16),
        "source_at": source_at,
        "sources": sources,
        "label_at": label_at,
        "labels": labels,
    }


def _starts(sizes: Array) -> Array:
    return np.concatenate([[0], np.cumsum(sizes)])
