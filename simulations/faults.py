"""Everything about a run that is decided before anything starts: the mix.

A mix is a value: written to JSON and read again it is the same run.  Scenarios draw it, ``play``
plays it, the shrinker makes it smaller.  Every part stands for itself: whoever takes a fault, a
deed or the end of the run away changes no draw of what remains.
"""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from dataclasses import dataclass
from typing import Final

from protocol.ids import OfficeCode
from simulations.wire import Weather

YEAR_MS: Final = 365 * 86_400_000


@dataclass(frozen=True, slots=True)
class Machine:
    """An office's machine, as it stands there from the beginning."""

    joins: float = 0.0  # seconds; the province founds the network at 0
    listens: bool = True  # else it can only dial out, like most office PCs
    offset_ms: int = 0  # by how much its clock is ahead
    drift_ppm: int = 0  # how much further it gets ahead, µs per second
    bytes_s: float = 0.0  # what its line carries in each direction; 0: no bound


@dataclass(frozen=True, slots=True)
class Deed:
    """``whom``'s people do ``what`` at ``at`` (seconds): a row of ``people.DEEDS``."""

    what: str
    at: float
    whom: OfficeCode

    def __str__(self) -> str:
        return f"{self.what} {self.whom} {self.at:.3f} s"


@dataclass(frozen=True, slots=True)
class Fault:
    """What befalls the hosts ``whom`` from ``at`` to ``until`` (seconds): a row of
    ``play.EFFECTS``, which also says the unit of ``amount``."""

    kind: str
    at: float
    until: float
    whom: tuple[OfficeCode, ...]
    amount: float = 0.0

    def __str__(self) -> str:
        much = f" {self.amount:g}" if self.amount else ""
        return f"{self.kind}{much} {'+'.join(self.whom)} {self.at:.1f}-{self.until:.1f} s"


@dataclass(frozen=True, slots=True)
class Mix:
    """One run.  At ``seconds`` all faults are over and no new deed begins; the network settles and
    is judged.  The first of ``machines`` is the province; faults and deeds of offices that have no
    machine do not happen."""

    scenario: str
    seed: int
    seconds: float
    weather: Weather
    machines: dict[OfficeCode, Machine]
    deeds: tuple[Deed, ...] = ()
    faults: tuple[Fault, ...] = ()

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Mix:
        told = json.loads(text)
        delay_seconds = tuple(told["weather"].pop("delay_seconds"))
        return cls(
            told["scenario"],
            told["seed"],
            told["seconds"],
            Weather(delay_seconds, **told["weather"]),
            {OfficeCode(code): Machine(**machine) for code, machine in told["machines"].items()},
            tuple(Deed(**deed) for deed in told["deeds"]),
            tuple(Fault(**{**fault, "whom": tuple(fault["whom"])}) for fault in told["faults"]),
        )

    def lines(self) -> list[str]:
        """For people."""
        shortest, longest = (round(1000 * bound) for bound in self.weather.delay_seconds)
        lost = round(1 / self.weather.loss) if self.weather.loss else "none"
        dialling = [code for code, machine in self.machines.items() if not machine.listens]
        off = {c: m.offset_ms / 1000 for c, m in self.machines.items() if m.offset_ms}
        deeds = Counter(deed.what for deed in self.deeds)
        count, length = len(self.machines), f"{self.seconds:.0f} s"
        return [
            f"scenario {self.scenario}, seed {self.seed}, {count} offices, {length}",
            f"frames take {shortest} to {longest} ms; one in {lost} takes its connection along",
            f"only dial out: {', '.join(dialling) or 'none'}",
            "clocks off by: " + (", ".join(f"{c} {s:+.0f} s" for c, s in off.items()) or "none"),
            "people: " + ", ".join(f"{what} {count}" for what, count in deeds.items()),
            *(f"fault: {fault}" for fault in self.faults),
        ]
