"""A parsed query: what travels to every shard, as canonical values.

A query is words joined by a plan, within filters.  A word is alternative phrases; a phrase is one
position for each character.  The lattice names folded characters and syllables, never the codes of
a segment.  Specification: docs/spec/query.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from protocol.errors import DecodeError
from protocol.limits import QUERY_CHARS_MAX

# How a phrase came from what was typed, the surest first; a hit says which of them it matched by,
# and each can be switched off.
RULES: Final = (
    "literal",  # these very characters, nothing folded
    "typed",  # the characters typed, folded: simplified, traditional and variants are one
    "year",  # 康熙三十年 = 1691 = 辛未
    "number",  # 一百二十 = 120
    "place",  # 姑苏 = 苏州, an abolished county = its successor
    "synonym",  # from the table that the province signs
    "pinyin",
    "initials",
)
# One wrong character, in typed phrases only: of the same sound, of a like shape, any other.
NEAR: Final = ("sound", "shape", "other")
AND, OR, NOT = "and", "or", "not"  # in a plan; "not" is "and not": the left less the right
SPOKEN: Final = "\0"  # in Phrase.text: this position is told by its sounds
FIELDS: Final = (  # what a filter may look at, and facets are counted by
    "title",
    "office",
    "place",
    "kind",
    "compiler",
    "published",
    "span",
    "rights",
    "holding",
    "subject",
    "edition",
    "item",
)
NOTES: Final = (*RULES, "closed", "ignored")  # what a note may be about
SCOPES: Final = ("", "title", "heading")  # where a phrase must stand; "" anywhere

WORDS_MAX: Final = 24
PHRASES_MAX: Final = 16
SYLLABLES_MAX: Final = 160
SYLLABLE_CHARS_MAX: Final = 8
FILTERS_MAX: Final = 16
FILTER_VALUES_MAX: Final = 64
NOTES_MAX: Final = 48
NOTE_CHARS_MAX: Final = 1_000  # all that one part of a word was taken for, and why
TYPED_CHARS_MAX: Final = QUERY_CHARS_MAX + 16  # of a word: with its scope, closed where it was open
YEAR_MAX: Final = 2999
WEIGHT_MAX: Final = 10_000
_NUMBERS: Final = tuple(map(str, range(WORDS_MAX)))
NEAR_LENGTHS: Final = range(2, 13)  # of phrases in which one wrong character is looked for
OTHER_LENGTHS: Final = range(3, 13)  # and one that neither sounds nor looks like it


@dataclass(frozen=True, slots=True)
class Phrase:
    """Characters that stand one after another, what is skipped left out.

    ``text`` has one folded character a position (unfolded where the rule is ``literal``).  Where it
    has :data:`SPOKEN`, ``sounds`` at that position lists toneless syllables (ü as v), any of which
    the character may be read as; ``sounds`` is empty when nothing is spoken.
    """

    rule: str
    text: str
    sounds: tuple[tuple[str, ...], ...] = ()
    scope: str = ""
    near: tuple[str, ...] = ()  # of NEAR: with too few hits, one character may be wrong so


@dataclass(frozen=True, slots=True)
class Word:
    """Alternatives, the best of which gives the score.

    ``weight`` is how much the word says, in hundredths of a nat (the coordinator's, from the
    statistics of the whole network, so that scores of all shards compare).
    """

    typed: str  # as the user wrote it, for explanations
    phrases: tuple[Phrase, ...]
    weight: int = 100


@dataclass(frozen=True, slots=True)
class Filter:
    """Items whose ``field`` has one of ``values`` (codes or folded text: contained in it), or
    whose years overlap ``low`` .. ``high`` (both included; 0 for an open end)."""

    field: str
    values: tuple[str, ...]
    low: int = 0
    high: int = 0
    excluded: bool = False


@dataclass(frozen=True, slots=True)
class Note:
    """Something the reader should know of how the query was understood."""

    rule: str
    typed: str
    taken_for: str


@dataclass(frozen=True, slots=True)
class Query:
    """``plan`` is postfix over word numbers (as decimal text) and :data:`AND`, :data:`OR`,
    :data:`NOT`; a query without words must have filters (it finds all pages of those items)."""

    text: str
    words: tuple[Word, ...]
    plan: tuple[str, ...]
    filters: tuple[Filter, ...] = ()
    notes: tuple[Note, ...] = ()


def check_query(query: Query) -> None:
    """That a lattice, maybe from another node, is within the bounds of what we would parse.

    Raises:
        DecodeError: naming what is out of bounds.
    """
    _bound("characters typed", len(query.text), QUERY_CHARS_MAX, least=0)
    _bound("words", len(query.words), WORDS_MAX, least=0 if query.filters else 1)
    _check_plan(query)
    _bound("filters", len(query.filters), FILTERS_MAX, least=0)
    for chosen in query.filters:
        _check_filter(chosen)
    _bound("notes", len(query.notes), NOTES_MAX, least=0)
    for note in query.notes:
        _known("note", note.rule, NOTES)
        _bound("characters of a note", len(note.typed), QUERY_CHARS_MAX, least=0)
        _bound("characters of a note", len(note.taken_for), NOTE_CHARS_MAX, least=0)
    for word in query.words:
        _bound("characters of a word", len(word.typed), TYPED_CHARS_MAX, least=0)
        _bound("phrases", len(word.phrases), PHRASES_MAX)
        _bound("weight", word.weight, WEIGHT_MAX, least=0)
        for phrase in word.phrases:
            _check_phrase(phrase)


def _check_filter(chosen: Filter) -> None:
    _known("filter", chosen.field, FIELDS)
    _bound("filter values", len(chosen.values), FILTER_VALUES_MAX, least=0)
    for value in chosen.values:
        _bound("characters of a value", len(value), QUERY_CHARS_MAX, least=0)
    for year in (chosen.low, chosen.high):
        _bound("as a year", year, YEAR_MAX, least=0)


def _check_plan(query: Query) -> None:
    depth = 0
    _bound("steps of the plan", len(query.plan), 2 * WORDS_MAX, least=0)
    for step in query.plan:
        if step in (AND, OR, NOT):
            depth -= 1
            if depth < 1:
                raise DecodeError("query.plan", "two operands before each join", step)
        elif step in _NUMBERS[: len(query.words)]:
            depth += 1
        else:
            raise DecodeError("query.plan", "a word's number, and, or, not", repr(step[:20]))
    if depth != (1 if query.words else 0):
        raise DecodeError("query.plan", "one result", depth)


def _check_phrase(phrase: Phrase) -> None:
    _known("rule", phrase.rule, RULES)
    _known("scope", phrase.scope, SCOPES)
    _bound("ways to be wrong", len(phrase.near), len(NEAR), least=0)
    for way in phrase.near:
        _known("near", way, NEAR)
    _bound("characters", len(phrase.text), QUERY_CHARS_MAX)
    if len(phrase.sounds) != (len(phrase.text) if SPOKEN in phrase.text else 0):
        raise DecodeError("query.sounds", "one for each position", len(phrase.sounds))
    for character, spoken in zip(phrase.text, phrase.sounds, strict=False):
        _bound("syllables", len(spoken), SYLLABLES_MAX, least=1 if character == SPOKEN else 0)
        for syllable in spoken:
            _bound("letters of a syllable", len(syllable), SYLLABLE_CHARS_MAX)


def _known(what: str, word: str, words: tuple[str, ...]) -> None:
    if word not in words:
        raise DecodeError(f"query.{what}", " or ".join(words), repr(word[:20]))


def _bound(what: str, count: int, most: int, least: int = 1) -> None:
    if not least <= count <= most:
        raise DecodeError("query", f"{least} to {most} {what}", count)
