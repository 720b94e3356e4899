"""``verify``: one file's chain of evidence, for whoever holds it and the genesis note."""

from __future__ import annotations

import argparse
import base64
import hashlib
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ledger.verify import Chain, verify_file
from node.cli.reaching import bytes_of, console
from node.hands.sources import open_source
from protocol.errors import ConfigError
from protocol.ids import BlobId

Json = dict[str, Any]


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
        bytes_of(arguments.genesis),
    )
    _tell_chain(path, chain)
    told = asdict(chain)
    told["entry"] = base64.b64encode(chain.entry).decode()
    told["tlog_proof"] = chain.tlog_proof.decode()
    return (0 if chain.witnessed else 1), {"ok": chain.witnessed, **told}


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
