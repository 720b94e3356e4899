"""Each scenario of one mishap has it, for every seed; what else happens differs."""

from __future__ import annotations

import pytest

from protocol.ids import OfficeCode
from simulations.faults import Mix
from simulations.play import EFFECTS
from simulations.scenarios import draw
from simulations.scenarios.new_pc import QUIET_S
from simulations.scenarios.places import is_county
from simulations.scenarios.villains import WAYS
from simulations.villains import VILLAINS

PROVINCE = OfficeCode("320000")
SEEDS = range(10)


def mixes(name: str) -> list[Mix]:
    return [draw(name, seed) for seed in SEEDS]


def test_a_city_is_cut_off_for_a_month_with_its_counties_or_alone() -> None:
    drawn = mixes("cut_city")
    for mix in drawn:
        (cut,) = mix.faults
        assert not is_county(cut.whom[0])
        assert cut.until - cut.at > 28 * 86_400
    assert {len(mix.faults[0].whom) for mix in drawn} == {1, 3}


def test_the_province_comes_back_with_an_old_disk_after_it_reported_more() -> None:
    for mix in mixes("lost_disk"):
        lost = next(fault for fault in mix.faults if fault.whom == (PROVINCE,))
        assert lost.kind == "backup"
        between = [deed for deed in mix.deeds if lost.at < deed.at < lost.until]
        assert {deed.what for deed in between if deed.whom == PROVINCE} & {"report", "review"}


def test_a_county_comes_back_with_an_empty_disk_and_its_keys_or_others() -> None:
    drawn = mixes("new_pc")
    for mix in drawn:
        (empty,) = mix.faults
        assert is_county(empty.whom[0])
        for deed in mix.deeds:
            if deed.whom == empty.whom[0] and deed.what == "revoke":
                assert empty.at < deed.at < empty.until
    assert {any(deed.what == "revoke" for deed in mix.deeds) for mix in drawn} == {True, False}


@pytest.mark.parametrize(("name", "what"), [("keys", "revoke"), ("closing", "close")])
def test_an_office_is_at_rest_when_its_log_is_closed(name: str, what: str) -> None:
    for mix in mixes(name):
        (closing,) = [deed for deed in mix.deeds if deed.what == what]
        before = [deed for deed in mix.deeds if deed.whom == closing.whom and deed is not closing]
        assert all(
            deed.what == "search" or not 0 < closing.at - deed.at < QUIET_S for deed in before
        )


def test_several_offices_rotate_their_keys_the_province_too() -> None:
    for mix in mixes("keys"):
        assert {PROVINCE} < {deed.whom for deed in mix.deeds if deed.what == "rotate"}


def test_every_way_to_lie_is_drawn_and_can_be_played() -> None:
    assert set(WAYS) <= EFFECTS.keys()
    assert VILLAINS.keys() <= set(WAYS)
    drawn = [fault.kind for seed in range(60) for fault in draw("villains", seed).faults]
    assert set(drawn) == set(WAYS)
