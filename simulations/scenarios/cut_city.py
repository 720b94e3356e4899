"""A city is cut off for nearly all the time, with its counties or without them; on both sides
people go on, and then all is one again."""

from __future__ import annotations

from simulations.clock import draws
from simulations.faults import Fault, Mix
from simulations.scenarios.ordinary import DAY_S, machines, mix, work
from simulations.scenarios.places import below, is_county, province


def draw(seed: int, offices: int, days: float) -> Mix:
    codes, end = province(offices), days * DAY_S
    chance = draws(seed, "cut city")
    city = chance.choice([code for code in codes[1:] if not is_county(code)])
    whom = (city, *below(city, codes)) if chance.random() < 0.5 else (city,)
    cut = Fault("cut", max(60.0, 0.03 * end), 0.97 * end, whom)
    deeds = [deed for code in codes for deed in work(seed, code, days)]
    return mix("cut_city", seed, days, machines(seed, codes), deeds, [cut])
