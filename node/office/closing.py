"""Closures carried out: a log that the roster closed at (size, root) goes on from exactly there.

Once an office is admitted again after its keys were closed, every node that holds more of its log
than the closure cuts its copy, and folds derived state again.  What the closed key had signed
beyond is a *lost tail*: shown, and nobody's fault as far as anyone can prove.  Who holds less fills
its copy up to the closure, from whoever has it; the office itself too, before it signs.

A closure is carried out in one transaction with the row that says so, and the fold that follows is
begun anew until that row says that it is done: a crash costs nothing but the work.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from ledger import logbook
from ledger.checkpoint import Checkpoint, parse_checkpoint
from ledger.evidence import signers_of
from ledger.members import Closure
from ledger.note import NoteKey
from ledger.roster import Roster
from protocol.ids import OfficeCode
from protocol.limits import NOTE_BYTES_MAX, KiB
from protocol.ports import KeyValueStore, Reader, Writer
from protocol.shapes import pack, unpack

TABLE: Final = "closed"


@dataclass(frozen=True, slots=True)
class Closed:
    """A row of the table ``closed``: the closure at the provincial index in its key (code, index
    u64) was carried out here."""

    log_size: int
    lost_size: int  # the largest tree the closed key is known to have signed; log_size if no other
    lost_note: bytes  # the checkpoint that says so; b"" if only the entries were here
    is_folded: bool  # derived state has followed


class Closing:
    """The closures of the roster, as far as they concern the copies of this node.

    ``log_keys`` gives every key of a log, the newest first; ``refold`` makes derived state anew.
    """

    def __init__(
        self,
        ledger: KeyValueStore,
        roster: Callable[[], Roster],
        log_keys: Callable[[OfficeCode], tuple[NoteKey, ...]],
        refold: Callable[[], Awaitable[object]],
    ) -> None:
        self._ledger = ledger
        self._roster = roster
        self._log_keys = log_keys
        self._refold = refold
        with ledger.read() as reader:
            self._rows = {key: _closed(row) for key, row in reader.scan(TABLE)}

    def is_due(self, code: OfficeCode) -> bool:
        """Whether the log must not move until :meth:`carry_out` has been."""
        return any(closure.code == code for closure in self._due())

    def goal(self, reader: Reader, code: OfficeCode) -> Checkpoint | None:
        """Up to where the copy here has to be filled before the log goes on; None if it is."""
        closure = _latest(self._roster(), code)
        if closure is None or logbook.head(reader, code).size >= closure.log_size:
            return None
        origin = self._roster().genesis.origin(code)
        return Checkpoint(origin, closure.log_size, closure.log_root)

    def lost_tails(self) -> list[tuple[OfficeCode, int, Closed]]:
        """(office, provincial index of the closure, row) of all that is known to be lost."""
        return [
            (OfficeCode(key[:6].decode()), int.from_bytes(key[6:], "big"), row)
            for key, row in sorted(self._rows.items())
            if row.lost_size > row.log_size
        ]

    async def carry_out(self) -> frozenset[OfficeCode]:
        """Cut what is due, and fold again; the logs whose closure was carried out now."""
        due = list(self._due())
        rows = {}
        for closure in due:
            rows[_key(closure)] = await self._ledger.write(partial(self._cut, closure))
        if not all(row.is_folded for row in rows.values()):
            await self._refold()
            rows = {key: replace(row, is_folded=True) for key, row in rows.items()}
            await self._ledger.write(partial(_put, rows))
        self._rows.update(rows)
        return frozenset(closure.code for closure in due)

    async def heard(self, code: OfficeCode, note: bytes) -> None:
        """A verified ``note`` by a closed key, beyond its closure."""
        size = parse_checkpoint(note).size
        for closure in self._roster().closures:
            row = self._rows.get(_key(closure))
            if closure.code == code and row and closure.log_size < size and row.lost_size < size:
                row = replace(row, lost_size=size, lost_note=note)
                await self._ledger.write(partial(_put, {_key(closure): row}))
                self._rows[_key(closure)] = row
                return

    async def misfits(self, code: OfficeCode, agreed: int) -> bool:
        """The tree of the closure is the copy here only up to ``agreed``.  Cut that there, if it
        was made under a closed key and ends before the closure; whether it was."""
        with self._ledger.read() as reader:
            if self.goal(reader, code) is None or logbook.head(reader, code).size == 0:
                return False
            note = reader.get("note", code.encode())
            keys = self._log_keys(code)
            if note is not None and keys[0] in signers_of(note, keys):
                return False
        closure = _latest(self._roster(), code)
        assert closure is not None
        row = replace(self._rows[_key(closure)], is_folded=False)

        def begin(writer: Writer) -> None:
            logbook.cut(writer, code, agreed, closure.at)
            _forget_notes(writer, code)
            _put({_key(closure): row}, writer)

        await self._ledger.write(begin)
        del self._rows[_key(closure)]
        await self.carry_out()
        return True

    def _due(self) -> Iterator[Closure]:
        roster = self._roster()
        for closure in roster.closures:
            row = self._rows.get(_key(closure))
            if not roster.member(closure.code).revoked and (row is None or not row.is_folded):
                yield closure

    def _cut(self, closure: Closure, writer: Writer) -> Closed:
        done = writer.get(TABLE, _key(closure))
        if done is not None:
            return _closed(done)
        code = closure.code
        head = logbook.head(writer, code)
        lost_size, lost_note = max(head.size, closure.log_size), b""
        for table in ("note", "witness"):
            note = writer.get(table, code.encode())
            if note is not None and (size := parse_checkpoint(note).size) >= lost_size:
                lost_size, lost_note = size, note
        kept = min(head.size, closure.log_size)
        if kept == closure.log_size and logbook.root_at(writer, code, kept) != closure.log_root:
            kept -= 1  # the other history of its key; how much of it, the tiles will tell
        if kept < head.size:
            logbook.cut(writer, code, kept, closure.at)
        note = writer.get("note", code.encode())
        if note is not None and parse_checkpoint(note).size > kept:
            _forget_notes(writer, code)
        row = Closed(closure.log_size, lost_size, lost_note, is_folded=kept == head.size)
        _put({_key(closure): row}, writer)
        return row


def _latest(roster: Roster, code: OfficeCode) -> Closure | None:
    member = roster.members.get(code)
    if member is None or member.revoked:
        return None
    return next((each for each in reversed(roster.closures) if each.code == code), None)


def _key(closure: Closure) -> bytes:
    return closure.code.encode() + closure.at.to_bytes(8, "big")


def _closed(row: bytes) -> Closed:
    return unpack(Closed, row, bytes_max=NOTE_BYTES_MAX + KiB, where="row of a closure")


def _put(rows: dict[bytes, Closed], writer: Writer) -> None:
    for key, row in rows.items():
        writer.put(TABLE, key, pack(row))


def _forget_notes(writer: Writer, code: OfficeCode) -> None:
    for table in ("note", "witnessed"):
        writer.delete(table, code.encode())
