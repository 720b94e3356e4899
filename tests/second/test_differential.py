"""Two readers of each format, one verdict: whatever the bytes, both take them or both refuse."""

from __future__ import annotations

import functools
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import events, roster
from ledger.checkpoint import parse_checkpoint
from ledger.note import NoteKey, open_note
from ledger.policy import Policy
from ledger.tiles import bundle_path, decode_bundle, tile_path
from ledger.tlogproof import TlogProof
from protocol import canonical
from protocol.errors import FangzhiError
from tests.fuzz.mutate import mutated
from tests.fuzz.targets import targets, text_of
from tests.second import events as second_events
from tests.second import members, notes, proofs, trees, values
from tests.second.values import Bad
from tests.unit.ledger.conftest import COUNTY, Network

KEY = notes.Key("fzb.test.example/320581", notes.ED25519, Network().key(COUNTY, "log").public)


def second_checkpoint(data):
    return notes.read_checkpoint(notes.read_note(data).text)


def second_proof(data):
    second_checkpoint(proofs.read_proof(data).note)


def second_bundle(data):
    entries, whole = trees.entries_of(data[1:])
    if not whole or len(entries) != 1 + (data[0] if data else 0):
        raise Bad("another number of entries, or more than entries")


READERS = {
    "canonical": (
        functools.partial(canonical.decode, bytes_max=1_000_000, where="x"),
        values.read,
    ),
    "note": (
        lambda data: open_note(data, [NoteKey(KEY.name, KEY.kind, KEY.public)]),
        lambda data: notes.signers(notes.read_note(data), [KEY]),
    ),
    "genesis": (roster.read_genesis, members.read_genesis),
    "checkpoint": (parse_checkpoint, second_checkpoint),
    "vkey": (
        lambda data: NoteKey.parse(text_of(data)),
        lambda data: notes.read_vkey(text_of(data)),
    ),
    "policy": (Policy.parse, lambda data: proofs.read_policy(text_of(data))),
    "tlog-proof": (TlogProof.parse, second_proof),
    "event": (events.parse_whole, second_events.read_event),
    "bundle": (
        lambda data: decode_bundle(data[1:], 1 + (data[0] if data else 0)),
        second_bundle,
    ),
}


def takes(read, data, refusal):
    try:
        read(data)
    except refusal:
        return False
    return True


@pytest.mark.parametrize("name", READERS)
def test_both_take_it_or_both_refuse_it(name):
    first, second = READERS[name]
    seeds = next(each.seeds for each in targets() if each.name == name)
    for seed in seeds:
        assert takes(first, seed, FangzhiError) == takes(second, seed, Bad), seed

    @settings(max_examples=300, deadline=None)
    @given(st.integers(0, 2**40))
    def run(number):
        data = mutated(Random(number), seeds)
        assert takes(first, data, FangzhiError) == takes(second, data, Bad), data[:2000]

    run()


@given(st.integers(0, 63), st.integers(0, 2**40), st.integers(1, 256))
def test_both_name_a_tile_alike(level, number, width):
    assert tile_path(level, number, width) == trees.path(level, number, width)
    assert bundle_path(number, width) == trees.path("entries", number, width)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60))
def test_values_of_any_bytes(data):
    """What both read, both write alike."""
    first = functools.partial(canonical.decode, bytes_max=100, where="x")
    if takes(first, data, FangzhiError):
        assert values.read(data) == first(data)
        assert values.write(values.read(data)) == data
    else:
        assert not takes(values.read, data, Bad)
