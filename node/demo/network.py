"""The network of a demonstration: operating-system processes, driven by CLI and HTTP only."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from configs.offices import OfficeRow
from node.cli.client import Client
from node.demo.screen import Broken, until
from protocol.errors import FangzhiError

Json = dict[str, Any]

NETWORK: Final = "fzb.jiangsu.example"
STOP_SECONDS_MAX: Final = 5.0
START_SECONDS_MAX: Final = 60.0
SETTLE_SECONDS_MAX: Final = 240.0  # until everybody knows
LINE_BYTES_MAX: Final = 1 << 26  # a result is one line of JSON
# A demonstration is watched: what takes a minute in an office takes two seconds here.
_TIMERS: Final = "\n[ledger]\ngossip_ms = 50\nsync_s = 2\nanchor_s = 2\n"
# A hundred logs on one machine: what changes within half a second travels, and is signed, once.
# Where fifteen nodes share two cores, a slow holder is not a lost one.
_TIMERS_LARGE: Final = (
    "\n[ledger]\ngossip_ms = 500\nsync_s = 10\nanchor_s = 10\n"
    "\n[search]\ndeadline_ms = 10000\nhedge_ms = 2000\n"
)
_LARGE: Final = 10  # nodes
_REDIAL: Final = "[peer]\nredial_s_max = 1\n"


@dataclass(slots=True)
class Place:
    """One node: a home, its offices (the first names it), where it listens, its process."""

    offices: tuple[OfficeRow, ...]
    home: Path
    web: str
    peer: str  # "" for a node that only dials out
    process: asyncio.subprocess.Process | None = None

    @property
    def code(self) -> str:
        return self.offices[0].code

    @property
    def name(self) -> str:
        more = f"等 {len(self.offices)} 个机构" if len(self.offices) > 1 else ""
        return f"{self.offices[0].name}{more}"

    @property
    def url(self) -> str:
        return f"http://{self.web}"

    @property
    def log(self) -> Path:
        return self.home.with_suffix(".log")

    @asynccontextmanager
    async def ask(self, staff: bool = False) -> Any:
        """An HTTP client of this node, as the public or as its staff (with its token)."""
        token = (self.home / "token").read_text("ascii").strip() if staff else None
        async with Client(self.url, None, token) as client:
            yield client

    async def get(self, path: str, staff: bool = False, **parameters: str | int) -> Any:
        async with self.ask(staff) as client:
            return await client.get(path, **parameters)

    async def read(self, path: str) -> bytes:
        """What the public gets under a path."""
        async with self.ask() as client:
            return b"".join([chunk async for chunk in client.read_bytes(path)])

    async def text(self, path: str) -> str:
        return (await self.read(path)).decode()

    async def healthy(self) -> bool:
        try:
            await self.get("/healthz")
        except FangzhiError:
            if self.process is None or self.process.returncode is not None:
                got = self.log.read_text("utf-8", "replace").strip().rpartition("\n")[2]
                raise Broken(self.name, "a node that runs", got) from None
            return False
        return True


@dataclass(slots=True)
class Network:
    """All places of a demonstration, the province first."""

    folder: Path
    places: list[Place]
    runs: asyncio.Semaphore = field(
        default_factory=lambda: asyncio.Semaphore(max(2, os.cpu_count() or 2))
    )

    @classmethod
    def plan(cls, folder: Path, hosting: Iterable[tuple[OfficeRow, ...]]) -> Network:
        """Homes and free ports for nodes that host these offices; counties alone do not listen."""
        groups = list(hosting)
        ports = free_ports(2 * len(groups))
        places = []
        for number, offices in enumerate(groups):
            listens = offices[0].tier != "county"
            web, peer = (f"127.0.0.1:{ports[2 * number + k]}" for k in (0, 1))
            home = folder / offices[0].code
            places.append(Place(offices, home, web, peer if listens else ""))
        return cls(folder, places)

    @property
    def province(self) -> Place:
        return self.places[0]

    @property
    def genesis(self) -> Path:
        return self.province.home / "genesis.note"

    def place_of(self, code: str) -> Place:
        """The node that hosts an office."""
        return next(p for p in self.places if any(row.code == code for row in p.offices))

    async def cli(
        self, *arguments: object, heard: Callable[[str], None] | None = None
    ) -> tuple[int, Json]:
        """Run ``fangzhi``; its exit status and result.  ``heard`` gets what it says to people,
        line by line."""
        words = [str(argument) for argument in arguments]
        async with self.runs:
            process = await asyncio.create_subprocess_exec(
                *_FANGZHI,
                *words,
                "--json",
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is for us: we end what we started
                limit=LINE_BYTES_MAX,
            )
            assert process.stdout
            assert process.stderr
            said: list[str] = []
            try:
                reading = asyncio.ensure_future(process.stdout.read())
                async for line in process.stderr:
                    said.append(line.decode("utf-8", "replace").rstrip())
                    if heard:
                        heard(said[-1])
                out = await reading
                status = await process.wait()
            finally:
                await _end(process)
        try:
            result: Json = json.loads(out)
        except ValueError as error:
            raise Broken(f"fangzhi {words[0]}", "one JSON object", "\n".join(said)) from error
        return status, result

    async def good(self, *arguments: object, heard: Callable[[str], None] | None = None) -> Json:
        """As :meth:`cli`, for a command that must succeed."""
        status, result = await self.cli(*arguments, heard=heard)
        if status:
            raise Broken(f"fangzhi {arguments[0]}", "exit status 0", f"{status} {result}")
        return result

    async def found(self, done: Callable[[], None]) -> None:
        """Found the network and start every node; ``done`` after each home, and each start."""
        requests, invites = self.folder / "requests", self.folder / "invites"
        requests.mkdir()
        first, *others = self.places

        async def init(place: Place, *how: object) -> None:
            offices = [part for row in place.offices for part in ("--office", row.code)]
            peer = ["--peer-listen", place.peer] if place.peer else []
            await self.good("init", place.home, *offices, *how, "--web-listen", place.web, *peer)
            config = place.home / "node.toml"
            text = config.read_text("utf-8").replace("[peer]\n", _REDIAL)
            text += _TIMERS_LARGE if len(self.places) > _LARGE else _TIMERS
            config.write_text(text, "utf-8")
            done()

        # The first home derives the reading tables that the others take from the user's cache.
        await init(first, "--found", NETWORK)
        async with asyncio.TaskGroup() as group:
            group.create_task(self.start(first))
            for place in others:
                group.create_task(init(place, "--request", requests / f"{place.code}.json"))
        table = self.folder / "requests.csv"
        with table.open("w", encoding="utf-8", newline="") as lines:
            rows = csv.writer(lines)
            rows.writerow(["request"])
            rows.writerows([f"requests/{place.code}.json"] for place in others)
        await self.good("admit", first.home, "--table", table, "--invite", invites)
        done()

        async def join(place: Place) -> None:
            invite = invites / f"{place.code}.invite.json"
            await self.good("join", place.home, "--invite", invite)
            await self.start(place)
            done()

        async with asyncio.TaskGroup() as group:
            for place in others:
                group.create_task(join(place))

    async def start(self, place: Place) -> float:
        """Start a node and wait until it answers; seconds."""
        with place.log.open("ab") as log:
            place.process = await asyncio.create_subprocess_exec(
                *_FANGZHI,
                "serve",
                str(place.home),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return await until(f"{place.name} to answer", place.healthy, START_SECONDS_MAX)

    async def stop(self, place: Place) -> float:
        """Stop a node as an operator would (SIGTERM); seconds.

        Raises:
            Broken: it did not end in time (it was killed then), or not well.
        """
        process, place.process = place.process, None
        if process is None:
            return 0.0
        started = asyncio.get_running_loop().time()
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_SECONDS_MAX):
                status = await process.wait()
        except TimeoutError as error:
            await _end(process)
            raise Broken(place.name, f"an end within {STOP_SECONDS_MAX} s", "killed") from error
        if status:
            raise Broken(place.name, "exit status 0", status)
        return round(asyncio.get_running_loop().time() - started, 2)

    async def kill(self, place: Place) -> None:
        """Pull the plug of a node (SIGKILL)."""
        process, place.process = place.process, None
        assert process is not None
        await _end(process)

    def running(self) -> list[Place]:
        """Nodes that were started and not ended."""
        return [place for place in self.places if place.process is not None]

    async def stop_all(self) -> list[float | BaseException]:
        """Stop every node that runs; for each the seconds it took, or what went wrong."""
        return await asyncio.gather(*map(self.stop, self.running()), return_exceptions=True)


_FANGZHI: Final = (sys.executable, "-m", "node.cli.main")


async def _end(process: asyncio.subprocess.Process) -> None:
    """Leave nothing of a process."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on now, all different."""
    with ExitStack() as stack:
        return list(_bound(stack, count))


def _bound(stack: ExitStack, count: int) -> Iterator[int]:
    for _ in range(count):
        one = stack.enter_context(socket.socket())
        one.bind(("127.0.0.1", 0))
        yield one.getsockname()[1]
