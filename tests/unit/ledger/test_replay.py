from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger import views
from ledger.custody import HoldLose, HoldTake
from ledger.events import (
    Anchor,
    AnchorLine,
    ImageDerive,
    KeyEnroll,
    KeyRetire,
    MemberAbolish,
    MemberRevoke,
    ReviewAccept,
    ReviewReturn,
    SynonymsPut,
    TextDerive,
    VersionWithdraw,
)
from ledger.replay import Cursor, Fold, Run
from ledger.settlement import digest
from protocol.canonical import decode, encode
from protocol.errors import Missing, ProofError, Unavailable
from protocol.ids import BlobId, NetworkId, RootHash
from protocol.keys import SigningKey, key_id
from protocol.limits import SYNONYMS_BYTES_MAX

PROVINCE, CITY, CITY2, COUNTY, COUNTY2 = "320000", "320500", "320600", "320581", "320681"
REASON, PAGES = BlobId.of(b"reason"), BlobId.of(b"pages")
ROOT = RootHash(bytes(32))


def accept(item, upload, manifest="manifest"):
    return ReviewAccept(item, BlobId.of(manifest.encode()), upload)


def images(item, manifest="manifest"):
    return ImageDerive(item, BlobId.of(manifest.encode()), 1, 3, ROOT, PAGES, 30)


def text(item, manifest="manifest"):
    return TextDerive(item, BlobId.of(manifest.encode()), 3, ROOT, PAGES, 30)


@pytest.fixture(scope="session")
def busy(founded):
    """A network with something of every kind in its logs, good and bad."""
    network = founded()
    for code in (COUNTY, COUNTY2, CITY, PROVINCE):
        item = network.mint(code)
        upload = network.append(code, network.upload(code, item, f"{code} a"), text(item))
        upload = replace(
            upload, index=upload.index - 1, leaf=network.ref(code, upload.index - 1).leaf
        )
        above = network_parent(code)
        network.append(above, ReviewReturn(item, BlobId.of(f"{code} a".encode()), upload, REASON))
        newer = network.append(code, network.upload(code, item, f"{code} b", f"{code} a"))
        network.append(above, accept(item, newer, f"{code} b"))
        network.append(PROVINCE, HoldTake(item, BlobId.of(f"{code} b".encode()), 1, 10))
        network.append(COUNTY2, accept(item, newer, f"{code} b"))  # not its reviewer
        size = len(network.logs[code])
        if above != code:
            root = RootHash(network.tree(code).root())
            network.append(above, Anchor((AnchorLine(code, size, root),)))
    network.append(PROVINCE, SynonymsPut(1, REASON, 9), SynonymsPut(2, REASON, 9))
    gone = network.mint(COUNTY)
    upload = network.append(COUNTY, network.upload(COUNTY, gone, "gone"))
    network.append(CITY, VersionWithdraw(gone, upload, REASON))
    network.append_raw(COUNTY, b"\xc1 no event")
    cut = len(network.logs[COUNTY2])
    root = RootHash(network.tree(COUNTY2, cut - 1).root())
    network.append(PROVINCE, network.with_roots(MemberRevoke(COUNTY2, cut - 1, root, 1, ())))
    network.append(COUNTY2, network.upload(COUNTY2, network.mint(COUNTY2)))
    return network


def network_parent(code):
    return {COUNTY: CITY, COUNTY2: CITY2, CITY: PROVINCE, PROVINCE: PROVINCE}[code]


@pytest.fixture(scope="session")
def busy_digest(busy, state_of):
    state = state_of(busy)
    state.apply_all()
    return state.digest()


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_interleaving_of_logs_gives_the_same_digest(busy, busy_digest, state_of, data):
    state = state_of(busy)
    left = {code: len(log) for code, log in busy.logs.items()}
    order = data.draw(st.permutations([code for code, size in left.items() for _ in range(size)]))
    waiting = list(order)
    while waiting:
        later = []
        for code in waiting:
            try:
                state.apply(code, len(busy.logs[code]) - left[code])
                left[code] -= 1
            except Unavailable:
                later.append(code)
        assert len(later) < len(waiting), "the fold must always go on"
        waiting = later
    assert state.digest() == busy_digest


def test_a_fold_that_is_loaded_again_goes_on_alike(busy, busy_digest, state_of):
    state = state_of(busy)
    for code in sorted(busy.logs):
        for index in range(len(busy.logs[code])):
            with state.store.read() as reader:
                state.fold = Fold.load(busy.genesis, reader)
            state.apply(code, index)
    assert state.digest() == busy_digest


def test_an_aborted_transaction_leaves_no_trace_in_the_fold(busy, busy_digest, state_of):
    state = state_of(busy)
    log = busy.logs[PROVINCE]

    def aborted(writer):
        for index, entry in enumerate(log):
            state.fold.apply(writer, PROVINCE, index, entry)
        raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError):
        state.store.run(aborted)
    state.apply_all()
    assert state.digest() == busy_digest


def test_the_life_of_an_item(network, state_of):
    state = state_of(network)
    item = network.mint(COUNTY)

    def view_after(code, body):
        ref = network.append(code, body)
        for each, log in network.logs.items():
            for index in range(state.read(views.folded_size, each), len(log)):
                assert state.apply(each, index).finding == ""
        return ref, state.read(views.item, item)

    upload, view = view_after(COUNTY, network.upload(COUNTY, item))
    assert (view.status, view.public, view.owner, view.upload) == (
        "submitted",
        False,
        COUNTY,
        upload,
    )
    text_ref, view = view_after(COUNTY, text(item))
    assert (view.pages, view.pages_blob, view.text_ref) == (3, PAGES, text_ref)
    returned, view = view_after(CITY, ReviewReturn(item, view.manifest, upload, REASON))
    assert (view.status, view.reason, view.review) == ("returned", REASON, returned)
    accepted, view = view_after(CITY, accept(item, upload))
    assert (view.status, view.public, view.reason, view.review) == (
        "accepted",
        True,
        None,
        accepted,
    )
    assert state.read(views.counts, COUNTY)["public"] == 1
    _, view = view_after(PROVINCE, HoldTake(item, view.manifest, 1, 10))
    _, view = view_after(CITY, HoldTake(item, view.manifest, 1, 10))
    assert view.holders == (PROVINCE, CITY)
    _, view = view_after(CITY, HoldLose(item, view.manifest, 1))
    assert view.holders == (PROVINCE,)
    newer, view = view_after(COUNTY, network.upload(COUNTY, item, "second", "manifest"))
    assert (view.status, view.public, view.pages, view.holders, view.revisions) == (
        "submitted",
        False,
        0,
        (),
        2,
    )
    _, view = view_after(CITY, accept(item, upload))  # the old revision: too late
    assert view.status == "submitted"
    _, view = view_after(CITY, accept(item, newer, "second"))
    assert view.public
    gone, view = view_after(PROVINCE, VersionWithdraw(item, newer, REASON))
    assert (view.status, view.public, view.withdrawn) == ("withdrawn", False, gone)
    _, view = view_after(CITY, accept(item, newer, "second"))
    assert (view.status, view.reason) == ("withdrawn", REASON)
    assert state.read(views.counts, COUNTY) == {
        "submitted": 0,
        "accepted": 0,
        "returned": 0,
        "withdrawn": 1,
        "public": 0,
    }


def test_only_open_items_become_public(network, state_of):
    items = [network.mint(COUNTY) for _ in range(2)]
    for item, rights in zip(items, ("office", "sealed"), strict=True):
        upload = network.append(COUNTY, network.upload(COUNTY, item, rights=rights))
        network.append(CITY, accept(item, upload))
    state = state_of(network)
    state.apply_all()
    for item in items:
        view = state.read(views.item, item)
        assert (view.status, view.public) == ("accepted", False)


def test_an_event_waits_for_its_roster(network, state_of):
    network.append(COUNTY, network.upload(COUNTY, network.mint(COUNTY)))
    state = state_of(network)
    before = state.digest()
    with pytest.raises(Unavailable):
        state.apply(COUNTY, 0)
    assert state.digest() == before
    for index in range(len(network.logs[PROVINCE])):
        assert state.apply(PROVINCE, index).roster_changed
    assert state.apply(COUNTY, 0).finding == ""


def test_entries_come_in_order(network, state_of):
    state = state_of(network)
    with pytest.raises(ProofError):
        state.apply(PROVINCE, 1)


def resigned(net, code, body, /, **changes):
    return net.sign(code, body, **changes).encoded()


def tampered(entry, position, value):
    members = list(decode(entry, bytes_max=5000, where="test"))
    members[position] = value
    return encode(tuple(members))


def broken_entries(network):
    """Finding code -> an entry of the county that must be refused for it."""
    item, foreign = network.mint(COUNTY), network.mint(COUNTY2)
    good = network.upload(COUNTY, item)
    entry = resigned(network, COUNTY, good)
    ref = network.ref(PROVINCE, 0)
    zeros = RootHash(bytes(32))
    admit = network.admit_body(COUNTY)
    return {
        "event.decode": entry[:-1],
        "event.network": resigned(network, COUNTY, good, network=NetworkId(bytes(32))),
        "event.origin": resigned(network, COUNTY, good, origin=CITY),
        "event.chain": resigned(network, COUNTY, good, last_root=zeros),
        "event.roster": resigned(network, COUNTY, good, roster_root=zeros),
        "event.signer": tampered(entry, 3, bytes(16)),
        "event.signature": tampered(entry, 4, 7),
        "item.id": resigned(network, COUNTY, replace(good, item=item.upper())),
        "upload.office": resigned(network, COUNTY, replace(good, item=foreign)),
        "upload.rights": resigned(network, COUNTY, replace(good, rights="public")),
        "upload.supersedes": resigned(network, COUNTY, replace(good, supersedes=REASON)),
        "text.office": resigned(network, COUNTY, text(foreign)),
        "image.office": resigned(network, COUNTY, images(foreign)),
        "withdraw.office": resigned(network, COUNTY, VersionWithdraw(foreign, ref, REASON)),
        "review.office": resigned(network, COUNTY, accept(item, ref)),
        "anchor.office": resigned(network, COUNTY, Anchor((AnchorLine(CITY, 0, zeros),))),
        "synonyms.office": resigned(network, COUNTY, SynonymsPut(1, REASON, 9)),
        "member.place": resigned(network, COUNTY, network.with_roots(admit)),
    }


CODES = [
    "event.decode",
    "event.network",
    "event.origin",
    "event.chain",
    "event.roster",
    "event.signer",
    "event.signature",
    "item.id",
    "upload.office",
    "upload.rights",
    "upload.supersedes",
    "text.office",
    "image.office",
    "withdraw.office",
    "review.office",
    "anchor.office",
    "synonyms.office",
    "member.place",
]


@pytest.mark.parametrize("code", CODES)
def test_a_broken_rule_is_a_finding_and_the_fold_goes_on(founded, state_of, code):
    network = founded()
    entries = broken_entries(network)
    assert sorted(entries) == sorted(CODES)
    network.append_raw(COUNTY, entries[code])
    network.append(COUNTY, network.upload(COUNTY, network.mint(COUNTY)))
    state = state_of(network)
    changes = state.apply_all()
    assert [change.finding for change in changes] == [""] * 5 + [code, ""]
    assert not changes[5].items
    with state.store.read() as reader:
        assert list(views.findings(reader)) == [(COUNTY, 0, code)]
        assert len(views.items(reader)) == 1
        assert list(reader.scan("anchor")) == []


def test_a_member_change_needs_enough_root_signatures(network, state_of):
    body = replace(network.admit_body(COUNTY), name="another")
    network.append(PROVINCE, network.with_roots(body, 1))
    state = state_of(network)
    assert state.apply_all()[-1].finding == "member.refused"
    assert state.fold.roster.members[COUNTY].name == "office 320581"


def test_a_log_does_not_go_back_to_an_older_roster(network, state_of):
    before = network.context(COUNTY)
    network.generation[COUNTY] = 1
    network.append(PROVINCE, network.with_roots(network.rotate_body(COUNTY)))
    network.append(COUNTY, network.upload(COUNTY, network.mint(COUNTY)))
    network.generation[COUNTY] = 0  # whoever stole the old key
    entry = resigned(
        network,
        COUNTY,
        network.upload(COUNTY, network.mint(COUNTY)),
        roster_size=before.roster_size,
        roster_root=before.roster_root,
    )
    network.append_raw(COUNTY, entry)
    state = state_of(network)
    assert [change.finding for change in state.apply_all()][-2:] == ["", "event.roster"]


def test_a_revocation_voids_what_stands_beyond_it_even_if_folded_before(network, state_of):
    kept, lost = network.mint(COUNTY), network.mint(COUNTY)
    network.append(COUNTY, network.upload(COUNTY, kept))
    network.append(COUNTY, network.upload(COUNTY, lost))
    root = RootHash(network.tree(COUNTY, 1).root())
    early = state_of(network)
    early.apply_all()
    assert early.read(views.item, lost).status == "submitted"
    network.append(PROVINCE, network.with_roots(MemberRevoke(COUNTY, 1, root, 1, ())))
    change = early.apply(PROVINCE, len(network.logs[PROVINCE]) - 1)
    assert change.items == {lost}
    late = state_of(network)
    late.apply_all()
    for state in (early, late):
        assert state.read(views.item, kept).status == "submitted"
        with pytest.raises(Missing):
            state.read(views.item, lost)
    assert early.digest() == late.digest()


def test_an_unknown_kind_is_skipped_without_a_finding(network, state_of):
    from ledger import events

    event = network.sign(COUNTY, network.upload(COUNTY, network.mint(COUNTY)))
    unsigned = replace(event, kind="future.kind", body=(1, "x"))
    signed = replace(unsigned, signature=network.key(COUNTY, "event").sign(unsigned.signed_bytes()))
    network.append_raw(COUNTY, signed.encoded())
    state = state_of(network)
    change = state.apply_all()[-1]
    assert (change.finding, change.body, change.items) == ("", None, frozenset())
    assert change.kind not in events.KINDS


@settings(max_examples=60, deadline=None)
@given(junk=st.binary(max_size=300), cut=st.integers(0, 400), bit=st.integers(0, 7))
def test_no_entry_raises(founded, state_of, junk, cut, bit):
    network = founded()
    entry = bytearray(resigned(network, COUNTY, network.upload(COUNTY, network.mint(COUNTY))))
    entry[cut % len(entry)] ^= 1 << bit
    network.append_raw(COUNTY, bytes(entry))
    network.append_raw(COUNTY, junk)
    state = state_of(network)
    try:
        changes = state.apply_all()
    except Unavailable:
        return  # the flipped bit made it name a roster to come
    assert all(change.finding for change in changes[5:])


def test_a_lost_entry_keeps_the_chain(network, state_of):
    first, second = network.mint(COUNTY), network.mint(COUNTY)
    network.append(COUNTY, network.upload(COUNTY, first))
    network.append(COUNTY, network.upload(COUNTY, second))
    state = state_of(network)
    for index in range(5):
        state.apply(PROVINCE, index)
    leaf = network.ref(COUNTY, 0).leaf

    def skip(writer):
        run = Run(state.fold, writer, COUNTY, 0)
        run.skip(leaf)
        run.close()

    state.store.run(skip)
    assert state.apply(COUNTY, 1).finding == ""
    with state.store.read() as reader:
        assert list(views.findings(reader)) == [(COUNTY, 0, "entry.lost")]


def test_new_events_name_the_folded_roster(network, state_of):
    state = state_of(network)
    assert state.read(state.fold.roster_ref).size == 0
    state.apply_all()
    ref = state.read(state.fold.roster_ref)
    assert (ref.size, ref.root.raw) == (5, network.tree(PROVINCE).root())
    assert len(state.fold.roster_at(3).members) == 3


@given(size=st.integers(0, 300), roster=st.integers(0, 2**63 - 1))
@settings(max_examples=30, deadline=None)
def test_a_cursor_survives_its_row(size, roster):
    from protocol.merkle import CompactRange, leaf_hash

    tree = CompactRange().extend(leaf_hash(bytes([i % 256])) for i in range(size))
    cursor = Cursor(tree, roster, size // 2, bytes(range(32)))
    assert Cursor.decode(cursor.encoded()) == cursor


def test_the_busy_network_is_busy(busy, state_of):
    state = state_of(busy)
    state.apply_all()
    counts = state.read(views.counts)
    assert counts == {"submitted": 0, "accepted": 4, "returned": 0, "withdrawn": 1, "public": 4}
    with state.store.read() as reader:
        codes = {code for _, _, code in views.findings(reader)}
    assert codes == {"review.office", "event.decode", "event.signer"}


def test_the_digest_sees_every_table(busy, state_of, busy_digest):
    state = state_of(busy)
    state.apply_all()
    seen = {busy_digest}
    for table in views.TABLES:
        state.store.run(lambda writer, table=table: writer.put(table, b"zz", b"z"))
        with state.store.read() as reader:
            seen.add(digest(reader))
    assert len(seen) == len(views.TABLES) + 1


def test_versions_of_the_synonyms_follow_one_another(network, state_of):
    one, two = BlobId.of(b"one"), BlobId.of(b"two")
    sizes = (0, SYNONYMS_BYTES_MAX + 1)
    bad = [SynonymsPut(2, one, 9), *(SynonymsPut(1, one, size) for size in sizes)]
    network.append(PROVINCE, *bad, SynonymsPut(1, one, 9))
    network.append(PROVINCE, SynonymsPut(1, two, 9), SynonymsPut(2, two, SYNONYMS_BYTES_MAX))
    state = state_of(network)
    refused = "synonyms.refused"
    found = [change.finding for change in state.apply_all()]
    assert found[-6:] == [refused, refused, refused, "", refused, ""]
    with state.store.read() as reader:
        table = views.synonym_table(reader, PROVINCE)
        assert (table.version, table.table, table.index) == (2, two, len(found) - 1)
        assert views.synonym_table(reader, CITY) is None


PERSON = BlobId.of(b"person")


def last_findings(state, count):
    return [change.finding for change in state.apply_all()][-count:]


def test_a_users_key_signs_what_its_roles_allow_while_it_is_enrolled(network, state_of):
    clerk = SigningKey.from_seed(b"c" * 32)
    upload = network.upload(COUNTY, network.mint(COUNTY))
    network.said_by(clerk, COUNTY, upload)
    network.append(COUNTY, KeyEnroll(clerk.public, PERSON, ("clerk",)))
    network.said_by(clerk, COUNTY, upload)
    network.said_by(clerk, COUNTY, HoldTake(upload.item, upload.manifest, 1, 10))
    network.said_by(clerk, COUNTY, KeyRetire(key_id(clerk.public)))
    network.append(COUNTY, KeyRetire(key_id(clerk.public)))
    network.said_by(clerk, COUNTY, text(upload.item))
    network.append(COUNTY, KeyRetire(key_id(clerk.public)))
    network.append(COUNTY, KeyEnroll(clerk.public, PERSON, ("clerk",)))
    assert last_findings(state_of(network), 9) == [
        "event.signer",
        "",
        "",
        "event.role",
        "event.role",
        "",
        "event.signer",
        "key.refused",
        "key.refused",
    ]


@pytest.mark.parametrize("roles", [(), ("king",), ("clerk", "clerk"), ("reviewer", "clerk")])
def test_roles_are_some_of_those_there_are_sorted(network, state_of, roles):
    network.append(COUNTY, KeyEnroll(SigningKey.from_seed(b"c" * 32).public, PERSON, roles))
    assert last_findings(state_of(network), 1) == ["key.refused"]


def test_a_users_key_is_nobodys_in_the_roster(network, state_of):
    network.append(COUNTY, KeyEnroll(network.key(CITY, "log").public, PERSON, ("clerk",)))
    network.append(COUNTY, KeyEnroll(b"short", PERSON, ("clerk",)))
    network.append(COUNTY, KeyRetire(b"short"))
    assert last_findings(state_of(network), 3) == ["key.refused"] * 3


def returned(network, clerk):
    """A county whose keys were closed after it enrolled a clerk, and that came back."""
    network.append(COUNTY, KeyEnroll(clerk.public, PERSON, ("clerk",)))
    root = RootHash(network.tree(COUNTY).root())
    size = len(network.logs[COUNTY])
    network.append(PROVINCE, network.with_roots(MemberRevoke(COUNTY, size, root, 1, ())))
    network.generation[COUNTY] = 1
    network.append(PROVINCE, network.with_roots(network.admit_body(COUNTY, 2)))


def test_a_closure_lapses_users_keys_and_they_may_be_enrolled_again(network, state_of):
    clerk = SigningKey.from_seed(b"c" * 32)
    returned(network, clerk)
    upload = network.upload(COUNTY, network.mint(COUNTY))
    network.said_by(clerk, COUNTY, upload)
    network.append(COUNTY, KeyEnroll(clerk.public, PERSON, ("clerk",)))
    network.said_by(clerk, COUNTY, upload)
    state = state_of(network)
    for index in range(len(network.logs[PROVINCE])):
        state.apply(PROVINCE, index)
    found = [state.apply(COUNTY, index).finding for index in range(4)]
    assert found == ["", "event.signer", "", ""]
    signer = key_id(clerk.public)
    known = [state.read(views.enrolment, COUNTY, signer, index) for index in range(4)]
    assert known == [None, 0, 0, 2]


def test_users_closures_and_a_return_come_out_the_same_in_any_order(network, state_of):
    returned(network, SigningKey.from_seed(b"c" * 32))
    network.append(COUNTY, network.upload(COUNTY, network.mint(COUNTY)))
    first, last = state_of(network), state_of(network)
    first.apply_all()
    waiting = []
    for index in range(len(network.logs[PROVINCE])):  # the county as soon as it can
        last.apply(PROVINCE, index)
        while len(waiting) < len(network.logs[COUNTY]):
            try:
                waiting.append(last.apply(COUNTY, len(waiting)))
            except Unavailable:
                break
    assert [change.finding for change in waiting] == ["", ""]
    assert first.digest() == last.digest()


def test_a_successor_goes_on_with_the_items_of_an_abolished_office(network, state_of):
    item = network.mint(COUNTY)
    first = network.append(COUNTY, network.upload(COUNTY, item, "first"))
    root = RootHash(network.tree(COUNTY).root())
    early = network.upload(COUNTY, item, "early", "first")
    network.append(COUNTY2, early)
    abolish = MemberAbolish(COUNTY, COUNTY2, 1, root, 1, ())
    network.append(PROVINCE, network.with_roots(abolish))
    later = network.append(COUNTY2, network.upload(COUNTY, item, "later", "first"), text(item))
    later = replace(later, index=later.index - 1, leaf=network.ref(COUNTY2, later.index - 1).leaf)
    network.append(CITY, accept(item, first, "first"))
    network.append(CITY2, accept(item, later, "later"))
    state = state_of(network)
    for code in (PROVINCE, COUNTY2, CITY2, COUNTY, CITY):
        for index in range(len(network.logs[code])):
            state.apply(code, index)
    assert dict(list_findings(state)) == {COUNTY2: "upload.office", CITY: "review.office"}
    view = state.read(views.item, item)
    assert (view.manifest, view.status, view.owner) == (BlobId.of(b"later"), "accepted", COUNTY)
    again = state_of(network)
    again.apply_all()
    assert again.digest() == state.digest()


def list_findings(state):
    return state.read(lambda reader: [(code, what) for code, _, what in views.findings(reader)])
