"""``user``: the named users of an office and their keys."""

from __future__ import annotations

import argparse
from typing import Any

from rich.table import Table

from node.cli.reaching import SPOOLED, console, reach

Json = dict[str, Any]
WORDS = {
    "enrolled": "已登记 enrolled",
    "retired": "已停用 retired",
    "spooled": SPOOLED,
}

ROLES = {"clerk": "报送", "reviewer": "审核", "administrator": "管理"}


async def enroll(arguments: argparse.Namespace) -> tuple[int, Json]:
    """Make a key for a person; what they say may then be signed with ``--as``."""
    wanted = {"office": arguments.office, "name": arguments.name, "roles": [arguments.role]}
    async with reach(arguments.home, arguments.token) as client:
        result = await client.operate("enroll", wanted, lambda *_: None)
    console.print(f"{result['office']} {result['key']}: {WORDS[result['status']]}", highlight=False)
    return 0, result


async def retire(arguments: argparse.Namespace) -> tuple[int, Json]:
    """From now on the key signs nothing more; what it signed stands."""
    async with reach(arguments.home, arguments.token) as client:
        result = await client.operate("retire", {"key": arguments.key}, lambda *_: None)
    console.print(f"{result['office']} {result['key']}: {WORDS[result['status']]}", highlight=False)
    return 0, result


async def show(arguments: argparse.Namespace) -> tuple[int, Json]:
    """Who may speak for the offices of a node."""
    async with reach(arguments.home, arguments.token) as client:
        answer = await client.operate("users", {}, lambda *_: None)
    if not arguments.json:
        table = Table("机构 office", "密钥 key", "姓名 name", "角色 roles", "有效 counts")
        for user in answer["users"]:
            counts = "是 yes" if user["counts"] else "否 no"
            roles = "、".join(f"{ROLES[role]} {role}" for role in user["roles"])
            table.add_row(user["office"], user["key"], user["name"], roles, counts)
        console.print(table)
    return 0, answer
