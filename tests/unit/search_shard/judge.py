"""A brute-force scan that says what a query must find: the judge of the index.

Every page is read from end to end for every word, by the meaning of docs/spec/query.md alone: no
codes, no lists, no segments.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from search_shard.catalogue import Record
from search_shard.fold import is_skipped
from search_shard.lattice import AND, NEAR_LENGTHS, OR, OTHER_LENGTHS, SPOKEN, Filter, Phrase, Query
from search_shard.layout import Page
from search_shard.rank import NEAR_BELOW
from search_shard.tables import Tables

Key = tuple[str, str, int]  # office, item, seq
T = TypeVar("T")
FIELDS = {"": (0, 1, 2), "title": (0,), "heading": (1,)}  # scope → title, heading, text


@dataclass(frozen=True, slots=True)
class Verdict:
    asked: frozenset[Key]  # pages that match as asked
    near: frozenset[Key]  # and those with one wrong character, where they are looked for

    @property
    def items(self) -> Counter[str]:
        """Pages that match, by item."""
        return Counter(item for _, item, _ in self.asked | self.near)


@dataclass(frozen=True, slots=True)
class _Read:
    """A page as it is read: title, heading and text without what is skipped."""

    key: Key
    written: tuple[str, str, str]
    folded: tuple[str, str, str]
    log_index: int


class Judge:
    def __init__(
        self, pages: Iterable[Page], tables: Tables, records: Iterable[Record] = ()
    ) -> None:
        self.tables = tables
        self.records = {record.item: record for record in records}
        self.pages = list(self._read(pages))
        self.letters = sorted({c for page in self.pages for field in page.folded for c in field})
        self.readings = class_readings(self.letters, tables)

    def matching(
        self, query: Query, *, hidden: frozenset[str] = frozenset(), as_of: int = 0
    ) -> Verdict:
        allowed = {
            page.key
            for page in self.pages
            if page.key[1] not in hidden
            and (not as_of or page.log_index < as_of)
            and all(self._lets_through(one, page.key[1]) for one in query.filters)
        }
        if not query.words:
            return Verdict(frozenset(allowed), frozenset())
        exact = [self._pages_with(word.phrases) for word in query.words]
        everywhere = joined(query.plan, exact)
        asked = frozenset(everywhere & allowed)
        if len(asked) >= NEAR_BELOW:
            return Verdict(asked, frozenset())
        wider = [
            found | {key for p in word.phrases if p.near for key in self._nearly(p)}
            for word, found in zip(query.words, exact, strict=True)
        ]
        near = (joined(query.plan, wider) - everywhere) & allowed
        return Verdict(asked, frozenset(near))

    def _read(self, pages: Iterable[Page]) -> Iterator[_Read]:
        """A title stands at the first page of its item, a heading at the first of its section."""
        seen: set[tuple[str, ...]] = set()
        for page in sorted(pages, key=lambda page: (page.office, page.item, page.seq, page.page)):
            marks = [
                (kind, page.office, page.item, name)
                for kind, name in (("title", page.title), ("section", page.section))
            ]
            heads = ["" if mark in seen else mark[3] for mark in marks]
            seen.update(marks)
            title, section, text = map(_unskipped, (*heads, page.text))
            fold = self.tables.fold
            yield _Read(
                (page.office, page.item, page.seq),
                (title, section, text),
                (fold(title), fold(section), fold(text)),
                page.log_index,
            )

    def _pages_with(self, phrases: Sequence[Phrase]) -> set[Key]:
        found = set()
        for phrase in phrases:
            stands = self._finder(phrase)
            for page in self.pages:
                shown = page.written if phrase.rule == "literal" else page.folded
                if any(stands(shown[at]) for at in FIELDS[phrase.scope]):
                    found.add(page.key)
        return found

    def _finder(self, phrase: Phrase) -> Callable[[str], object]:
        if not phrase.sounds:
            return lambda field: phrase.text in field
        parts = []
        for character, sounds in zip(phrase.text, phrase.sounds, strict=True):
            if character != SPOKEN:
                parts.append(re.escape(character))
                continue
            heard = [c for c in self.letters if not self.readings[c].isdisjoint(sounds)]
            parts.append("[" + "".join(map(re.escape, heard)) + "]" if heard else "(?!)")
        return re.compile("".join(parts)).search

    def _nearly(self, phrase: Phrase) -> set[Key]:
        """Pages with the phrase in which one character is another of like sound or shape, or any
        other, if the text has it and two neighbours are left."""
        found: set[Key] = set()
        if len(phrase.text) not in NEAR_LENGTHS:
            return found
        for at, character in enumerate(phrase.text):
            for other in self._alike(character, phrase.near):
                word = phrase.text[:at] + other + phrase.text[at + 1 :]
                fields = FIELDS[phrase.scope]
                found |= {p.key for p in self.pages if any(word in p.folded[n] for n in fields)}
        if "other" in phrase.near and not phrase.scope and len(phrase.text) in OTHER_LENGTHS:
            places = range(len(phrase.text)) if len(phrase.text) > 3 else (0, 2)
            ways = [
                re.escape(phrase.text[:at]) + "." + re.escape(phrase.text[at + 1 :])
                for at in places
            ]
            stands = re.compile("|".join(ways), re.DOTALL)
            found |= {page.key for page in self.pages if stands.search(page.folded[2])}
        return found

    def _alike(self, character: str, ways: Sequence[str]) -> set[str]:
        alike: set[str] = set()
        if "sound" in ways and not character.isascii():
            heard = self.tables.every_reading(character)
            alike = {c for c in self.letters if {*self.tables.every_reading(c)} & {*heard}}
        if "shape" in ways:
            alike.update(self.tables.alike_to(character))
        return alike - {character}

    def _lets_through(self, one: Filter, item: str) -> bool:
        """The fields that tests filter by: office, item, kind, published."""
        record = self.records.get(item)
        if record is None:
            return False
        if one.field == "office":
            holds = any(record.office.startswith(value) for value in one.values)
        elif one.field == "item":
            holds = item in one.values
        elif one.field == "kind":
            kinds = [self.tables.fold(text) for text in record.text("kind")]
            holds = any(self.tables.fold(value) in kind for value in one.values for kind in kinds)
        else:
            assert one.field == "published", one.field
            years = [int(year) for year in record.text("published")]
            low, high = one.low or -9999, one.high or 9999
            holds = bool(years) and min(years) <= high and max(years) >= low
        return holds != one.excluded


def joined(plan: Sequence[str], words: Sequence[set[T]]) -> set[T]:
    """What the postfix plan of a query leaves of the pages with each word."""
    stack: list[set[T]] = []
    for step in plan:
        if step.isdigit():
            stack.append(words[int(step)])
            continue
        right, left = stack.pop(), stack.pop()
        stack.append(left & right if step == AND else left | right if step == OR else left - right)
    return stack[0]


def class_readings(letters: Iterable[str], tables: Tables) -> dict[str, frozenset[str]]:
    """Folded character → how it or any character that folds to it is read."""
    readings = {}
    for letter in letters:
        members = map(chr, tables.codepoints[tables.folds == ord(letter)].tolist())
        heard = (reading for c in (letter, *members) for reading in tables.readings(c))
        readings[letter] = frozenset(heard)
    return readings


def _unskipped(text: str) -> str:
    return "".join(character for character in text if not is_skipped(character))
