"""From a mix that fails to a small one that still does: the shortest prefix, then the fewest
offices, faults and deeds.

Greedy, as in delta debugging: pieces are taken away, large ones first, as long as what remains
fails.  The result is small, not the smallest: no one piece of it can be left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, TypeVar

from simulations.faults import Mix

T = TypeVar("T")
Fails = Callable[[Mix], bool]

HALVINGS: Final = 6  # of the time: the end is found to 1/64 of the run


def shrink(mix: Mix, fails: Fails) -> Mix:
    """``fails(mix)`` holds, and holds of what is returned."""
    mix = _shortest(mix, fails)
    mix = _fewest_offices(mix, fails)
    faults = _fewest(mix.faults, lambda left: fails(replace(mix, faults=left)))
    mix = replace(mix, faults=faults)
    deeds = _fewest(mix.deeds, lambda left: fails(replace(mix, deeds=left)))
    return replace(mix, deeds=deeds)


def until(mix: Mix, seconds: float) -> Mix:
    """The mix that ends at ``seconds``: what begins later does not happen."""
    return replace(
        mix,
        seconds=seconds,
        deeds=tuple(deed for deed in mix.deeds if deed.at < seconds),
        faults=tuple(fault for fault in mix.faults if fault.at < seconds),
    )


def without(mix: Mix, code: str) -> Mix:
    """The mix without an office, what it does and what befalls it."""
    faults = (
        replace(fault, whom=tuple(whom for whom in fault.whom if whom != code))
        for fault in mix.faults
    )
    return replace(
        mix,
        machines={each: machine for each, machine in mix.machines.items() if each != code},
        deeds=tuple(deed for deed in mix.deeds if deed.whom != code),
        faults=tuple(fault for fault in faults if fault.whom),
    )


def _shortest(mix: Mix, fails: Fails) -> Mix:
    """Between an end that is too early and one that fails."""
    early, late = 0.0, mix
    for _ in range(HALVINGS):
        middle = until(mix, (early + late.seconds) / 2)
        if fails(middle):
            late = middle
        else:
            early = middle.seconds
    return late


def _fewest_offices(mix: Mix, fails: Fails) -> Mix:
    """Children before their parents; the first, the province, founds the network."""
    for code in list(mix.machines)[:0:-1]:
        smaller = without(mix, code)
        if fails(smaller):
            mix = smaller
    return mix


def _fewest(parts: Sequence[T], fails: Callable[[tuple[T, ...]], bool]) -> tuple[T, ...]:
    """Take away halves, then quarters, down to single parts, while the rest fails."""
    left = tuple(parts)
    size = max(1, len(left))
    while size:
        start = 0
        while start < len(left):
            rest = left[:start] + left[start + size :]
            if fails(rest):
                left = rest
            else:
                start += size
        size = min(size // 2, len(left))
    return left
