"""Workers for all cores: processes that start clean and are asked in order, a few tasks ahead."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType
from typing import Self, TypeVar

from protocol.errors import Unavailable

A = TypeVar("A")
B = TypeVar("B")

_COLLECT_EACH = 100_000  # objects; a task makes many, which hold no cycles


class Crew:
    """``map`` with one process for each core; results come in the order of the tasks."""

    def __init__(self, workers: int = 0) -> None:
        """``workers`` of 0: as many as there are cores for us."""
        self.workers = workers or len(os.sched_getaffinity(0))
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        self._pool = ProcessPoolExecutor(
            self.workers,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_prepare,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def map(self, work: Callable[[A], B], tasks: Iterable[A], /) -> Iterator[B]:
        """The results, in order; twice as many tasks as workers are taken ahead.

        Raises:
            Unavailable: a worker was killed (perhaps for its memory).
        """
        assert self._pool is not None, "used as a context"
        waiting: deque[Future[B]] = deque()
        try:
            for task in tasks:
                waiting.append(self._pool.submit(work, task))
                if len(waiting) >= 2 * self.workers:
                    yield _result(waiting.popleft())
            while waiting:
                yield _result(waiting.popleft())
        finally:
            for future in waiting:
                future.cancel()


def _result(future: Future[B]) -> B:
    try:
        return future.result()
    except BrokenProcessPool as error:
        raise Unavailable("worker", "a process that answers", error) from error


def _prepare() -> None:
    # The terminal's Ctrl-C reaches every process; the one that leads ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.set_threshold(_COLLECT_EACH)
