"""A network of real processes on loopback, founded once for all tests of this folder."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from node.cli import joining
from node.cli.main import main
from node.hands.storage.home import Home

PROVINCE, CITY, COUNTY, COUNTY2, ABSENT = "320000", "320500", "320581", "320582", "320583"
FAST = (
    "\n[ledger]\ngossip_ms = 20\nsync_s = 1\nanchor_s = 1\nmap_gib = 1\n"
    "[store]\nreserve_mib = 1\nmap_gib = 1\n"
)
START_SECONDS_MAX = 60
FANGZHI = (sys.executable, "-m", "node.cli.main")


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def fangzhi(*arguments: object) -> tuple[int, dict[str, Any], str]:
    """A command, in this process: exit status, the JSON it printed, what it told people."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main([*map(str, arguments), "--json"])
    return status, json.loads(out.getvalue()), err.getvalue()


@dataclass
class Server:
    """One home, and the process that serves it."""

    code: str
    home: Path
    web: str
    peer: str
    process: subprocess.Popen[str] | None = None

    def launch(self) -> None:
        with (self.home / "serve.log").open("w") as log:
            self.process = subprocess.Popen(
                [*FANGZHI, "serve", str(self.home)], stderr=log, stdout=log, text=True
            )

    def await_ready(self) -> None:
        assert self.process is not None
        end = time.monotonic() + START_SECONDS_MAX
        while "serves at" not in self.said():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < end, "it does not come up"
            time.sleep(0.05)

    def start(self) -> None:
        self.launch()
        self.await_ready()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """The exit status."""
        assert self.process is not None
        self.process.send_signal(number)
        status = self.process.wait(timeout=30)
        self.process = None
        return status

    def said(self) -> str:
        return (self.home / "serve.log").read_text()

    def status(self) -> dict[str, Any]:
        return fangzhi("status", self.home)[1]


@dataclass
class Network:
    root: Path
    servers: dict[str, Server] = field(default_factory=dict)

    def __getitem__(self, code: str) -> Server:
        return self.servers[code]

    def found(self) -> None:
        """Homes of everybody and invites of all; the first home pays for the reading tables."""
        self.place(PROVINCE, CITY, COUNTY, COUNTY2, ABSENT)
        for code in self.servers:
            how = ("--request", self.root / f"{code}.req")
            if code == PROVINCE:
                how = ("--found", "fzb.test.example")
            self.init(code, *how)
        rows = [f"{code}.req\n" for code in self.servers if code != PROVINCE]
        table = self.root / "table.csv"
        table.write_text("request\n" + "".join(rows))
        status, _, said = fangzhi(
            "admit", self[PROVINCE].home, "--table", table, "--invite", self.root / "invites"
        )
        assert status == 0, said
        for code in (CITY, COUNTY, COUNTY2, ABSENT):
            invite = self.root / "invites" / f"{code}.invite.json"
            assert fangzhi("join", self[code].home, "--invite", invite)[0] == 0

    def place(self, *codes: str) -> None:
        """Folders and ports for nodes; counties do not listen to peers."""
        ports = iter(free_ports(2 * len(codes)))
        for code in codes:
            peer = f"127.0.0.1:{next(ports)}" if code in (PROVINCE, CITY) else ""
            self.servers[code] = Server(code, self.root / code, f"127.0.0.1:{next(ports)}", peer)

    def init(self, code: str, *how: object) -> None:
        server = self[code]
        addresses = ("--web-listen", server.web, "--peer-listen", server.peer)
        status, _, said = fangzhi("init", server.home, "--office", code, *how, *addresses)
        assert status == 0, said
        config = server.home / "node.toml"
        text = config.read_text().replace("[web]", "redial_s_max = 1\n[web]")
        config.write_text(text + FAST)

    def up(self, *codes: str) -> None:
        running = [self[code] for code in codes]
        for server in running:
            server.launch()
        for server in running:
            server.await_ready()
        self.until(
            lambda: all(gate == "open" for s in running for gate in s.status()["gate"].values())
        )

    def kill(self) -> None:
        for server in self.servers.values():
            if server.process is not None:
                server.process.kill()
                server.process.wait()

    def until(self, holds: Callable[[], bool], seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < end, "it did not happen in time"
            time.sleep(0.1)


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    made = Network(tmp_path_factory.mktemp("network"))
    first: list[Path] = []
    derive = joining.cached_tables

    def derived_once(home: Home) -> Any:
        """Deriving costs four seconds a home; the second home gets the first one's file."""
        for path in first:
            shutil.copy(path, home.cache)
        tables = derive(home)
        first[:] = list(home.cache.iterdir())
        return tables

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(joining, "cached_tables", derived_once)
        made.found()
    try:
        made.up(PROVINCE, CITY, COUNTY, COUNTY2)
        yield made
    finally:
        made.kill()


@pytest.fixture(scope="module")
def bare_network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """Nothing but a folder: for a test that founds a network of its own."""
    made = Network(tmp_path_factory.mktemp("bare"))
    try:
        yield made
    finally:
        made.kill()


@pytest.fixture(scope="session")
def cli() -> Callable[..., tuple[int, dict[str, Any], str]]:
    return fangzhi


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a clerk keeps files."""
    os.chmod(tmp_path, 0o755)
    return tmp_path
