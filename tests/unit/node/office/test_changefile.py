"""Change files: who has signed what, and what must not pass."""

from __future__ import annotations

import json
from typing import Any

import pytest

from configs.offices import load
from ledger.events import MemberRevoke, OutsideWitness, PolicySet
from ledger.genesis import Genesis, write_genesis
from ledger.note import ED25519, NoteKey
from ledger.roster import Roster
from node.hands.keys import make_office_keys
from node.office.changefile import ChangeFile, add_signature, read_change_file, write_change_file
from node.office.membership import admissions, read_request, write_request
from protocol.errors import DecodeError, FangzhiError, Forbidden, ProofError
from protocol.ids import OfficeCode, RootHash
from protocol.keys import SigningKey
from protocol.records import encode_json
from simulations.clock import SimRng

PROVINCE = OfficeCode("320000")
A, B, C, STRANGER = (SigningKey.from_seed(bytes([n]) * 32) for n in range(1, 5))
KEYS = {PROVINCE: make_office_keys(PROVINCE, SimRng(1, "p").random_bytes)}
ROOTS = tuple(
    NoteKey(f"root-{n}", ED25519, k.public) for n, k in zip("abc", (A, B, C), strict=True)
)
GENESIS = Genesis("t.example", PROVINCE, 2, ROOTS, KEYS[PROVINCE].log.public)
NOTE = write_genesis(GENESIS, {"root-a": A, "root-b": B})


def founding() -> ChangeFile:
    request = read_request(write_request(KEYS, bytes(32), "a:1", ""))
    return ChangeFile(GENESIS, (), admissions(Roster(GENESIS), [request], load("jiangsu")))


def revocation() -> ChangeFile:
    policy = PolicySet(2, 1, 0, (OutsideWitness("x", "vkey", "http://x/"),), 1, ())
    changes = (MemberRevoke("320581", 7, RootHash(bytes(32)), 1, ()), policy)
    return ChangeFile.draft(NOTE, changes)


@pytest.mark.parametrize("file", [founding(), revocation()], ids=["founding", "revocation"])
def test_a_file_gathers_signatures_until_they_are_enough(file: ChangeFile) -> None:
    assert (file.signed_by(), file.still_needed()) == ([], 2)
    for root, name, left in ((C, "root-c", 1), (A, "root-a", 0), (B, "root-b", 0)):
        if left or name == "root-a":
            with pytest.raises(ProofError, match="2 root signatures"):
                file.require_signed()
        file = add_signature(file, root)
        assert name in file.signed_by()
        assert file.still_needed() == left
        assert read_change_file(write_change_file(file) + b"\n") == file
        with pytest.raises(Forbidden, match="has not signed yet"):
            add_signature(file, root)
    file.require_signed()
    with pytest.raises(Forbidden, match="a root key of"):
        add_signature(file, STRANGER)


def test_a_founding_file_makes_the_genesis_note_and_the_first_roster() -> None:
    file = founding()
    assert file.founds
    assert not revocation().founds
    for root in (A, B):
        file = add_signature(file, root)
    assert file.genesis_note == NOTE
    assert Roster(GENESIS).apply(0, file.changes[0]).member(PROVINCE).name == "江苏省"


def test_a_signature_of_one_change_is_none_of_another() -> None:
    signed = add_signature(revocation(), A)
    other = MemberRevoke("320581", 8, RootHash(bytes(32)), 1, signed.changes[0].signatures)
    with pytest.raises(ProofError):
        read_change_file(write_change_file(ChangeFile.draft(NOTE, (other,))))


def test_every_flipped_byte_is_refused_or_changes_only_the_letter_case() -> None:
    data = write_change_file(add_signature(founding(), A))
    for at in range(0, len(data), 7):
        flipped = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        with pytest.raises(FangzhiError):
            read_change_file(flipped)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda f: f.pop("changes"),
        lambda f: f.update(changes=[]),
        lambda f: f.update(extra=1),
        lambda f: f.update(format="fangzhi/change/2"),
        lambda f: f["changes"][0].update(kind="version.upload"),
        lambda f: f["changes"][0].update(extra=1),
        lambda f: f["changes"][0].pop("turn"),
        lambda f: f["changes"][0].update(turn="1"),
        lambda f: f["changes"][0].update(log_root="00"),
        lambda f: f["changes"][0].update(log_root=[]),
        lambda f: f["changes"].append("x"),
        lambda f: f["changes"][0].update(signatures=f["changes"][0]["signatures"] * 2),
        lambda f: f["genesis_signatures"].reverse() or f["genesis_signatures"].append("x"),
        lambda f: f.update(genesis_signatures=f["genesis_signatures"] * 2),
    ],
)
def test_what_is_no_change_file(spoil: Any) -> None:
    fields = json.loads(write_change_file(add_signature(revocation(), A)))
    spoil(fields)
    with pytest.raises((DecodeError, ProofError)):
        read_change_file(encode_json(fields))
