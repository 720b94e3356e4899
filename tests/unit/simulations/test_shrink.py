from __future__ import annotations

from dataclasses import replace

from protocol.ids import OfficeCode
from simulations.faults import Deed, Fault, Machine, Mix
from simulations.shrink import shrink, until, without
from simulations.wire import Weather

CODES = tuple(map(OfficeCode, ("320000", "320100", "320500", "320581")))
MIX = Mix(
    "seven",
    1,
    640.0,
    Weather((0.001, 0.002)),
    dict.fromkeys(CODES, Machine()),
    tuple(Deed("report", 10.0 * n, CODES[n % 4]) for n in range(60)),
    tuple(Fault("crash", 10.0 * n, 10.0 * n + 5, (CODES[n % 4],)) for n in range(60)),
)


def test_what_fails_is_left_and_nothing_else() -> None:
    tried: list[Mix] = []

    def fails(mix: Mix) -> bool:
        """When the province crashes at 120 s after a city reported at 50 s."""
        tried.append(mix)
        crashed = any(f.at == 120.0 and f.whom == (CODES[0],) for f in mix.faults)
        return crashed and any(d.at == 50.0 and d.whom == CODES[1] for d in mix.deeds)

    small = shrink(MIX, fails)
    assert [fault.at for fault in small.faults] == [120.0]
    assert [deed.at for deed in small.deeds] == [50.0]
    assert list(small.machines) == [CODES[0], CODES[1]]
    assert 120.0 < small.seconds <= 130.0
    assert len(tried) < 80
    assert fails(small)


def test_a_fault_of_several_offices_loses_those_that_do_not_matter() -> None:
    mix = replace(MIX, faults=(Fault("cut", 10.0, 20.0, CODES[1:3]),), deeds=())
    small = shrink(mix, lambda left: any(CODES[2] in fault.whom for fault in left.faults))
    assert small.faults == (Fault("cut", 10.0, 20.0, (CODES[2],)),)


def test_a_prefix_has_what_begins_before_its_end() -> None:
    short = until(MIX, 100.0)
    assert short.seconds == 100.0
    assert len(short.deeds) == len(short.faults) == 10


def test_who_is_left_out_does_nothing_and_nothing_befalls_it() -> None:
    rest = without(MIX, CODES[3])
    assert CODES[3] not in rest.machines
    assert all(deed.whom != CODES[3] for deed in rest.deeds)
    assert all(CODES[3] not in fault.whom for fault in rest.faults)
    assert len(rest.deeds) == 45
