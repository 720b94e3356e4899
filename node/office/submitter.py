"""Brings own checkpoints to the outside witnesses of the policy: an archive, an audit office.

They speak c2sp.org/tlog-witness and are nobody's peers, so each office submits for itself.  A
witness that knows another size than we think says so (409) and is asked again from there; one that
has co-signed more than we have is asked for that note, which our own key must have signed: then
this home is an old copy, and the gate of the log shuts (docs/spec/log.md).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256

from ledger import logbook
from ledger.checkpoint import Checkpoint
from ledger.events import OutsideWitness
from ledger.fields import parse_decimal
from ledger.genesis import Genesis
from ledger.note import Note, NoteKey, parse_note, parse_signature
from ledger.roster import Roster
from ledger.witness import SIZE, format_request
from node.hands.keys import OfficeKeys
from protocol.errors import FangzhiError, ProofError
from protocol.ids import OfficeCode
from protocol.ports import KeyValueStore, WitnessClient

Learn = Callable[[OfficeCode, bytes], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Submission:
    """What a witness said last about a log."""

    size: int  # that it has co-signed, as far as we know
    refusal: str = ""  # why it did not sign; "" when it did


class Submitter:
    """Submits the checkpoints of the offices hosted here."""

    def __init__(
        self,
        ledger: KeyValueStore,
        client: WitnessClient,
        genesis: Genesis,
        keys: Mapping[OfficeCode, OfficeKeys],
        roster: Callable[[], Roster],
        learn: Learn,
        every_s: float,
    ) -> None:
        """``learn`` takes a note with another cosignature; ``every_s``: seconds between rounds in
        which nothing changed."""
        self._ledger = ledger
        self._client = client
        self._genesis = genesis
        self._keys = keys
        self._roster = roster
        self._learn = learn
        self._every_s = every_s
        self._wake = asyncio.Event()
        self.said: dict[tuple[str, OfficeCode], Submission] = {}
        self.counters: Counter[str] = Counter()

    def changed(self) -> None:
        """A log of ours grew, or the policy changed."""
        self._wake.set()

    async def run(self) -> None:
        while True:
            self._wake.clear()
            for witness in self._roster().rules.outside:
                for code in sorted(self._keys):
                    try:
                        await self._submit(witness, code)
                    except FangzhiError as error:
                        self._refused(witness, code, str(error))
            with suppress(TimeoutError):
                async with asyncio.timeout(self._every_s if self._roster().rules.outside else None):
                    await self._wake.wait()

    async def _submit(self, witness: OutsideWitness, code: OfficeCode) -> None:
        key = NoteKey.parse(witness.vkey)
        with self._ledger.read() as reader:
            note = reader.get("note", code.encode())
        if note is None or code not in self._roster().members or _has_signed(key, note):
            return
        own = _own_part(note)
        size = Checkpoint.parse(own.text).size
        old = self._last(witness, code).size
        for _ in range(2):
            with self._ledger.read() as reader:
                proof = logbook.prove_consistency(reader, code, old, size)
            request = format_request(old, tuple(proof), own.format())
            status, kind, answer = await self._client.add_checkpoint(witness.url, request)
            if status == 200:
                await self._learn(code, _with_cosignature(own, key, answer))
                self.said[witness.name, code] = Submission(size)
                return
            if status != 409 or not kind.startswith(SIZE):
                break
            old = parse_decimal(answer.decode("ascii", "replace").strip(), "size of a witness")
            if old > size:
                await self._outgrown(witness, code)
                break
            self.said[witness.name, code] = Submission(old)
        self._refused(witness, code, f"HTTP {status}: {answer[:200].decode(errors='replace')}")

    async def _outgrown(self, witness: OutsideWitness, code: OfficeCode) -> None:
        """It has co-signed more of our log than we have."""
        origin_hash = sha256(self._genesis.origin(code).encode()).hexdigest()
        note = await self._client.cosigned(witness.url, origin_hash)
        if note is not None:
            await self._learn(code, note)

    def _last(self, witness: OutsideWitness, code: OfficeCode) -> Submission:
        return self.said.get((witness.name, code), Submission(0))

    def _refused(self, witness: OutsideWitness, code: OfficeCode, why: str) -> None:
        self.said[witness.name, code] = Submission(self._last(witness, code).size, why)
        self.counters["outside.refused"] += 1


def _has_signed(key: NoteKey, note: bytes) -> bool:
    signers = {(line.name, line.key_id) for line in parse_note(note).signatures}
    return (key.name, key.id) in signers


def _own_part(note: bytes) -> Note:
    """A note of ours with the log's own signature only."""
    parsed = parse_note(note)
    origin = Checkpoint.parse(parsed.text).origin
    return Note(parsed.text, tuple(line for line in parsed.signatures if line.name == origin))


def _with_cosignature(own: Note, key: NoteKey, answer: bytes) -> bytes:
    """``own`` with the line of an answer that ``key`` made.

    Raises:
        ProofError, DecodeError: no line of the answer is a good one by this key.
    """
    for text in answer.decode("utf-8", "replace").splitlines():
        line = parse_signature(text)
        if (line.name, line.key_id) == (key.name, key.id):
            key.verify(own.text, line.signature)
            return Note(own.text, (*own.signatures, line)).format()
    raise ProofError(f"answer of {key.name}", "its cosignature", repr(answer[:80]))
