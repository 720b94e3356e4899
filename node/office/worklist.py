"""Items to be looked at one after the other, and again later where something is still missing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from protocol.errors import FangzhiError, Full


class Worklist:
    """``look`` does what an item needs and tells whether nothing is left to do for now.  It is
    called for one item at a time; an item that is added meanwhile is looked at once more."""

    def __init__(self, look: Callable[[str], Awaitable[bool]], retry_s: float) -> None:
        self._look = look
        self._retry_s = retry_s
        self._due: dict[str, None] = {}  # oldest first
        self._busy = 0
        self._later: set[str] = set()  # not now: something is missing
        self._unfinished = asyncio.Event()  # set while there are such
        self._wake = asyncio.Event()

    def add(self, items: Iterable[str]) -> None:
        self._due.update(dict.fromkeys(sorted(items)))
        self._wake.set()

    @property
    def waiting(self) -> int:
        """Items that are not done."""
        return len(self._due) + self._busy + len(self._later)

    async def run(self) -> None:
        """
        Raises:
            Full: (in a group) no room; the item is looked at again when this runs again.
        """
        async with asyncio.TaskGroup() as group:
            group.create_task(self._work())
            group.create_task(self._retry())

    async def _retry(self) -> None:
        while True:
            await self._unfinished.wait()
            await asyncio.sleep(self._retry_s)
            self.add(self._later)

    async def _work(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._due:
                item = next(iter(self._due))
                del self._due[item]
                self._later.discard(item)
                self._busy, done = 1, False
                try:
                    done = await self._look(item)
                except Full:
                    raise
                except FangzhiError:
                    pass
                finally:
                    self._busy = 0
                    if not done:
                        self._later.add(item)
                    (self._unfinished.set if self._later else self._unfinished.clear)()
