"""What follows for an item once all that was said of it is together?  The last step of the fold.

An event is taken by itself first (ledger/replay.py); here the events about one item are held
against each other: a later upload must supersede the current one, and the view follows from those
that stand.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from ledger.events import VersionUpload
from ledger.lifecycle import view_of
from ledger.roster import Roster
from ledger.views import TABLES, Fact, ItemView, facts, item, number
from protocol.ids import BlobId, EventRef, ItemId, item_birth_office
from protocol.ports import Reader, Writer
from protocol.shapes import pack

_THERE: Final = b"\x01"
SUPERSEDES: Final = "upload.supersedes"


@dataclass(frozen=True, slots=True)
class Settled:
    """What is known of an item; ``broken`` are uploads that do not supersede the current one."""

    view: ItemView | None
    manifests: frozenset[BlobId]
    broken: tuple[EventRef, ...]


def settle_item(roster: Roster, item_id: ItemId, known: Iterable[Fact]) -> Settled:
    """``known`` is every fact about the item that keeps the rules by itself."""
    owner = item_birth_office(item_id)
    current: dict[str, BlobId] = {}  # by office; a successor begins anew
    manifests = set()
    broken = []
    valid = []
    for fact in sorted(known, key=lambda fact: (fact.ref.origin, fact.ref.index)):
        if fact.kind == "version.upload":
            body = fact.read_body()
            assert isinstance(body, VersionUpload)
            origin = fact.ref.origin
            is_first_of_heir = origin not in current and origin != owner
            if not is_first_of_heir and body.supersedes != current.get(origin):
                broken.append(fact.ref)
                continue
            current[origin] = body.manifest
            manifests.add(body.manifest)
        if not roster.is_void(fact.ref.origin, fact.ref.index, fact.roster_size):
            valid.append(fact)
    return Settled(view_of(item_id, valid), frozenset(manifests), tuple(broken))


def settle(
    writer: Writer, roster: Roster, items: Iterable[ItemId], code: str, start: int
) -> dict[int, str]:
    """Bring the rows of ``items`` up to their facts.  The findings among the events that the log
    of ``code`` gave from ``start`` on, by index; these count for nothing."""
    findings: dict[int, str] = {}
    for item_id in sorted(items):
        settled = settle_item(roster, item_id, facts(writer, item_id))
        for ref in settled.broken:
            place = ref.origin.encode() + number(ref.index)
            writer.delete("fact", item_id.encode() + place)
            writer.put("finding", place, SUPERSEDES.encode())
            if ref.origin == code and ref.index >= start:
                findings[ref.index] = SUPERSEDES
        for manifest in settled.manifests:
            writer.put("by_manifest", manifest.raw + item_id.encode(), _THERE)
        _put_view(writer, item_id, settled.view)
    return findings


def _put_view(writer: Writer, item_id: ItemId, view: ItemView | None) -> None:
    """Replace the view and what is counted and listed from it."""
    key = item_id.encode()
    before = item(writer, item_id) if writer.get("item", key) else None
    gone, come = counted(before), counted(view)
    for word in gone - come:
        _count(writer, key[:6] + word.encode(), -1)
    for word in come - gone:
        _count(writer, key[:6] + word.encode(), 1)
    if view is None:
        writer.delete("item", key)
    else:
        writer.put("item", key, pack(view))
    if view is not None and view.public:
        writer.put("public", key, _THERE)
    else:
        writer.delete("public", key)


def counted(view: ItemView | None) -> set[str]:
    """Under which words an item counts."""
    if view is None:
        return set()
    return {view.status, "public"} if view.public else {view.status}


def _count(writer: Writer, key: bytes, step: int) -> None:
    count = int.from_bytes(writer.get("count", key) or b"", "big") + step
    if count:
        writer.put("count", key, number(count))
    else:
        writer.delete("count", key)


def digest(reader: Reader) -> str:
    """SHA-256 over the digests of every derived table: the same on every node that has folded the
    same logs ("logical digest")."""
    tables = {table: TableDigest() for table in TABLES}
    for table, running in tables.items():
        for key, value in reader.scan(table):
            running.add(key, value)
    return combined(tables)


class TableDigest:
    """SHA-256 over the rows of one table, which come in order of key."""

    def __init__(self) -> None:
        self._running = sha256()

    def add(self, key: bytes, value: bytes) -> None:
        self._running.update(row_bytes(key, value))

    def add_rows(self, rows: bytes) -> None:
        """Rows that :func:`row_bytes` made, joined."""
        self._running.update(rows)

    def value(self) -> bytes:
        return self._running.digest()


def row_bytes(key: bytes, value: bytes) -> bytes:
    """One row in a digest: both lengths, both parts."""
    return number(len(key)) + key + number(len(value)) + value


def combined(tables: dict[str, TableDigest]) -> str:
    """The digest of a state, from those of its tables."""
    named = [table.encode() + b"\n" + tables[table].value() for table in sorted(tables)]
    return sha256(b"".join(named)).hexdigest()
