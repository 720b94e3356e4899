"""The state abolishes an office, and its city acts for its items; somebody is away meanwhile."""

from __future__ import annotations

from simulations.clock import draws
from simulations.faults import Deed, Fault, Mix
from simulations.scenarios.new_pc import QUIET_S
from simulations.scenarios.ordinary import DAY_S, machines, mix, work
from simulations.scenarios.places import is_county, province


def draw(seed: int, offices: int, days: float) -> Mix:
    codes, end = province(offices), days * DAY_S
    chance = draws(seed, "closing")
    county = chance.choice([code for code in codes if is_county(code)])
    closed = chance.uniform(0.75, 0.85) * end
    away = chance.choice(codes[1:])
    kind = chance.choice(("cut", "crash", "restart"))
    faults = [Fault(kind, closed - 20, closed + 30, (away,))]
    deeds = [Deed("close", closed, county)]
    for code in codes:
        deeds += [
            deed
            for deed in work(seed, code, days)
            if code != county or deed.at < closed - QUIET_S or deed.what == "search"
        ]
    return mix("closing", seed, days, machines(seed, codes), deeds, faults)
