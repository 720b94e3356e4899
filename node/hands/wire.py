"""Frames over WebSocket over TLS 1.3: the Wire port on real sockets.

The dialler knows the SHA-256 of the listener's certificate and nothing else of it.  The TLS layer
is therefore told to verify no names and no chains, and the certificate that came is compared with
the pin before the first byte of ours leaves (the HTTP upgrade, and later the frames).  That is as
good as trusting the certificate alone: a TLS 1.3 server signs the handshake with the key of the
certificate it shows (CertificateVerify), which is checked whatever the verify mode is, so whoever
shows the pinned certificate also holds its key.

What a stranger can cost us is bounded: ten seconds to finish TLS and ask for the upgrade, then ten
more for the hello (``node.office.link``), LINKS_MAX connections, 64 KiB of buffer until the session
reads on.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable
from typing import Final

import aiohttp
from aiohttp import web
from aiohttp.web_protocol import RequestHandler
from yarl import URL

from node.hands.config import parse_address
from node.hands.tls import Tls
from protocol.errors import AuthError, ConfigError, DecodeError, FangzhiError, Unavailable
from protocol.limits import FRAME_BYTES_MAX, HELLO_SECONDS_MAX, LINKS_MAX
from protocol.ports import Connection

PATH: Final = "/peer"
HEARTBEAT_SECONDS: Final = 20.0  # a peer that answers no ping for half of this is gone
CLOSE_SECONDS: Final = 0.5
_MESSAGE_BYTES_MAX: Final = FRAME_BYTES_MAX + 1  # aiohttp refuses a message of its limit

_Accept = Callable[[Connection], Awaitable[None]]
_Socket = aiohttp.ClientWebSocketResponse | web.WebSocketResponse


def _dialling_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # the pin is checked instead, see above
    return context


class SocketConnection:
    """Connection over one WebSocket."""

    def __init__(
        self, socket: _Socket, binding: bytes, client: aiohttp.ClientSession | None = None
    ) -> None:
        self._socket = socket
        self._binding = binding
        self._client = client

    @property
    def binding(self) -> bytes:
        return self._binding

    async def send(self, frame: bytes) -> None:
        try:
            await self._socket.send_bytes(frame)
        except (OSError, aiohttp.ClientError) as error:
            raise Unavailable("connection", "an open one", type(error).__name__) from error

    async def receive(self) -> bytes:
        message = await self._socket.receive()
        if message.type is aiohttp.WSMsgType.BINARY:
            frame: bytes = message.data
            return frame
        await self.close()
        if message.type is aiohttp.WSMsgType.ERROR and isinstance(
            message.data, aiohttp.WebSocketError
        ):
            raise DecodeError("frame", f"at most {FRAME_BYTES_MAX} bytes", str(message.data))
        if message.type is aiohttp.WSMsgType.TEXT:
            raise DecodeError("frame", "bytes", "a text message")
        raise Unavailable("connection", "a frame", message.type.name.lower())

    async def close(self) -> None:
        with contextlib.suppress(OSError, aiohttp.ClientError, TimeoutError):
            await self._socket.close()
        if self._client:
            await self._client.close()


class SocketWire:
    """Wire of one node.

    Args:
        tls: what its listener shows; None for a node that only dials.
        proxy: ``http://host:port`` of an HTTP CONNECT proxy for dialling, or "".
    """

    def __init__(self, tls: Tls | None, proxy: str = "") -> None:
        self._tls = tls
        self._proxy = URL(proxy) if proxy else None
        self._dialling = _dialling_context()

    async def dial(self, address: str, pin: bytes) -> Connection:
        try:
            host, port = parse_address(address, "peer address")
        except ConfigError as error:
            raise Unavailable("peer address", error.expected, error.got) from error
        if len(pin) != 32:
            raise AuthError(address, "a pin of 32 bytes", len(pin))
        # Either place of the two takes a context or a fingerprint; this is how to give both.
        connector = aiohttp.TCPConnector(ssl=aiohttp.Fingerprint(pin), limit=1)
        client = aiohttp.ClientSession(connector=connector)
        try:
            async with asyncio.timeout(HELLO_SECONDS_MAX):
                socket = await client.ws_connect(
                    URL.build(scheme="wss", host=host, port=port, path=PATH),
                    ssl=self._dialling,
                    proxy=self._proxy,
                    max_msg_size=_MESSAGE_BYTES_MAX,
                    heartbeat=HEARTBEAT_SECONDS,
                    timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_SECONDS),
                )
        except BaseException as error:
            await client.close()
            if isinstance(error, aiohttp.ServerFingerprintMismatch):
                raise AuthError(address, f"certificate {pin.hex()}", error.got.hex()) from error
            if isinstance(error, (aiohttp.ClientError, OSError, TimeoutError)):
                got = str(error) or type(error).__name__
                raise Unavailable(address, "an answer", got) from error
            raise
        return SocketConnection(socket, pin, client)

    async def listen(self, address: str, accept: _Accept) -> Callable[[], Awaitable[None]]:
        if self._tls is None:
            raise ConfigError("peer.listen", "a certificate to show", "none")
        host, port = parse_address(address, "peer.listen")
        listener = _Listener(self._tls.fingerprint, accept)
        loop = asyncio.get_running_loop()
        try:
            server = await loop.create_server(
                listener.make_protocol,
                host,
                port,
                ssl=self._tls.context,
                ssl_handshake_timeout=HELLO_SECONDS_MAX,
                ssl_shutdown_timeout=CLOSE_SECONDS,
            )
        except OSError as error:
            expected = "a free address (change [peer] listen in node.toml)"
            raise Unavailable(address, expected, error.strerror or error) from error

        async def stop() -> None:
            server.close()
            await listener.stop()

        return stop


class _Listener:
    def __init__(self, binding: bytes, accept: _Accept) -> None:
        self._binding = binding
        self._accept = accept
        self._links: set[RequestHandler] = set()  # those that asked for the upgrade
        self._server = web.Server(self._serve, access_log=None)

    def make_protocol(self) -> RequestHandler:
        protocol = self._server()
        asyncio.get_running_loop().call_later(HELLO_SECONDS_MAX, self._expire, protocol)
        return protocol

    async def stop(self) -> None:
        await self._server.shutdown(timeout=CLOSE_SECONDS)

    def _expire(self, protocol: RequestHandler) -> None:
        if protocol not in self._links and protocol.transport is not None:
            protocol.transport.abort()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        socket = web.WebSocketResponse(
            max_msg_size=_MESSAGE_BYTES_MAX,
            heartbeat=HEARTBEAT_SECONDS,
            compress=False,
            timeout=CLOSE_SECONDS,
        )
        if request.path != PATH or not socket.can_prepare(request).ok:
            return web.Response(status=404)
        if len(self._links) >= LINKS_MAX:
            return web.Response(status=503)
        self._links.add(request.protocol)
        try:
            await socket.prepare(request)
            connection = SocketConnection(socket, self._binding)
            try:
                with contextlib.suppress(FangzhiError):  # a connection's end is not the listener's
                    await self._accept(connection)
            finally:
                await connection.close()
        finally:
            self._links.discard(request.protocol)
        return socket
