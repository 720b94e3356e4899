from __future__ import annotations

import pytest

from ledger import log_join
from ledger.audit import AUDIT_TABLES, audit
from ledger.events import KeyEnroll, KeyRetire, sign_event
from ledger.spool import Tools
from node.hands.storage.memory_kv import MemoryStore
from node.hands.storage.spool import MemorySpool
from protocol.ids import BlobId
from protocol.keys import SigningKey, key_id

PROVINCE, COUNTY = "320000", "320581"


@pytest.fixture(scope="module")
def uneven(founded):
    """A county with runs that end in events that do not hold, so that the next is assumed wrong;
    and a provincial log whose last change of members is not signed by the province."""
    network = founded()
    for at in range(300):
        item = network.mint(COUNTY)
        network.append(COUNTY, network.upload(COUNTY, item, f"{at}"))
        if at % 64 == 63:
            network.append(COUNTY, network.upload(COUNTY, network.mint(COUNTY), f"{at} b"))
            bad = network.sign(COUNTY, network.upload(COUNTY, item), last_size=3)
            network.append_raw(COUNTY, bad.encoded())
    network.generation[PROVINCE] = 1
    network.append(PROVINCE, network.with_roots(network.admit_body(PROVINCE)))
    network.generation[PROVINCE] = 0
    return network


def audited(network, source, hands=map):
    tools = Tools(MemoryStore(AUDIT_TABLES), MemorySpool(), hands, lambda *_: None)
    return audit({"x": source}, network.genesis_note, tools)


@pytest.mark.parametrize("bundles", [1, 2, 8])
def test_runs_of_any_length_are_joined_to_what_nodes_fold(
    uneven, export_of, state_of, monkeypatch, bundles
):
    monkeypatch.setattr(log_join, "RUN_BUNDLES", bundles)
    report = audited(uneven, export_of(uneven))
    state = state_of(uneven)
    changes = state.apply_all()
    assert report.state_digest == state.digest()
    assert len(report.findings) == sum(1 for each in changes if each.finding)


def test_a_run_examined_under_a_wrong_assumption_is_examined_again(
    uneven, export_of, state_of, monkeypatch
):
    """Workers that take every run to begin at the founding: nothing they say is believed."""
    monkeypatch.setattr(log_join, "RUN_BUNDLES", 1)

    def astray(work, tasks):
        for task in tasks:
            found = work(task)
            if work is log_join.examine and task.start:
                found.before = b"another"
                found.rows.clear()
                found.findings.append((task.start, "event.void"))
            yield found

    state = state_of(uneven)
    state.apply_all()
    report = audited(uneven, export_of(uneven), astray)
    assert report.state_digest == state.digest()
    assert "event.void" not in {each.code for each in report.findings}


def test_events_of_named_users_hold_when_workers_know_their_keys_late(
    founded, export_of, state_of, monkeypatch
):
    """Runs are examined ahead of the enrolment that they depend on."""
    monkeypatch.setattr(log_join, "RUN_BUNDLES", 1)
    network, clerk = founded(), SigningKey.from_seed(bytes(31) + b"c")
    enrolment = KeyEnroll(clerk.public, BlobId.of(b"person"), ("clerk",))
    for at in range(800):
        if at == 300:
            network.append(COUNTY, enrolment)
        if at == 700:
            network.append(COUNTY, KeyRetire(key_id(clerk.public)))
        body = network.upload(COUNTY, network.mint(COUNTY), f"{at}")
        event = sign_event(network.context(COUNTY), body, network.now, clerk)
        network.append_raw(COUNTY, event.encoded())

    def ahead(work, tasks):
        return iter([work(task) for task in list(tasks)])

    report = audited(network, export_of(network), ahead)
    state = state_of(network)
    changes = state.apply_all()
    assert report.state_digest == state.digest()
    assert [each.code for each in report.findings] == ["event.signer"] * 400
    assert sum(1 for each in changes if each.finding) == 400
