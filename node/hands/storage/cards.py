"""What is known of every blob here, and where it lies (``HOME/vault/``).

A card is written after the bytes are durable and before anybody is told.  Writer gains: it can hide
damage from :meth:`~node.hands.storage.vault.Vault.verify`, never from a reader who checks SHA-256.
Loss: the shelves say what they have, and the rest is made again from the bytes when it is needed;
so cards that cannot be read are thrown away (:func:`~node.hands.storage.vault.mend_cards`).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Final

import lmdb

from node.hands.storage.lmdb_kv import LmdbStore
from protocol.chunks import check_leaves
from protocol.errors import Corrupt, ProofError
from protocol.ids import BlobId, ChunkRoot, UnixMs
from protocol.limits import CHUNK_BYTES, FILE_BYTES_MAX, GiB
from protocol.ports import Writer

TABLES: Final = ("card", "leaf")
_PAGE: Final = 1000
_MAP_BYTES: Final = 64 * GiB
_ROW: Final = struct.Struct(">QQBIQ?16s32s")
_CHECK: Final = struct.Struct(">QBIQ32s")  # sorts by time, then place


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where bytes lie: on which shelf, and in which pack (0: a file of their own)."""

    shelf: int
    pack: int = 0
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Facts:
    """What the bytes of a blob say of themselves."""

    blob: BlobId
    size: int
    chunks: ChunkRoot
    xxh3: bytes  # XXH3-128, big endian
    leaves: bytes


_UNKNOWN: Final = ChunkRoot(bytes(32))


@dataclass(frozen=True, slots=True)
class StoredCard:
    """A row.  ``chunks`` and ``xxh3`` mean nothing while the bytes are not ``known``."""

    size: int
    place: Place
    checked: UnixMs
    known: bool = False
    xxh3: bytes = bytes(16)
    chunks: ChunkRoot = _UNKNOWN

    @classmethod
    def of(cls, facts: Facts, place: Place, checked: UnixMs) -> StoredCard:
        return cls(facts.size, place, checked, True, facts.xxh3, facts.chunks)

    def facts(self, blob: BlobId) -> Facts:
        """What it knows of a blob of one chunk."""
        leaf = self.chunks.raw if self.size else b""  # the root of one leaf is the leaf
        return Facts(blob, self.size, self.chunks, self.xxh3, leaf)


class Cards:
    """The cards of one store."""

    def __init__(self, path: Path, reserve_bytes: int) -> None:
        self._store = LmdbStore(path, TABLES, _MAP_BYTES, reserve_bytes)

    async def close(self) -> None:
        await self._store.close()

    def get(self, blob: BlobId) -> StoredCard | None:
        with self._store.read() as reader:
            row = reader.get("card", blob.raw)
        return None if row is None else _unpack(row)

    def known(self, blobs: Iterable[BlobId]) -> set[BlobId]:
        """Those of them whose cards are known."""
        with self._store.read() as reader:
            rows = ((blob, reader.get("card", blob.raw)) for blob in blobs)
            return {blob for blob, row in rows if row is not None and _unpack(row).known}

    def leaves(self, blob: BlobId, card: StoredCard) -> bytes:
        """The leaf hashes of a known card."""
        if card.size <= CHUNK_BYTES:
            return card.facts(blob).leaves
        with self._store.read() as reader:
            return reader.get("leaf", blob.raw) or b""

    def check(self) -> None:
        """Read every row.

        Raises:
            Corrupt: one that is no card, or whose leaf hashes are those of another file.
        """
        try:
            for blob, card in self.walk():
                if card.size > FILE_BYTES_MAX:
                    raise Corrupt("cards", f"the card of a file: {blob}", f"{card.size} bytes")
                self.check_leaves(blob, card)
        except (lmdb.Error, struct.error, ValueError) as error:
            raise Corrupt("cards", "rows that can be read", str(error)[:80]) from error

    def check_leaves(self, blob: BlobId, card: StoredCard) -> None:
        """
        Raises:
            Corrupt: a known card and its leaf hashes do not fit.
        """
        try:
            if card.known:
                check_leaves(card.chunks, card.size, self.leaves(blob, card))
        except ProofError as error:
            raise Corrupt(f"card of {blob.short}", error.expected, error.got) from error

    def walk(self, prefix: bytes = b"") -> Iterator[tuple[BlobId, StoredCard]]:
        """The cards of blobs whose id begins so, in order of id; as they are when they come."""
        start: bytes | None = prefix
        while start is not None:
            with self._store.read() as reader:  # a page at a time: a long snapshot pins old pages
                page = list(islice(reader.scan("card", prefix, start), _PAGE))
            yield from ((BlobId(key), _unpack(row)) for key, row in page)
            start = page[-1][0] + b"\0" if len(page) == _PAGE else None

    def checks(self) -> Iterator[tuple[UnixMs, BlobId]]:
        """See BlobStore."""
        found = sorted(
            _CHECK.pack(card.checked, *astuple(card.place), blob.raw) for blob, card in self.walk()
        )
        for row in found:
            checked, *_, raw = _CHECK.unpack(row)
            yield UnixMs(checked), BlobId(raw)

    async def add(
        self, facts: Iterable[tuple[Facts, Place]], checked: UnixMs
    ) -> list[tuple[BlobId, StoredCard]]:
        """Cards of blobs whose bytes are durable; durable when this returns.  The cards in whose
        place they are."""
        new = sorted(((one, place) for one, place in facts), key=lambda pair: pair[0].blob.raw)
        rows = [(one.blob.raw, _pack(StoredCard.of(one, place, checked))) for one, place in new]
        leaves = [(one.blob.raw, one.leaves) for one, _ in new if one.size > CHUNK_BYTES]

        def job(writer: Writer) -> list[tuple[BlobId, StoredCard]]:
            before = [(BlobId(raw), writer.get("card", raw)) for raw, _ in rows]
            writer.put_many("card", rows)
            if leaves:
                writer.put_many("leaf", leaves)
            return [(blob, _unpack(row)) for blob, row in before if row is not None]

        return await self._store.write(job)

    async def learn(self, facts: Facts, place: Place, now: UnixMs) -> bool:
        """What the bytes at a place are, seen just now; False when the blob is elsewhere by now."""

        def job(writer: Writer) -> bool:
            row = writer.get("card", facts.blob.raw)
            if row is None or _unpack(row).place != place:
                return False
            writer.put("card", facts.blob.raw, _pack(StoredCard.of(facts, place, now)))
            if facts.size > CHUNK_BYTES:
                writer.put("leaf", facts.blob.raw, facts.leaves)
            return True

        return await self._store.write(job)

    async def forget(self, blob: BlobId, place: Place) -> bool:
        """Forget a card with its leaves; False when the blob is elsewhere by now."""

        def job(writer: Writer) -> bool:
            row = writer.get("card", blob.raw)
            if row is None or _unpack(row).place != place:
                return False
            writer.delete("card", blob.raw)
            writer.delete("leaf", blob.raw)
            return True

        return await self._store.write(job)

    async def put(self, changes: Iterable[tuple[BlobId, StoredCard | None]]) -> None:
        """Set cards as they are, without their leaves; None forgets one with its leaves."""
        wanted = list(changes)

        def job(writer: Writer) -> None:
            for blob, card in wanted:
                if card is None:
                    writer.delete("card", blob.raw)
                    writer.delete("leaf", blob.raw)
                else:
                    writer.put("card", blob.raw, _pack(card))

        if wanted:
            await self._store.write(job)

    async def note_checked(self, blob: BlobId, card: StoredCard, now: UnixMs) -> None:
        """Its bytes were right just now; nothing happens when the card is another by now."""

        def job(writer: Writer) -> None:
            if writer.get("card", blob.raw) == _pack(card):
                writer.put("card", blob.raw, _pack(replace(card, checked=now)))

        await self._store.write(job)

    async def move(
        self, moves: Iterable[tuple[BlobId, Place, Place]]
    ) -> list[tuple[BlobId, Place]]:
        """Note (blob, old place, new place); those that were not at the old place any more, with
        the new one that nobody needs."""
        wanted = list(moves)

        def job(writer: Writer) -> list[tuple[BlobId, Place]]:
            late = []
            for blob, old, new in wanted:
                row = writer.get("card", blob.raw)
                card = None if row is None else _unpack(row)
                if card is None or card.place != old:
                    late.append((blob, new))
                else:
                    writer.put("card", blob.raw, _pack(replace(card, place=new)))
            return late

        return await self._store.write(job)


def _pack(card: StoredCard) -> bytes:
    place = card.place
    return _ROW.pack(
        card.size,
        card.checked,
        place.shelf,
        place.pack,
        place.offset,
        card.known,
        card.xxh3,
        card.chunks.raw,
    )


def _unpack(row: bytes) -> StoredCard:
    size, checked, shelf, pack, offset, known, xxh3, chunks = _ROW.unpack(row)
    return StoredCard(
        size, Place(shelf, pack, offset), UnixMs(checked), known, xxh3, ChunkRoot(chunks)
    )
