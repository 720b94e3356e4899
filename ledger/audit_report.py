"""What an audit found, as it is stored, printed and given as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from ledger.findings import WORDS

TIMELINE_BINS_MAX: Final = 512
WITNESSED_ROWS_MAX: Final = 128


@dataclass(frozen=True, slots=True)
class AuditFinding:
    """What does not hold, or (among the notes) what is worth knowing, and where.  ``index`` is -1
    for a log as a whole."""

    office: str
    index: int
    code: str
    detail: str
    zh: str
    en: str


def finding(office: str, index: int, code: str, detail: str = "") -> AuditFinding:
    return AuditFinding(office, index, code, detail[:200], *WORDS[code][:2])


@dataclass(frozen=True, slots=True)
class Lateness:
    """A claimed time (ms) that what others recorded around the event does not bear out."""

    office: str
    index: int
    claimed: int
    not_before: int
    not_after: int


@dataclass(frozen=True, slots=True)
class Bin:
    """How many moments have this value of milliseconds >> shift."""

    at: int
    count: int


@dataclass(frozen=True, slots=True)
class Timeline:
    """Moments counted in bins of 2^shift ms, which widen so that there are never many."""

    shift: int = 10
    bins: tuple[Bin, ...] = ()

    def add(self, moments: Mapping[int, int], shift: int) -> Timeline:
        """With moments counted by ms >> ``shift`` (at most this timeline's)."""
        wide = self.shift
        counts = Counter({each.at: each.count for each in self.bins})
        for at, count in moments.items():
            counts[at >> (wide - shift)] += count
        while len(counts) > TIMELINE_BINS_MAX:
            wide += 1
            wider: Counter[int] = Counter()
            for at, count in counts.items():
                wider[at >> 1] += count
            counts = wider
        return Timeline(wide, tuple(Bin(at, counts[at]) for at in sorted(counts)))


@dataclass(frozen=True, slots=True)
class Witnessed:
    """Events from ``start`` to below ``end``: what they claim (ms), and when somebody else first
    saw them (ms) and who."""

    start: int
    end: int
    claimed_first: int
    claimed_last: int
    seen_at: int
    by: str


def thinned(rows: tuple[Witnessed, ...]) -> tuple[Witnessed, ...]:
    """Neighbours put together while there are too many; the later sight stands for both."""
    while len(rows) > WITNESSED_ROWS_MAX:
        pairs = zip(rows[::2], rows[1::2], strict=False)
        joined = tuple(
            replace(
                late,
                start=early.start,
                claimed_first=min(early.claimed_first, late.claimed_first),
                claimed_last=max(early.claimed_last, late.claimed_last),
            )
            for early, late in pairs
        )
        rows = (*joined, rows[-1]) if len(rows) % 2 else joined
    return rows


@dataclass(frozen=True, slots=True)
class LogReport:
    """What was found of one log.  ``witnesses``: (office, POSIX seconds) of good co-signatures."""

    office: str
    name: str
    tier: str
    parent: str
    size: int
    root: str
    kinds: dict[str, int]
    witnesses_needed: int
    witnesses: tuple[tuple[str, int], ...]
    witnessed_size: int
    events: Timeline
    anchors: Timeline  # when offices above recorded this log
    witnessed: tuple[Witnessed, ...]


@dataclass(frozen=True, slots=True)
class AuditReport:
    """``notes`` are no faults: what is worth knowing, under codes of their own."""

    network: str
    genesis_id: str
    sources: tuple[str, ...]
    logs: tuple[LogReport, ...]
    findings: tuple[AuditFinding, ...]
    findings_left_out: int
    notes: tuple[AuditFinding, ...]
    notes_left_out: int
    lateness: tuple[Lateness, ...]
    evidence: dict[str, bytes]  # of forks, by SHA-256
    items: dict[str, int]  # in each status
    state_digest: str

    @property
    def ok(self) -> bool:
        return not self.findings
