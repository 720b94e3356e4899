from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from node.hands.outside import open_witness_client
from protocol.errors import Unavailable
from protocol.limits import NOTE_BYTES_MAX


@pytest.fixture
async def url() -> AsyncIterator[str]:
    """A server that echoes what it is asked to witness."""

    async def add(request: web.Request) -> web.Response:
        body = await request.read()
        if body == b"old 0":
            return web.Response(
                status=409, body=b"7\n", headers={"Content-Type": "text/x.tlog.size"}
            )
        return web.Response(body=body * (NOTE_BYTES_MAX if body == b"x" else 1) + b"y")

    async def checkpoint(request: web.Request) -> web.Response:
        if request.match_info["origin"] != "aa":
            raise web.HTTPFound("http://127.0.0.1:9/elsewhere")
        return web.Response(body=b"note")

    app = web.Application()
    app.add_routes(
        [web.post("/w/add-checkpoint", add), web.get("/w/{origin}/checkpoint", checkpoint)]
    )
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    yield f"http://{host}:{port}/w"
    await runner.cleanup()


async def test_what_a_witness_says_comes_back_whole(url: str) -> None:
    async with open_witness_client("") as client:
        status, _, body = await client.add_checkpoint(url + "/", b"hello")
        assert (status, body) == (200, b"helloy")
        assert await client.add_checkpoint(url, b"old 0") == (409, "text/x.tlog.size", b"7\n")
        assert await client.cosigned(url, "aa") == b"note"
        assert await client.cosigned(url, "bb") is None  # a redirect is not followed


async def test_too_much_or_nobody_is_unavailable(url: str) -> None:
    async with open_witness_client("") as client:
        with pytest.raises(Unavailable, match="at most"):
            await client.add_checkpoint(url, b"x")
        for dead in ("http://127.0.0.1:1/w", "gopher://x", "http://"):
            with pytest.raises(Unavailable):
                await client.add_checkpoint(dead, b"hello")
