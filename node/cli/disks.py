"""``pack`` and ``receive``: items that travel on a disk (报送盘)."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from node.cli.reaching import console, progress_bar, reach
from node.cli.reporting import report_package
from node.hands.ingest.carriers.reading import read_package
from protocol.errors import DecodeError
from protocol.ids import parse_item

Json = dict[str, Any]
STATES = {
    "registered": "已登记 in the log",
    "waiting": "已接收，待其日志到达 kept, waiting for the log of its office",
    "superseded": "日志中已有更新的修订 the log has a later revision",
}


async def pack(arguments: argparse.Namespace) -> tuple[int, Json]:
    """Report a path to the home, unless it names an item of it, and write the item's disk."""
    async with reach(arguments.home) as client:
        item = _item(arguments.path)
        if not item:
            report = await report_package(client, read_package(Path(arguments.path)), arguments)
            if report["status"] in ("refused", "question"):
                return 1, {"report": report}
            item = report["item"]
        target = str(Path(arguments.folder).absolute())
        with progress_bar() as bar:
            task = bar.add_task("报送盘")

            def told(_doing: str, done: int, total: int) -> None:
                bar.update(task, completed=done, total=total)

            result = await client.operate("pack", {"item": item, "folder": target}, told)
    console.print(f"{item} → {target}", markup=False, highlight=False)
    return 0, result


async def receive(arguments: argparse.Namespace) -> tuple[int, Json]:
    """Take in every disk; those taken in before cost nothing and tell how they stand."""
    results: list[Json] = []
    async with reach(arguments.home) as client:
        for folder in arguments.folders:
            with progress_bar() as bar:
                task = bar.add_task(folder)

                def told(_doing: str, done: int, total: int, task: Any = task) -> None:
                    bar.update(task, completed=done, total=total)

                where = {"folder": str(Path(folder).absolute())}
                result = await client.operate("receive", where, told)
            results.append({"disk": folder, **result})
            words = f"{folder}: {result['item']} {STATES[result['status']]}"
            console.print(words, markup=False, highlight=False)
    return 0, {"disks": results}


def _item(typed: str) -> str:
    if Path(typed).exists():
        return ""
    try:
        return parse_item(typed)
    except DecodeError:
        return ""  # reading it says what is wrong
