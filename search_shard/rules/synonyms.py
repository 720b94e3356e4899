"""Synonyms (同义词表): groups of words that stand for one another, from the table that the province
signs.  Canonical text and limits: docs/spec/rules.md.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from protocol.errors import DecodeError
from protocol.limits import (
    SYNONYM_CHARS_MAX,
    SYNONYM_GROUPS_MAX,
    SYNONYM_NOTE_CHARS_MAX,
    SYNONYM_WORDS_MAX,
    SYNONYMS_BYTES_MAX,
)
from search_shard.fold import is_skipped
from search_shard.rules.finder import Finder, Fold, digest
from search_shard.widening import Alternative

HEAD: Final = "# fangzhi synonyms v1"
_BETWEEN: Final = re.compile(r"[\s、，,;；=＝]+")


@dataclass(frozen=True, slots=True)
class Group:
    """Words that mean the same, the preferred one first, and why."""

    words: tuple[str, ...]
    note: str = ""

    @property
    def line(self) -> str:
        return " ".join(self.words) + (f" # {self.note}" if self.note else "")


class Synonyms:
    """The rule ``synonym``: one version of the table, as nodes look into it."""

    rule: Final = "synonym"

    def __init__(self, groups: Iterable[Group], number: int, fold: Fold) -> None:
        """``number`` counts the versions that the province has signed."""
        self.groups = tuple(groups)
        self.number = number
        self.version = f"{number} ({digest(write_synonyms(self.groups).decode())})"
        self._group_of: dict[str, Group] = {}
        self._folded: dict[str, str] = {}
        for group in self.groups:
            for word in group.words:
                self._folded[word] = _matched(fold(word))
                self._group_of.setdefault(self._folded[word], group)
        self._finder = Finder(self._group_of)
        self.sign = self._finder.sign

    def alternatives(self, text: str) -> list[Alternative]:
        """The other words of the group of every word in a folded text."""
        return [
            Alternative(self.rule, other, start, end, self._note(group))
            for start, end in self._finder.find(text)
            for group in [self._group_of[text[start:end]]]
            for other in group.words
            if self._folded[other] != text[start:end]
        ]

    def _note(self, group: Group) -> str:
        table = f"同义词表第{self.number}版"
        return f"{group.note}，{table}" if group.note else table


def parse_synonyms(text: str) -> tuple[Group, ...]:
    """The groups that somebody wrote: a group a line, its words divided by spaces, tabs, commas or
    =, a note after #; empty lines and lines that begin with # are passed over.

    Raises:
        DecodeError: naming the line: too few or too many words, a word too short or too long, a
            word that stands in the table before.
    """
    if len(text.encode("utf-8", "replace")) > SYNONYMS_BYTES_MAX:
        raise DecodeError("synonyms", f"at most {SYNONYMS_BYTES_MAX} bytes", len(text))
    groups: list[Group] = []
    lines: dict[str, int] = {}  # word → where it stands
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        written, _, note = line.replace("＃", "#").partition("#")
        if not written.strip():
            continue
        group = Group(tuple(_words(written)), " ".join(note.split()))
        _check(group, number, lines)
        groups.append(group)
    if len(groups) > SYNONYM_GROUPS_MAX:
        raise DecodeError("synonyms", f"at most {SYNONYM_GROUPS_MAX} groups", len(groups))
    return tuple(sorted(groups, key=lambda group: group.words))


def write_synonyms(groups: Iterable[Group]) -> bytes:
    """The canonical text of a table: what the province signs the hash of."""
    return "".join(f"{line}\n" for line in (HEAD, *(group.line for group in groups))).encode()


def read_synonyms(data: bytes) -> tuple[Group, ...]:
    """The groups of a canonical text.

    Raises:
        DecodeError: another text, or against the limits.
    """
    if len(data) > SYNONYMS_BYTES_MAX:
        raise DecodeError("synonyms", f"at most {SYNONYMS_BYTES_MAX} bytes", len(data))
    try:
        groups = parse_synonyms(data.decode())
    except UnicodeDecodeError as error:
        raise DecodeError("synonyms", "UTF-8", error.reason) from error
    if write_synonyms(groups) != data:
        raise DecodeError("synonyms", "canonical text", "another spelling of it")
    return groups


def _words(written: str) -> Iterator[str]:
    yield from (unicodedata.normalize("NFC", word) for word in _BETWEEN.split(written) if word)


def _check(group: Group, number: int, lines: dict[str, int]) -> None:
    where = f"synonyms line {number}"
    if not 2 <= len(group.words) <= SYNONYM_WORDS_MAX:
        raise DecodeError(where, f"2 to {SYNONYM_WORDS_MAX} words", len(group.words))
    if len(group.note) > SYNONYM_NOTE_CHARS_MAX or not group.note.isprintable():
        raise DecodeError(where, f"a note of at most {SYNONYM_NOTE_CHARS_MAX}", len(group.note))
    for word in group.words:
        if not word.isprintable() or not 2 <= len(_matched(word)) <= len(word) <= SYNONYM_CHARS_MAX:
            expected = f"words of 2 to {SYNONYM_CHARS_MAX} characters"
            raise DecodeError(where, expected, repr(word[:40]))
        if word in lines:
            raise DecodeError(where, "each word once", f"{word}: also in line {lines[word]}")
        lines[word] = number


def _matched(word: str) -> str:
    """What of a word is looked at in matching."""
    return "".join(character for character in word if not is_skipped(character))
