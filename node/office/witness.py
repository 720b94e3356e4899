"""The witness of this node for anyone who speaks c2sp.org/tlog-witness over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256

from ledger.checkpoint import Cosigner, cosign, parse_checkpoint
from ledger.note import NoteKey, parse_note
from ledger.roster import Genesis, Roster
from ledger.witness import Accepted, Refused, WitnessState, add_checkpoint
from node.hands.keys import OfficeKeys
from protocol.canonical import encode
from protocol.errors import Missing
from protocol.ids import BlobId, OfficeCode
from protocol.ports import Clock, KeyValueStore, Reader, Writer


class Witness:
    """Co-signs checkpoints of every log of the roster that is not kept by this very node."""

    def __init__(
        self,
        ledger: KeyValueStore,
        clock: Clock,
        genesis: Genesis,
        keys: Mapping[OfficeCode, OfficeKeys],
        roster: Callable[[], Roster],
        accuse: Callable[[OfficeCode], None],
    ) -> None:
        """``accuse`` hears of a log that has signed two histories."""
        self._ledger = ledger
        self._clock = clock
        self._genesis = genesis
        self._keys = keys
        self._roster = roster
        self._accuse = accuse

    async def add_checkpoint(self, body: bytes) -> tuple[int, str, bytes]:
        """(HTTP status, content type, body); the state is durable before this returns."""
        return await self._ledger.write(lambda writer: self._decide(writer, body))

    def cosigned(self, origin_hash: str) -> bytes:
        """The latest note co-signed for the origin with this SHA-256 (hexadecimal).

        Raises:
            Missing: none.
        """
        with self._ledger.read() as reader:
            for code in sorted(self._roster().members):
                if sha256(self._genesis.origin(code).encode()).hexdigest() == origin_hash:
                    note = reader.get("witness", code.encode())
                    if note is not None:
                        return note
        raise Missing("witness", "a log that was co-signed here", origin_hash[:64])

    def _decide(self, writer: Writer, body: bytes) -> tuple[int, str, bytes]:
        cosigners = self._cosigners()
        now_s = self._clock.now() // 1000
        answer = add_checkpoint(
            body,
            self._log_keys,
            lambda origin: self._stored(writer, origin),
            cosigners[0],
            now_s,
        )
        if isinstance(answer, Refused):
            if answer.evidence is not None:
                code = parse_checkpoint(answer.evidence[0]).origin.rpartition("/")[2]
                key = code.encode() + BlobId.of(answer.evidence[1]).raw[:8]
                writer.put("evidence", key, encode(answer.evidence))
                self._accuse(OfficeCode(code))
            return answer.status, answer.content_type, answer.body
        return self._accept(writer, answer, cosigners[1:], now_s)

    def _accept(
        self, writer: Writer, answer: Accepted, others: list[Cosigner], now_s: int
    ) -> tuple[int, str, bytes]:
        text = parse_note(answer.state.note).text
        lines = "".join(cosign(text, other, now_s).format() for other in others).encode()
        code = answer.origin.rpartition("/")[2]
        writer.put("witness", code.encode(), answer.state.note + lines)
        return 200, "text/plain; charset=utf-8", answer.body + lines

    def _cosigners(self) -> list[Cosigner]:
        return [
            Cosigner(f"{self._genesis.origin(code)}/witness", self._keys[code].witness)
            for code in sorted(self._keys)
        ]

    def _log_keys(self, origin: str) -> tuple[NoteKey, ...] | None:
        code = OfficeCode(origin.rpartition("/")[2])
        member = self._roster().members.get(code)
        if member is None or code in self._keys or origin != self._genesis.origin(code):
            return None
        return (member.log_note_key(self._genesis),)

    def _stored(self, reader: Reader, origin: str) -> WitnessState | None:
        note = reader.get("witness", origin.rpartition("/")[2].encode())
        if note is None:
            return None
        checkpoint = parse_checkpoint(note)
        return WitnessState(checkpoint.size, checkpoint.root, note)
