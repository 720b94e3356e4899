"""Whom can this node talk to now, and how does it reach the others?

At most one link per pair of nodes, whichever side dialled.  When both dialled at once, both keep
the link dialled by the side with the lowest office code; when one side dialled again, it had lost
the older link, and the newer one stays.  Offices that are to be kept in reach are dialled again and
again, with growing, jittered pauses; any other office with a known address is dialled when asked.
When a kept office cannot be reached for a while, others stand in for it, so that we hear of it if
the roster has taken it away.

A peer whose keys were closed or rotated away is a *guest*: it may learn here that they were, and
counts as no office.  Guests are few, and are shown out after a while.

Every refusal, loss and late answer adds one to ``counters`` under its stable code
(docs/spec/peer-link.md).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from node.office.link import BYE, DUPLICATE, WRONG_OFFICE, Handler, Link, Peer, now_ms
from protocol.errors import AuthError, Unavailable
from protocol.handshake import Identity, Lookup, Refusal, Role
from protocol.ids import OfficeCode
from protocol.limits import GUEST_SECONDS_MAX, GUESTS_MAX, LINKS_MAX
from protocol.messages import NONCE_BYTES
from protocol.ports import Connection, Rng, Wire
from protocol.session import Session

__all__ = ["Handler", "Links", "Peer"]

PAUSE_SECONDS_MIN: Final = 0.25
STEADY_SECONDS: Final = 30.0  # a link that lasted so long was a good one: pauses start anew
TRIES_ALONE: Final = 5  # to reach a kept office before others stand in for it

Target = tuple[str, bytes]  # host:port, SHA-256 of the certificate
_Attempt = asyncio.Future[Unavailable | AuthError | None]  # to reach a target; None: reached


class Links:
    """All links of one node.

    Args:
        wire, rng: ports of the world.
        me: the node's network and the event keys of its offices, for the next hello.
        lookup: the roster's event keys, as this node knows them now.
        where: where an office can be dialled; None if nobody can dial it.
        handlers: by method; kept, not copied, so services that need the links can be added.
        roster_size: provincial entries folded so far; told to peers.
        redial_seconds_max: the longest pause between two tries to reach a kept office.
        refused: told when a peer does not know a key of our hello.
    """

    def __init__(
        self,
        wire: Wire,
        rng: Rng,
        *,
        me: Callable[[], Identity],
        lookup: Lookup,
        where: Callable[[OfficeCode], Target | None],
        handlers: Mapping[str, Handler],
        roster_size: Callable[[], int],
        redial_seconds_max: float,
        refused: Callable[[], None],
    ) -> None:
        self.counters: Counter[str] = Counter()
        self._wire, self._rng, self._me = wire, rng, me
        self._lookup, self._where, self._handlers = lookup, where, handlers
        self._roster_size = roster_size
        self._redial_seconds_max = redial_seconds_max
        self._refused = refused
        self._listeners: list[Callable[[Peer, bool], None]] = []
        self._numbers = 0
        self._links: dict[int, Link] = {}  # all, ready or not
        self._by_office: dict[OfficeCode, Link] = {}  # the ready ones
        self._guests: dict[OfficeCode, Link] = {}  # by the lowest office that they named
        self._dialling: dict[Target, _Attempt] = {}
        self._unlinked: dict[asyncio.Task[None], None] = {}  # dials that have no connection yet
        self._kept: tuple[OfficeCode, ...] = ()
        self._stand_ins: tuple[OfficeCode, ...] = ()
        self._stand_in: Link | None = None  # dialled because no kept office can be reached
        self._keepers: dict[OfficeCode, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()
        self._stopping = asyncio.Event()
        self._stopped = asyncio.Event()
        self._tasks: asyncio.TaskGroup | None = None

    # ---- life

    async def run(self) -> None:
        """Dial, and serve what :meth:`accept` brings, until :meth:`stop`.

        Raises:
            Fatal: (in a group) a handler met a failed sync; the process must end.
        """
        try:
            async with asyncio.TaskGroup() as self._tasks:
                self._start_keepers()
                await self._stopping.wait()
                for task in (*self._keepers.values(), *self._unlinked):
                    task.cancel()
                for link in list(self._links.values()):
                    link.close(BYE, "this node is stopping")
        finally:
            self._tasks = None
            self._stopped.set()

    async def stop(self) -> None:
        """Say goodbye to every peer; returns when :meth:`run` has, within two seconds."""
        self._stopping.set()
        if self._tasks is not None:
            await self._stopped.wait()

    async def accept(self, connection: Connection) -> None:
        """Serve a connection that came in; for :meth:`protocol.ports.Wire.listen`."""
        if self._tasks is None or self._stopping.is_set():
            return
        if len(self._links) >= LINKS_MAX:
            self.count("link.full")
            return
        # In our own task group: what ends this node must not end in the wire's error log.
        link = self._link(connection, dialled=False, on_ready=self._ready)
        task = self._tasks.create_task(self._serve(link))
        try:
            await asyncio.wait([task])
        finally:
            task.cancel()

    def keep(self, offices: Iterable[OfficeCode], stand_ins: Iterable[OfficeCode] = ()) -> None:
        """From now on have a link to each of ``offices``, as far as they can be reached, and while
        one cannot, and there is no other link, to one of ``stand_ins``, tried in this order."""
        ours, before = self._me().offices, self._kept
        self._kept = tuple(sorted(set(offices) - set(ours)))
        for office in before:
            link = self._by_office.get(office)
            if link and link.peer and link.dialled and not {*link.peer.offices} & {*self._kept}:
                link.close(BYE, f"{office} need not be in reach any more")
        self._stand_ins = tuple(office for office in stand_ins if office not in ours)
        if self._tasks is not None and not self._stopping.is_set():
            self._start_keepers()

    def leave(self, office: OfficeCode) -> None:
        """A link that was dialled for a question is not needed any more."""
        link = self._by_office.get(office)
        if link and link.peer and link.dialled and not {*link.peer.offices} & {*self._kept}:
            link.close(BYE, f"{office} has been asked")

    def review(self) -> None:
        """The roster has changed: greet again where keys do, or do not, count any more."""
        me = self._me()
        for link in list(self._links.values()):
            link.review(me)

    # ---- what others ask of the links

    def live(self) -> frozenset[OfficeCode]:
        """The offices that can be asked now without dialling."""
        return frozenset(self._by_office)

    def peers(self) -> list[Peer]:
        """Every node that there is a link to now, each once; guests too."""
        links = (*self._by_office.values(), *self._guests.values())
        ready = {link.number: link for link in links}
        return [link.peer for _, link in sorted(ready.items()) if link.peer is not None]

    def offices_of(self, key: str) -> tuple[OfficeCode, ...]:
        """The offices of a peer; none if it is a guest or gone."""
        return next((peer.offices for peer in self.peers() if peer.key == key), ())

    def on_change(self, listener: Callable[[Peer, bool], None]) -> None:
        """Call ``listener(peer, ready)`` when a peer becomes ready and when it is gone."""
        self._listeners.append(listener)

    def count(self, code: str) -> None:
        self.counters[code] += 1

    async def ask(self, office: OfficeCode, method: str, body: object, seconds: float) -> Any:
        """The answer of the node that hosts ``office``, dialling it if need be.

        Returns the response dataclass that METHODS names.

        Raises:
            Unavailable: it cannot be reached or does not answer within ``seconds``.
            AuthError: something with another certificate answers at its address.
            RemoteFault: it answered with an error.
        """
        if link := self._by_office.get(office):
            return await link.ask(method, body, seconds)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        try:
            async with asyncio.timeout_at(deadline):
                link = await self._reach(office)
        except TimeoutError as error:
            self.count("ask.late")
            raise Unavailable(
                f"office {office}", f"a link within {seconds:.3g} s", "none"
            ) from error
        return await link.ask(method, body, deadline - loop.time())

    async def ask_peer(self, key: str, method: str, body: object, seconds: float) -> Any:
        """Like :meth:`ask`, but over the one link that ``key`` names."""
        for link in (*self._by_office.values(), *self._guests.values()):
            if link.peer is not None and link.peer.key == key:
                return await link.ask(method, body, seconds)
        raise Unavailable(f"peer {key}", "a live link", "none")

    # ---- dialling

    def _start_keepers(self) -> None:
        assert self._tasks is not None
        for office in sorted(set(self._keepers) - set(self._kept)):
            self._keepers.pop(office).cancel()
        for office in self._kept:
            if office not in self._keepers:
                self._keepers[office] = self._tasks.create_task(self._keep(office))

    async def _keep(self, office: OfficeCode) -> None:
        loop = asyncio.get_running_loop()
        tries = 0
        while True:
            try:
                link = await self._reach(office)
                if self._stand_in is not None and self._stand_in is not link:
                    self._stand_in.close(BYE, f"{office} can be reached")
                self._stand_in = None
                since = loop.time()
                while office in self._by_office:
                    await self._changed.wait()
                if loop.time() - since >= STEADY_SECONDS:
                    tries = 0
            except (Unavailable, AuthError):  # counted where it happened
                if tries >= TRIES_ALONE and not self._by_office:
                    self._stand_in = await self._reach_stand_in(tries - TRIES_ALONE)
            await asyncio.sleep(self._pause(tries))
            tries += 1

    async def _reach_stand_in(self, turn: int) -> Link | None:
        if not self._stand_ins:
            return None
        try:
            return await self._reach(self._stand_ins[turn % len(self._stand_ins)])
        except (Unavailable, AuthError):
            return None

    def _pause(self, tries: int) -> float:
        longest: float = min(self._redial_seconds_max, PAUSE_SECONDS_MIN * 2 ** min(tries, 16))
        return longest * (0.5 + int.from_bytes(self._rng.random_bytes(2), "big") / 2**17)

    async def _reach(self, office: OfficeCode) -> Link:
        if link := self._by_office.get(office):
            return link
        target = self._where(office)
        if target is None:
            raise Unavailable(f"office {office}", "an address to dial", "none")
        if self._tasks is None or self._stopping.is_set():
            raise Unavailable("peer links", "a running node", "one that is not")
        if not self._me().offices:
            raise Unavailable("peer links", "an office of this node that is a member", "none")
        attempt = self._dialling.get(target)
        if attempt is None:
            if len(self._links) >= LINKS_MAX:
                raise Unavailable("peer links", f"fewer than {LINKS_MAX}", len(self._links))
            attempt = self._dialling[target] = asyncio.get_running_loop().create_future()
            self._tasks.create_task(self._dial(office, target, attempt))
        error = await asyncio.shield(attempt)  # others may wait for it too
        if link := self._by_office.get(office):
            return link
        raise error or Unavailable(f"office {office}", "a live link", "one lost at once")

    async def _dial(self, office: OfficeCode, target: Target, attempt: _Attempt) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._unlinked[task] = None

        def settle(error: Unavailable | AuthError | None) -> None:
            if not attempt.done():
                del self._dialling[target]
                attempt.set_result(error)

        def on_ready(link: Link) -> None:
            assert link.peer is not None
            if office not in link.peer.offices:
                code = WRONG_OFFICE if link.peer.offices else Refusal.KEY
                link.close(code, f"{office} is not at {target[0]}")
                return
            self._ready(link)
            settle(None)

        why = "stopped"
        try:
            if self._stopping.is_set():
                return
            connection = await self._wire.dial(*target)
            del self._unlinked[task]
            link = self._link(connection, dialled=True, on_ready=on_ready)
            try:
                await self._serve(link)
            finally:
                why = ": ".join(link.why)
        except (Unavailable, AuthError) as error:
            self.count(f"dial.{error.code}")
            settle(error)
        finally:
            self._unlinked.pop(task, None)
            settle(Unavailable(f"office {office} at {target[0]}", "a link", why))

    # ---- links come and go

    def _link(
        self, connection: Connection, *, dialled: bool, on_ready: Callable[[Link], None]
    ) -> Link:
        session = Session(
            Role.INITIATOR if dialled else Role.RESPONDER,
            self._me(),
            lookup=self._lookup,
            nonce=self._rng.random_bytes(NONCE_BYTES),
            binding=connection.binding,
            now=now_ms(),
            roster_size=self._roster_size(),
        )
        self._numbers += 1
        return Link(
            self._numbers,
            connection,
            session,
            dialled=dialled,
            handlers=self._handlers,
            count=self.count,
            on_ready=on_ready,
            on_over=self._gone,
        )

    async def _serve(self, link: Link) -> None:
        self._links[link.number] = link
        try:
            if self._stopping.is_set():
                link.close(BYE, "this node is stopping")
            await link.run()
        finally:
            del self._links[link.number]

    def _ready(self, link: Link) -> None:
        assert link.peer is not None
        if link.peer.offices:
            holders, names = self._by_office, link.peer.offices
        else:
            holders, names = self._guests, (min(link.peer.named),)
            if len(self._guests) >= GUESTS_MAX and names[0] not in self._guests:
                link.close(Refusal.KEY, f"more than {GUESTS_MAX} peers whose keys do not count")
                return
            late = f"a key that does not count, for {GUEST_SECONDS_MAX} s"
            loop = asyncio.get_running_loop()
            loop.call_later(GUEST_SECONDS_MAX, link.close, Refusal.KEY, late)
        for name in names:
            rival = holders.get(name)
            if rival is None:
                continue
            if not self._displaces(link, rival):
                link.close(DUPLICATE, "there is a link already")
                return
            rival.close(DUPLICATE, "a newer link took its place")
        holders.update(dict.fromkeys(names, link))
        self._tell(link.peer, True)

    def _displaces(self, link: Link, rival: Link) -> bool:
        """Whether a new link to a node takes the place of an older one; both ends agree."""
        assert link.peer is not None
        if link.dialled is rival.dialled:
            return True
        ours_is_lowest = min(self._me().offices) < min(link.peer.named)
        return link.dialled is ours_is_lowest

    def _gone(self, link: Link) -> None:
        # a stranger's word that our keys do not count must not make us try others
        if link.key_refused and (link.dialled or (link.peer is not None and link.peer.offices)):
            self._refused()
        was_ready = False
        for holders in (self._by_office, self._guests):
            for office in [office for office, holder in holders.items() if holder is link]:
                del holders[office]
                was_ready = True
        if was_ready and link.peer is not None:
            self._tell(link.peer, False)

    def _tell(self, peer: Peer, ready: bool) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
        for listener in self._listeners:
            listener(peer, ready)
