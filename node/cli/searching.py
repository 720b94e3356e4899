"""``search`` and ``catalogue``: questions to the whole network, their answers for a terminal or a
file."""

from __future__ import annotations

import argparse
import json
import os
import re
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from node.cli.client import Client
from node.cli.found import Printer
from node.cli.reaching import console, progress_bar, reach
from node.faces.asking import EVERY_RECORD, RULES_TO_SWITCH
from node.faces.wording import Wording
from node.hands.storage.durable import StagedFile
from protocol.errors import ConfigError, Rejected

Json = dict[str, Any]

EXPORTS: Final = (".csv", ".jsonl")
_RECEIPT: Final = re.compile(rb'(?:^|\n)(?:\{"receipt": |receipt,)')
_TAIL_BYTES: Final = 1 << 20  # the receipt, with a line for each of 5,000 logs, fits


async def search(arguments: argparse.Namespace) -> tuple[int, Json]:
    """
    Raises:
        ConfigError: no query and nothing to go on from; a file of another kind.
    """
    body, node = _question(arguments), arguments.node
    async with reach(node, arguments.token) as client:
        if arguments.export:
            return 0, await _export(client, "search", body, Path(arguments.export))
        try:
            answer: Json = await client.post("/api/v1/search", body)
        except Rejected as error:
            console.print(Wording("zh").refused(error.expected), markup=False)
            raise
    _remember(node, body, answer["next"])
    if not arguments.json:
        Printer().show(answer, body["view"])
    return 0, answer


async def catalogue(arguments: argparse.Namespace) -> tuple[int, Json]:
    """Items by their records (书目检索)."""
    body = {
        "q": arguments.query or EVERY_RECORD,
        "limit": arguments.limit,
        "page": arguments.page,
        "facets": arguments.facets,
    }
    async with reach(arguments.node, arguments.token) as client:
        if arguments.export:
            return 0, await _export(client, "catalogue", body, Path(arguments.export))
        answer: Json = await client.post("/api/v1/catalogue", body)
    if not arguments.json:
        Printer().show_records(answer)
    return 0, answer


def _question(arguments: argparse.Namespace) -> Json:
    """The members of the request; with ``--next`` those of the last search, at its next page."""
    if arguments.next:
        kept = _recall()
        arguments.node = kept["node"]
        question: Json = kept["question"]
        return question
    if not arguments.query:
        raise ConfigError("search", "QUERY, or --next after a search", "neither")
    return {
        "q": arguments.query,
        "without": list(RULES_TO_SWITCH) if arguments.literal else arguments.without or [],
        "limit": arguments.limit,
        "page": arguments.page,
        "facets": arguments.facets,
        "view": arguments.view,
        "explain": arguments.explain,
        "alternatives": True,
    }


async def _export(client: Client, of: str, body: Json, path: Path) -> Json:
    """Every hit into a file, which stands there whole or not at all."""
    if path.suffix not in EXPORTS:
        raise ConfigError("--export", f"a file ending in {' or '.join(EXPORTS)}", path.name)
    fields = {"q": body["q"], "without": body.get("without", []), "format": path.suffix[1:]}
    staged = StagedFile(path.with_name(path.name + ".part"), mode=0o644)
    tail, count = b"", 0
    try:
        with progress_bar() as bar:
            task = bar.add_task(path.name, total=None)
            address = f"/api/v1/{of}/export?{urlencode(fields, doseq=True)}"
            async for chunk in client.read_bytes(address):
                staged.write(chunk)
                tail, count = (tail + chunk)[-_TAIL_BYTES:], count + len(chunk)
                bar.update(task, advance=len(chunk))
        if not _RECEIPT.search(tail):
            raise ConfigError("--export", "a receipt at the end", "a file cut off")
        staged.commit(path)
    finally:
        staged.discard()
    console.print(f"已导出 exported → {path}，附回执 with its receipt", markup=False)
    return {"file": str(path), "bytes": count}


def _memory() -> Path:
    folder = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(folder) / "fangzhi" / "search.json"


def _remember(node: str, question: Json, token: str) -> None:
    path = _memory()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        kept = {"node": node, "question": question | {"page": token}}
        path.write_text(json.dumps(kept), "ascii")
    except OSError:
        return  # only --next needs it, and says so


def _recall() -> Json:
    try:
        kept: Json = json.loads(_memory().read_text("ascii"))
    except (OSError, ValueError) as error:
        raise ConfigError("--next", "a search before it", "none is remembered") from error
    if not kept["question"]["page"]:
        raise ConfigError("--next", "a search with more pages", "its last page was shown")
    return kept
