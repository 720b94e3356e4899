"""One writer of every own log: signs what the office says and appends it.

Order of one append, in one transaction of the ledger (a crash before its commit leaves nothing, a
crash after it leaves a log whose checkpoint can only be re-made the same, for Ed25519 is
deterministic):

1. read the head: its (size, root) go into the envelope, so a fork would be provable;
2. sign the events under that head and the roster as folded;
3. append the entries and tiles;
4. sign the checkpoint of the new head;
5. commit (synced), and only then answer.

While the gate of an office is shut, drafts are kept durably in ``spool`` (待登记) and signed, in
order, when it opens.  Appends that wait together share one commit of the store.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice

from ledger import logbook
from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.events import KINDS, Context, kind_of, sign_event
from ledger.merkle import leaf_hash
from ledger.roster import Genesis, RosterRef
from node.hands.keys import OfficeKeys
from node.office.gate import Gate
from protocol.canonical import decode, encode
from protocol.errors import DecodeError
from protocol.ids import EventRef, LeafHash, OfficeCode
from protocol.limits import BATCH_EVENTS_MAX, EVENT_BYTES_MAX
from protocol.ports import Clock, KeyValueStore, Writer
from protocol.shapes import from_value, to_value


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

        def job(writer: Writer) -> tuple[EventRef, ...]:
            # Looked at here, in the one writer: the gate may have shut since the call.
            if not self.gates[code].is_open:
                _spool(writer, code, bodies)
                return ()
            self._drain(writer, code)  # what was spooled stands before what comes later
            return self._append(writer, code, bodies)

        refs = await self._store.write(job)
        if refs:
            self._appended(code)
        return refs

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

    def _drain(self, writer: Writer, code: OfficeCode) -> int:
        count = 0
        if self.gates[code].is_open and writer.get("note", code.encode()) is None:
            self._sign_head(writer, code, logbook.head(writer, code))
        while self.gates[code].is_open:
            drafts = list(islice(writer.scan("spool", code.encode()), BATCH_EVENTS_MAX))
            if not drafts:
                break
            self._append(writer, code, tuple(_draft_body(value) for _, value in drafts))
            for key, _ in drafts:
                writer.delete("spool", key)
            count += len(drafts)
        return count

    def _append(
        self, writer: Writer, code: OfficeCode, bodies: tuple[object, ...]
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
        now = self._clock.now()
        entries = [sign_event(context, body, now, keys.event).encoded() for body in bodies]
        self._sign_head(writer, code, logbook.append(writer, code, entries))
        return tuple(
            EventRef(code, head.size + i, LeafHash(leaf_hash(entry)))
            for i, entry in enumerate(entries)
        )

    def _sign_head(self, writer: Writer, code: OfficeCode, head: logbook.Head) -> None:
        checkpoint = Checkpoint(self._genesis.origin(code), head.size, head.root)
        note = sign_checkpoint(checkpoint, self._keys[code].log)
        logbook.set_note(writer, code, note)
        writer.put("note", code.encode(), note)


def _spool(writer: Writer, code: OfficeCode, bodies: tuple[object, ...]) -> None:
    last = next(writer.scan("spool", code.encode(), reverse=True), None)
    number = int.from_bytes(last[0][6:], "big") + 1 if last else 0
    for body in bodies:
        value = encode((kind_of(body), to_value(body)))
        writer.put("spool", code.encode() + number.to_bytes(8, "big"), value)
        number += 1


def _draft_body(data: bytes) -> object:
    draft = decode(data, bytes_max=2 * EVENT_BYTES_MAX, where="spooled draft")
    assert isinstance(draft, tuple)
    kind, body = draft
    return from_value(KINDS[str(kind)], body, "spooled draft")
