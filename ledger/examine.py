"""What do some entries of a log say, if the log before them is as assumed?  What workers run.

Many runs of entries can be examined at once, by the very fold that nodes use, because what a run
depends on is little and known beforehand: how far the log was folded (the tree follows from its
tiles, the rest from the entry before), the roster (its changes were found by a quick survey) and
the roots of the provincial log (its tiles).  :class:`Examined` names what was assumed; whoever
joins the runs in order compares it with what came out, and has a run examined again, with a reader
of what is known by then, where it differs or is ``unsure``.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from ledger.events import CHANGES, Anchor, MemberAbolish, MemberRevoke, parse_event
from ledger.genesis import Genesis, read_genesis
from ledger.replay import Change, Cursor, Fold, Run
from ledger.roster import Roster, RosterHistory
from ledger.source import LogReader, LogSource
from ledger.spool import Block, make_block
from ledger.survey import Leaf, LeafReader
from ledger.tiles import Bundle
from ledger.views import number
from protocol.errors import DecodeError, Missing, ProofError, Unavailable
from protocol.ids import LeafHash, OfficeCode
from protocol.limits import TILE_WIDTH
from protocol.merkle import CompactRange, perfect_root
from protocol.ports import Reader

SECOND_SHIFT: Final = 10
"""Claimed times are counted by their milliseconds >> 10, about a second."""

_TOLD: Final = frozenset({"fact", "cursor"})  # tables in which a run sees its own rows only

Row = tuple[str, bytes, bytes]  # table, key, value


@dataclass(frozen=True, slots=True)
class Known:
    """What every task of one log shares."""

    source: LogSource
    genesis: bytes  # the note
    changes: tuple[tuple[int, bytes], ...]  # of members: provincial index, entry
    province_size: int  # folded
    province_root: bytes
    code: OfficeCode
    size: int  # of the log
    trusted: bool  # its lowest tiles lead to its checkpoint's root


@dataclass(frozen=True, slots=True)
class Task:
    """Examine the entries from ``start`` (in bundle ``first``) to the end of ``bundles``."""

    known: Known
    start: int
    bundles: tuple[Bundle, ...]
    tree: CompactRange  # of the entries before ``start``
    cursor: bytes | None  # the fold's row at ``start``; None: take it from the entry before
    sizes: tuple[int, ...] = ()  # for which the root is wanted
    users: tuple[tuple[bytes, bytes], ...] = ()  # rows of ``enrolled`` as far as known


@dataclass
class Examined:
    """What came of a task; the fold's rows beside what the audit wants to know."""

    before: bytes  # the cursor it started from
    unsure: bool = False  # it asked for what it could not know
    users: dict[bytes, bytes | None] = field(default_factory=dict)  # what it took of ``enrolled``
    after: bytes = b""
    size: int = 0  # entries gone through; less than asked where the log cannot be followed
    lost: int = 0
    findings: list[tuple[int, str]] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    facts: Block = field(default_factory=Block)
    recorded: list[tuple[bytes, bytes]] = field(default_factory=list)  # rows of ``seen``
    kinds: Counter[str] = field(default_factory=Counter)
    times: bytes = b""  # claimed, i64, -1 where there is no event
    moments: Counter[int] = field(default_factory=Counter)
    tiles: bytes = b""  # the root of every whole bundle, where the tiles are not trusted
    roots: dict[int, bytes] = field(default_factory=dict)


def examine(task: Task, reader: Reader | None = None) -> Examined:
    """Fold the entries of a task into rows.

    Raises:
        Unavailable: the source cannot be reached.
    """
    known = task.known
    genesis, newest = _rosters(known.genesis, known.changes)
    before = task.cursor if task.cursor is not None else _cursor_before(task)
    overlay = Overlay(task, genesis, before, reader)
    fold = _fold(known, genesis, task.start)
    return _Examination(task, fold, newest, overlay, Examined(before)).run()


class _Examination:
    def __init__(
        self, task: Task, fold: Fold, newest: Roster, overlay: Overlay, found: Examined
    ) -> None:
        self._task = task
        self._code = task.known.code
        self._newest = newest
        self._overlay = overlay
        self._found = found
        self._times = array("q")
        self._kinds: list[str] = []
        self._run = Run(fold, overlay, self._code, task.start)

    def run(self) -> Examined:
        known, found, run = self._task.known, self._found, self._run
        sizes = iter(self._task.sizes)
        wanted = next(sizes, -1)
        roots = []
        reader = LeafReader(known.source, known.code, known.trusted, self._find)
        for bundle in self._task.bundles:
            leaves = reader.read(bundle)
            if leaves is None:
                break
            if not known.trusted and len(leaves) == TILE_WIDTH:
                roots.append(perfect_root(b"".join([each.leaf for each in leaves])))
            skipped = run.tree.size - leaves[0].index
            for leaf in leaves[skipped:] if skipped else leaves:
                while wanted == leaf.index:
                    found.roots[wanted] = run.tree.root()
                    wanted = next(sizes, -1)
                self._take(leaf)
        while wanted == run.tree.size:
            found.roots[wanted] = run.tree.root()
            wanted = next(sizes, -1)
        run.close()
        found.tiles = b"".join(roots)
        found.size = run.tree.size - self._task.start
        found.kinds.update(self._kinds)
        found.times = self._times.tobytes()
        found.moments.update([time >> SECOND_SHIFT for time in self._times if time >= 0])
        self._overlay.give(found, self._code)
        return found

    def _find(self, index: int, code: str) -> None:
        if index >= self._task.start or index < 0:
            self._found.findings.append((index, code))

    def _take(self, leaf: Leaf) -> None:
        change = None
        if leaf.entry is None:
            self._found.lost += 1
            self._run.skip(LeafHash(leaf.leaf))
        else:
            try:
                change = self._run.apply(leaf.entry, leaf.leaf)
            except Unavailable:  # the provincial log is folded to its end
                self._find(leaf.index, "event.roster")
                self._run.skip(LeafHash(leaf.leaf))
        if change is None:
            self._times.append(-1)
            return
        self._times.append(change.time)
        if change.kind:
            self._kinds.append(change.kind)
        if change.finding:
            self._find(leaf.index, change.finding)
        elif self._newest.closures or change.body is not None:
            self._judge(leaf.index, change)

    def _judge(self, index: int, change: Change) -> None:
        if self._newest.is_void(self._code, index, change.roster_size):
            self._find(index, "event.void")
            return
        body = change.body
        if isinstance(body, Anchor):
            for line in body.heads:
                self._record(line.code, line.size, line.root.raw, index, change.time)
        elif isinstance(body, MemberRevoke | MemberAbolish):
            self._record(body.code, body.log_size, body.log_root.raw, index, change.time)

    def _record(self, child: str, size: int, root: bytes, index: int, time: int) -> None:
        key = child.encode() + number(size) + self._code.encode() + number(index)
        self._found.recorded.append((key, root + number(time)))


class Overlay:
    """The rows that a run writes, over what it may assume, or over a reader."""

    def __init__(self, task: Task, genesis: Genesis, cursor: bytes, reader: Reader | None) -> None:
        known = task.known
        self._users = dict(task.users)
        self._asked: dict[bytes, bytes | None] = {}
        self._reader = reader
        self._province = LogReader(
            known.source, genesis.province, known.province_size, known.province_root
        )
        self._tables: dict[str, dict[bytes, bytes]] = {}
        self._cursors = {known.code.encode(): cursor}
        self.unsure = False
        if known.code != genesis.province:
            size = number(known.province_size)
            self._cursors[genesis.province.encode()] = size + bytes(48)

    def get(self, table: str, key: bytes) -> bytes | None:
        mine = self._tables.get(table, {}).get(key)
        if mine is not None:
            return mine
        if table == "cursor":
            return self._cursors.get(key)
        if self._reader is not None:
            return self._reader.get(table, key)
        if table == "enrolled":
            return self._asked.setdefault(key, self._users.get(key))
        if table == "root":
            return self._province_root(int.from_bytes(key, "big"))
        self.unsure = True
        return None

    def _province_root(self, size: int) -> bytes | None:
        """The root of the provincial log, from tiles that were found to be right."""
        if size >= self._province.size:
            return self._province.root if size == self._province.size else None
        try:
            return self._province.root_at(size)
        except (Missing, ProofError):
            return None

    def scan(
        self, table: str, prefix: bytes = b"", start: bytes = b"", reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        if table in _TOLD:
            return iter(())
        if self._reader is not None:
            return self._reader.scan(table, prefix, start, reverse)
        self.unsure = True
        return iter(())

    def put(self, table: str, key: bytes, value: bytes) -> None:
        self._tables.setdefault(table, {})[key] = value

    def put_many(self, table: str, pairs: Sequence[tuple[bytes, bytes]]) -> None:
        self._tables.setdefault(table, {}).update(pairs)

    def delete(self, table: str, key: bytes) -> None:
        self.unsure = True

    def give(self, found: Examined, code: str) -> None:
        """Sort what was written into ``found``."""
        found.unsure, found.users = self.unsure, self._asked
        found.facts = make_block(sorted(self._tables.pop("fact", {}).items()))
        found.after = self._tables.pop("cursor", {}).get(code.encode(), b"")
        found.rows = [
            (table, key, value)
            for table, rows in self._tables.items()
            for key, value in rows.items()
        ]


class _Changes:
    """The rows of ``member``, for :meth:`Fold.load`."""

    def __init__(self, changes: tuple[tuple[int, bytes], ...]) -> None:
        self._changes = changes

    def get(self, _table: str, _key: bytes) -> bytes | None:
        return None

    def scan(
        self, table: str, prefix: bytes = b"", start: bytes = b"", reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        rows = self._changes if table == "member" else ()
        return ((number(index), entry) for index, entry in rows)


@lru_cache(maxsize=2)
def _rosters(note: bytes, changes: tuple[tuple[int, bytes], ...]) -> tuple[Genesis, Roster]:
    genesis = read_genesis(note)
    return genesis, Fold.load(genesis, _Changes(changes)).roster


def rosters(known: Known) -> RosterHistory:
    """Every roster that the changes lead to."""
    return _whole_fold(known.genesis, known.changes).history


@lru_cache(maxsize=2)
def _whole_fold(note: bytes, changes: tuple[tuple[int, bytes], ...]) -> Fold:
    return Fold.load(read_genesis(note), _Changes(changes))


def _fold(known: Known, genesis: Genesis, start: int) -> Fold:
    """The provincial log makes rosters as it goes; for others all are there."""
    if known.code != genesis.province:
        return _whole_fold(known.genesis, known.changes)
    before = tuple((index, entry) for index, entry in known.changes if index < start)
    return Fold.load(genesis, _Changes(before))


def _cursor_before(task: Task) -> bytes:
    """The fold's row at the start, if the entry before it holds."""
    if task.start == 0:
        return Cursor().encoded()
    known = task.known
    reader = LogReader(known.source, known.code, known.size, b"")
    try:
        event = parse_event(reader.entry(task.start - 1))
    except (DecodeError, Missing):
        return Cursor(task.tree).encoded()
    return Cursor(task.tree, event.roster_size, event.last_size, event.last_root.raw).encoded()


def candidate_changes(
    genesis: Genesis, entries: list[tuple[int, bytes]]
) -> tuple[tuple[int, bytes], ...]:
    """Those entries of the provincial log that change the roster, if their envelopes hold."""
    fold = Fold(genesis)
    changes = []
    for index, entry in entries:
        try:
            body = parse_event(entry).read_body()
            if isinstance(body, CHANGES):
                fold.history.apply(index, body)
                changes.append((index, entry))
        except (DecodeError, ProofError):
            continue
    return tuple(changes)
