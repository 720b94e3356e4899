"""What is known of an item, a holding, an anchor?  The read side of the fold.

Tables of the ``state`` store (docs/spec/event.md, "The fold"); integers in keys are u64::

    cursor       office                  how far its log is folded, and what its next event must say
    root         size                    root of the provincial log at that size
    member       index                   the change of the roster at that provincial index
    enrolled     office, key id          UserKey, as the office's log said last of this key
    fact         item, origin, index     one valid event about an item
    item         item                    ItemView, recomputed from the facts
    public       item                    there when the view is public
    by_manifest  manifest, item          items whose uploads name this manifest
    anchor       child, parent           the parent's latest anchor of the child
    count        office, word            items of the office in this state, u64; or ``kept``, the
                                         bytes that it keeps for others
    statistics   index                   Epoch, of the provincial log
    fork         office, evidence, origin, index
                                         who reported evidence against the office; claimed time, u64
    synonyms     province                SynonymTable: the version in force
    offer        office                  Offer: what it can keep for others (ledger/holdings.py)
    sealing      office                  SealingKey: to which its files are sealed
    check        holder, office, index   Check: how a holder answered that office's challenges
    repair       office, index           Repair: what that office made whole again
    access       item, office, index     Access: bytes that the office gave
    finding      office, index           stable code of the rule that this event breaks

An item id begins with the code of its office, so a prefix of ``item`` is an office's items.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from ledger.events import KINDS
from ledger.roster import Roster
from protocol.canonical import Value
from protocol.errors import DecodeError, Missing
from protocol.ids import BlobId, EventRef, ItemId, OfficeCode, RootHash, UnixMs
from protocol.limits import ITEMS_PER_PAGE_MAX, STATE_ROW_BYTES_MAX
from protocol.ports import Reader
from protocol.shapes import from_value, unpack

TABLES: Final = (
    "access",
    "anchor",
    "by_manifest",
    "check",
    "count",
    "cursor",
    "enrolled",
    "fact",
    "finding",
    "fork",
    "item",
    "member",
    "offer",
    "public",
    "repair",
    "root",
    "sealing",
    "statistics",
    "synonyms",
)
ITEM_CHARS: Final = 20
STATUSES: Final = ("submitted", "accepted", "returned", "withdrawn")  # 待审核 已审 返工 下架


@dataclass(frozen=True, slots=True)
class Fact:
    """One valid event about an item, as the fold keeps it."""

    ref: EventRef
    kind: str
    time: UnixMs  # claimed
    signer: bytes
    roster_size: int
    body: Value

    def read_body(self) -> object:
        return from_value(KINDS[self.kind], self.body, f"fact {self.kind}")


@dataclass(frozen=True, slots=True)
class Grant:
    """Leave to use an item, that nobody revoked; its time is ``ledger.rights``' to judge."""

    ref: EventRef
    to: OfficeCode
    what: str
    purpose: BlobId
    until: UnixMs
    wraps: BlobId | None


@dataclass(frozen=True, slots=True)
class ItemView:
    """The present state of an item: its current revision and what was said of it."""

    item: ItemId
    owner: OfficeCode
    status: str  # one of STATUSES
    public: bool
    rights: str
    manifest: BlobId
    upload: EventRef
    uploaded_at: UnixMs  # claimed
    revisions: int
    files: int
    file_bytes: int
    report: BlobId | None
    text_ref: EventRef | None  # the text.derive event; without one there are no pages
    pages: int
    pages_bytes: int
    pages_blob: BlobId | None
    pages_root: RootHash | None
    review: EventRef | None  # the event that accepted or returned this revision
    withdrawn: EventRef | None
    reason: BlobId | None  # why it was withdrawn, else why it was returned
    holders: tuple[OfficeCode, ...]  # whose own log says that they hold its files
    seal: BlobId | None  # the record of its sealed copies
    wraps: BlobId | None  # their keys
    sealed_bytes: int
    sealed_holders: tuple[OfficeCode, ...]  # whose own log says that they hold those copies
    receipt: EventRef | None  # of this upload
    grants: tuple[Grant, ...]  # those that end last first
    images: int  # pages for which the list of service-level images has a line
    images_made: int  # version of how they were drawn
    images_blob: BlobId | None  # the list
    images_bytes: int

    @property
    def deposited(self) -> bool:
        """已入库: accepted, and the province says that the copies stand."""
        return self.status == "accepted" and self.receipt is not None


@dataclass(frozen=True, slots=True)
class AnchorView:
    """What an office above recorded last of a log."""

    by: OfficeCode
    index: int  # of the anchor event in its log
    time: UnixMs  # claimed
    roster_size: int
    size: int
    root: RootHash


@dataclass(frozen=True, slots=True)
class Epoch:
    """Statistics that the province signed."""

    index: int  # in the provincial log
    roster_size: int
    blob: BlobId
    blob_bytes: int
    pages: int
    shards: int


@dataclass(frozen=True, slots=True)
class UserKey:
    """A named user's key, as the log of its office enrolled it."""

    key: bytes  # public
    person: BlobId
    roles: tuple[str, ...]
    index: int  # of the key.enroll
    roster_size: int  # that the key.enroll names
    retired: bool = False
    earlier: tuple[int, ...] = ()  # where it was enrolled before, and lapsed


@dataclass(frozen=True, slots=True)
class SynonymTable:
    """The version of the table of synonyms that is in force, by the provincial log."""

    version: int
    table: BlobId
    table_bytes: int
    index: int  # of the event in the provincial log


def number(value: int) -> bytes:
    """An integer inside a key."""
    return value.to_bytes(8, "big")


def item(reader: Reader, item_id: str) -> ItemView:
    """
    Raises:
        Missing: nothing was uploaded under this id, as far as the logs here tell.
    """
    row = reader.get("item", item_id.encode()) if len(item_id) == ITEM_CHARS else None
    if row is None:
        raise Missing("item", "an item in the logs", repr(item_id[:40]))
    return _unpack_view(row)


def items(
    reader: Reader,
    owner: str = "",
    *,
    public_only: bool = False,
    start_after: str = "",
    limit: int = ITEMS_PER_PAGE_MAX,
) -> list[ItemView]:
    """A page of items in order of id, of one office or of all."""
    table = "public" if public_only else "item"
    start = start_after.encode() + b"\0" if start_after else b""
    views: list[ItemView] = []
    for key, _ in reader.scan(table, owner.encode(), start):
        if len(views) == min(limit, ITEMS_PER_PAGE_MAX):
            break
        views.append(item(reader, key.decode()))
    return views


def item_of_manifest(reader: Reader, manifest: BlobId) -> ItemId:
    """The one item that has (or had) this revision.

    Raises:
        Missing: none, or more than one claims it: only an office that lies names the manifest of
            another item, and then the manifest itself says whose it is.
    """
    found = [ItemId(key[32:].decode()) for key, _ in reader.scan("by_manifest", manifest.raw)]
    if len(found) != 1:
        raise Missing("manifest", f"one item of {manifest.short}", f"{len(found)} items")
    return found[0]


def facts(reader: Reader, item_id: str) -> list[Fact]:
    """Every valid event about an item, by office and index."""
    return [
        unpack(Fact, row, bytes_max=STATE_ROW_BYTES_MAX, where="fact")
        for _, row in reader.scan("fact", item_id.encode())
    ]


def counts(reader: Reader, office: str = "") -> dict[str, int]:
    """How many items of an office (or of all) are in each status, and how many are public."""
    totals = dict.fromkeys((*STATUSES, "public"), 0)
    for key, value in reader.scan("count", office.encode()):
        if (word := key[6:].decode()) in totals:
            totals[word] += int.from_bytes(value, "big")
    return totals


def amounts(reader: Reader, word: str) -> dict[OfficeCode, int]:
    """What is counted under a word, by office."""
    ending = word.encode()
    return {
        OfficeCode(key[:6].decode()): int.from_bytes(value, "big")
        for key, value in reader.scan("count")
        if key[6:] == ending
    }


def anchors(reader: Reader, roster: Roster, child: str) -> list[AnchorView]:
    """The latest anchor of a log by each office above it that was not cut off since."""
    rows = [
        unpack(AnchorView, row, bytes_max=STATE_ROW_BYTES_MAX, where="anchor")
        for _, row in reader.scan("anchor", child.encode())
    ]
    return [row for row in rows if not roster.is_void(row.by, row.index, row.roster_size)]


def epochs(reader: Reader, roster: Roster) -> Iterator[Epoch]:
    """The statistics that the province signed and that were not cut off since, newest first."""
    for _, row in reader.scan("statistics", reverse=True):
        epoch = unpack(Epoch, row, bytes_max=STATE_ROW_BYTES_MAX, where="epoch")
        if not roster.is_void(roster.genesis.province, epoch.index, epoch.roster_size):
            yield epoch


def user_key(reader: Reader, office: str, signer: bytes) -> UserKey | None:
    """What the log of an office said last of the key with this id."""
    row = reader.get("enrolled", office.encode() + signer)
    if row is None:
        return None
    return unpack(UserKey, row, bytes_max=STATE_ROW_BYTES_MAX, where="user key")


def enrolment(reader: Reader, office: str, signer: bytes, index: int) -> int | None:
    """Where the log of an office enrolled the key that signed its event at ``index``; None for a
    service key."""
    known = user_key(reader, office, signer)
    places = (*known.earlier, known.index) if known else ()
    return max((at for at in places if at < index), default=None)


def user_keys(reader: Reader, office: str) -> list[UserKey]:
    """Every key that an office ever enrolled, by key id."""
    return [
        unpack(UserKey, row, bytes_max=STATE_ROW_BYTES_MAX, where="user key")
        for _, row in reader.scan("enrolled", office.encode())
    ]


def synonym_table(reader: Reader, province: OfficeCode) -> SynonymTable | None:
    """The version in force; None before the first."""
    row = reader.get("synonyms", province.encode())
    if row is None:
        return None
    return unpack(SynonymTable, row, bytes_max=STATE_ROW_BYTES_MAX, where="table of synonyms")


def findings(reader: Reader, office: str = "") -> Iterator[tuple[OfficeCode, int, str]]:
    """(office, index, code) of every event that broke a rule and was skipped."""
    for key, code in reader.scan("finding", office.encode()):
        yield OfficeCode(key[:6].decode()), int.from_bytes(key[6:], "big"), code.decode()


def folded_size(reader: Reader, office: str) -> int:
    """How many events of an office's log are folded."""
    row = reader.get("cursor", office.encode())
    return 0 if row is None else int.from_bytes(row[:8], "big")


@lru_cache(maxsize=1024)  # services look at an item again and again, and it seldom changes
def _unpack_view(row: bytes) -> ItemView:
    view = unpack(ItemView, row, bytes_max=STATE_ROW_BYTES_MAX, where="item view")
    if view.status not in STATUSES:
        raise DecodeError("item view", f"a status among {STATUSES}", view.status)
    return view


@dataclass(frozen=True, slots=True)
class ReportedFork:
    """One office's word that it holds evidence against a log."""

    evidence: BlobId
    origin: OfficeCode
    index: int
    time: UnixMs  # claimed


def reported_forks(reader: Reader, code: OfficeCode) -> list[ReportedFork]:
    """Everybody's reports of forks of the log of ``code``."""
    return [
        ReportedFork(
            BlobId(key[6:38]),
            OfficeCode(key[38:44].decode()),
            int.from_bytes(key[44:], "big"),
            UnixMs(int.from_bytes(value, "big")),
        )
        for key, value in reader.scan("fork", code.encode())
    ]
