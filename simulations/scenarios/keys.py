"""Keys change hands: offices rotate theirs, and those of one are stolen and revoked."""

from __future__ import annotations

from simulations.clock import draws
from simulations.faults import Deed, Fault, Mix
from simulations.scenarios.new_pc import QUIET_S
from simulations.scenarios.ordinary import DAY_S, machines, mix, work
from simulations.scenarios.places import province


def draw(seed: int, offices: int, days: float) -> Mix:
    codes, end = province(offices), days * DAY_S
    chance = draws(seed, "keys")
    robbed, *others = chance.sample(codes[1:], 4)
    revoked = chance.uniform(0.75, 0.85) * end
    deeds = [Deed("rotate", chance.uniform(0.3, 0.9) * end, code) for code in (codes[0], *others)]
    deeds.append(Deed("revoke", revoked, robbed))
    for code in codes:
        deeds += [
            deed
            for deed in work(seed, code, days)
            if code != robbed or not revoked - QUIET_S < deed.at < revoked + 30
        ]
    # one is off while its keys change, one goes down soon after
    faults = [
        Fault(chance.choice(("crash", "restart", "cut")), at, min(at + 30, end), (deed.whom,))
        for deed in chance.sample(deeds[:5], 2)
        for at in [max(60.0, deed.at + chance.uniform(-15, 5))]
        if deed.whom != codes[0]
    ]
    return mix("keys", seed, days, machines(seed, codes), deeds, faults)
