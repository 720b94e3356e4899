"""Who takes part: the province, some of its cities, and counties of these."""

from __future__ import annotations

from itertools import chain, zip_longest
from math import ceil
from typing import Final

from configs.offices import load
from protocol.ids import OfficeCode

TABLE: Final = "jiangsu"
CITIES_MIN: Final = 2


def province(count: int) -> tuple[OfficeCode, ...]:
    """``count`` offices, parents before their children; the first is the province.  Cities stand to
    counties as they really do, but there are two at least."""
    rows = load(TABLE)
    if not CITIES_MIN < count <= len(rows):
        raise ValueError(f"offices: expected {CITIES_MIN + 1} to {len(rows)}, got {count}")
    cities = [row.code for row in rows if row.tier == "city"]
    cities = cities[: max(CITIES_MIN, ceil((count - 1) * len(cities) / (len(rows) - 1)))]
    below = [[row.code for row in rows if row.parent == city] for city in cities]
    counties = [code for code in chain(*zip_longest(*below)) if code]
    return (rows[0].code, *cities, *counties)[:count]


def is_county(code: OfficeCode) -> bool:
    return not code.endswith("00")


def below(city: OfficeCode, codes: tuple[OfficeCode, ...]) -> tuple[OfficeCode, ...]:
    """The counties of a city."""
    return tuple(code for code in codes if is_county(code) and code[:4] == city[:4])
