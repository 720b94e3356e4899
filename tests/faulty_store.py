"""A store port that breaks once, at a step of choice, and is then gone, as after a failed sync."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from enum import Enum
from typing import TypeVar

from node.hands.storage.memory_kv import MemoryStore
from protocol.errors import Fatal
from protocol.ports import Reader, Writer

T = TypeVar("T")


class Step(Enum):
    """Where it breaks."""

    CHANGE = "in a change: the process dies in the middle of a job"
    LOST = "in a commit: nothing of it is kept"
    DONE = "after a commit: all of it is kept, and reported as failed"


class FaultyStore:
    """KeyValueStore that breaks at the ``number``-th step of a kind; 0 for never."""

    def __init__(self, inner: MemoryStore, step: Step, number: int) -> None:
        self.inner, self.step, self.left = inner, step, number
        self.is_broken = False

    def read(self) -> AbstractContextManager[Reader]:
        self._refuse()
        return self.inner.read()

    async def write(self, job: Callable[[Writer], T]) -> T:
        self._refuse()

        def watched(writer: Writer) -> T:
            value = job(_Watched(writer, self))
            self.meet(Step.LOST)
            return value

        value = self.inner.run(watched)
        self.meet(Step.DONE)
        return value

    async def close(self) -> None:
        await self.inner.close()

    def meet(self, step: Step) -> None:
        if step is self.step:
            self.left -= 1
            if self.left == 0:
                self.is_broken = True
                raise Fatal("faulty store", "a durable commit", step.value)

    def _refuse(self) -> None:
        if self.is_broken:
            raise Fatal("faulty store", "a durable commit", "an earlier failure")


class _Watched:
    def __init__(self, inner: Writer, store: FaultyStore) -> None:
        self._inner, self._store = inner, store

    def get(self, table: str, key: bytes) -> bytes | None:
        return self._inner.get(table, key)

    def scan(
        self, table: str, prefix: bytes = b"", start: bytes = b"", reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        return self._inner.scan(table, prefix, start, reverse)

    def put(self, table: str, key: bytes, value: bytes) -> None:
        self._store.meet(Step.CHANGE)
        self._inner.put(table, key, value)

    def put_many(self, table: str, pairs: Sequence[tuple[bytes, bytes]]) -> None:
        for key, value in pairs:
            self.put(table, key, value)

    def delete(self, table: str, key: bytes) -> None:
        self._store.meet(Step.CHANGE)
        self._inner.delete(table, key)
