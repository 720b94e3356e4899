"""What a search did, step by step, for ``search --explain``.

Time comes from outside: a trace asks the clock that it was given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Step:
    """``count`` documents, lists or bytes of ``what``, after ``microseconds`` from the start."""

    what: str
    detail: str
    count: int
    microseconds: int


@dataclass(slots=True, eq=False)
class Trace:
    """Collects steps; one that has no clock collects nothing."""

    clock: Callable[[], float] | None = None  # seconds
    started: float = 0.0
    steps: list[Step] = field(default_factory=list)

    def begin(self) -> None:
        if self.clock is not None:
            self.started = self.clock()

    def step(self, what: str, detail: str, count: int) -> None:
        if self.clock is not None:
            spent = round(1e6 * (self.clock() - self.started))
            self.steps.append(Step(what, detail, count, spent))

    def lists(self, lists: Sequence[tuple[int, Any, tuple[int, ...], int]]) -> None:
        """The posting lists of a phrase: how many documents each has."""
        if self.clock is not None:
            sizes = ", ".join(str(one[0]) for one in lists)
            self.step("postings", sizes, sum(len(one[2]) for one in lists))


SILENT = Trace()
