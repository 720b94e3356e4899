"""``rebuild``, ``backup``, ``restore``, ``doctor``: an operator's care for a home."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rich.progress import Progress, TaskID

from node.cli.joining import print_next
from node.cli.reaching import answers, console, progress_bar, reach
from node.hands.backup import restore_home
from node.hands.open_world import SystemClock, Threads
from node.hands.storage.home import Home
from node.hands.storage.vault import mend_cards
from protocol.errors import StoreError

Json = dict[str, Any]


async def rebuild(arguments: argparse.Namespace) -> tuple[int, Json]:
    async with reach(arguments.home) as client:
        result = await client.operate("rebuild", {}, lambda *_: None)
    same = "与原来相同 as before" if result["equal"] else "[red]与原来不同 not as before[/]"
    console.print(f"已重建 rebuilt：{result['after']}，{same}", highlight=False)
    return (0 if result["equal"] else 1), result


async def statistics(arguments: argparse.Namespace) -> tuple[int, Json]:
    """Sum up the public text of every shard and sign it; all nodes weigh queries by it."""
    async with reach(arguments.home, arguments.token) as client:
        result = await client.operate("statistics", {}, lambda *_: None)
    missing = f"，缺 missing {'、'.join(result['missing'])}" if result["missing"] else ""
    console.print(
        f"已签署 signed：{result['pages']} 页 pages，{result['shards']} 个分库 shards{missing}",
        highlight=False,
    )
    return 0, result


async def backup(arguments: argparse.Namespace) -> tuple[int, Json]:
    folder = str(Path(arguments.folder).absolute())
    with progress_bar() as bar:
        async with reach(arguments.home) as client:
            result = await client.operate("backup", {"folder": folder}, shown(bar))
    console.print(
        f"{result['files']} 个文件与账本已备份，内含私钥，请妥善保管 · files and the ledger, with"
        f" private keys: {folder}",
        highlight=False,
    )
    for sha in result["damaged"]:
        console.print(f"[red]file.damaged[/] 文件已损坏，未能备份 damaged: {sha}", highlight=False)
    return 0, result


async def restore(arguments: argparse.Namespace) -> tuple[int, Json]:
    with progress_bar() as bar:
        source, home = Path(arguments.folder), Path(arguments.home)
        result = await restore_home(source, home, Threads(), SystemClock(), shown(bar))
    print_next(
        f"fangzhi serve {arguments.home}；上级或见证方确认之后恢复签名",
        "it signs again when a peer confirms",
    )
    return 0, result


async def doctor(arguments: argparse.Namespace) -> tuple[int, Json]:
    """Exit status 1 when something is wrong.  With --repair the cards of the store of a node that
    is down are looked at first: it could not start with damaged ones."""
    cards = await _mended_cards(Path(arguments.home)) if arguments.repair else []
    with progress_bar() as bar:
        async with reach(arguments.home) as client:
            result = await client.operate("doctor", {"repair": arguments.repair}, shown(bar))
    result["ailments"] = cards + result["ailments"]
    for ailment in result["ailments"]:
        console.print(f"[red]{ailment['code']}[/] ", end="")
        console.print(ailment["zh"], markup=False, highlight=False)
        for line in (ailment["what"], f"→ {ailment['cure_zh']}", f"→ {ailment['cure']}"):
            console.print(f"    {line}", markup=False, highlight=False)
    if not result["ailments"]:
        console.print("[green]一切正常 · well[/]")
    return (1 if result["ailments"] else 0), result


async def _mended_cards(root: Path) -> list[Json]:
    home = Home.open(root)
    if await answers(home.socket):
        return []
    try:
        with home.lock():
            await mend_cards(home.vault)
    except StoreError as error:
        told = {"zh": f"文件登记 {home.vault} 读不出", "cure_zh": "已按文件重新生成"}
        cure = "made again from the files"
        return [{"code": "store.cards", "what": str(error), "cure": cure, **told}]
    return []


def shown(bar: Progress) -> Any:
    """A callback that shows progress as one bar for each kind of step."""
    tasks: dict[str, TaskID] = {}

    def note(what: str, done: int, total: int) -> None:
        if what not in tasks:
            tasks[what] = bar.add_task(what)
        bar.update(tasks[what], completed=done, total=max(total, 1))

    return note
