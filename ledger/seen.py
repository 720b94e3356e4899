"""When had others seen how much of a log?  What offices above recorded, read as the log goes by.

Rows of the table ``seen``: child, size, parent, index of the event -> root, claimed time (u64).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import Final

from ledger.audit_report import Lateness, Witnessed
from ledger.views import number
from protocol.limits import CLOCK_SKEW_MS_MAX
from protocol.ports import Reader

FOREVER: Final = 2**62

Row = tuple[int, str, int, bytes, int]  # size, parent, index, root, time


def rows_of(reader: Reader, code: str, start: int = 0) -> Iterator[Row]:
    """What was recorded of a log from size ``start`` on, by size."""
    prefix = code.encode()
    for key, value in reader.scan("seen", prefix, prefix + number(start)):
        size, index = int.from_bytes(key[6:14], "big"), int.from_bytes(key[20:], "big")
        yield size, key[14:20].decode(), index, value[:32], int.from_bytes(value[32:], "big")


class Seen:
    """The sights of one log around the run that goes by."""

    def __init__(self, code: str) -> None:
        self._code = code
        self._reached = 0
        self._after = 0  # latest claimed time of the sights up to the run
        self._rows: list[Row] = []  # of the run, and the first one behind it

    def begin(self, reader: Reader, start: int) -> None:
        """Go on behind the first ``start`` entries."""
        times = [0]
        for row in rows_of(reader, self._code):
            if row[0] > start:
                break
            times.append(row[4])
        self._after, self._reached = max(times), start

    def sizes(self, reader: Reader, start: int, end: int) -> tuple[int, ...]:
        """The sizes above ``start`` (or 0) up to ``end`` at which a root was recorded."""
        found: list[int] = []
        for row in rows_of(reader, self._code, start + 1 if start else 0):
            if row[0] > end:
                break
            if not found or found[-1] != row[0]:
                found.append(row[0])
        return tuple(found)

    def advance(self, reader: Reader, size: int) -> list[tuple[str, int, int, bytes]]:
        """(parent, index, size, root) of the sights from the last size to this one."""
        self._after = max([self._after, *(row[4] for row in self._rows if row[0] <= self._reached)])
        self._rows = []
        for row in rows_of(reader, self._code, self._reached + 1 if self._reached else 0):
            self._rows.append(row)
            if row[0] > size:
                break
        self._reached = size
        return [(row[1], row[2], row[0], row[3]) for row in self._rows if row[0] <= size]

    def beyond(self, reader: Reader, size: int) -> list[Row]:
        return list(rows_of(reader, self._code, size + 1))

    def witnessed(self, times: array[int], start: int) -> list[Witnessed]:
        """The events of the run by who saw them first; the last ones may be nobody's yet."""
        rows = []
        for low, high, _, row in self._spans(times, start):
            claimed = [time for time in times[low - start : high - start] if time >= 0]
            if row is not None and claimed:
                _, parent, _, _, time = row
                rows.append(Witnessed(low, high, min(claimed), max(claimed), time, parent))
        return rows

    def lateness(self, times: array[int], start: int) -> list[Lateness]:
        """Events whose claimed time does not lie between the sights before and behind them."""
        late = []
        for low, high, after, row in self._spans(times, start):
            before = FOREVER if row is None else row[4]
            part = times[low - start : high - start]
            if min(part) + CLOCK_SKEW_MS_MAX >= after and max(part) <= before + CLOCK_SKEW_MS_MAX:
                continue
            late += [
                Lateness(self._code, index, time, after, before)
                for index, time in enumerate(part, low)
                if time >= 0
                and (time + CLOCK_SKEW_MS_MAX < after or time > before + CLOCK_SKEW_MS_MAX)
            ]
        return late

    def _spans(self, times: array[int], start: int) -> Iterator[tuple[int, int, int, Row | None]]:
        """(first index, end, time of the latest sight before, the first sight behind)."""
        end, low, after = start + len(times), start, self._after
        for row in self._rows:
            high = min(row[0], end)
            if high > low:
                yield low, high, after, row
                low = high
            if row[0] <= end:
                after = max(after, row[4])
        if low < end:
            yield low, end, after, None
