"""``export``, ``audit``, ``verify``: for whoever trusts no office and holds the genesis note."""

from __future__ import annotations

import argparse
import base64
import hashlib
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader
from rich.table import Table

from ledger.audit import AUDIT_TABLES, AuditReport
from ledger.audit import audit as audit_logs
from ledger.verify import Chain, verify_file
from node.cli.reaching import console, progress_bar, reach
from node.cli.upkeep import shown
from node.hands.sources import open_source
from node.hands.storage.memory_kv import MemoryStore
from protocol.errors import ConfigError
from protocol.ids import BlobId

Json = dict[str, Any]


async def export(arguments: argparse.Namespace) -> tuple[int, Json]:
    """Have the node write its logs and public manifests into a folder (on the node's machine)."""
    folder = str(Path(arguments.folder).absolute())
    with progress_bar() as bar:
        async with reach(arguments.home, arguments.token) as client:
            result = await client.operate("export", {"folder": folder}, shown(bar))
    console.print(f"{result['offices']} logs, {result['entries']} events in {folder}")
    return 0, result


async def audit(arguments: argparse.Namespace) -> tuple[int, Json]:
    """Exit status 1 when something does not hold."""
    source = open_source(arguments.home)
    genesis = _read(Path(arguments.genesis))
    store = MemoryStore(AUDIT_TABLES)
    with progress_bar() as bar:
        report = store.run(lambda writer: audit_logs(source, genesis, writer, shown(bar)))
    if arguments.report:
        Path(arguments.report).write_text(_html(report), "utf-8")
    _tell(report)
    return (0 if report.ok else 1), {"ok": report.ok, **asdict(report)}


async def verify(arguments: argparse.Namespace) -> tuple[int, Json]:
    """Exit status 1 when a step of the chain does not hold, 3 when nobody recorded the file."""
    path = Path(arguments.file)
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ConfigError(str(path), "a readable file", error.strerror) from error
    source = open_source(arguments.node or arguments.log)
    chain = verify_file(
        BlobId.parse(digest),
        path.stat().st_size,
        source,
        source.manifest,
        source.places_of(digest),
        _read(Path(arguments.genesis)),
    )
    _tell_chain(path, chain)
    told = asdict(chain)
    told["entry"] = base64.b64encode(chain.entry).decode()
    told["tlog_proof"] = chain.tlog_proof.decode()
    return (0 if chain.witnessed else 1), {"ok": chain.witnessed, **told}


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(str(path), "a readable file", error.strerror) from error


def _html(report: AuditReport) -> str:
    templates = Environment(loader=PackageLoader("node.cli"), autoescape=True)
    entries = sum(log.size for log in report.logs)
    return templates.get_template("audit.html").render(report=report, entries=entries)


def _tell(report: AuditReport) -> None:
    table = Table("office", "events", "witnessed", "by", title=report.network)
    for log in report.logs:
        by = " ".join(code for code, _ in log.witnesses)
        table.add_row(log.office, str(log.size), str(log.witnessed_size), by)
    console.print(table)
    for found in report.findings[:50]:
        where = found.office if found.index < 0 else f"{found.office} #{found.index}"
        console.print(f"[red]{found.code}[/] ", end="")
        console.print(f"{where}：{found.zh} · {found.en} {found.detail}", markup=False)
    if report.ok:
        entries = sum(log.size for log in report.logs)
        console.print(f"[green]全部核验通过 everything holds: {entries} events[/]")


def _tell_chain(path: Path, chain: Chain) -> None:
    by = "、".join(f"{code}（{_when(seconds * 1000)}）" for code, seconds in chain.witnesses)
    state = "已见证 witnessed" if chain.witnessed else "尚未见证 not yet witnessed"
    rows = (
        ("文件 file", f"{path} = {chain.path} of 《{chain.title}》 {chain.item}"),
        ("报送 reported", f"{chain.office} {chain.office_name}, {_when(chain.time)} (claimed)"),
        ("日志 log", f"index {chain.index} of {chain.log_size}, root {chain.log_root[:16]}…"),
        (state, f"{len(chain.witnesses)} of {chain.witnesses_needed} needed: {by}"),
        ("锚定 anchored", "、".join(f"{s.office} #{s.index}" for s in chain.anchors) or "—"),
        ("状态 status", chain.status + ("，公开 public" if chain.public else "")),
        ("副本 held by", "、".join(chain.holders)),
    )
    for name, text in rows:
        console.print(f"[bold]{name}[/]", end="  ")
        console.print(text, markup=False, highlight=False)
    if not chain.complete:
        console.print("[yellow]not every log was searched: a later event may be missing[/]")


def _when(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
