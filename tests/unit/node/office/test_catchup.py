"""Logs that become as long as their notes promise; liars are in tests/fault/test_lying_keepers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from itertools import pairwise
from typing import Any

import pytest

from ledger import hash_rows, logbook
from ledger.checkpoint import Checkpoint
from ledger.log_check import check_log
from ledger.tiles import split_bundle
from node.hands.storage.memory_kv import MemoryStore
from node.office.catchup import BUNDLES_AHEAD, BUNDLES_PER_COMMIT_MAX
from node.office.holders import ASKED_PER_PEER_MAX
from node.office.links import Peer
from protocol.errors import Missing, WireError
from protocol.ids import OfficeCode
from protocol.messages import EntriesAsk, TileAsk
from simulations.loop import run
from tests.keepers import (
    LOG,
    OTHER_LOG,
    PROVINCE,
    TABLES,
    Keeper,
    Keepers,
    keepers,
    kept,
    made,
    note_of,
    signed,
    until,
)

Story = Callable[[Keepers], Coroutine[Any, Any, None]]
PEER = Peer("320001#1", (LOG,), False, 0, (LOG,))


def play(story: Story) -> None:
    async def main() -> None:
        async with keepers() as here:
            await story(here)

    run(main())


def is_prefix(keeper: Keeper, whole: MemoryStore) -> bool:
    """Whether the rows are a sound log, and one that the other goes on from."""
    size = keeper.size()
    with keeper.store.read() as ours, whole.read() as theirs:
        assert list(check_log(ours, LOG)) == []
        return logbook.head(ours, LOG).root == logbook.root_at(theirs, LOG, size)


@pytest.mark.parametrize(
    ("start", "size"),
    [
        (0, 1),
        (0, 255),
        (0, 256),
        (0, 257),
        (1, 258),
        (255, 256),
        (200, 900),
        (256, 1024),
        (300, 65_535),
        (65_280, 65_536),
        (65_000, 65_537),
        (65_536, 66_100),
    ],
)
def test_a_log_grows_to_the_same_rows(start: int, size: int) -> None:
    entries = made(size)

    async def story(here: Keepers) -> None:
        holder = await here.join(kept(entries))
        keeper = await here.join(kept(entries[:start]))
        keeper.told(note_of(holder.store), holder)
        await until(lambda: bool(keeper.reached))
        assert keeper.reached == [(LOG, note_of(holder.store))]
        assert keeper.dump() == holder.dump()
        assert not [code for code in keeper.links.counters if code.startswith("catchup")]
        if size - start <= 256:
            assert holder.asked == {"log.entries": 1}, "one question is enough for a small gap"
            assert keeper.commits == [size]

    play(story)


def test_every_holder_helps_and_nobody_is_asked_much_at_a_time() -> None:
    entries = made(20_000)

    async def story(here: Keepers) -> None:
        holders = [await here.join(kept(entries)) for _ in range(3)]
        empty = await here.join(MemoryStore(TABLES))
        keeper = await here.join(MemoryStore(TABLES))
        keeper.told(note_of(holders[0].store), holders[0])
        await until(lambda: bool(keeper.reached))
        assert keeper.dump() == holders[0].dump()
        bundles = [holder.asked["log.entries"] for holder in holders]
        assert min(bundles) > 15
        assert sum(bundles) == 79, "nothing is fetched twice"
        assert empty.asked.total() <= ASKED_PER_PEER_MAX, "who has not got it is left alone"
        assert all(holder.in_flight_max <= ASKED_PER_PEER_MAX for holder in holders)
        assert keeper.links.counters["catchup.proof"] == 0
        steps = [after - before for before, after in pairwise([0, *keeper.commits])]
        assert max(steps) <= BUNDLES_PER_COMMIT_MAX * 256

    play(story)


def test_no_more_than_the_window_is_fetched_ahead_of_a_slow_disk() -> None:
    class SlowStore(MemoryStore):
        async def write(self, job: Any) -> Any:
            await asyncio.sleep(5)
            return self.run(job)

    async def story(here: Keepers) -> None:
        holder = await here.join(kept(made(20_000)))
        keeper = await here.join(SlowStore(TABLES))
        keeper.told(note_of(holder.store), holder)
        for _ in range(20):
            await asyncio.sleep(2)
            ahead = holder.asked["log.entries"] * 256 - keeper.size()
            assert ahead <= (BUNDLES_AHEAD + BUNDLES_PER_COMMIT_MAX) * 256
        assert keeper.size() > 5_000

    play(story)


def test_who_is_killed_goes_on_where_it_stood() -> None:
    whole = kept(made(9_000))

    async def story(here: Keepers) -> None:
        holder = await here.join(whole)
        keeper = await here.join(kept(made(100)))
        for size in (100, 1_500, 4_000, 7_000):
            keeper.told(note_of(whole), holder)
            await until(lambda size=size: keeper.size() > size)  # type: ignore[misc]
            here.restart(keeper)
            await asyncio.sleep(1)
            assert is_prefix(keeper, whole)
            assert keeper.size() < 9_000
        asked = holder.asked["log.entries"]
        left = -(-9_000 // 256) - keeper.size() // 256
        keeper.told(note_of(whole), holder)
        await until(lambda: bool(keeper.reached))
        assert keeper.dump() == holder.dump()
        assert holder.asked["log.entries"] - asked == left

    play(story)


def test_a_holder_that_goes_away_is_replaced() -> None:
    async def story(here: Keepers) -> None:
        first = await here.join(kept(made(9_000)))
        second = await here.join(kept(made(9_000)))
        keeper = await here.join(MemoryStore(TABLES))
        keeper.told(note_of(first.store), first)
        await until(lambda: keeper.size() > 2_000)
        await first.links.stop()
        await until(lambda: bool(keeper.reached))
        assert keeper.dump() == second.dump()

    play(story)


def test_when_all_are_gone_what_is_stored_stays() -> None:
    whole = kept(made(9_000))

    async def story(here: Keepers) -> None:
        holder = await here.join(whole)
        keeper = await here.join(MemoryStore(TABLES))
        keeper.told(note_of(whole), holder)
        await until(lambda: keeper.size() > 2_000)
        await holder.links.stop()
        await until(lambda: keeper.links.counters["catchup.unavailable"] == 1)
        assert is_prefix(keeper, whole)
        assert not keeper.reached

    play(story)


def test_the_province_and_small_gaps_wait_for_nobody() -> None:
    long, province, other = kept(made(60_000)), kept(made(3_000), PROVINCE), kept([b"x"], OTHER_LOG)
    content = MemoryStore(
        TABLES,
        {
            name: {k: v for store in (long, province, other) for k, v in store.dump()[name].items()}
            for name in TABLES
        },
    )

    async def story(here: Keepers) -> None:
        holder = await here.join(content)
        keeper = await here.join(MemoryStore(TABLES))
        keeper.told(note_of(content), holder)
        await until(lambda: keeper.size() > 1_000)
        for code in (PROVINCE, OTHER_LOG):
            keeper.told(note_of(content, code), holder, code)
        await until(lambda: len(keeper.reached) == 3)
        assert [code for code, _ in keeper.reached] == [OTHER_LOG, PROVINCE, LOG]

    play(story)


def test_a_tree_that_does_not_go_on_from_ours_is_a_fork() -> None:
    async def story(here: Keepers) -> None:
        holder = await here.join(kept([*made(399), b"another", *made(2_000)]))
        for ours in (400, 700, 512):
            keeper = await here.join(kept(made(ours)))
            before = keeper.dump()
            keeper.told(note_of(holder.store), holder)
            await until(lambda keeper=keeper: bool(keeper.forked))  # type: ignore[misc]
            assert keeper.forked == [(LOG, note_of(holder.store))]
            assert keeper.dump() == before
            await until(lambda keeper=keeper: keeper.links.counters["catchup.proof.fork"] == 1)  # type: ignore[misc]

    play(story)


@pytest.mark.parametrize(
    ("gap", "table", "key"),
    [
        (100, logbook.HEAD, LOG.encode()),
        (2_000, logbook.HEAD, LOG.encode()),
        (2_000, hash_rows.TILE, hash_rows.row_key(LOG, 0, 37)),
    ],
)
def test_a_damaged_row_here_is_not_a_fork(gap: int, table: str, key: bytes) -> None:
    async def story(here: Keepers) -> None:
        holder = await here.join(kept(made(600 + gap)))
        keeper = await here.join(kept(made(600)))

        def flip(writer: Any) -> None:
            row = bytearray(writer.get(table, key))
            row[-3] ^= 1
            writer.put(table, key, bytes(row))

        await keeper.store.write(flip)
        before = keeper.dump()
        keeper.told(note_of(holder.store), holder)
        await until(lambda: keeper.links.counters["catchup.store.corrupt"] == 1)
        assert keeper.forked == keeper.reached == []
        assert keeper.dump() == before

    play(story)


def test_nothing_is_stored_of_a_barred_log() -> None:
    async def story(here: Keepers) -> None:
        holder = await here.join(kept(made(9_000)))
        keeper = await here.join(MemoryStore(TABLES))
        keeper.told(note_of(holder.store), holder)
        await until(lambda: keeper.size() > 1_000)
        keeper.barred.add(LOG)
        size = keeper.size()
        await until(lambda: keeper.links.counters["catchup.proof.fork"] == 1)
        assert keeper.size() <= size + BUNDLES_PER_COMMIT_MAX * 256
        assert not keeper.reached

    play(story)


def test_the_largest_entries_travel_in_parts() -> None:
    entries = [bytes([index]) * 65_535 for index in range(100)] + [b""] * 200

    async def story(here: Keepers) -> None:
        holder = await here.join(kept(entries))
        keeper = await here.join(MemoryStore(TABLES))
        keeper.told(note_of(holder.store), holder)
        await until(lambda: bool(keeper.reached))
        assert keeper.dump() == holder.dump()
        assert holder.asked["log.entries"] > 6

    play(story)


def test_a_longer_note_that_comes_meanwhile_is_followed_too() -> None:
    async def story(here: Keepers) -> None:
        holder = await here.join(kept(made(5_000)))
        with holder.store.read() as reader:
            early = signed(3_000, logbook.root_at(reader, LOG, 3_000).raw)
        keeper = await here.join(MemoryStore(TABLES))
        keeper.told(early, holder)
        await until(lambda: keeper.size() > 500)
        keeper.told(note_of(holder.store), holder)
        keeper.told(early, holder)
        await until(lambda: len(keeper.reached) == 2)
        assert keeper.reached == [(LOG, early), (LOG, note_of(holder.store))]
        assert keeper.dump() == holder.dump()

    play(story)


def test_what_peers_ask_is_bounded() -> None:
    async def story(here: Keepers) -> None:
        holder = await here.join(kept([bytes(60_000)] * 300))
        answer = await holder.catchup.on_entries(PEER, EntriesAsk(LOG, 0, 256))
        assert len(split_bundle(answer.data)) == 17, "what fits a chunk"
        answer = await holder.catchup.on_entries(PEER, EntriesAsk(LOG, 298, 300))
        assert len(split_bundle(answer.data)) == 2
        for start, end, error in (
            (2, 1, WireError),
            (2, 2, WireError),
            (0, 257, WireError),
            (299, 301, Missing),
        ):
            with pytest.raises(error):
                await holder.catchup.on_entries(PEER, EntriesAsk(LOG, start, end))
        with pytest.raises(Missing):
            await holder.catchup.on_entries(PEER, EntriesAsk(OTHER_LOG, 0, 1))
        tile = await holder.catchup.on_tile(PEER, TileAsk(LOG, 0, 1, 44))
        assert len(tile.hashes) == 44 * 32
        for level, number, width, error in (
            (0, 1, 45, Missing),
            (1, 0, 2, Missing),
            (8, 0, 1, WireError),
            (0, 0, 0, WireError),
            (0, 0, 257, WireError),
        ):
            with pytest.raises(error):
                await holder.catchup.on_tile(PEER, TileAsk(LOG, level, number, width))

    play(story)


@pytest.mark.parametrize(
    ("same", "size", "longer"),
    [(0, 1, 300), (255, 300, 700), (256, 300, 700), (511, 512, 600), (65_535, 65_540, 65_600)],
)
def test_two_trees_are_told_apart_where_they_part(same: int, size: int, longer: int) -> None:
    """A hash of a subtree changes at each level, so a wrong turn at any gives another number."""

    async def story(here: Keepers) -> None:
        holder = await here.join(kept(made(longer)))
        keeper = await here.join(kept(made(same) + made(size - same, "other")))
        keeper.told(note_of(holder.store), holder)
        await until(lambda: bool(keeper.forked))
        assert keeper.agreed == [same]
        assert keeper.size() == size

    play(story)


def test_what_goes_beyond_a_closure_goes_on_from_it() -> None:
    """An office that was admitted again and leaves out what its closure covers."""

    async def story(here: Keepers) -> None:
        mirror = await here.join(kept(made(400)))
        liar = await here.join(kept(made(200) + made(400, "other")))
        keeper = await here.join(kept(made(100)))
        with mirror.store.read() as reader:
            root = logbook.root_at(reader, LOG, 300)
        keeper.goals[LOG] = Checkpoint(f"keepers.example/{LOG}", 300, root)
        keeper.told(note_of(liar.store), liar)
        await until(lambda: bool(keeper.forked))
        assert (keeper.size(), keeper.agreed) == (300, [200])
        assert not keeper.reached
        keeper.told(note_of(mirror.store), mirror)
        await until(lambda: bool(keeper.reached))
        assert keeper.dump() == mirror.dump()

    play(story)


def test_who_waits_for_the_first_peer_hears_when_all_is_here() -> None:
    async def story(here: Keepers) -> None:
        holder = await here.join(kept(made(700)))
        keeper = await here.join(MemoryStore(TABLES))
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(keeper.catchup.caught_up())
            await asyncio.sleep(1)
            keeper.catchup.promised({LOG: 700})
            keeper.catchup.promised({LOG: 10**9})
            await asyncio.sleep(1)
            assert not waiting.done()
            keeper.told(note_of(holder.store), holder)
        assert keeper.size() == 700

    play(story)


def test_who_was_away_for_a_month_catches_up_without_the_others_noticing() -> None:
    """20,000 events of five logs; meanwhile another node's small questions wait for nobody."""
    codes = [LOG, OTHER_LOG, PROVINCE, OfficeCode("320700"), OfficeCode("320800")]
    both = MemoryStore(TABLES)
    away = MemoryStore(TABLES)
    for code in codes:
        entries = made(7_000)
        both.run(lambda writer, code=code, entries=entries: logbook.append(writer, code, entries))
        away.run(
            lambda writer, code=code, entries=entries: logbook.append(writer, code, entries[:3_000])
        )

    async def story(here: Keepers) -> None:
        holder = await here.join(both)
        reader = await here.join(MemoryStore(TABLES))
        keeper = await here.join(away)
        peer = reader.links.peers()[0].key
        clock = asyncio.get_running_loop().time
        waits = []

        async def small_questions() -> None:
            while len(keeper.reached) < len(codes):
                begun = clock()
                ask = TileAsk(LOG, 0, 0, 1)
                await reader.links.ask_peer(peer, "log.tile", ask, 5)
                waits.append(clock() - begun)

        for code in codes:
            keeper.told(note_of(both, code), holder, code)
        await small_questions()
        assert keeper.dump() == holder.dump()
        assert len(waits) > 10
        assert max(waits) < 0.15, "a round trip of this network takes up to 0.1 s"

    play(story)
