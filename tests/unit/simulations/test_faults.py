from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.ids import OfficeCode
from simulations.faults import Mix, draw_mix

PROVINCE = OfficeCode("320000")
CITIES = (OfficeCode("320100"), OfficeCode("320500"))
COUNTIES = tuple(map(OfficeCode, ("320104", "320509")))


def mix(seed: int) -> Mix:
    return draw_mix(seed, PROVINCE, CITIES, COUNTIES, 60.0, 240.0)


@settings(max_examples=50)
@given(st.integers(0, 2**32))
def test_a_city_is_cut_off_and_a_county_and_the_province_crash(seed: int) -> None:
    faults = mix(seed).faults
    assert any(fault.kind == "cut" and fault.whom[0] in CITIES for fault in faults)
    crashed = {fault.whom[0] for fault in faults if fault.kind == "crash"}
    assert PROVINCE in crashed
    assert crashed & set(COUNTIES)
    assert all(60.0 <= fault.at <= fault.until <= 240.0 for fault in faults)


def test_the_seed_decides_and_seeds_differ() -> None:
    assert mix(1) == mix(1)
    drawn = [mix(seed) for seed in range(40)]
    assert {one.counties_listen for one in drawn} == {True, False}
    assert len({len(one.faults) for one in drawn}) > 2
    assert drawn[3].lines()[0] == "seed 3"
