from __future__ import annotations

from dataclasses import replace

import pytest

from ledger.checkpoint import Cosigner, cosign
from ledger.events import OutsideWitness, PolicySet
from ledger.note import Note, parse_note
from ledger.policy import Policy
from ledger.roster import Roster
from ledger.witness_policy import witnessed
from protocol.errors import DecodeError, ProofError
from protocol.keys import SigningKey

PROVINCE, CITY, CITY2, COUNTY = "320000", "320500", "320600", "320581"
ARCHIVE = Cosigner("archive.example/w", SigningKey.from_seed(b"a" * 32))
AUDITOR = Cosigner("audit.example/w", SigningKey.from_seed(b"b" * 32))
OUTSIDE = (
    OutsideWitness("archive", ARCHIVE.key.vkey, "https://archive.example/witness"),
    OutsideWitness("审计", AUDITOR.key.vkey, "https://audit.example/witness"),
)
RULES = PolicySet(2, 1, 0, OUTSIDE, 1, ())


@pytest.fixture
def roster(network):
    roster = Roster(network.genesis)
    for index, code in enumerate((PROVINCE, CITY, CITY2, COUNTY)):
        roster = roster.apply(index, network.with_roots(network.admit_body(code)))
    return roster


def ruled(network, roster, rules=RULES):
    return roster.apply(9, network.with_roots(rules))


def note_of(network, code, members=(), outside=()):
    note = parse_note(network.checkpoint(code, members))
    lines = tuple(cosign(note.text, each, 1000) for each in outside)
    return Note(note.text, note.signatures + lines)


def test_version_1_is_two_members_and_a_majority_of_cities(network, roster):
    policy = roster.policy(COUNTY)
    assert policy.quorum == "members"
    assert [(group.threshold, group.members) for group in policy.groups] == [
        (2, (PROVINCE, CITY, CITY2))
    ]
    assert roster.policy(PROVINCE).groups[0].threshold == 2
    assert Policy.parse(policy.format()) == policy
    for members, holds in (((), False), ((CITY,), False), ((CITY, CITY2), True)):
        seen = witnessed(policy, note_of(network, COUNTY, members))
        assert (seen.holds, seen.needed, [name for name, _ in seen.by]) == (
            holds,
            2,
            list(members),
        )


def test_a_network_of_one_needs_nobody(network):
    lone = Roster(network.genesis).apply(0, network.with_roots(network.admit_body(PROVINCE)))
    assert lone.policy(PROVINCE).quorum == "none"
    assert witnessed(lone.policy(PROVINCE), note_of(network, PROVINCE)).holds


def test_members_and_outside_witnesses_are_needed_both(network, roster):
    policy = ruled(network, roster).policy(COUNTY)
    assert Policy.parse(policy.format()) == policy
    assert policy.quorum == "quorum"
    for members, outside, holds in (
        ((CITY,), (), False),
        ((CITY, CITY2, PROVINCE), (), False),
        ((), (ARCHIVE, AUDITOR), False),
        ((CITY,), (AUDITOR,), True),
    ):
        assert witnessed(policy, note_of(network, COUNTY, members, outside)).holds == holds
    seen = witnessed(policy, note_of(network, COUNTY, (CITY,), (AUDITOR,)))
    assert (seen.needed, seen.by[1]) == (2, ("审计", 1000))


def test_the_province_may_need_a_number(network, roster):
    one = ruled(network, roster, replace(RULES, province=1, outside=(), outside_needed=0))
    assert witnessed(one.policy(PROVINCE), note_of(network, PROVINCE, (CITY,))).holds
    assert not witnessed(roster.policy(PROVINCE), note_of(network, PROVINCE, (CITY,))).holds


def test_a_line_that_does_not_hold_counts_for_nothing(network, roster):
    note = note_of(network, COUNTY, (CITY, CITY2))
    own, first, second = note.signatures
    bad = replace(second, signature=first.signature)
    assert not witnessed(roster.policy(COUNTY), Note(note.text, (own, first, bad))).holds
    twice = Note(note.text, (own, first, first))
    assert not witnessed(roster.policy(COUNTY), twice).holds


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 1},
        {"version": 3},
        {"city_county": 0},
        {"outside_needed": 3},
        {"outside": (OUTSIDE[0],) * 2},
        {"outside": (OUTSIDE[0], replace(OUTSIDE[1], name="archive"))},
        {"outside": (OUTSIDE[0], replace(OUTSIDE[1], vkey=OUTSIDE[0].vkey))},
        {"outside": (replace(OUTSIDE[0], name="members"),)},
        {"outside": (replace(OUTSIDE[0], name="320500"),)},
        {"outside": (replace(OUTSIDE[0], name="two words"),)},
        {"outside": (replace(OUTSIDE[0], name=""),)},
        {"outside": (replace(OUTSIDE[0], url="ftp://x"),)},
        {"outside": (replace(OUTSIDE[0], url="https://a b"),)},
        {"outside": (replace(OUTSIDE[0], vkey=OUTSIDE[0].vkey[:-4]),)},
        {"outside": (OUTSIDE[0],) * 17},
    ],
)
def test_a_policy_against_a_rule_is_refused(network, roster, changes):
    with pytest.raises((ProofError, DecodeError)):
        ruled(network, roster, replace(RULES, **changes))


def test_an_outside_witness_has_the_key_of_no_member_and_no_log(network, roster):
    for key, kind in ((network.key(CITY, "witness"), 4), (SigningKey.from_seed(b"c" * 32), 1)):
        name = Cosigner("archive.example/w", key).key
        vkey = replace(name, type=kind).vkey
        with pytest.raises(ProofError):
            ruled(network, roster, replace(RULES, outside=(replace(OUTSIDE[0], vkey=vkey),)))
    later = ruled(network, roster)
    stolen = replace(network.rotate_body(CITY), witness_key=ARCHIVE.signer.public)
    with pytest.raises(ProofError, match="nobody ever had"):
        later.apply(10, network.with_roots(stolen))
