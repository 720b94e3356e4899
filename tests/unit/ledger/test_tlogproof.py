from __future__ import annotations

import base64
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.checkpoint import Checkpoint, Cosigner, cosign, log_key, sign_checkpoint
from ledger.note import Note, sign_note
from ledger.policy import Policy, PolicyLog, PolicyWitness
from ledger.tlogproof import TlogProof, verify_proof
from protocol.errors import DecodeError, ProofError
from protocol.ids import LeafHash, RootHash
from protocol.keys import SigningKey
from protocol.merkle import leaf_hash, perfect_root, prove_inclusion, root_of

ORIGIN = "fzb.example/320500"
LOG = SigningKey.from_seed(bytes(32))
WITNESS = Cosigner("w.example", SigningKey.from_seed(bytes([1]) * 32))
LEAVES = [leaf_hash(bytes([number])) for number in range(5)]
CHECKPOINT = Checkpoint(ORIGIN, 5, RootHash(root_of(LEAVES)))
NOTE = sign_checkpoint(CHECKPOINT, LOG) + cosign(CHECKPOINT.format(), WITNESS, 9).format().encode()
POLICY = Policy(
    (PolicyLog(log_key(ORIGIN, LOG.public)),), (PolicyWitness("w", WITNESS.key),), (), "w"
)


def subtree(level: int, index: int) -> bytes:
    return perfect_root(b"".join(LEAVES[index << level : (index + 1) << level]))


def proof(index: int) -> TlogProof:
    return TlogProof(index, prove_inclusion(index, 5, subtree), NOTE)


@pytest.mark.parametrize("index", range(5))
def test_proves(index: int) -> None:
    parsed = TlogProof.parse(proof(index).format())
    assert verify_proof(parsed, LeafHash(LEAVES[index]), POLICY) == CHECKPOINT


@settings(max_examples=40)
@given(
    st.integers(0, 2**63 - 1),
    st.lists(st.binary(min_size=32, max_size=32), max_size=63),
    st.none() | st.binary(max_size=50),
)
def test_round_trip(index: int, hashes: list[bytes], extra: bytes | None) -> None:
    whole = TlogProof(index, tuple(hashes), NOTE, extra)
    assert TlogProof.parse(whole.format()) == whole


def test_bytes() -> None:
    head = TlogProof(4, (subtree(2, 0),), NOTE, b"ab").format().removesuffix(NOTE).decode()
    sibling = base64.b64encode(subtree(2, 0)).decode()
    assert head == f"c2sp.org/tlog-proof@v1\nextra YWI=\nindex 4\n{sibling}\n\n"


def test_what_does_not_hold() -> None:
    good, leaf = proof(2), LeafHash(LEAVES[2])
    unwitnessed = replace(good, checkpoint=sign_checkpoint(CHECKPOINT, LOG))
    other_origin = Checkpoint("fzb.example/999999", 5, CHECKPOINT.root)
    stranger = SigningKey.from_seed(bytes([7]) * 32)
    for wrong, of in [
        (good, LeafHash(LEAVES[3])),
        (replace(good, index=3), leaf),
        (replace(good, index=5), leaf),
        (replace(good, hashes=good.hashes[:-1]), leaf),
        (unwitnessed, leaf),
        (replace(good, checkpoint=sign_checkpoint(CHECKPOINT, stranger)), leaf),
        (replace(good, checkpoint=sign_checkpoint(other_origin, LOG)), leaf),
    ]:
        with pytest.raises(ProofError):
            verify_proof(wrong, of, POLICY)
    text = CHECKPOINT.format()
    by_another = Note(text, (sign_note(text, "b.example", stranger), cosign(text, WITNESS, 9)))
    another = PolicyLog(log_key("b.example", stranger.public))
    with pytest.raises(ProofError):  # a log of the policy, but not the one of this origin
        verify_proof(
            replace(good, checkpoint=by_another.format()),
            leaf,
            replace(POLICY, logs=(*POLICY.logs, another)),
        )
    open_policy = replace(POLICY, quorum="none")
    assert verify_proof(unwitnessed, leaf, open_policy) == CHECKPOINT


GOOD = proof(0).format()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        NOTE,
        GOOD.replace(b"@v1", b"@v2"),
        GOOD.replace(b"index 0", b"index 00"),
        GOOD.replace(b"index 0", b"Index 0"),
        GOOD.replace(b"index 0\n", b""),
        GOOD.replace(b"index 0", b"index 0\nextra YWI="),
        GOOD.replace(b"index 0", b"extra !\nindex 0"),
        GOOD.replace(b"index 0", b"index 0\nAAAA"),
        GOOD.replace(b"index 0", b"index 0\n" + base64.b64encode(bytes(32)) + b"\n\n"),
        GOOD.replace(b"index 0\n", b"index 0\n" + (base64.b64encode(bytes(32)) + b"\n") * 63),
        GOOD.removesuffix(NOTE),
        GOOD[:-1],
        GOOD.replace(b"index 0", "index ０".encode()),
        GOOD.replace(b"index 0", b"extra " + b"AAAA" * 40_000 + b"\nindex 0"),
    ],
)
def test_malformed(data: bytes) -> None:
    with pytest.raises(DecodeError):
        TlogProof.parse(data)
