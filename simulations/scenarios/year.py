"""The offices as they are in the week of the year's campaign, when everybody reports.

Days begin at midnight, the first is a Monday.  Cities and the province are always on.  Counties are
switched on from about 8:30 to 17:30 on working days, only dial out, and have thin lines.  They
joined in the first hour of the first morning, and the run ends while they are on.
"""

from __future__ import annotations

from itertools import pairwise
from random import Random
from typing import Final

from protocol.ids import OfficeCode
from simulations.clock import draws
from simulations.faults import Deed, Fault, Machine, Mix
from simulations.scenarios.ordinary import DAY_S, mix
from simulations.scenarios.places import is_county, province
from simulations.wire import Weather

HOUR_S: Final = 3600.0
ON_S: Final = (8 * HOUR_S, 9 * HOUR_S)
OFF_S: Final = (17 * HOUR_S, 18 * HOUR_S)
WORK_S: Final = (9.25 * HOUR_S, 16.5 * HOUR_S)
WEEK: Final = 7
WORKING: Final = 5
LINES_BYTES_S: Final = (30_000.0, 125_000.0, 1_250_000.0)
REPORTS: Final = (3, 8)  # of an office in the campaign


def draw(seed: int, offices: int, days: float) -> Mix:
    codes = province(offices)
    made = {code: _machine(seed, code, codes[0]) for code in codes}
    faults = [fault for code in codes if is_county(code) for fault in _nights(seed, code, days)]
    deeds = [deed for code in codes for deed in _work(seed, code, days)]
    weather = Weather((0.005, 0.080), 0.00005)
    return mix("year", seed, days, made, deeds, faults, weather)


def _machine(seed: int, code: OfficeCode, first: OfficeCode) -> Machine:
    chance = draws(seed, f"machine {code}")
    if not is_county(code):
        joins = 0.0 if code == first else chance.uniform(0, 600)
        return Machine(joins, True, chance.randint(-2_000, 2_000), chance.randint(-20, 20))
    offset_ms = chance.choice((0, chance.randint(-90_000, 90_000)))
    joins, drift_ppm = chance.uniform(600, HOUR_S), chance.randint(-100, 100)
    return Machine(joins, False, offset_ms, drift_ppm, chance.choice(LINES_BYTES_S))


def _nights(seed: int, code: OfficeCode, days: float) -> list[Fault]:
    """Switched off in the evening, on in the morning of the next working day."""
    chance = draws(seed, f"nights {code}")
    working = [day for day in range(int(days) + WEEK) if day % WEEK < WORKING]
    nights = []
    for day, following in pairwise(working):
        off = day * DAY_S + chance.uniform(*OFF_S)
        on = following * DAY_S + chance.uniform(*ON_S)
        if on < days * DAY_S:
            nights.append(Fault("restart", off, on, (code,)))
    return nights


def _work(seed: int, code: OfficeCode, days: float) -> list[Deed]:
    chance = draws(seed, f"work {code}")
    counts = {"report": chance.randint(*REPORTS), "review": 10, "mend": 3, "search": 3}
    return [
        Deed(what, _moment(chance, days), code)
        for what, count in counts.items()
        for _ in range(count)
    ]


def _moment(chance: Random, days: float) -> float:
    """In working hours of some day, or anywhere in a run that is shorter than one."""
    if days < 1:
        return chance.uniform(0.3, 1.0) * days * DAY_S
    working = [day for day in range(int(days)) if day % WEEK < WORKING]
    return chance.choice(working) * DAY_S + chance.uniform(*WORK_S)
