"""The command line's own promises: exit statuses, one JSON object, words that say what to do."""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
from pathlib import Path

import pytest

from node.cli.main import COMMANDS, main, make_parser
from node.faces.wording import phrases


def commands_of(parser: argparse.ArgumentParser, before: str = "") -> list[str]:
    """Every command, those in groups by both words."""
    found: list[str] = []
    for action in parser._actions:
        for name, one in action.choices.items() if isinstance(action.choices, dict) else ():
            found += commands_of(one, f"{before}{name} ") or [before + name]
    return found


def test_every_command_has_a_coroutine() -> None:
    assert set(commands_of(make_parser())) == set(COMMANDS)
    for module, name in COMMANDS.values():
        assert inspect.iscoroutinefunction(getattr(importlib.import_module(module), name))


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["status", "/nowhere"], 2, "the folder of a node"),
        (["serve", "{tmp}"], 2, "fangzhi init HOME"),
        (["report", "/nowhere", "{tmp}/none.txt"], 2, "nothing of that name"),
        (["search", "常", "--node", "http://127.0.0.1:1"], 3, "fangzhi serve HOME"),
        (["init", "{tmp}/h", "--office", "32", "--request", "r"], 2, "six digits"),
        (["restore", "{tmp}", "{tmp}/new"], 2, "made by fangzhi backup"),
        (["join", "{tmp}", "--invite", "{tmp}/none"], 2, "fangzhi init HOME"),
    ],
)
def test_what_cannot_be_done_is_said(
    arguments: list[str],
    status: int,
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    filled = [argument.format(tmp=tmp_path) for argument in arguments]
    assert main([*filled, "--json"]) == status
    out, err = capsys.readouterr()
    code = json.loads(out)["problem"]["code"]
    first, second = err.splitlines()[:2]
    assert first == f"fangzhi: {phrases()[f'error.{code}'][0]}（{code}）"
    assert words in second
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_wrong_use_is_two() -> None:
    for arguments in ([], ["fly"], ["review", "h", "i"], ["init", "h", "--office", "320000"]):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 2


def test_a_drafted_network_says_that_root_holders_sign_next(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key, home = tmp_path / "a.pem", tmp_path / "home"
    assert main(["root", "new", str(key), "--name", "a"]) == 0
    found = ["--office", "320000", "--found", "t.example", "--peer-listen", "127.0.0.1:7320"]
    roots = ["--root", str(key.with_suffix(".vkey")), "--threshold", "1"]
    assert main(["init", str(home), *found, *roots]) == 0
    capsys.readouterr()
    for command in ("status", "doctor", "serve"):
        assert main([command, str(home)]) == 2
        said = capsys.readouterr().err
        assert "fangzhi roster apply HOME FILE" in said
        assert "join" not in said


def test_help_offers_an_address_only_where_one_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    for words, offered in (("serve", False), ("doctor", False), ("status", True), ("report", True)):
        with pytest.raises(SystemExit):
            main([words, "--help"])
        assert ("or its address" in capsys.readouterr().out) is offered
