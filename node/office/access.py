"""Bytes of what is not open leave this node only after ``item.fetch``, and the log says so (调取).

Who wants them names the item and what of it.  :func:`ledger.rights.decide` judges that office by
the state of the logs and the clock here; then ``access.fetch`` is signed, and for a day the office
may read the sealed copies (or the text, for the service level).  A refusal says whom to ask.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from ledger import views
from ledger.custody import AccessFetch
from ledger.keeping import IMAGES
from ledger.rights import decide
from ledger.roster import Roster
from ledger.views import Grant, ItemView
from node.hands.world import World
from node.office.keyring import Keyring
from node.office.links import Peer
from node.office.sequencer import Sequencer
from protocol.errors import DecodeError, Forbidden, Missing, Unavailable
from protocol.fetching import FetchAsk, Fetched
from protocol.ids import EventRef, ItemId, OfficeCode, UnixMs
from protocol.limits import ACCESSES_OPEN_MAX

OPEN_MS: Final = 86_400_000
OPENS: Final = {
    "file": frozenset({"manifest", "seal", "wraps", "sealed"}),
    "service": frozenset({"manifest", "pages", *IMAGES}),
}
"""Which stored files an access opens to another node, by the words of ``catalog``."""
_JUDGED_AS: Final = {"file": "sealed_file", "service": "page_text"}
_DERIVATIVES: Final = {
    "pages": "page_text",
    "images": "service_image",
    "image": "service_image",
    "thumbnail": "thumbnail",
}
"""What a stored file is that shows an item, by the words of ``catalog``."""


@dataclass(frozen=True, slots=True)
class Opened:
    access: EventRef
    until: UnixMs


class Access:
    """Who has said what it takes, and may take it."""

    def __init__(
        self, world: World, keys: Keyring, sequencer: Sequencer, roster: Callable[[], Roster]
    ) -> None:
        self._world = world
        self._keys = keys
        self._sequencer = sequencer
        self._roster = roster
        self._open: dict[tuple[OfficeCode, ItemId, str], Opened] = {}  # oldest first

    async def on_fetch(self, peer: Peer, ask: FetchAsk) -> Fetched:
        with self._world.state.read() as reader:
            view = views.item(reader, ask.item)
        return Fetched(await self.open(view, peer.offices, ask.what))

    async def open(self, view: ItemView, offices: Iterable[OfficeCode], what: str) -> EventRef:
        """Log that one of ``offices`` takes ``what`` of an item; where that stands.

        Raises:
            DecodeError: no such thing.
            Forbidden: none of them may; says why and whom to ask.
            Missing: no office here has a copy.
            Unavailable: this office may not sign now.
        """
        office, grant = self.judge(view, offices, what)
        key = (office, view.item, what)
        known, now = self._open.get(key), self._world.clock.now()
        if known is not None and now < known.until:
            return known.access
        giver = self._giver(view)
        ref = grant.ref if grant else None
        body = AccessFetch(view.item, view.manifest, office, ref, what, None)
        refs = await self._sequencer.append(giver, (body,))
        if not refs:
            raise Unavailable(f"item {view.item}", f"a log of {giver} that is open", "shut")
        self._open[key] = Opened(refs[0], UnixMs(now + OPEN_MS))
        while len(self._open) > ACCESSES_OPEN_MAX:
            del self._open[next(iter(self._open))]
        return refs[0]

    def judge(
        self, view: ItemView, offices: Iterable[OfficeCode], what: str, kind: str = ""
    ) -> tuple[OfficeCode, Grant | None]:
        """The first of ``offices`` that may have ``what`` now, or of that the stored file of this
        ``kind``; and under which grant.

        Raises:
            DecodeError, Forbidden: as :meth:`open`.
        """
        if what not in OPENS:
            raise DecodeError("what", f"one of {sorted(OPENS)}", repr(what)[:20])
        derivative = _DERIVATIVES.get(kind, _JUDGED_AS[what])
        refusal = Forbidden(f"item {view.item}", "an office of the network", "none")
        now = self._world.clock.now()
        for office in sorted(offices):
            try:
                grant = decide(self._roster(), view, "clerk", office, derivative, now)
            except Forbidden as error:
                refusal = error
            else:
                return office, grant
        raise refusal

    def lends(self, view: ItemView, kind: str, offices: Iterable[OfficeCode]) -> bool:
        """Whether a stored file of an item may be read by a node of ``offices``: one of them has a
        right of its own to what it shows, or has said that it takes this, and still may."""
        if kind in _DERIVATIVES and self.has_right(view, offices, _DERIVATIVES[kind]):
            return True
        now = self._world.clock.now()
        for what, kinds in OPENS.items():
            for office in offices:
                opened = self._open.get((office, view.item, what))
                if kind in kinds and opened is not None and now < opened.until:
                    try:
                        self.judge(view, (office,), what, kind)
                    except Forbidden:
                        continue
                    return True
        return False

    def has_right(self, view: ItemView, offices: Iterable[OfficeCode], derivative: str) -> bool:
        """Whether one of ``offices`` may have this without a grant, so that nothing is logged."""
        now = self._world.clock.now()
        for office in offices:
            try:
                grant = decide(self._roster(), view, "clerk", office, derivative, now)
            except Forbidden:
                continue
            if grant is None:
                return True
        return False

    def _giver(self, view: ItemView) -> OfficeCode:
        """In whose log it is said: the owner's, else that of an office here that has a copy."""
        owner = self._roster().heir(view.owner)
        if owner in self._keys:
            return owner
        having = sorted(set(self._keys) & {*view.holders, *view.sealed_holders})
        if not having:
            raise Missing(f"item {view.item}", "a copy held here", "none")
        return having[0]
