"""From one shelf to another while the node serves (``fangzhi storage move``).

``HOME/storage.json`` says which shelves there are and which one takes what comes in.  A move turns
that one first; then each blob is copied, its card turned, its old bytes removed.  The cards say
what is left to do, so a move that was killed goes on where it was; a blob that is damaged stays
where it is until it is repaired.  When no card names a shelf any more, the shelf is emptied and
forgotten.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from node.hands.storage.cards import Cards, Facts, Place, StoredCard
from node.hands.storage.durable import write_file
from node.hands.storage.file_blobs import FileShelf
from node.hands.storage.incoming import Incoming, facts_of_small
from node.hands.storage.object_blobs import Bucket, ObjectShelf
from node.hands.storage.shelf import Shelf
from protocol.errors import ConfigError, Corrupt, FangzhiError, Missing, Rejected
from protocol.ids import BlobId
from protocol.limits import CHUNK_BYTES, PACKED_BYTES_MAX, MiB

FORMAT: Final = "fangzhi/storage/1"
FOLDER: Final = 0  # the shelf that is always there
RETRY_S: Final = 30.0
_BATCH_BYTES: Final = 8 * MiB

Json = dict[str, Any]


def bucket_of(said: object) -> Bucket | None:
    """A bucket as JSON, or null for the folder.

    Raises:
        ConfigError: neither.
    """
    if said is None:
        return None
    names = {each.name for each in fields(Bucket)}
    if not isinstance(said, dict) or not set(said) <= names or "url" not in said:
        raise ConfigError("storage", f"null or an object of {sorted(names)}", "another")
    if not all(isinstance(text, str) for text in said.values()):
        raise ConfigError("storage", "texts", "another type")
    return Bucket(**said)


class Shelves:
    """The shelves of a home."""

    def __init__(
        self, path: Path, folder: FileShelf, open_bucket: Callable[[int, Bucket], ObjectShelf]
    ) -> None:
        """
        Raises:
            ConfigError: ``path`` is not what :meth:`turn_to` wrote.
        """
        self._path = path
        self._open_bucket = open_bucket
        self._buckets: dict[int, Bucket] = {}
        self._shelves: dict[int, Shelf] = {FOLDER: folder}
        self._taking: Counter[int] = Counter()
        self.now: Shelf = folder
        if path.exists():
            self._load()

    def of(self, place: Place) -> Shelf:
        return self._shelves[place.shelf]

    def all(self) -> list[Shelf]:
        return list(self._shelves.values())

    def name(self, number: int) -> str:
        return self._buckets[number].url if number else "folder"

    @contextmanager
    def taking(self) -> Iterator[Shelf]:
        """The shelf for what comes in, until its cards are written."""
        shelf = self.now
        self._taking[shelf.number] += 1
        try:
            yield shelf
        finally:
            self._taking[shelf.number] -= 1

    async def drop(self, blob: BlobId, old: StoredCard, place: Place) -> None:
        """Remove the bytes of a card in whose stead another says that they lie at ``place``."""
        if old.place != place and (shelf := self._shelves.get(old.place.shelf)) is not None:
            await shelf.remove(blob, old.place, old.size)

    async def turn_to(self, bucket: Bucket | None) -> None:
        """From now on what comes in lies there; None: in the folder.

        Raises:
            ConfigError: no object store can be there.
            Unavailable: it does not work.
        """
        number = FOLDER
        if bucket is not None:
            known = [each for each, other in self._buckets.items() if other.url == bucket.url]
            number = known[0] if known else max(self._shelves) + 1
            shelf = self._open_bucket(number, bucket)
            await shelf.probe()
            self._buckets[number], self._shelves[number] = bucket, shelf
        self.now = self._shelves[number]
        self._save()

    async def forget(self, shelf: Shelf) -> None:
        """Empty a shelf that no card names and nothing comes to."""
        await shelf.clear()
        if shelf.number != FOLDER:
            await shelf.close()
            del self._shelves[shelf.number], self._buckets[shelf.number]
            self._save()

    def is_idle(self, shelf: Shelf) -> bool:
        """Whether nothing that is on its way will still lie there."""
        return shelf is not self.now and not self._taking[shelf.number]

    def _load(self) -> None:
        try:
            kept = json.loads(self._path.read_bytes())
            if kept["format"] != FORMAT:
                raise ConfigError(str(self._path), FORMAT, kept["format"])
            for number, said in kept["buckets"].items():
                if (bucket := bucket_of(said)) is not None:
                    self._buckets[int(number)] = bucket
                    self._shelves[int(number)] = self._open_bucket(int(number), bucket)
            self.now = self._shelves[kept["now"]]
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(str(self._path), "shelves as fangzhi wrote them", error) from error

    def _save(self) -> None:
        buckets = {str(number): asdict(bucket) for number, bucket in self._buckets.items()}
        kept = {"format": FORMAT, "now": self.now.number, "buckets": buckets}
        write_file(self._path, json.dumps(kept, indent=1).encode())


@dataclass(slots=True)
class Progress:
    """Of the move since this start."""

    moved: int = 0
    damaged: list[str] = field(default_factory=list)
    error: str = ""  # why it waits


class Mover:
    """Carries what lies on other shelves to the one of now."""

    def __init__(self, shelves: Shelves, cards: Cards, stage: Callable[[], Incoming]) -> None:
        self._shelves = shelves
        self._cards = cards
        self._stage = stage
        self._running: asyncio.Future[None] | None = None
        self.progress = Progress()

    @property
    def is_moving(self) -> bool:
        return self._running is not None and not self._running.done()

    def resume(self) -> None:
        """Go on with a move, if one is not finished."""
        if len(self._shelves.all()) > 1 and not self.is_moving:
            self.progress = Progress()
            self._running = asyncio.ensure_future(self._run())

    async def move(self, bucket: Bucket | None) -> None:
        """Begin a move; None: back to the folder.

        Raises:
            ConfigError, Unavailable: see :meth:`Shelves.turn_to`.
            Rejected: another one is not finished.
        """
        if self.is_moving:
            raise Rejected("storage", "one move at a time", "one that is not finished")
        await self._shelves.turn_to(bucket)
        self.resume()

    async def finished(self, heard: Callable[[int], None]) -> None:
        """Returns when it moves no more; meanwhile says how many have moved."""
        while self.is_moving:
            heard(self.progress.moved)
            await asyncio.sleep(0.1)

    def show(self) -> Json:
        """What lies where, and how far a move is."""
        blobs: Counter[int] = Counter()
        sizes: Counter[int] = Counter()
        for _, card in self._cards.walk():
            blobs[card.place.shelf] += 1
            sizes[card.place.shelf] += card.size
        return {
            "now": self._shelves.name(self._shelves.now.number),
            "moving": self.is_moving,
            "shelves": [
                {
                    "name": self._shelves.name(shelf.number),
                    "files": blobs[shelf.number],
                    "bytes": sizes[shelf.number],
                }
                for shelf in self._shelves.all()
            ],
            **asdict(self.progress),
        }

    async def close(self) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            try:
                self.progress.damaged = []
                while await self._pass():
                    self.progress.error = ""
            except FangzhiError as error:
                self.progress.error = str(error)
                await asyncio.sleep(RETRY_S)
            else:
                return

    async def _pass(self) -> bool:
        """Move everything once; whether there may be more."""
        small: list[tuple[BlobId, StoredCard]] = []
        for blob, card in self._cards.walk():
            if card.place.shelf == self._shelves.now.number or blob.hex in self.progress.damaged:
                continue
            if card.size > PACKED_BYTES_MAX:
                await self._move_large(blob, card)
                continue
            small.append((blob, card))
            if len(small) * PACKED_BYTES_MAX > _BATCH_BYTES:
                await self._move_small(small)
                small = []
        await self._move_small(small)
        return not await self._forget_empty()

    async def _forget_empty(self) -> bool:
        """Forget shelves that nothing names; whether all that is left is damaged."""
        named = Counter(card.place.shelf for _, card in self._cards.walk())
        others = [shelf for shelf in self._shelves.all() if shelf is not self._shelves.now]
        idle = [shelf for shelf in others if self._shelves.is_idle(shelf)]
        for shelf in idle:
            if not named[shelf.number]:
                await self._shelves.forget(shelf)
        left = sum(count for number, count in named.items() if number != self._shelves.now.number)
        return idle == others and left <= len(self.progress.damaged)

    async def _move_small(self, blobs: list[tuple[BlobId, StoredCard]]) -> None:
        batch: list[tuple[Facts, bytes]] = []
        moving: list[tuple[BlobId, StoredCard]] = []
        for blob, card in blobs:
            data = await self._read(blob, card, 0, card.size)
            if data is not None and BlobId.of(data) == blob:
                batch.append((facts_of_small(data), data))
                moving.append((blob, card))
            elif data is not None:
                self.progress.damaged.append(blob.hex)
        if batch:
            with self._shelves.taking() as shelf:
                places = await shelf.take_small(batch)
                await self._turn(moving, places, shelf)

    async def _move_large(self, blob: BlobId, card: StoredCard) -> None:
        copy = self._stage()
        try:
            for offset in range(0, card.size, CHUNK_BYTES):
                data = await self._read(blob, card, offset, CHUNK_BYTES)
                if data is None:
                    return
                await copy.write(data)
            facts = await copy.finish()
            if facts.blob != blob:
                self.progress.damaged.append(blob.hex)
                return
            with self._shelves.taking() as shelf:
                place = await shelf.take(copy.path, facts)
                await self._turn([(blob, card)], [place], shelf)
        finally:
            await copy.discard()

    async def _read(self, blob: BlobId, card: StoredCard, offset: int, length: int) -> bytes | None:
        """Bytes from the old place; None when they are not there any more."""
        length = min(length, card.size - offset)
        try:
            return await self._shelves.of(card.place).read(blob, card.place, offset, length)
        except Missing:
            if self._cards.get(blob) != card:
                return None
        except Corrupt:
            pass
        self.progress.damaged.append(blob.hex)
        return None

    async def _turn(
        self, moving: list[tuple[BlobId, StoredCard]], places: list[Place], shelf: Shelf
    ) -> None:
        """The new bytes are durable: turn the cards, then remove the bytes that nobody needs."""
        pairs = zip(moving, places, strict=True)
        moves = [(blob, card.place, place) for (blob, card), place in pairs]
        late = dict(await self._cards.move(moves))
        for blob, card in moving:
            if blob not in late:
                await self._shelves.of(card.place).remove(blob, card.place, card.size)
                self.progress.moved += 1
            elif (now := self._cards.get(blob)) is None or now.place != late[blob]:
                await shelf.remove(blob, late[blob], card.size)  # forgotten or replaced meanwhile
