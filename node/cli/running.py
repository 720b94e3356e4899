"""Runs the node of a home: stores, services, faces, signals.

``serve`` listens to peers and the web; a command on a home whose node is down runs the same node
with only its socket, for as long as the command takes.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import resource
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import structlog
from aiohttp import web

from ledger.views import TABLES as FOLDED
from node.cli.operations import operations
from node.cli.reaching import answers
from node.faces.app import make_runner, make_web_app
from node.hands.allocator import keep_freed_memory
from node.hands.config import NodeConfig, WebConfig, parse, parse_address
from node.hands.keys import HomeKeys
from node.hands.open_world import open_world
from node.hands.storage.home import Home
from node.hands.tables import cached_tables
from node.hands.tls import web_context
from node.hands.world import World
from node.office.catalog import TABLES as CATALOG
from node.office.membership import read_invite
from node.office.node import LEDGER_TABLES, Node
from node.office.service import OfficeService
from protocol.errors import ConfigError, Unavailable

GATE_SECONDS_MAX: Final = 3.0  # how long a command on a stopped node waits for its parent
CATCH_UP_SECONDS_MAX: Final = 2.0
STOP_SECONDS_MAX: Final = 5.0

# Without the variables of the frames: they hold keys, tokens and what clerks wrote.
TRACEBACKS: Final = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
)

log = structlog.get_logger("fangzhi")


def set_up_logging(level: str) -> None:
    """Structured lines on standard error, one JSON object each, from ``level`` on."""
    # a traceback for every request line that cannot be parsed would be an attacker's log
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    levels = {"debug": 10, "info": 20, "warning": 30, "error": 40}
    # Bad HTTP from strangers is theirs; our own faults are logged by the faces.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            TRACEBACKS,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(levels[level]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )


def read_config(home: Home) -> NodeConfig:
    try:
        return parse(home.config.read_text("utf-8"))
    except FileNotFoundError:
        return NodeConfig()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(home.config), "a readable UTF-8 file", error) from error


async def serve_command(arguments: argparse.Namespace) -> tuple[int, dict[str, object]]:
    await serve(Path(arguments.home))
    return 0, {}


async def serve(root: Path) -> None:
    """Run the node of a home until SIGTERM or SIGINT.

    Raises:
        Locked: another process has the home.
        ConfigError: the home is not complete; says what to do.
        Unavailable: an address is in use.
        Fatal: a sync failed.
    """
    home = Home.open(root)
    config = read_config(home)
    set_up_logging(config.log.level)
    keep_freed_memory()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with running(home, config):
        say = f"fangzhi: {root} 已运行 serves at {_shown_url(config)}"
        print(say, file=sys.stderr, flush=True)
        await stop.wait()


@asynccontextmanager
async def with_socket(root: Path) -> AsyncIterator[Path]:
    """The socket of a home's node; when the node is down it runs, without listeners, meanwhile.

    Raises:
        Locked: a process has the home but does not answer on its socket.
    """
    home = Home.open(root)
    if await answers(home.socket):
        yield home.socket
        return
    config = read_config(home)
    set_up_logging(config.log.level)
    quiet = replace(config, peer=replace(config.peer, listen=""), web=WebConfig(listen=""))
    async with running(home, quiet) as node:
        end = asyncio.get_running_loop().time() + GATE_SECONDS_MAX
        gates = node.sequencer.gates.values()
        while not all(gate.is_open for gate in gates):
            if asyncio.get_running_loop().time() > end:
                break  # then what is reported waits in the spool (待登记)
            await asyncio.sleep(0.05)
        yield home.socket


@asynccontextmanager
async def running(home: Home, config: NodeConfig) -> AsyncIterator[Node]:
    """The node of a home, up; it is stopped when the context ends."""
    with home.lock():
        async with AsyncExitStack() as closing:
            world = await closing.enter_async_context(
                open_world(home, config, LEDGER_TABLES, (*FOLDED, *CATALOG))
            )
            node = _assemble(home, config, world)
            service = OfficeService(
                node,
                home.token.read_text("ascii").strip(),
                version("fangzhi"),
                _resident_bytes,
                operations(home, node),
            )
            ready = asyncio.Event()
            task = asyncio.ensure_future(node.run(ready.set))
            closing.push_async_callback(_stop, node, task)
            await _until(ready, task)
            with suppress(TimeoutError):  # what was taken down meanwhile must not be shown first
                async with asyncio.timeout(CATCH_UP_SECONDS_MAX if node.has_parents else 0):
                    await node.replicator.catchup.caught_up()
            await _listen(closing, home, config, service)
            user = asyncio.current_task()
            assert user is not None

            def died(_: asyncio.Future[None]) -> None:
                user.cancel()  # a node that lost a service would mislead: everything ends

            task.add_done_callback(died)
            try:
                yield node
            except asyncio.CancelledError:
                if task.done():
                    user.uncancel()
                    task.result()
                raise
            finally:
                task.remove_done_callback(died)


def _assemble(home: Home, config: NodeConfig, world: World) -> Node:
    if not HomeKeys(home.keys).offices():
        raise ConfigError(str(home.keys), "keys of an office (fangzhi init HOME)", "none")
    if not home.genesis.exists():
        expected, got = "a genesis note (fangzhi join HOME --invite FILE)", "not joined yet"
        if (home.root / "genesis.draft").exists():
            expected = "root signatures on genesis.draft, then fangzhi roster apply HOME FILE"
            got = "a network that is drafted and not yet founded"
        raise ConfigError(str(home.genesis), expected, got)
    invite = home.root / "invite.json"
    newcomer = read_invite(invite.read_bytes())[1] if invite.exists() else None
    note, keys = home.genesis.read_bytes(), HomeKeys(home.keys)
    return Node(config, world, note, keys, cached_tables(home), newcomer)


async def _listen(
    closing: AsyncExitStack, home: Home, config: NodeConfig, service: OfficeService
) -> None:
    url = _shown_url(config)
    own = make_runner(make_web_app(service, trusted=True, shown_url=url))
    await own.setup()
    closing.push_async_callback(own.cleanup)
    home.socket.unlink(missing_ok=True)
    before = os.umask(0o177)
    try:
        await web.UnixSite(own, str(home.socket)).start()
    finally:
        os.umask(before)
    closing.callback(home.socket.unlink, missing_ok=True)
    if not config.web.listen:
        return
    public = make_runner(make_web_app(service, trusted=False, shown_url=url))
    await public.setup()
    closing.push_async_callback(public.cleanup)
    host, port = parse_address(config.web.listen, "[web] listen")
    site = web.TCPSite(
        public, host, port, ssl_context=web_context(config.web.certificate, config.web.private_key)
    )
    try:
        await site.start()
    except OSError as error:
        expected = "a free address (change [web] listen in node.toml)"
        raise Unavailable(config.web.listen, expected, error.strerror) from error


async def _stop(node: Node, task: asyncio.Future[None]) -> None:
    if task.done():
        return
    async with asyncio.timeout(STOP_SECONDS_MAX):
        await node.links.stop()
    task.cancel()
    await asyncio.wait([task], timeout=STOP_SECONDS_MAX)


async def _until(ready: asyncio.Event, task: asyncio.Future[None]) -> None:
    waiting = asyncio.ensure_future(ready.wait())
    first: set[asyncio.Future[Any]] = {waiting, task}
    await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if task.done():
        task.result()


def _shown_url(config: NodeConfig) -> str:
    scheme = "https" if config.web.certificate else "http"
    return config.web.url or f"{scheme}://{config.web.listen}"


def _resident_bytes() -> int:
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
        return pages * resource.getpagesize()
    except OSError:  # not Linux: the largest it has been
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
