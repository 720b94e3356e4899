"""What is on its way to a disk, and who waits for it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any, Final, TypeVar

from protocol.errors import Fatal, Full, Unavailable

T = TypeVar("T")

SYNC_SECONDS: Final = (0.001, 0.020)  # the shortest and the longest that is drawn
REPORT_SECONDS: Final = (0.0, 0.002)


class Life:
    """From the opening of a store to the crash: what is on its way to the disk."""

    def __init__(self, chance: random.Random, refuse: Callable[[], None]) -> None:
        """``refuse`` raises what the disk has against a write now."""
        self.refuse = refuse
        self._chance = chance
        self._alive = True
        # in order of start; a dict, because a set would be walked in another order each time
        self._on_their_way: dict[asyncio.TimerHandle, None] = {}
        self._callers: dict[asyncio.Future[Any], None] = {}

    def refuse_if_over(self) -> None:
        if not self._alive:
            raise Unavailable("simulated disk", "a running process", "one that crashed or closed")

    def later(self, bounds: tuple[float, float], action: Callable[[], None]) -> None:
        """Do ``action`` after a drawn delay, unless a crash comes first."""

        def act() -> None:
            del self._on_their_way[handle]
            action()

        delay = self._chance.uniform(*bounds)
        handle = asyncio.get_running_loop().call_later(delay, act)
        self._on_their_way[handle] = None

    def caller(self) -> asyncio.Future[Any]:
        """A future that a crash answers with Unavailable."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._callers[future] = None
        future.add_done_callback(lambda done: self._callers.pop(done, None))
        return future

    async def durably(self, action: Callable[[], T]) -> T:
        """Do ``action`` when a sync has passed; its result when the caller hears of it."""
        self.refuse_if_over()
        future = self.caller()

        def sync() -> None:
            try:
                self.refuse()
            except (Full, Fatal) as error:
                answer(future, None, error)
                return
            value = action()
            self.later(REPORT_SECONDS, lambda: answer(future, value, None))

        self.later(SYNC_SECONDS, sync)
        result: T = await future
        return result

    def end(self) -> None:
        self._alive = False
        for handle in self._on_their_way:
            handle.cancel()
        self._on_their_way.clear()
        for future in list(self._callers):
            lost = Unavailable("simulated disk", "an answer", "a crash")
            answer(future, None, lost)


def answer(future: asyncio.Future[Any], value: object, error: Exception | None) -> None:
    if future.done():  # the caller was cancelled
        return
    if error:
        future.set_exception(error)
    else:
        future.set_result(value)
