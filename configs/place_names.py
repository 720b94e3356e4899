"""Which old names a place has had: the table beside this module, read strictly."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from protocol.errors import ConfigError, DecodeError
from protocol.ids import OfficeCode, parse_office

_WHERE = "configs/place_names.toml"


@dataclass(frozen=True, slots=True)
class Place:
    """A place under its present name, without suffix (苏州), and its old names."""

    office: OfficeCode
    present: str
    old: tuple[str, ...]


def load() -> tuple[Place, ...]:
    """The table of the project.

    Raises:
        ConfigError: a row of it is wrong.
    """
    return parse(files("configs").joinpath("place_names.toml").read_text(encoding="utf-8"))


def parse(text: str) -> tuple[Place, ...]:
    """The places of a TOML text with one ``[[place]]`` per office.

    Raises:
        ConfigError: naming the row that does not fit.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(_WHERE, "TOML", error) from error
    if set(table) != {"place"} or not isinstance(table["place"], list):
        raise ConfigError(_WHERE, "[[place]] tables and nothing else", ", ".join(sorted(table)))
    places = tuple(_place(row, f"{_WHERE} place {i}") for i, row in enumerate(table["place"], 1))
    seen: set[OfficeCode] = set()
    for place in places:
        if place.office in seen:
            raise ConfigError(_WHERE, "each office once", place.office)
        seen.add(place.office)
    return places


def _place(row: Any, where: str) -> Place:
    if not isinstance(row, dict) or set(row) != {"office", "present", "old"}:
        raise ConfigError(where, "office, present and old", row)
    office, present, old = row["office"], row["present"], row["old"]
    if not isinstance(old, list) or not old:
        raise ConfigError(f"{where}.old", "a list of names", old)
    for name in (present, *old):
        if not isinstance(name, str) or len(name) < 2 or name.strip() != name:
            raise ConfigError(where, "names of two characters or more", repr(name))
    if len({present, *old}) != 1 + len(old):
        raise ConfigError(where, "each name once", ", ".join((present, *old)))
    try:
        return Place(parse_office(str(office)), present, tuple(old))
    except DecodeError as error:
        raise ConfigError(f"{where}.office", error.expected, error.got) from error
