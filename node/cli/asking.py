"""``status``, ``suggest``, ``fetch``: questions to a node."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from node.cli.client import Client
from node.cli.copies import shortages
from node.cli.reaching import console, progress_bar, reach
from node.hands.storage.durable import StagedFile
from protocol.errors import Corrupt, DecodeError, Missing
from protocol.records import clean_path

Json = dict[str, Any]


async def status(arguments: argparse.Namespace) -> tuple[int, Json]:
    async with reach(arguments.home, arguments.token) as client:
        answer: Json = await client.get("/api/v1/status")
    if not arguments.json:
        table = Table(
            "机构 office", "条目 entries", "已见证 witnessed", "签名 signs", title=answer["network"]
        )
        for code, (size, witnessed) in sorted(answer["logs"].items()):
            table.add_row(code, str(size), str(witnessed), _gate(answer["gate"].get(code, "")))
        console.print(table)
        for name, value in figures(answer):
            console.print(f"{name}: {value}", markup=False, highlight=False)
        for line in shortages(answer):
            console.print(line, markup=False, highlight=False)
        for code in answer["quarantined"]:
            console.print(f"[red]{code} 日志分叉，已隔离 · forked, in quarantine: see /evidence[/]")
        if locked := answer["counters"].get("sealed.locked"):
            console.print(
                f"[red]{locked} 项加密资源打不开 · sealed items that no key here opens: fangzhi"
                " recovery request HOME -o FILE[/]"
            )
        for code, (size, lost) in sorted(answer["lost_tails"].items()):
            console.print(f"{code} 断尾 · lost tail: closed at {size}, had signed {lost}")
    return 0, answer


def _gate(said: str) -> str:
    """Whether an office signs; nothing of offices that are not here."""
    return {"": "", "open": "是 yes"}.get(said, f"待确认 {said}")


def figures(answer: Json) -> Iterator[tuple[str, str]]:
    """Names and values of a status answer, for people."""
    items = answer["items"]
    yield "待登记 waiting events", str(answer["spooled"])
    words = {
        "submitted": "待审",
        "accepted": "已审",
        "returned": "退回",
        "withdrawn": "下架",
        "public": "公开",
    }
    shown = (f"{zh} {name} {items[name]}" for name, zh in words.items())
    yield "条目 items of this node's offices", "，".join(shown)
    if disks := answer["counters"].get("waiting.disks"):
        yield "待其日志到达的报送盘 disks that wait for their log", str(disks)
    yield "文件 files", f"{answer['blobs']}，{answer['blob_bytes'] / 2**20:.1f} MiB"
    yield "副本不足的条目 items that lack copies", str(answer["short_total"])
    yield "损坏副本 damaged copies", str(answer["damaged"])
    yield "链接 links", "、".join(answer["links"]) or "无 none"
    version = answer["synonyms"]
    yield "同义词表 synonyms", f"第 {version} 版 version {version}" if version else "无 none"
    yield "内存 memory", f"{answer['resident_bytes'] / 2**20:.0f} MiB"


async def suggest(arguments: argparse.Namespace) -> tuple[int, Json]:
    """Titles, places and headings, and the words that pinyin may stand for."""
    async with reach(arguments.node, arguments.token) as client:
        answer: Json = await client.get("/api/v1/suggest", q=arguments.typed, limit=arguments.limit)
    if not arguments.json:
        kinds = {"place": "地名 place", "title": "题名 title", "heading": "篇目 heading"}
        for word in answer["words"]:
            print(f"词语 word\t{word['text']}\t{word['pages']}")
        if not (answer["words"] or answer["suggestions"]):
            console.print("没有相近的题名、地名、篇目 · no title, place or heading like it")
        for one in answer["suggestions"]:
            where = " ".join(one["sources"])
            print(
                "\t".join((kinds[one["kind"]], one["text"], str(one["count"]), where, one["note"]))
            )
    return 0, answer


async def fetch(arguments: argparse.Namespace) -> tuple[int, Json]:
    """A file by its hash, every file of an item, or how a page of it is shown; every byte of a file
    is checked before it is kept."""
    async with reach(arguments.node, arguments.token) as client:
        if arguments.page:
            return await _fetch_page(client, arguments)
        if arguments.thumbnail:
            raise DecodeError("--thumbnail", "--page N with it", "none")
        if re.fullmatch(r"[0-9a-f]{64}", arguments.what):
            path = Path(arguments.output or arguments.what)
            files = [(arguments.what, path)]
        else:
            item = await client.get(f"/api/v1/items/{arguments.what}")
            if not item["files"]:
                raise Missing(f"item {arguments.what}", "files this asker may have", "none")
            folder = Path(arguments.output or arguments.what)
            names = [(file["sha256"], file["path"]) for file in item["files"]]
            files = [(sha, folder / name) for sha, name in names if clean_path(name)]
        for sha, path in files:
            await _fetch_one(client, sha, path)
            print(path, file=sys.stderr)
    return 0, {"files": [{"sha256": sha, "path": str(path)} for sha, path in files]}


async def _fetch_page(client: Client, arguments: argparse.Namespace) -> tuple[int, Json]:
    derivative = "thumbnail" if arguments.thumbnail else "image"
    name = f"{arguments.what}-{arguments.page}{'-thumbnail' if arguments.thumbnail else ''}.webp"
    path = Path(arguments.output or name)
    address = f"/api/v1/items/{arguments.what}/pages/{arguments.page}/{derivative}"
    data = b"".join([chunk async for chunk in client.read_bytes(address)])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    print(path, file=sys.stderr)
    return 0, {"path": str(path), "sha256": sha256(data).hexdigest(), "bytes": len(data)}


async def _fetch_one(client: Client, sha: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = StagedFile(path.with_name(path.name + ".part"), mode=0o644)
    hasher = sha256()
    try:
        with progress_bar() as bar:
            task = bar.add_task(escape(path.name), total=None)
            async for chunk in client.read_bytes(f"/api/v1/files/{sha}"):
                hasher.update(chunk)
                staged.write(chunk)
                bar.update(task, advance=len(chunk))
        if hasher.hexdigest() != sha:
            raise Corrupt(f"file {sha[:8]}", "its own content", "another (ask another node)")
        staged.commit(path)
    finally:
        staged.discard()
