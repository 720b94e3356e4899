"""The last step of an audit: what follows for the items of one range of ids.  What workers run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from typing import Final

from ledger.examine import Known, newest_roster
from ledger.roster import Roster
from ledger.settlement import SUPERSEDES, TableDigest, combined, counted, settle_item
from ledger.spool import Block, Pages, Pair, Range, Tools, gather, join_rows, make_block, ranges
from ledger.views import ITEM_CHARS, TABLES, Fact, number
from protocol.canonical import decode_own
from protocol.ids import EventRef, ItemId
from protocol.limits import CLOCK_SKEW_MS_MAX, STATE_ROW_BYTES_MAX
from protocol.ports import Writer
from protocol.shapes import from_value, pack, unpack

RANGE_ROWS: Final = 8192


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
    statuses: Counter[str] = field(default_factory=Counter)
    broken: list[tuple[EventRef, str]] = field(default_factory=list)
    astray: list[tuple[EventRef, EventRef]] = field(default_factory=list)  # event, what it names
    early: list[tuple[EventRef, str]] = field(default_factory=list)  # event, note


def settle_range(task: SettleTask) -> SettledRange:
    """Settle every item of the range."""
    roster = newest_roster(task.known)
    found = SettledRange()
    rows = gather(task.pages, "fact", task.wanted)
    kept: list[Pair] = []
    items: list[Pair] = []
    public: list[Pair] = []
    manifests: list[Pair] = []
    for key, group in groupby(rows, key=lambda row: row[0][:ITEM_CHARS]):
        of_item = list(group)
        known = [from_value(Fact, decode_own(row), "fact") for _, row in of_item]
        settled = settle_item(roster, ItemId(key.decode()), known)
        found.broken += [(ref, SUPERSEDES) for ref in settled.broken]
        if settled.broken:
            broken = set(settled.broken)
            pairs = zip(of_item, known, strict=True)
            of_item = [row for row, fact in pairs if fact.ref not in broken]
            known = [fact for fact in known if fact.ref not in broken]
        kept += of_item
        manifests += [(manifest.raw + key, b"\x01") for manifest in settled.manifests]
        if settled.view is not None:
            items.append((key, pack(settled.view)))
            found.statuses[settled.view.status] += 1
        for word in counted(settled.view):
            found.counts[key[:6].decode(), word] += 1
        if settled.view is not None and settled.view.public:
            public.append((key, b"\x01"))
        _look(found, roster, key[:6].decode(), known)
    found.facts, found.items, found.public = join_rows(kept), join_rows(items), join_rows(public)
    found.manifests = make_block(sorted(manifests))
    return found


def _look(found: SettledRange, roster: Roster, owner: str, known: list[Fact]) -> None:
    """References to nothing; what was said or copied before it could be."""
    uploads = {fact.ref: fact for fact in known if fact.kind == "version.upload"}
    passed = {_manifest(fact) for fact in known if fact.kind == "review.accept"}
    for fact in known:
        if fact.kind in ("review.accept", "review.return", "version.withdraw"):
            target = getattr(fact.read_body(), "upload", None)
            if not isinstance(target, EventRef):
                continue
            if target not in uploads:
                found.astray.append((fact.ref, target))
            elif fact.time + CLOCK_SKEW_MS_MAX < uploads[target].time:
                found.early.append((fact.ref, "review.early"))
        elif (
            fact.kind == "hold.take"
            and _manifest(fact) not in passed
            and fact.ref.origin != owner
            and not roster.is_above(fact.ref.origin, owner)
        ):
            found.early.append((fact.ref, "hold.early"))


def _manifest(fact: Fact) -> object:
    """Of a body whose second member it is."""
    assert isinstance(fact.body, tuple)
    return fact.body[1]


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
    statuses: Counter[str] = Counter()
    tasks = (
        SettleTask(known, spool.pages(), wanted)
        for wanted in ranges(blocks, RANGE_ROWS, ITEM_CHARS)
    )
    for found in tools.hands(settle_range, tasks):
        digests["fact"].add_rows(found.facts)
        digests["item"].add_rows(found.items)
        digests["public"].add_rows(found.public)
        counts.update(found.counts)
        statuses.update(found.statuses)
        if found.manifests.length:
            offset = spool.append("by_manifest", found.manifests.data)
            manifests.append(found.manifests.placed(offset))
        if found.broken:
            store.run(partial(_keep_broken, tuple(found.broken)))
        note(found)
    for wanted in ranges(manifests, RANGE_ROWS * 8, 1):
        digests["by_manifest"].add_rows(join_rows(gather(spool.pages(), "by_manifest", wanted)))
    for (office, word), count in sorted(counts.items()):
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
