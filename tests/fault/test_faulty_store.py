"""Every step of a store port breaking once, *lost* and *done but reported lost*, under appends and
under catching up: where no system call can be made to fail, and faster."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from ledger import logbook
from ledger.log_check import check_log
from node.hands.storage.memory_kv import Dump, MemoryStore
from node.office.node import LEDGER_TABLES
from protocol.errors import Fatal
from simulations.loop import run
from tests.appender import append, check_whole
from tests.faulty_store import FaultyStore, Step
from tests.keepers import LOG, TABLES, keepers, kept, made, note_of, until

BEFORE, BATCHES = (250,), (1, 5, 3)  # to the end of a bundle, and over it
SIZE = 4_000


@pytest.fixture(scope="module")
def begun() -> tuple[Dump, list[bytes]]:
    store, published = MemoryStore(LEDGER_TABLES), list[bytes]()
    asyncio.run(append(store, BEFORE, "before", published.append))
    return store.dump(), published


def broken_at_each(step: Step, content: Dump) -> Iterator[FaultyStore]:
    """Stores that break at the first step of a kind, at the second, …; the last one does not."""
    number = 0
    while True:
        number += 1
        store = FaultyStore(MemoryStore(LEDGER_TABLES, content), step, number)
        yield store
        if not store.is_broken:
            return


@pytest.mark.parametrize("step", Step)
def test_an_append_that_breaks_anywhere_forks_nothing(
    begun: tuple[Dump, list[bytes]], step: Step
) -> None:
    sizes = []

    async def story(store: FaultyStore) -> None:
        published = [*begun[1]]
        try:
            await append(store, BATCHES, "first", published.append)
        except Fatal:
            with pytest.raises(Fatal):  # it is gone for good
                await append(store, BATCHES, "first", published.append)
        again = MemoryStore(LEDGER_TABLES, store.inner.dump())
        sizes.append(check_whole(again, published).size)
        kept_unsaid = sizes[-1] - int(published[-1].split(b"\n")[1])
        assert (kept_unsaid > 0) is (step is Step.DONE and store.is_broken)
        await append(again, (2, 260), "after", published.append)
        check_whole(again, published)

    for store in broken_at_each(step, begun[0]):
        asyncio.run(story(store))
    if step is Step.CHANGE:
        assert len(sizes) > 15
        assert set(sizes) == {250, 251, 256, 259}
    else:
        assert sizes == ([250, 251, 256, 259] if step is Step.LOST else [251, 256, 259, 259])


@pytest.mark.parametrize(
    ("step", "numbers"),
    [
        (Step.CHANGE, (1, 255, 257, 2_000, 3_699)),
        (Step.LOST, range(1, 5)),
        (Step.DONE, range(1, 5)),
    ],
)
def test_catching_up_that_breaks_anywhere_leaves_a_prefix(step: Step, numbers: range) -> None:
    whole = kept(made(SIZE))

    async def story(number: int, start: int) -> bool:
        async with keepers() as here:
            holder = await here.join(whole)
            content = kept(made(start)).dump()
            store = FaultyStore(MemoryStore(TABLES, content), step, number)
            keeper = await here.join(store)
            keeper.told(note_of(whole), holder)
            await until(lambda: keeper.died or bool(keeper.reached))
            died = keeper.died
            keeper.store = MemoryStore(TABLES, store.inner.dump())
            with keeper.store.read() as ours, whole.read() as theirs:
                assert list(check_log(ours, LOG)) == []
                head = logbook.head(ours, LOG)
                assert head.root == logbook.root_at(theirs, LOG, head.size)
            assert (head.size < SIZE) or not died or step is Step.DONE
            here.restart(keeper)
            keeper.told(note_of(whole), holder)
            await until(lambda: bool(keeper.reached))
            assert keeper.dump() == holder.dump()
            return died

    died = [run(story(number, start)) for number in numbers for start in (0, 300)]
    assert sum(died) >= 4
    assert died[0]
