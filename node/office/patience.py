"""How long to wait for a holder before another is asked, learned from how fast it answered before.

A holder that answered later than a usual answer of its own, or not at all, has *fallen silent*: it
is asked last until it answers a small question, which is put to it at growing intervals, so a node
that hangs costs one query a hedge and the next ones nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from protocol.ids import OfficeCode

REMEMBERED: Final = 64  # answers
KNOWN_FROM: Final = 8  # answers that tell something
GENEROSITY: Final = 1.25  # of what 95 of 100 answers took
WAIT_S_MIN: Final = 0.02
PROBE_S: Final = 0.05  # after the first silence, for a slow one; each further one doubles it
PROBE_S_MAX: Final = 60.0


@dataclass(slots=True)
class _Known:
    answers: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED))  # seconds
    wait_s: float | None = None  # of ``answers``; None: to be worked out
    silences: int = 0  # since its last answer
    probe_at: float = 0.0


class Patience:
    """What one node has learned of the holders it asks.  ``hedge_s`` is the longest wait."""

    def __init__(self, hedge_s: float) -> None:
        self._hedge_s = hedge_s
        self._known: dict[OfficeCode, _Known] = {}
        self._silent: set[OfficeCode] = set()

    def answered(self, holder: OfficeCode, seconds: float) -> None:
        known = self._known.setdefault(holder, _Known())
        known.answers.append(seconds)
        known.wait_s = None
        known.silences = 0
        self._silent.discard(holder)

    def fell_silent(self, holder: OfficeCode, now: float) -> None:
        known = self._known.setdefault(holder, _Known())
        self._silent.add(holder)
        known.probe_at = now + min(PROBE_S * 2**known.silences, PROBE_S_MAX)
        known.silences = min(known.silences + 1, 16)

    def spoke(self, holder: OfficeCode) -> None:
        """It answered a probe: it may be asked again like the others."""
        self._silent.discard(holder)

    def wait_s(self, holder: OfficeCode) -> float:
        """Seconds to wait for its answer before another holder is asked, too."""
        known = self._known.get(holder)
        if known is None or len(known.answers) < KNOWN_FROM:
            return self._hedge_s
        if known.wait_s is None:
            late = sorted(known.answers)[len(known.answers) * 95 // 100]
            known.wait_s = min(max(late * GENEROSITY, WAIT_S_MIN), self._hedge_s)
        return known.wait_s

    def order(self, holders: Iterable[OfficeCode]) -> list[OfficeCode]:
        """The same holders, those that have fallen silent last."""
        return sorted(holders, key=self._silent.__contains__) if self._silent else list(holders)

    def due(self, now: float) -> list[OfficeCode]:
        """The silent holders that are to be probed now."""
        return sorted(code for code in self._silent if self._known[code].probe_at <= now)

    def next_probe(self) -> float | None:
        """When the first of them is."""
        return min((self._known[code].probe_at for code in self._silent), default=None)
