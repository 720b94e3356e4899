from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.custody import HoldTake
from ledger.events import ReviewAccept
from ledger.settlement import settle_item
from ledger.views import TABLES, facts
from node.hands.storage.memory_kv import MemoryStore
from protocol.ids import BlobId

CITY, COUNTY = "320500", "320581"


@pytest.fixture(scope="session")
def revised(founded):
    """A county that reports revisions, some of which supersede what is not the current one."""
    network = founded()
    for at in range(4):
        item = network.mint(COUNTY)
        network.append(COUNTY, network.upload(COUNTY, item, f"{at} a"))
        network.append(
            COUNTY,
            network.upload(COUNTY, item, f"{at} b", f"{at} x"),  # supersedes nothing there is
            network.upload(COUNTY, item, f"{at} c", f"{at} a"),
            HoldTake(item, BlobId.of(f"{at} c".encode()), 1, 1),
            network.upload(COUNTY, item, f"{at} d", f"{at} a"),  # no longer the current one
        )
        size = len(network.logs[COUNTY])
        upload = network.ref(COUNTY, size - 3)
        network.append(CITY, ReviewAccept(item, BlobId.of(f"{at} c".encode()), upload))
    return network


def rows(state):
    return state.store.dump()


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(1, 20), max_size=6))
def test_runs_of_any_length_give_the_same_rows_and_findings(revised, state_of, cuts):
    one_by_one, in_runs = state_of(revised), state_of(revised)
    expected = {
        (code, index): change.finding
        for (code, index), change in zip(
            [(code, at) for code in sorted(revised.logs) for at in range(len(revised.logs[code]))],
            one_by_one.apply_all(),
            strict=True,
        )
    }
    found = {}
    for code in sorted(revised.logs):
        log, start = revised.logs[code], 0
        for length in [*cuts, len(log)]:
            run = log[start : start + length]
            if run:
                changes = in_runs.store.run(
                    lambda writer, code=code, start=start, run=run: in_runs.fold.apply_run(
                        writer, code, start, run
                    )
                )
                found |= {(code, start + at): each.finding for at, each in enumerate(changes)}
                start += len(run)
    assert found == expected
    assert rows(in_runs) == rows(one_by_one)


def test_an_upload_must_supersede_the_current_revision(revised, state_of):
    state = state_of(revised)
    state.apply_all()
    broken = sorted(index for _, index in scan_findings(state))
    assert broken == [1, 4, 6, 9, 11, 14, 16, 19]


def scan_findings(state):
    with state.store.read() as reader:
        for key, code in reader.scan("finding"):
            assert code == b"upload.supersedes"
            yield key[:6].decode(), int.from_bytes(key[6:], "big")


def test_what_follows_is_settled_from_the_facts_in_any_order(revised, state_of):
    state = state_of(revised)
    state.apply_all()
    item = sorted(key for key, _ in rows(state)["item"].items())[0].decode()
    known = state.read(facts, item)
    settled = settle_item(state.fold.roster, item, reversed(known))
    assert settled == settle_item(state.fold.roster, item, known)
    assert settled.view.status == "accepted"
    assert settled.view.revisions == 2
    assert settled.broken == ()
    assert len(settled.manifests) == 2


def test_without_an_upload_there_is_no_view(revised, state_of):
    store = MemoryStore(TABLES)
    with store.read() as reader:
        nothing = settle_item(state_of(revised).fold.roster, "320581-x", facts(reader, "320581-x"))
    assert (nothing.view, nothing.manifests, nothing.broken) == (None, frozenset(), ())
