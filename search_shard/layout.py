"""What a segment holds, block by block.  Specification: docs/spec/segment.md."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from protocol.canonical import Value, encode
from search_shard.blocks import Array

MAGIC = b"fzsegm\x00\x01"
BOUNDARY = 0  # the code that ends a title, a heading and a page; no character has it
KINDS: Mapping[str, str] = {
    "chars": "<u4",
    "words": "<u2",
    "word_at": "<u4",
    "title_words": "<u2",
    "heading_words": "<u2",
    "skips": "<u2",
    "skip_at": "<u4",
    "shape": "|u1",
    "shape_at": "<u4",
    "first_at": "<u4",
    "seconds": "<u2",
    "list_at": "<u4",
    "lists": "<u2",
    "often_at": "<u4",
    "often": "<u2",
    "source_of": "<u2",
    "source_at": "<u4",
    "sources": "|u1",
    "label_at": "<u4",
    "labels": "|u1",
}


@dataclass(frozen=True, slots=True)
class Page:
    """One page handed to the index.  The pages of one item belong in one batch."""

    item: str
    office: str
    seq: int  # place of the page in its item
    page: str  # label shown to the reader
    title: str
    section: str
    text: str
    file: str  # hexadecimal SHA-256 of the file that shows the page; "" if there is none
    log_index: int  # of the text.derive event in the office's log


@dataclass(frozen=True, slots=True)
class Source:
    """What the pages of one section of one item have in common."""

    office: str
    item: str
    title: str
    section: str
    file: str
    log_index: int


def records(values: Iterable[Value]) -> tuple[Array, Array]:
    """Where each record begins (and the end), and the canonical bytes of all."""
    coded = [encode(value) for value in values]
    ends = np.cumsum([0, *map(len, coded)], dtype=np.uint32)
    return ends, np.frombuffer(b"".join(coded), dtype=np.uint8)


def ragged(starts: Array, sizes: Array) -> Array:
    """The indices start .. start + size of every run, one after another."""
    ends = np.cumsum(sizes)
    total = int(ends[-1]) if len(ends) else 0
    shift = starts.astype(np.int64) - (ends - sizes)
    indices: Array = np.arange(total, dtype=np.int64) + np.repeat(shift, sizes)
    return indices
