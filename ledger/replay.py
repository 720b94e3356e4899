"""What follows from all the logs?  The fold: events in, rows of the ``state`` store out.

Events of one log are applied in order; logs may come in any order and interleaving, and the rows
come out the same (:func:`digest`).  That holds because

* an event is judged by itself, its own log before it, and the roster that its envelope names; an
  event that names a roster beyond the folded provincial log waits (:class:`Unavailable`);
* it leaves a row under its own (origin, index), and a view is recomputed from those rows.

An event that breaks a rule leaves a ``finding`` row with a stable code and nothing else, so a bad
event never stops the fold.  The codes, and the rules in the order they are checked, are in
docs/spec/event.md.  A claimed time decides nothing here: a wrong clock must not cost a report; the
audit shows it beside what others saw.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

from ledger.authority import ITEM_BODIES, Broken, check_authority, item_named
from ledger.events import (
    Anchor,
    Event,
    MemberAdmit,
    MemberRevoke,
    VersionUpload,
    parse_event,
    parse_whole,
    verify_entry,
)
from ledger.lifecycle import view_of
from ledger.merkle import EMPTY_ROOT, HASH_BYTES, CompactRange, leaf_hash
from ledger.roster import Genesis, Roster, RosterHistory, RosterRef
from ledger.views import TABLES, AnchorView, Fact, ItemView, facts, folded_size, item, number
from protocol.errors import DecodeError, ProofError, Unavailable
from protocol.ids import (
    EventRef,
    ItemId,
    LeafHash,
    OfficeCode,
    RootHash,
)
from protocol.keys import key_id
from protocol.ports import Reader, Writer
from protocol.shapes import pack

_THERE: Final = b"\x01"


@dataclass(frozen=True, slots=True)
class Change:
    """What one event did."""

    event: Event | None  # None: it could not be decoded
    body: object | None  # None: not decoded, or of a kind this version does not know
    finding: str = ""  # the rule it broke; then it changed nothing else
    items: frozenset[ItemId] = frozenset()  # whose view may be another now
    roster_changed: bool = False


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a log is folded, and what its next event has to agree with."""

    tree: CompactRange = field(default_factory=CompactRange)
    roster_size: int = 0  # named by its last event that held
    last_size: int = 0  # the checkpoint that the running batch names
    last_root: bytes = EMPTY_ROOT

    @property
    def size(self) -> int:
        return self.tree.size

    def encoded(self) -> bytes:
        integers = b"".join(map(number, (self.size, self.roster_size, self.last_size)))
        return integers + self.last_root + b"".join(self.tree.hashes)

    @classmethod
    def decode(cls, row: bytes) -> Cursor:
        size, roster_size, last_size = (
            int.from_bytes(row[at : at + 8], "big") for at in (0, 8, 16)
        )
        hashes = tuple(row[at : at + HASH_BYTES] for at in range(56, len(row), HASH_BYTES))
        return cls(CompactRange(size, hashes), roster_size, last_size, row[24:56])


class Fold:
    """The fold of one network.  Holds the rosters in memory and everything else in the store."""

    def __init__(self, genesis: Genesis) -> None:
        self.genesis = genesis
        self.history = RosterHistory(genesis)

    @classmethod
    def load(cls, genesis: Genesis, reader: Reader) -> Fold:
        """The fold that goes on where the rows of ``reader`` stand."""
        fold = cls(genesis)
        for key, row in reader.scan("member"):
            body = parse_event(row).read_body()
            assert isinstance(body, MemberAdmit | MemberRevoke)
            fold.history.apply(int.from_bytes(key, "big"), body)
        return fold

    @property
    def roster(self) -> Roster:
        return self.history.newest

    def roster_at(self, size: int) -> Roster:
        """The roster after the first ``size`` events of the provincial log."""
        return self.history.at(size)

    def roster_ref(self, reader: Reader) -> RosterRef:
        """The roster that new events are to name."""
        size = folded_size(reader, self.genesis.province)
        return RosterRef(size, RootHash(_province_root(reader, size) or EMPTY_ROOT))

    def apply(self, writer: Writer, code: OfficeCode, index: int, entry: bytes) -> Change:
        """Fold the entry at ``index`` of the log of ``code``; entries come in order.

        Raises:
            ProofError: not the next index of that log.
            Unavailable: it names a roster that is not folded yet; nothing was written.
        """
        cursor = self._cursor(writer, code, index)
        event: Event | None = None
        body: object | None = None
        chain = (cursor.roster_size, cursor.last_size, cursor.last_root)
        items: frozenset[ItemId] = frozenset()
        finding = ""
        try:
            event, body = _parse(entry)
            self._check_place(code, event)
            _check_chain(cursor, event)
            chain = (cursor.roster_size, event.last_size, event.last_root.raw)
            self._check_roster(writer, cursor, event)
            self._check_signature(entry, event, body)
            chain = (event.roster_size, *chain[1:])
            items = self._take(writer, index, entry, event, body)
        except Broken as broken:
            finding = str(broken)
            writer.put("finding", code.encode() + number(index), finding.encode())
        self._advance(writer, code, Cursor(cursor.tree.push(leaf_hash(entry)), *chain))
        changed = not finding and isinstance(body, MemberAdmit | MemberRevoke)
        return Change(event, body, finding, items, changed)

    def skip(self, writer: Writer, code: OfficeCode, index: int, leaf: LeafHash) -> None:
        """Go past an entry whose bytes are lost, of which only the leaf hash is known."""
        cursor = self._cursor(writer, code, index)
        writer.put("finding", code.encode() + number(index), b"entry.lost")
        chain = (cursor.roster_size, cursor.last_size, cursor.last_root)
        self._advance(writer, code, Cursor(cursor.tree.push(leaf.raw), *chain))

    def _cursor(self, writer: Writer, code: OfficeCode, index: int) -> Cursor:
        row = writer.get("cursor", code.encode())
        cursor = Cursor() if row is None else Cursor.decode(row)
        if index != cursor.size:
            raise ProofError(f"fold of {code}", f"event {cursor.size}", index)
        return cursor

    def _advance(self, writer: Writer, code: OfficeCode, cursor: Cursor) -> None:
        writer.put("cursor", code.encode(), cursor.encoded())
        if code == self.genesis.province:
            writer.put("root", number(cursor.size), cursor.tree.root())

    def _check_place(self, code: OfficeCode, event: Event) -> None:
        if event.network != self.genesis.id:
            raise Broken("event.network")
        if event.origin != code:
            raise Broken("event.origin")

    def _check_roster(self, writer: Writer, cursor: Cursor, event: Event) -> None:
        """The roster it names is of the provincial log, and not older than its predecessor's."""
        if event.roster_size > folded_size(writer, self.genesis.province):
            if event.origin == self.genesis.province:  # its own future
                raise Broken("event.roster")
            expected = f"the provincial log folded to {event.roster_size}"
            raise Unavailable(f"fold of {event.origin}", expected, "less")
        root = _province_root(writer, event.roster_size)
        if event.roster_root.raw != root or event.roster_size < cursor.roster_size:
            raise Broken("event.roster")

    def _check_signature(self, entry: bytes, event: Event, body: object | None) -> None:
        public = self.roster_at(event.roster_size).event_key(event.origin, event.signer)
        if public is None:
            public = self._admits_itself(event, body)
        if public is None:
            raise Broken("event.signer")
        try:
            verify_entry(entry, event, public)
        except ProofError as error:
            raise Broken("event.signature") from error

    def _admits_itself(self, event: Event, body: object | None) -> bytes | None:
        """The province's admission of itself is signed by the key it admits: the root keys inside
        give it authority, and there is no earlier roster to look that key up in."""
        if (
            isinstance(body, MemberAdmit)
            and body.code == event.origin == self.genesis.province
            and key_id(body.event_key) == event.signer
        ):
            return body.event_key
        return None

    def _take(
        self, writer: Writer, index: int, entry: bytes, event: Event, body: object | None
    ) -> frozenset[ItemId]:
        """Write the rows of an event whose envelope holds, if its body keeps the rules."""
        if isinstance(body, MemberAdmit | MemberRevoke):
            return self._take_member(writer, index, entry, event, body)
        if isinstance(body, Anchor):
            self._take_anchor(writer, index, event, body)
        elif isinstance(body, ITEM_BODIES):
            return self._take_fact(writer, index, entry, event, body)
        return frozenset()

    def _take_member(
        self,
        writer: Writer,
        index: int,
        entry: bytes,
        event: Event,
        body: MemberAdmit | MemberRevoke,
    ) -> frozenset[ItemId]:
        if event.origin != self.genesis.province:
            raise Broken("member.place")
        try:
            self.history.apply(index, body)
        except (ProofError, DecodeError) as error:
            raise Broken("member.refused") from error
        writer.put("member", number(index), entry)
        if isinstance(body, MemberAdmit):
            return frozenset()
        cut = {
            ItemId(key[:20].decode())
            for key, _ in writer.scan("fact")
            if key[20:26] == body.code.encode() and int.from_bytes(key[26:], "big") >= body.log_size
        }
        for item_id in sorted(cut):
            before = item(writer, item_id) if writer.get("item", item_id.encode()) else None
            _put_view(writer, item_id, before, self._view(item_id, facts(writer, item_id)))
        return frozenset(cut)

    def _take_anchor(self, writer: Writer, index: int, event: Event, body: Anchor) -> None:
        roster = self.roster_at(event.roster_size)
        if not all(roster.is_above(event.origin, line.code) for line in body.heads):
            raise Broken("anchor.office")
        for line in body.heads:
            row = AnchorView(
                event.origin, index, event.time, event.roster_size, line.size, line.root
            )
            writer.put("anchor", (line.code + event.origin).encode(), pack(row))

    def _take_fact(
        self, writer: Writer, index: int, entry: bytes, event: Event, body: Any
    ) -> frozenset[ItemId]:
        item_id = item_named(body)
        known = facts(writer, item_id)
        check_authority(self.roster_at(event.roster_size), item_id, known, event, body)
        fact = Fact(
            ref=EventRef(event.origin, index, LeafHash(leaf_hash(entry))),
            kind=event.kind,
            time=event.time,
            signer=event.signer,
            roster_size=event.roster_size,
            body=event.body,
        )
        writer.put("fact", (item_id + event.origin).encode() + number(index), pack(fact))
        if isinstance(body, VersionUpload):
            writer.put("by_manifest", body.manifest.raw + item_id.encode(), _THERE)
        before, after = self._view(item_id, known), self._view(item_id, [*known, fact])
        _put_view(writer, item_id, before, after)
        return frozenset({item_id})

    def _view(self, item_id: ItemId, known: list[Fact]) -> ItemView | None:
        """What follows from the facts that no revocation has cut off."""
        valid = [
            fact
            for fact in sorted(known, key=lambda fact: fact.ref)
            if not self.roster.is_void(fact.ref.origin, fact.ref.index, fact.roster_size)
        ]
        return view_of(item_id, valid)


def _parse(entry: bytes) -> tuple[Event, object | None]:
    try:
        return parse_whole(entry)
    except DecodeError as error:
        raise Broken("event.decode") from error


def _check_chain(cursor: Cursor, event: Event) -> None:
    """A batch begins at the checkpoint it names; the rest of the batch names the same one."""
    if event.last_size == cursor.size:
        held = event.last_root.raw == cursor.tree.root()
    else:
        held = (event.last_size, event.last_root.raw) == (cursor.last_size, cursor.last_root)
    if not held:
        raise Broken("event.chain")


def _province_root(reader: Reader, size: int) -> bytes | None:
    """The root of the provincial log at a folded size."""
    return reader.get("root", number(size)) if size else EMPTY_ROOT


def _put_view(
    writer: Writer, item_id: ItemId, before: ItemView | None, view: ItemView | None
) -> None:
    """Replace the view and what is counted and listed from it."""
    key = item_id.encode()
    gone, come = _counted(before), _counted(view)
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


def _counted(view: ItemView | None) -> set[str]:
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
    """SHA-256 over every row of every derived table in order: the same on every node that has
    folded the same logs ("logical digest")."""
    running = sha256()
    for table in TABLES:
        running.update(b"table " + table.encode() + b"\n")
        for key, value in reader.scan(table):
            running.update(number(len(key)) + key + number(len(value)) + value)
    return running.hexdigest()
