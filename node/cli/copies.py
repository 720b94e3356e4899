"""``receipt`` and ``fixity``: that copies stand, and how they are."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from ledger.recall import PROOF_FORMAT, RecallProof, check_recall
from ledger.receipt import Receipt, Received, check_receipt
from node.cli.client import Client
from node.cli.reaching import console, reach
from node.cli.roots import read_file
from node.faces.wording import dated
from protocol.errors import ConfigError, DecodeError, Missing, ProofError
from protocol.limits import PROOF_BYTES_MAX

Json = dict[str, Any]
SUFFIX = ".receipt.json"
REASONS = {
    "waiting": "待 {office} 取得 · waiting for {office} to have it",
    "unsealed": "待 {office} 加密 · waiting for {office} to seal it",
    "room": "没有其他机构有空间保存 · nobody else offers room",
}


async def receipt(arguments: argparse.Namespace) -> tuple[int, Json]:
    """The receipt of an item, or of a recall: with what it takes to check it offline."""
    given = Path(arguments.item)
    async with reach(arguments.node, arguments.token) as client:
        if given.is_file():
            receipt = read_file(given).decode(errors="replace")
            told = await client.operate("recall_proof", {"receipt": receipt}, lambda *_: None)
            name, data = "调取回执 recall receipt", told["proof"].encode()
        else:
            name = "入库回执 receipt"
            data = await _whole(client, f"/api/v1/items/{arguments.item}/receipt")
    path = Path(arguments.output or f"{given.stem if given.is_file() else arguments.item}{SUFFIX}")
    try:
        path.write_bytes(data)
    except OSError as error:
        raise ConfigError(str(path), "a file to write", error.strerror) from error
    console.print(f"{name} → {path}", markup=False, highlight=False)
    console.print(f"fangzhi verify {path} --genesis genesis.note", markup=False, highlight=False)
    return 0, {"item": arguments.item, "file": str(path)}


async def _whole(client: Client, path: str) -> bytes:
    return b"".join([piece async for piece in client.read_bytes(path)])


def check_receipt_file(path: Path, genesis: bytes) -> tuple[int, Json]:
    """``verify`` of a receipt, offline; exit status 1 when it is not witnessed.

    Raises:
        ProofError: it does not hold.
        ConfigError: the file is no receipt, so a source of logs is needed.
    """
    with path.open("rb") as file:
        data = file.read(PROOF_BYTES_MAX + 1)
    try:
        if f'"{PROOF_FORMAT}"'.encode() in data[:100]:
            return _check_recall(RecallProof.decode(data), genesis)
        found = Receipt.decode(data)
    except DecodeError as error:
        expected = "a receipt, or one of --node, --log and --proof"
        raise ConfigError(str(path), expected, error) from error
    except Missing as error:
        raise ProofError(error.where, error.expected, error.got) from error
    received = check_receipt(found, genesis)
    for line in _lines(received):
        console.print(line, markup=False, highlight=False)
    return (0 if received.witnessed else 1), {"ok": received.witnessed, **asdict(received)}


def _check_recall(proof: RecallProof, genesis: bytes) -> tuple[int, Json]:
    recalled = check_recall(proof, genesis)
    receipt = recalled.receipt

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False)

    say(f"✓ 调取回执 recall receipt  {receipt.by}，{dated(receipt.time)}")
    say(f"✓ 条目 item  {receipt.item}，清单 manifest {receipt.manifest[:16]}…")
    for said in recalled.accesses:
        say(f"✓ 提供 given by  {said.office} {said.name} #{said.index}，{dated(said.time)}")
    for file in receipt.files:
        say(f"· 文件 file  {file.sha256[:16]}… {file.path}")
    say(_witnessed(recalled.witnessed))
    accesses = [asdict(said) for said in recalled.accesses]
    told = {"ok": recalled.witnessed, "receipt": receipt.members(), "accesses": accesses}
    return (0 if recalled.witnessed else 1), told


def _witnessed(witnessed: bool) -> str:
    if witnessed:
        return "✓ 见证 witnessed  所涉日志均已见证 every log in it"
    return "✗ 尚未见证 not yet witnessed"


async def fixity(arguments: argparse.Namespace) -> tuple[int, Json]:
    async with reach(arguments.home, arguments.token) as client:
        answer: Json = await client.get("/api/v1/fixity")
        if arguments.csv:
            Path(arguments.csv).write_bytes(await _whole(client, "/fixity.csv"))
    if not arguments.json:
        _show(answer)
    return (1 if answer["lost"] or answer["damaged"] else 0), answer


def shortages(answer: Json) -> Iterator[str]:
    """A line for each item of a status or a report that lacks copies."""
    for line in answer["short"]:
        reasons = [
            REASONS[one["reason"]].format(office=one["office"])
            + ("" if one["reachable"] else "（联系不上 out of reach）")
            for one in line["reasons"]
        ]
        yield f"  {line['item']} 副本 copies {line['copies']}：{'；'.join(reasons)}"


def _show(answer: Json) -> None:
    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False)

    oldest = dated(answer["oldest"]) if answer["oldest"] else "从未 never"
    say(
        f"核验 checked: {answer['checked']} / {answer['files']} 文件 files，"
        f"{answer['scrub_days']} 天内 days；最久 oldest: {oldest}"
    )
    say(f"修复 repaired: {answer['repaired']}；损坏 damaged: {len(answer['damaged'])}")
    counts = "，".join(f"{copies}: {count}" for copies, count in answer["by_copies"].items())
    say(f"条目的副本数 items by copies: {counts}；无副本 lost: {len(answer['lost'])}")
    say(f"副本不足 lack copies: {answer['short_total']}")
    for line in shortages(answer):
        say(line)
    table = Table("机构 office", "件 items", "通过 passed", "不符 failed", "修复 repaired")
    for line in answer["holders"]:
        cells = (line["items"], f"{line['passed']} / {line['asked']}", line["failed"])
        name = f"{line['office']} {line['name']}"
        table.add_row(name, *map(str, cells), str(line["repaired"]))
    console.print(table)


def _lines(received: Received) -> Iterator[str]:
    said = received.receipt
    yield f"✓ 入库回执 receipt  {said.office} {said.name} #{said.index}，{dated(said.time)}"
    yield f"✓ 条目 item  {received.item}，清单 manifest {received.manifest[:16]}…"
    yield f"✓ 报送 report  {received.upload.office} {received.upload.name} #{received.upload.index}"
    for copy in received.copies:
        form = "加密 sealed" if copy.sealed else "原样 as it is"
        place = f"{copy.said.office} {copy.said.name} #{copy.said.index}"
        yield f"✓ 副本 copy  {place}，{form}，{dated(copy.said.time)}"
    yield _witnessed(received.witnessed)
