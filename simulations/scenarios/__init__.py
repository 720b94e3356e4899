"""Scenarios by name: each draws a mix and has no code that runs later."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from simulations.faults import Mix
from simulations.scenarios import closing, cut_city, keys, lost_disk, new_pc, seven, villains, year


@dataclass(frozen=True, slots=True)
class Scenario:
    """``draw(seed, offices, days)`` is pure; ``offices`` and ``days`` are what it is made for."""

    draw: Callable[[int, int, float], Mix]
    offices: int
    days: float


SCENARIOS: Final = {
    "seven": Scenario(seven.draw, 7, 0.003),
    "year": Scenario(year.draw, 109, 7.5),
    "cut_city": Scenario(cut_city.draw, 7, 31),
    "lost_disk": Scenario(lost_disk.draw, 7, 0.01),
    "new_pc": Scenario(new_pc.draw, 7, 0.01),
    "keys": Scenario(keys.draw, 7, 0.01),
    "villains": Scenario(villains.draw, 7, 0.01),
    "closing": Scenario(closing.draw, 7, 0.01),
}


def draw(name: str, seed: int, offices: int = 0, days: float = 0) -> Mix:
    """The mix of a scenario; 0 offices or days: as many as it is made for.

    Raises:
        KeyError: no scenario has this name.
    """
    scenario = SCENARIOS[name]
    return scenario.draw(seed, offices or scenario.offices, days or scenario.days)
