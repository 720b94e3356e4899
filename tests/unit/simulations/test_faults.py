from __future__ import annotations

import dataclasses

import pytest

from simulations.faults import Mix
from simulations.people import DEEDS
from simulations.play import EFFECTS
from simulations.scenarios import SCENARIOS, draw


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("seed", range(5))
def test_a_mix_that_is_written_and_read_is_the_same(name: str, seed: int) -> None:
    mix = draw(name, seed)
    assert Mix.from_json(mix.to_json()) == mix
    other = dataclasses.replace(mix, seconds=mix.seconds + 1)
    assert Mix.from_json(other.to_json()) != mix


@pytest.mark.parametrize("name", SCENARIOS)
def test_what_scenarios_draw_can_be_played(name: str) -> None:
    for seed in range(6):
        mix = draw(name, seed)
        assert {fault.kind for fault in mix.faults} <= EFFECTS.keys()
        assert {deed.what for deed in mix.deeds} <= DEEDS.keys()
        assert all(set(fault.whom) <= mix.machines.keys() for fault in mix.faults)
        assert all(0 <= fault.at <= fault.until <= mix.seconds for fault in mix.faults)
        assert all(deed.whom in mix.machines for deed in mix.deeds)


def test_people_read_what_the_mix_is() -> None:
    mix = draw("seven", 3)
    lines = mix.lines()
    assert lines[0] == "scenario seven, seed 3, 7 offices, 259 s"
    assert sum(line.startswith("fault: ") for line in lines) == len(mix.faults)
