"""What follows for an item once all that was said of it is together?  The last step of the fold.

An event is taken by itself first (ledger/replay.py); here the events about one item are held
against each other: a later upload must supersede the current one, and the view follows from those
that stand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from operator import itemgetter
from typing import Any, Final

from ledger.lifecycle import (
    BODY,
    BYTES,
    HOLDERS,
    KEPT_WORD,
    KIND,
    MANIFEST,
    PLACE,
    PUBLIC,
    ROSTER,
    SEALED_HOLDERS,
    SEALED_SIZE,
    STATUS,
    SUPERSEDED,
    Row,
    view_value,
)
from ledger.roster import Roster
from ledger.views import TABLES, Fact, ItemView, number
from protocol.canonical import decode_own, encode
from protocol.ids import BlobId, EventRef, ItemId
from protocol.ports import Reader, Writer
from protocol.shapes import from_value, to_value

_THERE: Final = b"\x01"
SUPERSEDES: Final = "upload.supersedes"
_place = itemgetter(PLACE)


@dataclass(frozen=True, slots=True)
class Settled:
    """What is known of an item; ``broken`` are uploads that do not supersede the current one."""

    view: ItemView | None
    manifests: frozenset[BlobId]
    broken: tuple[EventRef, ...]


def settle_item(roster: Roster, item_id: ItemId, known: Iterable[Fact]) -> Settled:
    """``known`` is every fact about the item that keeps the rules by itself."""
    rows: list[Any] = [to_value(fact) for fact in known]
    view, manifests, broken = settle_rows(roster, item_id, rows)
    return Settled(
        None if view is None else from_value(ItemView, view, "item view"),
        frozenset(map(BlobId, manifests)),
        tuple([from_value(EventRef, place, "place") for place in broken]),
    )


def settle_rows(
    roster: Roster, item_id: str, rows: Iterable[Row]
) -> tuple[tuple[Any, ...] | None, set[bytes], list[Any]]:
    """:func:`settle_item` in canonical values: view, manifests, places of broken uploads."""
    owner = item_id[:6]
    current: dict[str, bytes] = {}  # by office; a successor begins anew
    manifests = set()
    broken = []
    valid = []
    for row in sorted(rows, key=_place):
        place = row[PLACE]
        if row[KIND] == "version.upload":
            body, origin = row[BODY], place[0]
            is_first_of_heir = origin not in current and origin != owner
            if not is_first_of_heir and body[SUPERSEDED] != current.get(origin):
                broken.append(place)
                continue
            current[origin] = body[MANIFEST]
            manifests.add(body[MANIFEST])
        if not roster.closures or not roster.is_void(place[0], place[1], row[ROSTER]):
            valid.append(row)
    return view_value(item_id, valid), manifests, broken


def settle(
    writer: Writer, roster: Roster, items: Iterable[ItemId], code: str, start: int
) -> dict[int, str]:
    """Bring the rows of ``items`` up to their facts.  The findings among the events that the log
    of ``code`` gave from ``start`` on, by index; these count for nothing."""
    findings: dict[int, str] = {}
    for item_id in sorted(items):
        key = item_id.encode()
        rows: list[Any] = [decode_own(row) for _, row in writer.scan("fact", key)]
        view, manifests, broken = settle_rows(roster, item_id, rows)
        for origin, index, _ in broken:
            place = origin.encode() + number(index)
            writer.delete("fact", key + place)
            writer.put("finding", place, SUPERSEDES.encode())
            if origin == code and index >= start:
                findings[index] = SUPERSEDES
        for manifest in manifests:
            writer.put("by_manifest", manifest + key, _THERE)
        _put_view(writer, key, view)
    return findings


def _put_view(writer: Writer, key: bytes, view: tuple[Any, ...] | None) -> None:
    """Replace the view and what is counted and listed from it."""
    row = writer.get("item", key)
    before: Any = None if row is None else decode_own(row)
    steps = counted(view)
    steps.subtract(counted(before))
    for place, step in steps.items():
        if step:
            _count(writer, "".join(place).encode(), step)
    if view is None:
        writer.delete("item", key)
    else:
        writer.put("item", key, encode(view))
    if view is not None and view[PUBLIC]:
        writer.put("public", key, _THERE)
    else:
        writer.delete("public", key)


def counted(view: tuple[Any, ...] | None) -> Counter[tuple[str, str]]:
    """What an item adds under each office and word."""
    counts: Counter[tuple[str, str]] = Counter()
    if view is None:
        return counts
    owner: str = view[1]
    counts[owner, view[STATUS]] = 1
    if view[PUBLIC]:
        counts[owner, "public"] = 1
    for holders, size in ((HOLDERS, BYTES), (SEALED_HOLDERS, SEALED_SIZE)):
        for office in view[holders]:
            if office != owner:
                counts[office, KEPT_WORD] += view[size]
    return counts


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
