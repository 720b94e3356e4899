"""The text that the engines are compared on: sections of about 1,000 characters.

Real text is read from ``text/bench.jsonl.xz`` in the folder that FANGZHI_DATA names (default:
``shared/data`` beside the project); where it is absent, text is generated from the seed.
"""

from __future__ import annotations

import json
import lzma
import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from search_shard.layout import Page

SECTION_CHARS = 1000
OFFICE = "320000"
_GENERATED_CHARS, _GENERATED_SECTIONS = 5000, 14


@dataclass(frozen=True, slots=True)
class Section:
    title: str  # of the work; a work is one item
    heading: str
    text: str


def data_folder() -> Path:
    beside = Path(__file__).resolve().parents[3] / "shared" / "data"
    return Path(os.environ.get("FANGZHI_DATA") or beside)


def read_sections(megabytes: float, seed: int) -> list[Section]:
    """Sections of whole documents, about ``megabytes`` of UTF-8, spread over all of the text.

    Documents are taken in an order drawn from ``seed``, so that a small part has classical and
    modern text in the same measure as the whole.
    """
    file = data_folder() / "text" / "bench.jsonl.xz"
    draw = random.Random(seed)
    if file.is_file():
        with lzma.open(file, "rt", encoding="utf-8") as lines:
            rows = [json.loads(line) for line in lines]
        draw.shuffle(rows)
        documents = ((row["title"], row["section"], row["text"]) for row in rows)
    else:
        print(f"NO {file}: the text is GENERATED, and figures say little about real text")
        documents = _generated(draw)
    sections: list[Section] = []
    left = megabytes * 1e6
    for title, heading, text in documents:
        for start in range(0, len(text), SECTION_CHARS):
            piece = text[start : start + SECTION_CHARS]
            left -= len(piece.encode())
            if left < 0:
                return sections
            sections.append(Section(title, heading, piece))
    return sections


def _generated(draw: random.Random) -> Iterator[tuple[str, str, str]]:
    letters = [chr(0x4E00 + n) for n in range(_GENERATED_CHARS)]
    weights = [1 / (n + 2) for n in range(_GENERATED_CHARS)]
    while True:
        title = "".join(draw.choices(letters, k=draw.randrange(3, 9))) + "志"
        size = SECTION_CHARS * draw.randrange(1, _GENERATED_SECTIONS)
        yield title, "卷一", "".join(draw.choices(letters, weights, k=size))


def utf8_bytes(sections: Sequence[Section]) -> int:
    return sum(len(section.text.encode()) for section in sections)


def pages_of(sections: Sequence[Section], copy: int = 0, first: int = 0) -> list[Page]:
    """Sections as pages; ``seq`` is the section's number, by which hits are told apart."""
    mark = f"#{copy}" if copy else ""
    return [
        Page(s.title + mark, OFFICE, number, "", s.title, s.heading, s.text, "", 0)
        for number, s in enumerate(sections, start=first)
    ]
