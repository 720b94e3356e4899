"""What a segment holds, block by block.  Specification: docs/spec/segment.md."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from protocol.canonical import Value, encode
from search_shard.blocks import Array
from search_shard.postings import TABLE_KINDS

MAGIC: Final = b"fzsegm\x00\x04"
BOUNDARY: Final = 0  # the code that ends a title, a heading and a page; no character has it
CODES_MAX: Final = 0xD7FF  # so that codes are characters of a Python string, none a surrogate
MEMBERS: Final = 3  # forms of a class that are told in two bits; the others are exceptions
CHAMPIONS: Final = 64  # best documents of a single character
CHAMPIONS_OF_RUN: Final = 32  # and of a common run of characters
LEVELS: Final = ("pairs", "grams3", "grams4", "grams5", "grams6", "grams7", "grams8")
TABLES: Final = (*LEVELS, "syllables", "heads")
LEVEL_KINDS: Final[Mapping[str, str]] = {  # beside the table of a level
    "common": "<u4",  # entries of its table that are common runs, rising
    "champions": "<u2",  # of each common run its CHAMPIONS_OF_RUN best documents
    "often": "|u1",  # and how often they have it
}
KINDS: Final[Mapping[str, str]] = {
    "points": "<u4",  # folded characters, rising
    "codes": "<u2",  # of points
    "members": "<u4",  # code × MEMBERS: characters that fold to it, the most frequent first
    "words": "<u2",
    "word_at": "<u4",
    "which": "|u1",
    "odd": "<u4",
    "odd_at": "<u4",
    "skipped": "<u4",  # characters passed over in matching, rising
    "skips": "<u2",
    "skip_at": "<u4",
    "shape": "|u1",
    "head_words": "<u2",
    "head_at": "<u4",
    "title_words": "<u2",
    "totals": "<u2",  # code → documents that have it, less one
    "champion_at": "<u4",
    "champions": "<u2",
    "champion_scores": "<u2",
    "source_of": "<u2",
    "source_at": "<u4",
    "sources": "|u1",
    "logged": "<u8",  # log index of each source
    "seqs": "<u4",
    "label_at": "<u4",
    "labels": "|u1",
    **{f"{table}.{name}": kind for table in TABLES for name, kind in TABLE_KINDS.items()},
    **{f"{level}.{name}": kind for level in LEVELS for name, kind in LEVEL_KINDS.items()},
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
