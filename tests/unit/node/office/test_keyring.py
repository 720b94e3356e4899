"""Which generation of keys counts: whichever the roster names."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ledger.members import Member
from node.hands.keys import OfficeKeys, make_office_keys
from node.office.keyring import Keyring
from protocol.ids import OfficeCode
from simulations.clock import SimRng
from simulations.cluster import SimKeys

CITY, COUNTY, HEIR = map(OfficeCode, ("320500", "320581", "320583"))


def made(code: OfficeCode, number: int) -> OfficeKeys:
    return make_office_keys(code, SimRng(number, code).random_bytes)


def named(keys: OfficeKeys) -> Member:
    return Member(
        code=keys.code,
        name="x",
        tier="county",
        parent=None,
        log_key=keys.log.public,
        witness_key=keys.witness.public,
        mirror_key=keys.mirror.public,
        event_key=keys.event.public,
        tls_pin=bytes(32),
        peer_address="",
        web_url="",
        turn=1,
    )


FIRST, SECOND, THIRD = (made(COUNTY, number) for number in range(3))


def test_the_roster_decides_which_generation_signs() -> None:
    members: dict[OfficeCode, Member] = {}
    ring = Keyring(SimKeys({COUNTY: (FIRST, SECOND)}), members.get)
    assert ring[COUNTY] is SECOND, "before any roster: the newest"
    for keys in (FIRST, SECOND):
        members[COUNTY] = named(keys)
        assert ring[COUNTY] is keys
        assert ring.why_barred(COUNTY) == ""
    with pytest.raises(KeyError):
        ring[CITY]
    assert CITY not in ring


def test_keys_made_while_the_node_runs_are_found_when_the_roster_names_them() -> None:
    folder, members = SimKeys({COUNTY: (FIRST,)}), {COUNTY: named(FIRST)}
    ring = Keyring(folder, members.get)
    folder.generations[COUNTY] = (FIRST, SECOND)
    ring.refresh()
    assert ring[COUNTY] is FIRST
    members[COUNTY] = named(SECOND)
    assert "not in this home" in ring.why_barred(COUNTY)
    ring.refresh()
    assert (ring[COUNTY], ring.why_barred(COUNTY)) == (SECOND, "")


def test_a_generation_counts_as_a_whole() -> None:
    members = {COUNTY: replace(named(FIRST), witness_key=SECOND.witness.public)}
    ring = Keyring(SimKeys({COUNTY: (FIRST, SECOND)}), members.get)
    assert "not in this home" in ring.why_barred(COUNTY)


def test_who_may_not_sign() -> None:
    members = {COUNTY: replace(named(FIRST), revoked=True)}
    ring = Keyring(SimKeys({COUNTY: (FIRST,)}), members.get)
    assert "revoked" in ring.why_barred(COUNTY)
    assert COUNTY in ring
    members[COUNTY] = replace(named(FIRST), revoked=True, successor=HEIR)
    assert HEIR in ring.why_barred(COUNTY)
    assert list(ring) == [], "an abolished office is none of ours any more"
    assert (len(ring), ring.hosted) == (0, {COUNTY})
    assert ring.greeting() == {}


def test_after_a_refusal_the_next_generations_greet_in_turns() -> None:
    members = {COUNTY: named(FIRST), CITY: named(made(CITY, 1))}
    city = (made(CITY, 1), made(CITY, 2))
    ring = Keyring(SimKeys({COUNTY: (FIRST, SECOND, THIRD), CITY: city}), members.get)
    seen = []
    for _ in range(6):
        greeting = ring.greeting()
        seen.append((greeting[CITY], greeting[COUNTY]))
        ring.refused()
    assert seen[0] == (city[0].event, FIRST.event)
    assert len(set(map(id, (pair for pair in seen)))) == 6
    assert set(seen) == {(c.event, k.event) for c in city for k in (FIRST, SECOND, THIRD)}
    members[COUNTY] = named(SECOND)
    ring.refresh()
    assert ring.greeting()[COUNTY] is SECOND.event
    ring.refused()
    ring.refused()
    assert ring.greeting()[COUNTY] is THIRD.event
    ring.refused()
    ring.refused()
    assert ring.greeting()[COUNTY] is FIRST.event, "for who has not heard of the second"
