"""Pretended time of day and pretended chance."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

from protocol.ids import UnixMs

EPOCH_MS: Final = 1_800_000_000_000  # when every simulation begins: January 2027


class SimClock:
    """Wall clock of one machine: true time, plus an offset, running fast or slow.

    ``offset_ms`` may be set at any time: the clock jumps.
    """

    def __init__(
        self, seconds: Callable[[], float], offset_ms: int = 0, drift_ppm: int = 0
    ) -> None:
        """``seconds`` is the ``time`` of the loop; ``drift_ppm`` µs are gained per second."""
        self.offset_ms = offset_ms
        self._seconds = seconds
        self._drift_ppm = drift_ppm

    def now(self) -> UnixMs:
        microseconds = round(self._seconds() * 1_000_000)
        gained = microseconds * self._drift_ppm // 1_000_000
        return UnixMs(EPOCH_MS + self.offset_ms + (microseconds + gained) // 1000)


class SimRng:
    """Bytes drawn from a seed.  One per node, each with a name of its own, so that what one node
    draws does not change what another gets."""

    def __init__(self, seed: int, name: str = "") -> None:
        self._random = draws(seed, name)

    def random_bytes(self, count: int) -> bytes:
        return self._random.randbytes(count)


def draws(seed: int, name: str) -> random.Random:
    """An independent stream of chance for ``name``, the same in every process."""
    return random.Random(f"{seed}/{name}")  # text is hashed with SHA-512, not with hash()
