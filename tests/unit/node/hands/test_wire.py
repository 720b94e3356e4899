"""The wire on real sockets of this machine, with real TLS."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from node.hands import wire as wire_module
from node.hands.tls import Tls, load_tls, make_tls
from node.hands.wire import PATH, SocketWire
from protocol.errors import AuthError, ConfigError, DecodeError, Unavailable
from protocol.ids import UnixMs
from protocol.limits import FRAME_BYTES_MAX
from protocol.ports import Connection

Accept = Callable[[Connection], Awaitable[None]]


@pytest.fixture
def tls(tmp_path: Path) -> Tls:
    make_tls(tmp_path, lambda count: b"t" * count, UnixMs(1_790_000_000_000))
    return load_tls(tmp_path)


def free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


@asynccontextmanager
async def listening(tls: Tls, accept: Accept) -> AsyncIterator[str]:
    address = free_address()
    stop = await SocketWire(tls).listen(address, accept)
    try:
        yield address
    finally:
        await asyncio.wait_for(stop(), 3)


async def echo(connection: Connection) -> None:
    while True:
        await connection.send(await connection.receive())


async def test_frames_go_to_and_fro_whole(tls: Tls) -> None:
    frames = [b"", b"x", bytes(70_000), b"z" * FRAME_BYTES_MAX]
    async with listening(tls, echo) as address:
        connection = await SocketWire(None).dial(address, tls.fingerprint)
        assert connection.binding == tls.fingerprint
        for frame in frames:
            await connection.send(frame)
            assert await connection.receive() == frame
        await connection.close()


async def test_both_ends_have_the_same_binding(tls: Tls) -> None:
    seen: list[bytes] = []

    async def accept(connection: Connection) -> None:
        seen.append(connection.binding)
        await connection.send(b"done")

    async with listening(tls, accept) as address:
        connection = await SocketWire(None).dial(address, tls.fingerprint)
        assert await connection.receive() == b"done"
        assert seen == [connection.binding]
        await connection.close()


async def test_another_certificate_gets_no_byte_of_a_frame(tls: Tls) -> None:
    reached: list[Connection] = []

    async def accept(connection: Connection) -> None:
        reached.append(connection)

    async with listening(tls, accept) as address:
        with pytest.raises(AuthError) as caught:
            await SocketWire(None).dial(address, bytes(32))
        assert caught.value.got == tls.fingerprint.hex()
        with pytest.raises(AuthError):
            await SocketWire(None).dial(address, b"")
    assert reached == []


async def test_a_frame_too_long_is_refused_by_the_receiver(tls: Tls) -> None:
    refused: list[DecodeError] = []

    async def accept(connection: Connection) -> None:
        try:
            await connection.receive()
        except DecodeError as error:
            refused.append(error)
            raise

    async with listening(tls, accept) as address:
        connection = await SocketWire(None).dial(address, tls.fingerprint)
        await connection.send(bytes(FRAME_BYTES_MAX + 1))
        with pytest.raises(Unavailable):
            await connection.receive()
        await connection.close()
    assert len(refused) == 1


async def test_a_peer_that_vanishes_is_noticed(tls: Tls) -> None:
    async def accept(connection: Connection) -> None:
        await connection.send(b"here")

    async with listening(tls, accept) as address:
        connection = await SocketWire(None).dial(address, tls.fingerprint)
        assert await connection.receive() == b"here"
        with pytest.raises(Unavailable):
            await connection.receive()
        with pytest.raises(Unavailable):
            await connection.send(b"anybody?")
        await asyncio.wait_for(connection.close(), 2)


async def test_a_peer_that_does_not_read_holds_the_sender(tls: Tls) -> None:
    read_on = asyncio.Event()

    async def accept(connection: Connection) -> None:
        await read_on.wait()
        await echo(connection)

    async with listening(tls, accept) as address:
        connection = await SocketWire(None).dial(address, tls.fingerprint)
        sent = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                while sent < 100:
                    await connection.send(bytes(1024 * 1024))
                    sent += 1
        assert sent < 50  # what the kernel's buffers take, and no more
        read_on.set()
        await connection.close()


async def test_nobody_there() -> None:
    with pytest.raises(Unavailable):
        await SocketWire(None).dial(free_address(), bytes(32))
    with pytest.raises(Unavailable):
        await SocketWire(None).dial("no port", bytes(32))


async def test_an_address_in_use(tls: Tls) -> None:
    async with listening(tls, echo) as address:
        with pytest.raises(Unavailable, match=address):
            await SocketWire(tls).listen(address, echo)


async def test_without_a_certificate_nobody_listens() -> None:
    with pytest.raises(ConfigError):
        await SocketWire(None).listen(free_address(), echo)


async def test_a_silent_stranger_is_dropped(tls: Tls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire_module, "HELLO_SECONDS_MAX", 0.3)
    async with listening(tls, echo) as address:
        host, port = address.split(":")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        reader, writer = await asyncio.open_connection(host, int(port), ssl=context)
        assert await asyncio.wait_for(reader.read(), 2) == b""
        writer.close()


async def test_an_older_tls_and_plain_http_get_nothing(tls: Tls) -> None:
    async with listening(tls, echo) as address:
        host, port = address.split(":")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises(OSError):  # noqa: PT011 - an SSL alert or a reset, as the kernel likes
            await asyncio.open_connection(host, int(port), ssl=context)
        async with aiohttp.ClientSession() as client:
            with pytest.raises(aiohttp.ClientError):
                await client.get(f"http://{address}{PATH}")
            async with client.get(f"https://{address}/", ssl=False) as answer:
                assert answer.status == 404


async def test_more_links_than_allowed(tls: Tls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire_module, "LINKS_MAX", 1)
    async with listening(tls, echo) as address:
        first = await SocketWire(None).dial(address, tls.fingerprint)
        with pytest.raises(Unavailable, match="503"):
            await SocketWire(None).dial(address, tls.fingerprint)
        await first.close()
        for _ in range(50):  # the listener needs a moment to see the first one go
            try:
                second = await SocketWire(None).dial(address, tls.fingerprint)
                break
            except Unavailable:
                await asyncio.sleep(0.02)
        await second.send(b"x")
        assert await second.receive() == b"x"
        await second.close()


async def test_stop_does_not_wait_for_peers(tls: Tls) -> None:
    async with listening(tls, echo) as address:
        connection = await SocketWire(None).dial(address, tls.fingerprint)
        await connection.send(b"x")
        await connection.receive()
    with pytest.raises(Unavailable):  # listening() gave stop() three seconds
        await connection.receive()
    await connection.close()


@asynccontextmanager
async def connect_proxy(asked: list[bytes]) -> AsyncIterator[str]:
    """A proxy that knows CONNECT and nothing else."""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        asked.append(head.split(b"\r\n")[0])
        host, port = head.split()[1].decode().split(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await asyncio.gather(
            pump(reader, far_writer), pump(far_reader, writer), return_exceptions=True
        )

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def test_through_a_connect_proxy_the_pin_still_holds(tls: Tls) -> None:
    asked: list[bytes] = []
    async with listening(tls, echo) as address, connect_proxy(asked) as proxy:
        connection = await SocketWire(None, proxy).dial(address, tls.fingerprint)
        await connection.send(b"through")
        assert await connection.receive() == b"through"
        await connection.close()
        with pytest.raises(AuthError):
            await SocketWire(None, proxy).dial(address, hashlib.sha256(b"other").digest())
    assert asked == [f"CONNECT {address} HTTP/1.1".encode()] * 2
