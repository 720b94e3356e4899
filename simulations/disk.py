"""Disks that forget: what was not yet durable is lost in a crash.

A :class:`SimDisk` outlives the process that uses it.  Stores are opened on it;
:meth:`SimDisk.crash` kills every open one (its callers get Unavailable, as nobody would answer them
in a dead process) and the next process opens new ones on what is left.

As on the real disk, readers see only what is durable.  A change becomes durable after one drawn
delay and is acknowledged after another, so a crash also leaves work that was done but never
reported.  Segments show at once and may be lost, because their loss is allowed.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from node.hands.storage.arrivals import check_name, check_piece
from node.hands.storage.file_segments import check_segment_name
from node.hands.storage.memory_kv import MemoryStore
from protocol.chunks import chunk_count, chunk_span, leaves_of, root_of_leaves
from protocol.errors import Corrupt, Full, Missing, ProofError, Unavailable
from protocol.ids import BlobId, UnixMs
from protocol.limits import CHUNK_BYTES
from protocol.merkle import leaf_hash
from protocol.ports import Card, Reader, Writer
from simulations.clock import EPOCH_MS, draws

T = TypeVar("T")

SYNC_SECONDS: Final = (0.001, 0.020)  # the shortest and the longest that is drawn
REPORT_SECONDS: Final = (0.0, 0.002)


class SimDisk:
    """The disk of one machine."""

    def __init__(self, seed: int, name: str, capacity_bytes: int = 2**40) -> None:
        """``name`` tells the delays of this disk from those of others of the same seed.
        ``capacity_bytes`` bounds the blobs; a put that does not fit gets Full."""
        self.capacity_bytes = capacity_bytes
        self._random = draws(seed, f"disk {name}")
        self._tables: dict[str, MemoryStore] = {}
        self._blobs = _Durable()
        self._segments: dict[str, bytes] = {}
        self._open: list[_Life] = []

    def key_value(self, name: str, tables: Iterable[str]) -> SimKeyValueStore:
        if name not in self._tables:
            self._tables[name] = MemoryStore(tables)
        return SimKeyValueStore(self._tables[name], self._life())

    def blobs(self) -> SimBlobStore:
        return SimBlobStore(self._blobs, self._life(), self.capacity_bytes)

    def segments(self) -> SimSegmentStore:
        return SimSegmentStore(self._segments, self._life())

    def crash(self) -> None:
        """Lose what is not durable; stores opened so far are dead."""
        for life in self._open:
            life.end()
        self._open.clear()

    def flip(self, blob: BlobId, offset: int) -> None:
        """Damage one bit of a stored blob."""
        damaged = bytearray(self._blobs.content[blob])
        damaged[offset] ^= 1
        self._blobs.content[blob] = bytes(damaged)

    def _life(self) -> _Life:
        life = _Life(self._random)
        self._open.append(life)
        return life


class _Life:
    """From the opening of a store to the crash: what is on its way to the disk."""

    def __init__(self, chance: random.Random) -> None:
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
            value = action()
            self.later(REPORT_SECONDS, lambda: _answer(future, value, None))

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
            _answer(future, None, lost)


class SimKeyValueStore:
    """KeyValueStore with the group commit of the real one, in virtual time."""

    def __init__(self, durable: MemoryStore, life: _Life) -> None:
        self._durable = durable
        self._life = life
        self._waiting: list[_Job] = []
        self._committing = False

    def read(self) -> AbstractContextManager[Reader]:
        self._life.refuse_if_over()
        return self._durable.read()

    async def write(self, job: Callable[[Writer], T]) -> T:
        self._life.refuse_if_over()
        waiting = _Job(job, self._life.caller())
        self._waiting.append(waiting)
        self._start_commit()
        result: T = await waiting.future
        return result

    async def close(self) -> None:
        with contextlib.suppress(Unavailable):  # crashed or closed already
            await self.write(lambda writer: None)  # all that waited before it is durable then
        self._life.end()

    def _start_commit(self) -> None:
        if self._waiting and not self._committing:
            self._committing = True
            self._life.later(SYNC_SECONDS, self._commit)

    def _commit(self) -> None:
        batch, self._waiting = self._waiting, []
        for waiting in batch:
            try:
                waiting.value = self._durable.run(waiting.job)
            except Exception as error:
                waiting.error = error
        self._life.later(REPORT_SECONDS, lambda: self._report(batch))

    def _report(self, batch: list[_Job]) -> None:
        for waiting in batch:
            _answer(waiting.future, waiting.value, waiting.error)
        self._committing = False
        self._start_commit()


@dataclass(slots=True, eq=False)
class _Job:
    job: Callable[[Writer], Any]
    future: asyncio.Future[Any]
    value: Any = None
    error: Exception | None = None


def _answer(future: asyncio.Future[Any], value: object, error: Exception | None) -> None:
    if future.done():  # the caller was cancelled
        return
    if error:
        future.set_exception(error)
    else:
        future.set_result(value)


@dataclass(slots=True, eq=False)
class _Pieces:
    """What has come of a blob."""

    size: int
    chunks: dict[int, bytes] = field(default_factory=dict)  # each as far as it came

    @property
    def end(self) -> int:
        number = 0
        while len(self.chunks.get(number, b"")) == CHUNK_BYTES:
            number += 1
        return number * CHUNK_BYTES + len(self.chunks.get(number, b""))

    def write(self, offset: int, data: bytes) -> None:
        while data:
            number, within = divmod(offset, CHUNK_BYTES)
            part, data = data[: CHUNK_BYTES - within], data[CHUNK_BYTES - within :]
            if number not in self.have():
                self.chunks[number] = self.chunks.get(number, b"")[:within] + part
            offset += len(part)

    def have(self) -> frozenset[int]:
        return frozenset(
            number
            for number, data in self.chunks.items()
            if len(data) == chunk_span(self.size, number)[1]
        )


@dataclass(slots=True, eq=False)
class _Durable:
    """Blobs on a disk."""

    content: dict[BlobId, bytes] = field(default_factory=dict)
    checked: dict[BlobId, UnixMs] = field(default_factory=dict)
    leaves: dict[BlobId, bytes] = field(default_factory=dict)
    arrivals: dict[str, _Pieces] = field(default_factory=dict)


class SimArrival:
    """Arrival whose pieces are here from their sync on."""

    def __init__(
        self, store: SimBlobStore, name: str, pieces: _Pieces, left: dict[str, _Pieces], life: _Life
    ) -> None:
        self.size = pieces.size
        self._store = store
        self._name = name
        self._pieces = pieces
        self._left = left
        self._life = life

    @property
    def end(self) -> int:
        return self._pieces.end

    def have(self) -> frozenset[int]:
        return self._pieces.have()

    async def write(self, offset: int, data: bytes, leaf: bytes | None = None) -> None:
        check_piece(self._name, self.size, self.end, offset, len(data))
        if leaf is not None and leaf_hash(data) != leaf:
            raise ProofError(f"arrival {self._name}", "the promised chunk", "another")
        await self._life.durably(lambda: self._pieces.write(offset, bytes(data)))

    async def commit(self, expect: BlobId | None = None) -> BlobId:
        missing = chunk_count(self.size) - len(self.have())
        if missing:
            raise Missing(f"arrival {self._name}", "all chunks", f"{missing} are missing")

        async def chunks() -> AsyncIterator[bytes]:
            for number in range(chunk_count(self.size)):
                yield self._pieces.chunks[number]

        try:
            blob = await self._store.put(chunks(), expect)
        except Corrupt:
            await self.discard()
            raise
        await self.discard()
        return blob

    async def discard(self) -> None:
        if self._left.get(self._name) is self._pieces:
            await self._life.durably(lambda: self._left.pop(self._name, None))


class SimBlobStore:
    """BlobStore whose blobs exist from their sync on."""

    def __init__(self, durable: _Durable, life: _Life, capacity_bytes: int) -> None:
        self._durable = durable.content
        self._checked = durable.checked
        self._leaves = durable.leaves
        self._left = durable.arrivals
        self._life = life
        self._capacity_bytes = capacity_bytes

    async def put(self, chunks: AsyncIterator[bytes], expect: BlobId | None = None) -> BlobId:
        self._life.refuse_if_over()
        staged = bytearray()
        async for chunk in chunks:
            staged += chunk
            self._check_room(len(staged))
        blob = BlobId.of(bytes(staged))
        if expect is not None and blob != expect:
            raise Corrupt("blob store", f"content {expect}", blob)

        def keep() -> None:
            if blob not in self._durable:
                self._durable[blob], self._checked[blob] = bytes(staged), _now()
            self._leaves.setdefault(blob, leaves_of(bytes(staged)))

        await self._life.durably(keep)
        return blob

    async def arrive(self, name: str, size: int) -> SimArrival:
        check_name(name)
        self._life.refuse_if_over()
        pieces = self._left.get(name)
        if pieces is None or pieces.size != size:
            self._check_room(size)
            pieces = self._left[name] = _Pieces(size)
        return SimArrival(self, name, pieces, self._left, self._life)

    async def forget_arrivals(self, keep: Callable[[str], bool]) -> None:
        for name in [name for name in self._left if not keep(name)]:
            del self._left[name]

    async def read(self, blob: BlobId, offset: int, length: int) -> bytes:
        return self._content(blob)[offset : offset + length]

    def size(self, blob: BlobId) -> int | None:
        self._life.refuse_if_over()
        content = self._durable.get(blob)
        return None if content is None else len(content)

    async def card(self, blob: BlobId) -> Card:
        content, leaves = self._content(blob), await self.leaves(blob)
        return Card(len(content), root_of_leaves(leaves), self._checked[blob])

    async def leaves(self, blob: BlobId) -> bytes:
        self._content(blob)
        return self._leaves[blob]

    async def verify(self, blob: BlobId) -> None:
        digest = hashlib.sha256(self._content(blob)).digest()
        if digest != blob.raw:
            raise Corrupt("blob store", f"content {blob}", digest.hex())
        self._checked[blob] = _now()

    async def delete(self, blob: BlobId) -> None:
        await self._life.durably(lambda: self._durable.pop(blob, None))

    def scan(self) -> Iterator[BlobId]:
        self._life.refuse_if_over()
        return iter(sorted(self._durable))

    def checks(self) -> Iterator[tuple[UnixMs, BlobId]]:
        self._life.refuse_if_over()
        return iter(sorted((self._checked[blob], blob) for blob in self._durable))

    def _check_room(self, need_bytes: int) -> None:
        used_bytes = sum(len(data) for data in self._durable.values())
        if used_bytes + need_bytes > self._capacity_bytes:
            need = f"{used_bytes + need_bytes} bytes"
            raise Full("simulated disk", f"room for {need}", self._capacity_bytes)

    def _content(self, blob: BlobId) -> bytes:
        self._life.refuse_if_over()
        if blob not in self._durable:
            raise Missing("blob store", f"blob {blob}", "nothing")
        return self._durable[blob]


def _now() -> UnixMs:
    return UnixMs(EPOCH_MS + round(asyncio.get_running_loop().time() * 1000))


class SimSegmentStore:
    """SegmentStore that shows a segment at once and makes it durable later."""

    def __init__(self, durable: dict[str, bytes], life: _Life) -> None:
        self._durable = durable
        self._life = life
        self._shown = dict(durable)

    def put(self, name: str, data: bytes) -> None:
        self._life.refuse_if_over()
        kept = self._shown[check_segment_name(name)] = bytes(data)

        def sync() -> None:
            if self._shown.get(name) is kept:  # neither replaced nor deleted since
                self._durable[name] = kept

        self._life.later(SYNC_SECONDS, sync)

    def open(self, name: str) -> memoryview:
        self._life.refuse_if_over()
        if check_segment_name(name) not in self._shown:
            raise Missing("segment store", f"segment {name}", "nothing")
        return memoryview(self._shown[name])

    def page_out(self, buffer: memoryview) -> None:
        """Nothing: what is held is all there is."""

    def delete(self, name: str) -> None:
        self._life.refuse_if_over()
        self._shown.pop(check_segment_name(name), None)
        self._durable.pop(name, None)

    def names(self) -> list[str]:
        self._life.refuse_if_over()
        return sorted(self._shown)
