"""``add``, ``review``, ``withdraw``: what clerks and reviewers do, from the command line."""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from rich.progress import Progress

from node.cli.client import Client
from node.cli.packages import LocalPackage, read_package
from node.cli.reaching import console, progress_bar, reach
from protocol.errors import Unavailable
from protocol.limits import CHUNK_BYTES

Json = dict[str, Any]
MARKS = {"error": "[red]✗[/]", "warning": "[yellow]![/]", "note": "[dim]·[/]"}


async def add(arguments: argparse.Namespace) -> tuple[int, Json]:
    """Report every path as one package; 1 when one of them was refused."""
    results: list[Json] = []
    packages = [(path, read_package(Path(path))) for path in arguments.paths]
    async with reach(arguments.home, arguments.token) as client:
        for path, package in packages:
            with progress_bar() as bar:
                result = await _report(client, package, arguments, bar)
            results.append({"path": path, **result})
            _tell(arguments.title or package.title, result)
    refused = sum(result["status"] == "refused" for result in results)
    return (1 if refused else 0), {"reports": results}


async def _report(
    client: Client, package: LocalPackage, arguments: argparse.Namespace, bar: Progress
) -> Json:
    record = dict(package.record)
    if arguments.title:
        record["title"] = arguments.title
    if arguments.kind:
        record["kind"] = arguments.kind
    begun: Json = await client.post(
        "/api/v1/reports",
        {
            "office": arguments.office,
            "item": arguments.item,
            "as": arguments.speaker,
            "record": record,
            "rights": arguments.rights or package.rights or "open",
            "files": [{"path": file.name, "size": file.size} for file in package.files],
        },
    )
    if begun["status"] == "refused":
        return begun
    task = bar.add_task(package.title, total=sum(file.size for file in package.files))
    for number, file in enumerate(package.files):
        where = f"/api/v1/reports/{begun['report']}/files/{number}"
        await client.send_file(where, _chunks(file.path, bar, task), file.size)
    result: Json = await client.post(f"/api/v1/reports/{begun['report']}/submit")
    notes = [vars_of(note) for note in package.notes]
    return {**result, "findings": [*notes, *result["findings"]]}


async def _chunks(path: Path, bar: Progress, task: Any) -> AsyncIterator[bytes]:
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk
                bar.update(task, advance=len(chunk))
    except OSError as error:
        raise Unavailable(str(path), "a file this user may read", error) from error


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
            verdict = "审核通过" if arguments.passed else "退回返工"
            console.print(f"{item}: {verdict} {result['status']}", highlight=False)
    return 0, {"reviews": results}


async def withdraw(arguments: argparse.Namespace) -> tuple[int, Json]:
    """Take an item down."""
    async with reach(arguments.home, arguments.token) as client:
        path = f"/api/v1/items/{arguments.item}/withdraw"
        body = {"reason": arguments.reason, "as": arguments.speaker}
        result: Json = await client.post(path, body)
    console.print(f"{arguments.item}: {result['status']} 下架", highlight=False)
    return 0, result


def vars_of(note: Any) -> Json:
    """A finding as the API writes it."""
    return {name: getattr(note, name) for name in ("code", "severity", "path", "zh", "en")}


def _tell(title: str, result: Json) -> None:
    words = {
        "submitted": "已报送，待审核 submitted",
        "spooled": "待登记：上级节点一经确认即登记 kept, signed when the parent confirms",
        "refused": "未受理，请按下列意见修改后重报 refused, see the findings",
    }
    console.print(f"《{title}》 {words[result['status']]} {result.get('item', '')}", markup=False)
    for found in result["findings"]:
        mark = MARKS.get(found["severity"], "·")
        where = f" {found['path']}" if found["path"] else ""
        console.print(f"  {mark} {found['code']}", end="")
        console.print(f"{where}：{found['zh']} · {found['en']}", markup=False, highlight=False)
