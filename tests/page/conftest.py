"""The portal in a real browser: the application on a thread of its own, one Chromium for all."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from aiohttp import web
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    expect,
    sync_playwright,
)

from node.faces.app import make_runner, make_web_app
from tests.conftest import NO_MODULES
from tests.fake_service import FakeService

QUIET = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync")
expect.set_options(timeout=5_000)


@pytest.fixture(scope="session")
def service() -> FakeService:
    return FakeService()


@pytest.fixture(scope="session")
def portal(service: FakeService) -> Iterator[str]:
    """The address of a served portal."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    app = make_web_app(service, trusted=False, shown_url="https://suzhou.example")
    runner = make_runner(app)

    async def start() -> int:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return int(runner.addresses[0][1])

    port = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    yield f"http://127.0.0.1:{port}"
    asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """Scripts of other people, as they build them for browsers."""
    folder = Path(__file__).parent / "node_modules"
    if not (folder / "axe-core" / "axe.min.js").is_file():
        pytest.skip(NO_MODULES)
    return folder


# Playwright's own event loop runs on this thread while the browser is up, and other tests' loops
# cannot; so it ends with the module.
@pytest.fixture(scope="module")
def browser(browser_path: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=list(QUIET))
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser, portal: str) -> Iterator[Callable[..., Page]]:
    """``open_page(path, width=1366, height=768)`` is a page that must load without a complaint of
    the browser (a refused style, a missing file, an error)."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def note(page: Page, message: ConsoleMessage) -> None:
        # A refused page is reported under its own address, and a test may cut a line; anything
        # else is a fault.
        if "net::ERR_FAILED" in message.text:
            return
        if message.location["url"].partition("?")[0] != page.url.partition("?")[0]:
            complaints.append(f"{message.text} {message.location}")

    def open_one(path: str, width: int = 1366, height: int = 768) -> Page:
        size = {"width": width, "height": height}
        context = browser.new_context(base_url=portal, viewport=size)  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: note(page, message))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(path)
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert complaints == []
