from __future__ import annotations

import pytest

from ledger.merkle import leaf_hash, root_of, verify_inclusion
from ledger.note import Note, parse_note
from ledger.roster import RosterHistory
from ledger.source import LogReader, note_signers, verify_checkpoint
from protocol.errors import Missing, ProofError

PROVINCE, CITY, CITY2, COUNTY = "320000", "320500", "320600", "320581"


@pytest.fixture(scope="module")
def long(founded, export_of):
    """A log of 600 entries that need not be events, and its source."""
    network = founded()
    for number in range(600):
        network.append_raw(COUNTY, f"entry {number}".encode())
    return network.logs[COUNTY], export_of(network)


@pytest.fixture
def reader(long):
    log, source = long
    return LogReader(source, COUNTY, len(log), root_of(map(leaf_hash, log)))


@pytest.mark.parametrize("index", [0, 1, 255, 256, 511, 512, 599])
def test_an_entry_comes_with_its_proof(long, reader, index):
    entry, path = reader.prove(index)
    assert entry == long[0][index]
    verify_inclusion(leaf_hash(entry), index, reader.size, reader.root, path)


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 512, 599, 600])
def test_the_root_at_every_size(long, reader, size):
    assert reader.root_at(size) == root_of(map(leaf_hash, long[0][:size]))


@pytest.mark.parametrize("index", [-1, 600, 2**63])
def test_there_is_no_entry_beyond(reader, index):
    with pytest.raises(Missing):
        reader.entry(index)


def test_another_root_is_refused(long):
    log, source = long
    reader = LogReader(source, COUNTY, len(log), bytes(32))
    with pytest.raises(ProofError):
        reader.prove(3)
    with pytest.raises(ProofError):
        reader.check_whole()


def test_a_whole_log_is_whole(reader):
    reader.check_whole()


@pytest.fixture
def signers(network):
    history = RosterHistory(network.genesis)
    for index, code in enumerate((PROVINCE, CITY, CITY2, COUNTY)):
        history.apply(index, network.with_roots(network.admit_body(code)))
    return note_signers(history)


def verified(signers, code, data):
    reports = []
    times = verify_checkpoint(
        signers, code, parse_note(data), lambda finding, name: reports.append((finding, name))
    )
    return times, reports


def test_cosignatures_are_told_by_office(network, signers):
    times, reports = verified(signers, COUNTY, network.checkpoint(COUNTY, [PROVINCE, CITY]))
    assert set(times) == {PROVINCE, CITY}
    assert set(times.values()) == {network.now // 1000 + 1}
    assert reports == []


def test_a_bad_or_unknown_cosignature_is_reported_and_does_not_count(network, signers):
    note = parse_note(network.checkpoint(COUNTY, [PROVINCE, CITY]))
    own, first, second = note.signatures
    bad = type(first)(first.name, first.key_id, first.signature[:-1] + b"\0")
    unknown = type(second)("somebody", second.key_id, second.signature)
    times, reports = verified(signers, COUNTY, Note(note.text, (own, bad, unknown)).format())
    assert times == {}
    assert reports == [("checkpoint.cosignature", first.name), ("checkpoint.stranger", "somebody")]


def test_only_the_log_itself_signs_its_checkpoint(network, signers):
    with pytest.raises(ProofError):
        verified(signers, CITY, network.checkpoint(COUNTY, [PROVINCE]))


def test_a_log_key_of_an_earlier_roster_still_tells_an_earlier_note(network):
    note = network.checkpoint(CITY)
    history = RosterHistory(network.genesis)
    history.apply(0, network.with_roots(network.admit_body(PROVINCE)))
    history.apply(1, network.with_roots(network.admit_body(CITY)))
    network.generation[CITY] = 1
    history.apply(2, network.with_roots(network.admit_body(CITY)))
    assert verified(note_signers(history), CITY, note) == ({}, [])
    assert verified(note_signers(history), CITY, network.checkpoint(CITY)) == ({}, [])
