"""One at a time for each key."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


@dataclass(slots=True)
class _Turn:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    wanted_by: int = 0  # whoever has it, and all who wait for it


class Turns(Generic[K]):
    """A lock for each key, there while anybody wants it."""

    def __init__(self) -> None:
        self._turns: dict[K, _Turn] = {}

    def __len__(self) -> int:
        """Keys that are wanted."""
        return len(self._turns)

    @asynccontextmanager
    async def of(self, key: K) -> AsyncIterator[None]:
        """Nobody else is within it for this key; who came first comes first."""
        turn = self._turns.setdefault(key, _Turn())
        turn.wanted_by += 1
        try:
            async with turn.lock:
                yield
        finally:
            turn.wanted_by -= 1
            if not turn.wanted_by:
                del self._turns[key]
