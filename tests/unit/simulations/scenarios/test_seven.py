from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.ids import OfficeCode
from simulations.scenarios import draw
from simulations.scenarios.places import is_county

PROVINCE = OfficeCode("320000")


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32))
def test_a_city_is_cut_off_and_a_county_and_the_province_crash(seed: int) -> None:
    faults = draw("seven", seed).faults
    assert any(fault.kind == "cut" and not is_county(fault.whom[0]) for fault in faults)
    crashed = {fault.whom[0] for fault in faults if fault.kind == "crash"}
    assert PROVINCE in crashed
    assert any(map(is_county, crashed))


def test_the_seed_decides_and_seeds_differ() -> None:
    assert draw("seven", 1) == draw("seven", 1)
    drawn = [draw("seven", seed) for seed in range(40)]
    county = next(code for code in drawn[0].machines if is_county(code))
    assert {mix.machines[county].listens for mix in drawn} == {True, False}
    assert len({len(mix.faults) for mix in drawn}) > 2


def test_every_office_reports_and_more_in_a_month() -> None:
    mix = draw("seven", 1, days=30)
    for code in mix.machines:
        assert sum(d.what == "report" and d.whom == code for d in mix.deeds) >= 20
