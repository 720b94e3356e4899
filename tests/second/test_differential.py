"""Two readers of each format, one verdict: whatever the bytes, both take them or both refuse."""

from __future__ import annotations

import functools
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import events, genesis, logbook
from ledger.checkpoint import parse_checkpoint
from ledger.note import COSIGNATURE_V1, NoteKey, Signature, open_note
from ledger.policy import Policy, PolicyGroup, PolicyLog, PolicyWitness, evaluate
from ledger.tiles import bundle_path, decode_bundle, tile_path
from ledger.tlogproof import TlogProof, verify_proof
from node.hands.storage.memory_kv import MemoryStore
from protocol import canonical
from protocol.errors import FangzhiError
from protocol.ids import LeafHash
from protocol.keys import SigningKey
from protocol.merkle import leaf_hash, verify_consistency
from tests.fuzz.mutate import mutated
from tests.fuzz.targets import targets, text_of
from tests.second import events as second_events
from tests.second import generated, members, notes, proofs, trees, values
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
    "genesis": (genesis.read_genesis, members.read_genesis),
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


WITNESSES = [
    NoteKey(f"w{at}.example", COSIGNATURE_V1, SigningKey.from_seed(bytes([at]) * 32).public)
    for at in range(5)
]


@st.composite
def policies(draw):
    """Groups of witnesses and of groups, each in at most one."""
    free = [f"w{at}" for at in range(len(WITNESSES))]
    groups = []
    for number in range(draw(st.integers(0, 3))):
        members = draw(st.lists(st.sampled_from(free), min_size=1, unique=True))
        groups.append(PolicyGroup(f"g{number}", draw(st.integers(1, len(members))), tuple(members)))
        free = [each for each in free if each not in members] + [f"g{number}"]
    witnesses = tuple(PolicyWitness(f"w{at}", key) for at, key in enumerate(WITNESSES))
    names = [*(each.name for each in witnesses), *(each.name for each in groups), "none"]
    return Policy((), witnesses, tuple(groups), draw(st.sampled_from(names)))


@settings(max_examples=200, deadline=None)
@given(policies(), st.sets(st.sampled_from(WITNESSES)))
def test_both_count_a_quorum_alike(policy, signers):
    lines = [Signature(key.name, key.id, bytes(72)) for key in signers]
    ours = takes(lambda _: evaluate(policy, lines), b"", FangzhiError)
    keys = [notes.Key(key.name, key.type, key.public) for key in signers]
    assert proofs.read_policy(policy.format().decode()).holds(keys) is ours


@pytest.fixture(scope="module")
def network():
    network = Network().found()
    generated.hold(network, COUNTY, 21)
    return network


def test_both_hold_the_proof_of_every_entry(network):
    store = MemoryStore(generated.TABLES)
    log = network.logs[COUNTY]
    store.run(lambda writer: logbook.append(writer, COUNTY, log))
    note = network.checkpoint(COUNTY)
    ours = NoteKey(KEY.name, KEY.kind, KEY.public)
    policy = Policy((PolicyLog(ours),), (), (), "none")
    with store.read() as reader:
        for index, entry in enumerate(log):
            hashes = logbook.prove_inclusion(reader, COUNTY, index, len(log))
            data = TlogProof(index, tuple(hashes), note, entry).format()
            checkpoint = proofs.check_proof(data, entry, [KEY])
            assert proofs.read_proof(data).extra == entry
            theirs = verify_proof(TlogProof.parse(data), LeafHash(leaf_hash(entry)), policy)
            assert (checkpoint.size, checkpoint.root) == (theirs.size, theirs.root.raw)
            with pytest.raises(Bad):
                proofs.check_proof(data, entry + b"x", [KEY])


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 22), st.integers(0, 22), st.integers(0, 2**40))
def test_both_fold_a_growth_alike(network, size1, size2, number):
    """A true proof, or one with a hash changed, lost or too many."""
    small, large = sorted((size1, size2))
    small, large = min(small, 21), min(large, 21)
    leaves = [leaf_hash(entry) for entry in network.logs[COUNTY]]
    roots = list(trees.roots(leaves))
    store = MemoryStore(generated.TABLES)
    store.run(lambda writer: logbook.append(writer, COUNTY, network.logs[COUNTY]))
    with store.read() as reader:
        proof = list(logbook.prove_consistency(reader, COUNTY, small, large)) if small else []
    trees.check_consistency(small, roots[small], large, roots[large], proof)
    random = Random(number)
    at = random.randint(0, len(proof))
    proof[at : at + random.randint(0, 1)] = random.sample(leaves, random.randint(0, 2))
    told = (small, roots[small], large, roots[large], tuple(proof))
    ours = takes(lambda _: verify_consistency(*told), b"", FangzhiError)
    assert takes(lambda _: trees.check_consistency(*told), b"", Bad) is ours
