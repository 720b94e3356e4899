"""Whoever knocks at a real peer port without belonging: refused, counted, nothing written."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from ledger.genesis import read_genesis
from node.hands.keys import load_office_keys
from node.hands.storage.home import Home
from node.hands.tls import load_tls
from node.hands.wire import SocketWire
from protocol.errors import AuthError
from protocol.handshake import HelloKey, Identity, Role
from protocol.ids import OfficeCode
from protocol.keys import SigningKey
from protocol.limits import REQUEST_BYTES_MAX
from protocol.messages import Goodbye, decode_frame
from protocol.ports import Connection
from protocol.session import Session, State

CITY, COUNTY, ABSENT, NOBODY = map(OfficeCode, ("320500", "320581", "320583", "320999"))
Talk = Callable[[Connection], Awaitable[str]]


class Knocker:
    """Somebody at the city's peer port, with the keys of an office that is never on."""

    def __init__(self, network: Any) -> None:
        home = Home(network[ABSENT].home)
        self.address = network[CITY].peer
        self.pin = load_tls(network[CITY].home / "keys").fingerprint
        self.wire = SocketWire(load_tls(home.keys), "")
        self.genesis = read_genesis(home.genesis.read_bytes())
        self.key = load_office_keys(home.keys)[ABSENT][0].event
        self.city_key = load_office_keys(Home(network[CITY].home).keys)[CITY][0].event.public
        self.sent: list[bytes] = []

    def knock(self, talk: Talk) -> str:
        """The code with which the other side said goodbye."""

        async def dialled() -> str:
            connection = await self.wire.dial(self.address, self.pin)
            try:
                async with asyncio.timeout(10):
                    return await talk(connection)
            finally:
                await connection.close()

        return asyncio.run(dialled())

    async def shake_hands(self, office: OfficeCode, key: SigningKey, connection: Connection) -> str:
        """As a node would; "ready" when the city does not send us away within a second."""
        session = Session(
            Role.INITIATOR,
            Identity(self.genesis.id, {office: key}),
            lookup=lambda *_: HelloKey(self.city_key),
            nonce=os.urandom(32),
            binding=connection.binding,
            now=0,
            roster_size=0,
        )
        while session.state is not State.READY:
            for frame in session.to_send():
                self.sent.append(frame)
                await connection.send(frame)
            frame = await connection.receive()
            if isinstance(message := decode_frame(frame), Goodbye):
                return message.code
            session.receive(frame, 0)
        try:
            async with asyncio.timeout(1):
                return await goodbye(connection)
        except TimeoutError:
            return "ready"


async def goodbye(connection: Connection) -> str:
    while True:
        message = decode_frame(await connection.receive())
        if isinstance(message, Goodbye):
            return message.code


@pytest.fixture
def knocker(network: Any) -> Knocker:
    return Knocker(network)


@pytest.fixture
def refuses(network: Any) -> Callable[[str, Callable[[], object]], None]:
    """That something is refused under a code, counted, and leaves no trace in the stores."""

    def check(code: str, knock: Callable[[], object]) -> None:
        city = network[CITY]
        before = city.status()
        knock()
        network.until(
            lambda: city.status()["counters"].get(code, 0) > before["counters"].get(code, 0)
        )
        after = city.status()
        for name in ("logs", "items", "blobs", "spooled", "gate"):
            assert after[name] == before[name]
        assert not any(ABSENT in link or NOBODY in link for link in after["links"])
        assert "Traceback" not in city.said()

    return check


def test_who_is_not_in_the_roster(refuses: Any, knocker: Knocker) -> None:
    stranger = SigningKey.from_seed(bytes(32))

    def nobody() -> None:
        talk = knocker.knock(lambda c: knocker.shake_hands(NOBODY, stranger, c))
        assert talk == "link.office.unknown"

    refuses("link.office.unknown", nobody)

    def another_key() -> None:
        talk = knocker.knock(lambda c: knocker.shake_hands(ABSENT, stranger, c))
        assert talk == "link.key"

    refuses("link.key", another_key)


def test_a_recorded_handshake_is_worth_nothing(
    refuses: Any, knocker: Knocker, network: Any
) -> None:
    assert knocker.knock(lambda c: knocker.shake_hands(ABSENT, knocker.key, c)) == "ready"
    network.until(lambda: not any(ABSENT in link for link in network[CITY].status()["links"]))

    async def replay(connection: Connection) -> str:
        for frame in knocker.sent[:2]:
            await connection.send(frame)
        return await goodbye(connection)

    def knock() -> None:
        assert knocker.knock(replay) == "link.signature"

    refuses("link.signature", knock)


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"\xc1garbage", "link.frame.malformed"),
        (os.urandom(500), "link.frame.malformed"),
        (b"\x00" * (REQUEST_BYTES_MAX + 1), "link.frame.oversized"),
        (b"\x92\x63\x00", "link.frame.unknown"),
    ],
    ids=["garbage", "noise", "oversized", "unknown"],
)
def test_frames_that_are_none(refuses: Any, knocker: Knocker, frame: bytes, code: str) -> None:
    async def talk(connection: Connection) -> str:
        await connection.send(frame)
        return await goodbye(connection)

    def knock() -> None:
        assert knocker.knock(talk) == code

    refuses(code, knock)


def test_another_certificate_is_not_spoken_to(knocker: Knocker) -> None:
    knocker.pin = hashlib.sha256(b"somebody between").digest()
    with pytest.raises(AuthError):
        knocker.knock(goodbye)


def test_what_is_not_even_tls_is_dropped(network: Any) -> None:
    host, port = network[CITY].peer.split(":")
    before = network[CITY].status()
    for words in (b"GET / HTTP/1.1\r\n\r\n", os.urandom(2000), b""):
        with socket.create_connection((host, int(port)), timeout=5) as line:
            line.sendall(words)
            if words:
                line.settimeout(10)
                try:
                    while line.recv(1000):
                        pass
                except ConnectionError:
                    pass
    after = network[CITY].status()
    assert (after["logs"], after["items"]) == (before["logs"], before["items"])
