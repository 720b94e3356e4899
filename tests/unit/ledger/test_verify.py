from __future__ import annotations

import copy

import pytest

from ledger.events import (
    Anchor,
    AnchorLine,
    KeyEnroll,
    MemberRevoke,
    ReviewAccept,
    VersionUpload,
    VersionWithdraw,
)
from ledger.policy import Policy
from ledger.tiles import encode_bundle
from ledger.tlogproof import verify_proof
from protocol.errors import Missing, ProofError
from protocol.ids import BlobId, LeafHash, RootHash
from protocol.keys import SigningKey
from protocol.merkle import leaf_hash
from tests.told import (
    CITY,
    CITY2,
    CLERK,
    CONTENT,
    COUNTY,
    COUNTY2,
    PERSON,
    PROVINCE,
    REASON,
    Told,
    manifest_of,
)


@pytest.fixture
def told(network):
    return Told(network)


@pytest.fixture
def export(told, export_of):
    return export_of(told.network)


def places(*refs):
    return [(ref.origin, ref.index) for ref in refs]


@pytest.mark.parametrize("hinted", [False, True])
def test_the_whole_chain(told, export, hinted):
    hint = places(told.upload, told.accept, told.hold, told.anchor) if hinted else None
    chain = told.verify(export, hint)
    proven, log = chain.proven, chain.proven.log
    assert (log.office, proven.index, proven.upload.item) == (COUNTY, 3, told.item)
    assert (proven.manifest.title, proven.file.path) == ("苏州府志", "卷一.pdf")
    assert log.name == "office 320581"
    assert (chain.status, chain.public, chain.holders) == ("accepted", True, (PROVINCE,))
    assert [code for code, _ in log.witnesses] == [PROVINCE, CITY, CITY2]
    assert log.witnessed
    anchors = [(anchor.office, anchor.index) for anchor in proven.anchors]
    assert anchors == places(told.anchor, told.above)
    assert [step.kind for step in chain.events] == ["hold.take", "review.accept", "version.upload"]
    assert chain.complete == (not hinted)
    assert chain.unsearched == ()


def test_every_tlog_proof_stands_on_its_own(told, export):
    proof = told.verify(export).proof
    each = {COUNTY: proof.upload, **proof.anchors}
    assert set(each) == {COUNTY, CITY, PROVINCE} == set(proof.policies)
    for code, one in each.items():
        leaf = LeafHash(leaf_hash(one.extra))
        verify_proof(one, leaf, Policy.parse(proof.policies[code]))
    with pytest.raises(ProofError):
        verify_proof(proof.upload, leaf, Policy.parse(proof.policies[COUNTY]))


@pytest.mark.parametrize("hinted", [False, True])
def test_each_entry_is_read_once_for_the_search(told, export, hinted):
    read = []
    bundle = export.bundle
    export.bundle = lambda *name: read.append(name[0]) or bundle(*name)
    told.verify(export, places(told.upload, told.anchor) if hinted else None)
    assert set(read) == ({PROVINCE, COUNTY, CITY} if hinted else set(export.offices()))
    # each log once, and again where an entry of it is proven
    assert max(read.count(code) for code in (CITY2, COUNTY2)) == (0 if hinted else 1)
    assert max(map(read.count, read)) <= 4


def test_a_file_nobody_recorded_is_missing(told, export):
    with pytest.raises(Missing):
        told.verify(export, file=BlobId.of(b"another"))
    with pytest.raises(Missing):
        told.verify(export, size=1)
    with pytest.raises(Missing):
        told.verify(export, hint=places(told.accept))
    with pytest.raises(Missing, match=r"\(5 uploads have"):
        told.verify(export, size=1)
    told.blobs.clear()
    with pytest.raises(Missing, match=r"\(6 uploads have manifests that are not shown here"):
        told.verify(export)


def test_a_withdrawn_item_says_so(told, export_of):
    told.network.append(CITY, VersionWithdraw(told.item, told.upload, REASON))
    chain = told.verify(export_of(told.network))
    assert (chain.status, chain.public) == ("withdrawn", False)


def test_an_older_revision_says_so(told, export_of):
    newer = told.put(manifest_of(told.item, salt="1" * 32, file=BlobId.of(b"other")))
    body = VersionUpload(told.item, newer, "open", 1, len(CONTENT), told.manifest, None)
    told.network.append(COUNTY, body)
    chain = told.verify(export_of(told.network))
    assert (chain.status, chain.public, chain.holders) == ("superseded", False, ())


def test_a_bad_event_of_another_office_does_not_stop_the_chain(told, export_of):
    network = told.network
    network.append(COUNTY2, ReviewAccept(told.item, told.manifest, told.upload))
    event = network.sign(COUNTY2, VersionWithdraw(told.item, told.upload, REASON))
    network.append_raw(COUNTY2, event.encoded()[:-1] + b"\0")
    network.append_raw(COUNTY2, b"no event " + told.item.encode())
    chain = told.verify(export_of(network))
    assert chain.status == "accepted"
    assert len(chain.events) == 3


def test_a_log_that_is_not_whole_makes_the_search_incomplete(told, export):
    export.flip(("bundle", CITY2, 0, 1), 40)
    chain = told.verify(export)
    assert (chain.status, chain.complete, chain.unsearched) == ("accepted", False, (CITY2,))
    for name in [each for each in export.bytes if each[1] == CITY2]:
        del export.bytes[name]
    assert told.verify(export).unsearched == (CITY2,)


def refused(told, source, hint=None):
    with pytest.raises(ProofError) as caught:
        told.verify(source, hint)
    return str(caught.value.where).split(":")[0]


def test_step_1_names_a_genesis_of_others(told, export):
    told.network.genesis_note = told.network.genesis_note.replace(b"threshold 2", b"threshold 1")
    assert refused(told, export) == "step 1 genesis"


@pytest.mark.parametrize("kind", ["bundle", "checkpoint"])
def test_step_2_names_a_damaged_provincial_log(told, export, kind):
    name = next(each for each in export.bytes if each[:2] == (kind, PROVINCE))
    export.flip(name, 30)
    assert refused(told, export) == "step 2 roster"


def test_step_3_names_a_manifest_that_is_not_the_blob(told, export):
    told.blobs[told.manifest] = manifest_of(told.item, salt="2" * 32)
    assert refused(told, export) == "step 3 manifest"


@pytest.mark.parametrize("changes", [{"office": CITY}, {"rights": "sealed"}])
def test_step_3_names_a_manifest_that_says_otherwise(told, export_of, changes):
    item = told.network.mint(COUNTY)
    told.blobs.clear()
    manifest = told.put(manifest_of(item, **changes))
    body = VersionUpload(item, manifest, "open", 1, len(CONTENT), None, None)
    told.network.append(COUNTY, body)
    assert refused(told, export_of(told.network)) == "step 3 manifest"


def test_step_5_names_an_upload_of_another_history(told, export):
    forked = copy.copy(told.network)
    forked.logs = {code: list(log) for code, log in told.network.logs.items()}
    forked.logs[COUNTY].pop()
    body = VersionUpload(told.item, told.manifest, "open", 1, len(CONTENT), None, None)
    forked.append(COUNTY, body)  # genuine, but not what the checkpoint covers
    export.bytes["bundle", COUNTY, 0, 4] = encode_bundle(forked.logs[COUNTY])
    assert refused(told, export) == "step 5 inclusion"


def test_step_4_names_a_signature_that_does_not_count(told, export_of):
    network = told.network
    item = network.mint(COUNTY)
    told.blobs.clear()
    manifest = told.put(manifest_of(item))
    body = VersionUpload(item, manifest, "open", 1, len(CONTENT), None, None)
    entry = network.sign(COUNTY, body).encoded()
    network.append_raw(COUNTY, entry[:-1] + bytes([entry[-1] ^ 1]))
    assert refused(told, export_of(network)) == "step 4 event"


def test_step_4_names_a_roster_that_never_was(told, export_of):
    network = told.network
    item = network.mint(COUNTY)
    told.blobs.clear()
    manifest = told.put(manifest_of(item))
    body = VersionUpload(item, manifest, "open", 1, len(CONTENT), None, None)
    zeros = RootHash(bytes(32))
    network.append_raw(COUNTY, network.sign(COUNTY, body, roster_root=zeros).encoded())
    assert refused(told, export_of(network)) == "step 4 event"


def test_step_4_names_an_upload_that_a_revocation_cut_off(told, export_of):
    root = RootHash(told.network.tree(COUNTY, 3).root())
    cut = told.network.with_roots(MemberRevoke(COUNTY, 3, root, 1, ()))
    told.network.append(PROVINCE, cut)
    with pytest.raises(Missing):  # its checkpoint is a lost tail
        told.verify(export_of(told.network))
    told.network.generation[COUNTY] = 1  # comes back, and goes on from the tail
    back = told.network.with_roots(told.network.admit_body(COUNTY, 2))
    told.network.append(PROVINCE, back)
    assert refused(told, export_of(told.network)) == "step 4 event"


def test_step_7_names_an_anchor_of_another_history(told, export_of):
    line = AnchorLine(COUNTY, 4, RootHash(bytes(32)))
    told.network.append(PROVINCE, Anchor((line,)))
    assert refused(told, export_of(told.network)) == "step 7 anchors"


def test_step_8_names_an_upload_against_the_rules(told, export_of):
    told.blobs.clear()
    manifest = told.put(manifest_of(told.item, salt="3" * 32))
    other = BlobId.of(b"never reported")
    body = VersionUpload(told.item, manifest, "open", 1, len(CONTENT), other, None)
    told.network.append(COUNTY, body)
    assert refused(told, export_of(told.network)) == "step 8 state"


def test_step_4_names_an_upload_by_another_office(told, export_of):
    item = told.network.mint(COUNTY2)
    told.blobs.clear()
    manifest = told.put(manifest_of(item))
    body = VersionUpload(item, manifest, "open", 1, len(CONTENT), None, None)
    told.network.append(COUNTY, body)
    assert refused(told, export_of(told.network)) == "step 4 event"


@pytest.mark.parametrize("hinted", [False, True])
def test_what_users_keys_said_counts(network, export_of, hinted):
    told = Told(network, CLERK)
    reviewer = SigningKey.from_seed(b"r" * 32)
    enrolled = network.append(CITY, KeyEnroll(reviewer.public, PERSON, ("reviewer",)))
    passed = network.said_by(reviewer, CITY, ReviewAccept(told.item, told.manifest, told.upload))
    network.said_by(CLERK, CITY, VersionWithdraw(told.item, told.upload, REASON))  # not its office
    clerk = network.ref(COUNTY, told.enrolment)
    hint = places(told.upload, told.anchor, passed, enrolled, clerk) if hinted else None
    chain = told.verify(export_of(network), hint)
    assert chain.proven.user.index == told.enrolment
    assert (chain.status, [step.kind for step in chain.events][-2:]) == (
        "accepted",
        ["review.accept", "version.upload"],
    )
    without = [place for place in hint or () if place != places(enrolled)[0]]
    if hinted:
        assert told.verify(export_of(network), without).status == "submitted"
