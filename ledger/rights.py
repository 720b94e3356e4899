"""Who may see what of an item?  The one place that decides.

A *derivative* is what somebody asks for: the record, the text of a page, a snippet of it, a
service-level image (服务级), its thumbnail, a file, the sealed copy of a file with its wrapped key,
the report of the checks, the words of a reason.  An asker is the public, or staff of an office.
Grants open more and expire here.  The table is in docs/spec/membership.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ledger.roster import Roster
from ledger.views import Grant, ItemView
from protocol.errors import Forbidden
from protocol.ids import OfficeCode, UnixMs
from protocol.placement import index_holders

DERIVATIVES: Final = (
    "record",
    "page_text",
    "snippet",
    "service_image",
    "thumbnail",
    "file",
    "sealed_file",
    "report",
    "reason",
)
STAFF_ROLES: Final = ("clerk", "reviewer", "auditor", "administrator")

_ABOUT: Final = frozenset({"record", "report", "reason"})  # says what it is, shows nothing of it
_PUBLIC: Final = frozenset(DERIVATIVES) - {"reason", "sealed_file"}
_SERVICE: Final = frozenset({"record", "page_text", "snippet", "service_image", "thumbnail"})
_GRANTED: Final = {"service": _SERVICE, "file": _SERVICE | {"file", "sealed_file"}}


def decide(
    roster: Roster,
    view: ItemView,
    asker_role: str,
    asker_office: str,
    derivative: str,
    now: UnixMs,
) -> Grant | None:
    """Return if the asker may have this derivative of the item at ``now``: the grant that it takes,
    None if it is the asker's own right or everybody's.

    Raises:
        Forbidden: with the reason in words.
    """
    allowed, reason = _allowed(roster, view, asker_role, asker_office)
    if derivative in allowed:
        return None
    if asker_role in STAFF_ROLES and view.status != "withdrawn":
        for grant in view.grants:
            is_theirs = asker_office in roster.members and roster.heir(grant.to) == asker_office
            if is_theirs and now < grant.until and derivative in _GRANTED.get(grant.what, ()):
                return grant
    where = f"{derivative} of {view.item}"
    raise Forbidden(where, reason, f"{asker_role} of {asker_office or 'no office'}")


def may_be_found(view: ItemView, *, by_owner: bool) -> bool:
    """What :func:`decide` says of ``snippet`` where no grant is, to the owner's staff or to the
    public: for a search, which asks it of very many items."""
    return view.public or (by_owner and view.status != "withdrawn")


def whom_to_ask(roster: Roster, view: ItemView) -> OfficeCode:
    """The office that can grant the use of an item."""
    return roster.heir(view.owner)


def _allowed(
    roster: Roster, view: ItemView, asker_role: str, asker_office: str
) -> tuple[frozenset[str], str]:
    """What the asker may have without a grant, and who might have what is not in it."""
    is_staff = asker_role in STAFF_ROLES and asker_office in roster.members
    is_owner = is_staff and asker_office == roster.heir(view.owner)
    is_above = is_staff and roster.is_above(asker_office, view.owner)
    owner = f"staff of the owner {whom_to_ask(roster, view)}"
    if view.status == "withdrawn":
        if is_owner:
            return _ABOUT | {"file", "sealed_file"}, "nothing that shows a withdrawn item"
        return _ABOUT if is_above else frozenset(), f"{owner}, since it was withdrawn"
    if is_owner or (is_above and view.rights == "open"):
        return frozenset(DERIVATIVES), "a derivative there is"
    if is_above:
        return _ABOUT, f"{owner} or a grant of it, since its rights class is {view.rights}"
    if view.public:
        return _PUBLIC, f"{owner} or of an office above it"
    if view.rights == "open":
        return frozenset(), f"{owner}, until it is accepted and open"
    return frozenset(), f"{owner} or a grant of it, since its rights class is {view.rights}"


def indexes(roster: Roster, view: ItemView, code: OfficeCode, cities: Iterable[OfficeCode]) -> bool:
    """Whether ``code`` has the item's pages in its index: the owner always, its city once the
    public may read them, and nobody when it is withdrawn."""
    if view.status == "withdrawn":
        return False
    acting = roster.member(roster.heir(view.owner))
    if code == acting.code:
        return True
    return view.public and code in index_holders(acting.code, cities, acting.parent)
