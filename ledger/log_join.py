"""Joins the examined runs of one log, in order, and commits what came of each.

A run is taken over as workers gave it if it began where the log stands and assumed nothing that
turned out otherwise; else it is examined again, here, with all that is known by now.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import tee
from typing import Final

from ledger.audit_report import Lateness, Timeline, Witnessed, thinned
from ledger.examine import (
    SECOND_SHIFT,
    Examined,
    Known,
    Task,
    candidate_changes,
    examine,
)
from ledger.genesis import Genesis
from ledger.replay import Cursor
from ledger.seen import Seen
from ledger.source import LogSource
from ledger.spool import Tools
from ledger.survey import Surveyed, UpperTiles, survey, tree_of, with_tile
from ledger.tiles import Bundle, bundles_of
from ledger.views import number
from protocol.ids import OfficeCode
from protocol.limits import TILE_WIDTH
from protocol.merkle import HASH_BYTES, CompactRange
from protocol.ports import Writer
from protocol.shapes import pack

RUN_BUNDLES: Final = 8
SURVEY_BUNDLES: Final = 64
_CHANGES: Final = (b"member.", b"policy.set", b"recovery.set")


@dataclass(frozen=True, slots=True)
class KindCount:
    kind: str
    count: int


@dataclass(frozen=True, slots=True)
class LogState:
    """How far an audit of one log is, beside the fold's cursor; a row of ``log``."""

    lost: int = 0
    kinds: tuple[KindCount, ...] = ()
    events: Timeline = field(default_factory=Timeline)
    witnessed: tuple[Witnessed, ...] = ()
    note: bytes = b""  # the checkpoint to which it was audited last


class LogJoin:
    """One log between its start and its end."""

    def __init__(
        self,
        tools: Tools,
        genesis: Genesis,
        known: Known,
        state: LogState,
        cursor: Cursor,
        find: Callable[[Writer, int, str, str, str], None],
    ) -> None:
        """``known`` is not yet ``trusted``; ``find`` (writer, index, code, detail, office)."""
        self._tools = tools
        self._genesis = genesis
        self._known = known
        self.state = state
        self.cursor = cursor
        self._find = find
        self._roots = b""
        self._rest = b""
        self._seen = Seen(known.code)
        self._later: list[tuple[int, str]] = []  # findings of upper tiles, not committed yet
        self.late: list[Lateness] = []

    @property
    def code(self) -> OfficeCode:
        return self._known.code

    @property
    def root(self) -> bytes:
        """Of the entries so far."""
        return self.cursor.tree.root()

    @property
    def whole(self) -> bool:
        return self.cursor.size == self._known.size and not self.state.lost

    def survey(self, root: bytes) -> bool:
        """Whether the lowest tiles lead to ``root``; finds changes of the roster on the way."""
        known = self._known
        words = _CHANGES if known.code == self._genesis.province else ()
        parts = _parts(bundles_of(known.size), SURVEY_BUNDLES)
        tasks = ((known.source, known.code, part, words) for part in parts)
        sound: list[Surveyed] = []
        there = True
        for each in self._tools.hands(_survey, tasks):
            if each is None:  # of a size that may be a lie: stop at once
                there = False
                break
            sound.append(each)
        self._roots = b"".join(each.roots for each in sound)
        self._rest = b"".join(each.rest for each in sound)
        trusted = there and self._tree_at_end().root() == root
        if words:
            entries = [entry for each in sound for entry in each.found]
            changes = candidate_changes(self._genesis, entries)
            known = replace(known, changes=changes, province_size=known.size, province_root=root)
        self._known = replace(known, trusted=trusted)
        return trusted

    def _tree_at_end(self) -> CompactRange:
        return tree_of(self._roots, len(self._roots) // HASH_BYTES, self._rest)

    def join(self) -> Known:
        """Go through the log from where the cursor stands; what was known of it at the end."""
        known, start = self._known, self.cursor.size
        upper = UpperTiles(
            known.source,
            known.code,
            start // TILE_WIDTH,
            lambda index, code: self._later.append((index, code)),
        )
        if known.trusted:
            upper.add_roots(self._roots[: start // TILE_WIDTH * HASH_BYTES])
        aside = not known.trusted  # nothing can be assumed
        ahead, plan = tee(self._tasks())
        results = iter(()) if aside else self._tools.hands(examine, ahead)
        with self._tools.store.read() as reader:
            self._seen.begin(reader, start)
        for task in plan:
            result = None if aside else next(results)
            if result is None or not self._as_assumed(result):
                result = self._again(task)
            if known.trusted:
                upper.add_roots(self._roots_of(task))
            elif not start:
                upper.add_roots(result.tiles)
            self._commit(task, result)
            aside = aside or not self._changes_hold(result)
            self._tools.progress(known.code, self.cursor.size, known.size)
            if self.cursor.size < min(known.size, _end(task)):
                break
        upper.close()
        if self.cursor.size == known.size:
            self._flush()
        return self._known

    def _roots_of(self, task: Task) -> bytes:
        """The roots of the task's whole bundles."""
        first, end = task.bundles[0].number, task.bundles[-1].number + 1
        return self._roots[first * HASH_BYTES : end * HASH_BYTES]

    def _flush(self) -> None:
        """Findings of upper tiles that came after the last commit."""
        later, self._later = self._later, []

        def job(writer: Writer) -> None:
            for index, code in later:
                self._find(writer, index, code, "", "")

        if later:
            self._tools.store.run(job)

    def _tasks(self) -> Iterator[Task]:
        """Runs from the cursor on; the tree before each from the tiles."""
        known, start, tree = self._known, self.cursor.size, self.cursor.tree
        first = start // TILE_WIDTH
        bundles = (each for each in bundles_of(known.size) if each.number >= first)
        row: bytes | None = self.cursor.encoded()
        at_tile = tree_of(self._roots, first) if known.trusted else CompactRange()
        for part in _parts(bundles, RUN_BUNDLES):
            end = part[-1].number * TILE_WIDTH + part[-1].width
            with self._tools.store.read() as reader:
                sizes = self._seen.sizes(reader, start, end)
                users = tuple(reader.scan("enrolled", known.code.encode()))
            yield Task(known, start, part, tree, row, sizes, users)
            if known.trusted:
                for bundle in part:
                    at = bundle.number * HASH_BYTES
                    if bundle.width == TILE_WIDTH:
                        at_tile = with_tile(at_tile, self._roots[at : at + HASH_BYTES])
                tree = at_tile
            start, row = end, None

    def _again(self, task: Task) -> Examined:
        """Examine a run here, knowing all that came before it."""
        known = replace(self._known, changes=self._changes_so_far())
        exact = replace(task, known=known, tree=self.cursor.tree, cursor=self.cursor.encoded())
        with self._tools.store.read() as reader:
            return examine(exact, reader)

    def _as_assumed(self, result: Examined) -> bool:
        if result.unsure or result.before != self.cursor.encoded():
            return False
        if not result.users:
            return True
        with self._tools.store.read() as reader:
            return all(reader.get("enrolled", key) == row for key, row in result.users.items())

    def _changes_so_far(self) -> tuple[tuple[int, bytes], ...]:
        if self._known.code != self._genesis.province:
            return self._known.changes
        with self._tools.store.read() as reader:
            rows = [(int.from_bytes(key, "big"), row) for key, row in reader.scan("member")]
        known = {index for index, _ in rows}
        last = self.cursor.size
        later = [each for each in self._known.changes if each[0] >= last]
        return tuple(rows + [each for each in later if each[0] not in known])

    def _changes_hold(self, result: Examined) -> bool:
        """Whether the changes that were assumed of this run are those that it made."""
        if self._known.code != self._genesis.province:
            return True
        end = self.cursor.size
        start = end - result.size
        made = {int.from_bytes(key, "big") for table, key, _ in result.rows if table == "member"}
        return made == {index for index, _ in self._known.changes if start <= index < end}

    def _commit(self, task: Task, result: Examined) -> None:
        """Keep what came of a run, durably, in one transaction."""
        known, spool = self._known, self._tools.spool
        block = result.facts
        if block.length:
            block = block.placed(spool.append("fact", block.data))
            spool.sync()
        times = array("q")
        times.frombytes(result.times)
        self.cursor = Cursor.decode(result.after)
        counts = Counter({each.kind: each.count for each in self.state.kinds}) + result.kinds
        self.state = replace(
            self.state,
            lost=self.state.lost + result.lost,
            kinds=tuple(KindCount(kind, counts[kind]) for kind in sorted(counts)),
            events=self.state.events.add(result.moments, SECOND_SHIFT),
        )
        later, self._later = self._later, []

        def job(writer: Writer) -> None:
            for parent, index, size, root in self._seen.advance(writer, self.cursor.size):
                if result.roots.get(size, root) != root:
                    self._find(writer, index, "anchor.root", f"{known.code} {size}", parent)
            rows = self._seen.witnessed(times, task.start)
            self.state = replace(self.state, witnessed=thinned((*self.state.witnessed, *rows)))
            self.late += self._seen.lateness(times, task.start)
            for table, key, value in result.rows:
                writer.put(table, key, value)
            for key, value in result.recorded:
                writer.put("seen", key, value)
            for index, code in [*result.findings, *later]:
                self._find(writer, index, code, "", "")
            if block.length:
                writer.put("block", number(block.offset), pack(block))
            writer.put("cursor", known.code.encode(), result.after)
            writer.put("log", known.code.encode(), pack(self.state))

        self._tools.store.run(job)


def _survey(
    task: tuple[LogSource, OfficeCode, tuple[Bundle, ...], tuple[bytes, ...]],
) -> Surveyed | None:
    return survey(*task)


def _end(task: Task) -> int:
    last = task.bundles[-1]
    return last.number * TILE_WIDTH + last.width


def _parts(bundles: Iterable[Bundle], count: int) -> Iterator[tuple[Bundle, ...]]:
    part: list[Bundle] = []
    for bundle in bundles:
        part.append(bundle)
        if len(part) == count:
            yield tuple(part)
            part = []
    if part:
        yield tuple(part)
