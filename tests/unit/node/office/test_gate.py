"""May an office sign?  Every clause of the rule, on rosters made by hand."""

from __future__ import annotations

import pytest

from ledger.genesis import Genesis
from ledger.members import Member
from ledger.note import ED25519, NoteKey
from ledger.roster import Roster
from node.office.gate import Gate
from protocol.ids import OfficeCode

PROVINCE, CITY, CITY2, CITY3, COUNTY = map(
    OfficeCode, ("320000", "320500", "320600", "320700", "320581")
)
GENESIS = Genesis("t", PROVINCE, 1, (NoteKey("root", ED25519, bytes(32)),), bytes(32))
NO_KEYS = (bytes(32), bytes(32), bytes(32), bytes(32), bytes(32), "", "")


def roster(*codes: OfficeCode) -> Roster:
    """Counties stand under the first city."""

    def member(code: OfficeCode) -> Member:
        if code == PROVINCE:
            return Member(code, "省", "province", None, *NO_KEYS)
        if code == COUNTY:
            return Member(code, "县", "county", CITY, *NO_KEYS)
        return Member(code, "市", "city", PROVINCE, *NO_KEYS)

    return Roster(GENESIS, len(codes), {code: member(code) for code in codes})


ALL = roster(PROVINCE, CITY, CITY2, CITY3, COUNTY)


def nobody_answers(gate: Gate, our_size: int) -> None:
    for office in sorted(gate.unheard(ALL)):
        gate.cannot_ask(ALL, office, our_size)


def test_a_network_that_is_being_founded_is_open_by_itself() -> None:
    gate = Gate(PROVINCE)
    gate.look(roster())
    assert not gate.is_open  # not even a member yet
    gate.look(roster(PROVINCE))
    assert gate.is_open


def test_with_a_city_the_province_waits_to_be_told() -> None:
    gate = Gate(PROVINCE)
    gate.look(roster(PROVINCE, CITY))
    assert not gate.is_open
    gate.hear(roster(PROVINCE, CITY), CITY, 7, 7)
    assert gate.is_open


def test_the_parent_alone_is_enough_when_nobody_else_can_be_asked() -> None:
    gate = Gate(COUNTY)
    assert gate.unheard(ALL) == frozenset(), "the parent comes first"
    gate.hear(ALL, CITY, 4, 5)
    assert not gate.is_open
    assert gate.unheard(ALL) == {PROVINCE, CITY2, CITY3}
    for office in (PROVINCE, CITY2):
        gate.cannot_ask(ALL, office, 5)
        assert not gate.is_open
    gate.hear(ALL, CITY3, 5, 5)
    assert gate.is_open
    assert gate.unheard(ALL) == frozenset()


def test_a_witness_that_has_more_than_the_parent_keeps_it_shut() -> None:
    """The parent was away when the others co-signed, and this home is an old copy."""
    gate = Gate(COUNTY)
    gate.hear(ALL, CITY, 4, 5)
    gate.hear(ALL, CITY2, 8, 5)
    nobody_answers(gate, 5)
    assert not gate.is_open, "what it said stays said"
    gate.hear(ALL, CITY, 8, 8)
    assert gate.is_open


def test_else_as_many_as_a_lost_cosignature_cannot_avoid() -> None:
    """Three of the province's cities must have been co-signers in any majority of two: two do."""
    gate = Gate(PROVINCE)
    gate.hear(ALL, CITY2, 5, 5)
    assert not gate.is_open
    gate.hear(ALL, CITY2, 5, 5)
    assert not gate.is_open, "one peer counts once"
    gate.hear(ALL, COUNTY, 5, 5)
    assert not gate.is_open, "a county is no candidate"
    gate.hear(ALL, CITY3, 3, 5)
    assert gate.unheard(ALL) == {CITY}
    gate.cannot_ask(ALL, CITY, 5)
    assert gate.is_open


def test_a_county_without_its_parent_needs_three_of_four() -> None:
    gate = Gate(COUNTY)
    for peer in (PROVINCE, CITY2):
        gate.hear(ALL, peer, 0, 0)
        assert not gate.is_open
    gate.hear(ALL, CITY3, 0, 0)
    nobody_answers(gate, 0)
    assert gate.is_open


def test_an_office_of_our_own_node_confirms_nothing_the_next_one_above_does() -> None:
    gate = Gate(COUNTY, frozenset({CITY, COUNTY}))
    gate.hear(ALL, CITY, 5, 5)
    gate.hear(ALL, CITY2, 5, 5)
    assert not gate.is_open
    gate.hear(ALL, PROVINCE, 5, 5)
    nobody_answers(gate, 5)
    assert gate.is_open


def test_of_two_cosigners_one_may_have_been_ours_so_all_others_are_needed() -> None:
    gate = Gate(COUNTY, frozenset({PROVINCE, CITY, COUNTY}))  # nobody above elsewhere
    gate.hear(ALL, CITY2, 5, 5)
    assert not gate.is_open
    gate.hear(ALL, CITY3, 5, 5)
    assert gate.is_open


def test_a_node_that_hosts_every_candidate_is_open() -> None:
    gate = Gate(CITY, frozenset({PROVINCE, CITY}))
    gate.look(roster(PROVINCE, CITY))
    assert gate.is_open


@pytest.mark.parametrize("told_by", [CITY, CITY2])
def test_whoever_knows_more_keeps_it_shut_until_refilled(told_by: OfficeCode) -> None:
    gate = Gate(COUNTY)
    gate.hear(ALL, told_by, 9, 5)
    gate.hear(ALL, CITY, 5, 5)
    assert not gate.is_open
    assert "9 entries" in gate.why_shut(5)
    gate.hear(ALL, CITY, 9, 9)
    nobody_answers(gate, 9)
    assert gate.is_open


def test_a_stranger_to_the_roster_stays_shut() -> None:
    gate = Gate(COUNTY)
    gate.look(roster(PROVINCE, CITY))
    gate.hear(roster(PROVINCE, CITY), CITY, 0, 0)
    assert not gate.is_open
    assert "the parent or enough witnesses" in gate.why_shut(0)


def test_a_checkpoint_we_never_made_shuts_it_again() -> None:
    gate = Gate(COUNTY, is_open=True, confirmed={CITY})
    gate.outgrown(8)
    assert not gate.is_open
    gate.hear(ALL, CITY, 5, 5)
    assert not gate.is_open, "not below what was seen"
    gate.hear(ALL, CITY, 8, 8)
    nobody_answers(gate, 8)
    assert gate.is_open
