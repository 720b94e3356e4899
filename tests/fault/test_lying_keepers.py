"""Peers that serve a stale, truncated, reordered, foreign or damaged log, each through its real
link: what they say is never stored, they are counted and left out, and the others carry on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from ledger import logbook
from ledger.log_check import check_log
from ledger.tiles import encode_bundle
from node.hands.storage.memory_kv import MemoryStore
from node.office.holders import ASKED_PER_PEER_MAX
from protocol.errors import Missing
from protocol.messages import Ack, Entries, EntriesAsk, TileAsk, TileHashes
from simulations.loop import run
from tests.keepers import (
    LOG,
    SECONDS,
    TABLES,
    Keeper,
    keepers,
    kept,
    made,
    note_of,
    signed,
    until,
)

SIZE = 5_000
HONEST = kept(made(SIZE))
FOREIGN = kept(made(SIZE, "foreign"))
Answers = dict[str, Callable[[Any, Any], Coroutine[Any, Any, object]]]


def of(store: MemoryStore, ask: EntriesAsk) -> list[bytes]:
    with store.read() as reader:
        return list(logbook.entries(reader, ask.office, ask.start, ask.end))


def hashes_of(store: MemoryStore, ask: TileAsk) -> bytes:
    with store.read() as reader:
        return logbook.tile_hashes(reader, ask.office, ask.level, ask.number, ask.width)


def flipped(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def entries_lie(change: Callable[[list[bytes]], bytes]) -> Answers:
    async def answer(_peer: Any, ask: EntriesAsk) -> Entries:
        return Entries(change(of(HONEST, ask)))

    return {"log.entries": answer}


def tiles_lie(change: Callable[[bytes], bytes]) -> Answers:
    async def answer(_peer: Any, ask: TileAsk) -> TileHashes:
        return TileHashes(change(hashes_of(HONEST, ask)))

    return {"log.tile": answer}


def foreign() -> Answers:
    async def entries(_peer: Any, ask: EntriesAsk) -> Entries:
        return Entries(encode_bundle(of(FOREIGN, ask)))

    async def tile(_peer: Any, ask: TileAsk) -> TileHashes:
        return TileHashes(hashes_of(FOREIGN, ask))

    return {"log.entries": entries, "log.tile": tile}


def stale() -> Answers:
    """It has a good log, and tells a note of more than that."""
    old = kept(made(SIZE // 2))

    async def entries(_peer: Any, ask: EntriesAsk) -> Entries:
        return Entries(encode_bundle(of(old, ask)))

    async def tile(_peer: Any, ask: TileAsk) -> TileHashes:
        return TileHashes(hashes_of(old, ask))

    return {"log.entries": entries, "log.tile": tile}


def silent() -> Answers:
    async def wait(_peer: Any, _ask: object) -> object:
        await asyncio.sleep(10**6)
        raise AssertionError

    return {"log.entries": wait, "log.tile": wait}


def of_another_shape() -> Answers:
    async def answer(_peer: Any, _ask: object) -> object:
        return Ack()

    async def tile(_peer: Any, _ask: object) -> object:
        raise Missing("log", "a good answer", "a liar's fault")

    return {"log.entries": answer, "log.tile": tile}


LIES: dict[str, tuple[Answers, str]] = {
    "truncated entries": (entries_lie(lambda e: encode_bundle(e)[:-1]), "wire.decode"),
    "no entries": (entries_lie(lambda e: b""), "wire.decode"),
    "more entries": (entries_lie(lambda e: encode_bundle(e) + b"\0\1x"), "wire.decode"),
    "reordered entries": (entries_lie(lambda e: encode_bundle(e[::-1])), "proof"),
    "one entry twice": (entries_lie(lambda e: encode_bundle([*e[:-2], e[-1], e[-1]])), "proof"),
    "a flipped bit in a bundle": (entries_lie(lambda e: flipped(encode_bundle(e))), "proof"),
    "a flipped bit in a tile": (tiles_lie(flipped), "proof"),
    "truncated tile": (tiles_lie(lambda t: t[:-32]), "wire.decode"),
    "longer tile": (tiles_lie(lambda t: t + bytes(32)), "wire.decode"),
    "tile of zeros": (tiles_lie(lambda t: bytes(len(t))), "proof"),
    "foreign log": (foreign(), "proof"),
    "stale log": (stale(), ""),
    "silence": (silent(), ""),
    "another shape": (of_another_shape(), ""),
}


def wrong(keeper: Keeper) -> dict[str, int]:
    codes = keeper.links.counters
    return {
        code[8:]: codes[code] for code in ("catchup.proof", "catchup.wire.decode") if codes[code]
    }


def is_sound(keeper: Keeper) -> bool:
    with keeper.store.read() as ours, HONEST.read() as theirs:
        assert list(check_log(ours, LOG)) == []
        head = logbook.head(ours, LOG)
        return head.root == logbook.root_at(theirs, LOG, head.size)


@pytest.mark.parametrize("start", [0, 300])
@pytest.mark.parametrize("lie", LIES)
def test_who_lies_is_left_out_and_the_others_carry_on(lie: str, start: int) -> None:
    answers, code = LIES[lie]

    async def story() -> None:
        async with keepers() as here:
            liar = await here.join(kept(made(SIZE)), answers)
            honest = await here.join(kept(made(SIZE)))
            keeper = await here.join(kept(made(start)))
            keeper.told(note_of(HONEST), liar)
            await until(lambda: bool(keeper.reached))
            assert keeper.dump() == honest.dump()
            assert keeper.forked == []
            assert set(wrong(keeper)) == ({code} if code else set())
            assert wrong(keeper).get(code, 0) <= ASKED_PER_PEER_MAX
            if lie != "stale log":
                assert liar.asked.total() <= 2 * ASKED_PER_PEER_MAX + 3  # edge and small gap

    run(story())


@pytest.mark.parametrize("gap", [100, SIZE - 300])
@pytest.mark.parametrize("lie", LIES)
def test_a_liar_alone_gets_nothing_stored_that_is_wrong(lie: str, gap: int) -> None:
    answers, _ = LIES[lie]

    async def story() -> None:
        async with keepers() as here:
            liar = await here.join(kept(made(SIZE)), answers)
            keeper = await here.join(kept(made(SIZE - gap)))
            for _ in range(2):
                keeper.told(note_of(HONEST), liar)
                await asyncio.sleep(3 * SECONDS)
                harmless = gap <= 256 and "log.entries" not in answers  # no tile is needed then
                assert bool(keeper.reached) is harmless
                assert is_sound(keeper)
                assert keeper.forked == []
            honest = await here.join(kept(made(SIZE)))
            keeper.told(note_of(HONEST), honest)
            await until(lambda: keeper.size() == SIZE)
            assert keeper.dump() == honest.dump()

    run(story())


def test_a_signed_root_without_a_tree_leads_nowhere() -> None:
    """The log's own key has signed it, so only who has entries could show that it is a fork."""

    async def story() -> None:
        async with keepers() as here:
            holder = await here.join(kept(made(SIZE)))
            keeper = await here.join(kept(made(300)))
            before = keeper.dump()
            for size in (301, SIZE, SIZE + 1, 2**62):
                keeper.told(signed(size, bytes(range(32))), holder)
                failed = keeper.links.counters["catchup.unavailable"]
                await until(lambda n=failed: keeper.links.counters["catchup.unavailable"] > n)  # type: ignore[misc]
            assert keeper.dump() == before
            assert keeper.forked == keeper.reached == []

    run(story())


def test_many_liars_and_one_good_keeper() -> None:
    async def story() -> None:
        async with keepers() as here:
            kinds = ("a flipped bit in a bundle", "silence", "reordered entries")
            liars = [await here.join(kept(made(SIZE)), LIES[kind][0]) for kind in kinds]
            honest = await here.join(kept(made(SIZE)))
            keeper = await here.join(MemoryStore(TABLES))
            keeper.told(note_of(HONEST), liars[1])
            await until(lambda: bool(keeper.reached))
            assert keeper.dump() == honest.dump()

    run(story())
