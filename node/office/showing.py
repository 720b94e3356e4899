"""What came from shards, as faces are told it: hits, and what was done for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ledger.views import ItemView
from node.office.answers import (
    Explanation,
    Hit,
    HolderTime,
    Line,
    Note,
    Reason,
    ShardTrace,
    StepTime,
)
from node.office.fanout import Answered, Gathered
from protocol.errors import DecodeError
from protocol.limits import RECORD_ELEMENT_CHARS_MAX
from protocol.messages import HitLine, TraceLine
from protocol.shapes import from_value
from search_shard.lattice import NEAR, RULES, Query
from search_shard.rank import Hit as ShardHit

SHOWN_CHARS_MAX: Final = 1_000  # of a snippet, a line of context, a label
HEAD_CHARS_MAX: Final = 2 * RECORD_ELEMENT_CHARS_MAX  # title and volume, or the subjects
_SURENESS: Final = {rule: at for at, rule in enumerate((*RULES, *NEAR))}


def read_hit(line: HitLine) -> ShardHit:
    """The hit in a line that may be another node's.

    Raises:
        DecodeError: another shape, a rule there is not, marks outside its snippet, or a key that
            is not its own.
    """
    hit = from_value(ShardHit, line.shown, "hit")
    key = (line.key.score, line.key.office, line.key.item, line.key.seq)
    if key != (hit.score, hit.office, hit.item, hit.seq):
        raise DecodeError("hit.key", "that of its hit", repr(key)[:60])
    for reason in hit.reasons:
        if reason.rule not in _SURENESS:
            raise DecodeError("hit.reason", " or ".join(_SURENESS), repr(reason.rule[:20]))
    for mark in hit.highlights:
        if len(mark) != 2 or not mark[0] < mark[1] <= len(hit.snippet):
            raise DecodeError("hit.highlights", "marks inside the snippet", repr(mark)[:40])
    texts = [hit.snippet, hit.page]
    texts += [part for each in hit.lines for part in (each.left, each.match, each.right)]
    for most, shown in ((SHOWN_CHARS_MAX, texts), (HEAD_CHARS_MAX, [hit.title, hit.section])):
        if (longest := max(map(len, shown))) > most:
            raise DecodeError("hit", f"texts of at most {most} characters", longest)
    return hit


def matched_by(hit: ShardHit) -> str:
    """The rule of the costliest reason; ``title:`` before it when only a title or heading has the
    word; "" for a hit that no word was needed for."""
    if not hit.reasons:
        return ""
    worst = max(hit.reasons, key=lambda reason: _SURENESS[reason.rule])
    return worst.rule if worst.field == "text" else f"title:{worst.rule}"


def show(hit: ShardHit, view: ItemView, office_name: str, witnesses: tuple[str, ...]) -> Hit:
    return Hit(
        office=hit.office,
        office_name=office_name,
        item=view.item,
        title=hit.title,
        page=hit.page,
        section=hit.section,
        snippet=hit.snippet,
        highlights=hit.highlights,
        matched_by=matched_by(hit),
        score=hit.score,
        file=hit.file,
        log_index=hit.log_index,
        seq=hit.seq,
        public=view.public,
        witnessed_by=witnesses,
        reasons=tuple(Reason(each.word, each.rule, each.found) for each in hit.reasons),
        lines=tuple(Line(each.left, each.match, each.right) for each in hit.lines),
    )


def notes_of(query: Query) -> tuple[Note, ...]:
    return tuple(Note(note.rule, note.typed, note.taken_for) for note in query.notes)


def explain(lattice: Sequence[str], parse_us: int, gathered: Gathered) -> Explanation:
    holders = (HolderTime(code, count, round(1e6 * s)) for code, count, s in gathered.times)
    traces = (_trace(each) for _, each in sorted(gathered.shards.items()))
    return Explanation(tuple(lattice), parse_us, tuple(holders), tuple(traces))


def _trace(answered: Answered) -> ShardTrace:
    lines = answered.reply.trace
    return ShardTrace(
        office=answered.reply.office,
        answered_by=answered.holder,
        postings=_sum(lines, "postings"),
        candidates=_sum(lines, "candidates"),
        verified=_sum(lines, "found"),
        steps=_steps(lines),
    )


def _steps(lines: Sequence[TraceLine]) -> tuple[StepTime, ...]:
    """Each kind of step once, in the order of the first, with all its counts and times; lines tell
    the time from the start."""
    steps: dict[str, tuple[int, int]] = {}
    before = 0
    for line in lines:
        count, us = steps.get(line.what, (0, 0))
        steps[line.what] = count + line.count, us + max(line.us - before, 0)
        before = max(line.us, before)
    return tuple(StepTime(name, count, us) for name, (count, us) in steps.items())


def _sum(lines: Sequence[TraceLine], what: str) -> int:
    return sum(line.count for line in lines if line.what == what)
