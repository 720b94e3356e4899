from __future__ import annotations

from dataclasses import replace

import pytest

from ledger.events import MemberRevoke
from ledger.merkle import EMPTY_ROOT
from ledger.roster import Roster, RosterHistory
from protocol.errors import DecodeError, ProofError
from protocol.ids import RootHash
from protocol.keys import key_id

PROVINCE, CITY, CITY2, COUNTY, COUNTY2 = "320000", "320500", "320600", "320581", "320681"
NOTHING = RootHash(EMPTY_ROOT)
ROOT = RootHash(bytes(32))


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
        {"code": COUNTY2, "parent": PROVINCE},  # a county that becomes a city
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
    body = network.with_roots(replace(network.admit_body(CITY), **changes))
    with pytest.raises((ProofError, DecodeError)):
        roster.apply(9, body)


def test_an_office_may_not_use_the_key_of_another(roster, network):
    stolen = replace(network.admit_body(CITY), event_key=network.key(CITY2, "witness").public)
    with pytest.raises(ProofError):
        roster.apply(9, network.with_roots(stolen))


def test_a_parent_must_be_active(roster, network):
    roster = roster.apply(9, network.with_roots(MemberRevoke(CITY, 0, NOTHING, 1, ())))
    with pytest.raises(ProofError):
        roster.apply(10, network.with_roots(network.admit_body(COUNTY)))


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
