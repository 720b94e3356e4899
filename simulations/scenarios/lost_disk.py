"""The provincial disk dies and is restored from a backup, while people work; other machines have
small mishaps.  The province must sign nothing before it knows what it had signed."""

from __future__ import annotations

from simulations.clock import draws
from simulations.faults import Fault, Mix
from simulations.scenarios.ordinary import DAY_S, machines, mix, work
from simulations.scenarios.places import province


def draw(seed: int, offices: int, days: float) -> Mix:
    codes, end = province(offices), days * DAY_S
    chance = draws(seed, "lost disk")
    copied = chance.uniform(max(60.0, 0.2 * end), 0.5 * end)
    faults = [Fault("backup", copied, chance.uniform(0.6, 0.8) * end, codes[:1])]
    for code in chance.sample(codes[1:], 2):
        at = chance.uniform(0.3, 0.9) * end
        kind = chance.choice(("restart", "cut", "crash", "backup"))
        faults.append(Fault(kind, at, min(at + chance.choice((5, 60, 600)), end), (code,)))
    deeds = [deed for code in codes for deed in work(seed, code, days, least=4)]
    return mix("lost_disk", seed, days, machines(seed, codes), deeds, faults)
