"""``synonyms``: the province's table of synonyms (同义词表)."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from node.cli.reaching import console, reach
from node.cli.roots import read_file
from protocol.errors import ConfigError

Json = dict[str, Any]


async def put(arguments: argparse.Namespace) -> tuple[int, Json]:
    """Sign a file as the next version of the table; every node uses it as soon as it hears."""
    path = Path(arguments.file)
    try:
        text = read_file(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(str(path), "a text in UTF-8", error.reason) from error
    async with reach(arguments.home, arguments.token) as client:
        result = await client.operate("put_synonyms", {"text": text}, lambda *_: None)
    console.print(
        f"同义词表第 {result['version']} 版：{result['groups']} 组，日志第 {result['log_index']} 条"
        f" · version {result['version']}, {result['groups']} groups, event {result['log_index']}",
        highlight=False,
    )
    return 0, result


async def show(arguments: argparse.Namespace) -> tuple[int, Json]:
    """The table in force, as a file that ``put`` takes again."""
    async with reach(arguments.home, arguments.token) as client:
        result = await client.operate("synonyms", {}, lambda *_: None)
    if not arguments.json:
        print(result["text"], end="")
        console.print(
            f"同义词表第 {result['version']} 版，本节点用第 {result['in_use']} 版"
            f" · version {result['version']}, in use here {result['in_use']}",
            highlight=False,
        )
    return 0, result
