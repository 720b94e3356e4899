"""``storage``: where the files of a node lie, and moving them while it serves (存储位置)."""

from __future__ import annotations

import argparse
import os
from typing import Any

from node.cli.reaching import console, progress_bar, reach
from node.cli.upkeep import shown
from protocol.errors import ConfigError

Json = dict[str, Any]


async def show(arguments: argparse.Namespace) -> tuple[int, Json]:
    async with reach(arguments.home) as client:
        result = await client.operate("storage", {}, lambda *_: None)
    return _told(result), result


async def move(arguments: argparse.Namespace) -> tuple[int, Json]:
    """Exit status 1 when something had to stay where it was.

    Raises:
        ConfigError: a store of one's own, and no keys of it.  (Amazon's machines have theirs.)
    """
    bucket = {
        "url": arguments.to,
        "endpoint": arguments.endpoint,
        "region": arguments.region,
        "access_key": os.environ.get("AWS_ACCESS_KEY_ID", ""),
        "secret_key": os.environ.get("AWS_SECRET_ACCESS_KEY", ""),
    }
    if arguments.endpoint and not (bucket["access_key"] and bucket["secret_key"]):
        expected = (
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (the store's keys) in the environment"
        )
        raise ConfigError("storage move", expected, "none")
    wanted = {"bucket": None if arguments.to == "folder" else bucket}
    with progress_bar() as bar:
        async with reach(arguments.home) as client:
            result = await client.operate("move_storage", wanted, shown(bar))
    return _told(result), result


def _told(result: Json) -> int:
    """Say what lies where; the exit status."""
    for shelf in result["shelves"]:
        now = "  ← 新文件 new files" if shelf["name"] == result["now"] else ""
        size = f"{shelf['bytes'] / 2**20:.1f} MiB"
        console.print(f"{shelf['name']}  {shelf['files']}，{size}{now}", highlight=False)
    if result["error"]:
        console.print(f"[red]等待 waits[/] {result['error']}", highlight=False)
    for sha in result["damaged"]:
        cure = "fangzhi doctor HOME --repair，修复后再迁 then move again"
        console.print(f"[red]file.damaged[/] 已损坏，留在原处 {sha} → {cure}", highlight=False)
    return 1 if result["damaged"] else 0
