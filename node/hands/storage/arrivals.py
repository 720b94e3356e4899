"""Blobs that come in pieces: ``staging/arrival-NAME.data``, and beside it what is right of it.

The log has a row for each piece written: which chunk, how much of it is here, and the leaf hash of
that.  Nothing is synced before the end.  After a restart each row is held against the bytes, so
what a crash or a power cut took is simply not here, and what is here is right.
"""

from __future__ import annotations

import asyncio
import os
import re
import struct
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Final, TypeVar

import xxhash

from node.hands.storage.cards import Facts
from node.hands.storage.durable import taking
from node.hands.storage.file_blobs import WHERE, read_exactly
from node.hands.storage.incoming import Hashes, Lanes, Room
from protocol.chunks import chunk_count, chunk_span
from protocol.errors import Corrupt, DecodeError, Full, Missing, ProofError, Unavailable
from protocol.ids import BlobId
from protocol.limits import CHUNK_BYTES

T = TypeVar("T")

_PREFIX: Final = "arrival-"
_NAME: Final = re.compile(r"[a-z0-9-]{1,80}")
_ROW: Final = struct.Struct(">II32s")  # chunk, bytes of it, leaf hash; then XXH3-64 of these
_CHECK_BYTES: Final = 8

Shelve = Callable[[Path, Facts], Awaitable[bool]]


class FileArrival:
    """Arrival in a staging folder.

    Only the thread of the lane ``leaves`` writes and changes what is known of the chunks; the one
    of the lane ``whole`` follows behind and hashes the unbroken beginning as it reads it back.
    """

    def __init__(
        self,
        staging: Path,
        name: str,
        size: int,
        lanes: Lanes,
        room: Room,
        shelve: Shelve,
        over: Callable[[str], None],
    ) -> None:
        self.size = size
        self._name = name
        self._paths = paths(staging, name)
        self._lanes = lanes
        self._room = room
        self._shelve = shelve
        self._over = over
        self._files: tuple[int, int] | None = None  # data and log
        self._leaves: dict[int, bytes] = {}  # of whole chunks
        self._front = 0  # whole chunks of the unbroken beginning
        self._begun_bytes = 0  # of the chunk after them
        self._begun = sha256(b"\x00")
        self._hashes = Hashes()
        self._hashing: asyncio.Future[None] | None = None
        self._promised_bytes = 0

    async def open(self) -> None:
        """Take up what is there, or begin.

        Raises:
            Full: no room.
        """
        here = await self._on(self._lanes.leaves, self._open)
        try:
            self._room.take(self.size - here, promised=True)
        except Full:
            await self._on(self._lanes.leaves, self._close, here == 0)
            raise
        self._room.count(here)
        self._promised_bytes = self.size - here

    @property
    def end(self) -> int:
        return min(self._front * CHUNK_BYTES + self._begun_bytes, self.size)

    def have(self) -> frozenset[int]:
        return frozenset(self._leaves)

    async def write(self, offset: int, data: bytes, leaf: bytes | None = None) -> None:
        if self._files is None:
            raise Unavailable(f"arrival {self._name}", "one that is still open", "it is over")
        before = self._promised_bytes
        written = await self._on(self._lanes.leaves, self._write, offset, data, leaf)
        self._promised_bytes = max(before - written, 0)
        self._room.keep(before - self._promised_bytes)
        if self._hashing is None or self._hashing.done():
            self._hashing = asyncio.ensure_future(self._on(self._lanes.whole, self._follow))

    async def commit(self, expect: BlobId | None = None) -> BlobId:
        missing = chunk_count(self.size) - len(self._leaves)
        if missing:
            raise Missing(f"arrival {self._name}", "all chunks", f"{missing} are missing")
        if self._hashing is not None:
            await self._hashing
        await self._on(self._lanes.whole, self._follow)
        facts = self._hashes.facts_with(self._sorted_leaves())
        if expect is not None and facts.blob != expect:
            await self.discard()
            raise Corrupt(WHERE, f"content {expect}", facts.blob)
        await self._on(self._lanes.leaves, self._close, False)
        try:
            if not await self._shelve(self._paths[0], facts):
                self._room.give_back(self.size)
            self._paths[1].unlink(missing_ok=True)
        finally:
            self._over(self._name)
        return facts.blob

    async def discard(self) -> None:
        if self._files is not None:
            await self._on(self._lanes.leaves, self._close, True)
            self._room.keep(self._promised_bytes)
            self._room.give_back(self.size)
            self._over(self._name)

    async def close(self) -> None:
        """Leave it for the next start."""
        await self._on(self._lanes.leaves, self._close, False)

    async def _on(self, lane: ThreadPoolExecutor, work: Callable[..., T], *given: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(lane, work, *given)

    def _sorted_leaves(self) -> bytes:
        return b"".join(self._leaves[number] for number in range(len(self._leaves)))

    # Below: on the lane ``leaves``.

    def _open(self) -> int:
        """Bytes that are here and right."""
        with taking(self._paths[0]):
            data, log = self._files = (
                os.open(self._paths[0], os.O_RDWR | os.O_CREAT, 0o600),
                os.open(self._paths[1], os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600),
            )
            if os.fstat(data).st_size != self.size:  # new, or of another size
                os.ftruncate(log, 0)
                os.ftruncate(data, 0)
                os.ftruncate(data, self.size)
                return 0
        begun: dict[int, list[tuple[int, bytes]]] = {}
        for number, length, leaf in _rows(read_exactly(log, 0, os.fstat(log).st_size)):
            if number < chunk_count(self.size):
                begun.setdefault(number, []).append((length, leaf))
        here = 0
        for number in sorted(begun):
            here += self._take_up(data, number, begun[number])
        return here

    def _take_up(self, data: int, number: int, rows: list[tuple[int, bytes]]) -> int:
        start, whole = chunk_span(self.size, number)
        for length, leaf in sorted(rows, reverse=True):
            hasher = sha256(b"\x00" + read_exactly(data, start, length))
            if hasher.digest() != leaf:
                continue
            if length == whole:
                self._have(number, leaf)
            elif number == self._front:
                self._begun, self._begun_bytes = hasher, length
            else:
                return 0
            return length
        return 0

    def _write(self, offset: int, data: bytes, leaf: bytes | None) -> int:
        """Bytes that were not here before."""
        if self._files is None:
            raise Unavailable(f"arrival {self._name}", "one that is still open", "it is over")
        check_piece(self._name, self.size, self.end, offset, len(data))
        view, written = memoryview(data), 0
        while view:
            number, within = divmod(offset, CHUNK_BYTES)
            _, length = chunk_span(self.size, number)
            part = view[: length - within]
            if number not in self._leaves:
                hasher = self._begun.copy() if within else sha256(b"\x00")
                hasher.update(part)
                if leaf is not None and hasher.digest() != leaf:
                    raise ProofError(f"arrival {self._name}", f"chunk {number}", "another")
                self._store(offset, part)
                self._note(number, within + len(part), hasher.digest())
                if within + len(part) == length:
                    self._have(number, hasher.digest())
                else:
                    self._begun, self._begun_bytes = hasher, within + len(part)
                written += len(part)
            offset, view = offset + len(part), view[len(part) :]
        return written

    def _store(self, offset: int, part: memoryview) -> None:
        assert self._files is not None
        with taking(self._paths[0]):
            while part:
                count = os.pwrite(self._files[0], part, offset)
                part, offset = part[count:], offset + count

    def _note(self, number: int, length: int, leaf: bytes) -> None:
        assert self._files is not None
        row = _ROW.pack(number, length, leaf)
        with taking(self._paths[1]):
            os.write(self._files[1], row + xxhash.xxh3_64_digest(row))

    def _have(self, number: int, leaf: bytes) -> None:
        self._leaves[number] = leaf
        if number == self._front:
            self._begun_bytes = 0
            while self._front in self._leaves:
                self._front += 1

    def _close(self, remove: bool) -> None:
        if self._files is None:
            return
        for descriptor in self._files:
            os.close(descriptor)
        self._files = None
        if remove:
            for path in self._paths:
                path.unlink(missing_ok=True)

    # Below: on the lane ``whole``.

    def _follow(self) -> None:
        """Hash what has been added to the unbroken beginning."""
        with self._paths[0].open("rb", buffering=0) as file:
            while self._hashes.size < min(self._front * CHUNK_BYTES, self.size):
                data = read_exactly(file.fileno(), self._hashes.size, CHUNK_BYTES)
                if not data:
                    raise Corrupt(WHERE, f"bytes at {self._hashes.size}", "none")
                self._hashes.whole(data)
                self._hashes.quick(data)


def check_name(name: str) -> str:
    """
    Raises:
        DecodeError: not the name of an arrival.
    """
    if not _NAME.fullmatch(name):
        raise DecodeError("arrival", "a name of 1 to 80 of a-z0-9-", repr(name[:90]))
    return name


def check_piece(name: str, size: int, end: int, offset: int, length: int) -> None:
    """Check that a piece may be written: at ``end``, or whole chunks.

    Raises:
        DecodeError: it may not.
    """
    after = offset + length
    if after > size:
        raise DecodeError(f"arrival {name}", f"at most {size} bytes", after)
    whole = offset % CHUNK_BYTES == 0 and (after % CHUNK_BYTES == 0 or after == size)
    if offset != end and not (whole and offset >= 0):
        raise DecodeError(f"arrival {name}", f"bytes from {end} on, or whole chunks", offset)


def paths(staging: Path, name: str) -> tuple[Path, Path]:
    """Data and log."""
    return (staging / f"{_PREFIX}{check_name(name)}.data", staging / f"{_PREFIX}{name}.log")


def names(staging: Path) -> set[str]:
    """Of all arrivals that are left there."""
    return {path.stem.removeprefix(_PREFIX) for path in staging.glob(f"{_PREFIX}*")}


def _rows(log: bytes) -> Iterator[tuple[int, int, bytes]]:
    """The rows that are whole; a torn one is passed over."""
    width = _ROW.size + _CHECK_BYTES
    for at in range(0, len(log) - width + 1, width):
        row, check = log[at : at + _ROW.size], log[at + _ROW.size : at + width]
        if xxhash.xxh3_64_digest(row) == check:
            yield _ROW.unpack(row)
