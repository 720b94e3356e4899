from __future__ import annotations

import pytest

from ledger.genesis import Genesis, read_genesis, write_genesis
from ledger.note import ED25519, Note, NoteKey, sign_note
from protocol.errors import DecodeError, ProofError

CITY = "320500"


def test_a_genesis_note_comes_back(network):
    assert read_genesis(network.genesis_note) == network.genesis
    assert network.genesis.origin(CITY) == "fzb.test.example/320500"


def test_a_genesis_note_needs_its_threshold(network):
    one = write_genesis(network.genesis, {"root0": network.roots[0]})
    with pytest.raises(ProofError):
        read_genesis(one)


def test_one_root_key_under_two_names_does_not_make_two(network):
    key = network.roots[0]
    genesis = Genesis(
        network=network.genesis.network,
        province=network.genesis.province,
        threshold=2,
        roots=tuple(NoteKey(name, ED25519, key.public) for name in ("a", "b")),
        log_key=bytes(32),
    )
    with pytest.raises(DecodeError):
        read_genesis(write_genesis(genesis, {"a": key, "b": key}))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("genesis v1", "genesis v2"),
        ("threshold 2", "threshold 0"),
        ("threshold 2", "threshold 4"),
        ("threshold 2", "threshold 02"),
        ("threshold 2", "threshold ²"),
        ("threshold 2", "threshold " + "9" * 5000),
        ("province 320000", "province 32000"),
        ("log ", "log zz"),
        ("log ", "log  "),
        ("network ", "network a b"),
        ("root root0", "toor root0"),
        ("+", "-"),
    ],
)
def test_another_genesis_text_is_refused(network, old, new):
    text = network.genesis.text()
    assert old in text
    text = text.replace(old, new, 1)
    lines = tuple(sign_note(text, f"root{i}", key) for i, key in enumerate(network.roots))
    with pytest.raises(DecodeError):
        read_genesis(Note(text, lines).format())
