"""One link to one peer: frames between a connection and a session, questions to their handlers.

The session (:mod:`protocol.session`) has all the rules; this is its shell.  Nothing here grows
without bound: a peer may have REQUESTS_IN_FLIGHT_MAX questions waiting, of which ANSWERING_MAX are
worked on, and a slot is free again only when its answer has been handed to the connection, so a
peer that asks and does not read is not answered into memory.  A peer that takes no frame for
SEND_SECONDS_MAX is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import structlog

from protocol.errors import DecodeError, FangzhiError, Fatal, Forbidden, Unavailable
from protocol.handshake import Identity, Refusal
from protocol.ids import OfficeCode
from protocol.limits import REQUEST_SECONDS_MAX, REQUESTS_IN_FLIGHT_MAX
from protocol.messages import Fault, RemoteFault
from protocol.ports import Connection
from protocol.session import Answered, Asked, Cancelled, Closed, Event, Ready, Session, State

ANSWERING_MAX: Final = 8
SEND_SECONDS_MAX: Final = 30.0
GOODBYE_SECONDS: Final = 0.5  # how long a goodbye may take to leave
BYE: Final = "link.bye"
DUPLICATE: Final = "link.duplicate"
WRONG_OFFICE: Final = "link.wrong-office"
# What a guest may ask: what anybody may read, and to be heard about its own log.
GUEST_METHODS: Final = frozenset(
    {"log.heads", "log.digest", "log.entries", "log.tile", "log.proof", "log.note"}
)
_REASONS: Final = frozenset({*Refusal, BYE, DUPLICATE, WRONG_OFFICE})

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Peer:
    """A node that has proven its offices; ``key`` names this link to it, and no later one.

    One whose keys count no more is a guest: it has no ``offices``, only those that it ``named``.
    """

    key: str
    offices: tuple[OfficeCode, ...]
    dialled: bool  # by us
    roster_size: int
    named: tuple[OfficeCode, ...]


# Answers from what the node has, within REQUEST_SECONDS_MAX.  It must not ask a peer meanwhile:
# two nodes whose handlers wait for each other would hold all of each other's slots.
Handler = Callable[[Peer, Any], Awaitable[object]]
Count = Callable[[str], None]


class Link:
    """One end of one connection.

    ``on_ready`` is called when the peer has proven its offices, ``on_over`` when nothing can be
    asked any more (the last frames may still be leaving).  ``why`` is then the code and the reason.
    """

    def __init__(
        self,
        number: int,
        connection: Connection,
        session: Session,
        *,
        dialled: bool,
        handlers: Mapping[str, Handler],
        count: Count,
        on_ready: Callable[[Link], None],
        on_over: Callable[[Link], None],
    ) -> None:
        self.number = number
        self.dialled = dialled
        self.peer: Peer | None = None
        self.why = ("", "")
        self.key_refused = False  # by the peer: it knows another key of ours, or none
        self._connection, self._session = connection, session
        self._handlers, self._count = handlers, count
        self._on_ready, self._on_over = on_ready, on_over
        self._over = asyncio.Event()
        self._wake = asyncio.Event()
        self._batch_sent = asyncio.Event()  # set when what is now queued has left
        self._slots = asyncio.Semaphore(ANSWERING_MAX)
        self._places = asyncio.Semaphore(REQUESTS_IN_FLIGHT_MAX)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._answering: dict[int, asyncio.Task[None]] = {}
        self._tasks: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Until the link is gone; then the connection is closed and every asker has an error.

        Raises:
            Fatal: a handler met a failed sync; the process must end.
        """
        try:
            async with asyncio.TaskGroup() as self._tasks:
                pumps = [self._tasks.create_task(pump()) for pump in (self._read, self._write)]
                await self._over.wait()
                for task in (*pumps, *self._answering.values()):
                    task.cancel()
        finally:
            self._over.set()
            self._lose("cancelled")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GOODBYE_SECONDS):
                    await self._connection.close()

    async def ask(self, method: str, body: object, seconds: float) -> Any:
        """The response dataclass that METHODS names for ``method``.

        Raises:
            Unavailable: the link is gone or full, the peer says so, or no answer in ``seconds``.
            RemoteFault: the peer's error.
            DecodeError: a question longer than a request may be.
        """
        try:
            async with asyncio.timeout(seconds), self._places:
                result = await self._exchange(method, body)
        except TimeoutError as error:
            self._count("ask.late")
            raise Unavailable(method, f"an answer within {seconds:.3g} s", "none") from error
        if not isinstance(result, Fault):
            return result
        if result.code == Unavailable.code:
            raise Unavailable(f"{method} at the peer, {result.where}", result.expected, result.got)
        raise RemoteFault(method, result)

    def close(self, code: str, reason: str) -> None:
        """Say goodbye; :meth:`run` ends soon after, whether the peer listens or not."""
        self._apply(self._session.close(code, reason))

    def review(self, me: Identity) -> None:
        """The roster has changed: leave a peer of whom other offices count now, and one that has
        known for longer than ``me`` that our keys are others."""
        self._apply(self._session.review())
        if self.peer and self._session.is_outdated and not self._session.greeted_as(me):
            self.close(Refusal.ROSTER, "our keys are others now")

    async def _exchange(self, method: str, body: object) -> Any:
        number = self._session.request(method, body)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        self._wake.set()
        try:
            return await answer
        finally:
            if self._answers.pop(number, None) is not None:
                self._session.cancel(number, now_ms())
                self._wake.set()

    # ---- frames

    async def _read(self) -> None:
        try:
            while True:
                frame = await self._connection.receive()
                self._apply(self._session.receive(frame, now_ms()))
        except DecodeError as error:  # the wire refused it before the session could
            self.close(Refusal.OVERSIZED, str(error))
        except Unavailable as error:
            self._lose(str(error))

    async def _write(self) -> None:
        try:
            while True:
                self._apply(self._session.tick(now_ms()))
                self._wake.clear()
                sent, self._batch_sent = self._batch_sent, asyncio.Event()
                for frame in self._session.to_send():
                    async with asyncio.timeout(SEND_SECONDS_MAX):
                        await self._connection.send(frame)
                sent.set()
                if self._session.state is State.CLOSED:
                    self._over.set()
                    return
                deadline = self._session.next_deadline()
                if deadline is None:
                    await self._wake.wait()
                    continue
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(deadline / 1000):
                        await self._wake.wait()
        except (Unavailable, TimeoutError) as error:
            self._lose(str(error) or f"no frame taken for {SEND_SECONDS_MAX} s")

    def _apply(self, events: list[Event]) -> None:
        for event in events:
            match event:
                case Ready():
                    key = f"{min(event.named)}#{self.number}"
                    self.peer = Peer(
                        key, event.offices, self.dialled, event.roster_size, event.named
                    )
                    self._on_ready(self)
                case Asked():
                    assert self._tasks is not None
                    self._answering[event.id] = self._tasks.create_task(self._answer(event))
                case Cancelled():
                    if task := self._answering.get(event.id):
                        task.cancel()
                case Answered():
                    answer = self._answers.pop(event.id, None)
                    if answer and not answer.done():
                        answer.set_result(event.result)
                case Closed():
                    self._end(event)
        if self._session.has_to_send:
            self._wake.set()

    def _end(self, closed: Closed) -> None:
        self.why = (closed.code, closed.reason)
        if closed.by_us:
            self._count(closed.code)
            asyncio.get_running_loop().call_later(GOODBYE_SECONDS, self._over.set)
        else:
            known = closed.code if closed.code in _REASONS else "other"  # the peer's word is free
            self._count(f"remote.{known}")
            self.key_refused = closed.code == Refusal.KEY
            self._over.set()
        self._leave()

    def _lose(self, reason: str) -> None:
        self._over.set()
        if self._session.state is not State.CLOSED:
            self._session.close("link.lost", reason)
            self.why = ("link.lost", reason)
            self._count("link.lost")
            self._leave()

    def _leave(self) -> None:
        self._on_over(self)
        answers, self._answers = self._answers, {}
        for answer in answers.values():
            if not answer.done():
                answer.set_exception(Unavailable("peer link", "a live one", ": ".join(self.why)))

    # ---- the peer's questions

    async def _answer(self, asked: Asked) -> None:
        try:
            async with self._slots:
                result = await self._handle(asked)
                try:
                    self._session.respond(asked.id, result)
                except DecodeError as error:  # too long for a frame: our handler's fault
                    self._count("handler.wire.decode")
                    self._session.respond(asked.id, Fault.of(error))
                sent = self._batch_sent
                self._wake.set()
                await sent.wait()
        finally:
            self._answering.pop(asked.id, None)

    async def _handle(self, asked: Asked) -> object:
        handler = self._handlers.get(asked.method)
        assert self.peer is not None
        if handler is None:
            return Fault("method.unknown", asked.method, "a method served here", "none")
        if not self.peer.offices and asked.method not in GUEST_METHODS:
            return Fault(Forbidden.code, asked.method, "a peer whose keys count", "a guest")
        try:
            async with asyncio.timeout(REQUEST_SECONDS_MAX):
                return await handler(self.peer, asked.body)
        except TimeoutError:
            self._count("handler.late")
            within = f"an answer within {REQUEST_SECONDS_MAX} s"
            return Fault(Unavailable.code, asked.method, within, "none")
        except Fatal:
            raise
        except FangzhiError as error:
            self._count(f"handler.{error.code}")
            return Fault.of(error)
        except Exception as error:
            # A bug of ours that a peer's question met; it must not cost us the other peers.
            self._count("handler.failed")
            log.exception("handler failed", method=asked.method, peer=self.peer.key)
            return Fault(FangzhiError.code, asked.method, "an answer", type(error).__name__)


def now_ms() -> int:
    """Milliseconds of the loop's clock, which never goes back; rounded up, so that a timer that
    was set for a deadline never fires before it."""
    return math.ceil(asyncio.get_running_loop().time() * 1000)
