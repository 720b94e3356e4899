"""May this key say this, and this office this about this item?  Judged by the roster that the
event names and the office's own log before it.

A broken rule is a :class:`Broken` with the stable code of its finding (docs/spec/event.md).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final

from ledger.custody import GRANTED, ITEM_FACTS, ReceiptIssue, RightsGrant
from ledger.events import (
    Event,
    ImageDerive,
    KeyEnroll,
    KeyRetire,
    MemberAdmit,
    MemberRotate,
    ReviewAccept,
    ReviewReturn,
    TextDerive,
    VersionUpload,
    VersionWithdraw,
    parse_event,
    verify_entry,
)
from ledger.roster import Roster, RosterHistory
from ledger.views import UserKey
from protocol.errors import DecodeError, ProofError
from protocol.ids import ItemId, OfficeCode, item_birth_office, parse_item
from protocol.keys import key_id
from protocol.limits import HOLDS_PER_RECEIPT_MAX
from protocol.records import RIGHTS_CLASSES

ITEM_BODIES: Final = (
    VersionUpload,
    VersionWithdraw,
    TextDerive,
    ImageDerive,
    ReviewAccept,
    ReviewReturn,
    *ITEM_FACTS,
)

ROLE_KINDS: Final[dict[str, frozenset[str]]] = {
    "clerk": frozenset({"version.upload", "text.derive"}),
    "reviewer": frozenset({"review.accept", "review.return"}),
    "administrator": frozenset({"version.withdraw", "rights.grant", "rights.revoke"}),
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


def check_signer(
    roster: Roster,
    entry: bytes,
    event: Event,
    body: object,
    known: Callable[[], UserKey | None],
) -> tuple[bytes, UserKey | None]:
    """The public key that signed the event, counts by ``roster`` and may sign its kind; and whose
    it is, unless it is a service key.  ``known`` is what the event's own log said before it of
    its signer as a named user's key.

    Raises:
        Broken: event.signer, event.signature or event.role.
    """
    user: UserKey | None = None
    public = service_key(roster, event, body)
    if public is None:
        user = user_key(roster, event.origin, known())
        if user is None:
            raise Broken("event.signer")
        public = user.key
    try:
        verify_entry(entry, event, public)
    except ProofError as error:
        raise Broken("event.signature") from error
    if user is not None:
        check_role(user, event.kind)
    return public, user


def judge(
    history: RosterHistory,
    code: str,
    index: int,
    entry: bytes,
    known: UserKey | None = None,
) -> tuple[Event, Any]:
    """The event at ``index`` of the log of ``code``, and its body, if its envelope holds; the root
    of the roster that it names is not looked at.  ``known`` is what that log said before of its
    signer as a named user's key.

    Raises:
        DecodeError: it is no event.
        Broken: the code says why it does not count.
    """
    event = parse_event(entry)
    body = event.read_body()
    if event.network != history.newest.genesis.id:
        raise Broken("event.network")
    if event.origin != code:
        raise Broken("event.origin")
    check_signer(history.at(event.roster_size), entry, event, body, lambda: known)
    if history.newest.is_void(code, index, event.roster_size):
        raise Broken("event.void")
    return event, body


def user_after(
    roster: Roster, event: Event, index: int, body: KeyEnroll | KeyRetire, known: UserKey | None
) -> UserKey:
    """What the log says of a user's key after this event; ``known`` is what it said before.

    Raises:
        Broken: an enrolment of no key, of roles that there are not, or of a key that somebody has
            or had; a retirement where there is no enrolment, or a retired one.
    """
    if isinstance(body, KeyRetire):
        if known is None or known.retired:
            raise Broken("key.refused")
        return replace(known, retired=True)
    roles = tuple(sorted(ROLE_KINDS.keys() & set(body.roles)))
    if len(body.key) != 32 or not roles or body.roles != roles or roster.uses(body.key):
        raise Broken("key.refused")
    if known is not None and not roster.has_closed(event.origin, known.roster_size):
        raise Broken("key.refused")
    earlier = (*known.earlier, known.index) if known else ()
    return UserKey(body.key, body.person, roles, index, event.roster_size, earlier=earlier)


def item_named(body: Any) -> ItemId:
    """The item that an item's event is about.

    Raises:
        Broken: it is no item id in its one spelling.
    """
    if not is_item(body.item):
        raise Broken("item.id")
    return ItemId(body.item)


@lru_cache(maxsize=4096)  # an item is named by several events near each other
def is_item(text: str) -> bool:
    """Whether this is an item id in its one spelling (upper case would be another)."""
    try:
        return parse_item(text) == text
    except DecodeError:
        return False


def check_authority(roster: Roster, item_id: ItemId, event: Event, body: object) -> None:
    """Return if the office may say this, whatever else was said of the item.

    Raises:
        Broken: it may not.
    """
    check_office(roster, item_birth_office(item_id), event.origin, event.kind)
    if isinstance(body, VersionUpload) and body.rights not in RIGHTS_CLASSES:
        raise Broken("upload.rights")
    if isinstance(body, RightsGrant) and (
        body.what not in GRANTED or body.to == event.origin or body.to not in roster.members
    ):
        raise Broken("grant.refused")
    if isinstance(body, ReceiptIssue) and not 0 < len(body.holds) <= HOLDS_PER_RECEIPT_MAX:
        raise Broken("receipt.refused")


def check_office(roster: Roster, owner: OfficeCode, origin: str, kind: str) -> None:
    """Return if ``origin`` may say this kind of thing of the items of ``owner``.

    Raises:
        Broken: it may not.
    """
    match kind:
        case "version.upload" if origin != roster.heir(owner):
            raise Broken("upload.office")
        case "text.derive" if origin != roster.heir(owner):
            raise Broken("text.office")
        case "image.derive" if origin != roster.heir(owner):
            raise Broken("image.office")
        case "version.withdraw":
            if origin != roster.heir(owner) and not roster.is_above(origin, owner):
                raise Broken("withdraw.office")
        case "review.accept" | "review.return":
            if owner not in roster.members or roster.reviewer_of(owner) != origin:
                raise Broken("review.office")
        case "seal.make" | "seal.rewrap" if origin != roster.heir(owner):
            raise Broken("seal.office")
        case "rights.grant" | "rights.revoke" if origin != roster.heir(owner):
            raise Broken("grant.office")
        case "receipt.issue" if origin != roster.genesis.province:
            raise Broken("receipt.office")
