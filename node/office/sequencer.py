"""One writer of every own log: signs what the office says and appends it.

Appends that wait for the same log share one batch: while one commit is under way, all that come are
gathered for the next.  Order of one batch, in one transaction of the ledger (a crash before its
commit leaves nothing, a crash after it leaves a log whose checkpoint can only be re-made the same,
for Ed25519 is deterministic):

1. read the head: its (size, root) go into the envelopes, so a fork would be provable;
2. sign the events under that head and the roster as folded;
3. append the entries and tiles;
4. sign the checkpoint of the new head;
5. commit (synced), and only then answer.

While the gate of an office is shut, drafts are kept durably in ``spool`` (待登记) and signed, in
order, when it opens.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from ledger import logbook
from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.events import Context, draft_event, sign_drafts
from ledger.genesis import Genesis
from ledger.merkle import leaf_hash
from ledger.roster import RosterRef
from node.hands.keys import OfficeKeys
from node.office.gate import Gate
from protocol.errors import DecodeError
from protocol.ids import EventRef, LeafHash, OfficeCode
from protocol.limits import BATCH_EVENTS_MAX
from protocol.ports import Clock, KeyValueStore, Writer


@dataclass(slots=True, eq=False)
class _Turn:
    """What one caller wants to have appended, and where the answer goes."""

    drafts: list[bytes]
    answer: asyncio.Future[tuple[EventRef, ...]]


class Sequencer:
    """Appends to the logs of the offices hosted here."""

    def __init__(
        self,
        store: KeyValueStore,
        clock: Clock,
        genesis: Genesis,
        keys: Mapping[OfficeCode, OfficeKeys],
        roster_ref: Callable[[], RosterRef],
        appended: Callable[[OfficeCode], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._genesis = genesis
        self._keys = keys
        self._roster_ref = roster_ref
        self._appended = appended
        self._waiting: dict[OfficeCode, deque[_Turn]] = {}
        self._committing: dict[OfficeCode, asyncio.Future[None]] = {}
        self.gates = {code: Gate(code, frozenset(keys)) for code in keys}

    async def append(self, code: OfficeCode, bodies: tuple[object, ...]) -> tuple[EventRef, ...]:
        """Sign and append ``bodies`` to the log of ``code``; durable when this returns.

        Returns where each stands, or ``()`` when the gate is shut and they are spooled instead.

        Raises:
            DecodeError: an event too long, or too many at once.
            Full: no room; nothing was kept.
        """
        if not 0 < len(bodies) <= BATCH_EVENTS_MAX:
            raise DecodeError("append", f"1 to {BATCH_EVENTS_MAX} events", len(bodies))
        drafts = [draft_event(body) for body in bodies]  # a bad one must not spoil its batch
        turn = _Turn(drafts, asyncio.get_running_loop().create_future())
        self._waiting.setdefault(code, deque()).append(turn)
        if code not in self._committing:
            # Of its own, not of a caller: who is cancelled must not leave the others waiting.
            self._committing[code] = asyncio.ensure_future(self._commit_all(code))
        return await turn.answer

    async def drain(self, code: OfficeCode) -> int:
        """Sign what was spooled for an office, if its gate is open; returns how many events.

        A log that is still empty gets its first checkpoint, so that others can tell a log without
        events from one that is kept from them.
        """
        with self._store.read() as reader:
            waits = next(reader.scan("spool", code.encode()), None) is not None
            if not waits and reader.get("note", code.encode()) is not None:
                return 0
        count = await self._store.write(lambda writer: self._drain(writer, code))
        self._appended(code)
        return count

    def spooled(self) -> int:
        with self._store.read() as reader:
            return sum(1 for _ in reader.scan("spool"))

    # turns

    async def _commit_all(self, code: OfficeCode) -> None:
        """Commit batch after batch until nobody waits."""
        turns: list[_Turn] = []
        try:
            while turns := self._next_batch(code):
                await self._commit(code, turns)
        finally:
            del self._committing[code]
            for turn in (*turns, *self._waiting.pop(code)):  # some only when the loop ends
                turn.answer.cancel()

    def _next_batch(self, code: OfficeCode) -> list[_Turn]:
        """Those who wait, as many as fit into one batch."""
        waiting, turns, count = self._waiting[code], [], 0
        while waiting and count + len(waiting[0].drafts) <= BATCH_EVENTS_MAX:
            turn = waiting.popleft()
            if not turn.answer.done():  # else its caller was cancelled
                turns.append(turn)
                count += len(turn.drafts)
        return turns

    async def _commit(self, code: OfficeCode, turns: list[_Turn]) -> None:
        drafts = [draft for turn in turns for draft in turn.drafts]
        try:
            refs = await self._store.write(lambda writer: self._take(writer, code, drafts))
            if refs:
                self._appended(code)
        except Exception as error:
            for turn in turns:
                if not turn.answer.done():
                    turn.answer.set_exception(error)
            return
        start = 0
        for turn in turns:
            end = start + len(turn.drafts)
            if not turn.answer.done():
                turn.answer.set_result(refs[start:end])
            start = end

    # in the one writer

    def _take(
        self, writer: Writer, code: OfficeCode, drafts: Sequence[bytes]
    ) -> tuple[EventRef, ...]:
        # Looked at here, in the one writer: the gate may have shut since the call.
        if not self.gates[code].is_open:
            _spool(writer, code, drafts)
            return ()
        self._drain(writer, code)  # what was spooled stands before what comes later
        return self._append(writer, code, drafts)

    def _drain(self, writer: Writer, code: OfficeCode) -> int:
        count = 0
        if self.gates[code].is_open and writer.get("note", code.encode()) is None:
            self._sign_head(writer, code, logbook.head(writer, code))
        while self.gates[code].is_open:
            rows = list(islice(writer.scan("spool", code.encode()), BATCH_EVENTS_MAX))
            if not rows:
                break
            self._append(writer, code, [draft for _, draft in rows])
            for key, _ in rows:
                writer.delete("spool", key)
            count += len(rows)
        return count

    def _append(
        self, writer: Writer, code: OfficeCode, drafts: Sequence[bytes]
    ) -> tuple[EventRef, ...]:
        keys = self._keys[code]
        head = logbook.head(writer, code)
        roster = self._roster_ref()
        context = Context(
            network=self._genesis.id,
            origin=code,
            last_size=head.size,
            last_root=head.root,
            roster_size=roster.size,
            roster_root=roster.root,
        )
        entries = sign_drafts(context, drafts, self._clock.now(), keys.event)
        leaves = [leaf_hash(entry) for entry in entries]
        after = logbook.append_hashed(writer, code, head, entries, b"".join(leaves))
        self._sign_head(writer, code, after)
        return tuple(
            [EventRef(code, index, LeafHash(leaf)) for index, leaf in enumerate(leaves, head.size)]
        )

    def _sign_head(self, writer: Writer, code: OfficeCode, head: logbook.Head) -> None:
        checkpoint = Checkpoint(self._genesis.origin(code), head.size, head.root)
        writer.put("note", code.encode(), sign_checkpoint(checkpoint, self._keys[code].log))


def _spool(writer: Writer, code: OfficeCode, drafts: Sequence[bytes]) -> None:
    last = next(writer.scan("spool", code.encode(), reverse=True), None)
    number = int.from_bytes(last[0][6:], "big") + 1 if last else 0
    for draft in drafts:
        writer.put("spool", code.encode() + number.to_bytes(8, "big"), draft)
        number += 1
