"""How is a thing said to a person, in Chinese or in English?  Phrases, sizes, times, marks, links.

Phrases stand in ``texts.toml``, two columns; a phrase that is not there is a fault of a template.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import cache
from importlib.resources import files
from typing import Any, Final
from urllib.parse import quote, urlencode

from configs.offices import OfficeRow, load
from protocol.limits import KiB

LANGUAGES: Final = ("zh", "en")
BEIJING: Final = timezone(timedelta(hours=8))
_ID_SAFE: Final = "*~$="  # check characters of item ids


@cache
def phrases() -> dict[str, tuple[str, str]]:
    """Every phrase under its dotted key, in the order of LANGUAGES."""
    tables = tomllib.loads(files(__package__).joinpath("texts.toml").read_text(encoding="utf-8"))
    return {
        f"{table}.{key}": tuple(columns)
        for table, rows in tables.items()
        for key, columns in rows.items()
    }


@cache
def office_table() -> dict[str, OfficeRow]:
    return {row.code: row for row in load("jiangsu")}


@dataclass(frozen=True, slots=True)
class Wording:
    """One language's way of saying things; templates call its methods."""

    language: str

    @property
    def html_language(self) -> str:
        return "zh-Hans" if self.language == "zh" else "en"

    def say(self, key: str, **values: object) -> str:
        phrase = phrases()[key][LANGUAGES.index(self.language)]
        return phrase.format(**values) if values else phrase

    def name_of(self, table: str, value: str) -> str:
        """The phrase for a value of a closed set; a value not known yet stands for itself."""
        columns = phrases().get(f"{table}.{value}")
        return columns[LANGUAGES.index(self.language)] if columns else value

    def why(self, reasons: Iterable[tuple[str, str]], query: str = "") -> str:
        """Why a hit matched, from (rule, what was found) of each word: what stands in ``query`` as
        it is needs no rule."""
        return self.list_of(list(dict.fromkeys(self._reason(*one, query) for one in reasons)))

    def _reason(self, rule: str, found: str, query: str) -> str:
        exactly = rule == "typed" and found in query
        why = self.name_of("matched", "literal" if exactly else rule)
        if not found:
            return self.say("matched.in_title", why=why)
        return self.say("matched.found", found=found, why=why)

    def office(self, code: str, name: str) -> str:
        """The name of an office; in English where our table has one for that very name."""
        row = office_table().get(code)
        return row.english if self.language == "en" and row and row.name == name else name

    def refused(self, expected: str) -> str:
        """What to do about a refused query: its ``expected``, in words of this language."""
        told = (columns for key, columns in phrases().items() if key.startswith("refused."))
        chinese = next((zh for zh, en in told if expected.startswith(en)), expected)
        return chinese if self.language == "zh" else expected

    def facet(self, field: str, value: str, names: Mapping[str, str]) -> str:
        """The name of a value of a facet; ``names`` of offices by code."""
        if field in ("place", "office", "holding"):
            return names.get(value, value)
        if field == "rights":
            return self.name_of("item.rights", value)
        if field in ("span", "published"):
            return self.name_of("period", value).replace("-", "—").replace("..", "—")
        return value

    def list_of(self, names: Sequence[str]) -> str:
        return ("、" if self.language == "zh" else ", ").join(names)

    def link(self, path: str, **query: object) -> str:
        """An address on this node that keeps the language."""
        asked = {name: value for name, value in query.items() if value not in ("", (), None)}
        if self.language != LANGUAGES[0]:
            asked["lang"] = self.language
        return f"{path}?{urlencode(asked, doseq=True)}" if asked else path


def item_path(item: str, seq: int = 0) -> str:
    """The address of an item, or of its page ``seq`` (from 1)."""
    base = f"/items/{quote(item, safe=_ID_SAFE)}"
    return f"{base}/pages/{seq}" if seq else base


def byte_size(count: int) -> str:
    """``count`` bytes in the largest unit that leaves a number of at least one."""
    size, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if size < KiB:
            break
        size, unit = size / KiB, larger
    digits = 0 if unit == "B" or size >= 100 else 1
    return f"{size:.{digits}f}\u00a0{unit}"


def moment(time_ms: int) -> str:
    """Beijing time, to the minute; the number itself where it is no time a calendar has."""
    try:
        return datetime.fromtimestamp(time_ms / 1000, BEIJING).strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):
        return f"{time_ms} ms"


def dated(time_ms: int) -> str:
    """A moment with its zone, for text that stands alone."""
    return f"{moment(time_ms)} UTC+8"


def marked(text: str, highlights: Sequence[Sequence[int]]) -> list[tuple[str, bool]]:
    """``text`` in parts, each with whether it is to be marked.

    Highlights are (start, end) offsets in code points, in any order; they may overlap or reach
    beyond the text.
    """
    parts: list[tuple[str, bool]] = []
    at = 0
    for first, last in sorted((int(first), int(last)) for first, last in highlights):
        start, end = max(first, at), min(last, len(text))
        if start >= end:
            continue
        if at < start:
            parts.append((text[at:start], False))
        parts.append((text[start:end], True))
        at = end
    if at < len(text):
        parts.append((text[at:], False))
    return parts


def names_of(codes: Sequence[str], names: Mapping[str, str]) -> list[str]:
    """The names of offices; a code without one stands for itself."""
    return [names.get(code, code) for code in codes]


def tools() -> dict[str, Any]:
    """What templates may call besides the wording."""
    return {
        "byte_size": byte_size,
        "item_path": item_path,
        "marked": marked,
        "moment": moment,
        "names_of": names_of,
    }
