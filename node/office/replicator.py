"""Every log at every node: gossip of checkpoints, catching up, co-signing.

The unit of gossip is the newest checkpoint note of a log with every cosignature known.  A note of
a size we have is merged into ours; a longer one makes us catch up (:mod:`node.office.catchup`);
then the offices hosted here that are witnesses of that log co-sign, and the joined note goes on to
our other peers.
Since joining is commutative and idempotent, lost, repeated or reordered gossip does no harm, and
comparing heads (:mod:`node.office.comparing`) heals what was lost.

A note that contradicts the log we hold becomes evidence (:mod:`node.office.accuser`), and its log
is quarantined: we store nothing more of it and co-sign nothing more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from ledger import logbook
from ledger.checkpoint import (
    Checkpoint,
    Cosigner,
    cosign,
    merge_signatures,
    open_checkpoint,
    parse_checkpoint,
)
from ledger.evidence import check_goes_on, check_state, cosigned, lost_tail, signers_of
from ledger.genesis import Genesis
from ledger.log_check import LogFinding
from ledger.note import Note, NoteKey, parse_note
from ledger.roster import Roster
from ledger.witness_policy import witnessed
from node.hands.keys import OfficeKeys
from node.office.accuser import LOST_TAIL, Accuser
from node.office.catchup import Catchup
from node.office.closing import Closing
from node.office.comparing import Comparing
from node.office.links import Links, Peer
from node.office.sequencer import Sequencer
from protocol.errors import DecodeError, FangzhiError, ForkError, ProofError
from protocol.ids import BlobId, OfficeCode
from protocol.messages import Ack, Advert
from protocol.ports import Clock, KeyValueStore, Reader, Writer

NO_NOTE = bytes(32)


@dataclass(frozen=True, slots=True)
class Pace:
    """How often: seconds."""

    gossip_s: float
    sync_s: float
    request_s: float


class _OtherTree(Exception):
    """The tree that we co-signed is not the one that we hold."""

    def __init__(self, note: bytes) -> None:
        self.note = note


class Replicator:
    """Keeps the logs of this node and those of its peers equal."""

    def __init__(
        self,
        store: KeyValueStore,
        clock: Clock,
        genesis: Genesis,
        keys: Mapping[OfficeCode, OfficeKeys],
        links: Links,
        sequencer: Sequencer,
        roster: Callable[[], Roster],
        accuser: Accuser,
        closing: Closing,
        grown: Callable[[OfficeCode], None],
        folded: Callable[[OfficeCode, int], Awaitable[None]],
        pace: Pace,
    ) -> None:
        """``folded`` waits until so much of a log is folded."""
        self._store = store
        self._clock = clock
        self._genesis = genesis
        self._keys = keys
        self._links = links
        self._sequencer = sequencer
        self._roster = roster
        self._accuser = accuser
        self._closing = closing
        self._pace = pace
        self.catchup = Catchup(
            store,
            genesis.province,
            links,
            grown,
            self._reached,
            self._diverged,
            self._goal,
            self.is_barred,
            pace.request_s,
        )
        self.listeners: list[Callable[[], None]] = []  # told of new notes, and of a new roster
        self._dirty: set[OfficeCode] = set()
        self._wake = asyncio.Event()
        self._told: dict[str, dict[OfficeCode, bytes]] = {}  # peer -> code -> SHA-256 of note
        self.comparing = Comparing(
            store,
            genesis,
            keys,
            links,
            sequencer,
            roster,
            accuser,
            closing,
            self.catchup,
            self._tell_again,
            folded,
            pace.sync_s,
            pace.request_s,
        )

    # what peers ask

    async def on_note(self, peer: Peer, ask: Advert) -> Ack:
        """A peer tells its newest note of a log."""
        self.comparing.heard_from(peer.key)
        known = self._roster().members.get(ask.office)
        if known is None and ask.office != self._genesis.province:
            return Ack()  # our roster is behind; comparing heads will bring it again
        if not peer.offices and ask.office not in peer.named:
            return Ack()  # a guest is heard about its own log only
        self._told.setdefault(peer.key, {})[ask.office] = BlobId.of(ask.note).raw
        await self.learn(ask.office, ask.note, peer.key)
        return Ack()

    # long-lived tasks

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._gossip())
            group.create_task(self.catchup.run())
            group.create_task(self.comparing.run())

    def changed(self, code: OfficeCode) -> None:
        """The note of a log is new: tell the peers soon."""
        self._dirty.add(code)
        self._wake.set()
        self.comparing.changed()
        self._call()

    async def roster_changed(self) -> None:
        """Who witnesses what may be another now: look again at every note, and at every peer."""
        with self._store.read() as reader:
            notes = list(reader.scan("note"))
        for key, note in notes:
            await self._reached(OfficeCode(key.decode()), note)
        self.comparing.at_once()
        self._call()

    def _call(self) -> None:
        for listener in self.listeners:
            listener()

    async def _gossip(self) -> None:
        while True:
            await self._wake.wait()
            await asyncio.sleep(self._pace.gossip_s)
            self._wake.clear()
            dirty, self._dirty = sorted(self._dirty), set()
            peers = self._links.peers()
            for key in set(self._told) - {peer.key for peer in peers}:
                del self._told[key]
            await asyncio.gather(*(self._tell(peer.key, dirty) for peer in peers))

    async def _tell(self, peer: str, codes: list[OfficeCode]) -> None:
        told = self._told.setdefault(peer, {})
        for code in codes:
            with self._store.read() as reader:
                note = reader.get("note", code.encode())
                size = logbook.head(reader, code).size
            if note is None or told.get(code) == BlobId.of(note).raw:
                continue
            try:
                await self._ask(peer, "log.note", Advert(code, note, size))
            except FangzhiError:
                return  # comparing heads will make up for it
            told[code] = BlobId.of(note).raw

    async def _tell_again(self, peer: str, codes: list[OfficeCode]) -> None:
        """What we told may have come to nothing: ``peer`` has less, or an older note."""
        told = self._told.setdefault(peer, {})
        for code in codes:
            told.pop(code, None)
        await self._tell(peer, codes)

    # learning

    async def learn(self, code: OfficeCode, note: bytes, peer: str = "") -> None:
        """Believe a note as far as it is signed and fits the log here; ``peer`` told it.

        Raises:
            DecodeError, ProofError: not a signed checkpoint of this log.
            ForkError: it contradicts the log here.
        """
        if self.is_barred(code):
            return
        checkpoint, _ = open_checkpoint(note, *self._note_keys(code))
        for key in signers_of(note, self._accuser.log_keys(code)):
            check_goes_on(self._roster(), code, key, checkpoint.size)
        if await self._is_stale(code, note, checkpoint.size):
            return
        if checkpoint.origin != self._genesis.origin(code):
            raise ProofError(f"note of {code}", self._genesis.origin(code), checkpoint.origin)
        with self._store.read() as reader:
            head = logbook.head(reader, code)
            agrees = (
                checkpoint.size > head.size
                or logbook.root_at(reader, code, checkpoint.size) == checkpoint.root
            )
        if not agrees:
            await self._contradicted(code, note)
        if checkpoint.size > head.size:
            if code in self._keys:
                self._sequencer.gates[code].outgrown(checkpoint.size)
                self.comparing.at_once()
            self.catchup.longer(code, checkpoint.size, note, peer)
        else:
            await self._reached(code, note)

    async def _reached(self, code: OfficeCode, note: bytes) -> None:
        try:
            changed = await self._store.write(partial(self._merge_in, code, note))
        except _OtherTree as seen:
            await self._contradicted(code, seen.note)
            return
        if changed:
            self.changed(code)

    def _merge_in(self, code: OfficeCode, note: bytes, writer: Writer) -> bool:
        """Join ``note`` into ours and co-sign; whether anything is new."""
        ours = writer.get("note", code.encode())
        merged = note
        if ours is not None:
            size, theirs = parse_checkpoint(ours).size, parse_checkpoint(note).size
            if theirs < size:
                return False
            if theirs == size:
                log_keys, cosigners = self._note_keys(code)
                merged = merge_signatures(ours, note, (*log_keys, *cosigners))
        merged = self._cosigned(writer, code, merged)
        self._keep_witnessed(writer, code, merged)
        if merged == ours:
            return False
        writer.put("note", code.encode(), merged)
        return True

    def _keep_witnessed(self, writer: Writer, code: OfficeCode, note: bytes) -> None:
        """The newest note that meets the policy *of now*: after a change of the policy or of a
        witness's key an older one may meet it no more, and its events are pending again."""
        kept = writer.get("witnessed", code.encode())
        if self._is_witnessed(code, note):
            writer.put("witnessed", code.encode(), note)
        elif kept is not None and not self._is_witnessed(code, kept):
            writer.delete("witnessed", code.encode())

    def _is_witnessed(self, code: OfficeCode, note: bytes) -> bool:
        """Whether the witness policy of the roster holds; every line of ``note`` is verified."""
        roster = self._roster()
        if code not in roster.members:
            return False
        seen = witnessed(roster.policy(code), parse_note(note))
        return bool(seen.by) and seen.holds

    def _cosigned(self, writer: Writer, code: OfficeCode, note: bytes) -> bytes:
        """``note`` with the cosignatures of the witnesses hosted here.

        The witness state is stored in the same transaction: a crash forgets both or neither, so a
        witness never signs below what it has signed.
        """
        roster, keys = self._roster(), self._accuser.log_keys(code)
        if code in self._keys or code not in roster.members:
            return note
        if not roster.is_active(code) or keys[0] not in signers_of(note, keys):
            return note  # by a key that counts no more: what was co-signed before stays on record
        here = [m for m in roster.witnesses(code)[1] if m.code in self._keys]
        parsed = parse_note(note)
        checkpoint = Checkpoint.parse(parsed.text)
        state = writer.get("witness", code.encode())
        if not here:
            return note
        check_state(code, state, self._accuser.log_keys(code))
        last = cosigned(roster, code, state, self._accuser.log_keys(code))
        if last is not None and state is not None:
            size, root = last
            if size > checkpoint.size:
                return note
            if logbook.root_at(writer, code, size) != root:
                raise _OtherTree(state)
        signed = {(line.name, line.key_id) for line in parsed.signatures}
        now_s = self._clock.now() // 1000
        for member in here:
            cosigner = Cosigner(member.witness_name(self._genesis), self._keys[member.code].witness)
            if (cosigner.name, cosigner.key.id) not in signed:
                line = cosign(parsed.text, cosigner, now_s)
                parsed = Note(parsed.text, (*parsed.signatures, line))
        log_keys, cosigners = self._note_keys(code)
        note = merge_signatures(parsed.format(), parsed.format(), (*log_keys, *cosigners))
        writer.put("witness", code.encode(), note)
        return note

    async def _is_stale(self, code: OfficeCode, note: bytes, size: int) -> bool:
        """Whether an earlier key signed a note that counts no more: beyond the closure of the key,
        or after a checkpoint of the present key is known."""
        keys = self._accuser.log_keys(code)
        signers = signers_of(note, keys)
        if keys[0] in signers:
            return False
        if any(lost_tail(self._roster(), code, key, size) for key in signers):
            self._links.count(LOST_TAIL)
            await self._closing.heard(code, note)
            return True
        with self._store.read() as reader:
            ours = reader.get("note", code.encode())
        return ours is not None and keys[0] in signers_of(ours, keys)

    async def _diverged(self, code: OfficeCode, note: bytes, peer: str, agreed: int) -> None:
        if not await self._closing.misfits(code, agreed) and note:
            await self._accuser.diverged(code, note, peer)

    def _goal(self, code: OfficeCode) -> Checkpoint | None:
        with self._store.read() as reader:
            return self._closing.goal(reader, code)

    async def _contradicted(self, code: OfficeCode, note: bytes) -> None:
        proven = await self._accuser.contradicted(code, note)
        got = "another, with evidence" if proven else "another, for which there is no evidence yet"
        raise ForkError(f"log {code}", "one history", got)

    # small questions

    def check_notes(self, reader: Reader, code: OfficeCode) -> Iterator[LogFinding]:
        """The kept notes of a log whose signatures do not hold any more."""
        log_keys, cosigners = self._note_keys(code)
        for table in ("note", "witness", "witnessed"):
            note = reader.get(table, code.encode())
            if note is not None:
                try:
                    open_checkpoint(note, log_keys, cosigners)
                except (ProofError, DecodeError) as error:
                    yield LogFinding("log.note", f"table {table}", str(error))

    def _note_keys(self, code: OfficeCode) -> tuple[tuple[NoteKey, ...], tuple[NoteKey, ...]]:
        """Every key of the log so far, and the keys of every office that may witness it."""
        roster = self._roster()
        witnesses = roster.policy(code).witnesses if code in roster.members else ()
        return (
            self._accuser.log_keys(code),
            tuple(witness.key for witness in witnesses),
        )

    def is_barred(self, code: OfficeCode) -> bool:
        """Whether nothing of a log is stored or co-signed now."""
        return self._accuser.is_quarantined(code) or self._closing.is_due(code)

    async def _ask(self, peer: str, method: str, body: object) -> object:
        return await self._links.ask_peer(peer, method, body, self._pace.request_s)
