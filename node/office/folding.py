"""Folds the logs into state, as they grow, and tells who cares what changed.

The provincial log goes first, because an event is judged by the roster its envelope names; a log
whose next event names a roster we have not folded waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from ledger import logbook, views
from ledger.genesis import Genesis
from ledger.replay import Change, Fold
from ledger.roster import Roster, RosterHistory, RosterRef
from ledger.settlement import digest
from protocol.errors import Unavailable
from protocol.ids import OfficeCode
from protocol.ports import KeyValueStore, Reader, Writer

EVENTS_PER_JOB_MAX = 256

Listener = Callable[[frozenset[str], bool], None]  # (items, whether the roster changed)


class Folding:
    """Keeps the ``state`` store equal to the fold of the ``ledger`` store."""

    def __init__(self, ledger: KeyValueStore, state: KeyValueStore, genesis: Genesis) -> None:
        self._ledger = ledger
        self._state = state
        self._genesis = genesis
        with state.read() as reader:
            self._fold = Fold.load(genesis, reader)
        self._grown: set[OfficeCode] = set()
        self._wake = asyncio.Event()
        self._turn = asyncio.Lock()
        self._caught_up = asyncio.Condition()
        self.listeners: list[Listener] = []

    @property
    def roster(self) -> Roster:
        return self._fold.roster

    @property
    def history(self) -> RosterHistory:
        return self._fold.history

    def roster_ref(self) -> RosterRef:
        """The provincial size that is folded, and the root there: what new events name."""
        with self._state.read() as reader:
            return self._fold.roster_ref(reader)

    def grown(self, code: OfficeCode) -> None:
        """The log of ``code`` has new entries."""
        self._grown.add(code)
        self._wake.set()

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self.advance()

    async def advance(self) -> None:
        """Fold everything that is ready now."""
        async with self._turn:
            await self._advance()
        async with self._caught_up:
            self._caught_up.notify_all()

    async def _advance(self) -> None:
        province = self._genesis.province
        self._grown.add(province)
        waiting: set[OfficeCode] = set()
        while self._grown:
            code = province if province in self._grown else min(self._grown)
            self._grown.discard(code)
            try:
                moved, blocked = await self._advance_log(code)
            except BaseException:
                self.grown(code)  # a full disk: whoever runs again goes on here
                raise
            if blocked:
                waiting.add(code)
            if moved and code == province:
                self._grown |= waiting
                waiting.clear()
        self._grown |= waiting  # tried again when anything grows

    async def until(self, code: OfficeCode, size: int) -> None:
        """Wait until ``size`` events of a log are folded; the caller sets the deadline."""
        self.grown(code)
        async with self._caught_up:
            await self._caught_up.wait_for(lambda: self._cursor(code) >= size)

    async def rebuild(self) -> tuple[str, str]:
        """Fold again what is folded, from the first event, as far as the logs still have it;
        (digest before, digest after).

        One transaction: whoever reads meanwhile (a search, a signer, a custodian) sees the old
        rows, never half of the new ones.
        """
        async with self._turn:
            self._fold, before, after = await self._state.write(self._refold)
        await self.advance()
        return before, after

    def _refold(self, writer: Writer) -> tuple[Fold, str, str]:
        province = self._genesis.province
        before = digest(writer)
        sizes = {code: views.folded_size(writer, code) for code in _folded_logs(writer)}
        _clear(writer)
        fold = Fold(self._genesis)
        with self._ledger.read() as reader:
            for code in sorted(sizes, key=lambda code: (code != province, code)):
                size = min(sizes[code], logbook.head(reader, code).size)  # it may have been cut
                for start in range(0, size, EVENTS_PER_JOB_MAX):
                    end = min(start + EVENTS_PER_JOB_MAX, size)
                    entries = logbook.entries(reader, code, start, end)
                    _apply(fold, code, start, entries, writer)
        return fold, before, digest(writer)

    async def _advance_log(self, code: OfficeCode) -> tuple[bool, bool]:
        """(whether it moved, whether it waits for the roster)"""
        moved = False
        while True:
            start = self._cursor(code)
            with self._ledger.read() as reader:
                end = min(logbook.head(reader, code).size, start + EVENTS_PER_JOB_MAX)
                entries = logbook.entries(reader, code, start, end) if end > start else ()
            if not entries:
                return moved, False
            try:
                changes = await self._state.write(partial(_apply, self._fold, code, start, entries))
            except Exception:
                # the transaction is gone; the rosters in memory must not be ahead of it
                with self._state.read() as reader:
                    self._fold = Fold.load(self._genesis, reader)
                raise
            if not changes:
                return moved, True
            moved = True
            self._publish(changes)

    def _publish(self, changes: list[Change]) -> None:
        items = frozenset[str]().union(*(change.items for change in changes))
        roster_changed = any(change.roster_changed for change in changes)
        for listener in self.listeners:
            listener(items, roster_changed)

    def _cursor(self, code: OfficeCode) -> int:
        with self._state.read() as reader:
            return views.folded_size(reader, code)


def _folded_logs(reader: Reader) -> list[OfficeCode]:
    return [OfficeCode(key.decode()) for key, _ in reader.scan("cursor")]


def _apply(
    fold: Fold, code: OfficeCode, start: int, entries: tuple[bytes, ...], writer: Writer
) -> list[Change]:
    try:
        return fold.apply_run(writer, code, start, entries)
    except Unavailable:  # names a roster that is not folded yet
        return []


def _clear(writer: Writer) -> None:
    for table in views.TABLES:
        for key, _ in list(writer.scan(table)):
            writer.delete(table, key)
