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

from collections.abc import Iterable
from typing import Any, Final

from ledger.events import HoldTake, ReviewReturn, TextDerive, VersionUpload
from ledger.views import Fact, ItemView
from protocol.ids import ItemId, item_birth_office

REVIEWS: Final = ("review.accept", "review.return")
HOLDINGS: Final = ("hold.take", "hold.lose")

_Said = tuple[Fact, Any]  # a fact and its typed body


def view_of(item: ItemId, facts: Iterable[Fact]) -> ItemView | None:
    """The view that follows from valid facts about ``item``; None when nothing was uploaded."""
    ordered = sorted(facts, key=lambda fact: (fact.roster_size, fact.ref.origin, fact.ref.index))
    said: list[_Said] = [(fact, fact.read_body()) for fact in ordered]
    uploads = [each for each in said if isinstance(each[1], VersionUpload)]
    if not uploads:
        return None
    fact, upload = uploads[-1]
    of_revision = [each for each in said if getattr(each[1], "manifest", None) == upload.manifest]
    text = next((each for each in reversed(of_revision) if isinstance(each[1], TextDerive)), None)
    review = _review(fact, of_revision)
    withdrawal = next((each for each in said if each[0].kind == "version.withdraw"), None)
    status, reason = "submitted", None
    if review:
        returned = isinstance(review[1], ReviewReturn)
        status, reason = ("returned", review[1].reason) if returned else ("accepted", None)
    if withdrawal:
        status, reason = "withdrawn", withdrawal[1].reason
    return ItemView(
        item=item,
        owner=item_birth_office(item),
        status=status,
        public=status == "accepted" and upload.rights == "open",
        rights=upload.rights,
        manifest=upload.manifest,
        upload=fact.ref,
        uploaded_at=fact.time,
        revisions=len(uploads),
        files=upload.files,
        file_bytes=upload.file_bytes,
        report=upload.report,
        text_ref=text[0].ref if text else None,
        pages=text[1].pages if text else 0,
        pages_bytes=text[1].pages_bytes if text else 0,
        pages_blob=text[1].pages_blob if text else None,
        pages_root=text[1].pages_root if text else None,
        review=review[0].ref if review else None,
        withdrawn=withdrawal[0].ref if withdrawal else None,
        reason=reason,
        holders=tuple(sorted(fact.ref.origin for fact, _ in _holdings(of_revision))),
    )


def _review(upload: Fact, of_revision: list[_Said]) -> _Said | None:
    """The last word on this very upload.  Where the office above changed, the word given under the
    later roster counts."""
    reviews = [
        (fact, body)
        for fact, body in of_revision
        if fact.kind in REVIEWS and body.upload == upload.ref
    ]
    return max(
        reviews,
        key=lambda each: (each[0].roster_size, each[0].ref.origin, each[0].ref.index),
        default=None,
    )


def _holdings(of_revision: list[_Said]) -> list[_Said]:
    """The last word of each office about holding the revision, where it says that it does."""
    last = {fact.ref.origin: (fact, body) for fact, body in of_revision if fact.kind in HOLDINGS}
    return [each for each in last.values() if isinstance(each[1], HoldTake)]
