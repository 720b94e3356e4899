"""``export`` and ``audit``: a whole network, for whoever trusts no office."""

from __future__ import annotations

import argparse
import asyncio
import base64
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, cast

from rich.progress import Progress
from rich.table import Table

from ledger.audit import audit as audit_logs
from ledger.audit_report import AuditFinding, AuditReport
from ledger.cross_check import SightedSource
from ledger.evidence import Evidence
from ledger.spool import Tools
from node.cli.audit_page import cure, page
from node.cli.reaching import bytes_of, console, progress_bar, reach
from node.cli.upkeep import shown
from node.hands.crew import Crew
from node.hands.mirrored import mirror
from node.hands.sources import HttpSource, open_source
from node.hands.storage.durable import write_file
from node.hands.workbench import Workbench

Json = dict[str, Any]

_LINE_EVERY_S: Final = 10.0


async def export(arguments: argparse.Namespace) -> tuple[int, Json]:
    """Have the node write its logs and public manifests into a folder (on the node's machine)."""
    folder = str(Path(arguments.folder).absolute())
    with progress_bar() as bar:
        async with reach(arguments.home, arguments.token) as client:
            result = await client.operate("export", {"folder": folder}, shown(bar))
    console.print(f"{result['offices']} 部日志 logs，{result['entries']} 条事件 events → {folder}")
    return 0, result


async def audit(arguments: argparse.Namespace) -> tuple[int, Json]:
    """Exit status 1 when something does not hold."""
    genesis = bytes_of(arguments.genesis)
    with TemporaryDirectory(prefix="fangzhi-audit-") as temporary, progress_bar() as bar:
        work = Path(arguments.work or temporary)
        bench = Workbench(work)
        try:
            report = await asyncio.to_thread(
                _audit, arguments.sources, genesis, work, bench, _progress(bar)
            )
        finally:
            await bench.close()
    if arguments.report:
        Path(arguments.report).write_text(page(report), "utf-8")
    if arguments.work:
        for name, data in report.evidence.items():
            folder = work / "evidence" / name
            folder.mkdir(parents=True, exist_ok=True)
            for part, content in Evidence.decode(data).files().items():
                write_file(folder / part, content)
    _tell(report)
    told = asdict(report)
    told["evidence"] = {
        name: base64.b64encode(data).decode() for name, data in report.evidence.items()
    }
    return (0 if report.ok else 1), {"ok": report.ok, **told}


def _audit(
    targets: list[str],
    genesis: bytes,
    work: Path,
    bench: Workbench,
    progress: Callable[[str, int, int], None],
) -> AuditReport:
    sources: dict[str, SightedSource] = {target: open_source(target) for target in targets}
    first = sources[targets[0]]
    if isinstance(first, HttpSource):  # every worker reads it: one download for all
        sources[targets[0]] = mirror(first, work / "mirror", progress)
    with Crew() as crew:
        return audit_logs(sources, genesis, Tools(bench, bench.spool, crew.map, progress))


def _progress(bar: Progress) -> Callable[[str, int, int], None]:
    """A bar on a terminal; elsewhere a line now and then."""
    if not bar.disable:
        return cast("Callable[[str, int, int], None]", shown(bar))
    last = [0.0]

    def line(what: str, done: int, total: int) -> None:
        if time.monotonic() - last[0] >= _LINE_EVERY_S:
            last[0] = time.monotonic()
            console.print(f"{what} {done}/{total}", highlight=False)

    return line


def _tell(report: AuditReport) -> None:
    table = Table(
        "机构 office", "事件 events", "已见证 witnessed", "见证方 by", title=report.network
    )
    for log in report.logs:
        by = " ".join(code for code, _ in log.witnesses)
        table.add_row(f"{log.office} {log.name}", str(log.size), str(log.witnessed_size), by)
    console.print(table)
    for found in report.findings[:50]:
        _tell_one("red", found)
    for code in sorted({found.code for found in report.findings}):
        console.print(f"{code} → {' · '.join(cure(code))}", markup=False)
    for found in report.notes[:20]:
        _tell_one("yellow", found)
    if report.ok:
        entries = sum(log.size for log in report.logs)
        console.print(f"[green]全部核验通过 everything holds: {entries} events[/]")


def _tell_one(colour: str, found: AuditFinding) -> None:
    where = found.office if found.index < 0 else f"{found.office} #{found.index}"
    console.print(f"[{colour}]{found.code}[/] ", end="")
    console.print(f"{where}：{found.zh} · {found.en} {found.detail}", markup=False)
