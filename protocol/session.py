"""May this peer be believed, and which question does this answer belong to?

Two house rules.  Nothing a peer says reaches the caller before the peer has proven every office it
speaks for.  A peer that says what it must not say is told why, by a stable code, and the session
is over: there is no way back from CLOSED.

Theory of operation.  Both sides send ``Hello`` at once, whoever dialled.  On the peer's hello a
side sends ``Proof`` (:mod:`protocol.handshake`).  On the peer's proof the session is READY, and
both sides ask and answer as they like.

    state      frame      what happens
    GREETING   Hello      checked; our proof goes out                     -> PROVING
    PROVING    Proof      every signature checked; Ready                  -> READY
    READY      Request    Asked (or answered with a fault: no such method)
    READY      Response   Answered
    READY      Cancel     answered with a fault; Cancelled
    any        Goodbye    Closed                                          -> CLOSED
    any        the rest   refused                                         -> CLOSED

Every request is answered exactly once, a cancelled one too, so that both sides count the same
requests in flight.  The ids of one side only grow, so a repeated one needs no memory to be seen.

A session does no I/O: frames and the time go in, frames and events come out.  ``now`` is in
milliseconds of any clock that never goes back.  Specification: docs/spec/peer-link.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar, Union

from protocol.errors import DecodeError, Unavailable
from protocol.handshake import (
    Identity,
    Lookup,
    Refusal,
    Refused,
    Role,
    Transcript,
    check_hello,
    check_proof,
    counting,
    known_keys,
    prove,
)
from protocol.ids import OfficeCode
from protocol.limits import (
    FAULT_CHARS_MAX,
    FRAME_BYTES_MAX,
    HELLO_SECONDS_MAX,
    REQUEST_BYTES_MAX,
    REQUEST_SECONDS_MAX,
    REQUESTS_IN_FLIGHT_MAX,
)
from protocol.messages import (
    METHODS,
    NONCE_BYTES,
    VERSION,
    Cancel,
    Fault,
    Frame,
    Goodbye,
    Hello,
    Proof,
    Request,
    Response,
    UnknownFrame,
    decode_frame,
    encode_frame,
)
from protocol.shapes import from_value, to_value


class State(Enum):
    GREETING = "greeting"
    PROVING = "proving"
    READY = "ready"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Ready:
    """The peer has proven these ``offices``; none if it is a guest (docs/spec/peer-link.md).
    ``named`` are all of its hello."""

    offices: tuple[OfficeCode, ...]
    roster_size: int
    named: tuple[OfficeCode, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """``body`` is the request dataclass of ``method`` in METHODS; :meth:`Session.respond`."""

    id: int
    method: str
    body: Any


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The peer no longer wants the answer to its request; it has been answered with a fault."""

    id: int


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to our request: the response dataclass of its method, or a Fault."""

    id: int
    result: Any


@dataclass(frozen=True, slots=True)
class Closed:
    """The end; ``by_us`` when this side refused or closed.  A peer's code may be any text."""

    code: str
    reason: str
    by_us: bool


Event = Union[Ready, Asked, Cancelled, Answered, Closed]


@dataclass(slots=True)
class _Question:
    answer: type
    late_at: int | None = None  # set once cancelled: the peer owes an answer by then


class Session:
    """One end of one link.

    Args:
        role: which hello comes first in the transcript.
        me: whom this side speaks for; at least one office.
        lookup: asked once per office of the peer, and again by :meth:`review`.
        nonce: 32 random bytes, never used before.
        binding: SHA-256 of the listener's certificate, the same at both ends.
        now: milliseconds; the handshake must be over HELLO_SECONDS_MAX later.
        roster_size: provincial entries this node has folded.
    """

    def __init__(
        self,
        role: Role,
        me: Identity,
        *,
        lookup: Lookup,
        nonce: bytes,
        binding: bytes,
        now: int,
        roster_size: int,
    ) -> None:
        if len(nonce) != NONCE_BYTES or len(binding) != 32:
            raise DecodeError("session", "a nonce and a binding of 32 bytes", len(nonce))
        self.state = State.GREETING
        self._role, self._me, self._lookup, self._binding = role, me, lookup, binding
        self._hello = Hello(VERSION, me.network, nonce, tuple(sorted(me.offices)), roster_size)
        self._hello_bytes = encode_frame(self._hello)
        self._out: list[bytes] = [self._hello_bytes]
        self._peer_hello = self._hello
        self._peer_hello_bytes = b""
        self._peer_proof = Proof(())
        self._proven: tuple[OfficeCode, ...] = ()
        self._ready_by = now + 1000 * HELLO_SECONDS_MAX
        self._asked_last = 0  # highest id of a request, theirs and ours
        self._asking_last = 0
        self._asked: set[int] = set()
        self._asking: dict[int, _Question] = {}

    # ---- frames and time in, frames and events out

    def receive(self, frame: bytes, now: int) -> list[Event]:
        """What the peer's next frame means; never raises, whatever the bytes are."""
        if self.state is State.CLOSED:
            return []
        try:
            message = self._decode(frame)
            handler = self._TABLE.get((self.state, type(message)))
            if handler is None:
                kind = type(message).__name__.lower()
                raise Refused(Refusal.UNEXPECTED, f"{kind} while {self.state.value}")
            return handler(self, message, now)
        except Refused as refused:
            return self.close(refused.code, refused.reason)

    def to_send(self) -> list[bytes]:
        """Frames for the peer, in order; each is given out once."""
        frames, self._out = self._out, []
        return frames

    @property
    def has_to_send(self) -> bool:
        """Whether :meth:`to_send` would give anything."""
        return bool(self._out)

    def next_deadline(self) -> int | None:
        """When :meth:`tick` is due, if nothing else happens."""
        if self.state is State.CLOSED:
            return None
        if self.state is not State.READY:
            return self._ready_by
        late = [q.late_at for q in self._asking.values() if q.late_at is not None]
        return min(late) if late else None

    def tick(self, now: int) -> list[Event]:
        """Time has passed."""
        deadline = self.next_deadline()
        if deadline is None or now < deadline:
            return []
        if self.state is not State.READY:
            return self.close(Refusal.LATE, f"no proof within {HELLO_SECONDS_MAX} s")
        reason = f"a cancelled request not answered within {REQUEST_SECONDS_MAX} s"
        return self.close(Refusal.UNANSWERED, reason)

    # ---- what this side wants

    def request(self, method: str, body: object) -> int:
        """Ask; the id comes back in one Answered, unless the session closes first.

        Raises:
            Unavailable: not READY, or REQUESTS_IN_FLIGHT_MAX requests wait for an answer.
            DecodeError: the frame would be longer than REQUEST_BYTES_MAX.
        """
        if self.state is not State.READY:
            raise Unavailable("peer link", "a ready link", self.state.value)
        if len(self._asking) >= REQUESTS_IN_FLIGHT_MAX:
            raise Unavailable("peer link", "a free request", f"{len(self._asking)} in flight")
        number = self._asking_last + 1
        frame = encode_frame(Request(number, method, to_value(body)))
        if len(frame) > REQUEST_BYTES_MAX:
            raise DecodeError(method, f"a request of at most {REQUEST_BYTES_MAX} bytes", len(frame))
        self._asking_last = number
        self._asking[number] = _Question(METHODS[method][1])
        self._out.append(frame)
        return number

    def cancel(self, number: int, now: int) -> None:
        """Our request is no longer wanted; its Answered still comes, but need not be looked at."""
        question = self._asking.get(number)
        if self.state is State.READY and question and question.late_at is None:
            question.late_at = now + 1000 * REQUEST_SECONDS_MAX
            self._out.append(encode_frame(Cancel(number)))

    def respond(self, number: int, result: object) -> None:
        """Answer the peer's request with the method's response dataclass or with a Fault.

        Nothing happens if the request was cancelled meanwhile or the session is closed.

        Raises:
            DecodeError: the frame would be longer than FRAME_BYTES_MAX; the request still waits.
        """
        if self.state is State.READY and number in self._asked:
            ok = not isinstance(result, Fault)
            self._out.append(encode_frame(Response(number, ok, to_value(result))))
            self._asked.remove(number)

    def review(self) -> list[Event]:
        """The roster has changed: a peer has to greet again when other offices of its hello count
        now, because they were admitted, or their keys closed or rotated."""
        if self.state is not State.READY:
            return []
        try:
            now = counting(known_keys(self._peer_proof, self._lookup))
        except Refused as refused:
            return self.close(refused.code, refused.reason)
        if now != self._proven:
            return self.close(Refusal.ROSTER, "other offices of yours count in the roster now")
        return []

    @property
    def is_outdated(self) -> bool:
        """Whether the peer knew more of the roster than we did when we greeted each other."""
        return self._peer_hello.roster_size > self._hello.roster_size

    def greeted_as(self, me: Identity) -> bool:
        """Whether our proof was with the keys of ``me``."""
        ours, now = self._me.offices, me.offices
        return {code: ours[code].public for code in ours} == {
            code: now[code].public for code in now
        }

    def close(self, code: str, reason: str) -> list[Event]:
        """Say goodbye; the frames of :meth:`to_send` are the last ones."""
        if self.state is State.CLOSED:
            return []
        self.state = State.CLOSED
        self._out.append(encode_frame(Goodbye(str(code), reason[:FAULT_CHARS_MAX])))
        return [Closed(str(code), reason, by_us=True)]

    # ---- frames

    def _decode(self, frame: bytes) -> Frame:
        # Strangers may not make us decode megabytes, and questions are small.
        limit = FRAME_BYTES_MAX if self.state is State.READY else REQUEST_BYTES_MAX
        if len(frame) > limit:
            raise Refused(Refusal.OVERSIZED, f"{len(frame)} bytes, at most {limit}")
        try:
            message = decode_frame(frame)
        except UnknownFrame as error:
            raise Refused(Refusal.UNKNOWN, str(error)) from error
        except DecodeError as error:
            raise Refused(Refusal.MALFORMED, str(error)) from error
        if isinstance(message, Request) and len(frame) > REQUEST_BYTES_MAX:
            raise Refused(Refusal.OVERSIZED, f"a request of {len(frame)} bytes")
        if isinstance(message, Hello):
            self._peer_hello_bytes = frame
        return message

    def _on_hello(self, hello: Hello, now: int) -> list[Event]:
        check_hello(hello, self._hello)
        self._peer_hello = hello
        self._out.append(encode_frame(prove(self._me, self._role, self._transcript())))
        self.state = State.PROVING
        return []

    def _on_proof(self, proof: Proof, now: int) -> list[Event]:
        hello = self._peer_hello
        role, transcript = self._role.other, self._transcript()
        self._proven = check_proof(proof, hello, role, transcript, self._lookup)
        self._peer_proof = proof
        self.state = State.READY
        return [Ready(self._proven, hello.roster_size, hello.offices)]

    def _transcript(self) -> Transcript:
        first, second = self._hello_bytes, self._peer_hello_bytes
        if self._role is Role.RESPONDER:
            first, second = second, first
        return Transcript(self._me.network, first, second, self._binding)

    def _on_request(self, request: Request, now: int) -> list[Event]:
        if request.id <= self._asked_last:
            raise Refused(Refusal.REPEATED, f"request {request.id} after {self._asked_last}")
        if len(self._asked) >= REQUESTS_IN_FLIGHT_MAX:
            raise Refused(Refusal.TOO_MANY, f"more than {REQUESTS_IN_FLIGHT_MAX} in flight")
        self._asked_last = request.id
        if request.method not in METHODS:  # a newer peer may know more; that is no offence
            fault = Fault("method.unknown", "request.method", "a known method", request.method)
            self._out.append(encode_frame(Response(request.id, False, to_value(fault))))
            return []
        body = self._body(METHODS[request.method][0], request.body, request.method)
        self._asked.add(request.id)
        return [Asked(request.id, request.method, body)]

    def _on_response(self, response: Response, now: int) -> list[Event]:
        question = self._asking.pop(response.id, None)
        if question is None:
            raise Refused(Refusal.UNASKED, f"request {response.id} is not waiting")
        shape = question.answer if response.ok else Fault
        return [Answered(response.id, self._body(shape, response.body, "response"))]

    def _on_cancel(self, cancel: Cancel, now: int) -> list[Event]:
        if cancel.id > self._asked_last:
            raise Refused(Refusal.UNASKED, f"cancel of request {cancel.id}, not yet made")
        if cancel.id not in self._asked:
            return []  # our answer and the cancel crossed
        self.respond(cancel.id, Fault("cancelled", "request", "an asker who waits", "cancel"))
        return [Cancelled(cancel.id)]

    def _on_goodbye(self, goodbye: Goodbye, now: int) -> list[Event]:
        self.state = State.CLOSED
        return [Closed(goodbye.code, goodbye.reason, by_us=False)]

    def _body(self, shape: type, value: Any, where: str) -> Any:
        try:
            return from_value(shape, value, where)
        except DecodeError as error:
            raise Refused(Refusal.MALFORMED, str(error)) from error

    _TABLE: ClassVar[dict[tuple[State, type], Callable[..., list[Event]]]] = {
        (State.GREETING, Hello): _on_hello,
        (State.PROVING, Proof): _on_proof,
        (State.READY, Request): _on_request,
        (State.READY, Response): _on_response,
        (State.READY, Cancel): _on_cancel,
        (State.GREETING, Goodbye): _on_goodbye,
        (State.PROVING, Goodbye): _on_goodbye,
        (State.READY, Goodbye): _on_goodbye,
    }
