"""A stream on its way to the disk: hashed while it is written, by threads side by side.

Each lane is one thread that does what it is given in order: SHA-256 of the whole, leaf hashes with
XXH3-128, the writing, and behind it the syncing, so that little is left for the end.  A stream runs
as fast as the slowest of them and needs no locks, and however many streams come in, they share four
threads.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Final

import xxhash

from node.hands.storage.cards import Facts
from node.hands.storage.durable import StagedFile
from protocol.chunks import EMPTY, ChunkHasher, root_of_leaves
from protocol.errors import Full
from protocol.ids import BlobId, ChunkRoot
from protocol.limits import CHUNK_BYTES, MiB
from protocol.merkle import leaf_hash

_TRUSTED_BYTES: Final = 64 * MiB  # others fill the disk, too
_FLUSH_BYTES: Final = 64 * MiB  # written before the disk is told to begin
_AHEAD: Final = 4  # pieces of one stream that wait for the lanes


class Lanes:
    """The threads."""

    def __init__(self) -> None:
        self.whole, self.leaves, self.disk, self.sync = (
            ThreadPoolExecutor(1, thread_name_prefix=f"store {name}")
            for name in ("whole", "leaves", "disk", "sync")
        )

    def close(self) -> None:
        for lane in (self.whole, self.leaves, self.disk, self.sync):
            lane.shutdown(wait=True, cancel_futures=True)


class Room:
    """How much may still be written: a reserve stays free on the disk, a quota is kept."""

    def __init__(self, folder: Path, reserve_bytes: int, quota_bytes: int) -> None:
        self._folder = folder
        self._reserve_bytes = reserve_bytes
        self._quota_bytes = quota_bytes
        self._used_bytes = 0  # by blobs, and by what is on its way to become one
        self._promised_bytes = 0  # of these: not yet on the disk
        self._free_bytes = 0  # on the disk when it was last asked, less what was taken since
        self._trusted_bytes = 0  # that may be taken before it is asked again

    def take(self, size: int, promised: bool = False) -> None:
        """Count ``size`` bytes as used.

        Raises:
            Full: they would break the reserve or the quota; says which.
        """
        if size > (left := self._quota_bytes - self._used_bytes):
            expected = f"room for {size} bytes in the quota of {self._quota_bytes}"
            raise Full("[store] quota_gib", expected, f"{max(left, 0)} left")
        need = self._reserve_bytes + self._promised_bytes + size
        if size > self._trusted_bytes or need > self._free_bytes:
            disk = os.statvfs(self._folder)
            self._free_bytes = disk.f_bavail * disk.f_frsize
            self._trusted_bytes = _TRUSTED_BYTES
            if need > self._free_bytes:
                raise Full(str(self._folder), f"{need} bytes free", self._free_bytes)
        self._used_bytes += size
        if promised:
            self._promised_bytes += size
        else:
            self._spend(size)

    @property
    def left_bytes(self) -> int:
        """What the quota leaves, where promises are not counted."""
        return self._quota_bytes - self._used_bytes + self._promised_bytes

    def keep(self, promised: int) -> None:
        """What was promised has been written."""
        self._promised_bytes -= promised
        self._spend(promised)

    def give_back(self, size: int) -> None:
        self._used_bytes -= size

    def count(self, size: int) -> None:
        """Bytes found here at the start."""
        self._used_bytes += size

    def _spend(self, size: int) -> None:
        self._free_bytes -= size
        self._trusted_bytes -= size


class Hashes:
    """The whole hashes of a stream; :meth:`whole` and :meth:`quick` may run side by side."""

    def __init__(self) -> None:
        self.size = 0
        self._sha256 = hashlib.sha256()
        self._xxh3 = xxhash.xxh3_128()

    def whole(self, data: bytes | memoryview) -> None:
        self._sha256.update(data)

    def quick(self, data: bytes | memoryview) -> None:
        self._xxh3.update(data)
        self.size += len(data)

    def facts_with(self, leaves: bytes) -> Facts:
        """The facts of what came, whose leaf hashes are these."""
        blob, quick = BlobId(self._sha256.digest()), self._xxh3.digest()
        return Facts(blob, self.size, root_of_leaves(leaves), quick, leaves)


def facts_of_small(data: bytes) -> Facts:
    """The facts of a blob of at most one chunk."""
    leaf = leaf_hash(data) if data else b""  # the root of one leaf is the leaf
    root = ChunkRoot(leaf) if data else EMPTY
    return Facts(BlobId.of(data), len(data), root, xxhash.xxh3_128_digest(data), leaf)


class Incoming:
    """A staged file and the hashes of what is in it."""

    def __init__(self, path: Path, lanes: Lanes, room: Room) -> None:
        self.path = path
        self._lanes = lanes
        self._room = room
        self._taken_bytes = 0
        self._hashes = Hashes()
        self._chunks = ChunkHasher()
        self._file: StagedFile | None = None
        self._unsynced_bytes = 0
        self._syncing: Future[None] = Future()
        self._syncing.set_result(None)
        self._pending: deque[asyncio.Future[None]] = deque()

    async def write(self, data: bytes) -> None:
        """
        Raises:
            Full: no room.
        """
        await self._settle(3 * _AHEAD)
        self._room.take(len(data))
        self._taken_bytes += len(data)
        self._start(self._lanes.whole, self._hashes.whole, data)
        self._start(self._lanes.leaves, self._leaves, data)
        self._start(self._lanes.disk, self._write, data)

    async def finish(self) -> Facts:
        """All that was written, in a file that is not yet synced.

        Raises:
            Full: no room.
            SyncFailed: the process must end.
        """
        self._start(self._lanes.disk, self._write, b"")  # an empty blob has a file, too
        await self._settle(0)
        await asyncio.wrap_future(self._syncing)
        return self._hashes.facts_with(self._chunks.finished())

    def kept(self) -> None:
        """The bytes are a blob now: they stay counted."""
        self._taken_bytes = 0

    async def discard(self) -> None:
        """Remove the file, if it is still there."""
        self._start(self._lanes.disk, self._discard)
        self._room.give_back(self._taken_bytes)
        self._taken_bytes = 0
        await asyncio.gather(*self._pending, return_exceptions=True)

    async def _settle(self, left: int) -> None:
        while len(self._pending) > left:
            await self._pending[0]
            self._pending.popleft()

    def _start(self, lane: ThreadPoolExecutor, work: Callable[..., None], *given: bytes) -> None:
        loop = asyncio.get_running_loop()
        self._pending.append(loop.run_in_executor(lane, work, *given))

    def _leaves(self, data: bytes) -> None:
        self._chunks.update(data)
        self._hashes.quick(data)

    def _write(self, data: bytes) -> None:
        if self._file is None:
            self._file = StagedFile(self.path, mode=0o400)
        self._file.write(data)
        self._unsynced_bytes += len(data)
        if self._unsynced_bytes >= _FLUSH_BYTES and self._syncing.done():
            self._unsynced_bytes = 0
            self._syncing.result()
            self._syncing = self._lanes.sync.submit(self._file.begin_sync)

    def _discard(self) -> None:
        wait([self._syncing])
        if self._file is not None:
            self._file.discard()


async def in_chunks(stream: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    """The same bytes in pieces of CHUNK_BYTES, but for the last."""
    pieces: list[bytes] = []
    length = 0
    async for data in stream:
        rest = data
        while length + len(rest) >= CHUNK_BYTES:
            cut = CHUNK_BYTES - length
            if pieces or cut < len(rest):
                yield b"".join([*pieces, rest[:cut]])
            else:
                yield rest
            rest = rest[cut:]
            pieces, length = [], 0
        if rest:
            pieces.append(rest)
            length += len(rest)
    if pieces:
        yield b"".join(pieces)
