"""A brute-force scan that says what a query must find: the judge of the index."""

from __future__ import annotations

import re
from collections.abc import Iterable

from search_shard.fold import is_skipped
from search_shard.layout import Page
from search_shard.query import NEAR, Choice, Phrase, Query
from search_shard.tables import Tables

Key = tuple[str, str, int]


class Judge:
    """Reads every page from end to end for every query; wrong characters are left aside."""

    def __init__(self, pages: Iterable[Page], tables: Tables) -> None:
        self.pages: list[tuple[Key, str, str]] = []  # key, title, all fields
        seen: set[tuple[str, ...]] = set()
        for page in sorted(pages, key=lambda page: (page.office, page.item, page.seq)):
            heads = [("title", page.title), ("section", page.section)]
            marks = [(kind, page.office, page.item, name) for kind, name in heads]
            title, section = (mark[3] if mark not in seen else "" for mark in marks)
            seen.update(marks)
            fields = "\0".join(map(_spoken, (title, section, page.text)))
            self.pages.append(((page.office, page.item, page.seq), _spoken(title), fields))
        letters = set("".join(fields for _, _, fields in self.pages)) - {"\0"}
        self.known = {c: (tables.fold(c), set(tables.readings(c))) for c in letters}

    def matching(self, query: Query) -> set[Key]:
        left = {key for key, _, _ in self.pages}
        for word in query.words:
            patterns = [(phrase.titles_only, self._pattern(phrase)) for phrase in word.phrases]
            left &= {
                key
                for key, title, fields in self.pages
                if any(p.search(title if only else fields) for only, p in patterns)
            }
        return left

    def _pattern(self, phrase: Phrase) -> re.Pattern[str]:
        parts = []
        for cell in phrase.cells:
            asked = [choice for choice in cell.choices if choice.why not in NEAR]
            allowed = [c for c in self.known if any(self._allows(choice, c) for choice in asked)]
            parts.append("[" + "".join(map(re.escape, allowed)) + "]" if allowed else "(?!)")
        return re.compile("".join(parts))

    def _allows(self, choice: Choice, character: str) -> bool:
        if choice.why == "exact":
            return character in choice.chars
        folded, readings = self.known[character]
        return folded in choice.chars or bool(readings.intersection(choice.syllables))


def _spoken(text: str) -> str:
    return "".join(character for character in text if not is_skipped(character))
