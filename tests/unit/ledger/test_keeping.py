"""Who keeps what by the logs, what is short, and when a receipt is due."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ledger import views
from ledger.custody import HoldLose, HoldOffer, HoldTake, SealMake
from ledger.events import ImageDerive, MemberAbolish, MemberMove
from ledger.keeping import (
    AS_IT_IS,
    IMAGES,
    SEALED,
    Shortage,
    keepers,
    keeps,
    room,
    shortages,
    standing,
    stands,
)
from protocol.ids import BlobId, RootHash
from protocol.limits import CITY_OFFER_BYTES, GiB
from protocol.merkle import EMPTY_ROOT

PROVINCE, CITY, CITY2, COUNTY, COUNTY2 = "320000", "320500", "320600", "320581", "320681"
MANIFEST, SEAL = BlobId.of(b"manifest"), BlobId.of(b"seal")


class Story:
    """A network and what follows from its logs."""

    def __init__(self, founded, state_of):
        self.network = founded()
        self._state_of = state_of

    def upload(self, code, rights="open"):
        item = self.network.mint(code)
        self.network.append(code, self.network.upload(code, item, rights=rights))
        return item

    def take(self, item, *codes, seal=None):
        for code in codes:
            self.network.append(code, HoldTake(item, MANIFEST, 1, 10, seal))

    def seal(self, code, item):
        self.network.append(code, SealMake(item, MANIFEST, SEAL, BlobId.of(b"wraps"), 1, 26))

    def now(self, item):
        """(roster, room, view)"""
        state = self._state_of(self.network)
        assert not [change.finding for change in state.apply_all() if change.finding]
        roster = state.fold.roster
        return roster, state.read(room, roster), state.read(views.item, item)


@pytest.fixture
def story(founded, state_of):
    return Story(founded, state_of)


def drawn(now):
    return set(keepers(*now))


def kept(now):
    roster = now[0]
    return {code: set(keeps(*now, code)) for code in roster.members}


def test_owner_province_and_a_city(story):
    item = story.upload(COUNTY)
    now = story.now(item)
    assert len(keepers(*now)) == 3
    assert drawn(now) - {COUNTY, PROVINCE} <= {CITY, CITY2}


def test_class_open_is_kept_as_it_is_by_those_drawn(story):
    item = story.upload(COUNTY)
    now = story.now(item)
    for code, what in kept(now).items():
        if code in drawn(now):
            assert what >= AS_IT_IS
        elif code == CITY:  # above the owner, and answers for its shard
            assert what == {"manifest", "report", "pages"}
        else:
            assert what == set()
    public = replace(now[2], status="accepted", public=True)
    assert all(what >= {"manifest", "report"} for what in kept((*now[:2], public)).values())


@pytest.mark.parametrize("rights", ["open", "office", "sealed"])
def test_images_are_kept_by_the_owner_and_where_open_by_its_city(story, rights):
    item = story.upload(COUNTY, rights)
    body = ImageDerive(item, MANIFEST, 1, 3, RootHash(bytes(32)), SEAL, 30)
    story.network.append(COUNTY, body)
    now = story.now(item)
    assert {code for code, what in kept(now).items() if what & IMAGES} == (
        {COUNTY, CITY} if rights == "open" else {COUNTY}
    )
    assert all(what & IMAGES in (IMAGES, set()) for what in kept(now).values())
    withdrawn = replace(now[2], status="withdrawn", public=False)
    assert not any(what & IMAGES for what in kept((*now[:2], withdrawn)).values())


@pytest.mark.parametrize("rights", ["office", "sealed"])
def test_others_are_kept_only_sealed(story, rights):
    item = story.upload(COUNTY, rights)
    before = story.now(item)
    assert kept(before) == {
        COUNTY: AS_IT_IS,
        CITY: {"manifest", "report"},
        PROVINCE: {"manifest", "report"},
        CITY2: set(),
        COUNTY2: set(),
    }
    story.seal(COUNTY, item)
    after = story.now(item)
    third = drawn(after) - {COUNTY, PROVINCE}
    assert kept(after)[COUNTY] == AS_IT_IS | SEALED
    assert kept(after)[PROVINCE] == {"manifest", "report"} | SEALED
    for code in third:
        assert kept(after)[code] - {"manifest", "report"} == SEALED
    assert not kept(after)[COUNTY2]


def test_an_offer_is_what_is_left_of_it(story):
    item = story.upload(COUNTY)
    story.take(item, COUNTY, CITY, PROVINCE)
    story.network.append(CITY, HoldOffer(5 * GiB, "苏州机房", False))
    story.network.append(COUNTY2, HoldOffer(7 * GiB, "", True))
    _, place, _ = story.now(item)
    assert place.offices[CITY].free_bytes == 5 * GiB - 10
    assert place.offices[CITY].domain == "苏州机房"
    assert place.offices[CITY2].free_bytes == CITY_OFFER_BYTES
    assert {each.code for each in place.drawable} == {CITY, CITY2, COUNTY2}
    story.network.append(CITY, HoldLose(item, MANIFEST, 1, None))
    assert story.now(item)[1].offices[CITY].free_bytes == 5 * GiB


def test_what_is_sealed_counts_with_its_own_size(story):
    item = story.upload(COUNTY, "sealed")
    story.seal(COUNTY, item)
    story.take(item, COUNTY)
    story.take(item, CITY2, seal=SEAL)
    assert story.now(item)[1].offices[CITY2].free_bytes == CITY_OFFER_BYTES - 26


def test_a_room_shared_with_the_owner_is_not_drawn(story):
    for code in (CITY, COUNTY):
        story.network.append(code, HoldOffer(GiB, "one room", False))
    for _ in range(5):
        assert CITY2 in drawn(story.now(story.upload(COUNTY)))


def test_who_holds_it_keeps_it(story):
    item = story.upload(COUNTY)
    other = (drawn(story.now(item)) ^ {COUNTY, PROVINCE, CITY, CITY2}).pop()
    story.take(item, other)
    assert drawn(story.now(item)) == {COUNTY, PROVINCE, other}


def test_copies_stand_with_owner_province_and_a_third(story):
    item = story.upload(COUNTY)
    story.take(item, COUNTY, CITY, CITY2)
    roster, _, view = story.now(item)
    assert standing(roster, view) == (CITY, COUNTY, CITY2)
    assert not stands(roster, view)
    story.take(item, PROVINCE)
    assert stands(*story.now(item)[::2])
    story.network.append(COUNTY, HoldLose(item, MANIFEST, 1, None))
    assert not stands(*story.now(item)[::2])


def test_sealed_copies_stand_beside_the_owner_only_as_sealed(story):
    item = story.upload(COUNTY, "sealed")
    story.seal(COUNTY, item)
    story.take(item, COUNTY)
    story.take(item, PROVINCE, CITY, seal=BlobId.of(b"another seal"))
    assert not stands(*story.now(item)[::2])
    story.take(item, PROVINCE, CITY, seal=SEAL)
    assert stands(*story.now(item)[::2])


def test_shortages_say_why(story):
    item = story.upload(COUNTY)
    now = story.now(item)
    assert {one.office for one in shortages(*now)} == drawn(now)
    assert {one.reason for one in shortages(*now)} == {"waiting"}
    story.take(item, *drawn(now))
    assert shortages(*story.now(item)) == ()
    secret = story.upload(COUNTY, "sealed")
    story.take(secret, COUNTY)
    assert shortages(*story.now(secret)) == (Shortage("unsealed", COUNTY),)


def test_nobody_with_room_is_a_shortage(story):
    item = story.upload(COUNTY)
    for code in (CITY, CITY2):
        story.network.append(code, HoldOffer(9, "", False))
    found = shortages(*story.now(item))
    assert Shortage("room", "") in found
    assert {one.office for one in found} == {COUNTY, PROVINCE, ""}


def test_heirs_keep(story):
    item = story.upload(COUNTY)
    at = RootHash(story.network.tree(COUNTY).root())
    for body in (
        MemberMove(COUNTY2, CITY, "name", 1, ()),
        MemberAbolish(COUNTY, COUNTY2, 1, at, 1, ()),
        MemberMove(COUNTY2, CITY2, "name", 2, ()),
        MemberAbolish(CITY, CITY2, 0, RootHash(EMPTY_ROOT), 1, ()),
    ):
        story.network.append(PROVINCE, story.network.with_roots(body))
    now = story.now(item)
    assert drawn(now) == {COUNTY2, PROVINCE, CITY2}
    assert {code for code, what in kept(now).items() if what >= AS_IT_IS} == drawn(now)
