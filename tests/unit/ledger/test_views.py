from __future__ import annotations

import pytest

from ledger import views
from ledger.events import Anchor, AnchorLine, MemberRevoke, ReviewAccept
from protocol.errors import Missing
from protocol.ids import BlobId, RootHash
from protocol.merkle import EMPTY_ROOT

PROVINCE, CITY, COUNTY, COUNTY2 = "320000", "320500", "320581", "320681"
NOTHING = RootHash(EMPTY_ROOT)
ROOT = RootHash(bytes(32))


@pytest.fixture
def folded(network, state_of):
    def fold():
        state = state_of(network)
        state.apply_all()
        return state

    return fold


def test_items_come_in_pages(network, folded):
    mine = sorted(network.mint(COUNTY) for _ in range(5))
    for i, item in enumerate(mine):
        network.append(COUNTY, network.upload(COUNTY, item, f"m{i}"))
    other = network.mint(COUNTY2)
    upload = network.append(COUNTY2, network.upload(COUNTY2, other, "other"))
    network.append("320600", ReviewAccept(other, BlobId.of(b"other"), upload))
    state = folded()

    def ids(*arguments, **named):
        return [view.item for view in state.read(views.items, *arguments, **named)]

    assert ids(COUNTY) == mine
    assert ids() == [*mine, other]
    assert ids(public_only=True) == [other]
    assert ids(COUNTY, public_only=True) == []
    assert ids(COUNTY, limit=2) == mine[:2]
    assert ids(COUNTY, start_after=mine[1], limit=2) == mine[2:4]
    assert ids(COUNTY, start_after=mine[4]) == []


@pytest.mark.parametrize("name", ["", "x", "x" * 600, "320581-0000000000000", "卷" * 20])
def test_an_unknown_item_is_missing(folded, name):
    with pytest.raises(Missing):
        folded().read(views.item, name)


def test_a_manifest_leads_to_its_item(network, folded):
    item, forger = network.mint(COUNTY), network.mint(COUNTY2)
    network.append(COUNTY, network.upload(COUNTY, item, "one"))
    network.append(COUNTY, network.upload(COUNTY, item, "two", "one"))
    network.append(COUNTY2, network.upload(COUNTY2, forger, "two"))
    state = folded()
    assert state.read(views.item_of_manifest, BlobId.of(b"one")) == item
    for name in (b"two", b"never"):  # two items claim the first, none the second
        with pytest.raises(Missing):
            state.read(views.item_of_manifest, BlobId.of(name))


def test_facts_tell_who_said_what_when(network, folded):
    item = network.mint(COUNTY)
    upload = network.append(COUNTY, network.upload(COUNTY, item))
    said_at = network.now
    accepted = network.append(CITY, ReviewAccept(item, BlobId.of(b"manifest"), upload))
    first, second = folded().read(views.facts, item)
    assert [first.ref, second.ref] == [accepted, upload]
    assert (second.kind, second.time) == ("version.upload", said_at)
    assert second.read_body() == network.upload(COUNTY, item)


def test_counts_add_up(network, folded):
    for i in range(3):
        network.append(COUNTY, network.upload(COUNTY, network.mint(COUNTY), f"m{i}"))
    network.append(CITY, network.upload(CITY, network.mint(CITY), "city"))
    state = folded()
    assert state.read(views.counts, COUNTY)["submitted"] == 3
    assert state.read(views.counts)["submitted"] == 4
    assert state.read(views.counts, COUNTY2)["submitted"] == 0


def test_the_latest_anchor_of_each_office_above(network, folded):
    for size in (1, 2):
        network.append(CITY, Anchor((AnchorLine(COUNTY, size, ROOT),)))
    network.append(PROVINCE, Anchor((AnchorLine(COUNTY, 1, ROOT),)))
    state = folded()
    rows = state.read(views.anchors, state.fold.roster, COUNTY)
    assert [(row.by, row.size) for row in rows] == [(PROVINCE, 1), (CITY, 2)]
    network.append(PROVINCE, network.with_roots(MemberRevoke(CITY, 0, NOTHING, 1, ())))
    state = folded()
    rows = state.read(views.anchors, state.fold.roster, COUNTY)
    assert [row.by for row in rows] == [PROVINCE]


def test_how_far_a_log_is_folded(network, folded):
    state = folded()
    assert state.read(views.folded_size, PROVINCE) == 5
    assert state.read(views.folded_size, COUNTY) == 0
