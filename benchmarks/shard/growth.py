"""How cost grows with the text: 10 MB, 100 MB and 1 GB, and new text in a large shard."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.shard.answers import Case
from benchmarks.shard.corpus import Section, pages_of, utf8_bytes
from benchmarks.shard.measure import CLOCKS, percentiles
from benchmarks.shard.ours import NAME, OurReader, build_pages
from search_shard.build import SEGMENT_PAGES_MAX
from search_shard.tables import Tables

_MARK = "新到之文試驗尋此一語"  # in no other text


@dataclass(frozen=True, slots=True)
class Grown:
    megabytes: float
    segments: int
    build_rate: float  # MB of UTF-8 per CPU-second
    p50: float  # ms, of exact queries
    p95: float


def grow(
    sections: Sequence[Section],
    copies: int,
    cases: Sequence[Case],
    tables: Tables,
    folder: Path,
    clock: str,
) -> Grown:
    """A shard of ``copies`` of the text, the sections of each shuffled; built and asked."""
    draw = random.Random(copies)
    folder.mkdir()
    spent, files = 0.0, 0
    waiting: list[Section] = []
    for copy in range(copies):
        waiting += draw.sample(sections, len(sections))
        while len(waiting) >= SEGMENT_PAGES_MAX or (waiting and copy == copies - 1):
            batch, waiting = waiting[:SEGMENT_PAGES_MAX], waiting[SEGMENT_PAGES_MAX:]
            pages = pages_of(batch, copy=files, first=files * SEGMENT_PAGES_MAX)
            started = time.process_time()
            build_pages(pages, tables, folder, first=files)
            spent += time.process_time() - started
            files += 1
            del pages, batch
    reader = OurReader(tables, folder)
    now, seconds = CLOCKS[clock], []
    for case in cases[: len(cases) // 4]:
        reader.ask(case)
    for case in cases[len(cases) // 4 :]:
        started = now()
        reader.ask(case)
        seconds.append(now() - started)
    megabytes = copies * utf8_bytes(sections) / 1e6
    p50, p95, _ = percentiles(seconds)
    return Grown(megabytes, files, megabytes / spent, p50, p95)


def add_text(
    sections: Sequence[Section], megabytes: float, tables: Tables, folder: Path
) -> dict[str, float]:
    """Seconds from new text until a shard that is there finds it: build, write, open, ask."""
    few: list[Section] = []
    for section in reversed(sections):
        few.append(section)
        if utf8_bytes(few) >= megabytes * 1e6:
            break
    few[0] = replace(few[0], text=_MARK + few[0].text)
    pages = pages_of(few, copy=99_999, first=10_000_000)
    number = len(list(folder.glob("*.segment")))
    old = OurReader(tables, folder)
    case = Case("new", "words", _MARK, (_MARK,))
    assert old.ask(case).total == 0
    wall, cpu = time.perf_counter(), time.process_time()
    build_pages(pages, tables, folder, first=number)
    file = folder / f"{number:04}.segment"
    old.add(file)
    total = old.ask(case).total
    figures = {
        "megabytes": megabytes,
        "seconds": time.perf_counter() - wall,
        "cpu_seconds": time.process_time() - cpu,
    }
    file.unlink()
    if total != 1:
        raise SystemExit(f"{NAME}: new text was found {total} times, not once")
    return figures
