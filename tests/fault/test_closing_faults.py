"""Every step of carrying out a closure, killed or failed: whatever was done, doing it again ends in
the same rows, and derived state has followed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pytest

from ledger import logbook
from ledger.checkpoint import Checkpoint, log_key, sign_checkpoint
from ledger.events import MemberRevoke
from ledger.log_check import check_log
from ledger.note import NoteKey
from ledger.roster import Roster
from node.hands.storage.memory_kv import Dump, MemoryStore
from node.office.closing import Closing
from node.office.node import LEDGER_TABLES
from protocol.errors import Fatal
from protocol.ids import RootHash
from protocol.merkle import leaf_hash, root_of
from protocol.ports import Writer
from tests.faulty_store import FaultyStore, Step
from tests.unit.ledger.conftest import COUNTY, PROVINCE, Network, State

SIZE: Final = 300  # of the closure
OURS: Final = [f"entry {at}".encode() for at in range(320)]
STEPS_MAX: Final = 2000


def other(same: int, size: int) -> list[bytes]:
    """The other history of the log's key."""
    return OURS[:same] + [b"other %d" % at for at in range(same, size)]


HOMES: Final = {  # what a node holds when it learns of the closure
    "more": OURS,
    "just as much": OURS[:SIZE],
    "another history": other(270, 310),
    "a part of another history": other(270, 280),
}


@dataclass
class Desk:
    """What lives in one process, over a store that outlives it; ``folded``: of how many entries
    derived state is."""

    roster: Roster
    origin: str
    keys: tuple[NoteKey, ...]
    folded: int = 0
    dies_in_refold: bool = False

    async def work(self, store: FaultyStore) -> None:
        async def refold() -> None:
            if self.dies_in_refold:
                raise Fatal("state", "a fold", "the power went")
            with store.inner.read() as reader:
                self.folded = logbook.head(reader, COUNTY).size

        closing = Closing(store, lambda: self.roster, lambda _: self.keys, refold)
        await closing.carry_out()
        with store.read() as reader:
            size = logbook.head(reader, COUNTY).size
            agreed = next(
                (at for at in range(size) if logbook.entry(reader, COUNTY, at) != OURS[at]), size
            )
        if agreed < size:  # as catching up finds, from the tiles of the closure's tree
            assert await closing.misfits(COUNTY, agreed)
        assert not closing.is_due(COUNTY)


@pytest.fixture(scope="module")
def closed() -> Network:
    """A network whose county was closed at SIZE and admitted again."""
    network = Network().found()
    root = RootHash(root_of(map(leaf_hash, OURS[:SIZE])))
    network.append(PROVINCE, network.with_roots(MemberRevoke(COUNTY, SIZE, root, 1, ())))
    network.generation[COUNTY] = 1
    network.append(PROVINCE, network.with_roots(network.admit_body(COUNTY, 2)))
    return network


@pytest.fixture
def desk(closed: Network) -> Desk:
    state = State(closed)
    state.apply_all()
    origin = closed.genesis.origin(COUNTY)
    old = Network().key(COUNTY, "log")
    keys = tuple(log_key(origin, key.public) for key in (closed.key(COUNTY, "log"), old))
    return Desk(state.fold.roster, origin, keys)


def home(desk: Desk, entries: list[bytes]) -> Dump:
    """The rows of a node with these entries, and their notes by the closed key."""
    store = MemoryStore(LEDGER_TABLES)
    root = RootHash(root_of(map(leaf_hash, entries)))
    note = sign_checkpoint(
        Checkpoint(desk.origin, len(entries), root), Network().key(COUNTY, "log")
    )

    def fill(writer: Writer) -> None:
        logbook.append(writer, COUNTY, entries)
        for table in ("note", "witness", "witnessed"):
            writer.put(table, COUNTY.encode(), note)

    store.run(fill)
    return store.dump()


def steps(desk: Desk, before: Dump, step: Step) -> Iterator[MemoryStore]:
    """The rows after a death at each step of one kind, until nothing breaks any more."""
    for number in range(1, STEPS_MAX):
        desk.folded = len(before[logbook.ENTRY])
        store = FaultyStore(MemoryStore(LEDGER_TABLES, before), step, number)
        try:
            asyncio.run(desk.work(store))
        except Fatal:
            yield store.inner
        else:
            assert number > 1, "no step at all"
            return
    raise AssertionError("too many steps")


def finish(desk: Desk, store: MemoryStore) -> Dump:
    """The rows when a process has come to the end; derived state is theirs."""
    asyncio.run(desk.work(FaultyStore(store, Step.DONE, 0)))
    with store.read() as reader:
        assert desk.folded == logbook.head(reader, COUNTY).size
        assert not list(check_log(reader, COUNTY))
    return store.dump()


@pytest.mark.parametrize("what", HOMES)
def test_after_every_death_the_rows_are_the_same_in_the_end(desk: Desk, what: str) -> None:
    before = home(desk, HOMES[what])
    desk.folded = len(HOMES[what])
    expected = finish(desk, MemoryStore(LEDGER_TABLES, before))
    kept = len(expected[logbook.ENTRY])
    assert kept == (270 if "another" in what else SIZE)
    assert len(expected["cut"]) == len(HOMES[what]) - kept, "what goes is put aside"
    gone = what != "just as much"
    assert all((not expected[table]) == gone for table in ("note", "witnessed")), (
        "notes of what went"
    )
    assert expected["witness"], "what was co-signed stays on record"
    for step in Step:
        for left in steps(desk, before, step):
            assert finish(desk, left) == expected, step


@pytest.mark.parametrize("what", ["more", "another history"])
def test_a_death_in_the_fold_folds_again(desk: Desk, what: str) -> None:
    left = MemoryStore(LEDGER_TABLES, home(desk, HOMES[what]))
    desk.dies_in_refold = True
    with pytest.raises(Fatal):
        asyncio.run(desk.work(FaultyStore(left, Step.DONE, 0)))
    desk.dies_in_refold = False
    finish(desk, left)
