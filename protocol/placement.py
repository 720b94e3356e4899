"""Who keeps whose files, text and index?  A pure answer from the roster, the same on every node.

A county's keeper is its parent city.  A city, the province, or a county directly under the
province has no city above it, so one is drawn by rendezvous hashing: every candidate gets a number
from XXH3 of (candidate, office) and the highest wins.  All weights are equal, and nobody's number
depends on who else takes part: when a city joins it takes only what it wins, when one leaves only
what it kept moves.  The hash need not resist an enemy, because candidates are admitted by the
province and the codes are the state's.
"""

from __future__ import annotations

from collections.abc import Iterable

import xxhash

from protocol.ids import OfficeCode


def city_for(
    office: OfficeCode, cities: Iterable[OfficeCode], parent: OfficeCode | None
) -> OfficeCode | None:
    """The city that keeps what ``office`` reports, besides the office itself.

    Returns ``parent`` if that is one of ``cities``, else the city drawn for this office; None if
    there is no city other than the office itself.
    """
    candidates = set(cities) - {office}
    if parent in candidates:
        return parent
    return max(candidates, key=lambda city: _draw(city, office), default=None)


def file_keepers(
    office: OfficeCode,
    cities: Iterable[OfficeCode],
    parent: OfficeCode | None,
    province: OfficeCode,
) -> tuple[OfficeCode, ...]:
    """Who keeps the open files and page text of ``office``: itself, the province, one city."""
    city = city_for(office, cities, parent)
    keepers = (office, province) if city is None else (office, province, city)
    return tuple(dict.fromkeys(keepers))


def index_holders(
    office: OfficeCode, cities: Iterable[OfficeCode], parent: OfficeCode | None
) -> tuple[OfficeCode, ...]:
    """Who can answer for the shard of ``office``: itself and one city; the province fans out."""
    city = city_for(office, cities, parent)
    return (office,) if city is None else (office, city)


def _draw(city: OfficeCode, office: OfficeCode) -> tuple[int, OfficeCode]:
    return xxhash.xxh3_64_intdigest(f"{city}/{office}".encode()), city
