from __future__ import annotations

import pytest

from ledger.events import MemberRevoke
from ledger.note import Note, parse_note
from ledger.roster import RosterHistory
from ledger.source import LogReader, note_signers, verify_checkpoint
from protocol.errors import LostTailError, Missing, ProofError
from protocol.ids import RootHash
from protocol.merkle import leaf_hash, root_of, verify_inclusion

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


def reports_of(signers, code, data):
    reports = []
    verify_checkpoint(
        signers, code, parse_note(data), lambda finding, name: reports.append((finding, name))
    )
    return reports


def test_good_cosignatures_are_not_worth_a_word(network, signers):
    assert reports_of(signers, COUNTY, network.checkpoint(COUNTY, [PROVINCE, CITY])) == []


def test_a_bad_or_unknown_cosignature_is_reported(network, signers):
    note = parse_note(network.checkpoint(COUNTY, [PROVINCE, CITY]))
    own, first, second = note.signatures
    bad = type(first)(first.name, first.key_id, first.signature[:-1] + b"\0")
    unknown = type(second)("somebody", second.key_id, second.signature)
    reports = reports_of(signers, COUNTY, Note(note.text, (own, bad, unknown)).format())
    assert reports == [("checkpoint.cosignature", first.name), ("checkpoint.stranger", "somebody")]


def test_only_the_log_itself_signs_its_checkpoint(network, signers):
    with pytest.raises(ProofError):
        reports_of(signers, CITY, network.checkpoint(COUNTY, [PROVINCE]))


def history_of(network, *changes):
    history = RosterHistory(network.genesis)
    for index, body in enumerate(changes):
        history.apply(index, network.with_roots(body))
    return history


def test_a_rotated_log_key_still_tells_an_earlier_note(network):
    note = network.checkpoint(CITY)
    first = [network.admit_body(code) for code in (PROVINCE, CITY)]
    network.generation[CITY] = 1
    signers = note_signers(history_of(network, *first, network.rotate_body(CITY)))
    assert reports_of(signers, CITY, note) == []
    assert reports_of(signers, CITY, network.checkpoint(CITY)) == []


def test_a_closed_log_key_counts_up_to_its_closure(network):
    first = [network.admit_body(code) for code in (PROVINCE, CITY)]
    network.append(CITY, network.upload(CITY, network.mint(CITY)))
    at_closure = network.checkpoint(CITY)
    root = RootHash(network.tree(CITY).root())
    network.append(CITY, network.upload(CITY, network.mint(CITY)))
    beyond = network.checkpoint(CITY)
    signers = note_signers(history_of(network, *first, MemberRevoke(CITY, 1, root, 1, ())))
    assert reports_of(signers, CITY, at_closure) == []
    with pytest.raises(LostTailError, match="at most the closure at 1"):
        reports_of(signers, CITY, beyond)
