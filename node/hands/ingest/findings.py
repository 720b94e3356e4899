"""What a check says: findings with stable codes, in two languages, from one table (rules.toml)."""

from __future__ import annotations

import re
import string
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

from protocol.errors import ConfigError
from protocol.records import PageText

SEVERITIES: Final = ("error", "warning", "note")
_CODE = re.compile(r"Q[0-9]{3}")
_PARAM_CHARS_MAX: Final = 200
_RANGES_MAX: Final = 20


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing a check can say; ``params`` are the names both texts leave open."""

    code: str
    severity: str
    zh: str
    en: str
    params: frozenset[str]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing a check said about ``path`` ("" for the submission as a whole).

    ``pages`` counts from 1; it is empty when the finding is not about pages.
    """

    code: str
    severity: str  # error | warning | note
    path: str
    zh: str
    en: str
    pages: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Inspection:
    """What is known of one file.

    ``pages`` is None when the file carries no text that can be searched; the ``file`` of each page
    is "", for only the caller knows its hash.  ``page_count`` is 0 for what has no pages.
    """

    media_type: str
    role_guess: str  # one of FILE_ROLES
    findings: tuple[Finding, ...]
    pages: tuple[PageText, ...] | None
    page_count: int

    @property
    def acceptable(self) -> bool:
        return not any(finding.severity == "error" for finding in self.findings)


@dataclass(frozen=True, slots=True)
class Drawn:
    """One page as it is shown, in WebP: ``image`` of ``width`` by ``height`` pixels, ``thumbnail``.

    Where it could not be drawn both are empty and ``finding`` says why.  ``pages`` is how many the
    file has, 0 when that is not known.
    """

    pages: int
    image: bytes
    thumbnail: bytes
    width: int
    height: int
    finding: Finding | None


def finding(code: str, path: str, pages: Sequence[int] = (), **params: object) -> Finding:
    """The finding ``code`` about ``path``; a rule that says {pages} gets them as ranges.

    Raises:
        KeyError: no such rule, or other params than the rule's: a bug in the check.
    """
    rule = rules()[code]
    texts = {name: _printable(value) for name, value in params.items()}
    if "pages" in rule.params:
        texts["pages"] = page_ranges(pages)
    if texts.keys() != rule.params:
        raise KeyError(f"{code} takes {sorted(rule.params)}, not {sorted(texts)}")
    return Finding(
        code,
        rule.severity,
        _printable(path),
        rule.zh.format(**texts),
        rule.en.format(**texts),
        tuple(pages),
    )


def page_ranges(pages: Sequence[int]) -> str:
    """``1-3, 7`` for pages 1, 2, 3, 7 in order; after 20 ranges an ellipsis."""
    ranges: list[list[int]] = []
    for page in pages:
        if ranges and page == ranges[-1][1] + 1:
            ranges[-1][1] = page
        else:
            ranges.append([page, page])
    shown = [
        str(first) if first == last else f"{first}-{last}" for first, last in ranges[:_RANGES_MAX]
    ]
    return ", ".join([*shown, "…"] if len(ranges) > _RANGES_MAX else shown)


@cache
def rules() -> dict[str, Rule]:
    """The rules of this release."""
    return parse_rules(files(__package__).joinpath("rules.toml").read_text(encoding="utf-8"))


def parse_rules(text: str) -> dict[str, Rule]:
    """The rules in the text of a TOML file, by code.

    Raises:
        ConfigError: naming the rule that is not complete, or whose languages differ.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError("rules", "TOML", error) from error
    return {code: _rule(code, table) for code, table in tables.items()}


def _rule(code: str, table: object) -> Rule:
    where = f"rules.{code}"
    if not _CODE.fullmatch(code):
        raise ConfigError(where, "a code of Q and three digits", code)
    if not isinstance(table, dict) or set(table) != {"severity", "zh", "en"}:
        raise ConfigError(where, "severity, zh and en", table)
    severity, zh, en = table["severity"], table["zh"], table["en"]
    if severity not in SEVERITIES:
        raise ConfigError(f"{where}.severity", f"one of {SEVERITIES}", severity)
    if not (isinstance(zh, str) and zh and isinstance(en, str) and en):
        raise ConfigError(where, "a text in either language", table)
    params = _params(zh, where)
    if params != _params(en, where):
        raise ConfigError(where, f"the same params in both languages: {sorted(params)}", en)
    return Rule(code, severity, zh, en, params)


def _params(text: str, where: str) -> frozenset[str]:
    try:
        names = {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}
    except ValueError as error:
        raise ConfigError(where, "a format string", text) from error
    if not all(name.isidentifier() for name in names):
        raise ConfigError(where, "named params", text)
    return frozenset(names)


def _printable(value: object) -> str:
    """What came from outside: short, with a UTF-8 form, unable to break a line or a terminal."""
    shown = "".join(
        character if character.isprintable() else f"\\u{ord(character):04x}"
        for character in str(value)[: _PARAM_CHARS_MAX + 1]
    )
    return shown if len(str(value)) <= _PARAM_CHARS_MAX else shown + "…"
