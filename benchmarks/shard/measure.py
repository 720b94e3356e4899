"""Times, totals and recall of engines that are asked in turns."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from benchmarks.shard.answers import LIMIT, Answer, Case, Reader
from benchmarks.shard.corpus import Section
from benchmarks.shard.folding import Folding
from benchmarks.shard.scan import Scan, with_all

CLOCKS: dict[str, Callable[[], float]] = {
    "wall": time.perf_counter,
    "cpu": time.thread_time,  # of a machine that others use as well
}


@dataclass(frozen=True, slots=True)
class Asked:
    """One query to one engine."""

    case: Case
    seconds: float
    answer: Answer
    hits: list[int]  # sections, best first


def ask_in_turns(
    readers: Sequence[Reader], cases: Sequence[Case], warm: Sequence[Case], clock: str, block: int
) -> dict[str, list[Asked]]:
    """Every case to every engine that can answer it, ``block`` cases at a time, another engine
    first each time: an engine is as warm as one that a client asks, and noise hits all alike."""
    now = CLOCKS[clock]
    for case in warm:
        for reader in readers:
            reader.ask(case)
    asked: dict[str, list[Asked]] = {reader.name: [] for reader in readers}
    for turn, start in enumerate(range(0, len(cases), block)):
        first = turn % len(readers)
        for reader in [*readers[first:], *readers[:first]]:
            for case in cases[start : start + block]:
                started = now()
                answer = reader.ask(case)
                seconds = now() - started
                if answer is not None:
                    asked[reader.name].append(Asked(case, seconds, answer, reader.numbers(answer)))
    return asked


def percentiles(seconds: Iterable[float]) -> tuple[float, float, float]:
    """p50, p95, p99 in milliseconds."""
    ordered = sorted(seconds)
    last = len(ordered) - 1
    p50, p95, p99 = (1000 * ordered[min(last, int(len(ordered) * q))] for q in (0.5, 0.95, 0.99))
    return p50, p95, p99


class Meant:
    """Which sections have what the queries meant, by reading all of them."""

    def __init__(
        self, cases: Sequence[Case], sections: Sequence[Section], folding: Folding
    ) -> None:
        self.titles = [section.title for section in sections]
        words = {case: [folding.read(word) for word in case.meant] for case in cases}
        scan = Scan([folding.read(section.text) for section in sections])
        found = scan.texts_with(word for group in words.values() for word in group)
        self.sections = {case: with_all(group, found) for case, group in words.items()}

    def recall(self, asked: Asked) -> float:
        """Of the ten (or fewer) that could be listed, how many are.

        A title is one hit, on whichever page of the work.
        """
        if asked.case.ask.startswith("title"):
            titles = {self.titles[hit] for hit in asked.hits}
            return float(asked.case.meant[0] in titles)
        wanted = self.sections[asked.case]
        return len(wanted.intersection(asked.hits)) / max(1, min(LIMIT, len(wanted)))

    def found(self, asked: Asked) -> bool:
        """Whether what was meant is among the ten at all."""
        if asked.case.ask.startswith("title"):
            return bool(self.recall(asked))
        return not self.sections[asked.case].isdisjoint(asked.hits)
