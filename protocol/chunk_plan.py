"""Which chunk of a file is asked of whom?  A transfer from several sources, as a pure machine.

Each source may have a few questions open, more the better it answers.  The lowest chunk that nobody
was asked for comes next, so that a file grows from its beginning.  When every chunk is asked for,
those still open are asked of idle sources too (end game): a slow source costs no more than its
last chunk.

A source that gives wrong bytes is not asked for that chunk again, and for nothing once WRONG_MAX
and most of its answers were wrong: one whose disk is damaged may have the rest, one that lies has
nothing.  A source that
is silent rests, each time longer, and after SILENT_MAX times in a row is gone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from typing import Final

WINDOW_START: Final = 2
WINDOW_MAX: Final = 6  # questions open at one source; it answers eight at a time
WRONG_MAX: Final = 3
SILENT_MAX: Final = 4
REST_S: Final = 0.5  # after the first silence; doubled each time


@dataclass(slots=True)
class _Source:
    window: int = WINDOW_START
    right: int = 0
    open: set[int] = field(default_factory=set)
    bad: set[int] = field(default_factory=set)  # chunks it does not have right
    silent: int = 0
    rests_until: float = float("-inf")


class ChunkPlan:
    """``wanted`` chunks from ``sources``, the first preferred while it is as free."""

    def __init__(self, wanted: Iterable[int], sources: Iterable[str]) -> None:
        self._sources = {name: _Source() for name in sources}
        self._missing = set(wanted)
        self._unasked = list(self._missing)
        heapify(self._unasked)

    @property
    def is_done(self) -> bool:
        return not self._missing

    @property
    def sources(self) -> tuple[str, ...]:
        """Those that are still asked."""
        return tuple(self._sources)

    @property
    def is_stuck(self) -> bool:
        """Whether some chunk is left that no source can be asked for, now or later."""
        if not self._sources:
            return bool(self._missing)
        bad_everywhere = set.intersection(*(source.bad for source in self._sources.values()))
        return not self._missing.isdisjoint(bad_everywhere)

    def questions(self, now: float) -> list[tuple[str, int]]:
        """(source, chunk) to ask now; each counts as open until one of the calls below."""
        found: list[tuple[str, int]] = []
        passed: list[int] = []
        while self._unasked:
            chunk = heappop(self._unasked)
            if chunk not in self._missing:
                continue
            name = self._freest(chunk, now)
            if name is None:
                passed.append(chunk)
                if not any(self._is_free(source, now) for source in self._sources.values()):
                    break
                continue
            self._sources[name].open.add(chunk)
            found.append((name, chunk))
        for chunk in passed:
            heappush(self._unasked, chunk)
        return found or self._again(now)

    def came(self, source: str, chunk: int) -> bool:
        """The chunk is here and right; whether it was still missing."""
        self._close(source, chunk)
        if known := self._sources.get(source):
            known.silent = 0
            known.right += 1
            known.window = min(known.window + 1, WINDOW_MAX)
        was_missing = chunk in self._missing
        self._missing.discard(chunk)
        return was_missing

    def wrong(self, source: str, chunk: int) -> None:
        """It gave other bytes, or says that it has none."""
        self._close(source, chunk)
        if known := self._sources.get(source):
            known.bad.add(chunk)
            if len(known.bad) >= max(WRONG_MAX, known.right):
                self._drop(source)
        self._ask_again(chunk)

    def silent(self, source: str, chunk: int, now: float) -> None:
        """It did not answer in time, or cannot be reached."""
        self._close(source, chunk)
        if (known := self._sources.get(source)) and now >= known.rests_until:
            known.silent += 1
            known.window = WINDOW_START
            known.rests_until = now + REST_S * 2 ** (known.silent - 1)
            if known.silent >= SILENT_MAX:
                self._drop(source)
        self._ask_again(chunk)

    def wakes_at(self) -> float | None:
        """When a resting source can be asked again; None if none rests."""
        return min((s.rests_until for s in self._sources.values()), default=None)

    def _again(self, now: float) -> list[tuple[str, int]]:
        """End game: what is open at one source, of one that has nothing to do."""
        if self._unasked:
            return []
        asked = sorted(c for s in self._sources.values() for c in s.open if c in self._missing)
        for name, source in self._sources.items():
            if source.open or not self._is_free(source, now):
                continue
            for chunk in asked:
                if chunk not in source.bad and asked.count(chunk) == 1:
                    source.open.add(chunk)
                    return [(name, chunk)]
        return []

    def _freest(self, chunk: int, now: float) -> str | None:
        free = [
            name
            for name, source in self._sources.items()
            if self._is_free(source, now) and chunk not in source.bad
        ]
        return min(free, key=lambda name: len(self._sources[name].open), default=None)

    def _is_free(self, source: _Source, now: float) -> bool:
        return len(source.open) < source.window and now >= source.rests_until

    def _close(self, source: str, chunk: int) -> None:
        if known := self._sources.get(source):
            known.open.discard(chunk)

    def _ask_again(self, chunk: int) -> None:
        if chunk in self._missing and not any(chunk in s.open for s in self._sources.values()):
            heappush(self._unasked, chunk)

    def _drop(self, name: str) -> None:
        gone = self._sources.pop(name)
        for chunk in gone.open:
            self._ask_again(chunk)
