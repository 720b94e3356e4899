"""Finds what gossip has lost: two nodes compare what they have of every log.

They compare when they meet, and a while (``sync_s``) after either has heard anything of a log,
again and again until both have the same; then they rest, and only look now and then.  A digest
tells whether they have the same, so two nodes at rest tell each other 32 bytes and not a line for
every office of the province.  While a gate here is shut the lines themselves are asked for, since
they also tell what the peer has co-signed of our log.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Final

from ledger import logbook
from ledger.evidence import cosigned
from ledger.genesis import Genesis
from ledger.roster import Roster
from node.hands.keys import OfficeKeys
from node.office.accuser import Accuser
from node.office.catchup import Catchup
from node.office.closing import Closing
from node.office.links import Links, Peer
from node.office.sequencer import Sequencer
from protocol.errors import FangzhiError
from protocol.ids import BlobId, OfficeCode
from protocol.messages import HeadLine, Heads, HeadsAsk, HeadsDigest, RemoteFault
from protocol.ports import KeyValueStore, Reader

NO_NOTE: Final = bytes(32)
WITNESS_S: Final = 5.0  # for a link and an answer; who is silent so long cannot be asked
REST_S: Final = 3600.0  # between two who have the same and have heard nothing since


class Comparing:
    """Compares heads with every peer.

    Args:
        lacks: told what a peer lacks, to tell it.
        folded: waits until so much of a log is folded.
        sync_s: seconds until two who may differ compare.
        request_s: deadline of one question, seconds.
    """

    def __init__(
        self,
        store: KeyValueStore,
        genesis: Genesis,
        keys: Mapping[OfficeCode, OfficeKeys],
        links: Links,
        sequencer: Sequencer,
        roster: Callable[[], Roster],
        accuser: Accuser,
        closing: Closing,
        catchup: Catchup,
        lacks: Callable[[str, list[OfficeCode]], Awaitable[None]],
        folded: Callable[[OfficeCode, int], Awaitable[None]],
        sync_s: float,
        request_s: float,
    ) -> None:
        self._store = store
        self._genesis = genesis
        self._keys = keys
        self._links = links
        self._sequencer = sequencer
        self._roster = roster
        self._accuser = accuser
        self._closing = closing
        self._catchup = catchup
        self._lacks = lacks
        self._folded = folded
        self._sync_s = sync_s
        self._request_s = request_s
        self._due: dict[str, float] = {}  # peer -> when, in the loop's time
        self._at_rest: set[str] = set()  # peers that had the same
        self._wake = asyncio.Event()
        links.on_change(self._met)

    # what peers ask

    async def on_heads(self, _peer: Peer, _ask: HeadsAsk) -> Heads:
        return Heads(self._heads())

    async def on_digest(self, peer: Peer, theirs: HeadsDigest) -> HeadsDigest:
        ours = self._digest()
        if ours == theirs.digest and peer.key in self._due:
            self._rest(peer.key)
        return HeadsDigest(ours)

    # when

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for peer in self._links.peers():
            self._due[peer.key] = loop.time()
        while True:
            due = [key for key, at in sorted(self._due.items()) if at <= loop.time()]
            for key in due:
                self._due[key] = loop.time() + self._sync_s
                self._at_rest.discard(key)
            await asyncio.gather(*(self._compare(key) for key in due))
            self._wake.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(min(self._due.values(), default=None)):
                    await self._wake.wait()

    def changed(self) -> None:
        """Something was heard, of any log: what we tell of it may get lost."""
        for key in sorted(self._at_rest):
            self.heard_from(key)

    def heard_from(self, peer: str) -> None:
        """``peer`` told something of a log: it may come to nothing here."""
        if peer in self._at_rest:
            self._at_rest.discard(peer)
            self._due[peer] = asyncio.get_running_loop().time() + self._sync_s
            self._wake.set()

    def at_once(self) -> None:
        """What is known of the peers' heads does not count any more."""
        self._due.update(dict.fromkeys(self._due, asyncio.get_running_loop().time()))
        self._at_rest.clear()
        self._wake.set()

    def _rest(self, peer: str) -> None:
        if self._sequencer.is_open:
            self._due[peer] = asyncio.get_running_loop().time() + REST_S
            self._at_rest.add(peer)

    def _met(self, peer: Peer, ready: bool) -> None:
        self._at_rest.discard(peer.key)
        self._due.pop(peer.key, None)
        if ready:
            self._due[peer.key] = asyncio.get_running_loop().time()
        self._wake.set()

    # with whom

    async def _compare(self, peer: str) -> None:
        with suppress(FangzhiError):  # the next time, or the next link, makes up for it
            if not await self._is_same(peer):
                await self._compare_lines(peer)
        for code in self._keys:
            if self._sequencer.gates[code].is_open:
                await self._sequencer.drain(code)

    async def _is_same(self, peer: str) -> bool:
        """Whether ``peer`` has the same as we; then both rest."""
        if not self._sequencer.is_open:
            return False
        try:
            theirs = await self._ask(peer, "log.digest", HeadsDigest(self._digest()))
        except RemoteFault:  # it is older than this question
            return False
        assert isinstance(theirs, HeadsDigest)
        if theirs.digest != self._digest():  # as ours is by now
            return False
        if self._links.offices_of(peer):
            self._catchup.promised({})
        self._rest(peer)
        return True

    async def _compare_lines(self, peer: str) -> None:
        answer = await self._ask(peer, "log.heads", HeadsAsk())
        assert isinstance(answer, Heads)
        theirs = {line.office: line for line in answer.heads}
        if self._links.offices_of(peer):  # a guest may have what nobody is to have
            self._catchup.promised({line.office: line.size for line in answer.heads})
        confirms = self._sequencer.is_open or await self._knows_roster(theirs)
        behind = []
        with self._store.read() as reader:
            for ours in self._heads():
                code = ours.office
                line = theirs.get(code, HeadLine(code, 0, NO_NOTE, 0))
                goal = self._closing.goal(reader, code)
                if goal is not None and line.size >= goal.size:
                    self._catchup.toward(code, goal, peer)
                if code in self._keys and confirms:
                    self._hear(code, peer, max(line.size, line.cosigned), ours.size)
                if ours.note not in (NO_NOTE, line.note) and ours.size >= line.size:
                    behind.append(code)
        await self._lacks(peer, behind)
        if confirms:
            for code in self._keys:
                unheard = self._sequencer.gates[code].unheard(self._roster())
                await asyncio.gather(*(self._ask_witness(code, one) for one in sorted(unheard)))

    async def _ask_witness(self, code: OfficeCode, office: str) -> None:
        """Have a candidate of the witness policy say what it has of a log whose gate is shut."""
        gate, witness = self._sequencer.gates[code], OfficeCode(office)
        was_linked = witness in self._links.live()
        try:
            answer = await self._links.ask(witness, "log.heads", HeadsAsk(), WITNESS_S)
        except FangzhiError:
            with self._store.read() as reader:
                gate.cannot_ask(self._roster(), office, logbook.head(reader, code).size)
            return
        assert isinstance(answer, Heads)
        sizes = [max(line.size, line.cosigned) for line in answer.heads if line.office == code]
        with self._store.read() as reader:
            ours = logbook.head(reader, code).size
        theirs = max(sizes, default=0)
        gate.hear(self._roster(), office, theirs, ours)
        if not was_linked and theirs <= ours:
            self._links.leave(witness)

    async def _knows_roster(self, theirs: Mapping[OfficeCode, HeadLine]) -> bool:
        """Whether we have folded as much of the provincial log as the peer has.  Till then a gate
        must not open: that log may say that our keys were closed while we were off."""
        province = self._genesis.province
        if province not in theirs or province in self._keys:
            return True
        if self._accuser.is_quarantined(province):
            return True  # nobody stores more of it until it is closed
        try:
            async with asyncio.timeout(self._request_s):
                await self._folded(province, theirs[province].size)
        except TimeoutError:
            return False
        return True

    def _hear(self, code: OfficeCode, peer: str, their_size: int, our_size: int) -> None:
        gate, roster = self._sequencer.gates[code], self._roster()
        for office in self._links.offices_of(peer):
            gate.hear(roster, office, their_size, our_size)

    # what we have

    def _codes(self) -> list[OfficeCode]:
        return sorted({*self._roster().members, self._genesis.province, *self._keys})

    def _heads(self) -> tuple[HeadLine, ...]:
        with self._store.read() as reader:
            return tuple(self._head_line(reader, code) for code in self._codes())

    def _head_line(self, reader: Reader, code: OfficeCode) -> HeadLine:
        state = reader.get("witness", code.encode())
        last = cosigned(self._roster(), code, state, self._accuser.log_keys(code))
        return HeadLine(code, *_size_and_note(reader, code), last[0] if last else 0)

    def _digest(self) -> bytes:
        """As :class:`protocol.messages.HeadsDigest` has it."""
        digest = hashlib.sha256()
        with self._store.read() as reader:
            for code in self._codes():
                size, note = _size_and_note(reader, code)
                digest.update(code.encode() + size.to_bytes(8, "big") + note)
        return digest.digest()

    async def _ask(self, peer: str, method: str, body: object) -> object:
        return await self._links.ask_peer(peer, method, body, self._request_s)


def _size_and_note(reader: Reader, code: OfficeCode) -> tuple[int, bytes]:
    """How much of a log is here, and the SHA-256 of its newest note."""
    note = reader.get("note", code.encode())
    return logbook.head(reader, code).size, NO_NOTE if note is None else BlobId.of(note).raw
