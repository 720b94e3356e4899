"""What follows from all the logs?  The fold: events in, rows of the ``state`` store out.

Events of one log are applied in order; logs may come in any order and interleaving, and the rows
come out the same (:func:`digest`).  That holds because

* an event is judged by itself, its own log before it, and the roster that its envelope names; an
  event that names a roster beyond the folded provincial log waits (:class:`Unavailable`);
* it leaves a row under its own (origin, index), and what follows for an item is computed from
  those rows (ledger/settlement.py).

An event that breaks a rule leaves a ``finding`` row with a stable code and nothing else, so a bad
event never stops the fold.  The codes, and the rules in the order they are checked, are in
docs/spec/event.md.  A claimed time decides nothing here: a wrong clock must not cost a report; the
audit shows it beside what others saw.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ledger import views
from ledger.authority import (
    ITEM_BODIES,
    Broken,
    check_authority,
    check_signer,
    item_named,
    user_after,
)
from ledger.batch import Batch
from ledger.custody import ROWS
from ledger.events import (
    CHANGES,
    Anchor,
    Event,
    ForkReport,
    KeyEnroll,
    KeyRetire,
    MemberAbolish,
    MemberRevoke,
    RosterChange,
    StatisticsPublish,
    SynonymsPut,
    parse_event,
    parse_whole,
)
from ledger.genesis import Genesis
from ledger.holdings import take_row
from ledger.roster import Roster, RosterHistory, RosterRef
from ledger.settlement import settle
from ledger.views import AnchorView, Epoch, SynonymTable, UserKey, folded_size, number
from protocol.canonical import encode
from protocol.errors import DecodeError, ProofError, Unavailable
from protocol.ids import ItemId, LeafHash, OfficeCode, RootHash
from protocol.keys import key_id
from protocol.limits import SYNONYMS_BYTES_MAX
from protocol.merkle import EMPTY_ROOT, HASH_BYTES, CompactRange, GrowingTree, leaf_hash
from protocol.ports import Reader, Writer
from protocol.shapes import pack


class Change(NamedTuple):
    """What one event did."""

    kind: str  # "": it could not be decoded, and the rest of it is not known
    time: int  # claimed
    roster_size: int
    body: object | None = None  # of an event that is not about an item, of a known kind
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
            assert isinstance(body, CHANGES)
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
        """:meth:`apply_run` of one entry."""
        return self.apply_run(writer, code, index, (entry,))[0]

    def apply_run(
        self, writer: Writer, code: OfficeCode, start: int, entries: Sequence[bytes]
    ) -> list[Change]:
        """Fold the entries from ``start`` on of the log of ``code``; views are computed once an
        item, at the end.  Stops before an entry that names a roster that is not folded yet.

        Raises:
            ProofError: ``start`` is not the next index of that log.
            Unavailable: already the first one names such a roster; nothing was written.
        """
        run = Run(self, writer, code, start)
        changes: list[Change] = []
        try:
            for entry in entries:
                changes.append(run.apply(entry))  # noqa: PERF401 (those before one that raises)
        except Unavailable:
            if not changes:
                raise
        run.close()
        items = frozenset[ItemId]().union(*[change.items for change in changes])
        broken = settle(writer, self.roster, items, code, start)
        for index, finding in broken.items():
            change = changes[index - start]
            changes[index - start] = change._replace(finding=finding, items=frozenset())
        return changes

    def check_place(self, code: OfficeCode, event: Event) -> None:
        if event.network != self.genesis.id:
            raise Broken("event.network")
        if event.origin != code:
            raise Broken("event.origin")

    def check_roster(self, writer: Writer, run: Run, event: Event) -> None:
        """The roster it names is of the provincial log, and not older than its predecessor's."""
        if (event.roster_size, event.roster_root.raw) == run.roster:
            return
        own = event.origin == self.genesis.province
        folded = run.tree.size if own else folded_size(writer, self.genesis.province)
        if event.roster_size > folded:
            if own:  # its own future
                raise Broken("event.roster")
            expected = f"the provincial log folded to {event.roster_size}"
            raise Unavailable(f"fold of {event.origin}", expected, folded)
        root = _province_root(writer, event.roster_size)
        if event.roster_root.raw != root or event.roster_size < run.roster_size:
            raise Broken("event.roster")
        run.roster = (event.roster_size, event.roster_root.raw)

    def check_signature(
        self, writer: Writer, entry: bytes, event: Event, body: object | None
    ) -> Batch:
        def known() -> UserKey | None:
            return views.user_key(writer, event.origin, event.signer)

        roster = self.roster_at(event.roster_size)
        public, user = check_signer(roster, entry, event, body, known)
        return Batch(event, roster, public, user)

    def take(
        self,
        writer: Writer,
        index: int,
        leaf: bytes,
        entry: bytes,
        event: Event,
        body: object | None,
    ) -> frozenset[ItemId]:
        """Write the rows of an event whose envelope holds, if its body keeps the rules."""
        if isinstance(body, CHANGES):
            return self._take_member(writer, index, entry, event, body)
        if isinstance(body, Anchor):
            self._take_anchor(writer, index, event, body)
        elif isinstance(body, KeyEnroll | KeyRetire):
            self._take_user(writer, index, event, body)
        elif isinstance(body, ForkReport):
            self._take_fork(writer, index, event, body)
        elif isinstance(body, StatisticsPublish):
            self._take_statistics(writer, index, event, body)
        elif isinstance(body, SynonymsPut):
            self._take_synonyms(writer, index, event, body)
        elif isinstance(body, ROWS):
            take_row(writer, self.roster_at(event.roster_size), index, event, body)
        elif isinstance(body, ITEM_BODIES):
            return self._take_fact(writer, index, leaf, event, body)
        return frozenset()

    def _take_member(
        self,
        writer: Writer,
        index: int,
        entry: bytes,
        event: Event,
        body: RosterChange,
    ) -> frozenset[ItemId]:
        if event.origin != self.genesis.province:
            raise Broken("member.place")
        try:
            self.history.apply(index, body)
        except (ProofError, DecodeError) as error:
            raise Broken("member.refused") from error
        writer.put("member", number(index), entry)
        if not isinstance(body, MemberRevoke | MemberAbolish):
            return frozenset()
        return frozenset(
            ItemId(key[:20].decode())
            for key, _ in writer.scan("fact")
            if key[20:26] == body.code.encode() and int.from_bytes(key[26:], "big") >= body.log_size
        )

    def _take_anchor(self, writer: Writer, index: int, event: Event, body: Anchor) -> None:
        roster = self.roster_at(event.roster_size)
        if not all(roster.is_above(event.origin, line.code) for line in body.heads):
            raise Broken("anchor.office")
        for line in body.heads:
            row = AnchorView(
                event.origin, index, event.time, event.roster_size, line.size, line.root
            )
            writer.put("anchor", (line.code + event.origin).encode(), pack(row))

    def _take_user(
        self, writer: Writer, index: int, event: Event, body: KeyEnroll | KeyRetire
    ) -> None:
        signer = key_id(body.key) if isinstance(body, KeyEnroll) else body.key
        if len(signer) != len(event.signer):
            raise Broken("key.refused")
        known = views.user_key(writer, event.origin, signer)
        user = user_after(self.roster_at(event.roster_size), event, index, body, known)
        writer.put("enrolled", event.origin.encode() + signer, pack(user))

    def _take_fork(self, writer: Writer, index: int, event: Event, body: ForkReport) -> None:
        """Who says where that there is evidence; the evidence itself is a matter of its bytes."""
        if body.code not in self.roster_at(event.roster_size).members:
            raise Broken("fork.office")
        place = event.origin.encode() + number(index)
        writer.put("fork", body.code.encode() + body.evidence.raw + place, number(event.time))

    def _take_synonyms(self, writer: Writer, index: int, event: Event, body: SynonymsPut) -> None:
        if event.origin != self.genesis.province:
            raise Broken("synonyms.office")
        before = views.synonym_table(writer, event.origin)
        wanted = before.version + 1 if before else 1
        if body.version != wanted or not 0 < body.table_bytes <= SYNONYMS_BYTES_MAX:
            raise Broken("synonyms.refused")
        row = SynonymTable(body.version, body.table, body.table_bytes, index)
        writer.put("synonyms", event.origin.encode(), pack(row))

    def _take_statistics(
        self, writer: Writer, index: int, event: Event, body: StatisticsPublish
    ) -> None:
        if event.origin != self.genesis.province:
            raise Broken("statistics.office")
        row = Epoch(index, event.roster_size, body.blob, body.blob_bytes, body.pages, body.shards)
        writer.put("statistics", number(index), pack(row))

    def _take_fact(
        self, writer: Writer, index: int, leaf: bytes, event: Event, body: Any
    ) -> frozenset[ItemId]:
        item_id = item_named(body)
        check_authority(self.roster_at(event.roster_size), item_id, event, body)
        place = (event.origin, index, leaf)
        row = (place, event.kind, event.time, event.signer, event.roster_size, event.body)
        writer.put("fact", (item_id + event.origin).encode() + number(index), encode(row))
        return frozenset({item_id})


class Run:
    """Consecutive entries of one log on their way into the tables; whoever makes one closes it,
    and sees to the views of the items it touched."""

    def __init__(self, fold: Fold, writer: Writer, code: OfficeCode, start: int) -> None:
        """Raises ProofError when ``start`` is not the next index of the log."""
        row = writer.get("cursor", code.encode())
        cursor = Cursor() if row is None else Cursor.decode(row)
        if start != cursor.size:
            raise ProofError(f"fold of {code}", f"event {cursor.size}", start)
        self._fold = fold
        self._writer = writer
        self._code = code
        self.tree = GrowingTree(cursor.tree)
        self.roster_size = cursor.roster_size
        self.last_size = cursor.last_size
        self.last_root = cursor.last_root
        self.roster = (-1, b"")  # (size, root) last found in the provincial log
        self._batch: Batch | None = None  # of the entry before, if that is about an item

    def apply(self, entry: bytes, leaf: bytes = b"") -> Change:
        """Fold the next entry, whose leaf hash may be known.

        Raises:
            Unavailable: it names a roster that is not folded yet; nothing was written.
        """
        leaf = leaf or leaf_hash(entry)
        batch = self._batch
        if batch is None or (told := batch.read(entry, self.tree.size, leaf)) is None:
            return self._judge(entry, leaf)
        self._writer.put("fact", told.key, told.row)
        self._advance(leaf)
        return Change(told.kind, batch.time, batch.roster_size, items=frozenset((told.item,)))

    def _judge(self, entry: bytes, leaf: bytes) -> Change:
        """:meth:`apply` of an entry of which nothing is known."""
        index = self.tree.size
        self._batch = None
        event: Event | None = None
        body: object | None = None
        chain = (self.roster_size, self.last_size, self.last_root)
        items: frozenset[ItemId] = frozenset()
        finding = ""
        try:
            event, body = _parse(entry)
            self._fold.check_place(self._code, event)
            _check_chain(self, event)
            chain = (self.roster_size, event.last_size, event.last_root.raw)
            self._fold.check_roster(self._writer, self, event)
            batch = self._fold.check_signature(self._writer, entry, event, body)
            chain = (event.roster_size, *chain[1:])
            items = self._fold.take(self._writer, index, leaf, entry, event, body)
            if isinstance(body, ITEM_BODIES):
                self._batch, body = batch, None
        except Broken as broken:
            finding = str(broken)
            self._writer.put("finding", self._code.encode() + number(index), finding.encode())
        self.roster_size, self.last_size, self.last_root = chain
        self._advance(leaf)
        if event is None:
            return Change("", -1, 0, None, finding)
        changed = not finding and isinstance(body, CHANGES)
        return Change(event.kind, event.time, event.roster_size, body, finding, items, changed)

    def skip(self, leaf: LeafHash) -> None:
        """Go past an entry whose bytes are lost, of which only the leaf hash is known."""
        place = self._code.encode() + number(self.tree.size)
        self._writer.put("finding", place, b"entry.lost")
        self._advance(leaf.raw)

    def close(self) -> None:
        """Say how far the log is folded."""
        chain = (self.roster_size, self.last_size, self.last_root)
        cursor = Cursor(self.tree.compact(), *chain)
        self._writer.put("cursor", self._code.encode(), cursor.encoded())

    def _advance(self, leaf: bytes) -> None:
        self.tree.push(leaf)
        if self._code == self._fold.genesis.province:
            self._writer.put("root", number(self.tree.size), self.tree.root())


def _parse(entry: bytes) -> tuple[Event, object | None]:
    try:
        return parse_whole(entry)
    except DecodeError as error:
        raise Broken("event.decode") from error


def _check_chain(run: Run, event: Event) -> None:
    """A batch begins at the checkpoint it names; the rest of the batch names the same one."""
    if event.last_size == run.tree.size:
        held = event.last_root.raw == run.tree.root()
    else:
        held = (event.last_size, event.last_root.raw) == (run.last_size, run.last_root)
    if not held:
        raise Broken("event.chain")


def _province_root(reader: Reader, size: int) -> bytes | None:
    """The root of the provincial log at a folded size."""
    return reader.get("root", number(size)) if size else EMPTY_ROOT
