"""Blobs on a pretended disk: each exists from its sync on."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field

from node.hands.storage.arrivals import check_name, check_piece
from protocol.chunks import chunk_count, chunk_span, leaves_of, root_of_leaves
from protocol.errors import Corrupt, Full, Missing, ProofError
from protocol.ids import BlobId, UnixMs
from protocol.limits import CHUNK_BYTES
from protocol.merkle import leaf_hash
from protocol.ports import Card
from simulations.clock import EPOCH_MS
from simulations.sync import Life


@dataclass(slots=True, eq=False)
class Pieces:
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

    def copy(self) -> Pieces:
        return Pieces(self.size, dict(self.chunks))

    def have(self) -> frozenset[int]:
        return frozenset(
            number
            for number, data in self.chunks.items()
            if len(data) == chunk_span(self.size, number)[1]
        )


@dataclass(slots=True, eq=False)
class Blobs:
    """Blobs on a disk."""

    content: dict[BlobId, bytes] = field(default_factory=dict)
    checked: dict[BlobId, UnixMs] = field(default_factory=dict)
    leaves: dict[BlobId, bytes] = field(default_factory=dict)
    arrivals: dict[str, Pieces] = field(default_factory=dict)

    def copy(self) -> Blobs:
        arrivals = {name: each.copy() for name, each in self.arrivals.items()}
        return Blobs(dict(self.content), dict(self.checked), dict(self.leaves), arrivals)


class SimArrival:
    """Arrival whose pieces are here from their sync on."""

    def __init__(
        self, store: SimBlobStore, name: str, pieces: Pieces, left: dict[str, Pieces], life: Life
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

    def __init__(self, durable: Blobs, life: Life, capacity_bytes: int) -> None:
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
            pieces = self._left[name] = Pieces(size)
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
