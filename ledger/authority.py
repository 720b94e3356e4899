"""May this key say this, and this office this about this item?  Judged by the roster that the
event names and the office's own log before it.

A broken rule is a :class:`Broken` with the stable code of its finding (docs/spec/event.md).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from ledger.events import (
    Event,
    HoldLose,
    HoldTake,
    KeyEnroll,
    MemberAdmit,
    MemberRotate,
    ReviewAccept,
    ReviewReturn,
    TextDerive,
    VersionUpload,
    VersionWithdraw,
)
from ledger.roster import Roster
from ledger.views import UserKey
from protocol.errors import DecodeError
from protocol.ids import ItemId, item_birth_office, parse_item
from protocol.keys import key_id
from protocol.records import RIGHTS_CLASSES

ITEM_BODIES: Final = (
    VersionUpload,
    VersionWithdraw,
    TextDerive,
    ReviewAccept,
    ReviewReturn,
    HoldTake,
    HoldLose,
)

ROLE_KINDS: Final[dict[str, frozenset[str]]] = {
    "clerk": frozenset({"version.upload", "text.derive"}),
    "reviewer": frozenset({"review.accept", "review.return"}),
    "administrator": frozenset({"version.withdraw"}),
}
"""Which kinds a named user's key may sign, by role; the service key may sign all."""


class Broken(Exception):
    """A rule is broken; the argument is the finding's code."""


def service_key(roster: Roster, event: Event, body: object) -> bytes | None:
    """The service key that signed the event, if it counts.

    The province's admission or rotation of itself may be signed by the key that it brings: the
    root keys inside give it authority, and the key before may be lost.
    """
    public = roster.event_key(event.origin, event.signer)
    if public is not None or not isinstance(body, MemberAdmit | MemberRotate):
        return public
    is_own = body.code == event.origin == roster.genesis.province
    return body.event_key if is_own and key_id(body.event_key) == event.signer else None


def user_key(roster: Roster, code: str, known: UserKey | None) -> UserKey | None:
    """The enrolment of the key that signed an event of ``code``, if it counts."""
    if known is None or known.retired or not roster.is_active(code):
        return None
    return None if roster.has_closed(code, known.roster_size) else known


def check_role(user: UserKey, kind: str) -> None:
    """
    Raises:
        Broken: none of the user's roles may sign this kind.
    """
    if not any(kind in ROLE_KINDS[role] for role in user.roles):
        raise Broken("event.role")


def enrolled(
    roster: Roster, event: Event, index: int, body: KeyEnroll, known: UserKey | None
) -> UserKey:
    """The enrolment that ``body`` makes; ``known`` is what the log said before of this key.

    Raises:
        Broken: no key, no roles that there are, or a key that somebody has or had.
    """
    roles = tuple(sorted(ROLE_KINDS.keys() & set(body.roles)))
    if len(body.key) != 32 or not roles or body.roles != roles or roster.uses(body.key):
        raise Broken("key.refused")
    if known is not None and not roster.has_closed(event.origin, known.roster_size):
        raise Broken("key.refused")
    return UserKey(body.key, body.person, roles, index, event.roster_size)


def retired(known: UserKey | None) -> UserKey:
    """The enrolment after a ``key.retire``.

    Raises:
        Broken: there is none, or it is retired already.
    """
    if known is None or known.retired:
        raise Broken("key.refused")
    return replace(known, retired=True)


def item_named(body: Any) -> ItemId:
    """The item that an item's event is about.

    Raises:
        Broken: it is no item id in its one spelling.
    """
    try:
        item_id = parse_item(body.item)
    except DecodeError as error:
        raise Broken("item.id") from error
    if item_id != body.item:  # upper case: two spellings of one key
        raise Broken("item.id")
    return item_id


def check_authority(roster: Roster, item_id: ItemId, event: Event, body: object) -> None:
    """Return if the office may say this, whatever else was said of the item.

    Raises:
        Broken: it may not.
    """
    owner = item_birth_office(item_id)
    acting = roster.heir(owner)
    match body:
        case VersionUpload():
            _check_upload(acting, event, body)
        case TextDerive() if event.origin != acting:
            raise Broken("text.office")
        case VersionWithdraw() if event.origin != acting and not roster.is_above(
            event.origin, owner
        ):
            raise Broken("withdraw.office")
        case ReviewAccept() | ReviewReturn():
            if owner not in roster.members or roster.reviewer_of(owner) != event.origin:
                raise Broken("review.office")


def _check_upload(acting: str, event: Event, body: VersionUpload) -> None:
    if event.origin != acting:
        raise Broken("upload.office")
    if body.rights not in RIGHTS_CLASSES:
        raise Broken("upload.rights")
