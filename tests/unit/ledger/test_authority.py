from __future__ import annotations

from dataclasses import replace

import pytest

from ledger.authority import (
    ROLE_KINDS,
    Broken,
    check_authority,
    check_role,
    item_named,
    service_key,
    user_key,
)
from ledger.custody import (
    HoldTake,
    ReceiptIssue,
    RightsGrant,
    RightsRevoke,
    SealMake,
    SealRewrap,
)
from ledger.events import (
    MemberAbolish,
    MemberMove,
    MemberRevoke,
    ReviewAccept,
    ReviewReturn,
    TextDerive,
    VersionUpload,
    VersionWithdraw,
    sign_event,
)
from ledger.roster import Roster
from ledger.views import UserKey
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


def test_who_may_seal_grant_and_receipt(scene):
    def grant(to, what="file"):
        return lambda item, ref: RightsGrant(item, to, what, BLOB, 1, None)

    def receipt(count):
        return lambda item, ref: ReceiptIssue(item, BLOB, ref, (ref,) * count)

    assert who_may(scene, lambda item, ref: SealMake(item, BLOB, BLOB, BLOB, 1, 1)) == {COUNTY}
    assert who_may(scene, lambda item, ref: SealRewrap(item, BLOB, BLOB)) == {COUNTY}
    assert who_may(scene, grant(CITY2)) == who_may(scene, grant(CITY2, "service")) == {COUNTY}
    assert who_may(scene, RightsRevoke) == {COUNTY}
    for nothing in (grant(COUNTY), grant("999999"), grant(CITY2, "record"), receipt(0)):
        assert who_may(scene, nothing) == set()
    assert who_may(scene, receipt(3)) == {PROVINCE}
    assert who_may(scene, receipt(17)) == set()


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


def test_heirs_say_what_abolished_offices_might(scene):
    """The other county acts for the county, and the province for the county's city."""
    network, roster = scene
    for body in (
        MemberAbolish(COUNTY, COUNTY2, 4, RootHash(bytes(32)), 1, ()),
        MemberMove(COUNTY2, CITY2, "name", 1, ()),
        MemberAbolish(CITY, PROVINCE, 4, RootHash(bytes(32)), 1, ()),
    ):
        roster = roster.apply(roster.size, network.with_roots(body))
    heirs = (network, roster)

    def upload(item, ref):
        return VersionUpload(item, BLOB, "open", 1, 1, None, None)

    def text(item, ref):
        return TextDerive(item, BLOB, 1, RootHash(bytes(32)), BLOB, 1)

    def accept(item, ref):
        return ReviewAccept(item, BLOB, ref)

    def withdraw(item, ref):
        return VersionWithdraw(item, ref, BLOB)

    for owner, acting, reviewer in ((COUNTY, COUNTY2, CITY2), (CITY, PROVINCE, PROVINCE)):
        assert who_may(heirs, upload, owner) == {acting}
        assert who_may(heirs, text, owner) == {acting}
        assert who_may(heirs, accept, owner) == {reviewer}
        assert who_may(heirs, withdraw, owner) == {acting, reviewer, PROVINCE}


def test_the_province_may_bring_its_own_key(scene):
    network, roster = scene
    old = network.key(PROVINCE, "event")
    network.generation[PROVINCE] = 1
    rotation = network.rotate_body(PROVINCE)
    event = network.sign(PROVINCE, rotation)
    assert service_key(roster, event, rotation) == rotation.event_key
    assert service_key(roster, event, network.admit_body(PROVINCE)) == rotation.event_key
    assert service_key(Roster(network.genesis), event, rotation) == rotation.event_key
    for body in (network.rotate_body(CITY), replace(rotation, event_key=bytes(32)), None):
        assert service_key(roster, event, body) is None
    own = sign_event(network.context(PROVINCE), rotation, network.now, old)
    assert service_key(roster, own, rotation) == old.public
    network.generation[CITY] = 1
    other = network.rotate_body(CITY)
    assert service_key(roster, network.sign(CITY, other), other) is None  # only the province


CLERK = UserKey(bytes([9]) * 32, BLOB, ("clerk",), 0, 3)


def test_a_users_key_lapses_with_its_office(scene):
    network, roster = scene
    assert user_key(roster, COUNTY, CLERK) == CLERK
    assert user_key(roster, COUNTY, None) is None
    assert user_key(roster, COUNTY, replace(CLERK, retired=True)) is None
    closed = roster.apply(
        9, network.with_roots(MemberRevoke(COUNTY, 4, RootHash(bytes(32)), 1, ()))
    )
    late = replace(CLERK, roster_size=10)
    assert user_key(closed, COUNTY, late) is None
    network.generation[COUNTY] = 1
    back = closed.apply(10, network.with_roots(network.admit_body(COUNTY, 2)))
    assert user_key(back, COUNTY, CLERK) is None
    assert user_key(back, COUNTY, replace(CLERK, roster_size=9)) is None  # knew nothing of it
    assert user_key(back, COUNTY, late) == late


def test_a_role_allows_its_kinds_only():
    for role, kinds in ROLE_KINDS.items():
        user = replace(CLERK, roles=(role,))
        for kind in set().union(*ROLE_KINDS.values()) | {"key.enroll", "anchor"}:
            if kind in kinds:
                check_role(user, kind)
            else:
                with pytest.raises(Broken, match=r"event\.role"):
                    check_role(user, kind)
