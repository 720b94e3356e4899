"""What goes wrong in a run, and when: drawn from the seed before anything starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from protocol.ids import OfficeCode
from simulations.clock import draws
from simulations.wire import Weather

YEAR_MS = 365 * 86_400_000


@dataclass(frozen=True, slots=True)
class Fault:
    """From ``at`` to ``until`` (seconds): ``cut`` parts the hosts ``whom`` from all others,
    ``crash`` kills them with what was not durable, ``restart`` stops them properly."""

    kind: str
    at: float
    until: float
    whom: tuple[OfficeCode, ...]

    def __str__(self) -> str:
        return f"{self.kind} {'+'.join(self.whom)} {self.at:.1f}-{self.until:.1f} s"


@dataclass(frozen=True, slots=True)
class Mix:
    """The conditions of one run."""

    seed: int
    weather: Weather
    counties_listen: bool  # else they can only dial out, like most office PCs
    reports_each: int  # packages that every office reports
    clocks: dict[OfficeCode, tuple[int, int]]  # offset in ms, drift in ppm
    faults: tuple[Fault, ...]

    def lines(self) -> list[str]:
        shortest, longest = (round(1000 * bound) for bound in self.weather.delay_seconds)
        lost = round(1 / self.weather.loss) if self.weather.loss else "none"
        return [
            f"seed {self.seed}",
            f"frames take {shortest} to {longest} ms; one in {lost} takes its connection along",
            f"counties {'listen' if self.counties_listen else 'only dial out'}",
            f"packages reported by each office: {self.reports_each}",
            "clocks off by: "
            + ", ".join(
                f"{code} {offset / 1000:+.0f} s" for code, (offset, _) in self.clocks.items()
            ),
            *(f"fault: {fault}" for fault in self.faults),
        ]


def draw_mix(
    seed: int,
    province: OfficeCode,
    cities: Sequence[OfficeCode],
    counties: Sequence[OfficeCode],
    begin_s: float,
    end_s: float,
) -> Mix:
    """Conditions for ``seed``.  There always are a city cut off, and a crash of a county and of the
    province, between ``begin_s`` and ``end_s``; runs differ in what comes on top, and how much."""
    chance = draws(seed, "mix")
    everyone = (province, *cities, *counties)

    def fault(kind: str, whom: tuple[OfficeCode, ...]) -> Fault:
        at = chance.uniform(begin_s, end_s)
        return Fault(kind, at, min(at + chance.choice((0.1, 5, 40, 120)), end_s), whom)

    city = chance.choice(cities)
    below = tuple(county for county in counties if county[:4] == city[:4])
    faults = [
        fault("cut", (city, *below) if chance.random() < 0.5 else (city,)),
        fault("crash", (chance.choice(counties),)),
        fault("crash", (province,)),
    ]
    kinds = chance.choice((("cut",), ("crash",), ("restart",), ("cut", "crash", "restart")))
    more = range(chance.choice((0, 0, 1, 3, 6)))
    faults += [fault(chance.choice(kinds), (chance.choice(everyone),)) for _ in more]
    slowest = chance.choice((0.005, 0.080, 0.400))
    return Mix(
        seed=seed,
        weather=Weather((0.002, slowest), chance.choice((0.0, 0.0, 0.0005, 0.005))),
        counties_listen=chance.random() < 0.5,
        reports_each=chance.choice((1, 2, 3)),
        clocks={code: _clock(chance) for code in everyone},
        faults=tuple(sorted(faults, key=lambda one: one.at)),
    )


def _clock(chance: Random) -> tuple[int, int]:
    offset_ms = chance.choice((0, chance.randint(-90_000, 90_000)))
    if chance.random() < 0.05:
        offset_ms = chance.choice((-YEAR_MS, YEAR_MS))
    return offset_ms, chance.randint(-100, 100)
