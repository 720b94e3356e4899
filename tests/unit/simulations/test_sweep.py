from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from simulations import sweep as module
from simulations.sweep import Result, Task, read_state, sweep


class Pool:
    """A pool whose work is done at once, here."""

    def __init__(self, jobs: int) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None: ...

    def submit(self, work: Any, task: Task) -> Future[Result]:
        future: Future[Result] = Future()
        future.set_result(work(task))
        return future


@pytest.fixture(autouse=True)
def played(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The seeds that were played; seed 3 fails."""
    seeds: list[int] = []

    def play(task: Task) -> Result:
        seeds.append(task.seed)
        wrong = {"placed": ["320500 lacks a file"]} if task.seed == 3 else {}
        return Result(task, f"{task.seed:064x}", 10, 60.0, 0.5, wrong, "{}" if wrong else "")

    monkeypatch.setattr(module, "_play", play)
    monkeypatch.setattr(module, "ProcessPoolExecutor", Pool)
    return seeds


def tasks(count: int) -> list[Task]:
    return [Task("seven", seed) for seed in range(1, count + 1)]


def test_a_sweep_goes_on_where_it_stopped(tmp_path: Path, played: list[int]) -> None:
    state = tmp_path / "torture" / "state.jsonl"
    first = sweep(tasks(3), 1, state, 60.0, lambda _: None)
    assert played == [1, 2, 3]
    told: list[Result] = []
    both = sweep(tasks(5), 1, state, 60.0, told.append)
    assert played == [1, 2, 3, 4, 5]
    assert [result.task.seed for result in told] == [4, 5]
    assert both[:3] == first
    assert read_state(state) == both


def test_another_scenario_is_another_task(tmp_path: Path, played: list[int]) -> None:
    state = tmp_path / "state.jsonl"
    sweep(tasks(1), 1, state, 60.0, lambda _: None)
    sweep([Task("seven", 1, offices=4)], 1, state, 60.0, lambda _: None)
    assert played == [1, 1]


def test_a_line_that_was_torn_is_played_again(tmp_path: Path, played: list[int]) -> None:
    state = tmp_path / "state.jsonl"
    sweep(tasks(2), 1, state, 60.0, lambda _: None)
    state.write_bytes(state.read_bytes()[:-20])
    sweep(tasks(2), 1, state, 60.0, lambda _: None)
    assert played == [1, 2, 2]
    assert [result.task.seed for result in read_state(state)] == [1, 2]


def test_a_failure_is_kept_with_its_mix_and_trace(tmp_path: Path) -> None:
    state = tmp_path / "state.jsonl"
    sweep(tasks(3), 1, state, 60.0, lambda _: None)
    failed = read_state(state)[2]
    assert not failed.held
    assert failed.mix
    assert failed.trace in (f"{3:064x}",)
    assert str(failed).startswith("seed 3 FAILED placed: 320500 lacks a file, trace 0000")
    assert str(read_state(state)[0]).startswith("seed 1 held: 10 events in 60 s, played in 0.5 s")


def test_nothing_begins_after_the_end_of_time(played: list[int]) -> None:
    assert sweep(tasks(3), 2, None, 0.0, lambda _: None) == []
    assert played == []
