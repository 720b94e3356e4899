"""What do offices say of their own keeping?  Rows that follow from single events, and from no item.

What a copy is worth, and who is to have one, is judged elsewhere from these rows: offers of room,
the keys to which files are sealed, checks of holders, repairs, and who fetched what.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from ledger.authority import Broken, item_named
from ledger.custody import (
    GRANTED,
    AccessFetch,
    HoldCheck,
    HoldOffer,
    HoldRepair,
    KeySeal,
    Row,
)
from ledger.events import Event
from ledger.roster import Roster
from ledger.views import number
from protocol.ids import BlobId, EventRef, ItemId, OfficeCode, UnixMs
from protocol.limits import DOMAIN_CHARS_MAX, STATE_ROW_BYTES_MAX
from protocol.ports import Reader, Writer
from protocol.shapes import pack, unpack

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Offer:
    """What an office can keep for others, by its last word."""

    capacity_bytes: int
    domain: str
    keeps_others: bool
    index: int  # of the event in its log
    roster_size: int


@dataclass(frozen=True, slots=True)
class SealingKey:
    """The key to which files are sealed for an office."""

    version: int
    key: bytes
    index: int
    roster_size: int


@dataclass(frozen=True, slots=True)
class Check:
    """One office's word on how a holder answered its challenges of a day."""

    day: int  # since 1970-01-01, UTC
    asked: int
    passed: int
    failed: int
    detail: BlobId | None
    time: UnixMs  # claimed
    roster_size: int


@dataclass(frozen=True, slots=True)
class Repair:
    """What a holder made whole again, and from whose copy."""

    item: ItemId
    manifest: BlobId
    files: int
    source: OfficeCode
    time: UnixMs  # claimed
    roster_size: int


@dataclass(frozen=True, slots=True)
class Access:
    """Bytes of an item that an office gave."""

    manifest: BlobId
    by: OfficeCode
    grant: EventRef | None
    what: str
    detail: BlobId | None
    time: UnixMs  # claimed
    roster_size: int


def take_row(writer: Writer, roster: Roster, index: int, event: Event, body: Row) -> None:
    """Write the row of an event whose envelope holds under ``roster``.

    Raises:
        Broken: key.refused, offer.refused, check.refused, repair.refused, access.refused, item.id.
    """
    office, at = event.origin.encode(), number(index)
    match body:
        case KeySeal():
            before = writer.get("sealing", office)
            version = _row(SealingKey, before).version if before is not None else 0
            if body.version != version + 1 or len(body.key) != 32 or not any(body.key):
                raise Broken("key.refused")
            key = SealingKey(body.version, body.key, index, event.roster_size)
            writer.put("sealing", office, pack(key))
        case HoldOffer(capacity_bytes, domain, keeps_others):
            if len(domain) > DOMAIN_CHARS_MAX or not (domain + "x").isprintable():
                raise Broken("offer.refused")
            offer = Offer(capacity_bytes, domain, keeps_others, index, event.roster_size)
            writer.put("offer", office, pack(offer))
        case HoldCheck():
            is_other = body.holder in roster.members and body.holder != event.origin
            if not is_other or not 0 < body.asked >= body.passed + body.failed:
                raise Broken("check.refused")
            answers = (body.day, body.asked, body.passed, body.failed, body.detail)
            check = Check(*answers, event.time, event.roster_size)
            writer.put("check", body.holder.encode() + office + at, pack(check))
        case HoldRepair():
            item = item_named(body)
            if body.source not in roster.members or body.files == 0:
                raise Broken("repair.refused")
            mended = (item, body.manifest, body.files, OfficeCode(body.source))
            repair = Repair(*mended, event.time, event.roster_size)
            writer.put("repair", office + at, pack(repair))
        case AccessFetch():
            item = item_named(body)
            if body.by not in roster.members or body.what not in GRANTED:
                raise Broken("access.refused")
            given = (body.manifest, OfficeCode(body.by), body.grant, body.what, body.detail)
            access = Access(*given, event.time, event.roster_size)
            writer.put("access", item.encode() + office + at, pack(access))


def offers(reader: Reader, roster: Roster) -> dict[OfficeCode, Offer]:
    """What every active office offers; those that never said anything are left out."""
    found = {}
    for key, row in reader.scan("offer"):
        code, offer = OfficeCode(key.decode()), _row(Offer, row)
        if roster.is_active(code) and not roster.is_void(code, offer.index, offer.roster_size):
            found[code] = offer
    return found


def sealing_key(reader: Reader, roster: Roster, code: str) -> SealingKey | None:
    """The key to which files are sealed for an office now."""
    row = reader.get("sealing", code.encode())
    if row is None:
        return None
    key = _row(SealingKey, row)
    return None if roster.is_void(code, key.index, key.roster_size) else key


def checks(
    reader: Reader, roster: Roster, holder: str = ""
) -> Iterator[tuple[OfficeCode, OfficeCode, Check]]:
    """(holder, who asked, how it answered), in that order and then in that of the asker's log."""
    for key, row in reader.scan("check", holder.encode()):
        asker, index = _place(key[6:])
        check = _row(Check, row)
        if not roster.is_void(asker, index, check.roster_size):
            yield OfficeCode(key[:6].decode()), asker, check


def repairs(
    reader: Reader, roster: Roster, office: str = ""
) -> Iterator[tuple[OfficeCode, Repair]]:
    """(holder, what it repaired), in the order of its log."""
    for key, row in reader.scan("repair", office.encode()):
        holder, index = _place(key)
        repair = _row(Repair, row)
        if not roster.is_void(holder, index, repair.roster_size):
            yield holder, repair


def accesses(
    reader: Reader, roster: Roster, item: str
) -> Iterator[tuple[ItemId, OfficeCode, int, Access]]:
    """(item, who gave, index in the giver's log, what); of one item, or of an office's items."""
    for key, row in reader.scan("access", item.encode()):
        giver, index = _place(key[20:])
        access = _row(Access, row)
        if not roster.is_void(giver, index, access.roster_size):
            yield ItemId(key[:20].decode()), giver, index, access


def _place(key: bytes) -> tuple[OfficeCode, int]:
    return OfficeCode(key[:6].decode()), int.from_bytes(key[6:], "big")


def _row(kind: type[T], row: bytes) -> T:
    return unpack(kind, row, bytes_max=STATE_ROW_BYTES_MAX, where=kind.__name__)
