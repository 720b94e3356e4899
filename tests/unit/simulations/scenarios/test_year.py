from __future__ import annotations

from simulations.scenarios import draw
from simulations.scenarios.ordinary import DAY_S
from simulations.scenarios.places import is_county

MIX = draw("year", 1)


def test_all_109_take_part_and_counties_only_dial_out_on_thin_lines() -> None:
    assert len(MIX.machines) == 109
    for code, machine in MIX.machines.items():
        assert machine.listens == (not is_county(code)) == (machine.bytes_s == 0)


def test_counties_are_off_at_night_and_at_the_weekend_and_nobody_else_is() -> None:
    counties = [code for code in MIX.machines if is_county(code)]
    for code in counties:
        nights = [fault for fault in MIX.faults if fault.whom == (code,)]
        assert [int(night.at // DAY_S) for night in nights] == [0, 1, 2, 3, 4]
        assert [int(night.until // DAY_S) for night in nights] == [1, 2, 3, 4, 7]
        assert all(8 <= night.until % DAY_S / 3600 <= 9 for night in nights)
    assert {fault.whom[0] for fault in MIX.faults} == set(counties)


def test_people_work_when_their_machine_is_on_and_everybody_reports() -> None:
    for deed in MIX.deeds:
        assert deed.at // DAY_S % 7 < 5
        assert 9 <= deed.at % DAY_S / 3600 <= 17
    assert {deed.whom for deed in MIX.deeds if deed.what == "report"} == set(MIX.machines)
