"""``roster``, ``rotate``: the province's changes of members, and an office's next keys."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rich.table import Table

from node.cli.joining import apply_file, node_request, print_next
from node.cli.reaching import console, reach
from node.cli.roots import read_file, tell
from node.cli.running import read_config
from node.hands.keys import load_office_keys, make_office_keys, save_office_keys
from node.hands.open_world import SystemRng
from node.hands.storage.durable import write_file
from node.hands.storage.home import Home
from node.office.changefile import read_change_file
from protocol.errors import ConfigError
from protocol.ids import OfficeCode, parse_office

Json = dict[str, Any]
WORDS = {
    "province": "省 province",
    "city": "市 city",
    "county": "县 county",
    "active": "有效 active",
    "revoked": "已撤销 revoked",
}


async def show(arguments: argparse.Namespace) -> tuple[int, Json]:
    """Who belongs, with which keys, as this node knows it."""
    async with reach(arguments.home, arguments.token) as client:
        answer = await client.operate("roster", {}, lambda *_: None)
    if not arguments.json:
        policy = answer["policy_version"]
        title = f"名册 roster {answer['size']}，见证规则第 {policy} 版 policy {policy}"
        heads = ("代码 code", "名称 name", "层级 tier", "上级 parent", "状态 state")
        table = Table(*heads, "签名公钥 event key", "加密公钥 sealing key", "变更 no.", title=title)
        for each in answer["members"]:
            fields = ("code", "name", "tier", "parent", "state")
            keys = (each["event_key"][:16], each["sealing_key"][:16])
            named = [WORDS.get(each[name], each[name]) for name in fields]
            table.add_row(*named, *keys, str(each["changes"]))
        console.print(table)
        for cut in answer["closures"]:
            console.print(
                f"{cut['code']}: 密钥在 {cut['size']} 条处截止 · closed at {cut['size']} entries",
                highlight=False,
            )
    return 0, answer


async def draft(arguments: argparse.Namespace) -> tuple[int, Json]:
    """Write a change file for the root keys to sign."""
    async with reach(arguments.home, arguments.token) as client:
        result = await client.operate("draft", _wanted(arguments), lambda *_: None)
    path = Path(arguments.output)
    write_file(path, result["file"].encode() + b"\n", mode=0o644)
    told = tell(read_change_file(result["file"].encode()))
    print_next(f"根密钥持有人签名：fangzhi root sign {path} --key KEY.pem", "root holders sign it")
    return 0, {"file": str(path), **told}


def _wanted(arguments: argparse.Namespace) -> Json:
    """What is to be drafted, as the node takes it.

    Raises:
        ConfigError: an option without the one that goes with it.
    """
    if arguments.admit:
        return {"admit": [read_file(Path(path)).decode() for path in arguments.admit]}
    if arguments.rotate:
        return {"rotate": [read_file(Path(arguments.rotate)).decode()]}
    if arguments.policy:
        return {"policy": read_file(Path(arguments.policy)).decode()}
    if arguments.recovery:
        return {"recovery": read_file(Path(arguments.recovery)).decode().strip()}
    for verb, second in (
        ("revoke", ""),
        ("move", "parent"),
        ("rename", "name"),
        ("abolish", "successor"),
    ):
        code = getattr(arguments, verb)
        if not code:
            continue
        wanted: Json = {verb: parse_office(code)}
        if second:
            value = getattr(arguments, second)
            if not value:
                raise ConfigError(f"roster draft --{verb}", f"--{second}", "nothing")
            wanted[second] = value
        if arguments.at is not None:
            wanted["at"] = arguments.at
        return wanted
    raise ConfigError("roster draft", "one change", "none")


async def apply(arguments: argparse.Namespace) -> tuple[int, Json]:
    """Carry a signed file out; write the invites of whom it admits."""
    file = read_change_file(read_file(Path(arguments.file)))
    result = await apply_file(arguments.home, file)
    paths = []
    for each in result["invites"] if arguments.invite else ():
        path = Path(arguments.invite)
        if len(result["invites"]) > 1 or path.is_dir():
            path.mkdir(parents=True, exist_ok=True)
            path = path / f"{min(each['offices'])}.invite.json"
        write_file(path, each["invite"].encode() + b"\n", mode=0o644)
        paths.append(str(path))
    console.print(f"已执行，名册第 {result['size']} 条 · done, roster at {result['size']}")
    for written in paths:
        print_next(
            f"把 {written} 交给该机构：fangzhi join HOME --invite FILE", "give it to the office"
        )
    return 0, {"size": result["size"], "invites": paths}


async def rotate(arguments: argparse.Namespace) -> tuple[int, Json]:
    """Make the next generation of keys, and the request that the province names them."""
    home = Home.open(Path(arguments.home))
    config = read_config(home)
    wanted = [parse_office(arguments.office)] if arguments.office else []
    before = {} if arguments.lost else load_office_keys(home.keys)
    codes = wanted or sorted(before or _codes(home))
    if not codes or (not arguments.lost and not set(codes) <= set(before)):
        expected = f"an office of this home ({', '.join(before) or 'name it with --office'})"
        raise ConfigError(str(home.keys), expected, ", ".join(codes) or "none")
    if arguments.addresses:
        keys = {code: before[code][-1] for code in codes}
    else:
        keys = {code: make_office_keys(code, SystemRng().random_bytes) for code in codes}
    old = [each.event for code in codes for each in before.get(code, ())]
    request = node_request(home, config, keys, old)
    for each in () if arguments.addresses else keys.values():
        save_office_keys(home.keys, each)
    write_file(Path(arguments.output), request + b"\n", mode=0o644)
    verb = "--admit" if arguments.lost else "--rotate"
    zh, en = ("（先须 --revoke）", ", after --revoke") if arguments.lost else ("", "")
    print_next(
        f"交给省级：fangzhi roster draft HOME -o FILE {verb} {arguments.output}{zh}",
        f"give {arguments.output} to the province{en}",
    )
    return 0, {"offices": codes, "request": arguments.output}


def _codes(home: Home) -> set[OfficeCode]:
    """The offices that have keys in a home, readable or not."""
    return {parse_office(path.name[:6]) for path in home.keys.glob("??????.*[0-9]")}
