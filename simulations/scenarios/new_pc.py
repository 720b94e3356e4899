"""A county's PC is replaced: the disk is empty, and the keys come from their own copy or are lost
with it; then the province closes them and admits the office anew."""

from __future__ import annotations

from typing import Final

from simulations.clock import draws
from simulations.faults import Deed, Fault, Mix
from simulations.scenarios.ordinary import DAY_S, machines, mix, work
from simulations.scenarios.places import is_county, province

QUIET_S: Final = 150.0  # since the last deed; the province anchors a log once a minute


def draw(seed: int, offices: int, days: float) -> Mix:
    codes, end = province(offices), days * DAY_S
    chance = draws(seed, "new pc")
    county = chance.choice([code for code in codes if is_county(code)])
    broken = chance.uniform(0.6, 0.7) * end
    back = broken + chance.uniform(0.01, 0.1) * end
    deeds = [
        deed
        for code in codes
        for deed in work(seed, code, days)
        if code != county or not broken - QUIET_S < deed.at < back
    ]
    if chance.random() < 0.5:
        deeds.append(Deed("revoke", (broken + back) / 2, county))
    faults = [Fault("empty", broken, back, (county,))]
    return mix("new_pc", seed, days, machines(seed, codes), deeds, faults)
