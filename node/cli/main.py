"""``fangzhi``: reads the arguments, runs the command, prints what came of it.

Exit status: 0 good, 1 the thing checked does not hold, 2 wrong use, 3 could not reach or read.
With ``--json`` one JSON object goes to standard output and nothing else; everything for people
goes to standard error.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import signal
import sys
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any, Final

from node.hands.processor import prefer_fast_sort
from protocol.errors import FangzhiError
from protocol.limits import SUGGESTIONS_MAX

Json = dict[str, Any]

GROUPS: Final = {
    "root": "根密钥 · offline root keys: files only",
    "roster": "名册 · members and their keys",
    "user": "用户 · named users of an office",
    "recovery": "恢复密钥 · the province's offline recovery key",
    "synonyms": "同义词表 · the province's table of synonyms",
    "storage": "存储位置 · where files lie",
}
# command: the module and the coroutine function that run it
COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "demo": ("node.demo.show", "demo"),
    "init": ("node.cli.joining", "init"),
    "admit": ("node.cli.joining", "admit"),
    "join": ("node.cli.joining", "join"),
    "root new": ("node.cli.roots", "new"),
    "root show": ("node.cli.roots", "show"),
    "root sign": ("node.cli.roots", "sign"),
    "roster show": ("node.cli.roster", "show"),
    "roster draft": ("node.cli.roster", "draft"),
    "roster apply": ("node.cli.roster", "apply"),
    "rotate": ("node.cli.roster", "rotate"),
    "user enroll": ("node.cli.users", "enroll"),
    "user retire": ("node.cli.users", "retire"),
    "user list": ("node.cli.users", "show"),
    "synonyms put": ("node.cli.synonyms", "put"),
    "synonyms show": ("node.cli.synonyms", "show"),
    "grant": ("node.cli.sealing", "grant"),
    "revoke-grant": ("node.cli.sealing", "revoke"),
    "grants": ("node.cli.sealing", "show"),
    "recall": ("node.cli.recalling", "recall"),
    "rewrap": ("node.cli.sealing", "rewrap"),
    "recovery new": ("node.cli.sealing", "new"),
    "recovery request": ("node.cli.sealing", "request"),
    "recovery open": ("node.cli.sealing", "open_request"),
    "recovery apply": ("node.cli.sealing", "apply"),
    "serve": ("node.cli.running", "serve_command"),
    "status": ("node.cli.asking", "status"),
    "report": ("node.cli.reporting", "report"),
    "pack": ("node.cli.disks", "pack"),
    "receive": ("node.cli.disks", "receive"),
    "review": ("node.cli.reporting", "review"),
    "withdraw": ("node.cli.reporting", "withdraw"),
    "search": ("node.cli.searching", "search"),
    "catalogue": ("node.cli.searching", "catalogue"),
    "suggest": ("node.cli.asking", "suggest"),
    "fetch": ("node.cli.asking", "fetch"),
    "verify": ("node.cli.verifying", "verify"),
    "receipt": ("node.cli.copies", "receipt"),
    "fixity": ("node.cli.copies", "fixity"),
    "audit": ("node.cli.auditing", "audit"),
    "export": ("node.cli.auditing", "export"),
    "rebuild": ("node.cli.upkeep", "rebuild"),
    "statistics": ("node.cli.upkeep", "statistics"),
    "storage show": ("node.cli.storage", "show"),
    "storage move": ("node.cli.storage", "move"),
    "backup": ("node.cli.upkeep", "backup"),
    "restore": ("node.cli.upkeep", "restore"),
    "doctor": ("node.cli.upkeep", "doctor"),
}


def make_parser() -> argparse.ArgumentParser:
    """Every command and option; a test holds the README's overview against it."""
    parser = argparse.ArgumentParser(
        prog="fangzhi", description="方志联邦档案节点 · a federated archive of chronicle offices"
    )
    parser.add_argument("--version", action="version", version=_version())
    sub = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    groups: dict[str, Any] = {"": sub}

    def command(name: str, words: str, *, home: str = "", token: bool = False) -> Any:
        group, _, verb = name.rpartition(" ")
        if group not in groups:
            parent = sub.add_parser(group, help=GROUPS[group], description=GROUPS[group])
            groups[group] = parent.add_subparsers(required=True, metavar="VERB")
        one = groups[group].add_parser(verb, help=words, description=words)
        one.set_defaults(command=name)
        if home:
            folder = "the folder of a node"
            words = f"{folder}, or its address" if "URL" in home else folder
            one.add_argument("home", metavar=home, help=words)
        if token:
            one.add_argument("--token", metavar="FILE", help="file with the token of a URL's node")
        one.add_argument("--json", action="store_true", help="print one JSON object")
        return one

    one = command("demo", "演示 · found a network on this machine and show it")
    one.add_argument("--offices", choices=("7", "all"), default="7")
    one.add_argument("--corpus", metavar="FILE", help="pages to report, JSON Lines, .xz allowed")
    one.add_argument("--home", metavar="DIR", help="keep the homes here")
    one.add_argument("--once", action="store_true", help="end when everything was shown")

    one = command("init", "初始化 · make a home with keys", home="HOME")
    one.add_argument("--office", action="append", required=True, metavar="CODE", help="repeatable")
    how = one.add_mutually_exclusive_group(required=True)
    how.add_argument("--found", metavar="NETWORK", help="found a network of this name (province)")
    how.add_argument("--request", metavar="FILE", help="write the request to join here")
    one.add_argument(
        "--root", action="append", metavar="FILE.vkey", help="an offline root key; repeatable"
    )
    one.add_argument("--threshold", type=int, metavar="N", help="how many root keys must sign")
    one.add_argument("--peer-listen", default="", metavar="HOST:PORT")
    one.add_argument(
        "--peer-address", default="", metavar="HOST:PORT", help="if others dial another"
    )
    one.add_argument("--web-listen", default="127.0.0.1:8320", metavar="HOST:PORT")
    one.add_argument("--web-url", default="", metavar="URL")

    one = command(
        "admit", "准入 · admit requests, write an invite for each (province)", home="HOME"
    )
    what = one.add_mutually_exclusive_group(required=True)
    what.add_argument("--request", metavar="FILE")
    what.add_argument("--table", metavar="CSV", help="a column 'request' with files, one a row")
    one.add_argument("--invite", required=True, metavar="PATH", help="a file; a folder for --table")

    one = command("join", "加入 · join the network of an invite", home="HOME")
    one.add_argument("--invite", required=True, metavar="FILE")
    _member_commands(command)
    _vault_commands(command)

    command("serve", "运行 · run one node", home="HOME")
    command("status", "状态 · how a node is", home="HOME|URL", token=True)

    one = command(
        "report", "报送 · hand in files, folders, ZIPs or bags", home="HOME|URL", token=True
    )
    one.add_argument("paths", nargs="+", metavar="PATH", help="each is one package")
    _report_options(one)

    one = command("pack", "制作报送盘 · a disk of an item, signed", home="HOME", token=False)
    one.add_argument("path", metavar="PATH|ITEM", help="what to report first, or an item of HOME")
    one.add_argument("folder", metavar="OUT", help="a new or empty folder")
    _report_options(one)

    one = command("receive", "接收报送盘 · take in disks that pack made", home="HOME")
    one.add_argument("folders", nargs="+", metavar="DISK")

    one = command("review", "审核 · pass or return items", home="HOME|URL", token=True)
    one.add_argument("items", nargs="+", metavar="ITEM")
    verdict = one.add_mutually_exclusive_group(required=True)
    verdict.add_argument("--pass", dest="passed", action="store_true", help="审核通过")
    verdict.add_argument("--return", dest="reason", metavar="REASON", help="退回返工")
    _speaker_option(one)

    one = command("withdraw", "下架 · take an item down", home="HOME|URL", token=True)
    one.add_argument("item", metavar="ITEM")
    one.add_argument("--reason", required=True)
    _speaker_option(one)

    one = command("search", "检索 · ask the whole network", token=True)
    one.add_argument("query", nargs="?", default="", metavar="QUERY")
    _node_option(one)
    _search_options(one)

    one = command("catalogue", "书目检索 · search the records of the whole network", token=True)
    one.add_argument("query", nargs="?", default="", metavar="QUERY", help="none: every record")
    _node_option(one)
    one.add_argument("--limit", type=int, default=20, metavar="N")
    one.add_argument("--page", default="", metavar="TOKEN", help="'next' of an answer in JSON")
    one.add_argument("--facets", action="store_true", help="分面 · counts by region, kind, …")
    _export_option(one)

    one = command("suggest", "联想 · what may be meant by what is being typed", token=True)
    one.add_argument("typed", metavar="TEXT")
    _node_option(one)
    one.add_argument("--limit", type=int, default=SUGGESTIONS_MAX, metavar="N")

    one = command("fetch", "调取 · get a file, or all files of an item", token=True)
    one.add_argument("what", metavar="HASH|ITEM")
    _node_option(one)
    one.add_argument("-o", "--output", default="", metavar="PATH")
    one.add_argument("--page", type=int, default=0, metavar="N", help="its image · 服务级影像")
    one.add_argument("--thumbnail", action="store_true", help="of that page · 缩略图")

    one = command("receipt", "入库回执 · the receipt of an item, for anyone to check", token=True)
    one.add_argument("item", metavar="ITEM|FILE", help="文件：调取回执 · a file: of a recall")
    _node_option(one)
    one.add_argument("-o", "--output", default="", metavar="FILE", help="write it here")

    one = command("fixity", "完整性报告 · how the copies are", home="HOME|URL", token=True)
    one.add_argument("--csv", default="", metavar="FILE", help="holders, for a spreadsheet")

    one = command("verify", "验证 · who reported this file, when, witnessed by whom")
    one.add_argument("file", metavar="FILE")
    source = one.add_mutually_exclusive_group()
    source.add_argument("--node", metavar="URL", help="none of the three for a receipt")
    source.add_argument("--log", metavar="DIR", help="a folder made by export")
    source.add_argument("--proof", metavar="DIR", help="a folder made by --out: nobody is asked")
    one.add_argument("--genesis", required=True, metavar="FILE")
    one.add_argument("--out", metavar="DIR", help="write a proof that verifies offline")

    one = command(
        "export", "导出 · write logs as static tiles for an audit", home="HOME|URL", token=True
    )
    one.add_argument("folder", metavar="DIR")
    one = command("audit", "审计 · check a whole network, trusting the genesis note only")
    one.add_argument(
        "sources", nargs="+", metavar="URL|DIR", help="the first is audited, all are compared"
    )
    one.add_argument("--genesis", required=True, metavar="FILE")
    one.add_argument("--work", metavar="DIR", help="续审 · go on here when cut, and next time")
    one.add_argument("--report", metavar="FILE.html")

    command("rebuild", "重建 · throw derived state away and fold it again", home="HOME")
    command(
        "statistics",
        "签署字词统计 · sign how rare words are (province)",
        home="HOME|URL",
        token=True,
    )
    one = command("backup", "备份 · copy a home", home="HOME")
    one.add_argument("folder", metavar="DIR")
    one = command("restore", "恢复 · make a home from a backup")
    one.add_argument("folder", metavar="DIR")
    one.add_argument("home", metavar="HOME")
    command("storage show", "文件所在 · where files lie", home="HOME")
    one = command("storage move", "迁移 · move them while the node serves", home="HOME")
    one.add_argument("to", metavar="folder|s3://BUCKET/PREFIX")
    one.add_argument("--endpoint", default="", metavar="URL", help="of a store not Amazon's")
    one.add_argument("--region", default="", metavar="NAME")
    one = command("doctor", "体检 · what is wrong, and the cure", home="HOME")
    one.add_argument("--repair", action="store_true", help="fetch damaged files again")
    return parser


def _member_commands(command: Callable[..., Any]) -> None:
    """Root keys, the roster, an office's own keys and users, the synonyms."""
    one = command("root new", "新建根密钥 · make an offline root key")
    one.add_argument("key", metavar="KEY.pem")
    one.add_argument("--name", required=True, help="in the genesis note; no spaces")
    one = command("root show", "说明 · what a genesis draft or change file would do")
    one.add_argument("file", metavar="FILE")
    one = command("root sign", "签名 · add a root key's signature to a file")
    one.add_argument("file", metavar="FILE")
    one.add_argument("--key", required=True, metavar="KEY.pem")

    command("roster show", "名册 · who belongs, with which keys", home="HOME|URL", token=True)
    one = command(
        "roster draft", "起草变更 · draft a change for the root keys", home="HOME|URL", token=True
    )
    one.add_argument("-o", "--output", required=True, metavar="FILE")
    what = one.add_mutually_exclusive_group(required=True)
    what.add_argument("--admit", nargs="+", metavar="REQUEST", help="准入，或撤销后重新准入")
    what.add_argument("--rotate", metavar="REQUEST", help="更换密钥")
    what.add_argument("--revoke", metavar="CODE", help="撤销密钥")
    what.add_argument("--move", metavar="CODE", help="改隶")
    what.add_argument("--rename", metavar="CODE", help="更名")
    what.add_argument("--abolish", metavar="CODE", help="撤并")
    what.add_argument("--policy", metavar="FILE.toml", help="见证规则")
    what.add_argument("--recovery", metavar="KEY.pub", help="省级恢复公钥")
    one.add_argument("--at", type=int, metavar="SIZE", help="another anchored size (0: nothing)")
    one.add_argument("--parent", metavar="CODE", help="of --move")
    one.add_argument("--name", help="of --rename")
    one.add_argument("--successor", metavar="CODE", help="of --abolish")
    one = command("roster apply", "执行 · carry a signed file out", home="HOME", token=True)
    one.add_argument("file", metavar="FILE")
    one.add_argument("--invite", metavar="PATH", help="invites of whom it admits")

    one = command("rotate", "换密钥 · make the next keys of an office", home="HOME")
    one.add_argument("--office", default="", metavar="CODE", help="not all of this home")
    how = one.add_mutually_exclusive_group()
    how.add_argument("--lost", action="store_true", help="the present keys are lost or stolen")
    how.add_argument(
        "--addresses", action="store_true", help="keep the keys; the addresses of node.toml"
    )
    one.add_argument("-o", "--output", required=True, metavar="FILE", help="the request")

    one = command("user enroll", "登记用户 · a named user's key", home="HOME|URL", token=True)
    one.add_argument("--office", default="", metavar="CODE", help="if the node hosts several")
    one.add_argument("--name", required=True, help="kept in an erasable file, never in the log")
    one.add_argument("--role", required=True, choices=("clerk", "reviewer", "administrator"))
    one = command("user retire", "停用 · the key may sign no more", home="HOME|URL", token=True)
    one.add_argument("key", metavar="KEYID")
    command("user list", "用户 · users and their keys", home="HOME|URL", token=True)

    one = command(
        "synonyms put", "发布 · sign the next table (province)", home="HOME|URL", token=True
    )
    one.add_argument("file", metavar="FILE", help="a group a line: 火柴 洋火 自来火 # 旧称")
    command("synonyms show", "现行表 · the table in force", home="HOME|URL", token=True)


def _vault_commands(command: Callable[..., Any]) -> None:
    """Grants, keys for sealing, the recovery key."""
    one = command("grant", "授权 · let another office use an item", home="HOME|URL", token=True)
    one.add_argument("item", metavar="ITEM")
    one.add_argument("--to", required=True, metavar="CODE")
    one.add_argument("--what", choices=("file", "service"), default="file", help="原文件，服务级")
    one.add_argument("--purpose", required=True, help="kept in an erasable file")
    one.add_argument("--days", type=int, required=True, metavar="N", help="期限 · from now")
    _speaker_option(one)
    one = command("revoke-grant", "撤销授权 · take a grant back", home="HOME|URL", token=True)
    one.add_argument("item", metavar="ITEM")
    one.add_argument("grant", type=int, metavar="GRANT", help="its number in 'grants'")
    _speaker_option(one)
    one = command("grants", "授权清单 · the grants that stand", home="HOME|URL", token=True)
    one.add_argument("--item", default="", metavar="ITEM")
    one = command("rewrap", "轮换 · the next sealing key of an office", home="HOME|URL", token=True)
    one.add_argument("--office", default="", metavar="CODE", help="if the node hosts several")

    one = command("recall", "调取 · get own or granted files back", token=True)
    one.add_argument("what", nargs="?", default="", metavar="ITEM|HASH")
    _node_option(one)
    one.add_argument("--to", default="", metavar="DIR", help="a folder of the item's name if none")
    one.add_argument("--check", metavar="RECEIPT", help="核验 · hold a receipt against the logs")

    one = command("recovery new", "新建恢复密钥 · make the recovery key, offline")
    one.add_argument("key", metavar="KEY.pem")
    one = command(
        "recovery request", "申请 · what a lost home needs opened", home="HOME|URL", token=True
    )
    one.add_argument("-o", "--output", required=True, metavar="FILE")
    one = command("recovery open", "开启 · open a request, offline")
    one.add_argument("file", metavar="FILE")
    one.add_argument("--key", required=True, metavar="KEY.pem")
    one.add_argument(
        "--reader", required=True, metavar="HEX", help="the office's key, heard from elsewhere"
    )
    one.add_argument("-o", "--output", required=True, metavar="FILE")
    one = command(
        "recovery apply", "恢复 · take the answer, get the files back", home="HOME|URL", token=True
    )
    one.add_argument("file", metavar="FILE")


def _search_options(one: argparse.ArgumentParser) -> None:
    one.add_argument("--limit", type=int, default=20, metavar="N")
    where = one.add_mutually_exclusive_group()
    where.add_argument("--page", default="", metavar="TOKEN", help="'next' of an answer in JSON")
    where.add_argument("--next", action="store_true", help="下一页 · go on with the last search")
    rules = one.add_mutually_exclusive_group()
    rules.add_argument(
        "--without", action="append", metavar="RULE", help="停用 · switch a rule off; repeatable"
    )
    rules.add_argument("--literal", action="store_true", help="原样检索 · these very characters")
    one.add_argument("--facets", action="store_true", help="分面 · counts by region, kind, …")
    one.add_argument(
        "--view",
        choices=("snippet", "lines", "editions"),
        default="snippet",
        help="摘要，逐行索引，版本对照",
    )
    one.add_argument("--explain", action="store_true", help="检索过程 · how it was found")
    _export_option(one)


def _export_option(one: argparse.ArgumentParser) -> None:
    one.add_argument("--export", metavar="FILE", help="导出 · every hit, .csv or .jsonl")


def _report_options(one: argparse.ArgumentParser) -> None:
    one.add_argument("--office", default="", metavar="CODE", help="if the node hosts several")
    one.add_argument("--title", default="", help="题名")
    one.add_argument("--kind", default="", help="志书类型")
    one.add_argument("--rights", choices=("open", "office", "sealed"), default="")
    one.add_argument("--item", default="", metavar="ITEM", help="a new revision of this item")
    one.add_argument(
        "--confirm", action="store_true", help="it is another one than those of a near title"
    )
    _speaker_option(one)


def _speaker_option(one: argparse.ArgumentParser) -> None:
    one.add_argument(
        "--as", dest="speaker", default="", metavar="KEYID", help="sign with this user's key"
    )


def _node_option(one: argparse.ArgumentParser) -> None:
    one.add_argument(
        "--node", default="http://127.0.0.1:8320", metavar="URL", help="or the folder of a home"
    )


def main(arguments: list[str] | None = None) -> int:
    """Run a command; the exit status."""
    prefer_fast_sort()
    parsed = make_parser().parse_args(arguments)
    module, name = COMMANDS[parsed.command]
    run: Callable[[argparse.Namespace], Awaitable[tuple[int, Json]]]
    run = getattr(importlib.import_module(module), name)
    try:
        status, result = _run_loop(run, parsed)
    except FangzhiError as error:
        status, result = _failed(error)
    except BaseExceptionGroup as group:
        known = group.subgroup(FangzhiError)
        if known is None:
            raise
        status, result = _failed(_first(known))
    except KeyboardInterrupt:
        return 130
    except asyncio.CancelledError:
        return 143
    except BrokenPipeError:
        return 141
    if parsed.json:
        print(json.dumps(result, ensure_ascii=False))
    return status


def _run_loop(
    run: Callable[[argparse.Namespace], Awaitable[tuple[int, Json]]], parsed: argparse.Namespace
) -> tuple[int, Json]:
    async def command() -> tuple[int, Json]:
        task = asyncio.current_task()
        if task is not None and sys.platform != "win32":  # so that what it started is ended too
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await run(parsed)

    if parsed.command == "serve" and sys.platform != "win32":
        import uvloop  # noqa: PLC0415 (half a second of start-up that only serving needs)

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(command())
    return asyncio.run(command())


def _failed(error: FangzhiError) -> tuple[int, Json]:
    from node.faces.problem import exit_status, problem_document  # noqa: PLC0415 (loads aiohttp)
    from node.faces.wording import Wording  # noqa: PLC0415 (reads the table of offices)

    say(f"fangzhi: {Wording('zh').name_of('error', error.code)}（{error.code}）")
    say(f"  {error}")
    if isinstance(error.got, tuple):
        for finding in error.got:
            print(f"  {finding}", file=sys.stderr)
    return exit_status(error), {"problem": problem_document(error)}


def _first(group: BaseExceptionGroup[FangzhiError]) -> FangzhiError:
    first = group.exceptions[0]
    return first if isinstance(first, FangzhiError) else _first(first)


def _version() -> str:
    """With a word on the search kernel, which is compiled where the package is installed."""
    compiled = find_spec("search_shard._kernel") is not None
    zh, en = ("已编译", "compiled") if compiled else ("未编译，检索较慢", "not compiled: slower")
    return f"fangzhi {version('fangzhi')}（检索内核{zh} · search kernel {en}）"


def say(text: str) -> None:
    """A line for people."""
    print(text, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
