"""The BlobStore of a node: streams come in, are hashed while they are written, and lie on a shelf.

The cards know on which shelf each blob is, so a node can have two while it moves.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager
from hashlib import sha256
from itertools import count, islice
from pathlib import Path
from typing import Final

import xxhash

from node.hands.storage import arrivals
from node.hands.storage.cards import Cards, Facts, StoredCard
from node.hands.storage.durable import make_directory, taking
from node.hands.storage.file_blobs import WHERE, FileShelf
from node.hands.storage.incoming import Hashes, Incoming, Lanes, Room, in_chunks
from node.hands.storage.moving import FOLDER, Mover, Shelves
from node.hands.storage.object_blobs import Bucket, ObjectShelf
from node.hands.storage.small_blobs import SmallBlobs
from node.hands.turns import Turns
from protocol.chunks import ChunkHasher
from protocol.errors import Corrupt, Missing, StoreError
from protocol.ids import BlobId, UnixMs
from protocol.limits import CHUNK_BYTES, PACKED_BYTES_MAX, GiB
from protocol.ports import Arrival, BlockingWork, Card, Clock

_STAGED: Final = "blob-*.tmp"
_CHANGES: Final = 1000  # cards written at once at the start
QUOTA_GIB_MAX: Final = 1_000_000


class Vault:
    """BlobStore with cards; make one with :func:`open_vault`."""

    def __init__(
        self,
        cards: Cards,
        shelves: Shelves,
        staging: Path,
        room: Room,
        clock: Clock,
        work: BlockingWork,
    ) -> None:
        self._cards = cards
        self._shelves = shelves
        self._staging = staging
        self._room = room
        self._clock = clock
        self._lanes = Lanes()
        self._small = SmallBlobs(cards, shelves, room, clock, work)
        self._turns = Turns[BlobId]()
        self._staged_count = count()
        self._arrivals: dict[str, arrivals.FileArrival] = {}
        self.mover = Mover(shelves, cards, self._stage)

    async def close(self) -> None:
        await self.mover.close()
        for arrival in self._arrivals.values():
            await arrival.close()
        await self._small.close()
        self._lanes.close()
        for shelf in self._shelves.all():
            await shelf.close()
        await self._cards.close()

    async def put(self, chunks: AsyncIterator[bytes], expect: BlobId | None = None) -> BlobId:
        async with aclosing(in_chunks(chunks)) as pieces:
            first = await anext(pieces, b"")
            if len(first) <= PACKED_BYTES_MAX:
                return await self._small.put(first, expect)
            incoming = self._stage()
            try:
                await incoming.write(first)
                async for chunk in pieces:
                    await incoming.write(chunk)
                facts = await incoming.finish()
                if expect is not None and facts.blob != expect:
                    raise Corrupt(WHERE, f"content {expect}", facts.blob)
                if await self._shelve(incoming.path, facts):
                    incoming.kept()
            finally:
                await incoming.discard()
        return facts.blob

    async def arrive(self, name: str, size: int) -> Arrival:
        arrival = self._arrivals.get(name)
        if arrival is not None and arrival.size != size:
            await arrival.discard()
            arrival = None
        if arrival is None:
            arrival = arrivals.FileArrival(
                self._staging, name, size, self._lanes, self._room, self._shelve, self._over
            )
            self._arrivals[name] = arrival
            try:
                await arrival.open()
            except BaseException:
                self._over(name)
                raise
        return arrival

    async def forget_arrivals(self, keep: Callable[[str], bool]) -> None:
        for name in arrivals.names(self._staging):
            if name not in self._arrivals and not keep(name):
                for path in arrivals.paths(self._staging, name):
                    path.unlink(missing_ok=True)

    async def read(self, blob: BlobId, offset: int, length: int) -> bytes:
        card = self._card(blob)
        length = max(min(length, card.size - offset), 0)
        try:
            return await self._shelves.of(card.place).read(blob, card.place, offset, length)
        except Missing:
            if self._card(blob).place == card.place:
                raise
        return await self.read(blob, offset, length)  # it has moved meanwhile

    @asynccontextmanager
    async def lend(self, blob: BlobId) -> AsyncIterator[Path]:
        """The blob as a file to be read and let alone.

        Raises:
            Missing, Corrupt: as :meth:`read`.
        """
        card = self._card(blob)
        own = self._shelves.of(card.place).own_file(blob, card.place)
        if own is not None:
            yield own
            return
        copy = self._stage()
        try:
            offset = 0
            while data := await self.read(blob, offset, CHUNK_BYTES):
                await copy.write(data)
                offset += len(data)
            await copy.finish()
            yield copy.path
        finally:
            await copy.discard()

    def size(self, blob: BlobId) -> int | None:
        card = self._cards.get(blob)
        return None if card is None else card.size

    async def card(self, blob: BlobId) -> Card:
        card = await self._known(blob)
        return Card(card.size, card.chunks, card.checked)

    async def leaves(self, blob: BlobId) -> bytes:
        return self._cards.leaves(blob, await self._known(blob))

    async def verify(self, blob: BlobId) -> None:
        card = self._card(blob)
        try:
            if not (self._is_sound(blob, card) and await self._fits(blob, card)):
                facts = await self._facts(blob, card)  # the bytes decide, not the card
                if facts.blob != blob:
                    raise Corrupt(WHERE, f"content {blob}", facts.blob)
                if not await self._cards.learn(facts, card.place, self._clock.now()):
                    await self.verify(blob)  # it has moved meanwhile
            else:
                await self._cards.note_checked(blob, card, self._clock.now())
        except StoreError:
            if self._card(blob).place == card.place:
                raise
            await self.verify(blob)  # it has moved meanwhile

    async def delete(self, blob: BlobId) -> None:
        async with self._turns.of(blob):
            while (card := self._cards.get(blob)) is not None:  # again if it moves meanwhile
                shelf = self._shelves.of(card.place)
                # Bytes first: a crash between leaves a card that the next start finds empty.
                await shelf.remove(blob, card.place, card.size)
                if await self._cards.forget(blob, card.place):
                    self._room.give_back(card.size)
                    await shelf.tidy()

    @property
    def left_bytes(self) -> int:
        """What the quota leaves for files; what is on its way counts as far as it is here."""
        return self._room.left_bytes

    def scan(self) -> Iterator[BlobId]:
        return (blob for blob, _ in self._cards.walk())

    def checks(self) -> Iterator[tuple[UnixMs, BlobId]]:
        return self._cards.checks()

    async def adopt(self) -> None:
        """Make the cards agree with the shelves."""
        for shelf in self._shelves.all():
            changes = shelf.changes()
            while some := list(islice(changes, _CHANGES)):
                await self._cards.put(some)
        for _, card in self._cards.walk():
            self._room.count(card.size)

    async def _shelve(self, staged: Path, facts: Facts) -> bool:
        """Give a finished file its place and its card; whether it was not here before."""
        async with self._turns.of(facts.blob):
            with self._shelves.taking() as shelf:
                place = await shelf.take(staged, facts)
                before = await self._cards.add([(facts, place)], self._clock.now())
            for blob, card in before:
                await self._shelves.drop(blob, card, place)
        return not before

    def _is_sound(self, blob: BlobId, card: StoredCard) -> bool:
        """Whether a card says what the bytes are, and says the same all over."""
        try:
            self._cards.check_leaves(blob, card)
        except Corrupt:
            return False
        return card.known

    async def _fits(self, blob: BlobId, card: StoredCard) -> bool:
        """Whether the bytes are what the card says: by the quick hash, and where the root of the
        tree is all there is of it, by that too, for nothing else shows whether it is right."""
        quick, leaf = xxhash.xxh3_128(), sha256(b"\0")
        has_leaf = 0 < card.size <= CHUNK_BYTES

        def take(data: memoryview) -> None:
            quick.update(data)
            if has_leaf:
                leaf.update(data)

        await self._shelves.of(card.place).feed(blob, card.place, card.size, take)
        has_root = not has_leaf or leaf.digest() == card.chunks.raw
        return has_root and quick.digest() == card.xxh3

    async def _facts(self, blob: BlobId, card: StoredCard) -> Facts:
        """Of the bytes as they are now."""
        hashes, chunks = Hashes(), ChunkHasher()

        def take(data: memoryview) -> None:
            hashes.whole(data)
            hashes.quick(data)
            chunks.update(data)

        await self._shelves.of(card.place).feed(blob, card.place, card.size, take)
        return hashes.facts_with(chunks.finished())

    def _stage(self) -> Incoming:
        path = self._staging / f"blob-{os.getpid()}-{next(self._staged_count)}.tmp"
        return Incoming(path, self._lanes, self._room)

    def _over(self, name: str) -> None:
        self._arrivals.pop(name, None)

    def _card(self, blob: BlobId) -> StoredCard:
        card = self._cards.get(blob)
        if card is None:
            raise Missing(WHERE, f"blob {blob}", "nothing")
        return card

    async def _known(self, blob: BlobId) -> StoredCard:
        card = self._card(blob)
        if not card.known:
            await self.verify(blob)
            card = self._card(blob)
        return card


@asynccontextmanager
async def open_vault(
    folder: Path,
    blobs: Path,
    staging: Path,
    work: BlockingWork,
    clock: Clock,
    reserve_bytes: int = 0,
    quota_bytes: int = QUOTA_GIB_MAX * GiB,
) -> AsyncIterator[Vault]:
    """The store whose cards are in ``folder``, and beside it ``storage.json``.  ``staging`` must be
    on the file system of ``blobs``; half streams that a crash left there are removed.  Nothing is
    stored that would leave less than ``reserve_bytes`` free or go beyond ``quota_bytes``.

    Raises:
        StoreError: the cards cannot be opened.
        ConfigError: ``storage.json`` is not what a move wrote.
    """
    make_directory(staging)
    _clear(staging)
    cards, layout = Cards(folder, reserve_bytes), folder.with_name("storage.json")
    room = Room(staging, reserve_bytes, quota_bytes)

    def open_bucket(number: int, bucket: Bucket) -> ObjectShelf:
        return ObjectShelf(number, bucket, cards, work)

    shelves = Shelves(layout, FileShelf(FOLDER, blobs, cards, work), open_bucket)
    vault = Vault(cards, shelves, staging, room, clock, work)
    try:
        await vault.adopt()
        vault.mover.resume()
        yield vault
    finally:
        await vault.close()


async def mend_cards(folder: Path) -> None:
    """Throw the cards in ``folder`` away if they cannot be read; the next start makes them again.
    No other process may be using them.

    Raises:
        StoreError: they were thrown away, and why.
    """
    try:
        cards = Cards(folder, 0)
        try:
            cards.check()
        finally:
            await cards.close()
    except StoreError:
        with taking(folder):
            shutil.rmtree(folder)
        raise


def _clear(staging: Path) -> None:
    for left in staging.glob(_STAGED):
        left.unlink()
