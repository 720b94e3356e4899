"""A small province where everything happens: a city is cut off, a county and the province crash,
and on top of it comes what the seed draws.

People work from 20 s on, faults come from 60 s on, both until the end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Final

from protocol.ids import OfficeCode
from simulations.clock import draws
from simulations.faults import YEAR_MS, Deed, Fault, Mix
from simulations.scenarios.ordinary import DAY_S, machine, mix, work
from simulations.scenarios.places import below, is_county, province
from simulations.wire import Weather

FAULTS_S: Final = 60.0
JUMPS_S: Final = (-YEAR_MS / 1000, -3600.0, -30.0, 30.0, 3600.0, YEAR_MS / 1000)
CRASH_S: Final = 0.4  # a report has come this far when the machine that keeps it crashes


def draw(seed: int, offices: int, days: float) -> Mix:
    codes, end = province(offices), days * DAY_S
    chance = draws(seed, "seven")
    slowest = chance.choice((0.005, 0.080, 0.400))
    weather = Weather((0.002, slowest), chance.choice((0.0, 0.0, 0.0005, 0.005)))
    listening = chance.random() < 0.5
    faults = _faults(draws(seed, "faults"), codes, end)
    # a report under way wherever a machine goes down
    under_way = [
        Deed("report", fault.at - chance.uniform(0, CRASH_S), code)
        for fault in faults
        if fault.kind in ("crash", "restart")
        for code in fault.whom
    ]
    least = chance.choice((1, 2, 3))
    deeds = [deed for code in codes for deed in work(seed, code, days, least)]
    machines = {
        code: machine(seed, code, codes[0], listening or not is_county(code)) for code in codes
    }
    return mix("seven", seed, days, machines, (*deeds, *under_way), faults, weather)


def _faults(chance: Random, codes: tuple[OfficeCode, ...], end: float) -> tuple[Fault, ...]:
    cities = [code for code in codes[1:] if not is_county(code)]
    counties = [code for code in codes if is_county(code)]

    def fault(
        kind: str, whom: tuple[OfficeCode, ...], amount: float = 0, seconds: float = 0
    ) -> Fault:
        at = chance.uniform(FAULTS_S, end)
        seconds = seconds or chance.choice((0.1, 5, 40, 120))
        return Fault(kind, at, min(at + seconds, end), whom, amount)

    city = chance.choice(cities)
    faults = [
        fault("cut", (city, *below(city, codes)) if chance.random() < 0.5 else (city,)),
        fault("crash", (chance.choice(counties),)),
        fault("crash", (codes[0],)),
    ]
    # Some runs are all of one kind, others a little of everything.
    kinds = chance.choice((*((kind,) for kind in KINDS), *[tuple(KINDS)] * 5))
    more = range(chance.choice((0, 1, 3, 6)))
    for _ in more:
        kind = chance.choice(kinds)
        faults += KINDS[kind](fault, chance.choice(codes), chance)
    faults = [replace(one, until=min(one.until, end)) for one in faults if one.at < end]
    return tuple(sorted(faults, key=lambda one: one.at))


One = Callable[..., Fault]
Drawn = Callable[[One, OfficeCode, Random], list[Fault]]


def _flapping(fault: One, code: OfficeCode, chance: Random) -> list[Fault]:
    """A line that comes and goes, with a period that suits no timer."""
    first = fault("cut", (code,), seconds=1.0)
    period = chance.uniform(2, 30)
    times = (first.at + number * period for number in range(chance.randint(3, 8)))
    return [replace(first, at=at, until=at + period / 2) for at in times]


KINDS: Final[dict[str, Drawn]] = {
    "cut": lambda fault, code, chance: [fault(chance.choice(("cut", "deaf", "mute")), (code,))],
    "flap": _flapping,
    "line": lambda fault, code, chance: [
        fault("thin", (code,), chance.choice((2_000, 20_000))),
        fault("stall", (code,), chance.choice((0.3, 3.0, 15.0))),
    ],
    "crash": lambda fault, code, _: [fault("crash", (code,))],
    "restart": lambda fault, code, _: [fault("restart", (code,))],
    "pause": lambda fault, code, _: [fault("pause", (code,))],
    "disk": lambda fault, code, chance: [fault(chance.choice(("full", "broken", "lie")), (code,))],
    "rot": lambda fault, code, chance: [fault("rot", (code,), chance.choice((1, 5)))],
    "copy": lambda fault, code, chance: [fault(chance.choice(("backup", "empty")), (code,))],
    "clock": lambda fault, code, chance: [fault("jump", (code,), chance.choice(JUMPS_S))],
}
