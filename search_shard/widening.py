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

    @property
    def rule(self) -> str:
        """The rule of its alternatives."""
        ...

    @property
    def sign(self) -> str:
        """A regular expression, without groups, that is in every word that has alternatives."""
        ...

    @property
    def version(self) -> str:
        """Tells one state of the table from another."""
        ...

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


class Gazetteer(Protocol):
    """Places as filters know them."""

    def codes(self, text: str) -> tuple[str, ...]:
        """Codes of the divisions of today that a folded name or a code, present or abolished, may
        mean; () when ``text`` is no place."""
        ...

    def old_names(self, code: str) -> tuple[str, ...]:
        """What else the division of today with this code was or is called."""
        ...

    def told(self, name: str, codes: Collection[str]) -> str:
        """What a folded old name was of the divisions of these codes, in words; "" for others."""
        ...


@dataclass(frozen=True, slots=True)
class Widened:
    """A word with some of its parts replaced, by its least sure ``rule``."""

    rule: str
    text: str
    parts: tuple[Alternative, ...]


def widen(text: str, wideners: Iterable[Widener], off: Collection[str] = ()) -> Sequence[Widened]:
    """The forms of a folded word by all rules that are not ``off``; fewest replacements first.

    Each form once, at most :data:`PHRASES_MAX` of them, whatever the tables say.
    """
    found: list[Alternative] = []
    for widener in wideners:
        found += widener.alternatives(text)
    if not found:
        return ()
    found = [each for each in found if each.rule not in off and each.start < each.end]
    forms: dict[str, Widened] = {text: Widened("", text, ())}
    for parts in _chosen(found):
        form = text
        for part in reversed(parts):
            form = form[: part.start] + part.text + form[part.end :]
        if form not in forms:
            rule = (
                max((part.rule for part in parts), key=RULES.index) if parts[1:] else parts[0].rule
            )
            forms[form] = Widened(rule, form, parts)
    del forms[text]
    return tuple(forms.values())


def _chosen(found: Sequence[Alternative]) -> Sequence[tuple[Alternative, ...]]:
    """Each of ``found``, then several that do not overlap, from left to right."""
    chosen: list[tuple[Alternative, ...]] = [(each,) for each in found[:PHRASES_MAX]]
    last = max((each.start for each in found), default=0)
    for parts in chosen:  # grows while it is walked
        if parts[-1].end <= last:
            later = [(*parts, each) for each in found if each.start >= parts[-1].end]
            chosen += later[: PHRASES_MAX - len(chosen)]
    return chosen


def notes_of(text: str, forms: Iterable[Widened]) -> list[Note]:
    """What ``forms`` of ``text`` say to the reader: for each part, all that it is taken for."""
    told: dict[tuple[str, str, str], dict[str, None]] = {}
    for part in (part for form in forms for part in form.parts):
        told.setdefault((part.rule, text[part.start : part.end], part.note), {})[part.text] = None
    return [
        Note(rule, typed, "、".join(others) + (f"（{note}）" if note else ""))
        for (rule, typed, note), others in told.items()
    ]
