"""``export`` and ``audit``: a whole network, for whoever trusts no office."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader
from rich.table import Table

from ledger.audit import AUDIT_TABLES, AuditReport
from ledger.audit import audit as audit_logs
from node.cli.reaching import bytes_of, console, progress_bar, reach
from node.cli.upkeep import shown
from node.hands.sources import open_source
from node.hands.storage.memory_kv import MemoryStore

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
    genesis = bytes_of(arguments.genesis)
    store = MemoryStore(AUDIT_TABLES)
    with progress_bar() as bar:
        report = store.run(lambda writer: audit_logs(source, genesis, writer, shown(bar)))
    if arguments.report:
        Path(arguments.report).write_text(_html(report), "utf-8")
    _tell(report)
    return (0 if report.ok else 1), {"ok": report.ok, **asdict(report)}


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
