"""Tables in memory with the atomicity of the ones on disk: for audits, tests and simulations.

One thread only.  Nothing is durable; :meth:`MemoryStore.dump` gives the whole content for whoever
wants to keep it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

from node.hands.storage.tables import check_key, prefix_end
from protocol.errors import Unavailable
from protocol.ports import Reader, Writer

T = TypeVar("T")

Dump = Mapping[str, Mapping[bytes, bytes]]


class MemoryStore:
    """KeyValueStore without a disk."""

    def __init__(self, tables: Iterable[str], content: Dump | None = None) -> None:
        """Empty, or with the ``content`` that :meth:`dump` gave."""
        self._tables = {name: _Table() for name in tables}
        self._snapshots_open = 0
        self._closed = False
        for name, pairs in (content or {}).items():
            self._tables[name] = _Table(pairs)

    @contextmanager
    def read(self) -> Iterator[Reader]:
        self._refuse_closed()
        self._snapshots_open += 1
        try:
            yield _Snapshot(dict(self._tables))
        finally:
            self._snapshots_open -= 1

    async def write(self, job: Callable[[Writer], T]) -> T:
        return self.run(job)

    def run(self, job: Callable[[Writer], T]) -> T:
        """:meth:`write` for those who have no event loop."""
        self._refuse_closed()
        changes = _Changes(self._tables, copy_first=self._snapshots_open > 0)
        try:
            return job(changes)
        except BaseException:
            changes.undo()
            raise

    def dump(self) -> dict[str, dict[bytes, bytes]]:
        """Everything, ordered by key; equal dumps are equal stores."""
        return {
            name: {key: table.values[key] for key in table.keys}
            for name, table in self._tables.items()
        }

    async def close(self) -> None:
        self._closed = True

    def _refuse_closed(self) -> None:
        if self._closed:
            raise Unavailable("store in memory", "an open store", "closed")


class _Table:
    __slots__ = ("keys", "values")

    def __init__(self, pairs: Mapping[bytes, bytes] | None = None) -> None:
        self.values = dict(pairs or {})
        self.keys = sorted(self.values)

    def copy(self) -> _Table:
        table = _Table()
        table.values, table.keys = self.values.copy(), self.keys.copy()
        return table

    def change(self, key: bytes, value: bytes | None) -> None:
        if value is None:
            if self.values.pop(key, None) is not None:
                del self.keys[bisect_left(self.keys, key)]
            return
        if key not in self.values:
            insort(self.keys, key)
        self.values[key] = value


class _Snapshot:
    def __init__(self, tables: dict[str, _Table]) -> None:
        self._tables = tables

    def get(self, table: str, key: bytes) -> bytes | None:
        return self._tables[table].values.get(check_key(key))

    def scan(
        self, table: str, prefix: bytes = b"", start: bytes = b"", reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        self._tables[table]  # a wrong name fails here, not at the first pair
        return self._down(table, prefix) if reverse else self._up(table, prefix, start)

    # Every step looks its place up again, because the job that scans may write meanwhile.

    def _up(self, name: str, prefix: bytes, start: bytes) -> Iterator[tuple[bytes, bytes]]:
        table = self._tables[name]
        position = bisect_left(table.keys, max(prefix, start))
        while position < len(table.keys) and table.keys[position].startswith(prefix):
            key = table.keys[position]
            yield key, table.values[key]
            table = self._tables[name]
            position = bisect_right(table.keys, key)

    def _down(self, name: str, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        table = self._tables[name]
        end = prefix_end(prefix)
        position = bisect_left(table.keys, end) if end else len(table.keys)
        while position and table.keys[position - 1].startswith(prefix):
            key = table.keys[position - 1]
            yield key, table.values[key]
            table = self._tables[name]
            position = bisect_left(table.keys, key)


class _Changes(_Snapshot):
    """Writes in place and remembers how to undo it."""

    def __init__(self, tables: dict[str, _Table], copy_first: bool) -> None:
        super().__init__(tables)
        self._to_copy = set(tables) if copy_first else set()
        self._before: list[tuple[str, bytes, bytes | None]] = []

    def put(self, table: str, key: bytes, value: bytes) -> None:
        self._change(table, check_key(key), bytes(value))

    def put_many(self, table: str, pairs: Sequence[tuple[bytes, bytes]]) -> None:
        for key, value in pairs:
            self.put(table, key, value)

    def delete(self, table: str, key: bytes) -> None:
        self._change(table, check_key(key), None)

    def undo(self) -> None:
        for table, key, value in reversed(self._before):
            self._tables[table].change(key, value)

    def _change(self, name: str, key: bytes, value: bytes | None) -> None:
        if name in self._to_copy:  # open snapshots keep the old one
            self._tables[name] = self._tables[name].copy()
            self._to_copy.discard(name)
        table = self._tables[name]
        self._before.append((name, key, table.values.get(key)))
        table.change(key, value)
