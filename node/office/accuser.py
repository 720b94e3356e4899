"""Forks: evidence made of contradictions, told, received, kept.

Whoever meets two statements of one log that do not fit makes evidence of them
(:mod:`ledger.evidence`): from the entries here when the longer tree is ours, from a peer's
``log.proof`` when it is the peer's.  Where none can be made nobody is accused.  Evidence is stored
before anything else; then this node says ``fork.report`` in a log of its own, once, and every peer
hears the bytes until it has taken them.

A log is in quarantine while evidence stands against the key that the roster names for it now.  That
is looked up, never stored: when the roster closes the key and names another, it is over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

from ledger import logbook
from ledger.checkpoint import parse_checkpoint
from ledger.events import ForkReport
from ledger.evidence import (
    evidence_of,
    indexes_to_prove,
    log_keys,
    lost_tail,
    of_proof,
    verify_evidence,
)
from ledger.note import NoteKey
from ledger.roster import Roster, RosterHistory
from ledger.views import reported_forks
from node.hands.keys import OfficeKeys
from node.office.links import Links, Peer
from node.office.sequencer import Sequencer
from protocol.errors import FangzhiError, Missing, ProofError
from protocol.ids import BlobId, OfficeCode, UnixMs
from protocol.limits import EVIDENCE_BYTES_MAX, EVIDENCE_PER_LOG_MAX, KiB
from protocol.messages import Ack, EntryProof, EvidenceTell, ProofAsk
from protocol.ports import Clock, KeyValueStore, Writer
from protocol.shapes import pack, unpack

TABLE: Final = "evidence"
LOST_TAIL: Final = "log.lost-tail"  # counter: old keys' statements beyond their closure


@dataclass(frozen=True, slots=True)
class Held:
    """A row of the table ``evidence``; its key is the office's code and SHA-256 of the evidence."""

    evidence: bytes
    log_key: bytes  # the public key it convicts
    learned: UnixMs
    made_here: bool


class Accuser:
    """The evidence of one node."""

    def __init__(
        self,
        ledger: KeyValueStore,
        state: KeyValueStore,
        clock: Clock,
        keys: Mapping[OfficeCode, OfficeKeys],
        links: Links,
        sequencer: Sequencer,
        history: Callable[[], RosterHistory],
        convicted: Callable[[], None],
        request_s: float,
        retry_s: float,
    ) -> None:
        self._ledger = ledger
        self._state = state
        self._clock = clock
        self._keys = keys
        self._links = links
        self._sequencer = sequencer
        self._history = history
        self._convicted = convicted
        self._request_s = request_s
        self._retry_s = retry_s
        self._known: dict[OfficeCode, dict[BlobId, Held]] = {}
        self._told: dict[str, set[BlobId]] = {}  # peer -> what it has
        self._reported: set[BlobId] = set()  # by this node, perhaps not folded yet
        self._wake = asyncio.Event()
        self._log_keys: tuple[Roster, dict[OfficeCode, tuple[NoteKey, ...]]] | None = None
        with ledger.read() as reader:
            for key, row in reader.scan(TABLE):
                self._remember(OfficeCode(key[:6].decode()), BlobId(key[6:]), _held(row))
        links.on_change(self._met)

    @property
    def quarantined(self) -> frozenset[OfficeCode]:
        """The logs of which nothing more is stored or co-signed."""
        return frozenset(code for code in self._known if self.is_quarantined(code))

    def is_quarantined(self, code: OfficeCode) -> bool:
        held = self._known.get(code)
        if not held:
            return False
        now = self.log_keys(code)[:1]
        return any(each.log_key == key.public for each in held.values() for key in now)

    def evidence(self) -> list[tuple[OfficeCode, BlobId, Held]]:
        """Everything that is held, by office."""
        return [
            (code, digest, held)
            for code in sorted(self._known)
            for digest, held in sorted(self._known[code].items(), key=lambda pair: pair[0].raw)
        ]

    def log_keys(self, code: OfficeCode) -> tuple[NoteKey, ...]:
        """Every key of a log so far, the newest first."""
        history = self._history()
        if self._log_keys is None or self._log_keys[0] is not history.newest:
            self._log_keys = (history.newest, {})
        known = self._log_keys[1]
        if code not in known:
            known[code] = log_keys(history, code)
        return known[code]

    # making

    async def contradicted(self, code: OfficeCode, note: bytes) -> bool:
        """Whether ``note`` is of another tree than the one here and that could be proven."""
        checkpoint = parse_checkpoint(note)
        with self._ledger.read() as reader:
            held = reader.get("note", code.encode())
            if held is None or parse_checkpoint(held).size < checkpoint.size:
                return False  # nothing here to show: comparing heads will bring the note again
            if logbook.root_at(reader, code, checkpoint.size) == checkpoint.root:
                return False
            try:
                data = evidence_of(reader, code, held, note, self.log_keys(code))
            except (ProofError, Missing):
                return False  # two keys, or rows that were cut meanwhile
        await self.accuse(code, data, made_here=True)
        return True

    async def diverged(self, code: OfficeCode, note: bytes, peer: str) -> bool:
        """What ``peer`` gave for its longer ``note`` does not go on from the log here: ask it for
        the proof; whether it is proven that the log forked.

        A peer that has no proof has shown nothing but itself.
        """
        with self._ledger.read() as reader:
            ours = reader.get("note", code.encode())
        longer = parse_checkpoint(note).size
        size = longer if ours is None else parse_checkpoint(ours).size
        if ours is None or size >= longer:
            return False
        for index in indexes_to_prove(size):
            ask = ProofAsk(code, index, longer)
            answer = await self._links.ask_peer(peer, "log.proof", ask, self._request_s)
            assert isinstance(answer, EntryProof)
            keys = self.log_keys(code)
            with suppress(ProofError):
                data = of_proof(ours, note, index, answer.entry, answer.hashes, keys)
                await self.accuse(code, data, made_here=True)
                return True
        return False

    async def accuse(self, code: OfficeCode, data: bytes, *, made_here: bool) -> None:
        """Store evidence durably, and let everybody know.

        Raises:
            DecodeError, ProofError: it convicts no key that the log of ``code`` ever had.
        """
        verdict = verify_evidence(data, self.log_keys(code))
        size = max(verdict.size, verdict.size_b)
        if lost_tail(self._history().newest, code, verdict.key, size):
            self._links.count(LOST_TAIL)
            return
        held = Held(data, verdict.key.public, self._clock.now(), made_here)
        if await self._ledger.write(partial(_keep, code, held)):
            self._remember(code, BlobId.of(data), held)
            self._convicted()
            self._wake.set()

    def why_barred(self, code: OfficeCode) -> str:
        """Why nothing may be signed for an office; "" while nobody has convicted its key."""
        if not self.is_quarantined(code):
            return ""
        return (
            f"{code} 的日志密钥签出了两种历史，请省级撤销后重新准入 · "
            "its log key has signed two histories: the province revokes it and admits anew"
        )

    # what peers ask

    async def on_proof(self, _peer: Peer, ask: ProofAsk) -> EntryProof:
        with self._ledger.read() as reader:
            hashes = logbook.prove_inclusion(reader, ask.office, ask.index, ask.size)
            return EntryProof(logbook.entry(reader, ask.office, ask.index), hashes)

    async def on_evidence(self, peer: Peer, tell: EvidenceTell) -> Ack:
        await self.accuse(tell.office, tell.evidence, made_here=False)
        self._told.setdefault(peer.key, set()).add(BlobId.of(tell.evidence))
        return Ack()

    # telling

    async def run(self) -> None:
        """Say what was found in a log of ours, and tell every peer what it has not taken yet."""
        self._wake.set()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._retry_s if self._known else None):
                    await self._wake.wait()
            self._wake.clear()
            await self._report()
            peers = {peer.key for peer in self._links.peers()}
            self._told = {key: told for key, told in self._told.items() if key in peers}
            await asyncio.gather(*(self._tell(peer) for peer in sorted(peers)))

    async def _tell(self, peer: str) -> None:
        told = self._told.setdefault(peer, set())
        for code, digest, held in self.evidence():
            if digest in told:
                continue
            tell = EvidenceTell(code, held.evidence)
            try:
                await self._links.ask_peer(peer, "log.evidence", tell, self._request_s)
            except FangzhiError:
                continue  # its roster is behind ours, or it is gone: it hears it again
            told.add(digest)

    async def _report(self) -> None:
        for code, digest, held in self.evidence():
            if not held.made_here or digest in self._reported:
                continue
            with self._state.read() as reader:
                said = {
                    line.origin for line in reported_forks(reader, code) if line.evidence == digest
                }
            office = next(
                (
                    own
                    for own in sorted(self._keys)
                    if own != code and self._sequencer.gates[own].is_open
                ),
                None,
            )
            if said.isdisjoint(self._keys):
                if office is None:
                    continue
                verdict = verify_evidence(held.evidence, self.log_keys(code))
                report = ForkReport(code, digest, verdict.size, verdict.size_b)
                await self._sequencer.append(office, (report,))
            self._reported.add(digest)

    def _met(self, peer: Peer, ready: bool) -> None:
        self._told.pop(peer.key, None)
        if ready and self._known:
            self._wake.set()

    def _remember(self, code: OfficeCode, digest: BlobId, held: Held) -> None:
        self._known.setdefault(code, {})[digest] = held


def _held(row: bytes) -> Held:
    return unpack(Held, row, bytes_max=EVIDENCE_BYTES_MAX + KiB, where="row of evidence")


def _keep(code: OfficeCode, held: Held, writer: Writer) -> bool:
    """Store a row, unless it is there or enough others are against the same key."""
    key = code.encode() + BlobId.of(held.evidence).raw
    same_key = [
        row for _, row in writer.scan(TABLE, code.encode()) if _held(row).log_key == held.log_key
    ]
    if writer.get(TABLE, key) is not None or len(same_key) >= EVIDENCE_PER_LOG_MAX:
        return False
    writer.put(TABLE, key, pack(held))
    return True
