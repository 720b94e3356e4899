"""Events of one batch have the same envelope: what was found of one holds for those behind it.

The entries of a batch begin with the same bytes up to their kinds, and canonical parts make a
canonical whole.  So of an item's event behind one that held only kind, body and signature are left
to judge; :meth:`Batch.read` does that and says nothing of what does not hold, which the fold then
judges from the beginning.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from ledger.authority import ITEM_BODIES, Broken, check_office, check_role, is_item
from ledger.custody import ReceiptIssue, RightsGrant
from ledger.events import KINDS, Event, signed_part
from ledger.roster import Roster
from ledger.views import UserKey, number
from protocol.canonical import encode
from protocol.errors import ProofError
from protocol.ids import ItemId, OfficeCode
from protocol.keys import verify_once
from protocol.limits import EVENT_BYTES_MAX
from protocol.records import RIGHTS_CLASSES
from protocol.shapes import plain_reader

_RARE: Final = (ReceiptIssue, RightsGrant)  # an array inside; rules beyond who may say it
_KINDS: Final = {
    encode(kind): (kind, plain_reader(body))
    for kind, body in KINDS.items()
    if body in ITEM_BODIES and body not in _RARE
}
_SIGNATURE: Final = b"\xc4\x40"  # and its 64 bytes end an entry


class Told(NamedTuple):
    """An event about an item that keeps the rules by itself, and its row of ``fact``."""

    kind: str
    item: ItemId
    key: bytes
    row: bytes


class Batch:
    """What the events behind one that held need not be asked again."""

    __slots__ = (
        "_allowed",
        "_end",
        "_origin",
        "_public",
        "_roster",
        "_row",
        "_start",
        "_user",
        "roster_size",
        "time",
    )

    def __init__(self, event: Event, roster: Roster, public: bytes, user: UserKey | None) -> None:
        """``event`` held, under ``roster``, signed by ``public``, which is that of ``user`` or a
        service key."""
        envelope = (
            event.version,
            event.network.raw,
            event.origin,
            event.signer,
            event.time,
            event.last_size,
            event.last_root.raw,
            event.roster_size,
            event.roster_root.raw,
        )
        self._start = b"\x9c" + encode(envelope)[1:]
        self._row = b"\x96\x93" + encode(event.origin)
        self._end = encode((event.time, event.signer, event.roster_size))[1:]
        self._origin = event.origin
        self._roster = roster
        self._public = public
        self._user = user
        self._allowed: set[tuple[str, str]] = set()  # kind, owner
        self.time = event.time
        self.roster_size = event.roster_size

    def read(self, entry: bytes, index: int, leaf: bytes) -> Told | None:
        """What the entry says if it is an item's event of this batch and keeps the rules."""
        start = len(self._start)
        if not entry.startswith(self._start) or not start + 68 < len(entry) <= EVENT_BYTES_MAX:
            return None
        end = start + 1 + (entry[start] & 31)  # of a string shorter than 32 bytes
        encoded_kind = entry[start:end]
        kind, read = _KINDS.get(encoded_kind, ("", None))
        encoded_body = entry[end:-66]
        body = read and read(encoded_body)
        if not body or entry[-66:-64] != _SIGNATURE or not self._may(kind, body):
            return None
        try:
            verify_once(self._public, signed_part(entry), entry[-64:], "event of a batch")
        except ProofError:
            return None
        item = body[0]
        row = b"".join(
            (self._row, encode(index), b"\xc4\x20", leaf, encoded_kind, self._end, encoded_body)
        )
        return Told(kind, item, (item + self._origin).encode() + number(index), row)

    def _may(self, kind: str, body: tuple[str, ...]) -> bool:
        item = body[0]
        if not is_item(item) or (kind == "version.upload" and body[2] not in RIGHTS_CLASSES):
            return False
        asked = (kind, item[:6])
        if asked not in self._allowed:
            try:
                check_office(self._roster, OfficeCode(item[:6]), self._origin, kind)
                if self._user is not None:
                    check_role(self._user, kind)
            except Broken:
                return False
            self._allowed.add(asked)
        return True
