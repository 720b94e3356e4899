"""``report``, ``review``, ``withdraw``: what clerks and reviewers do, from the command line."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from node.cli.client import Client
from node.cli.reaching import SPOOLED, console, progress_bar, reach
from node.hands.ingest.carriers.carried import CarriedFile, Package
from node.hands.ingest.carriers.reading import read_package
from protocol.errors import Rejected, Unavailable

Json = dict[str, Any]
MARKS = {"error": "[red]✗[/]", "warning": "[yellow]![/]", "note": "[dim]·[/]"}
SAID = {
    "accepted": "审核通过 accepted",
    "returned": "退回返工 returned",
    "withdrawn": "已下架 withdrawn",
    "spooled": SPOOLED,
}
PATIENCE_SECONDS: Final = 300.0  # without a byte that came through
PAUSE_SECONDS_MAX: Final = 10.0


async def report(arguments: argparse.Namespace) -> tuple[int, Json]:
    """Report every path as one package; 1 when one of them was refused or is in question.

    What was cut off goes on where it was, within this command or when it is given again.
    """
    results: list[Json] = []
    packages = [(path, read_package(Path(path))) for path in arguments.paths]
    async with reach(arguments.home, arguments.token) as client:
        for path, package in packages:
            result = await report_package(client, package, arguments)
            results.append({"path": path, **result})
    stopped = sum(result["status"] in ("refused", "question") for result in results)
    return (1 if stopped else 0), {"reports": results}


async def report_package(client: Client, package: Package, arguments: argparse.Namespace) -> Json:
    """Hand in one package with the options of ``report``, and tell what came of it."""
    with progress_bar() as bar:
        task = bar.add_task(package.title, total=sum(file.size for file in package.files))
        result = await _report(
            client, package, arguments, lambda count: bar.update(task, advance=count)
        )
    _tell(arguments.title or package.title, result)
    return result


async def _report(
    client: Client, package: Package, arguments: argparse.Namespace, told: Callable[[int], None]
) -> Json:
    notes = [asdict(note) for note in package.notes]
    if any(note["severity"] == "error" for note in notes):
        return {"status": "refused", "findings": notes, "pending": False}
    record = dict(package.record)
    if not arguments.item:  # a revision keeps its title unless another is said
        record.setdefault("title", package.title)
    if arguments.title:
        record["title"] = arguments.title
    if arguments.kind:
        record["kind"] = arguments.kind
    files = [
        {"path": file.name, "size": file.size, "modified": file.modified} for file in package.files
    ]
    asked = {
        "office": arguments.office,
        "item": arguments.item,
        "as": arguments.speaker,
        "record": record,
        "rights": arguments.rights or package.rights,
        "confirm": arguments.confirm,
        "files": files,
    }
    result: Json = await client.post("/api/v1/reports", asked)
    if result["status"] == "open":
        base = f"/api/v1/reports/{result['report']}"
        for number, file in enumerate(package.files):
            offset = result["files"][number]["offset"]
            told(offset)
            await _send(client, f"{base}/files/{number}", file, offset, told)
        result = await client.post(f"{base}/submit", {"confirm": arguments.confirm})
    return {**result, "findings": [*notes, *result["findings"]]}


async def _send(
    client: Client, where: str, file: CarriedFile, offset: int, told: Callable[[int], None]
) -> None:
    """Send a file from ``offset`` to its end, over lines that break and nodes that restart.

    Raises:
        Unavailable: nothing came through for PATIENCE_SECONDS.
    """
    clock = asyncio.get_running_loop().time
    pieces, heard, pause = file.pieces(offset), clock(), 0.1
    while offset < file.size:
        piece = next(pieces)  # a request for each: all of what is on its way may be lost in a cut
        try:
            reached = await client.append(where, offset, piece)
        except (Unavailable, Rejected):
            if clock() - heard > PATIENCE_SECONDS:
                raise  # the same command goes on later
            await asyncio.sleep(pause)
            pause = min(2 * pause, PAUSE_SECONDS_MAX)
            reached = await _offset(client, where, offset)
            pieces = file.pieces(reached)
        if reached > offset:
            heard, pause = clock(), 0.1
        told(reached - offset)
        offset = reached


async def _offset(client: Client, where: str, known: int) -> int:
    """How far the node says the file has come; ``known`` while it cannot be asked."""
    try:
        return await client.offset(where)
    except Unavailable:
        return known


async def review(arguments: argparse.Namespace) -> tuple[int, Json]:
    """Pass or return items."""
    body = (
        {"verdict": "pass"}
        if arguments.passed
        else {"verdict": "return", "reason": arguments.reason}
    )
    results = []
    body["as"] = arguments.speaker
    async with reach(arguments.home, arguments.token) as client:
        for item in arguments.items:
            result = await client.post(f"/api/v1/items/{item}/review", body)
            results.append(result)
            console.print(f"{item}: {SAID[result['status']]}", highlight=False)
    return 0, {"reviews": results}


async def withdraw(arguments: argparse.Namespace) -> tuple[int, Json]:
    """Take an item down."""
    async with reach(arguments.home, arguments.token) as client:
        path = f"/api/v1/items/{arguments.item}/withdraw"
        body = {"reason": arguments.reason, "as": arguments.speaker}
        result: Json = await client.post(path, body)
    console.print(f"{arguments.item}: {SAID[result['status']]}", highlight=False)
    return 0, result


def _tell(title: str, result: Json) -> None:
    words = {
        "submitted": "已报送，待审核 submitted",
        "spooled": SPOOLED,
        "refused": "未受理，请按下列意见修改后重报 refused, see the findings",
        "question": "请先确认，尚未报送 not handed in yet, a question first",
    }
    console.print(f"《{title}》 {words[result['status']]} {result.get('item', '')}", markup=False)
    for found in result["findings"]:
        mark = MARKS.get(found["severity"], "·")
        where = f" {found['path']}" if found["path"] else ""
        console.print(f"  {mark} {found['code']}", end="")
        console.print(f"{where}：{found['zh']} · {found['en']}", markup=False, highlight=False)
