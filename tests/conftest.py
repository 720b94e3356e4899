"""What several rooms' tests need: the folder of real data, a browser, and an honest last word.

Real data, a browser and Go are optional.  A test that asks for one that is missing is skipped, and
the summary says how many tests that were and how to have them run.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from search_shard.tables import Tables, build_tables

SCREENSHOT_BYTES_MAX = 300_000
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
NO_DATA = "no real data: set FANGZHI_DATA to its folder"
NO_GO = "no Go reader of our logs: install golang-go and golang-golang-x-mod-dev"
NO_MODULES = "no tus-js-client, no axe-core: tests/page/packages.sh"
NO_BROWSER = "no browser: install chromium or google-chrome, or set FANGZHI_BROWSER"


@pytest.fixture(scope="session")
def data_dir(pytestconfig: pytest.Config) -> Path:
    """The folder of real data; skips the test where it is absent."""
    beside = pytestconfig.rootpath.parent / "shared" / "data"
    folder = Path(os.environ.get("FANGZHI_DATA") or beside)
    if not folder.is_dir():
        pytest.skip(NO_DATA)
    return folder


@pytest.fixture(scope="session")
def tables_bytes(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> bytes:
    """The reading tables, derived once for all tests and all processes that run them."""
    folder = tmp_path_factory.getbasetemp()
    if hasattr(request.config, "workerinput"):  # under xdist the folder above is one for all
        folder = folder.parent
    kept = folder / "tables.bin"
    with (folder / "tables.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            kept.write_bytes(build_tables())
    return kept.read_bytes()


@pytest.fixture(scope="session")
def tables(tables_bytes: bytes) -> Tables:
    return Tables.from_bytes(tables_bytes)


@pytest.fixture(scope="session")
def browser_path() -> str:
    """An installed Chromium or Chrome for playwright's ``executable_path``; else skips the test."""
    for name in (os.environ.get("FANGZHI_BROWSER", ""), *BROWSERS):
        if found := shutil.which(name):
            return found
    pytest.skip(NO_BROWSER)


@pytest.fixture
def picture(pytestconfig: pytest.Config) -> Callable[[Any, str], None]:
    """Keeps a picture of the page for the documents, when FANGZHI_SCREENSHOTS=1."""

    def keep(page: Any, name: str) -> None:
        if os.environ.get("FANGZHI_SCREENSHOTS") != "1":
            return
        folder: Path = pytestconfig.rootpath / "docs" / "screenshots"
        folder.mkdir(parents=True, exist_ok=True)
        image = page.screenshot(path=folder / f"{name}.png")
        assert len(image) < SCREENSHOT_BYTES_MAX

    return keep


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = [str(report.longrepr) for report in terminalreporter.stats.get("skipped", [])]
    for reason in (NO_DATA, NO_BROWSER, NO_GO, NO_MODULES):
        if count := sum(reason in text for text in skipped):
            terminalreporter.write_sep("!", f"{count} tests SKIPPED", yellow=True, bold=True)
            terminalreporter.write_line(reason)


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    """A command that ran in this process has set logging to a stream that is closed by now."""
    yield
    structlog.reset_defaults()
