"""Pages to a segment, by sorting 32 bits for every pair of neighbouring characters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from operator import attrgetter

import numpy as np

from protocol.errors import Rejected
from search_shard.blocks import Array, pack_blocks
from search_shard.buckets import by_first, neighbours
from search_shard.champions import Champions
from search_shard.grams import build_levels
from search_shard.layout import KINDS, MAGIC, Page, Source, records
from search_shard.lists import TableBuilder, build_table
from search_shard.rank import damping
from search_shard.syllables import Syllables
from search_shard.tables import Tables
from search_shard.words import Characters, characters_of, head_blocks, text_blocks

SEGMENT_PAGES_MAX = 65_536  # a document is a u16
_HEAD_CHARS_MAX = 60_000  # of a title or heading that is searchable


def build_segment(pages: Sequence[Page], tables: Tables) -> bytes:
    """The segment of ``pages``; equal pages in any order give equal bytes.

    In a batch with more than 55,295 distinct folded characters the rarest are kept but not found.

    Raises:
        Rejected: more than 65,536 pages.
    """
    if len(pages) > SEGMENT_PAGES_MAX:
        raise Rejected("segment", f"at most {SEGMENT_PAGES_MAX} pages", len(pages))
    ordered = sorted(pages, key=lambda page: (page.office, page.item, page.seq, page.page))
    texts, heads = [page.text for page in ordered], _heads(ordered)
    known = characters_of([*texts, *heads], tables)
    arrays = known.blocks() | text_blocks(texts, known) | head_blocks(heads, known)
    arrays |= _records(ordered) | _postings(arrays, known, tables)
    blocks = {
        name: np.ascontiguousarray(arrays.pop(name), dtype=kind).data
        for name, kind in KINDS.items()
    }
    return pack_blocks(MAGIC, tables.digest, blocks)


def _heads(pages: Sequence[Page]) -> list[str]:
    """Title and heading of each page: a title stands at the first page of its item, a heading at
    the first page of its section, so that a title that matches is one hit and not one a page."""
    fields: list[str] = []
    seen: set[tuple[str, ...]] = set()
    for page in pages:
        for kind, name in (("title", page.title), ("section", page.section)):
            mark = (kind, page.office, page.item, name)
            fields.append("" if mark in seen else name[:_HEAD_CHARS_MAX])
            seen.add(mark)
    return fields


def _records(pages: Sequence[Page]) -> dict[str, Array]:
    source = attrgetter(*(field.name for field in fields(Source)))
    numbers: dict[tuple[str | int, ...], int] = {}
    source_of = [numbers.setdefault(source(page), len(numbers)) for page in pages]
    source_at, sources = records(numbers)
    label_at, labels = records(page.page for page in pages)
    return {
        "source_of": np.array(source_of, dtype=np.uint16),
        "source_at": source_at,
        "sources": sources,
        "logged": np.array([log_index for *_, log_index in numbers], dtype=np.uint64),
        "seqs": np.array([page.seq for page in pages], dtype=np.uint32),
        "label_at": label_at,
        "labels": labels,
    }


def _postings(arrays: dict[str, Array], known: Characters, tables: Tables) -> dict[str, Array]:
    """The tables of pairs in texts and longer runs, of their syllables, of pairs in titles and
    headings, and the best documents of single characters."""
    words, word_at = arrays["words"], arrays["word_at"]
    pieces = neighbours(words, word_at)
    pairs = TableBuilder(len(words), known.size)
    syllables = Syllables(known.points, tables, pieces, len(words))
    dampings = damping(np.diff(word_at))
    champions = Champions(arrays, dampings, known.size)
    for rows in by_first(pieces, known.size, syllables.ends):
        for low, high in rows.groups():
            part = rows.part(low, high)
            champions.add(part)
            part.sort()
            pairs.add(part)
        syllables.add(rows)
    found = {
        "syllables": syllables.end(),
        "heads": build_table(neighbours(arrays["head_words"], arrays["head_at"]), known.size),
    }
    named = {
        f"{table}.{name}": array for table, one in found.items() for name, array in one.items()
    }
    levels = build_levels(pairs, pieces, known.size, dampings)
    return {**levels, **named, **champions.end()}
