"""Who keeps what of an item, and do the copies stand?  Judged from the logs alone.

Class open is kept as it is, office and sealed as sealed copies (加密保管), which exist once the
owner has said ``seal.make``.  Who keeps is drawn (:mod:`protocol.placement`) from what offices
offer; a city that never said anything offers CITY_OFFER_BYTES.
docs/spec/membership.md, "Who keeps what".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ledger.holdings import offers
from ledger.lifecycle import KEPT_WORD
from ledger.roster import Roster
from ledger.views import ItemView, amounts
from protocol.ids import OfficeCode
from protocol.limits import CITY_OFFER_BYTES
from protocol.placement import COPIES_MIN, Candidate, file_keepers, index_holders
from protocol.ports import Reader

AS_IT_IS: Final = frozenset({"manifest", "report", "files", "pages"})
SEALED: Final = frozenset({"seal", "wraps", "sealed"})
"""The record of a sealed copy, its wrapped keys, and the ciphertexts."""
IMAGES: Final = frozenset({"images", "image", "thumbnail"})
"""The list of the service-level images (服务级) and what it names: no part of a copy, for its owner
can make them again."""


@dataclass(frozen=True, slots=True)
class Room:
    """Every active office as a keeper of others' files, and who of them may be drawn."""

    offices: Mapping[OfficeCode, Candidate]
    drawable: tuple[Candidate, ...]


def room(reader: Reader, roster: Roster) -> Room:
    """What is offered now, less what is kept of it already."""
    said, kept = offers(reader, roster), amounts(reader, KEPT_WORD)
    offices, drawable = {}, []
    for member in roster.active():
        offer, is_city = said.get(member.code), member.tier == "city"
        capacity = offer.capacity_bytes if offer else CITY_OFFER_BYTES
        free = max(0, capacity - kept.get(member.code, 0))
        one = Candidate(member.code, is_city, free, offer.domain if offer else "")
        offices[member.code] = one
        if is_city or (offer is not None and offer.keeps_others):
            drawable.append(one)
    return Room(offices, tuple(drawable))


def is_kept_sealed(view: ItemView) -> bool:
    return view.rights != "open"


def keepers(roster: Roster, place: Room, view: ItemView) -> tuple[OfficeCode, ...]:
    """Who is to have a copy: the owner (or its heir), the province, and others; fewer than
    COPIES_MIN when nobody else has room."""
    owner, province = (
        place.offices.get(code, Candidate(code, False, 0))
        for code in (roster.heir(view.owner), roster.genesis.province)
    )
    need = view.sealed_bytes if is_kept_sealed(view) else view.file_bytes
    return file_keepers(view.item, owner, province, place.drawable, _others(view), need)


def keeps(roster: Roster, place: Room, view: ItemView, code: OfficeCode) -> frozenset[str]:
    """What of an item the office ``code`` keeps: words of AS_IT_IS, SEALED and IMAGES.

    Withdrawal hides and does not delete: it takes away only what can be made again.
    """
    acting = roster.member(roster.heir(view.owner))
    images = IMAGES if view.images and view.status != "withdrawn" else frozenset()
    if code == acting.code:
        return AS_IT_IS | images | (SEALED if view.seal else frozenset())
    kept = set[str]()
    if view.public or roster.is_above(code, view.owner):
        kept |= {"manifest", "report"}
    if view.rights == "open" and code in index_holders(acting.code, roster.cities(), acting.parent):
        kept |= {"manifest", "report", "pages"} | images
    if code in keepers(roster, place, view):
        if not is_kept_sealed(view):
            kept |= AS_IT_IS  # the manifest too: it says which files there are
        elif view.seal is not None:
            kept |= SEALED
    return frozenset(kept)


def standing(roster: Roster, view: ItemView) -> tuple[OfficeCode, ...]:
    """The active offices whose own log says that they hold a copy: the owner's as it is, others'
    in the form of its class."""
    owner = roster.heir(view.owner)
    held = {owner} & set(view.holders) | set(_others(view))
    return tuple(sorted(code for code in held if roster.is_active(code)))


def stands(roster: Roster, view: ItemView) -> bool:
    """Whether enough copies stand for a receipt (入库回执): COPIES_MIN, with the owner's and the
    province's among them."""
    held = standing(roster, view)
    needed = {roster.heir(view.owner), roster.genesis.province}
    return len(held) >= COPIES_MIN and needed <= set(held)


def _others(view: ItemView) -> tuple[OfficeCode, ...]:
    return view.sealed_holders if is_kept_sealed(view) else view.holders


@dataclass(frozen=True, slots=True)
class Shortage:
    """Why a copy of an item is missing: ``waiting`` for the keeper ``office`` to have it,
    ``unsealed`` by its owner ``office``, or ``room`` that nobody offers."""

    reason: str
    office: str


def shortages(roster: Roster, place: Room, view: ItemView) -> tuple[Shortage, ...]:
    """Why fewer copies stand than should; nothing when all do."""
    held, drawn = set(standing(roster, view)), keepers(roster, place, view)
    found = [Shortage("waiting", code) for code in drawn if code not in held]
    if is_kept_sealed(view) and view.seal is None:
        owner = roster.heir(view.owner)
        found = [Shortage("unsealed", owner)] + [one for one in found if one.office == owner]
    if len(drawn) < COPIES_MIN:
        found.append(Shortage("room", ""))
    return tuple(found)
