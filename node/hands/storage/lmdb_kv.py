"""Tables on disk: one LMDB environment, one writer thread, one durable commit for many jobs.

The event loop hands jobs over through a bounded queue.  The writer thread takes all that wait, runs
each in a nested transaction of one parent and commits the parent: one pair of disk flushes however
many they are.  A job that raises loses its own transaction and nothing else.  A job that waits
alone runs in the parent itself.

Rules:

* The map is sized once, large and sparse; resizing a live map corrupts it.
* Only the writer thread writes: a second writing transaction would block the event loop.
* Room is checked before the commit, because LMDB reports a short write of a full disk as the same
  EIO as a broken disk.  So every failure of a commit, a full map aside, is :class:`Fatal`, and
  from then on the store refuses everything.
* An environment is opened once per process and never carried over a fork.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import lmdb

from node.hands.storage.durable import make_directory, sync_directory
from node.hands.storage.tables import check_key, prefix_end
from protocol.errors import FangzhiError, Fatal, Full, StoreError, Unavailable
from protocol.limits import DISK_RESERVE_BYTES, JOBS_PER_COMMIT_MAX, JOBS_WAITING_MAX
from protocol.ports import Reader, Writer

T = TypeVar("T")

_READERS_MAX = 512
_PUT_OVERHEAD_BYTES = 8192  # a put copies its leaf page and, now and then, one above it
_NO_ROOM = (lmdb.MapFullError, lmdb.DiskError, lmdb.TxnFullError)


class LmdbStore:
    """KeyValueStore in the directory ``path``; use from one event loop, read from any thread."""

    def __init__(
        self,
        path: Path,
        tables: Iterable[str],
        map_bytes: int,
        reserve_bytes: int = DISK_RESERVE_BYTES,
    ) -> None:
        """Open or create. ``map_bytes`` bounds the data for ever and costs address space only;
        jobs get Full when they would leave less than ``reserve_bytes`` free on the disk.

        Raises:
            StoreError: not an environment, or this process has it open already.
        """
        self._path = path
        self._reserve_bytes = reserve_bytes
        self._refusal: FangzhiError | None = None
        self._slots = asyncio.Semaphore(JOBS_WAITING_MAX)
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._closing = False
        names = sorted(tables)
        make_directory(path)
        try:
            self._env = lmdb.open(
                str(path),
                map_size=map_bytes,
                max_dbs=len(names),
                max_readers=_READERS_MAX,
                mode=0o600,
                readahead=False,
            )
            self._env.reader_check()  # slots of killed processes would pin old pages
            self._tables = {name: self._env.open_db(name.encode()) for name in names}
        except lmdb.Error as error:
            raise StoreError(str(path), "an LMDB environment of our own", error) from error
        sync_directory(path)  # LMDB does not sync the name of a new data.mdb
        self._thread = threading.Thread(target=self._serve, name=f"lmdb {path.name}", daemon=True)
        self._thread.start()

    @contextmanager
    def read(self) -> Iterator[Reader]:
        """A snapshot.  A long one pins old pages and makes the file grow: keep it short."""
        self._refuse()
        with self._env.begin() as transaction:
            yield _Snapshot(transaction, self._tables)

    async def write(self, job: Callable[[Writer], T]) -> T:
        """See KeyValueStore.  A caller that is cancelled does not take its job back.

        Raises:
            Full: no room on the disk or in the map.
            Fatal: a commit failed, now or earlier.
            Unavailable: the store is closed.
        """
        await self._slots.acquire()
        try:
            self._refuse()
        except FangzhiError:
            self._slots.release()
            raise
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._queue.put(_Waiting(job, loop, future))
        value: T = await future
        return value

    def copy(self, folder: Path) -> None:
        """Write the environment as of now into an empty folder, without its free pages.

        Raises:
            Full: no room there.
        """
        try:
            self._env.copy(str(folder), compact=True)
        except lmdb.Error as error:
            raise Full(str(folder), "room for a copy of the ledger", error) from error

    async def close(self) -> None:
        """Finish the jobs that wait, then close.  Closing twice does nothing."""
        if self._closing:
            return
        self._closing = True
        self._refusal = self._refusal or Unavailable(str(self._path), "an open store", "closed")
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)
        self._env.close()

    def _refuse(self) -> None:
        if self._refusal:
            raise self._refusal.with_traceback(None)

    # Below: the writer thread.

    def _serve(self) -> None:
        while batch := self._next_batch():
            try:
                self._commit(batch)
            except BaseException as error:
                # Whatever it was, nobody knows what is on the disk.
                fatal = Fatal(str(self._path), "a durable commit", error)
                fatal.__cause__ = error
                self._refusal = fatal
                for waiting in batch:
                    waiting.error = fatal
            self._hand_back(batch)

    def _next_batch(self) -> list[_Waiting]:
        """Every job that waits; empty when the store closes."""
        batch: list[_Waiting] = []
        waiting = self._queue.get()
        while waiting is not None:
            batch.append(waiting)
            if len(batch) == JOBS_PER_COMMIT_MAX:
                return batch
            try:
                waiting = self._queue.get_nowait()
            except queue.Empty:
                return batch
        if batch:
            self._queue.put(None)  # found while gathering: close after this batch
        return batch

    def _commit(self, batch: list[_Waiting]) -> None:
        if isinstance(self._refusal, Fatal):
            raise self._refusal
        parent = self._env.begin(write=True)
        try:
            if len(batch) == 1:
                self._run(batch[0], parent, 0)
                if batch[0].error:
                    parent.abort()
                    return
            else:
                self._run_nested(batch, parent)
            parent.commit()
        except lmdb.MapFullError as error:
            # The list of free pages did not fit; LMDB has undone the whole commit without a sync.
            parent.abort()
            if len(batch) == 1:
                batch[0].error = self._full(error)
            else:
                for waiting in batch:
                    self._commit([waiting])
        except BaseException:
            parent.abort()
            raise

    def _run_nested(self, batch: list[_Waiting], parent: lmdb.Transaction) -> None:
        written_bytes = 0
        for waiting in batch:
            child = self._env.begin(write=True, parent=parent)
            job_bytes = self._run(waiting, child, written_bytes)
            if waiting.error:
                child.abort()
            else:
                child.commit()
                written_bytes += job_bytes

    def _run(self, waiting: _Waiting, transaction: lmdb.Transaction, earlier_bytes: int) -> int:
        """Bytes that the job adds to what the jobs before it will write.  If it has an error now,
        the transaction must be aborted."""
        waiting.value = waiting.error = None
        changes = _Changes(transaction, self._tables)
        try:
            waiting.value = waiting.job(changes)
            self._check_room(earlier_bytes + changes.written_bytes)
        except _NO_ROOM as error:
            waiting.error = self._full(error)
        except Exception as error:
            waiting.error = error
        return changes.written_bytes

    def _check_room(self, written_bytes: int) -> None:
        disk = os.statvfs(self._path)
        free_bytes = disk.f_bavail * disk.f_frsize
        if written_bytes and free_bytes < self._reserve_bytes + written_bytes:
            need = f"{self._reserve_bytes + written_bytes} bytes free"
            raise Full(str(self._path), need, free_bytes)

    def _full(self, error: lmdb.Error) -> Full:
        return Full(str(self._path), "room in the map and on the disk", error)

    def _hand_back(self, batch: list[_Waiting]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            batch[0].loop.call_soon_threadsafe(self._answer, batch)

    def _answer(self, batch: list[_Waiting]) -> None:
        for waiting in batch:
            self._slots.release()
            if waiting.future.done():  # cancelled
                continue
            if waiting.error:
                waiting.future.set_exception(waiting.error)
            else:
                waiting.future.set_result(waiting.value)


@dataclass(slots=True, eq=False)
class _Waiting:
    """A job, and what came of it."""

    job: Callable[[Writer], Any]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    value: Any = None
    error: BaseException | None = None


class _Snapshot:
    """Reader over one transaction."""

    def __init__(self, transaction: lmdb.Transaction, tables: dict[str, Any]) -> None:
        self._transaction = transaction
        self._tables = tables
        self._changes = 0

    def get(self, table: str, key: bytes) -> bytes | None:
        value = self._transaction.get(check_key(key), db=self._tables[table])
        return cast("bytes | None", value)  # bytes, because the transaction is without buffers

    def scan(
        self, table: str, prefix: bytes = b"", start: bytes = b"", reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        cursor = self._transaction.cursor(db=self._tables[table])
        return self._down(cursor, prefix) if reverse else self._up(cursor, prefix, start)

    def _up(self, cursor: Any, prefix: bytes, start: bytes) -> Iterator[tuple[bytes, bytes]]:
        found = cursor.set_range(max(prefix, start))
        while found:
            key, value = cursor.item()
            if not key.startswith(prefix):
                return
            seen = self._changes
            yield key, value
            if seen == self._changes:
                found = cursor.next()
            else:  # the job wrote meanwhile: find the place again
                found = cursor.set_range(key) and (cursor.key() != key or cursor.next())

    def _down(self, cursor: Any, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        end = prefix_end(prefix)
        found = cursor.prev() if end and cursor.set_range(end) else cursor.last()
        while found:
            key, value = cursor.item()
            if not key.startswith(prefix):
                return
            seen = self._changes
            yield key, value
            if seen != self._changes and not cursor.set_range(key):
                found = cursor.last()
            else:
                found = cursor.prev()


class _Changes(_Snapshot):
    """Writer over the transaction of one job."""

    written_bytes = 0

    def put(self, table: str, key: bytes, value: bytes) -> None:
        self._transaction.put(check_key(key), value, db=self._tables[table])
        self._changes += 1
        self.written_bytes += len(key) + len(value) + _PUT_OVERHEAD_BYTES

    def put_many(self, table: str, pairs: Sequence[tuple[bytes, bytes]]) -> None:
        for key, value in pairs:
            self.written_bytes += len(check_key(key)) + len(value) + _PUT_OVERHEAD_BYTES
        self._changes += 1
        with self._transaction.cursor(db=self._tables[table]) as cursor:
            cursor.putmulti(pairs)

    def delete(self, table: str, key: bytes) -> None:
        self._transaction.delete(check_key(key), db=self._tables[table])
        self._changes += 1
        self.written_bytes += _PUT_OVERHEAD_BYTES
