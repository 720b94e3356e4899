"""Small blobs come together: all that wait share one write, one sync and one commit of cards."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from node.hands.storage.cards import Cards, Facts
from node.hands.storage.incoming import Room, facts_of_small
from node.hands.storage.moving import Shelves
from protocol.errors import Corrupt, Missing
from protocol.ids import BlobId
from protocol.limits import MiB
from protocol.ports import BlockingWork, Clock

_BATCH_BYTES: Final = 16 * MiB


@dataclass(slots=True, eq=False)
class _Waiting:
    data: bytes
    expect: BlobId | None
    stored: asyncio.Future[BlobId]


class SmallBlobs:
    """The way of small blobs to the shelf that is used at the time."""

    def __init__(
        self,
        cards: Cards,
        shelves: Shelves,
        room: Room,
        clock: Clock,
        work: BlockingWork,
    ) -> None:
        self._cards = cards
        self._shelves = shelves
        self._room = room
        self._clock = clock
        self._work = work
        self._waiting: list[_Waiting] = []
        self._storing: asyncio.Future[None] | None = None

    async def put(self, data: bytes, expect: BlobId | None) -> BlobId:
        """See BlobStore.  A caller that is cancelled does not take its blob back."""
        self._room.take(len(data))
        waiting = _Waiting(data, expect, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._storing is None or self._storing.done():
            self._storing = asyncio.ensure_future(self._store_all())
        return await waiting.stored

    async def close(self) -> None:
        """Store what waits."""
        if self._storing is not None:
            await self._storing

    async def _store_all(self) -> None:
        while batch := self._next_batch():
            try:
                await self._store(batch)
            except Exception as error:
                for waiting in batch:
                    if not waiting.stored.done():
                        waiting.stored.set_exception(error)
                        self._room.give_back(len(waiting.data))

    def _next_batch(self) -> list[_Waiting]:
        total = taken = 0
        while taken < len(self._waiting) and total < _BATCH_BYTES:
            total += len(self._waiting[taken].data)
            taken += 1
        batch, self._waiting = self._waiting[:taken], self._waiting[taken:]
        return batch

    async def _store(self, batch: list[_Waiting]) -> None:
        all_facts = await self._work.run(_facts_of_all, [waiting.data for waiting in batch])
        known = self._cards.known(facts.blob for facts in all_facts)
        new: dict[BlobId, tuple[Facts, bytes]] = {}
        for waiting, facts in zip(batch, all_facts, strict=True):
            if waiting.expect is not None and facts.blob != waiting.expect:
                if not waiting.stored.done():
                    wrong = Corrupt("blob store", f"content {waiting.expect}", facts.blob)
                    waiting.stored.set_exception(wrong)
                self._room.give_back(facts.size)
            elif facts.blob in new or (
                facts.blob in known and await self._has(waiting.data, facts)
            ):
                self._room.give_back(facts.size)
            else:
                new[facts.blob] = facts, waiting.data
        if new:
            with self._shelves.taking() as shelf:
                places = dict(zip(new, await shelf.take_small(list(new.values())), strict=True))
                pairs = [(new[blob][0], place) for blob, place in places.items()]
                before = await self._cards.add(pairs, self._clock.now())
            for blob, card in before:
                self._room.give_back(card.size)
                await self._shelves.drop(blob, card, places[blob])
        for waiting, facts in zip(batch, all_facts, strict=True):
            if not waiting.stored.done():  # neither refused nor cancelled
                waiting.stored.set_result(facts.blob)

    async def _has(self, data: bytes, facts: Facts) -> bool:
        """Whether the bytes that the card speaks of are these: damaged ones are stored again."""
        card = self._cards.get(facts.blob)
        if card is None:
            return False
        try:
            shelf = self._shelves.of(card.place)
            return await shelf.read(facts.blob, card.place, 0, card.size) == data
        except (Corrupt, Missing):
            return False


def _facts_of_all(contents: Sequence[bytes]) -> list[Facts]:
    return list(map(facts_of_small, contents))
