"""Our engine through its public interface; no cache of results is between.

Queries are parsed with every table of the project.  Exact kinds are asked without looking for a
wrong character, which peers do not do either; the other kinds with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from benchmarks.shard.answers import LIMIT, Answer, Case, Engine
from benchmarks.shard.corpus import Section, pages_of
from node.hands.storage.file_segments import FileSegmentStore
from search_shard.build import SEGMENT_PAGES_MAX, build_segment
from search_shard.lattice import Query
from search_shard.layout import Page
from search_shard.parse import Rules, parse_query
from search_shard.ranking import Ask
from search_shard.search import rank
from search_shard.segment import Segment
from search_shard.shard import Shard
from search_shard.tables import Tables

NAME = "fangzhi"
TEXT_BLOCKS = (  # what the kept text takes
    *("words", "word_at", "which", "odd", "odd_at", "skipped", "skips", "skip_at", "shape"),
    *("points", "codes", "members"),
)
EXACT_TABLES = ("pairs.", "grams")  # those that exact words are found by


def build_pages(pages: Sequence[Page], tables: Tables, folder: Path, first: int = 0) -> None:
    """Segments of as many pages as one may hold, in files numbered from ``first``."""
    for number, start in enumerate(range(0, len(pages), SEGMENT_PAGES_MAX), start=first):
        data = build_segment(pages[start : start + SEGMENT_PAGES_MAX], tables)
        (folder / f"{number:04}.segment").write_bytes(data)


def _build(tables: Tables, sections: Sequence[Section], folder: Path) -> None:
    build_pages(pages_of(sections), tables, folder)


def open_segment(file: Path, tables: Tables) -> Segment:
    store = FileSegmentStore(file.parent)
    buffer = store.open(file.name)
    segment = Segment.open(buffer, tables)
    store.page_out(buffer)
    return segment


_EXACT, _NEAR = Ask(limit=LIMIT, near=False), Ask(limit=LIMIT)


class OurReader:
    def __init__(self, tables: Tables, folder: Path) -> None:
        self.name = NAME
        self.tables = tables
        files = sorted(folder.glob("*.segment"))
        self.rules = Rules.standard(tables)
        self.shard = Shard(tuple(open_segment(file, tables) for file in files))

    def parse(self, case: Case) -> Query:
        return parse_query(case.typed, self.rules)

    def ask(self, case: Case) -> Answer:
        exact = case.ask in ("words", "folded")
        ranking = rank(self.shard, self.parse(case), _EXACT if exact else _NEAR)
        return Answer(ranking.total, ranking.best, ranking.near_total)

    def add(self, file: Path) -> None:
        """A newer snapshot, with one more segment."""
        segments = (*self.shard.segments, open_segment(file, self.tables))
        self.shard = Shard(segments, self.shard.deleted)

    def numbers(self, answer: Answer) -> list[int]:
        segments = self.shard.segments
        return [segments[number].seq(document) for _, number, document in answer.raw]  # type: ignore[misc]

    def sizes(self) -> dict[str, int]:
        """Bytes of each block, over all segments."""
        names = {name for segment in self.shard.segments for name in segment.arrays}
        return {
            name: sum(segment.arrays[name].nbytes for segment in self.shard.segments)
            for name in sorted(names)
        }


def our_engine(tables: Tables) -> Engine:
    return Engine(NAME, partial(_build, tables), partial(OurReader, tables))
