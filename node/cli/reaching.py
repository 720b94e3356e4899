"""Reaches the node a command is about: a home's socket, a stopped home's own node, or a URL."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from node.cli.client import Client, is_url, token_of
from protocol.errors import ConfigError

console = Console(stderr=True, soft_wrap=True)
SPOOLED = "待登记：上级节点一经确认即登记 kept, signed when the parent confirms"


@asynccontextmanager
async def reach(target: str, token: str | None = None) -> AsyncIterator[Client]:
    """A client of the node at ``target``, a HOME or a URL.

    Raises:
        ConfigError: neither.
        Locked: the home is in use by a process that does not answer.
    """
    if is_url(target):
        async with Client(target, None, token_of(token)) as client:
            yield client
        return
    root = Path(target)
    if not root.exists():
        raise ConfigError(target, "the folder of a node, or http(s)://…", "nothing there")
    if await answers(root / "socket"):
        async with Client("http://node", root / "socket", None) as client:
            yield client
        return
    from node.cli.running import with_socket  # noqa: PLC0415 (loads the whole node: half a second)

    async with with_socket(root) as socket, Client("http://node", socket, None) as client:
        yield client


async def answers(socket: Path) -> bool:
    """Whether a node listens on the socket of its home."""
    try:
        _, writer = await asyncio.open_unix_connection(str(socket))
    except OSError:
        return False
    writer.close()
    return True


def progress_bar() -> Progress:
    """Bars on standard error; nothing where that is no terminal."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeRemainingColumn(),
        console=console,
        disable=not sys.stderr.isatty(),
        transient=True,
    )


def bytes_of(path: str) -> bytes:
    """A small file that the user named.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(path, "a readable file", error.strerror) from error
