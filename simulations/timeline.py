"""A run as one HTML file: offices as rows, faults as bars, events as marks, virtual time across.

The file stands alone: a picture in SVG, no script, nothing fetched.  Whatever the pointer rests on
says what it is.  It is made of the mix and of the lines of the trace, so the same run gives the
same file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from html import escape
from typing import Final

from configs.offices import load
from protocol.ids import OfficeCode
from simulations.faults import Fault, Mix

TABLE: Final = "jiangsu"
LEFT, RIGHT, TOP, WIDTH = 170, 30, 34, 1400  # pixels
ROWS_HEIGHT, ROW_MIN, ROW_MAX = 1100, 12, 34
LINES_PER_TITLE: Final = 8
LINE: Final = re.compile(r" *(\d+\.\d+) (\S+) (.*)")
VERDICT: Final = re.compile(r"(held|FAILED) +(\w+): (.*)")
HOUR_S, DAY_S = 3600, 86_400
STEPS_S: Final = (
    *(1, 5, 10, 30, 60, 300, 600, 1800),
    *(HOUR_S, 3 * HOUR_S, 6 * HOUR_S, DAY_S, 5 * DAY_S, 30 * DAY_S),
)
TICKS_MAX: Final = 16


@dataclass(frozen=True, slots=True)
class Look:
    """How something is shown, and its names."""

    chinese: str
    english: str
    colour: str
    shape: str = "dot"  # dot, cross or tick

    def __str__(self) -> str:
        return f"{self.chinese} {self.english}"


FAULTS: Final[Mapping[str, Look]] = {
    "cut": Look("断网", "cut off", "#e8963a"),
    "deaf": Look("只出不进", "deaf", "#e8b03a"),
    "mute": Look("只进不出", "mute", "#e8c76a"),
    "thin": Look("线路过窄", "thin line", "#c2a15a"),
    "stall": Look("线路滞缓", "stalled line", "#a58a50"),
    "crash": Look("断电", "crash", "#b3262e"),
    "restart": Look("重启", "restart", "#6b7a8f"),
    "pause": Look("停顿", "paused", "#8f9bb0"),
    "full": Look("盘满", "disk full", "#7b4fa3"),
    "broken": Look("盘坏", "disk broken", "#5e2f86"),
    "lie": Look("盘失信", "disk lies", "#93348f"),
    "rot": Look("位腐", "bits rot", "#6f8a2f"),
    "backup": Look("换回旧盘", "old copy put in", "#2f8a86"),
    "empty": Look("换上空盘", "empty disk put in", "#1f6f8a"),
    "jump": Look("时钟跳变", "clock jumps", "#d0679d"),
    "forks": Look("签两种历史", "signs two histories", "#1a1a1a"),
    "impersonates": Look("冒签他人", "signs for others", "#2e2e2e"),
    "holds nothing": Look("谎报持有", "holds nothing", "#434343"),
    "invents hits": Look("伪造命中", "invents hits", "#585858"),
    "floods": Look("灌水", "floods", "#6e6e6e"),
    "replays": Look("重放旧文", "replays", "#858585"),
}
OTHER_FAULT: Final = "#8a5aa8"
EVENTS: Final[Mapping[str, Look]] = {
    "admitted": Look("入网", "admitted", "#2f6fb0"),
    "submitted": Look("报送", "reported", "#1d8a4e"),
    "spooled": Look("待登记", "spooled", "#d4a017"),
    "accepted": Look("已审", "accepted", "#0f5fa8"),
    "returned": Look("返工", "returned", "#9a6a1f"),
    "withdrawn": Look("下架", "withdrawn", "#5c4a8a"),
    "report failed": Look("报送未成", "report failed", "#c22f2f", "cross"),
    "review failed": Look("审核未成", "review failed", "#c22f2f", "cross"),
    "search failed": Look("检索未成", "search failed", "#c22f2f", "cross"),
    "searched in part": Look("检索不全", "searched in part", "#b0489c", "cross"),
    "doctor": Look("体检", "doctor", "#2f8a86"),
    "lost for all": Look("无处可寻", "lost for all", "#c22f2f", "cross"),
    "died": Look("异常退出", "died", "#000000", "cross"),
    "broken": Look("断线", "link broken", "#9aa3ad", "tick"),
}
QUIET: Final = frozenset(
    {"frame", "dial", "listen", "searched", "start", "stop", "crash"}
    | {"pause", "resume", "rot", "other disk", "cut off", "reaches again"}
)
"""Shown as bars, or too ordinary to be shown."""
OTHER_EVENT: Final = "#4a4a4a"
DOWN: Final = Look("关机", "down", "#d5d8dc")


@dataclass(frozen=True, slots=True)
class Moment:
    """A line of a trace."""

    at: float  # seconds
    actor: str
    event: str
    line: str


def moments(lines: Iterable[str]) -> Iterator[Moment]:
    """What lines of a trace say; lines of another form are passed over."""
    for line in lines:
        if found := LINE.match(line):
            words = found[3].split(" ")
            facts = next((n for n, word in enumerate(words) if "=" in word), len(words))
            event = " ".join(words[:facts])
            if event == "searched" and "missing=nothing" not in words:
                event = "searched in part"
            yield Moment(float(found[1]), found[2], event, line.strip())


def timeline(mix: Mix, lines: Iterable[str]) -> str:
    """The HTML file of a run.  ``lines`` are those of its trace."""
    seen = [moment for moment in moments(lines) if moment.event != "frame"]
    return _Picture(mix, seen).page()


class _Picture:
    def __init__(self, mix: Mix, seen: list[Moment]) -> None:
        self._mix = mix
        self._seen = seen
        self._end = max([mix.seconds, *(moment.at for moment in seen)])
        self._rows = {code: number for number, code in enumerate(mix.machines)}
        self._row = min(ROW_MAX, max(ROW_MIN, ROWS_HEIGHT // len(self._rows)))
        self._names = {row.code: row for row in load(TABLE)}

    def page(self) -> str:
        verdicts = [
            found
            for moment in self._seen
            if moment.actor == "checker" and (found := VERDICT.match(moment.line.split(" ", 2)[2]))
        ]
        wrong = [found[2] for found in verdicts if found[1] == "FAILED"]
        heading = f"FAILED {', '.join(wrong)}" if wrong else "held" if verdicts else "not judged"
        chinese = "未通过" if wrong else "通过" if verdicts else "未检查"
        mix = "\n".join(self._mix.lines())
        checks = "\n".join(
            f'<li class="{found[1]}"><b>{escape(found[2])}</b> {escape(found[3])}</li>'
            for found in verdicts
        )
        return f"""<!doctype html>
<html lang="zh"><head><meta charset="utf-8">
<title>{escape(self._mix.scenario)} {self._mix.seed}: {chinese} {escape(heading)}</title>
<style>
body {{ font: 14px/1.5 system-ui, "Noto Sans CJK SC", "Microsoft YaHei", sans-serif; margin: 24px;
  color: #222; background: #fff; }}
h1 {{ font-size: 20px; margin: 0 0 4px; }}
h1 b.held {{ color: #1d8a4e; }} h1 b.FAILED {{ color: #c22f2f; }}
svg {{ width: 100%; min-width: 1000px; height: auto; display: block; }}
svg text {{ font-size: 11px; fill: #444; }}
details {{ margin: 8px 0; }} pre {{ margin: 4px 0; white-space: pre-wrap; }}
ul {{ columns: 2; padding-left: 18px; }} li.FAILED, li.FAILED b {{ color: #c22f2f; }}
.legend span {{ margin-right: 16px; white-space: nowrap; }}
.legend svg {{ width: 22px; min-width: 0; height: 12px; display: inline-block; }}
</style></head><body>
<h1>时间线 Timeline · {escape(self._mix.scenario)} · 种子 seed {self._mix.seed} ·
<b class="{"FAILED" if wrong else "held"}">{chinese} {escape(heading)}</b></h1>
<details><summary>本次的条件 the mix of this run</summary><pre>{escape(mix)}</pre></details>
<p class="legend">{self._legend()}</p>
{self._svg()}
<h2>检查 Checks</h2>
<ul>
{checks}
</ul>
</body></html>
"""

    # the picture

    def _svg(self) -> str:
        height = TOP + self._row * len(self._rows) + 26
        parts = [
            *self._axis(height),
            *self._offices(),
            *self._downs(),
            *(part for fault in self._mix.faults for part in self._fault(fault)),
            *self._marks(),
        ]
        inside = "\n".join(parts)
        label = "时间线：各机构一行 timeline, one row per office"
        box = f'viewBox="0 0 {WIDTH} {height}"'
        return f'<svg {box} role="img" aria-label="{label}">\n{inside}\n</svg>'

    def _axis(self, height: int) -> Iterator[str]:
        settling = self._x(self._mix.seconds)
        yield _box(
            (settling, TOP, self._x(self._end) - settling, height - TOP - 26),
            "#eef4ee",
            "收敛与检查 settling and checks",
        )
        step = next((s for s in STEPS_S if self._end / s <= TICKS_MAX), STEPS_S[-1])
        unit, size = next(
            pair
            for pair in (("日 d", DAY_S), ("时 h", HOUR_S), ("分 min", 60), ("秒 s", 1))
            if step >= pair[1]
        )
        for number in range(int(self._end // step) + 1):
            x = self._x(number * step)
            word = f"{number * step // size}" + (f" {unit}" if number == 0 else "")
            yield f'<path d="M{x:.1f} {TOP}V{height - 26}" stroke="#ddd" stroke-width="1"/>'
            for y in (TOP - 8, height - 10):
                yield f'<text x="{x:.1f}" y="{y}" text-anchor="middle">{word}</text>'

    def _offices(self) -> Iterator[str]:
        for code, number in self._rows.items():
            y = TOP + number * self._row
            row = self._names[code]
            indent = {"province": 4, "city": 14, "county": 24}[row.tier]
            yield f'<path d="M0 {y}H{WIDTH - RIGHT}" stroke="#eee" stroke-width="1"/>'
            yield (
                f'<text x="{indent}" y="{y + self._row / 2 + 4:.1f}"><title>{escape(row.english)}'
                f"</title>{code} {escape(row.name)}</text>"
            )

    def _downs(self) -> Iterator[str]:
        """From the beginning to the first start, and from every end to the next start."""
        since: dict[str, float | None] = dict.fromkeys(self._rows, 0.0)
        downs: list[tuple[str, float, float]] = []
        for moment in self._seen:
            if moment.actor not in since:
                continue
            begun = since[moment.actor]
            if moment.event == "start" and begun is not None:
                downs.append((moment.actor, begun, moment.at))
                since[moment.actor] = None
            elif moment.event in ("stop", "crash", "died") and begun is None:
                since[moment.actor] = moment.at
        # the run ends by stopping all: nobody is down after that
        for code, begun, until in downs:
            y = TOP + self._rows[OfficeCode(code)] * self._row
            box = (self._x(begun), y + 1, self._x(until) - self._x(begun), self._row - 2)
            yield _box(box, DOWN.colour, f"{DOWN} {code} {begun:.1f}-{until:.1f} s")

    def _fault(self, fault: Fault) -> Iterator[str]:
        look = FAULTS.get(fault.kind, Look("故障", fault.kind, OTHER_FAULT))
        for code in fault.whom:
            if code in self._rows:
                y = TOP + self._rows[code] * self._row
                width = max(3.0, self._x(fault.until) - self._x(fault.at))
                box = (self._x(fault.at), y + 2, width, self._row * 0.36)
                yield _box(box, look.colour, f"{look.chinese} {fault}")

    def _marks(self) -> Iterator[str]:
        """One mark for everything of one kind that an office has on one pixel."""
        places: dict[tuple[int, int, str], list[str]] = {}
        for moment in self._seen:
            number = self._rows.get(OfficeCode(moment.actor))
            if number is not None and moment.event not in QUIET:
                places.setdefault((number, round(self._x(moment.at)), moment.event), []).append(
                    moment.line
                )
        for (number, x, event), lines in places.items():
            y = TOP + (number + 0.7) * self._row
            look = EVENTS.get(event, Look("事件", event, OTHER_EVENT))
            more = len(lines) - LINES_PER_TITLE
            told = [str(look), *lines[:LINES_PER_TITLE], *([f"+{more}"] if more > 0 else [])]
            yield _mark(look, x, y, self._row * 0.18, "\n".join(told))

    def _legend(self) -> str:
        """What of all that can be shown is in this picture."""
        kinds = {fault.kind for fault in self._mix.faults}
        events = {moment.event for moment in self._seen}
        shown = [_swatch(look, None) for kind, look in FAULTS.items() if kind in kinds]
        shown += [
            _swatch(Look("故障", kind, OTHER_FAULT), None) for kind in sorted(kinds - set(FAULTS))
        ]
        shown.append(_swatch(DOWN, None))
        shown += [_swatch(look, look.shape) for event, look in EVENTS.items() if event in events]
        return "\n".join(shown)

    def _x(self, at: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * at / self._end


def _box(box: tuple[float, float, float, float], colour: str, title: str) -> str:
    x, y, width, height = box
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
        f' fill="{colour}"><title>{escape(title)}</title></rect>'
    )


def _mark(look: Look, x: float, y: float, size: float, title: str) -> str:
    told = f"<title>{escape(title)}</title>"
    if look.shape == "dot":
        return f'<circle cx="{x}" cy="{y:.1f}" r="{size:.1f}" fill="{look.colour}">{told}</circle>'
    path = f"M{x} {y - size:.1f}V{y + size:.1f}"
    if look.shape == "cross":
        path = (
            f"M{x - size:.1f} {y - size:.1f}L{x + size:.1f} {y + size:.1f}"
            f"M{x + size:.1f} {y - size:.1f}L{x - size:.1f} {y + size:.1f}"
        )
    width = 2 if look.shape == "cross" else 1
    return (
        f'<path d="{path}" stroke="{look.colour}" stroke-width="{width}" fill="none">{told}</path>'
    )


def _swatch(look: Look, shape: str | None) -> str:
    inside = (
        _box((0, 1, 20, 10), look.colour, str(look))
        if shape is None
        else _mark(look, 11, 6, 4, str(look))
    )
    return f'<span><svg viewBox="0 0 22 12">{inside}</svg> {escape(str(look))}</span>'
