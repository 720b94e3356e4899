"""Who may see what of an item, and who keeps it?  The one place that decides.

A *derivative* is what somebody asks for: the record, the text of a page, a snippet of it, a
service-level image, a file, the report of the checks, the words of a reason.  An asker is the
public, or staff of an office.  The table is in docs/spec/membership.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ledger.roster import Roster
from ledger.views import ItemView
from protocol.errors import Forbidden
from protocol.ids import OfficeCode
from protocol.placement import file_keepers, index_holders

DERIVATIVES: Final = (
    "record",
    "page_text",
    "snippet",
    "service_image",
    "file",
    "report",
    "reason",
)
STAFF_ROLES: Final = ("clerk", "reviewer", "auditor", "administrator")
KEPT: Final = ("manifest", "report", "files", "pages")

_ABOUT: Final = frozenset({"record", "report", "reason"})  # says what it is, shows nothing of it
_PUBLIC: Final = frozenset(DERIVATIVES) - {"reason"}


def decide(
    roster: Roster, view: ItemView, asker_role: str, asker_office: str, derivative: str
) -> None:
    """Return if the asker may have this derivative of the item.

    Raises:
        Forbidden: with the reason in words.
    """
    allowed, reason = _allowed(roster, view, asker_role, asker_office)
    if derivative not in allowed:
        where = f"{derivative} of {view.item}"
        raise Forbidden(where, reason, f"{asker_role} of {asker_office or 'no office'}")


def _allowed(
    roster: Roster, view: ItemView, asker_role: str, asker_office: str
) -> tuple[frozenset[str], str]:
    """What the asker may have, and who might have what is not in it."""
    is_staff = asker_role in STAFF_ROLES and asker_office in roster.members
    is_owner = is_staff and asker_office == roster.heir(view.owner)
    is_above = is_staff and roster.is_above(asker_office, view.owner)
    if view.status == "withdrawn":
        if is_owner:
            return _ABOUT | {"file"}, "nothing that shows a withdrawn item"
        return _ABOUT if is_above else frozenset(), "staff of the owner, since it was withdrawn"
    if is_owner or (is_above and view.rights == "open"):
        return frozenset(DERIVATIVES), "a derivative there is"
    if is_above:
        return _ABOUT, f"staff of the owner, since its rights class is {view.rights}"
    if view.public:
        return _PUBLIC, "staff of the owner or of an office above it"
    return frozenset(), "staff of the owner, until it is accepted and open"


def keeps(
    roster: Roster, view: ItemView, code: OfficeCode, cities: Iterable[OfficeCode]
) -> frozenset[str]:
    """Which of KEPT the office ``code`` keeps of an item; ``cities`` are the active ones.

    Withdrawal takes nothing away: it hides and does not delete.
    """
    acting = roster.member(roster.heir(view.owner))
    if code == acting.code:
        return frozenset(KEPT)
    kept: set[str] = set()
    if view.public or roster.is_above(code, view.owner):
        kept |= {"manifest", "report"}
    if view.rights == "open" and code in file_keepers(
        acting.code, cities, acting.parent, roster.genesis.province
    ):
        kept |= set(KEPT)  # the manifest too: it says which files there are
    return frozenset(kept)


def indexes(roster: Roster, view: ItemView, code: OfficeCode, cities: Iterable[OfficeCode]) -> bool:
    """Whether ``code`` has the item's pages in its index: the owner always, its city once the
    public may read them, and nobody when it is withdrawn."""
    if view.status == "withdrawn":
        return False
    acting = roster.member(roster.heir(view.owner))
    if code == acting.code:
        return True
    return view.public and code in index_holders(acting.code, cities, acting.parent)
