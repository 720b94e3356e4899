"""The report of an audit as one HTML file that needs nothing else: no script, no network."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Final

from jinja2 import Environment, PackageLoader

from ledger.audit_report import AuditFinding, AuditReport, LogReport
from node.cli.audit_picture import draw

ROWS_MAX: Final = 500
TIER_WORDS: Final = {"province": "省", "city": "市", "county": "县"}

CURES: Final = {
    "log": (
        "向该机构或其镜像索取完整日志后重新审计；仍不符，则报省级",
        "ask the office or a mirror for the whole log and audit again; if it stays so, report it",
    ),
    "checkpoint": (
        "核对名册中的密钥；向见证者索取其所见检查点",
        "compare the keys with the roster; ask the witnesses for the checkpoint that they saw",
    ),
    "entry": (
        "从另一持有者取回该条目；散列相符者为原件",
        "fetch the entry from another holder; the one that fits the hash is the original",
    ),
    "anchor": (
        "封存两方日志，向见证者索取所见检查点，查明何方改写",
        "keep both logs, ask the witnesses what they saw, find out who rewrote",
    ),
    "event": (
        "该事件不计入状态；请该机构说明并重新上报",
        "the event counts for nothing; let the office explain and report again",
    ),
    "fork": (
        "证据附后，可用标准工具复核；省级应关闭该密钥",
        "the evidence is at hand for standard tools to check; the province should close the key",
    ),
}
_CURE_OF: Final = {
    "bundle": "entry",
    "tile": "entry",
    "log.fork": "fork",
    "log.contradiction": "fork",
    "log.rewritten": "anchor",
}


def page(report: AuditReport) -> str:
    """The whole file."""
    templates = Environment(loader=PackageLoader("node.cli"), autoescape=True)
    templates.filters["when"] = when
    faults = Counter(each.office for each in report.findings)
    noted = Counter(each.office for each in report.notes)
    return templates.get_template("audit.html").render(
        report=report,
        faults=faults,
        noted=noted,
        events=sum(log.size for log in report.logs),
        witnessed=sum(log.size > 0 and log.witnessed_size == log.size for log in report.logs),
        silent=sum(log.size == 0 for log in report.logs),
        cure=cure,
        picture=draw(report, faults),
        groups=_by_code(report.findings),
        tiers=TIER_WORDS,
        first_seen=[row for log in report.logs for row in _sights(log)][:ROWS_MAX],
        rows_max=ROWS_MAX,
    )


def cure(code: str) -> tuple[str, str]:
    """What to do about a finding, in both languages."""
    family = code.partition(".")[0]
    return CURES.get(_CURE_OF.get(code, _CURE_OF.get(family, family)), CURES["event"])


def when(milliseconds: int) -> str:
    """A time for people, or a dash for one that no calendar has."""
    if not 0 < milliseconds < 253_402_300_800_000:
        return "—"
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _by_code(findings: tuple[AuditFinding, ...]) -> list[tuple[AuditFinding, int]]:
    """One finding of each code, and how many there are; most first."""
    counts = Counter(each.code for each in findings)
    first = {each.code: each for each in reversed(findings)}
    return [(first[code], count) for code, count in counts.most_common()]


def _sights(log: LogReport) -> list[tuple[str, int, int, int, int, int, str]]:
    """(office, first and last index, span of claimed times, first sight, whose), newest last."""
    return [
        (
            log.office,
            row.start,
            row.end - 1,
            row.claimed_first,
            row.claimed_last,
            row.seen_at,
            row.by,
        )
        for row in log.witnessed[-8:]
    ]
