"""The last step of an audit: what follows for the items of one range of ids.  What workers run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from typing import Any, Final

from ledger.examine import Known, rosters
from ledger.lifecycle import (
    BODY,
    KIND,
    MANIFEST,
    PLACE,
    PUBLIC,
    RIGHTS,
    ROSTER,
    TAKEN,
    TIME,
    UPLOAD,
    Row,
)
from ledger.roster import RosterHistory
from ledger.settlement import SUPERSEDES, TableDigest, combined, counted, settle_rows
from ledger.spool import Block, Pages, Pair, Range, Tools, gather, join_rows, make_block, ranges
from ledger.views import ITEM_CHARS, STATUSES, TABLES, number
from protocol.canonical import decode_own, encode
from protocol.ids import EventRef, OfficeCode
from protocol.limits import CLOCK_SKEW_MS_MAX, STATE_ROW_BYTES_MAX
from protocol.ports import Writer
from protocol.shapes import from_value, unpack

RANGE_ROWS: Final = 8192
_ROW_START: Final = 8 + ITEM_CHARS + 6 + 8 + 8  # of the value behind its key, with both lengths


@dataclass(frozen=True, slots=True)
class SettleTask:
    known: Known
    pages: Pages
    wanted: Range


@dataclass
class SettledRange:
    """Rows as the digest takes them, and what does not hold among the items."""

    facts: bytes = b""
    items: bytes = b""
    public: bytes = b""
    manifests: Block = field(default_factory=Block)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)  # office, word
    broken: list[tuple[EventRef, str]] = field(default_factory=list)
    astray: list[tuple[EventRef, EventRef]] = field(default_factory=list)  # event, what it names
    early: list[tuple[EventRef, str]] = field(default_factory=list)  # event, note


def settle_range(task: SettleTask) -> SettledRange:
    """Settle every item of the range."""
    history = rosters(task.known)
    roster = history.newest
    found = SettledRange()
    rows = gather(task.pages, "fact", task.wanted)
    kept: list[bytes] = []
    items: list[Pair] = []
    public: list[Pair] = []
    manifests: list[Pair] = []
    for key, group in groupby(rows, key=lambda pair: pair[0][:ITEM_CHARS]):
        item = key.decode()
        of_item = list(group)
        known: list[Any] = [decode_own(row[_ROW_START:]) for _, row in of_item]
        view, of_uploads, broken = settle_rows(roster, item, known)
        if broken:
            found.broken += [(_ref(place), SUPERSEDES) for place in broken]
            pairs = zip(of_item, known, strict=True)
            of_item = [pair for pair, fact in pairs if fact[PLACE] not in broken]
            known = [fact for fact in known if fact[PLACE] not in broken]
        kept += [row for _, row in of_item]
        manifests += [(manifest + key, b"\x01") for manifest in of_uploads]
        if view is not None:
            items.append((key, encode(view)))
            found.counts.update(counted(view))
            if view[PUBLIC]:
                public.append((key, b"\x01"))
        _look(found, history, item[:6], known)
    found.facts, found.items, found.public = b"".join(kept), join_rows(items), join_rows(public)
    found.manifests = make_block(sorted(manifests))
    return found


def _look(found: SettledRange, history: RosterHistory, owner: str, known: list[Row]) -> None:
    """References to nothing; what was said before it could be, or copied as it must not be."""
    uploads = {fact[PLACE]: fact for fact in known if fact[KIND] == "version.upload"}
    opened = {fact[BODY][MANIFEST] for fact in uploads.values() if fact[BODY][RIGHTS] == "open"}
    for fact in known:
        kind, body = fact[KIND], fact[BODY]
        if kind == "hold.take":
            heir = history.at(fact[ROSTER]).heir(OfficeCode(owner))
            is_bare = body[TAKEN] is None and body[MANIFEST] not in opened
            if is_bare and fact[PLACE][0] not in (owner, heir):
                found.early.append((_ref(fact[PLACE]), "hold.unsealed"))
        elif kind in _NAMES_UPLOAD:
            target = body[_NAMES_UPLOAD[kind]]
            if target not in uploads:
                found.astray.append((_ref(fact[PLACE]), _ref(target)))
            elif fact[TIME] + CLOCK_SKEW_MS_MAX < uploads[target][TIME]:
                found.early.append((_ref(fact[PLACE]), "review.early"))


_NAMES_UPLOAD: Final = {
    "review.accept": UPLOAD,
    "review.return": UPLOAD,
    "receipt.issue": UPLOAD,
    "version.withdraw": 1,
}


def _ref(place: Any) -> EventRef:
    return from_value(EventRef, place, "place")


def settle_all(
    tools: Tools, known: Known, note: Callable[[SettledRange], None]
) -> tuple[dict[str, int], str]:
    """Settle every item: how many are in each status, and the digest of the state that follows.
    Each range is given to ``note``, in order of item, before its broken events are forgotten."""
    store, spool = tools.store, tools.spool
    digests = {table: TableDigest() for table in TABLES}
    with store.read() as reader:
        blocks = [
            unpack(Block, row, bytes_max=STATE_ROW_BYTES_MAX, where="block")
            for _, row in reader.scan("block")
        ]
    manifests: list[Block] = []
    counts: Counter[tuple[str, str]] = Counter()
    tasks = (
        SettleTask(known, spool.pages(), wanted)
        for wanted in ranges(blocks, RANGE_ROWS, ITEM_CHARS)
    )
    for found in tools.hands(settle_range, tasks):
        digests["fact"].add_rows(found.facts)
        digests["item"].add_rows(found.items)
        digests["public"].add_rows(found.public)
        counts.update(found.counts)
        if found.manifests.length:
            offset = spool.append("by_manifest", found.manifests.data)
            manifests.append(found.manifests.placed(offset))
        if found.broken:
            store.run(partial(_keep_broken, tuple(found.broken)))
        note(found)
    for wanted in ranges(manifests, RANGE_ROWS * 8, 1):
        rows = gather(spool.pages(), "by_manifest", wanted)
        digests["by_manifest"].add_rows(b"".join([row for _, row in rows]))
    statuses: Counter[str] = Counter()
    for (office, word), count in sorted(counts.items()):
        if word in STATUSES:
            statuses[word] += count
        if count:
            digests["count"].add((office + word).encode(), number(count))
    settled = {"fact", "item", "public", "by_manifest", "count"}
    with store.read() as reader:
        for table in sorted(set(TABLES) - settled):
            for key, value in reader.scan(table):
                digests[table].add(key, value)
    return dict(statuses), combined(digests)


def _keep_broken(broken: tuple[tuple[EventRef, str], ...], writer: Writer) -> None:
    for ref, code in broken:
        writer.put("finding", ref.origin.encode() + number(ref.index), code.encode())
