"""May this office say this about this item?  Judged by the roster that the event names.

A broken rule is a :class:`Broken` with the stable code of its finding (docs/spec/event.md).
"""

from __future__ import annotations

from typing import Any, Final

from ledger.events import (
    Event,
    HoldLose,
    HoldTake,
    ReviewAccept,
    ReviewReturn,
    TextDerive,
    VersionUpload,
    VersionWithdraw,
)
from ledger.roster import Roster
from protocol.errors import DecodeError
from protocol.ids import ItemId, item_birth_office, parse_item
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


class Broken(Exception):
    """A rule is broken; the argument is the finding's code."""


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
    match body:
        case VersionUpload():
            _check_upload(owner, event, body)
        case TextDerive() if event.origin != owner:
            raise Broken("text.office")
        case VersionWithdraw() if event.origin != owner and not roster.is_above(
            event.origin, owner
        ):
            raise Broken("withdraw.office")
        case ReviewAccept() | ReviewReturn():
            if owner not in roster.members or roster.reviewer_of(owner) != event.origin:
                raise Broken("review.office")


def _check_upload(owner: str, event: Event, body: VersionUpload) -> None:
    if event.origin != owner:
        raise Broken("upload.office")
    if body.rights not in RIGHTS_CLASSES:
        raise Broken("upload.rights")
