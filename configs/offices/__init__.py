"""Which chronicle offices there are: tables of our own making, one CSV per province.

Codes, names and tiers are facts of GB/T 2260 (state of 2024); readings are the local ones (六合 is
``lu he``), one syllable per character of the name; English names are ours.  Parents stand above
their children, so a table can be admitted from top to bottom.
"""

from __future__ import annotations

import csv
from dataclasses import astuple, dataclass
from importlib.resources import files
from typing import Final

from protocol.errors import ConfigError, DecodeError
from protocol.ids import OfficeCode, parse_office

TIERS: Final = ("province", "city", "county")
_COLUMNS: Final = ("code", "name", "tier", "parent", "pinyin", "english")


@dataclass(frozen=True, slots=True)
class OfficeRow:
    """One office of a table."""

    code: OfficeCode
    name: str  # 苏州市
    tier: str  # province | city | county
    parent: OfficeCode | None  # None: the province
    pinyin: str  # su zhou shi
    english: str  # Suzhou City


def load(name: str) -> tuple[OfficeRow, ...]:
    """The offices of ``name``, for example ``"jiangsu"``, in order of code.

    Raises:
        ConfigError: no such table, or a row of it is wrong.
    """
    tables = sorted(
        entry.name.removesuffix(".csv")
        for entry in files(__name__).iterdir()
        if entry.name.endswith(".csv")
    )
    if name not in tables:
        raise ConfigError("offices", f"one of {', '.join(tables)}", name)
    text = files(__name__).joinpath(f"{name}.csv").read_text(encoding="utf-8")
    return parse(text, f"configs/offices/{name}.csv")


def parse(text: str, where: str) -> tuple[OfficeRow, ...]:
    """The rows of a table of offices.

    Raises:
        ConfigError: naming the line that does not fit.
    """
    lines = csv.reader(text.splitlines(), strict=True)
    header = tuple(next(lines, ()))
    if header != _COLUMNS:
        raise ConfigError(f"{where}:1", ",".join(_COLUMNS), ",".join(header))
    rows: dict[OfficeCode, OfficeRow] = {}
    for number, cells in enumerate(lines, start=2):
        row = _row(cells, f"{where}:{number}")
        _check_place(row, rows, f"{where}:{number}")
        rows[row.code] = row
    return tuple(rows.values())


def _row(cells: list[str], where: str) -> OfficeRow:
    if len(cells) != len(_COLUMNS):
        raise ConfigError(where, f"{len(_COLUMNS)} columns", len(cells))
    code, name, tier, parent, pinyin, english = cells
    try:
        row = OfficeRow(
            code=parse_office(code),
            name=name,
            tier=tier,
            parent=parse_office(parent) if parent else None,
            pinyin=pinyin,
            english=english,
        )
    except DecodeError as error:
        raise ConfigError(where, error.expected, error.got) from error
    for cell in astuple(row):
        if cell is not None and (not cell or cell != cell.strip()):
            raise ConfigError(where, "cells that are filled and without outer spaces", repr(cell))
    if len(pinyin.split()) != len(name):
        raise ConfigError(where, f"{len(name)} syllables for {name}", pinyin)
    return row


def _check_place(row: OfficeRow, above: dict[OfficeCode, OfficeRow], where: str) -> None:
    if row.tier not in TIERS:
        raise ConfigError(where, f"a tier among {', '.join(TIERS)}", row.tier)
    if above and row.code <= max(above):
        raise ConfigError(where, "codes in rising order, each once", row.code)
    depth = TIERS.index(row.tier)
    parent = above.get(row.parent) if row.parent else None
    if depth == 0 and row.parent is not None:
        raise ConfigError(where, "a province without parent", row.parent)
    if depth > 0 and (parent is None or parent.tier != TIERS[depth - 1]):
        raise ConfigError(where, f"a parent of tier {TIERS[depth - 1]} above it", row.parent)
