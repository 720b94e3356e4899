"""How fast may files travel now?  A rate for the day and one for the night (错峰).

Pure: the caller brings the time.  Hours are those of China, which has one (UTC+8).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from protocol.errors import ConfigError
from protocol.ids import UnixMs
from protocol.limits import KiB

CHINA_OFFSET_MIN: Final = 8 * 60
DAY_MIN: Final = 24 * 60
BURST_S: Final = 1.0  # so long a pause may be made up for


@dataclass(frozen=True, slots=True)
class Rates:
    """Bytes a second by day and by night; ``night_from`` to ``night_until`` are minutes of the
    day, the night may pass midnight."""

    day_bytes_s: int
    night_bytes_s: int
    night_from: int
    night_until: int

    def at(self, now: UnixMs) -> int:
        minute = (now // 60_000 + CHINA_OFFSET_MIN) % DAY_MIN
        since = (minute - self.night_from) % DAY_MIN
        is_night = since < (self.night_until - self.night_from) % DAY_MIN
        return self.night_bytes_s if is_night else self.day_bytes_s


def rates_of(day_kib_s: int, night_kib_s: int, night: str) -> Rates:
    """
    Raises:
        ConfigError: ``night`` is not ``HH:MM-HH:MM``.
    """
    return Rates(day_kib_s * KiB, night_kib_s * KiB, *parse_night(night))


class Pace:
    """A leaky bucket: whoever has bytes to move asks when."""

    def __init__(self, rates: Rates) -> None:
        self._rates = rates
        self._free_at = float("-inf")

    def wait_s(self, size: int, at_s: float, now: UnixMs) -> float:
        """Seconds from ``at_s`` (of a clock that never goes back) until ``size`` bytes may move;
        they are counted as moved.  ``now`` is the wall time, which says whether it is night."""
        begins = max(self._free_at, at_s - BURST_S)
        self._free_at = begins + size / self._rates.at(now)
        return max(0.0, begins - at_s)


def parse_night(text: str) -> tuple[int, int]:
    """The two minutes of the day in ``22:00-06:00``.

    Raises:
        ConfigError: another form.
    """
    start, dash, end = text.partition("-")
    minutes = [_minute(part) for part in (start, end)]
    if not dash or None in minutes:
        raise ConfigError("[transfer] night", "HH:MM-HH:MM", repr(text[:40]))
    return minutes[0] or 0, minutes[1] or 0


def _minute(text: str) -> int | None:
    hour, colon, minute = text.partition(":")
    if not colon or not (hour.isdecimal() and minute.isdecimal()) or len(text) != 5:
        return None
    value = int(hour) * 60 + int(minute)
    return value if int(minute) < 60 and value < DAY_MIN else None
