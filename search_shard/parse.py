"""What was typed, parsed once into the lattice that travels to every shard.

The grammar gives a tree; here its words become alternative phrases (as typed, by the tables of
rules, by sound, by initials), its filters conditions on items, and its joins a postfix plan.
Specification: docs/spec/query.md.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Final, Self

from protocol.errors import Rejected
from protocol.limits import QUERY_CHARS_MAX
from search_shard.filters import Filters
from search_shard.fold import is_skipped
from search_shard.grammar import JOINS, Condition, Joined, Negated, Node, Term, read
from search_shard.lattice import (
    AND,
    FILTERS_MAX,
    NEAR,
    NEAR_LENGTHS,
    NOT,
    NOTES_MAX,
    OR,
    PHRASES_MAX,
    RULES,
    WORDS_MAX,
    Filter,
    Note,
    Phrase,
    Query,
    Word,
)
from search_shard.pinyin import Speller
from search_shard.rules.eras import Eras
from search_shard.rules.numerals import Numerals
from search_shard.rules.places import Places
from search_shard.tables import Tables
from search_shard.widening import Calendar, Gazetteer, Widened, Widener, notes_of, widen

_HAN: Final = "〇\u3400-\u9fff\uf900-\ufaff\U00020000-\U000323af"
_PLAIN: Final = re.compile(f"[{_HAN}]+(?:[ \u3000]+[{_HAN}]+)*")  # no sign of the grammar
_ALL_HAN: Final = re.compile(f"[{_HAN}]+")
_REFERENCE: Final = re.compile("&[^&;]*;")  # a gaiji by its id: no pinyin, no number
_HIDDEN: Final = (
    "\ud800"  # stands for each of its characters while a word is widened: none types it
)
_ADVICE: Final = "and 名称:甲|乙 for one of several values"


class Rules:
    """What parsing knows; kept by the process, so that characters fold by one look-up."""

    def __init__(
        self,
        tables: Tables,
        wideners: Sequence[Widener] = (),
        calendar: Calendar | None = None,
        gazetteer: Gazetteer | None = None,
    ) -> None:
        self.tables = tables
        self.wideners = tuple(wideners)
        self.calendar = calendar
        self.gazetteer = gazetteer
        self.speller = Speller(tables.syllables)
        self.folds = _Folds(tables)
        self.concerns = re.compile("|".join(each.sign for each in self.wideners) or "(?!)").search

    @classmethod
    def standard(cls, tables: Tables) -> Self:
        """With every table of the project: years, numbers, places."""
        fold = cls(tables).fold
        eras, places = Eras(fold), Places(fold)
        return cls(tables, (eras, Numerals(), places), eras, places)

    def beside(self, *wideners: Widener) -> Rules:
        """These rules and further tables: the synonyms that the province signs."""
        return Rules(self.tables, (*self.wideners, *wideners), self.calendar, self.gazetteer)

    @property
    def versions(self) -> tuple[str, ...]:
        """Each table's rule and version, for explanations."""
        return tuple(f"{each.rule} {each.version}" for each in self.wideners)

    def fold(self, text: str) -> str:
        """``text`` folded, what is skipped in matching left out."""
        return text.translate(self.folds)


class _Folds(dict[int, str | None]):
    """Code point → folded character, None for what is skipped; filled as it is asked."""

    _KEPT: Final = 1 << 16

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def __missing__(self, point: int) -> str | None:
        if len(self) >= self._KEPT:
            self.clear()
        character = chr(point)
        folded = None if is_skipped(character) else self._tables.fold(character)
        self[point] = folded
        return folded


def parse_query(text: str, rules: Rules, off: frozenset[str] = frozenset()) -> Query:
    """The lattice of ``text``, by all rules but those in ``off`` (of RULES and NEAR).

    Raises:
        Rejected: nothing to look for, too long, too many words or filters, nothing but what to
            leave out, a filter that says nothing; the error says what to do.
    """
    if len(text) > QUERY_CHARS_MAX:
        raise Rejected("query", f"at most {QUERY_CHARS_MAX} characters", len(text))
    if not off and _PLAIN.fullmatch(text):
        typed = text.split()
        if len(typed) == 1 or JOINS.keys().isdisjoint(typed):
            return _all_of(text, typed, rules)
    if unknown := off.difference(RULES, NEAR):
        raise Rejected("query rules", " or ".join((*RULES, *NEAR)), min(unknown)[:20])
    if any(0xD800 <= ord(character) < 0xE000 for character in text):
        raise Rejected("query", "text", "half of a surrogate pair")
    return _Parse(text, rules, off).query()


def _all_of(text: str, typed: Sequence[str], rules: Rules) -> Query:
    """Words of Han characters, all of which must occur: what is typed most, and fast."""
    notes: list[Note] = []
    words = [_plain(each, rules, notes) for each in typed]
    if len(words) == 1:
        return Query(text, (words[0],), ("0",), (), _told(notes) if notes else ())
    once = {word.phrases[0].text: word for word in words}
    return _query(text, tuple(once.values()), _plan_all(len(once)), (), notes)


def _plain(typed: str, rules: Rules, notes: list[Note]) -> Word:
    folded = typed.translate(rules.folds)
    phrase = Phrase("typed", folded, (), "", NEAR if len(folded) in NEAR_LENGTHS else ())
    if rules.concerns(folded) is None:
        return Word(typed, (phrase,))
    return Word(typed, (phrase, *_widened(folded, rules, (), notes)))


def _widened(
    folded: str,
    rules: Rules,
    off: Collection[str],
    notes: list[Note],
    scopes: Iterable[str] = ("",),
) -> list[Phrase]:
    forms = widen(folded, rules.wideners, off)
    if not forms:
        return []
    kept: dict[str, Widened] = {}
    for form in forms[: PHRASES_MAX - 1]:
        text = rules.fold(form.text)
        if text and text != folded and len(text) <= QUERY_CHARS_MAX:
            kept.setdefault(text, form)
    notes += notes_of(folded, kept.values())
    return [Phrase(form.rule, text, (), scope) for text, form in kept.items() for scope in scopes]


def _plan_all(count: int) -> tuple[str, ...]:
    return ("0", *(step for at in range(1, count) for step in (str(at), AND)))


def _query(
    text: str,
    words: tuple[Word, ...],
    plan: tuple[str, ...],
    filters: tuple[Filter, ...],
    notes: Iterable[Note],
) -> Query:
    if len(words) > WORDS_MAX:
        raise Rejected("query", f"at most {WORDS_MAX} words", len(words))
    if len(filters) > FILTERS_MAX:
        raise Rejected("query", f"at most {FILTERS_MAX} filters", len(filters))
    return Query(text, words, plan, filters, _told(notes))


def _told(notes: Iterable[Note]) -> tuple[Note, ...]:
    return tuple(dict.fromkeys(notes))[:NOTES_MAX]


_Part = tuple[bool, tuple[str, ...]]  # whether its pages are meant or all others; its plan


class _Parse:
    """One query that has signs of the grammar, Latin letters, or rules switched off."""

    def __init__(self, text: str, rules: Rules, off: frozenset[str]) -> None:
        self.text, self.rules, self.off = text, rules, off
        self.words: dict[tuple[Phrase, ...], Word] = {}
        self.notes: list[Note] = []

    def query(self) -> Query:
        node, self.notes = read(self.text, self.rules.speller.is_syllable, self.rules.fold)
        rules = self.rules
        makes = Filters(rules.fold, rules.wideners, rules.calendar, rules.gazetteer, self.off)
        filters: dict[Filter, None] = {}
        parts = []
        for each in _conjuncts(node):
            condition, excluded = _condition(each)
            if condition:
                filters[makes.filter(condition, excluded)] = None
            elif part := self.part(each):
                parts.append(part)
        self.notes += makes.notes
        if not parts and not filters:
            raise Rejected("query", "at least one character to look for", repr(self.text[:20]))
        meant, plan = _join(AND, parts) if parts else (True, ())
        if not meant:
            raise Rejected("query", "a word to look for besides what to leave out", "only 非 (NOT)")
        if len(plan) > 2 * WORDS_MAX:
            raise Rejected("query", f"at most {2 * WORDS_MAX} words and joins", len(plan))
        return _query(self.text, tuple(self.words.values()), plan, tuple(filters), self.notes)

    def part(self, node: Node) -> _Part | None:
        """The plan of a node; None when there is nothing to look for in it."""
        if isinstance(node, Term):
            return self.term(node)
        if isinstance(node, Negated):
            part = self.part(node.part)
            return part and (not part[0], part[1])
        if isinstance(node, Joined):
            parts = [part for part in map(self.part, node.parts) if part]
            return _join(node.how, parts) if parts else None
        raise Rejected("query", f"filters beside all words, {_ADVICE}", f"{node.field} with some")

    def term(self, term: Term) -> _Part | None:
        folded = self.rules.fold(term.text)
        if not folded:
            return None
        phrases = tuple(dict.fromkeys(self.phrases(term, folded)))[:PHRASES_MAX]
        if not phrases:
            raise Rejected("query", f"a rule for {term.typed[:20]}", "every one switched off")
        self.words.setdefault(phrases, Word(term.typed, phrases))
        if len(self.words) > WORDS_MAX:
            raise Rejected("query", f"at most {WORDS_MAX} words", "more")
        return True, (str(list(self.words).index(phrases)),)

    def phrases(self, term: Term, folded: str) -> Iterable[Phrase]:
        off, rules, scopes = self.off, self.rules, term.scopes
        anywhere = scopes == ("",)
        if "typed" not in off:
            wrong = anywhere and not term.quoted and _may_be_wrong(folded)
            near = tuple(way for way in NEAR if wrong and way not in off)
            yield from (Phrase("typed", folded, (), scope, near) for scope in scopes)
        elif "literal" not in off:
            text = "".join(character for character in term.text if not is_skipped(character))
            yield from (Phrase("literal", text, (), scope) for scope in scopes)
        if term.quoted:
            return
        gaiji = "".join(map(rules.fold, _REFERENCE.findall(term.text)))
        typed = _REFERENCE.sub(lambda found: _HIDDEN * len(rules.fold(found[0])), term.text)
        for phrase in self.other_phrases(typed, scopes):
            yield replace(phrase, text=_revealed(phrase.text, gaiji)) if gaiji else phrase

    def other_phrases(self, typed: str, scopes: tuple[str, ...]) -> Iterable[Phrase]:
        """By the tables of rules, and what Latin letters may stand for."""
        off, rules = self.off, self.rules
        folded = rules.fold(typed)
        yield from _widened(folded, rules, off, self.notes, scopes)
        if _ALL_HAN.fullmatch(folded):
            return
        spelled = rules.speller.spelled(typed, rules.fold, PHRASES_MAX // 2)
        if "pinyin" not in off:
            for text, sounds in spelled:
                if len(text) <= QUERY_CHARS_MAX:  # in Latin some signs are many letters
                    yield from (Phrase("pinyin", text, sounds, scope) for scope in scopes)
        titled = scopes == ("",) or "title" in scopes
        if "initials" not in off and titled and (typed.isascii() or not spelled):
            for text, sounds in rules.speller.initials(typed, rules.fold):
                yield Phrase("initials", text, sounds, "title")


def _revealed(text: str, hidden: str) -> str:
    """``text`` with the characters that stood hidden in it, in their order."""
    each = iter(hidden)
    return "".join(next(each) if character == _HIDDEN else character for character in text)


def _may_be_wrong(folded: str) -> bool:
    return len(folded) in NEAR_LENGTHS and bool(_ALL_HAN.fullmatch(folded))


def _conjuncts(node: Node | None) -> Sequence[Node]:
    if isinstance(node, Joined) and node.how == AND:
        return node.parts
    return (node,) if node else ()


def _condition(node: Node) -> tuple[Condition | None, bool]:
    """The condition that a node is, whole, and whether it is negated."""
    if isinstance(node, Condition):
        return node, False
    if isinstance(node, Negated):
        inner, excluded = _condition(node.part)
        return inner, not excluded
    if isinstance(node, Joined) and node.how == OR:
        conditions = [part for part in node.parts if isinstance(part, Condition)]
        if len(conditions) == len(node.parts) and len({each.field for each in conditions}) == 1:
            values = tuple(value for each in conditions for value in each.values)
            return Condition(conditions[0].field, values), False
    return None, False


def _join(how: str, parts: Sequence[_Part]) -> _Part:
    """AND and OR of parts, some of which mean all other pages: no plan can say "all pages", but
    a less b can be said, and so can the complement of the whole."""
    meant = list(dict.fromkeys(plan for is_meant, plan in parts if is_meant))
    others = list(dict.fromkeys(plan for is_meant, plan in parts if not is_meant))
    if how == AND:
        if not meant:
            return False, _steps(others, OR)
        return True, _steps([_steps(meant, AND), *others], NOT)
    if not others:
        return True, _steps(meant, OR)
    return False, _steps([_steps(others, AND), *meant], NOT)


def _steps(plans: Sequence[tuple[str, ...]], how: str) -> tuple[str, ...]:
    steps = plans[0]
    for plan in plans[1:]:
        steps += (*plan, how)
    return steps
