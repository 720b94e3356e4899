from __future__ import annotations

import pytest

from ledger.custody import HoldTake
from ledger.examine import Known, Task, candidate_changes, examine
from ledger.replay import Cursor
from ledger.spool import join_rows
from ledger.tiles import bundles_of
from ledger.views import TABLES
from node.hands.storage.memory_kv import MemoryStore
from protocol.ids import BlobId
from protocol.merkle import CompactRange

PROVINCE, COUNTY = "320000", "320581"


@pytest.fixture(scope="module")
def long(founded):
    """A county with three bundles of events, one of which breaks a rule."""
    network = founded()
    for at in range(60):
        item = network.mint(COUNTY)
        holds = [HoldTake(item, BlobId.of(b"m"), 1, part) for part in range(9)]
        network.append(COUNTY, network.upload(COUNTY, item, f"{at}"), *holds)
    network.append(COUNTY, network.upload(COUNTY, network.mint(PROVINCE)))
    return network


def known_of(network, source, code):
    entries = list(enumerate(network.logs[PROVINCE]))
    return Known(
        source=source,
        genesis=network.genesis_note,
        changes=candidate_changes(network.genesis, entries),
        province_size=len(entries),
        province_root=network.tree(PROVINCE).root(),
        code=code,
        size=len(network.logs[code]),
        trusted=True,
    )


def task_of(network, known, first):
    bundles = tuple(bundles_of(known.size))[first:]
    start = first * 256
    return Task(known, start, bundles, network.tree(known.code, start), None, (start + 5,))


@pytest.mark.parametrize("first", [0, 1, 2])
def test_a_run_that_is_examined_alone_gives_the_rows_of_the_fold(long, export_of, state_of, first):
    known = known_of(long, export_of(long), COUNTY)
    found = examine(task_of(long, known, first))
    state = state_of(long)
    state.apply_all()
    with state.store.read() as reader:
        assert found.after == reader.get("cursor", COUNTY.encode())
        facts = {
            key: row
            for key, row in reader.scan("fact")
            if key[20:26] == COUNTY.encode() and int.from_bytes(key[26:], "big") >= first * 256
        }
    assert found.facts.data == join_rows(sorted(facts.items()))
    assert not found.unsure
    assert found.size == known.size - first * 256
    assert found.findings == [(known.size - 1, "upload.office")]
    assert found.roots == {first * 256 + 5: long.tree(COUNTY, first * 256 + 5).root()}
    assert len(found.times) == 8 * found.size
    assert sum(found.moments.values()) == found.size


def test_the_start_is_what_the_fold_would_say_of_it(long, export_of, state_of):
    known = known_of(long, export_of(long), COUNTY)
    before = examine(task_of(long, known, 1)).before
    state = state_of(long)
    for index in range(len(long.logs[PROVINCE])):
        state.apply(PROVINCE, index)
    for index in range(256):
        state.apply(COUNTY, index)
    with state.store.read() as reader:
        assert before == reader.get("cursor", COUNTY.encode())


def test_what_a_run_cannot_know_makes_it_unsure_unless_a_reader_tells(long, export_of):
    known = known_of(long, export_of(long), PROVINCE)
    task = Task(known, 0, tuple(bundles_of(known.size)), CompactRange(), Cursor().encoded())
    assert not examine(task).unsure
    store = MemoryStore(TABLES)
    with store.read() as reader:
        assert examine(task, reader).rows == examine(task).rows
    overlaid = examine(task)
    assert [row[0] for row in overlaid.rows].count("member") == 5


def test_changes_are_those_that_the_roster_takes(long):
    entries = list(enumerate(long.logs[PROVINCE]))
    forged = (len(entries), long.logs[COUNTY][0])
    twice = [*entries, (99, b"member.junk"), forged]
    assert candidate_changes(long.genesis, twice) == tuple(entries)
