"""What else a word may be written as: the protocol of the tables in ``rules/``, and its use.

A table says which part of a word has another form and by which rule; here such parts are replaced,
one or several of them, within bounds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from search_shard.lattice import PHRASES_MAX, RULES, Note


@dataclass(frozen=True, slots=True)
class Alternative:
    """``text[start:end]`` of a word may also be written as ``text`` here."""

    rule: str  # year, number, place or synonym
    text: str
    start: int
    end: int
    note: str = ""  # for the reader, for example 隋至清 苏州的别称


class Widener(Protocol):
    """A table of rules."""

    def alternatives(self, text: str) -> Iterable[Alternative]:
        """Other forms of parts of ``text``, the best first.

        ``text`` is one word, folded, without what is skipped in matching.  Called for every word of
        every query: a word that is not concerned must cost about a microsecond.
        """
        ...


class Calendar(Protocol):
    """Years as filters know them."""

    def years(self, text: str) -> tuple[int, int] | None:
        """First and last Western year of a folded date: 民国二十三年 → (1934, 1934), 康熙 → (1662,
        1722); None when ``text`` is no date."""
        ...


@dataclass(frozen=True, slots=True)
class Widened:
    """A word with some of its parts replaced, by its least sure ``rule``."""

    rule: str
    text: str
    notes: tuple[Note, ...]


def widen(text: str, wideners: Iterable[Widener], off: Collection[str] = ()) -> Sequence[Widened]:
    """The forms of a folded word by all rules that are not ``off``; fewest replacements first.

    At most :data:`PHRASES_MAX`, whatever the tables say.
    """
    found = [
        alternative
        for widener in wideners
        for alternative in widener.alternatives(text)
        if alternative.rule not in off and alternative.start < alternative.end
    ]
    if not found:
        return ()
    chosen: list[tuple[Alternative, ...]] = [(each,) for each in found[:PHRASES_MAX]]
    for parts in chosen:  # grows while it is walked
        later = (each for each in found if each.start >= parts[-1].end)
        chosen += [(*parts, each) for each in later][: PHRASES_MAX - len(chosen)]
    return [_replaced(text, parts) for parts in chosen]


def _replaced(text: str, parts: Sequence[Alternative]) -> Widened:
    pieces, notes, done = [], [], 0
    for part in parts:
        pieces += [text[done : part.start], part.text]
        done = part.end
        told = f"{part.text}（{part.note}）" if part.note else part.text
        notes.append(Note(part.rule, text[part.start : part.end], told))
    rule = max((part.rule for part in parts), key=RULES.index)
    return Widened(rule, "".join(pieces) + text[done:], tuple(notes))
