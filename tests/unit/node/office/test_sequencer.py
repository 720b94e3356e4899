"""The one writer of own logs: order, durability, and the spool before a shut gate."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from ledger import logbook
from ledger.checkpoint import log_key, open_checkpoint
from ledger.custody import HoldTake
from ledger.events import VersionUpload, parse_event, verify_event
from ledger.genesis import Genesis
from ledger.log_check import check_log
from ledger.note import ED25519, NoteKey
from ledger.roster import RosterRef
from node.hands.keys import make_office_keys
from node.hands.storage.memory_kv import MemoryStore
from node.office.keyring import Keyring
from node.office.node import LEDGER_TABLES
from node.office.sequencer import Sequencer
from protocol.errors import DecodeError, Full, Unavailable
from protocol.ids import BlobId, OfficeCode, RootHash, UnixMs, mint_item
from protocol.keys import SigningKey
from protocol.limits import BATCH_EVENTS_MAX
from protocol.merkle import leaf_hash
from protocol.ports import Writer
from simulations.clock import SimRng
from simulations.cluster import SimKeys
from simulations.disk import SimDisk
from simulations.loop import run

COUNTY, COUNTY2 = OfficeCode("320581"), OfficeCode("320582")
KEYS = {code: make_office_keys(code, SimRng(1, code).random_bytes) for code in (COUNTY, COUNTY2)}
GENESIS = Genesis(
    "t.example", OfficeCode("320000"), 1, (NoteKey("root", ED25519, bytes(32)),), bytes(32)
)
ITEM = mint_item(COUNTY, bytes(8))


class Clock:
    def now(self) -> UnixMs:
        return UnixMs(1_700_000_000_000)


def body(number: int) -> HoldTake:
    return HoldTake(ITEM, BlobId.of(b"%d" % number), number, 0)


def sequencer(
    store: Any, told: list[str] | None = None, users: dict[bytes, SigningKey] | None = None
) -> Sequencer:
    """``users`` are the users' keys that count, by id."""
    ref = RosterRef(3, RootHash(bytes(32)))
    appended = (told if told is not None else []).append
    keys = Keyring(SimKeys({code: (each,) for code, each in KEYS.items()}), lambda _: None)
    return Sequencer(
        store,
        Clock(),
        GENESIS,
        keys,
        lambda: ref,
        appended,
        lambda _, user: (users or {}).get(user),
    )


def opened(store: Any) -> Sequencer:
    made = sequencer(store)
    for gate in made.gates.values():
        gate.is_open = True
    return made


def numbers(store: Any, code: OfficeCode = COUNTY) -> list[int]:
    """The ``files`` field of every event of a log, which the tests use as a number."""
    with store.read() as reader:
        size = logbook.head(reader, code).size
        entries = logbook.entries(reader, code, 0, size)
    return [parse_event(entry).read_body().files for entry in entries]  # type: ignore[union-attr]


async def test_a_batch_is_signed_under_the_head_it_follows() -> None:
    store = MemoryStore(LEDGER_TABLES)
    told: list[str] = []
    writer = sequencer(store, told)
    writer.gates[COUNTY].is_open = True
    first = await writer.append(COUNTY, (body(1), body(2)))
    second = await writer.append(COUNTY, (body(3),))
    assert [ref.index for ref in (*first, *second)] == [0, 1, 2]
    assert told == [COUNTY, COUNTY]
    with store.read() as reader:
        head = logbook.head(reader, COUNTY)
        entries = logbook.entries(reader, COUNTY, 0, 3)
        note = reader.get("note", COUNTY.encode())
        root_at_2 = logbook.root_at(reader, COUNTY, 2)
        assert not list(check_log(reader, COUNTY))
    events = [parse_event(entry) for entry in entries]
    assert [event.last_size for event in events] == [0, 0, 2]
    assert events[2].last_root == root_at_2
    assert [ref.leaf.raw for ref in (*first, *second)] == [leaf_hash(entry) for entry in entries]
    for event in events:
        verify_event(event, KEYS[COUNTY].event.public)
        assert (event.origin, event.roster_size, event.network) == (COUNTY, 3, GENESIS.id)
    key = log_key("t.example/320581", KEYS[COUNTY].log.public)
    checkpoint, _ = open_checkpoint(note or b"", (key,))
    assert (checkpoint.size, checkpoint.root) == (3, head.root)
    assert numbers(store, COUNTY2) == []


async def test_a_shut_gate_spools_durably_and_signs_nothing() -> None:
    store = MemoryStore(LEDGER_TABLES)
    first = sequencer(store)
    assert await first.append(COUNTY, (body(1), body(2))) == ()
    assert await first.append(COUNTY2, (body(9),)) == ()
    again = sequencer(store)  # a restart
    assert await again.append(COUNTY, (body(3),)) == ()
    assert (again.spooled(), numbers(store)) == (4, [])
    again.gates[COUNTY].is_open = True
    assert await again.drain(COUNTY) == 3
    assert await again.drain(COUNTY) == 0
    assert (numbers(store), numbers(store, COUNTY2), again.spooled()) == ([1, 2, 3], [], 1)


async def test_what_was_spooled_stands_before_what_comes_later() -> None:
    store = MemoryStore(LEDGER_TABLES)
    writer = sequencer(store)
    await writer.append(COUNTY, (body(1), body(2)))
    writer.gates[COUNTY].is_open = True  # and before anybody drains:
    (ref,) = await writer.append(COUNTY, (body(3),))
    assert (numbers(store), ref.index, writer.spooled()) == ([1, 2, 3], 2, 0)


async def test_a_spool_longer_than_a_batch_drains_in_order() -> None:
    store = MemoryStore(LEDGER_TABLES)
    writer = sequencer(store)
    count = BATCH_EVENTS_MAX + 5
    for start in range(0, count, 500):
        await writer.append(COUNTY, tuple(body(n) for n in range(start, min(start + 500, count))))
    writer.gates[COUNTY].is_open = True
    while await writer.drain(COUNTY):
        pass
    assert numbers(store) == list(range(count))


async def test_a_gate_that_shuts_meanwhile_is_obeyed() -> None:
    """Between the call and its turn in the store another copy of this office was seen."""
    store = MemoryStore(LEDGER_TABLES)
    writer = opened(store)
    write = store.write

    async def late(job: Callable[..., Any]) -> Any:
        writer.gates[COUNTY].outgrown(7)
        return await write(job)

    store.write = late  # type: ignore[method-assign]
    assert await writer.append(COUNTY, (body(1),)) == ()
    assert (numbers(store), writer.spooled()) == ([], 1)
    assert await writer.drain(COUNTY) == 0
    assert writer.spooled() == 1


async def test_nothing_of_a_batch_with_a_bad_event_stays() -> None:
    store = MemoryStore(LEDGER_TABLES)
    writer = opened(store)
    long = VersionUpload("x" * 5000, BlobId(bytes(32)), "open", 1, 1, None, None)
    with pytest.raises(DecodeError, match="4096"):
        await writer.append(COUNTY, (body(1), long))
    for count in (0, BATCH_EVENTS_MAX + 1):
        with pytest.raises(DecodeError, match="1 to 1000 events"):
            await writer.append(COUNTY, (body(1),) * count)
    assert numbers(store) == []


async def test_a_full_disk_keeps_nothing_and_says_so() -> None:
    store = MemoryStore(LEDGER_TABLES)
    writer = opened(store)
    write = store.write

    async def full(job: Callable[..., Any]) -> Any:
        def failing(inner: Any) -> None:
            job(inner)
            raise Full("disk", "room", 0)

        return await write(failing)

    store.write = full  # type: ignore[method-assign]
    with pytest.raises(Full):
        await writer.append(COUNTY, (body(1),))
    store.write = write  # type: ignore[method-assign]
    assert numbers(store) == []
    (ref,) = await writer.append(COUNTY, (body(2),))
    assert ref.index == 0


class Slow(MemoryStore):
    """Commits when it is told to, one job after the other."""

    def __init__(self) -> None:
        super().__init__(LEDGER_TABLES)
        self.commits = asyncio.Semaphore(0)
        self.jobs = 0

    async def write(self, job: Callable[[Writer], Any]) -> Any:
        await self.commits.acquire()
        self.jobs += 1
        return self.run(job)


async def started(writer: Sequencer, *batches: tuple[int, ...]) -> list[asyncio.Future[Any]]:
    appends = [
        asyncio.ensure_future(writer.append(COUNTY, tuple(map(body, batch)))) for batch in batches
    ]
    await asyncio.sleep(0.001)
    return appends


async def test_those_who_wait_together_share_a_batch_and_its_checkpoint() -> None:
    store = Slow()
    writer = opened(store)
    first = await started(writer, (1,))
    others = await started(writer, (2, 3), (4,), (5, 6))
    other_log = asyncio.ensure_future(writer.append(COUNTY2, (body(7),)))
    await asyncio.sleep(0.001)
    for _ in range(3):
        store.commits.release()
    refs = [await append for append in (*first, *others)]
    await other_log
    assert store.jobs == 3  # the first, the others, the other log
    assert [[ref.index for ref in part] for part in refs] == [[0], [1, 2], [3], [4, 5]]
    assert numbers(store) == [1, 2, 3, 4, 5, 6]
    with store.read() as reader:
        entries = logbook.entries(reader, COUNTY, 0, 6)
        note = reader.get("note", COUNTY.encode()) or b""
    assert [ref.leaf.raw for part in refs for ref in part] == [leaf_hash(e) for e in entries]
    assert [parse_event(entry).last_size for entry in entries] == [0, 1, 1, 1, 1, 1]
    key = log_key("t.example/320581", KEYS[COUNTY].log.public)
    assert open_checkpoint(note, (key,))[0].size == 6


async def test_a_shared_batch_is_not_longer_than_another() -> None:
    store = Slow()
    writer = opened(store)
    half = BATCH_EVENTS_MAX // 2
    appends = await started(writer, (0,))
    appends += await started(
        writer, *[tuple(range(part * half, part * half + half)) for part in range(5)]
    )
    for _ in range(4):
        store.commits.release()
    await asyncio.gather(*appends)
    assert store.jobs == 4
    assert numbers(store) == [0, *range(5 * half)]


async def test_who_is_cancelled_takes_nobody_along() -> None:
    store = Slow()
    writer = opened(store)
    committing, waiting, last = [
        (await started(writer, numbers))[0] for numbers in ((1,), (2,), (3,))
    ]
    committing.cancel()  # too late to take it back
    waiting.cancel()  # in time
    await asyncio.sleep(0.001)
    store.commits.release()
    store.commits.release()
    (ref,) = await last
    assert (numbers(store), ref.index) == ([1, 3], 1)
    assert committing.cancelled()
    assert waiting.cancelled()
    store.commits.release()
    (ref,) = await writer.append(COUNTY, (body(4),))
    assert ref.index == 2


async def test_a_failed_batch_fails_for_all_of_it_and_for_nobody_else() -> None:
    store = Slow()
    writer = opened(store)
    run = store.run
    appends = await started(writer, (1,))
    appends += await started(writer, (2,), (3,))

    def full_once(job: Callable[[Writer], Any]) -> Any:
        if store.jobs == 2:
            raise Full("disk", "room", 0)
        return run(job)

    store.run = full_once  # type: ignore[method-assign]
    for _ in range(3):
        store.commits.release()
    results = await asyncio.gather(*appends, return_exceptions=True)
    assert [type(result) for result in results] == [tuple, Full, Full]
    (ref,) = await writer.append(COUNTY, (body(4),))
    assert (numbers(store), ref.index) == ([1, 4], 1)


async def test_a_bad_event_does_not_spoil_the_batch_of_others() -> None:
    store = Slow()
    writer = opened(store)
    appends = await started(writer, (1,), (2,))
    long = VersionUpload("x" * 5000, BlobId(bytes(32)), "open", 1, 1, None, None)
    with pytest.raises(DecodeError):
        await writer.append(COUNTY, (long,))
    store.commits.release()
    store.commits.release()
    await asyncio.gather(*appends)
    assert numbers(store) == [1, 2]


@pytest.mark.parametrize("seed", range(12))
def test_a_crash_loses_nothing_that_was_acknowledged(seed: int) -> None:
    """Power fails at a drawn moment of a stream of appends; what is left is a good log."""

    async def story() -> None:
        disk, chance = SimDisk(seed, "d"), SimRng(seed, "when")
        writer = opened(disk.key_value("ledger", LEDGER_TABLES))
        acknowledged: list[int] = []

        async def stream(start: int) -> None:
            for number in range(start, start + 50):
                await writer.append(COUNTY, (body(number),))
                acknowledged.append(number)

        async with asyncio.timeout(60):
            tasks = [asyncio.ensure_future(stream(start)) for start in (0, 100)]
            await asyncio.sleep(chance.random_bytes(1)[0] / 500)
            disk.crash()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(result, Unavailable) for result in results)
        store = disk.key_value("ledger", LEDGER_TABLES)
        kept = numbers(store)
        assert set(acknowledged) <= set(kept)
        assert [n for n in kept if n < 100] == sorted(n for n in kept if n < 100)
        with store.read() as reader:
            assert not list(check_log(reader, COUNTY))
        again = opened(store)
        (ref,) = await again.append(COUNTY, (body(999),))
        assert ref.index == len(kept)

    run(story())


async def test_an_empty_log_has_a_checkpoint_once_its_gate_is_open() -> None:
    store = MemoryStore(LEDGER_TABLES)
    told: list[str] = []
    writer = sequencer(store, told)
    await writer.drain(COUNTY)
    with store.read() as reader:
        assert reader.get("note", COUNTY.encode()) is None
    told.clear()
    writer.gates[COUNTY].is_open = True
    await writer.drain(COUNTY)
    with store.read() as reader:
        note = reader.get("note", COUNTY.encode())
    assert note is not None
    key = log_key(GENESIS.origin(COUNTY), KEYS[COUNTY].log.public)
    assert open_checkpoint(note, (key,))[0].size == 0
    assert told == [COUNTY]
    before = store.dump()
    assert await writer.drain(COUNTY) == 0
    assert store.dump() == before
