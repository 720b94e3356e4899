"""``recall``: get files of an own or granted item back, from whoever has a copy (调取)."""

from __future__ import annotations

import argparse
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from rich.markup import escape

from node.cli.client import Client
from node.cli.reaching import console, progress_bar, reach
from node.cli.roots import read_file
from node.hands.storage.durable import write_file
from protocol.errors import ConfigError, Corrupt, DecodeError
from protocol.limits import CHUNK_BYTES
from protocol.records import clean_path

Json = dict[str, Any]
RECEIPT = "调取回执.json"


async def recall(arguments: argparse.Namespace) -> tuple[int, Json]:
    """Files into a folder, with the receipt beside them; what is there already is not fetched
    again, and a file that was cut goes on.  With --check: hold a receipt against the logs."""
    async with reach(arguments.node, arguments.token) as client:
        if arguments.check:
            return await _check(client, Path(arguments.check))
        if not arguments.what:
            raise ConfigError("recall", "an item, a file's hash, or --check RECEIPT", "none")
        told = await client.operate("recall", {"what": arguments.what}, lambda *_: None)
        folder = Path(arguments.to or arguments.what)
        paths = []
        for file in told["files"]:
            if clean_path(file["path"]):
                path = folder / file["path"]
                await _fetch(client, told["item"], file, path)
                paths.append(str(path))
                console.print(path, markup=False, highlight=False)
    write_file(folder / RECEIPT, told["receipt"].encode() + b"\n", mode=0o644)
    givers = ", ".join(f"{each['office']} {each['index']}" for each in told["accesses"])
    console.print(f"{RECEIPT}：{givers} · the receipt: access.fetch in these logs", markup=False)
    return 0, {**told, "paths": paths}


async def _fetch(client: Client, item: str, file: Json, path: Path) -> None:
    """One file; bytes that came before a cut are kept, and the whole is checked at the end."""
    if path.is_file() and _digest(path) == file["sha256"]:
        return
    part = path.with_name(path.name + ".part")
    part.parent.mkdir(parents=True, exist_ok=True)
    offset = part.stat().st_size if part.exists() else 0
    with progress_bar() as bar, part.open("ab") as out:
        task = bar.add_task(escape(path.name), total=file["size"], completed=offset)
        if offset < file["size"]:
            where = f"/api/v1/items/{item}/recall/{file['sha256']}"
            async for chunk in client.read_bytes(where, offset):
                out.write(chunk)
                bar.update(task, advance=len(chunk))
    if _digest(part) != file["sha256"]:
        part.unlink()
        raise Corrupt(str(path), f"content {file['sha256'][:8]}", "another; fetch it again")
    part.replace(path)


def _digest(path: Path) -> str:
    hasher = sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            hasher.update(chunk)
    return hasher.hexdigest()


async def _check(client: Client, path: Path) -> tuple[int, Json]:
    """Every access is in the logs, and every file beside the receipt is the one it names."""
    data = read_file(path)
    try:
        receipt = json.loads(data)
        files = [(str(file["path"]), str(file["sha256"])) for file in receipt["files"]]
    except (ValueError, KeyError, TypeError) as error:
        raise DecodeError(str(path), "a receipt of fangzhi recall", repr(error)[:80]) from error
    told = await client.operate("recall_check", {"receipt": data.decode()}, lambda *_: None)
    states = {}
    for name, digest in files:
        file = path.parent / name
        here = clean_path(name) and file.is_file()
        states[name] = ("same" if _digest(file) == digest else "another") if here else "absent"
    words = {"same": "相符", "another": "[red]不符[/]", "absent": "不在此处"}
    for name, state in states.items():
        console.print(f"{escape(name)}：{words[state]} {state}", highlight=False)
    console.print(f"{told['item']}：{told['by']} 调取，账本相符 · the logs say so", highlight=False)
    return (1 if "another" in states.values() else 0), {**told, "states": states}
