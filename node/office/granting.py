"""Leave to use what is not open: given and taken back by the owner alone (授权).

A grant names an office, what it opens (the service level, or the files), a purpose and an end.  The
purpose is a salted blob that can be erased.  Files of a sealed item are opened by wrapping their
keys for the office, so that any holder's copy serves it; whoever gives the bytes still asks
:func:`ledger.rights.decide`, which closes at the end or the revocation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ledger import views
from ledger.custody import GRANTED, RightsGrant, RightsRevoke
from ledger.holdings import sealing_key
from ledger.roster import Roster
from ledger.views import Grant, ItemView
from node.hands.world import World
from node.office.catalog import every_item, put_bytes, read_whole
from node.office.keyring import Keyring
from node.office.sealer import Sealer
from node.office.sequencer import Sequencer
from node.office.users import Users
from protocol.errors import DecodeError, FangzhiError, Forbidden, Missing, Rejected
from protocol.ids import BlobId, OfficeCode
from protocol.limits import GRANT_DAYS_MAX, REASON_CHARS_MAX
from protocol.records import encode_reason, parse_reason

Json = dict[str, Any]
DAY_MS = 86_400_000


class Granting:
    """Grants of the offices hosted here."""

    def __init__(
        self,
        world: World,
        keys: Keyring,
        sequencer: Sequencer,
        users: Users,
        sealer: Sealer,
        roster: Callable[[], Roster],
    ) -> None:
        self._world = world
        self._keys = keys
        self._sequencer = sequencer
        self._users = users
        self._sealer = sealer
        self._roster = roster

    async def grant(
        self, item: str, to: str, what: str, purpose: str, days: int, user: str = ""
    ) -> Json:
        """Let another office use an item for ``days`` from now.

        Raises:
            Missing: no such item.
            Forbidden: its owner is not hosted here, or no administrator is speaking.
            DecodeError: no other office of the network, no such thing, no purpose or no end.
            Rejected: the office has no sealing key yet, to which the files could be wrapped.
        """
        view, owner = self._own(item)
        roster = self._roster()
        if to not in roster.members or to == owner:
            raise DecodeError("grant.to", "another office of the network", repr(to)[:20])
        if what not in GRANTED:
            raise DecodeError("grant.what", f"one of {GRANTED}", repr(what)[:20])
        if not 0 < len(purpose.strip()) <= REASON_CHARS_MAX:
            raise DecodeError("grant.purpose", f"1 to {REASON_CHARS_MAX} characters", len(purpose))
        if not 0 < days <= GRANT_DAYS_MAX:
            raise DecodeError("grant.days", f"1 to {GRANT_DAYS_MAX}", days)
        speaker = self._users.speaker(owner, user, "rights.grant")
        wraps = await self._wraps(view, OfficeCode(to)) if what == "file" else None
        text = encode_reason(self._world.rng.random_bytes(16).hex(), purpose)
        until = self._world.clock.now() + days * DAY_MS
        blob = await put_bytes(self._world.blobs, text)
        body = RightsGrant(view.item, to, what, blob, until, wraps)
        refs = await self._sequencer.append(owner, (body,), speaker)
        return {
            "item": view.item,
            "to": to,
            "what": what,
            "until": until,
            "grant": refs[0].index if refs else None,
            "status": "granted" if refs else "spooled",
        }

    async def revoke(self, item: str, index: int, user: str = "") -> Json:
        """Take back the grant at ``index`` of the log in which it stands.

        Raises:
            Missing: no such grant stands.
            Forbidden: as :meth:`grant`.
        """
        view, owner = self._own(item)
        found = [grant for grant in view.grants if grant.ref.index == index]
        if not found:
            standing = [grant.ref.index for grant in view.grants]
            raise Missing(f"grant {index} of {view.item}", f"one of {standing}", "no such")
        speaker = self._users.speaker(owner, user, "rights.revoke")
        bodies = tuple(RightsRevoke(view.item, grant.ref) for grant in found)
        refs = await self._sequencer.append(owner, bodies, speaker)
        for grant in found:
            if grant.wraps is not None:
                await self._world.blobs.delete(grant.wraps)
        return {"item": view.item, "grant": index, "status": "revoked" if refs else "spooled"}

    async def listed(self, item: str = "") -> Json:
        """The grants of one item, or of every item of the offices hosted here; and those that
        these offices were given."""
        with self._world.state.read() as reader:
            found = [views.item(reader, item)] if item else list(every_item(reader))
        roster, now = self._roster(), self._world.clock.now()
        rows = [
            await self._shown(view, grant, now)
            for view in found
            for grant in view.grants
            if roster.heir(view.owner) in self._keys or roster.heir(grant.to) in self._keys
        ]
        return {"grants": rows}

    async def _shown(self, view: ItemView, grant: Grant, now: int) -> Json:
        try:
            data = await read_whole(self._world.blobs, grant.purpose, REASON_CHARS_MAX * 6 + 200)
            purpose = parse_reason(data)
        except FangzhiError:
            purpose = ""  # it is elsewhere, or was erased
        return {
            "item": view.item,
            "owner": view.owner,
            "to": grant.to,
            "what": grant.what,
            "until": grant.until,
            "counts": now < grant.until and view.status != "withdrawn",
            "grant": grant.ref.index,
            "purpose": purpose,
        }

    async def _wraps(self, view: ItemView, to: OfficeCode) -> BlobId | None:
        if view.rights == "open":
            return None
        with self._world.state.read() as reader:
            key = sealing_key(reader, self._roster(), to)
        if key is None:
            expected = f"a sealing key of {to} (fangzhi rewrap at that office makes one)"
            raise Rejected(f"grant of {view.item}", expected, "none in its log")
        return await self._sealer.wrap_for(view, key.key)

    def _own(self, item: str) -> tuple[ItemView, OfficeCode]:
        with self._world.state.read() as reader:
            view = views.item(reader, item)
        owner = self._roster().heir(view.owner)
        if owner not in self._keys:
            raise Forbidden(f"grants of {view.item}", f"its owner {owner}", sorted(self._keys))
        return view, owner
