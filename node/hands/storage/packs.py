"""Small blobs, one after another in large files: ``root/packs/00000001``.

A record is a header and the bytes.  The header says whether the blob is there or is a hole, its
length and its SHA-256, with a check of its own, so a pack is read without the cards, past whatever
is damaged in it.  Many records share one write and one sync.  A blob that is forgotten is
overwritten with zeros where it lies; what is left of a pack that is mostly holes moves to another.

Writer gains nothing and loss is repaired, as of single files (``file_blobs``).
"""

from __future__ import annotations

import mmap
import os
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import xxhash

from node.hands.storage.cards import Cards, Facts, Place, StoredCard
from node.hands.storage.durable import (
    make_directory,
    remove_file,
    sync_directory,
    sync_file,
    taking,
)
from node.hands.storage.incoming import facts_of_small
from protocol.errors import StoreError
from protocol.ids import BlobId, UnixMs
from protocol.limits import MiB

PACK_BYTES: Final = 64 * MiB  # then a new one is begun
_HERE: Final = b"fzb1"
_HOLE: Final = b"fzb0"
_HEADER: Final = struct.Struct(">4sI32s")  # then the XXH3-64 of it, as if the blob were there
HEADER_BYTES: Final = _HEADER.size + 8


class Packs:
    """The packs of one folder.  One thread at a time appends; any may read."""

    def __init__(self, number: int, root: Path) -> None:
        self._number = number  # of the shelf
        self._root = root
        self._lock = threading.Lock()
        self._file = -1  # the pack that grows
        self._pack = 0
        self._end = 0
        self._live: dict[int, int] = {}  # bytes of records that are blobs, by pack
        make_directory(root)

    def path(self, pack: int) -> Path:
        """Where a pack is; the offset of a place counts from its beginning."""
        return self._root / f"{pack:08}"

    def changes(self, cards: Cards) -> Iterator[tuple[BlobId, StoredCard | None]]:
        """What the cards do not know yet, or wrongly think they know.

        Only what lies beyond the last known record is read; without cards, everything.
        """
        known: dict[int, int] = {}  # where the last known record ends
        on_disk = {
            int(name): self.path(int(name)).stat().st_size for name in os.listdir(self._root)
        }
        for blob, card in cards.walk():
            place, end = card.place, card.place.offset + card.size
            if place.shelf != self._number or not place.pack:
                continue
            if end <= on_disk.get(place.pack, 0):
                known[place.pack] = max(known.get(place.pack, 0), end)
                self._count(place.pack, card.size)
            else:
                yield blob, None
        for pack in sorted(on_disk):
            self._pack, self._end = pack, known.get(pack, 0)
            yield from self._unknown(cards)
            if not self._live.get(pack):
                self.path(pack).unlink()
                self._end = PACK_BYTES  # so that the next one is begun

    def append(self, batch: Sequence[tuple[Facts, bytes]]) -> list[Place]:
        """Durably store the blobs of a batch.

        Raises:
            Full: no room; nothing was stored.
            SyncFailed: the process must end.
        """
        with self._lock:
            self._open()
            pieces: list[bytes] = []
            places, end = [], self._end
            for facts, data in batch:
                head = _HEADER.pack(_HERE, facts.size, facts.blob.raw)
                pieces += (head, xxhash.xxh3_64_digest(head), data)
                places.append(Place(self._number, self._pack, end + HEADER_BYTES))
                end += HEADER_BYTES + len(data)
            self._write(b"".join(pieces))
            sync_file(self._file, self.path(self._pack))
            self._end = end
            for facts, _ in batch:
                self._count(self._pack, facts.size)
            return places

    def erase(self, place: Place, size: int) -> None:
        """Durably overwrite a record."""
        path = self.path(place.pack)
        with taking(path), suppress(FileNotFoundError):  # a pack that is gone has nothing in it
            descriptor = os.open(path, os.O_WRONLY)
            try:
                os.pwrite(descriptor, bytes(size), place.offset)
                os.pwrite(descriptor, _HOLE, place.offset - HEADER_BYTES)
                sync_file(descriptor, path)
            finally:
                os.close(descriptor)
        with self._lock:
            if place.pack in self._live:
                self._count(place.pack, -size, -1)

    def hollow(self) -> list[int]:
        """Packs that are mostly holes and grow no more."""
        with self._lock:
            return [
                pack
                for pack, live in self._live.items()
                if pack != self._pack
                and (path := self.path(pack)).exists()
                and live < path.stat().st_size // 2
            ]

    def forget(self, pack: int) -> None:
        """Remove a pack in which nothing is left."""
        remove_file(self.path(pack))
        with self._lock:
            self._live.pop(pack, None)

    def clear(self) -> None:
        """Remove every pack."""
        self.close()
        with self._lock:
            for name in os.listdir(self._root):
                remove_file(self._root / name)
            self._pack, self._end = 0, 0
            self._live.clear()

    def close(self) -> None:
        with self._lock:
            if self._file >= 0:
                os.close(self._file)
                self._file = -1

    def _count(self, pack: int, size: int, records: int = 1) -> None:
        self._live[pack] = self._live.get(pack, 0) + size + records * HEADER_BYTES

    def _open(self) -> None:
        """Have a pack that grows."""
        if self._pack and self._end < PACK_BYTES:
            if self._file < 0:
                with taking(self._root):
                    self._file = os.open(self.path(self._pack), os.O_WRONLY)
                    os.ftruncate(self._file, self._end)  # what a crash left beyond is no record
            return
        path = self.path(self._pack + 1)
        with taking(path):
            file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        sync_directory(self._root)
        if self._file >= 0:
            os.close(self._file)
        self._file, self._pack, self._end = file, self._pack + 1, 0

    def _write(self, data: bytes) -> None:
        view, end = memoryview(data), self._end
        try:
            with taking(self.path(self._pack)):
                while view:
                    count = os.pwrite(self._file, view, end)
                    view, end = view[count:], end + count
        except StoreError:
            os.ftruncate(self._file, self._end)
            raise

    def _unknown(self, cards: Cards) -> Iterator[tuple[BlobId, StoredCard]]:
        """Cards of the records from the known end of a pack on, which grows with them."""
        start = self._end
        with self.path(self._pack).open("rb") as file:
            if not os.fstat(file.fileno()).st_size > start:
                return
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                for blob, offset, size in _records(data, start):
                    content = data[offset : offset + size]
                    self._end = offset + size
                    if blob is None or BlobId.of(content) != blob or cards.get(blob) is not None:
                        continue  # a hole, torn, or left behind by a move
                    self._count(self._pack, size)
                    place = Place(self._number, self._pack, offset)
                    yield blob, StoredCard.of(facts_of_small(content), place, UnixMs(0))


def read_pack(path: Path) -> Iterator[tuple[BlobId, int]]:
    """What the headers of a pack say is there, and where; the bytes are not looked at."""
    if path.stat().st_size:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            for blob, offset, _ in _records(data, 0):
                if blob is not None:
                    yield blob, offset


def _records(data: mmap.mmap, start: int) -> Iterator[tuple[BlobId | None, int, int]]:
    """(blob or None for a hole, offset of its bytes, their number) of every whole record."""
    at = start
    while (at := data.find(_HERE[:3], at)) >= 0:
        head = data[at : at + _HEADER.size]
        check = data[at + _HEADER.size : at + HEADER_BYTES]
        if xxhash.xxh3_64_digest(_HERE + head[len(_HERE) :]) == check:
            mark, size, raw = _HEADER.unpack(head)
            if at + HEADER_BYTES + size <= len(data):
                yield BlobId(raw) if mark == _HERE else None, at + HEADER_BYTES, size
                at += HEADER_BYTES + size
                continue
        at += 1
