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
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from operator import itemgetter
from typing import Final

from ledger import logbook
from ledger.authority import ROLE_KINDS
from ledger.checkpoint import Checkpoint, log_key, sign_checkpoint
from ledger.events import Context, draft_event, kind_of, sign_drafts
from ledger.genesis import Genesis
from ledger.note import parse_note, sign_note
from ledger.roster import RosterRef
from node.office.gate import Gate
from node.office.keyring import Keyring
from protocol.errors import DecodeError
from protocol.ids import EventRef, LeafHash, OfficeCode
from protocol.keys import Signer
from protocol.limits import BATCH_EVENTS_MAX
from protocol.merkle import leaf_hash
from protocol.ports import Clock, KeyValueStore, Reader, Writer

SAID_BY_USERS: Final = frozenset[str]().union(*ROLE_KINDS.values())
_Draft = tuple[bytes, bytes]  # the key id of the user who said it (b"": the office), the event


@dataclass(slots=True, eq=False)
class _Turn:
    """What one caller wants to have appended, and where the answer goes."""

    drafts: list[_Draft]
    answer: asyncio.Future[tuple[EventRef, ...]]


class Sequencer:
    """Appends to the logs of the offices hosted here."""

    def __init__(
        self,
        store: KeyValueStore,
        clock: Clock,
        genesis: Genesis,
        keys: Keyring,
        roster_ref: Callable[[], RosterRef],
        appended: Callable[[OfficeCode], None],
        user: Callable[[OfficeCode, bytes], Signer | None],
    ) -> None:
        """``user`` gives the key of a named user of an office, if it counts now."""
        self._store = store
        self._clock = clock
        self._genesis = genesis
        self._keys = keys
        self._roster_ref = roster_ref
        self._appended = appended
        self._user = user
        self._signed_with: dict[OfficeCode, bytes] = {}  # log keys, as far as looked at
        self._waiting: dict[OfficeCode, deque[_Turn]] = {}
        self._committing: dict[OfficeCode, asyncio.Future[None]] = {}
        self.gates = {code: Gate(code, keys.hosted) for code in keys.hosted}

    @property
    def is_open(self) -> bool:
        """Whether every office here may sign."""
        return all(gate.is_open for gate in self.gates.values())

    async def append(
        self, code: OfficeCode, bodies: tuple[object, ...], user: bytes = b""
    ) -> tuple[EventRef, ...]:
        """Sign and append ``bodies`` to the log of ``code``; durable when this returns.

        ``user`` is the id of a user's key, which then signs what a person says; the office's own
        key signs the rest.

        Returns where each stands, or ``()`` when the gate is shut and they are spooled instead.

        Raises:
            DecodeError: an event too long, or too many at once.
            Full: no room; nothing was kept.
        """
        if not 0 < len(bodies) <= BATCH_EVENTS_MAX:
            raise DecodeError("append", f"1 to {BATCH_EVENTS_MAX} events", len(bodies))
        drafts = [  # encoded now: a bad one must not spoil its batch
            (user if kind_of(body) in SAID_BY_USERS else b"", draft_event(body)) for body in bodies
        ]
        turn = _Turn(drafts, asyncio.get_running_loop().create_future())
        self._waiting.setdefault(code, deque()).append(turn)
        if code not in self._committing:
            # Of its own, not of a caller: who is cancelled must not leave the others waiting.
            self._committing[code] = asyncio.ensure_future(self._commit_all(code))
        return await turn.answer

    async def drain(self, code: OfficeCode) -> int:
        """Sign what was spooled for an office, if its gate is open; returns how many events.

        A log that is still empty gets its first checkpoint, so that others can tell a log without
        events from one that is kept from them.  Where the roster names another log key now, the
        head is signed with it, at the same size and root: nobody has to know the key before.
        """
        with self._store.read() as reader:
            waits = next(reader.scan("spool", code.encode()), None) is not None
            if not waits and self._has_signed_head(reader, code):
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
        self, writer: Writer, code: OfficeCode, drafts: Sequence[_Draft]
    ) -> tuple[EventRef, ...]:
        # Looked at here, in the one writer: the gate may have shut since the call.
        if not self.gates[code].is_open:
            _spool(writer, code, drafts)
            return ()
        self._drain(writer, code)  # what was spooled stands before what comes later
        return self._append(writer, code, drafts)

    def _drain(self, writer: Writer, code: OfficeCode) -> int:
        count = 0
        if self.gates[code].is_open and not self._has_signed_head(writer, code):
            self._sign_head(writer, code, logbook.head(writer, code))
        while self.gates[code].is_open:
            rows = list(islice(writer.scan("spool", code.encode()), BATCH_EVENTS_MAX))
            if not rows:
                break
            self._append(writer, code, [_unspooled(row) for _, row in rows])
            for key, _ in rows:
                writer.delete("spool", key)
            count += len(rows)
        return count

    def _append(
        self, writer: Writer, code: OfficeCode, drafts: Sequence[_Draft]
    ) -> tuple[EventRef, ...]:
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
        now, entries = self._clock.now(), list[bytes]()
        for user, run in groupby(drafts, key=itemgetter(0)):
            # Where a user's key counts no more the office signs: what was handed in is not lost.
            signer = (self._user(code, user) if user else None) or self._keys[code].event
            entries += sign_drafts(context, [draft for _, draft in run], now, signer)
        leaves = [leaf_hash(entry) for entry in entries]
        after = logbook.append_hashed(writer, code, head, entries, b"".join(leaves))
        self._sign_head(writer, code, after)
        return tuple(
            [EventRef(code, index, LeafHash(leaf)) for index, leaf in enumerate(leaves, head.size)]
        )

    def _has_signed_head(self, reader: Reader, code: OfficeCode) -> bool:
        """Whether the newest checkpoint of an own log is signed by its present key."""
        key = self._keys[code].log.public
        if self._signed_with.get(code) != key:
            note, origin = reader.get("note", code.encode()), self._genesis.origin(code)
            if note is None or log_key(origin, key).id not in [
                line.key_id for line in parse_note(note).signatures if line.name == origin
            ]:
                return False
            self._signed_with[code] = key
        return True

    def _sign_head(self, writer: Writer, code: OfficeCode, head: logbook.Head) -> None:
        checkpoint = Checkpoint(self._genesis.origin(code), head.size, head.root)
        note = sign_checkpoint(checkpoint, self._keys[code].log)
        if code == self._genesis.province:
            # Its own log tells of its new key: whoever was away then can follow by the old one.
            for former in self._keys.former(code):
                line = sign_note(checkpoint.format(), checkpoint.origin, former.log)
                note += line.format().encode()
        writer.put("note", code.encode(), note)


def waiting_drafts(reader: Reader, code: OfficeCode) -> list[bytes]:
    """What is spooled for an office, in order (see :func:`ledger.events.draft_event`)."""
    return [_unspooled(row)[1] for _, row in reader.scan("spool", code.encode())]


def _spool(writer: Writer, code: OfficeCode, drafts: Sequence[_Draft]) -> None:
    last = next(writer.scan("spool", code.encode(), reverse=True), None)
    number = int.from_bytes(last[0][6:], "big") + 1 if last else 0
    for user, draft in drafts:
        row = bytes([len(user)]) + user + draft
        writer.put("spool", code.encode() + number.to_bytes(8, "big"), row)
        number += 1


def _unspooled(row: bytes) -> _Draft:
    end = 1 + row[0]
    return row[1:end], row[end:]
