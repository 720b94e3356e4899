"""Which state follows from what was said of an item?  Facts in, view out.

==============================  ==========================================================
what the logs say               state of the item
==============================  ==========================================================
version.upload                  submitted 待审核; a later upload makes a new current revision
review.accept of the current    accepted 已审
review.return of the current    returned 返工
version.withdraw                withdrawn 下架, for good, whatever else is said
==============================  ==========================================================

*deposited* 已入库 = accepted, and the province has issued a receipt for this upload.  *public* =
accepted, rights class open, not withdrawn.  Every fact was found valid by itself when it was folded
(its author may say this of this item), so the order in which facts are met changes nothing.  What
one office says about one revision counts in the order of its own log: the last wins.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any, Final

from ledger.views import Fact, ItemView
from protocol.ids import ItemId
from protocol.limits import GRANTS_PER_ITEM_MAX
from protocol.shapes import from_value, to_value

Row = Sequence[Any]
"""A decoded row of ``fact``: (origin, index, leaf), kind, time, signer, roster size, body."""

PLACE, KIND, TIME, ROSTER, BODY = 0, 1, 2, 4, 5
MANIFEST: Final = 1  # in the body of every kind that has one
UPLOAD: Final = 2  # in the body of a review; of a withdrawal it is the second
RIGHTS, FILES, FILE_BYTES, SUPERSEDED, REPORT = 2, 3, 4, 5, 6  # in an upload

TAKEN, LOST = 4, 3  # which seal, in a hold.take and in a hold.lose
SEAL, WRAPS, SEALED_BYTES = 2, 3, 5  # in a seal.make
WRAPS_ANEW: Final = 2  # in a seal.rewrap
TO, WHAT, PURPOSE, UNTIL, GRANTED_WRAPS = 1, 2, 3, 4, 5  # in a rights.grant
GRANT: Final = 1  # in a rights.revoke
_in_order = itemgetter(ROSTER, PLACE)


def view_of(item: ItemId, facts: Iterable[Fact]) -> ItemView | None:
    """The view that follows from valid facts about ``item``; None when nothing was uploaded."""
    rows: list[Any] = [to_value(fact) for fact in facts]
    view = view_value(item, rows)
    return None if view is None else from_value(ItemView, view, "item view")


def view_value(item: str, rows: Iterable[Row]) -> tuple[Any, ...] | None:
    """:func:`view_of` as canonical values, for those that fold many items."""
    upload = withdrawal = None
    revisions = 0
    grants: dict[Any, Row] = {}  # by where they stand
    ordered = sorted(rows, key=_in_order)
    for row in ordered:
        if row[KIND] == "version.upload":
            upload = row
            revisions += 1
        elif row[KIND] == "version.withdraw" and withdrawal is None:
            withdrawal = row
        elif row[KIND] == "rights.grant":
            grants[row[PLACE]] = row
    if upload is None:
        return None
    for row in ordered:
        if row[KIND] == "rights.revoke":
            grants.pop(row[BODY][GRANT], None)
    manifest, place, body = upload[BODY][MANIFEST], upload[PLACE], upload[BODY]
    said = _said_of(ordered, manifest, place)
    review, text = said.last.get("review"), said.last.get("text.derive")
    status, reason = "submitted", None
    if review is not None:
        returned = review[KIND] == "review.return"
        status, reason = ("returned", review[BODY][3]) if returned else ("accepted", None)
    if withdrawal is not None:
        status, reason = "withdrawn", withdrawal[BODY][2]
    _, _, pages, pages_root, pages_blob, pages_bytes = text[BODY] if text else _NO_TEXT
    receipt, drawn = said.last.get("receipt.issue"), said.last.get("image.derive")
    _, _, made, images, _, images_blob, images_bytes = drawn[BODY] if drawn else _NO_IMAGES
    return (
        item,
        item[:6],
        status,
        status == "accepted" and body[RIGHTS] == "open",
        body[RIGHTS],
        manifest,
        place,
        upload[TIME],
        revisions,
        body[FILES],
        body[FILE_BYTES],
        body[REPORT],
        text[PLACE] if text else None,
        pages,
        pages_bytes,
        pages_blob,
        pages_root,
        review[PLACE] if review else None,
        withdrawal[PLACE] if withdrawal else None,
        reason,
        said.holders(None),
        said.seal,
        said.wraps,
        said.sealed_bytes,
        said.holders(said.seal) if said.seal else (),
        receipt[PLACE] if receipt else None,
        _standing(grants.values()),
        images,
        made,
        images_blob,
        images_bytes,
    )


class _Said:
    """What the logs say of one revision."""

    __slots__ = ("_held", "last", "seal", "sealed_bytes", "wraps")

    def __init__(self) -> None:
        self.last: dict[str, Row] = {}  # of each kind; where an office changed, the later roster's
        self.seal: bytes | None = None
        self.wraps: bytes | None = None
        self.sealed_bytes = 0
        self._held: set[tuple[str, bytes | None]] = set()  # by whom, as which seal

    def take(self, kind: str, row: Row) -> None:
        body = row[BODY]
        match kind:
            case "hold.take":
                self._held.add((row[PLACE][0], body[TAKEN]))
            case "hold.lose":
                self._held.discard((row[PLACE][0], body[LOST]))
            case "seal.make":
                self.seal, self.wraps = body[SEAL], body[WRAPS]
                self.sealed_bytes = body[SEALED_BYTES]
            case "seal.rewrap" if self.seal is not None:
                self.wraps = body[WRAPS_ANEW]
            case _:
                self.last[kind] = row

    def holders(self, seal: bytes | None) -> tuple[str, ...]:
        return tuple(sorted([office for office, held in self._held if held == seal]))


def _said_of(ordered: Iterable[Row], manifest: bytes, upload: Any) -> _Said:
    said = _Said()
    for row in ordered:
        kind, body = row[KIND], row[BODY]
        if body[MANIFEST] != manifest or kind == "version.upload":
            continue  # of another revision; or no manifest stands there
        if kind in _OF_UPLOAD:
            if body[UPLOAD] == upload:
                said.take(_OF_UPLOAD[kind], row)
        else:
            said.take(kind, row)
    return said


def _standing(grants: Iterable[Row]) -> tuple[Any, ...]:
    """The grants that nobody revoked, those that end last first."""
    ordered = sorted(grants, key=lambda row: (-row[BODY][UNTIL], row[PLACE]))
    return tuple(
        [
            (row[PLACE], *[row[BODY][at] for at in (TO, WHAT, PURPOSE, UNTIL, GRANTED_WRAPS)])
            for row in ordered[:GRANTS_PER_ITEM_MAX]
        ]
    )


_OF_UPLOAD: Final = {
    "review.accept": "review",
    "review.return": "review",
    "receipt.issue": "receipt.issue",
}
_NO_TEXT: Final = ("", b"", 0, None, None, 0)
_NO_IMAGES: Final = ("", b"", 0, 0, None, None, 0)
STATUS, PUBLIC, BYTES, HOLDERS, SEALED_SIZE, SEALED_HOLDERS = 2, 3, 10, 20, 23, 24  # of a view
KEPT_WORD: Final = "kept"  # bytes that an office keeps for others, in ``count``
