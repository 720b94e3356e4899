"""Scenarios by name: each draws a mix and has no code that runs later."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from simulations.faults import Mix
from simulations.scenarios import seven


@dataclass(frozen=True, slots=True)
class Scenario:
    """``draw(seed, offices, days)`` is pure; ``offices`` and ``days`` are what it is made for."""

    draw: Callable[[int, int, float], Mix]
    offices: int
    days: float


SCENARIOS: Final = {
    "seven": Scenario(seven.draw, 7, 0.003),
}


def draw(name: str, seed: int, offices: int = 0, days: float = 0) -> Mix:
    """The mix of a scenario; 0 offices or days: as many as it is made for.

    Raises:
        KeyError: no scenario has this name.
    """
    scenario = SCENARIOS[name]
    return scenario.draw(seed, offices or scenario.offices, days or scenario.days)
