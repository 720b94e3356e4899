from __future__ import annotations

from dataclasses import replace

import pytest

from ledger.chain import check_proof
from ledger.events import Anchor, AnchorLine, MemberRevoke
from ledger.note import Note, parse_note
from protocol.errors import Missing, ProofError
from protocol.ids import RootHash
from tests.told import (
    CITY,
    CLERK,
    CLERKS_REFUSED,
    CONTENT,
    COUNTY,
    FILE,
    PROVINCE,
    Told,
    manifest_of,
    retired_clerk,
)


@pytest.fixture
def told(network):
    return Told(network)


@pytest.fixture
def proof(told, export_of):
    return told.verify(export_of(told.network)).proof


def test_a_proof_needs_nothing_but_the_genesis_note(told, proof):
    proven = check_proof(proof, told.network.genesis_note, FILE, len(CONTENT))
    assert (proven.log.office, proven.index, proven.file.path) == (COUNTY, 3, "卷一.pdf")
    assert [seen.witnessed for seen in (proven.log, proven.province)] == [True, True]
    chain = [(anchor.office, anchor.child) for anchor in proven.anchors]
    assert chain == [(CITY, COUNTY), (PROVINCE, CITY)]
    assert proven.changes == 4  # of the other county nothing is needed


def refused(told, proof, file=FILE):
    with pytest.raises(ProofError) as caught:
        check_proof(proof, told.network.genesis_note, file, len(CONTENT))
    return str(caught.value.where).split(":")[0]


def test_step_1_names_another_network(told, proof, founded):
    other = founded()
    other.genesis = replace(other.genesis, network="fzb.other.example")
    from ledger.genesis import write_genesis

    roots = {f"root{i}": root for i, root in enumerate(other.roots)}
    note = write_genesis(other.genesis, roots)
    assert refused(told, replace(proof, genesis=note)) == "step 1 genesis"


def without_witnesses(proof, keep=1):
    note = parse_note(proof.checkpoint)
    return replace(proof, checkpoint=Note(note.text, note.signatures[:keep]).format())


def test_step_2_names_an_unwitnessed_province(told, proof):
    changes = tuple(map(without_witnesses, proof.changes))
    assert refused(told, replace(proof, changes=changes)) == "step 2 roster"


def test_step_2_names_a_change_that_is_not_in_the_log(told, proof):
    moved = replace(proof.changes[1], index=proof.changes[1].index + 1)
    changes = (proof.changes[0], moved, *proof.changes[2:])
    assert refused(told, replace(proof, changes=changes)) == "step 2 roster"


def test_step_2_names_changes_under_two_checkpoints(told, proof):
    changes = (*proof.changes[:-1], without_witnesses(proof.changes[-1], 2))
    assert refused(told, replace(proof, changes=changes)) == "step 2 roster"
    assert refused(told, replace(proof, changes=())) == "step 2 roster"


def test_step_3_names_another_file_and_another_manifest(told, proof):
    assert refused(told, proof, file=type(FILE).of(b"another")) == "step 3 manifest"
    other = manifest_of(told.item, salt="9" * 32)
    assert refused(told, replace(proof, manifest=other)) == "step 3 manifest"


def test_step_4_names_a_signature_that_does_not_hold(told, proof):
    entry = proof.upload.extra
    spoilt = replace(proof.upload, extra=entry[:-1] + bytes([entry[-1] ^ 1]))
    assert refused(told, replace(proof, upload=spoilt)) == "step 4 event"


def test_step_4_names_another_past_of_the_province(told, proof):
    growths = {**proof.growths, PROVINCE: proof.growths[PROVINCE].replace(b"old ", b"old 1")}
    assert refused(told, replace(proof, growths=growths)) == "step 4 event"
    del growths[PROVINCE]
    assert refused(told, replace(proof, growths=growths)) == "step 4 event"


def test_step_4_names_a_key_that_is_not_in_the_roster(told, proof):
    without = tuple(change for change in proof.changes if COUNTY.encode() not in change.extra)
    assert refused(told, replace(proof, changes=without)) == "step 4 event"


def test_step_5_names_another_place_and_another_log(told, proof):
    assert refused(told, replace(proof, upload=replace(proof.upload, index=2))) == (
        "step 5 inclusion"
    )
    foreign = replace(proof.upload, checkpoint=proof.anchors[CITY].checkpoint)
    assert refused(told, replace(proof, upload=foreign)) == "step 5 inclusion"


def test_witnesses_that_are_missing_are_counted(told, proof):
    alone = replace(proof, upload=without_witnesses(proof.upload, 2))
    proven = check_proof(alone, told.network.genesis_note, FILE, len(CONTENT))
    assert (len(proven.log.witnesses), proven.log.needed, proven.log.witnessed) == (1, 2, False)


def test_step_6_names_a_policy_of_somebody_else(told, proof):
    policies = {**proof.policies, COUNTY: proof.policies[CITY]}
    assert refused(told, replace(proof, policies=policies)) == "step 6 witnesses"


def test_step_7_names_an_anchor_of_another_history(told, proof):
    growths = {**proof.growths, COUNTY: proof.growths[CITY]}
    assert refused(told, replace(proof, growths=growths)) == "step 7 anchors"
    elsewhere = replace(proof.anchors[CITY], index=0)
    anchors = {**proof.anchors, CITY: elsewhere}
    assert refused(told, replace(proof, anchors=anchors)) == "step 7 anchors"


def test_a_proof_may_end_below_the_province(told, proof):
    shorter = replace(proof, anchors={CITY: proof.anchors[CITY]})
    proven = check_proof(shorter, told.network.genesis_note, FILE, len(CONTENT))
    assert [anchor.office for anchor in proven.anchors] == [CITY]


def test_a_key_revoked_below_the_upload_proves_nothing(told, export_of):
    root = RootHash(told.network.tree(COUNTY, 3).root())
    before = told.verify(export_of(told.network)).proof
    told.network.append(PROVINCE, told.network.with_roots(MemberRevoke(COUNTY, 3, root, 1, ())))
    told.blobs.clear()
    with pytest.raises(Missing):
        told.verify(export_of(told.network))
    assert check_proof(before, told.network.genesis_note, FILE, len(CONTENT)).index == 3


def test_the_anchor_of_a_shorter_log_covers_nothing(told, export_of):
    root = RootHash(told.network.tree(COUNTY, 2).root())
    told.network.append(CITY, Anchor((AnchorLine(COUNTY, 2, root),)))
    anchors = told.verify(export_of(told.network)).proven.anchors
    assert (anchors[0].index, anchors[0].size) == (told.anchor.index, 4)


@pytest.fixture
def clerks(network, export_of):
    """What a clerk's own key reported, and the proof of it."""
    told = Told(network, CLERK)
    return told, told.verify(export_of(network)).proof


def test_an_upload_by_a_users_key_is_proven_with_its_enrolment(clerks):
    told, proof = clerks
    assert type(proof).of_files(proof.files()) == proof
    user = check_proof(proof, told.network.genesis_note, FILE, len(CONTENT)).user
    assert (user.key, user.roles, user.index) == (CLERK.public, ("clerk",), 2)
    assert refused(told, replace(proof, signer=None)) == "step 4 event"


def test_an_enrolment_stands_before_the_upload_under_its_checkpoint(clerks):
    told, proof = clerks
    for signer in (
        replace(proof.signer, checkpoint=without_witnesses(proof.signer, 2).checkpoint),
        replace(proof.signer, index=proof.upload.index),
        replace(proof.signer, index=1),
        replace(proof.signer, extra=told.network.logs[COUNTY][1]),
        replace(proof.upload, index=2),
        proof.upload,
    ):
        assert refused(told, replace(proof, signer=signer)) == "step 4 event"


@pytest.mark.parametrize("who", CLERKS_REFUSED)
def test_step_4_names_an_upload_by_a_users_key(network, export_of, who):
    told = CLERKS_REFUSED[who](network)
    assert refused(told, told.proof(export_of(network))) == "step 4 event"


def test_only_the_whole_log_shows_a_retirement(network, export_of):
    told = retired_clerk(network)
    proof = told.proof(export_of(network))
    assert check_proof(proof, network.genesis_note, FILE, len(CONTENT)).user.roles == ("clerk",)
    with pytest.raises(ProofError, match="step 8 state"):
        told.verify(export_of(network))
