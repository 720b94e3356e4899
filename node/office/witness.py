"""The witness of this node for anyone who speaks c2sp.org/tlog-witness over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus

from ledger import logbook
from ledger.checkpoint import Cosigner, cosign, parse_checkpoint
from ledger.evidence import check_state, cosigned, of_notes
from ledger.genesis import Genesis
from ledger.note import NoteKey, parse_note
from ledger.roster import Roster
from ledger.witness import TEXT, Accepted, Refused, Request, WitnessState, add_checkpoint
from node.hands.keys import OfficeKeys
from node.office.accuser import Accuser
from node.office.mirror import log_of
from protocol.errors import Missing
from protocol.ids import OfficeCode
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
        accuser: Accuser,
        is_barred: Callable[[OfficeCode], bool],
    ) -> None:
        """``is_barred`` tells of which logs nothing is co-signed now."""
        self._ledger = ledger
        self._clock = clock
        self._genesis = genesis
        self._keys = keys
        self._roster = roster
        self._accuser = accuser
        self._is_barred = is_barred

    async def add_checkpoint(self, body: bytes) -> tuple[int, str, bytes]:
        """(HTTP status, content type, body); the state is durable before this returns, and so is
        the evidence, if the note contradicts what was co-signed or stored here."""
        answer, evidence = await self._ledger.write(lambda writer: self._decide(writer, body))
        if evidence:
            code = OfficeCode(parse_checkpoint(evidence[0]).origin.rpartition("/")[2])
            data = of_notes(*evidence, self._accuser.log_keys(code))
            await self._accuser.accuse(code, data, made_here=True)
        elif answer[0] in (HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY):
            request = Request.parse(body)
            code = OfficeCode(request.checkpoint.origin.rpartition("/")[2])
            await self._accuser.contradicted(code, request.note.format())
        return answer

    def cosigned(self, origin_hash: str) -> bytes:
        """The latest note co-signed for the origin with this SHA-256 (hexadecimal).

        Raises:
            Missing: none.
        """
        code = log_of(self._roster(), origin_hash)
        with self._ledger.read() as reader:
            note = reader.get("witness", code.encode())
        if note is None:
            raise Missing("witness", "a log that was co-signed here", origin_hash[:64])
        return note

    def _decide(
        self, writer: Writer, body: bytes
    ) -> tuple[tuple[int, str, bytes], tuple[bytes, bytes] | None]:
        """The answer, and two contradicting notes if the request brought that to light."""
        cosigners = self._cosigners()
        now_s = self._clock.now() // 1000
        answer = add_checkpoint(
            body,
            self._log_keys,
            lambda origin: self._stored(writer, origin),
            cosigners[0],
            now_s,
        )
        if isinstance(answer, Accepted):
            answer = self._fits(writer, answer)
        if isinstance(answer, Refused):
            return (answer.status, answer.content_type, answer.body), answer.evidence
        return self._accept(writer, answer, cosigners[1:], now_s), None

    def _fits(self, reader: Reader, answer: Accepted) -> Accepted | Refused:
        """We co-sign nothing of a log in quarantine, and no other tree than the one stored here."""
        code = OfficeCode(answer.origin.rpartition("/")[2])
        size, root = answer.state.size, answer.state.root
        forked = self._is_barred(code)
        if size <= logbook.head(reader, code).size:
            forked = forked or logbook.root_at(reader, code, size) != root
        if forked:
            words = f"log {code}: expected one history, got two\n".encode()
            return Refused(HTTPStatus.UNPROCESSABLE_ENTITY, TEXT, words)
        return answer

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
        code = OfficeCode(origin.rpartition("/")[2])
        note = reader.get("witness", code.encode())
        check_state(code, note, self._accuser.log_keys(code))
        last = cosigned(self._roster(), code, note, self._accuser.log_keys(code))
        return None if last is None or note is None else WitnessState(*last, note)
