"""Which state follows from what was said of an item?  Facts in, view out.

==============================  ==========================================================
what the logs say               state of the item
==============================  ==========================================================
version.upload                  submitted 待审核; a later upload makes a new current revision
review.accept of the current    accepted 已审
review.return of the current    returned 返工
version.withdraw                withdrawn 下架, for good, whatever else is said
==============================  ==========================================================

*public* = accepted, rights class open, not withdrawn.  Every fact was found valid by itself when it
was folded (its author may say this of this item), so the order in which facts are met changes
nothing.  What one office says about one revision counts in the order of its own log: the last wins.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any, Final

from ledger.views import Fact, ItemView
from protocol.ids import ItemId
from protocol.shapes import from_value, to_value

Row = Sequence[Any]
"""A decoded row of ``fact``: (origin, index, leaf), kind, time, signer, roster size, body."""

PLACE, KIND, TIME, ROSTER, BODY = 0, 1, 2, 4, 5
MANIFEST: Final = 1  # in the body of every kind that has one
UPLOAD: Final = 2  # in the body of a review; of a withdrawal it is the second
RIGHTS, FILES, FILE_BYTES, SUPERSEDED, REPORT = 2, 3, 4, 5, 6  # in an upload

HOLDINGS: Final = frozenset({"hold.take", "hold.lose"})
_in_order = itemgetter(ROSTER, PLACE)


def view_of(item: ItemId, facts: Iterable[Fact]) -> ItemView | None:
    """The view that follows from valid facts about ``item``; None when nothing was uploaded."""
    rows: list[Any] = [to_value(fact) for fact in facts]
    view = view_value(item, rows)
    return None if view is None else from_value(ItemView, view, "item view")


def view_value(item: str, rows: Iterable[Row]) -> tuple[Any, ...] | None:
    """:func:`view_of` as canonical values, for those that fold many items."""
    upload = text = review = withdrawal = None
    revisions = 0
    ordered = sorted(rows, key=_in_order)
    for row in ordered:
        if row[KIND] == "version.upload":
            upload = row
            revisions += 1
        elif row[KIND] == "version.withdraw" and withdrawal is None:
            withdrawal = row
    if upload is None:
        return None
    manifest, place, body = upload[BODY][MANIFEST], upload[PLACE], upload[BODY]
    holds: dict[str, bool] = {}  # the last word of each office, in the order of its log
    for row in ordered:
        kind, said = row[KIND], row[BODY]
        if said[MANIFEST] != manifest:  # in a withdrawal another thing stands there
            continue
        if kind in HOLDINGS:
            holds[row[PLACE][0]] = kind == "hold.take"
        elif kind == "text.derive":
            text = row
        elif kind != "version.upload" and said[UPLOAD] == place:
            review = row  # the last; where the office above changed, under the later roster
    status, reason = "submitted", None
    if review is not None:
        returned = review[KIND] == "review.return"
        status, reason = ("returned", review[BODY][3]) if returned else ("accepted", None)
    if withdrawal is not None:
        status, reason = "withdrawn", withdrawal[BODY][2]
    _, _, pages, pages_root, pages_blob, pages_bytes = text[BODY] if text else _NO_TEXT
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
        tuple(sorted([office for office, held in holds.items() if held])),
    )


_NO_TEXT: Final = ("", b"", 0, None, None, 0)
STATUS, PUBLIC = 2, 3  # in the value of a view
