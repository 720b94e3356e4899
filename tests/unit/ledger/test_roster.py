from __future__ import annotations

from dataclasses import replace

import pytest

from ledger.events import MemberAbolish, MemberMove, MemberRevoke
from ledger.roster import Roster, RosterHistory
from protocol.errors import DecodeError, ProofError
from protocol.ids import RootHash
from protocol.keys import key_id
from protocol.merkle import EMPTY_ROOT

PROVINCE, CITY, CITY2, COUNTY, COUNTY2 = "320000", "320500", "320600", "320581", "320681"
NOTHING = RootHash(EMPTY_ROOT)
ROOT = RootHash(bytes(32))
KEY_FIELDS = ("log_key", "witness_key", "mirror_key", "event_key")


@pytest.fixture
def roster(network):
    roster = Roster(network.genesis)
    for index, code in enumerate((PROVINCE, CITY, CITY2, COUNTY, COUNTY2)):
        roster = roster.apply(index, network.with_roots(network.admit_body(code)))
    return roster


def test_who_is_above_whom(roster):
    assert roster.is_above(CITY, COUNTY)
    assert roster.is_above(PROVINCE, COUNTY)
    assert not roster.is_above(CITY2, COUNTY)
    assert not roster.is_above(COUNTY, CITY)
    assert not roster.is_above(COUNTY, COUNTY)
    assert not roster.is_above(CITY, "999999")
    assert [roster.reviewer_of(code) for code in (COUNTY, CITY, PROVINCE)] == [
        CITY,
        PROVINCE,
        PROVINCE,
    ]


def test_whose_cosignatures_count(roster, network):
    needed, candidates = roster.witnesses(COUNTY)
    assert (needed, [member.code for member in candidates]) == (2, [PROVINCE, CITY, CITY2])
    needed, candidates = roster.witnesses(CITY)
    assert (needed, [member.code for member in candidates]) == (2, [PROVINCE, CITY2])
    assert roster.witnesses(PROVINCE)[0] == 2  # a majority of two cities
    lone = Roster(network.genesis).apply(0, network.with_roots(network.admit_body(PROVINCE)))
    assert lone.witnesses(PROVINCE) == (0, ())


def test_a_revoked_key_counts_no_more_and_its_tail_is_cut(roster, network):
    signer = key_id(network.key(COUNTY, "event").public)
    assert roster.event_key(COUNTY, signer) == network.key(COUNTY, "event").public
    later = roster.apply(9, network.with_roots(MemberRevoke(COUNTY, 4, ROOT, 1, ())))
    assert later.event_key(COUNTY, signer) is None
    assert COUNTY not in [member.code for member in later.active()]
    assert later.is_void(COUNTY, 4, 9)
    assert not later.is_void(COUNTY, 3, 9)  # before the cut
    assert not later.is_void(COUNTY, 4, 10)  # knows of the revocation
    assert not later.is_void(CITY, 4, 9)


def test_a_revoked_office_comes_back_with_new_keys_only(roster, network):
    roster = roster.apply(9, network.with_roots(MemberRevoke(COUNTY, 4, ROOT, 1, ())))
    with pytest.raises(ProofError):
        roster.apply(10, network.with_roots(network.admit_body(COUNTY, 2)))
    network.generation[COUNTY] = 1
    roster = roster.apply(10, network.with_roots(network.admit_body(COUNTY, 2)))
    assert not roster.member(COUNTY).revoked
    assert roster.is_void(COUNTY, 4, 9)


@pytest.mark.parametrize(
    "changes",
    [
        {"tier": "village"},
        {"tier": "province", "parent": ""},
        {"parent": ""},
        {"parent": COUNTY},
        {"parent": "999999"},
        {"code": PROVINCE},
        {"code": "32070"},
        {"code": CITY},  # an active office
        {"log_key": bytes(31)},
        {"tls_pin": b""},
        {"log_key": bytes([7] * 32), "event_key": bytes([7] * 32)},
        {"name": ""},
        {"name": "a\nb"},
        {"name": "字" * 101},
        {"peer_address": "a\nb"},
        {"peer_address": "x" * 256},
        {"web_url": "javascript:alert(1)"},
    ],
)
def test_an_admission_against_a_rule_is_refused_whoever_signed_it(roster, network, changes):
    fresh = {name: bytes([at]) * 32 for at, name in enumerate(KEY_FIELDS, 1)}
    sound = replace(network.admit_body(CITY), code="320700", **fresh)
    roster.apply(9, network.with_roots(sound))
    with pytest.raises((ProofError, DecodeError)):
        roster.apply(9, network.with_roots(replace(sound, **changes)))


def test_an_office_may_not_use_the_key_of_another(roster, network):
    network.generation[CITY] = 1
    own = network.rotate_body(CITY)
    roster.apply(9, network.with_roots(own))
    stolen = replace(own, event_key=network.key(CITY2, "witness").public)
    with pytest.raises(ProofError, match="nobody ever had"):
        roster.apply(9, network.with_roots(stolen))


def test_a_parent_must_be_active(roster, network):
    for code in (CITY, COUNTY):
        roster = roster.apply(9, network.with_roots(MemberRevoke(code, 0, NOTHING, 1, ())))
    network.generation[COUNTY] = 1
    back = network.admit_body(COUNTY, 2)
    with pytest.raises(ProofError, match="active city"):
        roster.apply(10, network.with_roots(back))
    city = network.with_roots(replace(back, tier="city", parent=PROVINCE))
    with pytest.raises(ProofError, match="its tier"):
        roster.apply(10, city)
    assert roster.apply(10, network.with_roots(replace(back, parent=CITY2))).is_active(COUNTY)


def test_an_office_that_came_back_twice_has_none_of_its_first_keys(roster, network):
    first = roster.member(COUNTY)
    for generation in (1, 2):
        roster = closed(roster, network, COUNTY, 3 + generation)
        network.generation[COUNTY] = generation
        back = network.admit_body(COUNTY, roster.turn(COUNTY))
        stale = replace(back, witness_key=first.witness_key)
        with pytest.raises(ProofError, match="nobody ever had"):
            roster.apply(roster.size, network.with_roots(stale))
        roster = roster.apply(roster.size, network.with_roots(back))
    assert len(roster.member(COUNTY).former) == 8


def test_history_finds_the_roster_of_a_size_and_forgets_what_was_undone(network):
    history = RosterHistory(network.genesis)
    history.apply(0, network.with_roots(network.admit_body(PROVINCE)))
    history.apply(4, network.with_roots(network.admit_body(CITY)))
    assert [len(history.at(size).members) for size in (0, 1, 4, 5, 99)] == [0, 1, 1, 2, 2]
    history.apply(4, network.with_roots(network.admit_body(CITY2)))  # the same index again
    assert set(history.newest.members) == {PROVINCE, CITY2}
    with pytest.raises(ProofError):
        history.apply(5, network.admit_body(CITY))
    assert set(history.newest.members) == {PROVINCE, CITY2}
    assert len(list(history)) == 3


def closed(roster, network, code, size):
    body = MemberRevoke(code, size, ROOT, roster.turn(code), ())
    return roster.apply(roster.size, network.with_roots(body))


def moved(roster, network, code, parent, name="name", **changes):
    body = replace(MemberMove(code, parent, name, roster.turn(code), ()), **changes)
    return roster.apply(roster.size, network.with_roots(body))


def abolished(roster, network, code, successor, size=4):
    body = MemberAbolish(code, successor, size, ROOT, roster.turn(code), ())
    return roster.apply(roster.size, network.with_roots(body))


def test_a_move_is_under_an_active_office_of_the_tier_above(roster, network):
    after = moved(roster, network, COUNTY, CITY2)
    assert (after.member(COUNTY).parent, after.member(COUNTY).name) == (CITY2, "name")
    assert [each.code for each in after.above(COUNTY)] == [CITY2, PROVINCE]
    assert moved(roster, network, PROVINCE, "", "new").member(PROVINCE).parent is None
    for code, parent in (
        (COUNTY, PROVINCE),
        (COUNTY, COUNTY2),
        (COUNTY, COUNTY),
        (COUNTY, ""),
        (COUNTY, "999999"),
        (CITY, CITY2),
        (CITY, ""),
        (PROVINCE, CITY),
        ("999999", CITY),
    ):
        with pytest.raises(ProofError):
            moved(roster, network, code, parent)
    for changes in ({"name": ""}, {"name": "a\nb"}, {"turn": 0}, {"turn": 2}):
        with pytest.raises(ProofError):
            moved(roster, network, COUNTY, CITY2, **changes)
    with pytest.raises(ProofError):
        moved(closed(roster, network, CITY2, 4), network, COUNTY, CITY2)


def test_a_revoked_office_moves_and_an_abolished_one_never(roster, network):
    revoked = closed(roster, network, COUNTY, 4)
    assert moved(revoked, network, COUNTY, CITY2).member(COUNTY).parent == CITY2
    gone = abolished(roster, network, COUNTY, COUNTY2)
    with pytest.raises(ProofError, match="not abolished"):
        moved(gone, network, COUNTY, CITY2)


def test_an_abolished_office_is_never_changed_again(roster, network):
    gone = abolished(roster, network, COUNTY, COUNTY2)
    network.generation[COUNTY] = 1
    turn = gone.turn(COUNTY)
    for body in (
        network.admit_body(COUNTY, turn),
        network.rotate_body(COUNTY, turn),
        MemberRevoke(COUNTY, 4, ROOT, turn, ()),
        MemberAbolish(COUNTY, CITY, 4, ROOT, turn, ()),
    ):
        with pytest.raises(ProofError):
            gone.apply(gone.size, network.with_roots(body))


def test_heirs_act_and_review_in_the_place_of_abolished_offices(roster, network):
    roster = moved(roster, network, COUNTY, CITY2)
    roster = abolished(roster, network, CITY, COUNTY2)
    assert roster.heir(CITY) == COUNTY2
    assert (roster.reviewer_of(CITY), roster.is_above(CITY2, CITY)) == (CITY2, True)
    roster = abolished(roster, network, COUNTY2, CITY2)
    assert [roster.heir(code) for code in (CITY, COUNTY2, CITY2)] == [CITY2] * 3
    assert [each.code for each in roster.above(CITY)] == [PROVINCE]
    assert roster.reviewer_of(CITY) == PROVINCE


def test_the_heir_of_a_city_is_above_a_county_that_was_closed_under_it(roster, network):
    roster = closed(roster, network, COUNTY, 4)
    roster = abolished(roster, network, CITY, CITY2)
    assert [each.code for each in roster.above(COUNTY)] == [CITY2, PROVINCE]
    assert roster.reviewer_of(COUNTY) == CITY2
    network.generation[COUNTY] = 1
    with pytest.raises(ProofError, match="active city"):
        roster.apply(roster.size, network.with_roots(network.admit_body(COUNTY, 2)))


def test_who_may_be_a_successor(roster, network):
    for code, successor in ((COUNTY, COUNTY), (COUNTY, "999999"), (CITY, CITY2), (PROVINCE, CITY)):
        with pytest.raises(ProofError):  # the city still has a county
            abolished(roster, network, code, successor)
    with pytest.raises(ProofError):
        abolished(closed(roster, network, COUNTY2, 4), network, COUNTY, COUNTY2)


def test_where_keys_are_closed(roster, network):
    once = closed(roster, network, COUNTY, 4)
    for size, holds in ((3, False), (4, True), (5, False)):  # the abolition of a revoked office
        if holds:
            assert abolished(once, network, COUNTY, COUNTY2, size).closure(COUNTY).log_size == size
        else:
            with pytest.raises(ProofError):
                abolished(once, network, COUNTY, COUNTY2, size)
    network.generation[COUNTY] = 1
    back = once.apply(once.size, network.with_roots(network.admit_body(COUNTY, 2)))
    for size in (4, 5):
        assert closed(back, network, COUNTY, size).closure(COUNTY).log_size == size
    other = MemberRevoke(COUNTY, 4, RootHash(b"x" * 32), 3, ())
    for body in (replace(other, log_size=3), other):
        with pytest.raises(ProofError):
            back.apply(back.size, network.with_roots(body))
    with pytest.raises(ProofError):  # nothing has one root only
        closed(roster, network, COUNTY2, 0)
    with pytest.raises(ProofError):
        closed(roster, network, PROVINCE, 4)


def test_a_rotation_keeps_a_key_for_its_purpose_only(roster, network):
    member = roster.member(COUNTY)
    network.generation[COUNTY] = 1
    new = network.rotate_body(COUNTY)
    kept = replace(new, log_key=member.log_key, event_key=member.event_key)
    roster = roster.apply(roster.size, network.with_roots(kept))
    assert len(roster.member(COUNTY).log_keys) == 1
    swapped = replace(kept, log_key=member.event_key, event_key=member.log_key, turn=2)
    back = replace(kept, mirror_key=member.mirror_key, turn=2)
    for body in (swapped, back):
        with pytest.raises(ProofError, match="nobody ever had"):
            roster.apply(roster.size, network.with_roots(body))


def test_no_office_has_a_root_key_and_the_network_has_a_bound(roster, network, monkeypatch):
    rooted = replace(network.rotate_body(COUNTY), mirror_key=network.roots[2].public)
    with pytest.raises(ProofError, match="nobody ever had"):
        roster.apply(roster.size, network.with_roots(rooted))
    monkeypatch.setattr("ledger.roster.NETWORK_OFFICES_MAX", len(roster.members))
    fresh = {name: bytes([at]) * 32 for at, name in enumerate(KEY_FIELDS, 1)}
    more = replace(network.admit_body(COUNTY), code="320583", **fresh)
    with pytest.raises(ProofError, match="at most 5 offices"):
        roster.apply(roster.size, network.with_roots(more))
    roster = closed(roster, network, COUNTY, 4)
    network.generation[COUNTY] = 1
    roster.apply(roster.size, network.with_roots(network.admit_body(COUNTY, 2)))
