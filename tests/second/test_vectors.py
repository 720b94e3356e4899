"""The second checker against vectors of the project and of others, and against our code."""

from __future__ import annotations

import base64
import json
import tempfile
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import FangzhiError
from protocol.merkle import verify_consistency, verify_inclusion
from tests.second import ed25519, notes, trees
from tests.second.__main__ import main
from tests.second.generated import export
from tests.second.values import Bad
from tests.unit.ledger.conftest import COUNTY, Network

RFC_8032 = (
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
            "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
        ),
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ),
)
VECTORS = Path(__file__).parents[1] / "vectors"


def holds(check, *arguments):
    """Whether a check of either author passes."""
    try:
        check(*arguments)
    except (Bad, FangzhiError):
        return False
    return True


def test_ed25519_of_rfc_8032():
    """§7.1, tests 1 and 2."""
    for public, message, signature in RFC_8032:
        told = (bytes.fromhex(public), bytes.fromhex(message), bytes.fromhex(signature))
        assert ed25519.verifies(*told)
        assert not ed25519.verifies(told[0], told[1] + b"x", told[2])


@settings(max_examples=40, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=50), st.integers(0, 767))
def test_ed25519_agrees_with_openssl(seed, message, bit):
    """Sound, and with a bit flipped anywhere in key or signature."""
    key = Ed25519PrivateKey.from_private_bytes(seed)
    whole = key.public_key().public_bytes_raw() + key.sign(message)
    assert ed25519.verifies(whole[:32], message, whole[32:])
    bad = bytearray(whole)
    bad[bit // 8] ^= 1 << bit % 8
    public, signature = bytes(bad[:32]), bytes(bad[32:])
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
        expected = True
    except InvalidSignature:
        expected = False
    assert ed25519.verifies(public, message, signature) is expected


def test_the_merkle_vectors_of_the_project():
    vectors = json.loads((VECTORS / "merkle.json").read_text())
    leaves = [trees.leaf(bytes.fromhex(entry)) for entry in vectors["entries"]]
    roots = list(trees.roots(leaves))
    assert [root.hex() for root in roots] == vectors["roots"]
    for case in vectors["inclusion"]:
        index, size, proof = case["index"], case["size"], list(map(bytes.fromhex, case["proof"]))
        trees.check_inclusion(index, size, leaves[index], proof, roots[size])
        for wrong in ([*proof, leaves[0]], proof[:-1] if proof else [leaves[0]]):
            with pytest.raises(Bad):
                trees.check_inclusion(index, size, leaves[index], wrong, roots[size])
    for case in vectors["consistency"]:
        old, new, proof = case["size1"], case["size2"], list(map(bytes.fromhex, case["proof"]))
        trees.check_consistency(old, roots[old], new, roots[new], proof)
        with pytest.raises(Bad):
            trees.check_consistency(old, roots[old], new, roots[new], [*proof, leaves[0]])


def test_the_note_of_the_project():
    vectors = json.loads((VECTORS / "note.json").read_text())
    note = notes.read_note(vectors["note"].encode())
    keys = [notes.read_vkey(vectors[name]) for name in ("log_vkey", "witness_vkey")]
    assert notes.signers(note, keys) == keys
    checkpoint = notes.read_checkpoint(note.text)
    assert (checkpoint.origin, checkpoint.size) == (vectors["origin"], vectors["size"])
    assert checkpoint.root.hex() == vectors["root"]
    with pytest.raises(Bad):
        notes.signers(notes.Note(note.text + b"x\n", note.lines), keys)


@pytest.mark.parametrize("kind", ["inclusion", "consistency"])
def test_the_proofs_of_others(data_dir, kind):
    """196 cases; the four that differ by design are those with size1 = 0 and empty hashes."""
    files = sorted((data_dir / "vectors" / "merkle-proofs" / kind).rglob("*.json"))
    assert len(files) == 98
    differ = 0
    for path in files:
        case = json.loads(path.read_text())
        proof = [base64.b64decode(each) for each in case["proof"] or []]
        if kind == "inclusion":
            leaf, root = base64.b64decode(case["leafHash"]), base64.b64decode(case["root"])
            ours = holds(
                verify_inclusion, leaf, case["leafIdx"], case["treeSize"], root, tuple(proof)
            )
            theirs = holds(
                trees.check_inclusion, case["leafIdx"], case["treeSize"], leaf, proof, root
            )
        else:
            roots = [base64.b64decode(case[name]) for name in ("root1", "root2")]
            told = (case["size1"], roots[0], case["size2"], roots[1], tuple(proof))
            ours, theirs = holds(verify_consistency, *told), holds(trees.check_consistency, *told)
        assert ours is theirs, path
        differ += theirs is case["wantErr"]
    assert differ <= 4


def test_a_log_of_tessera(data_dir):
    folder = data_dir / "vectors" / "tessera-log"
    name, vkey = (folder / "keys.txt").read_text().split()[:2]
    assert name == "log"
    key = notes.read_vkey(vkey)
    bundles = folder / "tile" / "entries" / "000.p"
    entries, whole = trees.entries_of((bundles / "15").read_bytes())
    assert whole
    roots = list(trees.roots(map(trees.leaf, entries)))
    for size in range(16):
        note = notes.read_note((folder / f"checkpoint.{size}").read_bytes())
        assert notes.signers(note, [key]) == [key]
        checkpoint = notes.read_checkpoint(note.text)
        assert (checkpoint.size, checkpoint.root) == (size, roots[size])
        if size:
            tile = (folder / "tile" / "0" / "000.p" / str(size)).read_bytes()
            assert trees.hashes_of(tile, size) == list(map(trees.leaf, entries[:size]))


def test_the_witness_and_the_mirror_of_sunlight(data_dir):
    for folder in ("sunlight-witness", "sunlight-witness/mirror"):
        here = data_dir / "vectors" / folder
        told = json.loads(next(here.glob("*.v0.json")).read_text())
        keys = [notes.read_vkey(vkey) for vkey in told["verifier_keys"]]
        for path in here.glob("?" * 64 + "/checkpoint"):
            note = notes.read_note(path.read_bytes())
            assert notes.signers(note, keys) == keys
            checkpoint = notes.read_checkpoint(note.text)
            first = path.parent / "tile" / "0" / "000"
            if first.is_file():
                width = checkpoint.size - trees.WIDTH
                rest = (path.parent / trees.path(0, 1, width)).read_bytes()
                hashes = trees.hashes_of(first.read_bytes(), 256) + trees.hashes_of(rest, width)
                assert list(trees.roots(hashes))[-1] == checkpoint.root
                top = (path.parent / trees.path(1, 0, 1)).read_bytes()
                assert top == trees.perfect(hashes[:256])


def test_as_a_program_it_says_what_it_found(capsys):
    network = Network().found()
    with tempfile.TemporaryDirectory() as name:
        files = export(network, Path(name))
        genesis = str(Path(name) / "genesis.note")
        assert main(name, genesis) == 0
        assert capsys.readouterr().out == "5 logs, 5 entries, 0 findings\n"
        files[-1].unlink()
        assert main(name, genesis) == 1
        assert COUNTY not in capsys.readouterr().out
        Path(genesis).write_bytes(b"x")
        assert main(name, genesis) == 1
