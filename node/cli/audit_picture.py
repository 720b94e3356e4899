"""The network's anchoring over time as an inline SVG: a row for each office, a column for time.

Events are bars whose height tells how many; below them ticks where an office above recorded the
log; at the right a diamond for each witness that co-signed the checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from math import log1p
from typing import Final

from markupsafe import Markup, escape

from ledger.audit_report import AuditReport, LogReport, Timeline

WIDTH: Final = 1000
LEFT: Final = 168
RIGHT: Final = 24
TOP: Final = 30
COLUMNS: Final = 200
_TICKS: Final = 6
_LATEST_MS: Final = 253_402_300_800_000  # the year 9999: a later claim is drawn nowhere
_TIERS: Final = (("province", "省 Province"), ("city", "市 Cities"), ("county", "县 Counties"))


@dataclass(frozen=True, slots=True)
class Scale:
    """Milliseconds to the left edge of a column."""

    first: int
    last: int

    def x(self, moment: float) -> float:
        share = (moment - self.first) / max(1, self.last - self.first)
        return LEFT + min(1.0, max(0.0, share)) * (WIDTH - LEFT - RIGHT)


def draw(report: AuditReport, faults: Mapping[str, int]) -> Markup:
    """The picture, or nothing where no event tells a time."""
    moments = sorted(_moments(report.logs))
    if not moments:
        return Markup("")
    scale = Scale(moments[0], max(moments[-1], moments[0] + 1000))
    height = 26 if len(report.logs) <= 24 else 13
    parts: list[str] = []
    at = TOP
    for tier, words in (*_TIERS, ("", "其他 Others")):
        logs = [log for log in report.logs if log.tier == tier]
        if not logs:
            continue
        parts.append(f'<text class="tier" x="8" y="{at + 13}">{words} · {len(logs)}</text>')
        at += 20
        for log in logs:
            parts += _row(log, scale, at, height, faults.get(log.office, 0))
            at += height
        at += 8
    axis = _axis(scale, at)
    title = "全网日志与锚定时序图 · events and anchoring over time"
    return Markup(  # noqa: S704 (numbers, and names that were escaped)
        f'<svg viewBox="0 0 {WIDTH} {at + 24}" role="img" aria-label="{title}" '
        f'xmlns="http://www.w3.org/2000/svg">{"".join(axis)}{"".join(parts)}</svg>'
    )


def _row(log: LogReport, scale: Scale, top: int, height: int, faults: int) -> list[str]:
    base = top + height * 0.68
    mark = height * 0.2
    name = escape(f"{log.office} {log.name}"[:18])
    style = ' class="bad"' if faults else ""
    told = escape(f"{log.office} {log.name}: {log.size}")
    size = 12 if height > 20 else 9
    parts = [
        f'<text x="8" y="{base:.1f}" font-size="{size}"{style}>{name}<title>{told}</title></text>',
        f'<line class="base" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{base:.1f}" y2="{base:.1f}"/>',
    ]
    counts = _columns(log.events, scale)
    most = max(counts.values(), default=1)
    width = (WIDTH - LEFT - RIGHT) / COLUMNS
    for column, count in sorted(counts.items()):
        tall = max(2.0, (height * 0.6) * log1p(count) / log1p(most))
        x = LEFT + column * width
        parts.append(
            f'<rect class="event" x="{x:.1f}" y="{base - tall:.1f}" '
            f'width="{width:.1f}" height="{tall:.1f}"/>'
        )
    for column in sorted(_columns(log.anchors, scale)):
        x = LEFT + (column + 0.5) * width
        path = f"M{x:.1f} {base + 1:.1f}l{mark / 2:.1f} {mark:.1f}h-{mark:.1f}z"
        parts.append(f'<path class="anchor" d="{path}"/>')
    for seconds in sorted({seconds for _, seconds in log.witnesses}):
        x, y = scale.x(seconds * 1000), base - height * 0.3
        parts.append(
            f'<path class="witness" d="M{x:.1f} {y - mark:.1f}l{mark:.1f} {mark:.1f}'
            f'l-{mark:.1f} {mark:.1f}l-{mark:.1f} -{mark:.1f}z"/>'
        )
    if log.size and log.witnesses_needed and log.witnessed_size == log.size:
        x = WIDTH - RIGHT + 12
        parts.append(f'<circle class="held" cx="{x}" cy="{base - mark:.1f}" r="{mark:.1f}"/>')
    return parts


def _axis(scale: Scale, bottom: int) -> list[str]:
    span = scale.last - scale.first
    form = "%Y-%m-%d" if span > 4 * 86_400_000 else "%m-%d %H:%M" if span > 600_000 else "%H:%M:%S"
    parts = []
    for number in range(_TICKS):
        moment = scale.first + span * number / (_TICKS - 1)
        x = scale.x(moment)
        words = datetime.fromtimestamp(moment / 1000, UTC).strftime(form)
        anchor = "end" if number == _TICKS - 1 else "start" if number == 0 else "middle"
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 6}" y2="{bottom}"/>')
        parts.append(f'<text class="time" x="{x:.1f}" y="14" text-anchor="{anchor}">{words}</text>')
    return parts


def _columns(line: Timeline, scale: Scale) -> dict[int, int]:
    """Moments by column of the picture."""
    counts: dict[int, int] = {}
    share = (WIDTH - LEFT - RIGHT) / COLUMNS
    for each in line.bins:
        moment = each.at << line.shift
        if moment < _LATEST_MS:
            column = min(COLUMNS - 1, int((scale.x(moment) - LEFT) / share))
            counts[column] = counts.get(column, 0) + each.count
    return counts


def _moments(logs: Iterable[LogReport]) -> Iterable[int]:
    for log in logs:
        for line in (log.events, log.anchors):
            yield from (
                each.at << line.shift for each in line.bins if each.at << line.shift < _LATEST_MS
            )
        yield from (seconds * 1000 for _, seconds in log.witnesses)
