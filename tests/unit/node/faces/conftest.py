"""The real web application over the paper node, with real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import ClientSession, web

from node.faces.app import make_runner, make_web_app
from tests.fake_service import FakeService

Open = Callable[..., Awaitable[ClientSession]]


@pytest.fixture
def service() -> FakeService:
    return FakeService()


@pytest.fixture
async def open_client(service: FakeService) -> AsyncIterator[Open]:
    """``await open_client(trusted=..., token=...)`` is a session on a served application."""
    opened: list[ClientSession] = []
    runners: list[web.AppRunner] = []

    async def open_one(trusted: bool = False, token: str = "") -> ClientSession:
        app = make_web_app(service, trusted=trusted, shown_url="https://node.example/")
        runner = make_runner(app)
        await runner.setup()
        runners.append(runner)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        session = ClientSession(f"http://127.0.0.1:{port}", headers=headers)
        opened.append(session)
        return session

    yield open_one
    for session in opened:
        await session.close()
    for runner in runners:
        await runner.cleanup()


@pytest.fixture
async def client(open_client: Open) -> ClientSession:
    """The public."""
    return await open_client()


@pytest.fixture
async def clerk(open_client: Open) -> ClientSession:
    return await open_client(token="clerk-token")


@pytest.fixture
async def administrator(open_client: Open) -> ClientSession:
    return await open_client(token="admin-token")
