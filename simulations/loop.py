"""An event loop whose time is pretended: it jumps to the next timer instead of waiting.

The same program with the same seeds does the same things in the same order, in every process:

* time moves only when nothing is ready, and then to the next timer exactly;
* worker threads do not exist: ``run_in_executor`` runs the work on the spot;
* tasks and futures hash by their number, so a set of them (a TaskGroup keeps one) is walked in the
  same order each time, where memory addresses would differ;
* when every task waits and no timer is set, nothing can ever happen again: :class:`Deadlock`;
* a machine can be paused: the tasks of its process take no step until it is resumed.

``call_soon`` keeps the order that asyncio promises; vary delays, not that.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import itertools
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Final, TypeVar

T = TypeVar("T")

Event = tuple[Any, int]

MACHINE: Final = contextvars.ContextVar("machine", default="")  # whose process a task belongs to


class Deadlock(RuntimeError):
    """Every task waits for something that nobody will do."""


class SimLoop(asyncio.BaseEventLoop):
    """Virtual time in seconds, from zero.  ``errors`` has what no task or caller received."""

    _scheduled: list[asyncio.TimerHandle]  # the base class keeps it as a heap
    _ready: deque[asyncio.Handle]

    def __init__(self) -> None:
        super().__init__()
        self.errors: list[Exception] = []
        self._now = 0.0
        self._selector = _Jump(self)
        self._numbers = itertools.count(1)
        self._paused: dict[str, list[asyncio.Handle]] = {}
        self.set_exception_handler(_keep_error)

    def time(self) -> float:
        return self._now

    def jump(self, seconds: float | None) -> None:
        """What a selector does when no task is ready: wait, or find that nothing will come.

        Raises:
            Deadlock: there is no timer; names the tasks that wait.
        """
        if seconds is None:
            waiting = sorted(task.get_name() for task in asyncio.all_tasks(self))
            raise Deadlock(f"at {self._now:.3f} s nothing is scheduled and these wait: {waiting}")
        if seconds > 0:
            # The exact time of the timer, not a sum that rounding may leave below it.
            self._now = max(self._now, self._scheduled[0].when())

    def pause(self, machine: str) -> None:
        """As after SIGSTOP, or in a virtual machine that is moved.  Timers fire, disk and network
        go on, and nobody is there who notices."""
        self._paused.setdefault(machine, [])
        # Only now, so that nothing is asked of every step of a run where all is well.
        self.call_soon = self._soon_unless_paused  # type: ignore[method-assign,assignment]

    def resume(self, machine: str) -> None:
        self._ready.extend(self._paused.pop(machine, ()))
        if not self._paused:
            self.__dict__.pop("call_soon", None)

    def _soon_unless_paused(
        self,
        callback: Callable[..., object],
        *arguments: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        machine = context.get(MACHINE, "") if context else MACHINE.get()
        if machine not in self._paused:
            return super().call_soon(callback, *arguments, context=context)
        handle = asyncio.Handle(callback, arguments, self, context)
        self._paused[machine].append(handle)
        return handle

    def create_future(self) -> asyncio.Future[Any]:
        return _Future(next(self._numbers), self)

    def create_task(
        self,
        coro: Coroutine[Any, Any, T] | Generator[Any, None, T],
        *,
        name: object = None,
        context: contextvars.Context | None = None,
    ) -> asyncio.Task[T]:
        return _Task(next(self._numbers), coro, self, name, context)

    def run_in_executor(  # type: ignore[override]  # a future already done, as await needs it
        self, executor: object, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future

    def _process_events(self, event_list: list[Event]) -> None:
        """Nothing: there are no sockets."""

    def _write_to_self(self) -> None:
        """Nothing: no other thread has to be noticed."""


def on_machine(name: str) -> contextvars.Context:
    """The context of a task that belongs to the process on a machine."""
    context = contextvars.copy_context()
    context.run(MACHINE.set, name)
    return context


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run ``main`` in a new :class:`SimLoop` until it ends, then cancel what it left.

    Raises:
        Deadlock: see there.
        ExceptionGroup: exceptions that nobody received, when ``main`` itself went well.
    """
    loop = SimLoop()
    try:
        result = loop.run_until_complete(main)
    finally:
        with contextlib.suppress(Deadlock):
            _cancel_rest(loop)
        loop.close()
    gc.collect()  # a task that failed unseen says so when it is collected
    if loop.errors:
        raise ExceptionGroup("errors that nobody received", loop.errors)
    return result


def _cancel_rest(loop: SimLoop) -> None:
    rest = sorted(asyncio.all_tasks(loop), key=hash)
    for task in rest:
        task.cancel()
    if rest:
        loop.run_until_complete(asyncio.wait(rest))
    loop.run_until_complete(loop.shutdown_asyncgens())


def _keep_error(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    error = context.get("exception")
    if isinstance(loop, SimLoop) and isinstance(error, Exception):
        loop.errors.append(error)


class _Jump:
    """The part of a selector that BaseEventLoop calls."""

    def __init__(self, loop: SimLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Event]:
        self._loop.jump(timeout)
        return []


class _Future(asyncio.Future[Any]):
    def __init__(self, number: int, loop: asyncio.AbstractEventLoop) -> None:
        self._number = number
        super().__init__(loop=loop)

    def __hash__(self) -> int:
        return self._number


class _Task(asyncio.Task[T]):
    def __init__(
        self,
        number: int,
        coro: Coroutine[Any, Any, T] | Generator[Any, None, T],
        loop: asyncio.AbstractEventLoop,
        name: object,
        context: contextvars.Context | None,
    ) -> None:
        self._number = number  # first: Task.__init__ puts itself into a set
        label = f"task-{number}" if name is None else str(name)
        super().__init__(coro, loop=loop, name=label, context=context)

    def __hash__(self) -> int:
        return self._number
