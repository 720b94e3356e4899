from __future__ import annotations

import pytest

from ledger.authority import Broken, check_authority, item_named
from ledger.events import (
    HoldTake,
    ReviewAccept,
    ReviewReturn,
    TextDerive,
    VersionUpload,
    VersionWithdraw,
)
from ledger.roster import Roster
from protocol.ids import BlobId, RootHash

PROVINCE, CITY, CITY2, COUNTY, COUNTY2 = OFFICES = (
    "320000",
    "320500",
    "320600",
    "320581",
    "320681",
)
BLOB = BlobId(bytes(32))


@pytest.fixture
def scene(network):
    roster = Roster(network.genesis)
    for index, code in enumerate(OFFICES):
        roster = roster.apply(index, network.with_roots(network.admit_body(code)))
    return network, roster


def who_may(scene, body_about, owner=COUNTY):
    network, roster = scene
    item, upload = network.mint(owner), network.ref(PROVINCE, 0)
    allowed = set()
    for code in OFFICES:
        body = body_about(item, upload)
        try:
            check_authority(roster, item, network.sign(code, body), body)
        except Broken:
            continue
        allowed.add(code)
    return allowed


def test_who_may_say_what_of_an_item_of_a_county(scene):
    def upload(item, ref):
        return VersionUpload(item, BLOB, "open", 1, 1, None, None)

    def text(item, ref):
        return TextDerive(item, BLOB, 1, RootHash(bytes(32)), BLOB, 1)

    assert who_may(scene, upload) == {COUNTY}
    assert who_may(scene, text) == {COUNTY}
    assert who_may(scene, lambda item, ref: ReviewAccept(item, BLOB, ref)) == {CITY}
    assert who_may(scene, lambda item, ref: ReviewReturn(item, BLOB, ref, BLOB)) == {CITY}
    assert who_may(scene, lambda item, ref: VersionWithdraw(item, ref, BLOB)) == {
        COUNTY,
        CITY,
        PROVINCE,
    }
    assert who_may(scene, lambda item, ref: HoldTake(item, BLOB, 1, 1)) == set(OFFICES)


def test_the_province_reviews_itself_and_the_cities(scene):
    def accept(item, ref):
        return ReviewAccept(item, BLOB, ref)

    assert who_may(scene, accept, owner=PROVINCE) == {PROVINCE}
    assert who_may(scene, accept, owner=CITY) == {PROVINCE}
    assert who_may(scene, accept, owner="999999") == set()


@pytest.mark.parametrize("item", ["", "x", "320581-000000000000a", "320581-" + "0" * 600])
def test_an_item_id_is_checked(item):
    with pytest.raises(Broken, match=r"item\.id"):
        item_named(HoldTake(item, BLOB, 1, 1))


def test_an_item_id_has_one_spelling(network):
    item = network.mint(COUNTY)
    assert item_named(HoldTake(item, BLOB, 1, 1)) == item
    with pytest.raises(Broken, match=r"item\.id"):
        item_named(HoldTake(item.upper(), BLOB, 1, 1))
