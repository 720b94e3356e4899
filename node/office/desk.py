"""The decisions of people: passing, returning (退回返工), withdrawing (下架)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ledger import views
from ledger.events import ReviewAccept, ReviewReturn, VersionWithdraw
from ledger.roster import Roster
from ledger.views import ItemView
from node.hands.keys import OfficeKeys
from node.hands.world import World
from node.office.catalog import note_blob, put_bytes
from node.office.sequencer import Sequencer
from node.office.users import Users
from protocol.errors import DecodeError, Forbidden, Rejected
from protocol.ids import BlobId, EventRef, OfficeCode
from protocol.limits import REASON_CHARS_MAX
from protocol.records import encode_reason

Json = dict[str, Any]


class Desk:
    """What reviewers and owners decide about items, at the offices hosted here."""

    def __init__(
        self,
        world: World,
        keys: Mapping[OfficeCode, OfficeKeys],
        sequencer: Sequencer,
        users: Users,
        roster: Callable[[], Roster],
    ) -> None:
        self._world = world
        self._keys = keys
        self._sequencer = sequencer
        self._users = users
        self._roster = roster

    async def review(self, item: str, verdict: str, reason: str, user: str = "") -> Json:
        """Pass or return the current revision of an item reported by an office below; ``user`` is
        the key id of who says so, "" for the office itself.

        Raises:
            Missing: the item is not known here (yet).
            Forbidden: its reviewer is an office that is not hosted here, or no reviewer is
                speaking.
            Rejected: it is not waiting for a review.
            DecodeError: another verdict, or a return without a reason.
        """
        view = self._view(item)
        reviewer = self._roster().reviewer_of(view.owner)
        if reviewer not in self._keys:
            raise Forbidden(f"review of {item}", f"its reviewer {reviewer}", sorted(self._keys))
        if view.status != "submitted":
            raise Rejected(f"review of {item}", "an item that waits for review", view.status)
        kind = "review.accept" if verdict == "pass" else "review.return"
        speaker = self._users.speaker(reviewer, user, kind)
        if verdict == "pass":
            body: object = ReviewAccept(item, view.manifest, view.upload)
            status = "accepted"
        elif verdict == "return":
            blob = await self._reason(item, reason)
            body = ReviewReturn(item, view.manifest, view.upload, blob)
            status = "returned"
        else:
            raise DecodeError("review.verdict", "pass or return", repr(verdict)[:20])
        refs = await self._sequencer.append(reviewer, (body,), speaker)
        return _answer(item, status, reviewer, refs)

    async def withdraw(self, item: str, reason: str, user: str = "") -> Json:
        """Take an item down: by its owner (or who acts for it), or an office above it.

        Raises:
            Forbidden: neither is hosted here.
            Rejected: it is withdrawn already.
        """
        view = self._view(item)
        roster = self._roster()
        owner = roster.heir(view.owner)
        able = [c for c in sorted(self._keys) if c == owner or roster.is_above(c, owner)]
        if not able:
            raise Forbidden(f"item {item}", f"{owner} or an office above", sorted(self._keys))
        if view.withdrawn is not None:
            raise Rejected(f"item {item}", "an item that is not withdrawn", "withdrawn already")
        by = owner if owner in able else able[0]
        speaker = self._users.speaker(by, user, "version.withdraw")
        body = VersionWithdraw(item, view.upload, await self._reason(item, reason))
        return _answer(item, "withdrawn", by, await self._sequencer.append(by, (body,), speaker))

    def _view(self, item: str) -> ItemView:
        with self._world.state.read() as reader:
            return views.item(reader, item)

    async def _reason(self, item: str, reason: str) -> BlobId:
        if not 0 < len(reason.strip()) <= REASON_CHARS_MAX:
            raise DecodeError("reason", f"1 to {REASON_CHARS_MAX} characters", len(reason))
        data = encode_reason(self._world.rng.random_bytes(16).hex(), reason)
        blob = await put_bytes(self._world.blobs, data)
        await note_blob(self._world.state, self._world.blobs, item, "report", blob)
        return blob


def _answer(item: str, status: str, office: OfficeCode, refs: tuple[EventRef, ...]) -> Json:
    return {
        "item": item,
        "status": status if refs else "spooled",
        "office": office,
        "log_index": refs[0].index if refs else None,
    }
