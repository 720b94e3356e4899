"""``grant``, ``revoke-grant``, ``grants``, ``rewrap``, ``recovery``: who may use what is sealed."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rich.table import Column, Table

from node.cli.joining import print_next
from node.cli.reaching import SPOOLED, console, reach
from node.cli.roots import read_file
from node.faces.wording import dated
from node.hands.keys import load_sealing_key, save_sealing_key
from node.hands.open_world import SystemRng
from node.hands.storage.durable import write_file
from node.office.recovery import answer, parse_recovery_file
from protocol.sealing import public_half

Json = dict[str, Any]
GRANTED = {
    "granted": "已授权 granted",
    "spooled": SPOOLED,
}
WHAT = {"file": "原文件 files", "service": "服务级 service level"}


async def grant(arguments: argparse.Namespace) -> tuple[int, Json]:
    """Let another office use an item, for a purpose, until a day."""
    wanted = {
        "item": arguments.item,
        "to": arguments.to,
        "what": arguments.what,
        "purpose": arguments.purpose,
        "days": arguments.days,
        "as": arguments.speaker,
    }
    async with reach(arguments.home, arguments.token) as client:
        result = await client.operate("grant", wanted, lambda *_: None)
    console.print(
        f"{result['item']} → {result['to']}：{WHAT[result['what']]}，至 until"
        f" {dated(result['until'])}，{GRANTED[result['status']]}，编号 grant {result['grant']}",
        markup=False,
        highlight=False,
    )
    return 0, result


async def revoke(arguments: argparse.Namespace) -> tuple[int, Json]:
    """Take a grant back."""
    wanted = {"item": arguments.item, "grant": arguments.grant, "as": arguments.speaker}
    async with reach(arguments.home, arguments.token) as client:
        result = await client.operate("revoke_grant", wanted, lambda *_: None)
    console.print(f"{result['item']}：授权 {result['grant']} 已撤销 {result['status']}")
    return 0, result


async def show(arguments: argparse.Namespace) -> tuple[int, Json]:
    """The grants that stand, given by the offices of a node or to them."""
    async with reach(arguments.home, arguments.token) as client:
        result = await client.operate("grants", {"item": arguments.item}, lambda *_: None)
    if not arguments.json:
        ids = (Column("资源 item", no_wrap=True), Column("编号 grant", no_wrap=True))
        table = Table(*ids, "给 to", "可用 what", "至 until", "用途 purpose")
        for row in result["grants"]:
            until = dated(row["until"]) + ("" if row["counts"] else " 已失效 ended")
            names = (row["item"], str(row["grant"]), row["to"], WHAT[row["what"]], until)
            table.add_row(*names, row["purpose"])
        console.print(table)
    return 0, result


async def rewrap(arguments: argparse.Namespace) -> tuple[int, Json]:
    """The next sealing key of an office: everything sealed is wrapped anew, nothing sealed anew."""
    wanted = {"office": arguments.office}
    async with reach(arguments.home, arguments.token) as client:
        result = await client.operate("rewrap", wanted, lambda *_: None)
    console.print(
        f"{result['office']}：新加密公钥 {result['key'][:16]}，{result['items']} 项重新包装密钥 ·"
        f" new sealing key, {result['items']} items wrapped anew",
        highlight=False,
    )
    return 0, result


async def new(arguments: argparse.Namespace) -> tuple[int, Json]:
    """Make the province's recovery key; its private half stays offline."""
    private = SystemRng().random_bytes(32)
    path = Path(arguments.key)
    save_sealing_key(path, private)
    public = path.with_suffix(".pub")
    write_file(public, public_half(private).hex().encode() + b"\n", mode=0o644)
    print_next(
        f"离线保管 {path}，留两份；省级起草：fangzhi roster draft HOME -o FILE --recovery {public}",
        "keep it offline, in two places; the province drafts the change",
    )
    return 0, {"key": str(path), "public": public_half(private).hex()}


async def request(arguments: argparse.Namespace) -> tuple[int, Json]:
    """At an office that lost its keys: what the recovery key is to open."""
    async with reach(arguments.home, arguments.token) as client:
        result = await client.operate("recovery_request", {}, lambda *_: None)
    write_file(Path(arguments.output), result.pop("file").encode() + b"\n", mode=0o644)
    print_next(
        f"把 {arguments.output} 交给恢复密钥持有人：fangzhi recovery open {arguments.output}"
        f" --key KEY.pem --reader {result['reader'][:16]} -o FILE",
        "give it to the holder of the recovery key",
    )
    return 0, {**result, "file": arguments.output}


async def open_request(arguments: argparse.Namespace) -> tuple[int, Json]:
    """Offline: wrap what a request names for the office that asks."""
    asked = parse_recovery_file(read_file(Path(arguments.file)))
    private = load_sealing_key(Path(arguments.key))
    answered = answer(asked, private, arguments.reader, SystemRng().random_bytes)
    write_file(Path(arguments.output), answered.encoded() + b"\n", mode=0o644)
    console.print(
        f"{asked.office}：{len(asked.items)} 项已为其公钥 {asked.reader.hex()[:16]} 重新包装 ·"
        f" {len(asked.items)} items wrapped for its key",
        highlight=False,
    )
    return 0, {"office": asked.office, "items": len(asked.items), "file": arguments.output}


async def apply(arguments: argparse.Namespace) -> tuple[int, Json]:
    """At the office: take the answer; its files come back from their holders."""
    text = read_file(Path(arguments.file)).decode()
    async with reach(arguments.home, arguments.token) as client:
        result = await client.operate("recovery_apply", {"file": text}, lambda *_: None)
    console.print(
        f"{result['office']}：{result['items']} 项可以恢复，正从保存副本取回 ·"
        f" {result['items']} items open again, their files are coming back",
        highlight=False,
    )
    return 0, result
