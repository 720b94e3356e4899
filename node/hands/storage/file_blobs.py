"""Files named by their content: ``root/aa/rest-of-the-sha256``; the small ones in packs.

Writer of this folder gains nothing: every reader checks the hash of what it serves or takes.
Its loss is repaired from other holders.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from node.hands.storage.cards import Cards, Facts, Place, StoredCard
from node.hands.storage.durable import commit_file, make_directory, remove_file
from node.hands.storage.incoming import facts_of_small
from node.hands.storage.packs import Packs, read_pack
from protocol.errors import Corrupt, Full, Missing
from protocol.ids import BlobId, UnixMs
from protocol.limits import CHUNK_BYTES, MiB
from protocol.ports import BlockingWork

WHERE: Final = "blob store"
_FEED_BYTES: Final = 64 * MiB  # read at a stretch: a worker thread is not for one alone
_PACKS: Final = "packs"
_REST: Final = re.compile(r"[0-9a-f]{62}")


class FileShelf:
    """A Shelf in a folder; small blobs share files (``packs``)."""

    def __init__(self, number: int, root: Path, cards: Cards, work: BlockingWork) -> None:
        self.number = number
        self._root = root
        self._cards = cards
        self._work = work
        make_directory(root)
        self._packs = Packs(number, root / _PACKS)
        self._tidying = asyncio.Lock()

    async def take(self, staged: Path, facts: Facts) -> Place:
        await self._work.run(self._take, staged, facts.blob)
        return Place(self.number)

    async def take_small(self, batch: Sequence[tuple[Facts, bytes]]) -> list[Place]:
        return await self._work.run(self._packs.append, batch)

    async def read(self, blob: BlobId, place: Place, offset: int, length: int) -> bytes:
        return await self._work.run(self._read, blob, place, offset, length)

    async def feed(
        self, blob: BlobId, place: Place, size: int, take: Callable[[memoryview], None]
    ) -> None:
        for offset in range(0, size, _FEED_BYTES):
            length = min(_FEED_BYTES, size - offset)
            await self._work.run(self._feed, blob, place, offset, length, take)

    async def remove(self, blob: BlobId, place: Place, size: int) -> None:
        if place.pack:
            await self._work.run(self._packs.erase, place, size)
        else:
            await self._work.run(remove_file, self.path(blob))

    async def tidy(self) -> None:
        async with self._tidying:
            with suppress(Full):  # there will be room another time
                for pack in self._packs.hollow():
                    if await self._empty(pack):
                        await self._work.run(self._packs.forget, pack)

    async def _empty(self, pack: int) -> bool:
        """Move what is left in a pack to another; False when something damaged has to stay."""
        rest = {
            blob: card
            for blob, card in self._cards.walk()
            if (card.place.shelf, card.place.pack) == (self.number, pack)
        }
        right: dict[BlobId, bytes] = {}
        for blob, card in rest.items():
            with suppress(Corrupt, Missing):
                data = await self.read(blob, card.place, 0, card.size)
                if BlobId.of(data) == blob:
                    right[blob] = data
        batch = [(facts_of_small(data), data) for data in right.values()]
        places = await self.take_small(batch) if batch else []
        moves = [(blob, rest[blob].place, new) for blob, new in zip(right, places, strict=True)]
        for blob, place in await self._cards.move(moves):
            await self.remove(blob, place, rest[blob].size)
        return len(right) == len(rest)

    def own_file(self, blob: BlobId, place: Place) -> Path | None:
        return None if place.pack else self.path(blob)

    def changes(self) -> Iterator[tuple[BlobId, StoredCard | None]]:
        for number in range(256):
            folder = self._root / f"{number:02x}"
            there = set(os.listdir(folder)) if folder.exists() else set()
            for blob, card in self._cards.walk(bytes([number])):
                if card.place == Place(self.number) and blob.hex[2:] not in there:
                    yield blob, None
                elif card.place != Place(self.number) and blob.hex[2:] in there:
                    remove_file(self.path(blob))  # left behind by a move
                there.discard(blob.hex[2:])
            for name in sorted(filter(_REST.fullmatch, there)):
                blob = BlobId.parse(folder.name + name)
                size = self.path(blob).stat().st_size
                yield blob, StoredCard(size, Place(self.number), UnixMs(0))
        yield from self._packs.changes(self._cards)

    async def clear(self) -> None:
        await self._work.run(self._clear)

    async def close(self) -> None:
        self._packs.close()

    def path(self, blob: BlobId) -> Path:
        """Of a blob that is a file of its own."""
        return self._root / blob.hex[:2] / blob.hex[2:]

    # Below: in worker threads.

    def _take(self, staged: Path, blob: BlobId) -> None:
        final = self.path(blob)
        make_directory(final.parent)
        commit_file(staged, final)  # also over what is there, which may be damaged

    def _clear(self) -> None:
        self._packs.clear()
        for _, path, _ in list(listing(self._root)):
            remove_file(path)

    def _read(self, blob: BlobId, place: Place, offset: int, length: int) -> bytes:
        with self._opened(blob, place) as (descriptor, start):
            return read_exactly(descriptor, start + offset, length)

    def _feed(
        self,
        blob: BlobId,
        place: Place,
        offset: int,
        length: int,
        take: Callable[[memoryview], None],
    ) -> None:
        buffer = memoryview(bytearray(min(length, CHUNK_BYTES)))
        with self._opened(blob, place) as (descriptor, start):
            while length:
                count = os.preadv(descriptor, [buffer[:length]], start + offset)
                if not count:
                    raise Corrupt(WHERE, f"{length} more bytes of {blob}", "none")
                take(buffer[:count])
                offset, length = offset + count, length - count

    @contextmanager
    def _opened(self, blob: BlobId, place: Place) -> Iterator[tuple[int, int]]:
        """A descriptor, and where in it the blob begins."""
        path = self._packs.path(place.pack) if place.pack else self.path(blob)
        try:
            descriptor = os.open(path, os.O_RDONLY)
            try:
                yield descriptor, place.offset
            finally:
                os.close(descriptor)
        except FileNotFoundError as error:
            raise Missing(WHERE, f"blob {blob}", "nothing") from error
        except OSError as error:
            raise Corrupt(WHERE, f"readable bytes of {blob}", error.strerror) from error


def listing(root: Path) -> Iterator[tuple[BlobId, Path, int]]:
    """Every blob of a folder, as names and headers say without cards: in which file, and where its
    bytes begin there."""
    for path in sorted(root.rglob("*")):
        if path.parent.name == _PACKS:
            for blob, offset in read_pack(path):
                yield blob, path, offset
        elif path.is_file():
            yield BlobId.parse(path.parent.name + path.name), path, 0


def read_exactly(descriptor: int, offset: int, length: int) -> bytes:
    """``length`` bytes, fewer only at the end; one pread gives at most 2 GiB."""
    pieces: list[bytes] = []
    while length and (piece := os.pread(descriptor, length, offset)):
        pieces.append(piece)
        offset += len(piece)
        length -= len(piece)
    return b"".join(pieces)
