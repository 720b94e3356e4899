"""Who keeps whose files, text and index?  A pure answer from the logs, the same on every node.

Files: the owner, the province, and as many others as make COPIES_MIN.  Who the others are is drawn
for each item by weighted rendezvous hashing: every candidate gets a number from XXH3 of (candidate,
item) and its weight, the room that is left of what it offered, and the best number wins.  Nobody's
number depends on who else takes part: who joins takes only what it wins, of who leaves only what it
kept moves.  Who holds an item already goes on keeping it, so the draw is for what has no place yet
and a store that fills up moves nothing.  A candidate that fails together with a keeper (its failure
domain) is taken only where no other is left, a county only where cities are too few.

Index: a county's is answered for by its parent city.  A city, the province, or a county directly
under the province has no city above it, so one is drawn with equal weights.

The hash need not resist an enemy, because candidates are admitted by the province and the codes
are the state's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from math import log
from typing import Final

import xxhash

from protocol.ids import OfficeCode

COPIES_MIN: Final = 3


@dataclass(frozen=True, slots=True)
class Candidate:
    """An office that keeps others' files.  ``free_bytes`` is what is left of its offer;
    ``domain`` names what fails together (a machine room, a grid), "" the office alone."""

    code: OfficeCode
    is_city: bool
    free_bytes: int
    domain: str = ""

    @property
    def falls_with(self) -> str:
        return self.domain or self.code


def file_keepers(
    item: str,
    owner: Candidate,
    province: Candidate,
    candidates: Iterable[Candidate],
    holders: Collection[str],
    need_bytes: int,
) -> tuple[OfficeCode, ...]:
    """Who keeps an item's files: the owner, the province, and those drawn, best first; fewer than
    COPIES_MIN where nobody else has room.

    ``holders`` have it already; ``need_bytes`` is how much a new keeper must have room for.
    """
    keepers = {each.code: each.falls_with for each in (owner, province)}
    others = {
        each.code: each
        for each in candidates
        if each.code not in keepers and (each.code in holders or each.free_bytes >= need_bytes)
    }
    while others and len(keepers) < COPIES_MIN:
        domains = set(keepers.values())

        def rank(each: Candidate, domains: set[str] = domains) -> tuple[bool, bool, bool, float]:
            alone, holds = each.falls_with not in domains, each.code in holders
            return alone, each.is_city, holds, _weighted_draw(each, item)

        best = max(others.values(), key=rank)
        keepers[best.code] = best.falls_with
        del others[best.code]
    return tuple(keepers)


def city_for(
    office: OfficeCode, cities: Iterable[OfficeCode], parent: OfficeCode | None
) -> OfficeCode | None:
    """The city that answers for the shard of ``office``, besides the office itself.

    Returns ``parent`` if that is one of ``cities``, else the city drawn for this office; None if
    there is no city other than the office itself.
    """
    candidates = set(cities) - {office}
    if parent in candidates:
        return parent
    return max(candidates, key=lambda city: (_hash(city, office), city), default=None)


def index_holders(
    office: OfficeCode, cities: Iterable[OfficeCode], parent: OfficeCode | None
) -> tuple[OfficeCode, ...]:
    """Who can answer for the shard of ``office``: itself and one city; the province fans out."""
    city = city_for(office, cities, parent)
    return (office,) if city is None else (office, city)


def _weighted_draw(candidate: Candidate, item: str) -> float:
    """Weighted rendezvous hashing: the highest of ``weight / -ln(u)`` wins, each in proportion to
    its weight."""
    uniform = (_hash(candidate.code, item) + 0.5) / 2**64
    return max(candidate.free_bytes, 1) / -log(uniform)


def _hash(candidate: OfficeCode, key: str) -> int:
    return xxhash.xxh3_64_intdigest(f"{candidate}/{key}".encode())
