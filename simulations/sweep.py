"""Many seeds in several processes, one line each, taken up where it stopped.

The state file has a line of JSON for every seed that was played: :class:`Result`.  A seed that has
a line is not played again, so a sweep may be stopped at any time.  A seed that failed keeps its mix
and the hash of its trace: whoever mends what it found plays it again from that.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final, Self

import structlog

from search_shard.tables import Tables, build_tables
from simulations.checkers import NOTHING
from simulations.faults import Mix
from simulations.play import play
from simulations.scenarios import draw

BROKE_OFF: Final = "play"  # stands for a checker when the run itself did not come to its end
LINES_KEPT: Final = 20  # of what one checker found


@dataclass(frozen=True, slots=True)
class Task:
    """What is played; 0 offices or days: as many as the scenario is made for."""

    scenario: str
    seed: int
    offices: int = 0
    days: float = 0.0


@dataclass(frozen=True, slots=True)
class Result:
    """A line of the state file."""

    task: Task
    trace: str  # SHA-256, hexadecimal; "" where the run broke off
    events: int
    seconds: float  # of virtual time
    played_s: float  # of real time
    wrong: dict[str, list[str]] = field(default_factory=dict)  # checker: what it found
    mix: str = ""  # JSON, of a run that failed

    @property
    def held(self) -> bool:
        return not self.wrong

    def __str__(self) -> str:
        task = self.task
        if self.held:
            lasted = f"{self.events} events in {self.seconds:.0f} s"
            played = f"played in {self.played_s:.1f} s, trace {self.trace[:16]}"
            return f"seed {task.seed} held: {lasted}, {played}"
        found = "; ".join(f"{checker}: {lines[0]}" for checker, lines in self.wrong.items())
        return f"seed {task.seed} FAILED {found[:300]}, trace {self.trace[:16]}"

    def fails_like(self, other: Result) -> bool:
        """Whether a checker that spoke there speaks here, and not because a smaller run gave it
        nothing to look at."""
        spoke = {checker for checker, lines in self.wrong.items() if lines != [NOTHING]}
        return not spoke.isdisjoint(other.wrong)

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, line: str) -> Self:
        told = json.loads(line)
        return cls(task=Task(**told.pop("task")), **told)


def examine(mix: Mix, task: Task, tables: Tables) -> Result:
    """Play a mix to its end, or to where it breaks off."""
    started = time.perf_counter()
    try:
        outcome = play(mix, tables)
    except Exception as error:  # whatever a run dies of is what it found
        why = [f"{type(error).__name__}: {error}"[:500]]
        wall = time.perf_counter() - started
        return Result(task, "", 0, 0.0, wall, {BROKE_OFF: why}, mix.to_json())
    wrong = {each.checker: list(each.wrong[:LINES_KEPT]) for each in outcome.verdicts if each.wrong}
    return Result(
        task,
        outcome.trace.digest,
        len(outcome.trace.lines),
        outcome.seconds,
        time.perf_counter() - started,
        wrong,
        mix.to_json() if wrong else "",
    )


def read_state(path: Path) -> list[Result]:
    """What a sweep has played so far; a line that a crash tore off is played again."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [Result.from_json(line) for line in lines if line.endswith("\n")]


def sweep(
    tasks: Iterable[Task],
    jobs: int,
    state: Path | None,
    seconds_max: float,
    tell: Callable[[Result], object],
) -> list[Result]:
    """Play what ``state`` does not have, ``jobs`` at a time, and begin nothing more after
    ``seconds_max`` of real time; returns all results of these tasks, in their order."""
    wanted = list(tasks)
    old = {result.task: result for result in (read_state(state) if state else [])}
    if state and state.exists() and not state.read_bytes().endswith(b"\n"):
        state.write_text("".join(f"{kept.to_json()}\n" for kept in old.values()), encoding="utf-8")
    results = dict(old)
    with ProcessPoolExecutor(jobs) as pool:
        for result in _played(pool, (t for t in wanted if t not in old), jobs, seconds_max):
            if state:
                _append(state, result)
            tell(result)
            results[result.task] = result
    return [results[task] for task in wanted if task in results]


def _played(
    pool: ProcessPoolExecutor, tasks: Iterator[Task], jobs: int, seconds_max: float
) -> Iterator[Result]:
    end = time.monotonic() + seconds_max
    under_way: set[Future[Result]] = set()
    while True:
        while len(under_way) < jobs and time.monotonic() < end:
            task = next(tasks, None)
            if task is None:
                break
            under_way.add(pool.submit(_play, task))
        if not under_way:
            return
        done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
        for future in done:
            yield future.result()


def _append(state: Path, result: Result) -> None:
    state.parent.mkdir(parents=True, exist_ok=True)
    with state.open("a", encoding="utf-8") as file:
        file.write(result.to_json() + "\n")


def _play(task: Task) -> Result:
    """In a process of its own."""
    return examine(draw(task.scenario, task.seed, task.offices, task.days), task, _tables())


@cache
def _tables() -> Tables:
    # The nodes' own log lines carry the real time; what matters of them is in the trace.
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    return Tables.from_bytes(build_tables())
