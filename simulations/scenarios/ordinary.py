"""Ordinary offices: their machines, what their people do, and the mix that these make."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from protocol.ids import OfficeCode
from simulations.clock import draws
from simulations.faults import YEAR_MS, Deed, Fault, Machine, Mix
from simulations.scenarios.places import is_county
from simulations.wire import Weather

DAY_S: Final = 86_400.0
JOINED_S: Final = 50.0
WORK_S: Final = 20.0  # when people begin
PER_DAY: Final = 2 / 3  # reports of an office
COUNTS: Final = {"review": 15, "mend": 4, "search": 6}


def mix(
    scenario: str,
    seed: int,
    days: float,
    machines: dict[OfficeCode, Machine],
    deeds: Iterable[Deed],
    faults: Iterable[Fault],
    weather: Weather | None = None,
) -> Mix:
    """All in order of time; ``weather`` is good where none is given."""
    return Mix(
        scenario,
        seed,
        days * DAY_S,
        weather or Weather(),
        machines,
        tuple(sorted(deeds, key=lambda deed: deed.at)),
        tuple(sorted(faults, key=lambda fault: fault.at)),
    )


def machine(seed: int, code: OfficeCode, first: OfficeCode, listens: bool) -> Machine:
    chance = draws(seed, f"machine {code}")
    offset_ms = chance.choice((0, chance.randint(-90_000, 90_000)))
    if chance.random() < 0.05:
        offset_ms = chance.choice((-YEAR_MS, YEAR_MS))
    joins = 0.0 if code == first else chance.uniform(0, JOINED_S)
    return Machine(joins, listens, offset_ms, chance.randint(-100, 100))


def machines(seed: int, codes: tuple[OfficeCode, ...]) -> dict[OfficeCode, Machine]:
    """Counties only dial out."""
    return {code: machine(seed, code, codes[0], not is_county(code)) for code in codes}


def work(seed: int, code: OfficeCode, days: float, least: int = 2) -> list[Deed]:
    """What the people of an office do, at any time of the day: ``least`` reports and more in a
    longer run, looks of reviewers, readers."""
    chance = draws(seed, f"work {code}")
    return [
        Deed(what, chance.uniform(WORK_S, days * DAY_S), code)
        for what, count in {"report": least + round(PER_DAY * days), **COUNTS}.items()
        for _ in range(count)
    ]
