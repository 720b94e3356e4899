"""One member lies, in one way or two, while the others work.  Who signed two histories is revoked
and admitted anew."""

from __future__ import annotations

from typing import Final

from simulations.clock import draws
from simulations.faults import YEAR_MS, Deed, Fault, Mix
from simulations.scenarios.ordinary import DAY_S, machines, mix, work
from simulations.scenarios.places import province

WAYS: Final = (
    "forks",
    "impersonates",
    "holds nothing",
    "invents hits",
    "floods",
    "replays",
    "jump",
)
YEAR_S: Final = YEAR_MS / 1000
LONG_S: Final = 120.0


def draw(seed: int, offices: int, days: float) -> Mix:
    codes, end = province(offices), days * DAY_S
    chance = draws(seed, "villains")
    villain = chance.choice(codes[1:])
    deeds = [deed for code in codes for deed in work(seed, code, days)]
    faults = []
    for way in chance.sample(WAYS, chance.choice((1, 1, 2))):
        at = chance.uniform(0.3, 0.6) * end
        amount = -YEAR_S if way == "jump" else 0.0
        faults.append(Fault(way, at, min(at + LONG_S, end), (villain,), amount))
        if way == "forks":
            deeds = [d for d in deeds if d.whom != villain or d.at < at or d.what != "report"]
            deeds.append(Deed("revoke", at + LONG_S + 10, villain))
    return mix("villains", seed, days, machines(seed, codes), deeds, faults)
