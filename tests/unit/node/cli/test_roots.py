"""Root keys at the command line: files in, files out, words for people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ledger.events import (
    MemberAbolish,
    MemberMove,
    MemberRevoke,
    MemberRotate,
    OutsideWitness,
    PolicySet,
    RecoverySet,
)
from ledger.genesis import Genesis, write_genesis
from ledger.note import NoteKey
from node.cli.main import main
from node.hands.keys import load_key
from node.office.changefile import ChangeFile, read_change_file, write_change_file
from protocol.ids import OfficeCode, RootHash

ROOT = RootHash(bytes(range(32)))
KEY = bytes(32)
CHANGES = (
    MemberRotate("320581", KEY, KEY, KEY, KEY, KEY, "a:1", "", 1, ()),
    MemberRevoke("320581", 7, ROOT, 2, ()),
    MemberMove("320581", "320600", "虞山市", 3, ()),
    MemberAbolish("320581", "320582", 9, ROOT, 4, ()),
    PolicySet(2, 1, 0, (OutsideWitness("archive", "vkey", "https://x/"),), 1, ()),
    RecoverySet(1, bytes([7]) * 32, ()),
)


def fangzhi(capsys: Any, *words: object) -> tuple[int, dict[str, Any], str]:
    status = main([*map(str, words), "--json"])
    out, said = capsys.readouterr()
    return status, json.loads(out), said


@pytest.fixture
def desk(tmp_path: Path, capsys: Any) -> Path:
    """Three root keys and a change file that nobody has signed."""
    for name in "abc":
        assert fangzhi(capsys, "root", "new", tmp_path / f"{name}.pem", "--name", name)[0] == 0
    vkeys = [(tmp_path / f"{name}.vkey").read_text().strip() for name in "abc"]
    genesis = Genesis("t.example", OfficeCode("320000"), 2, tuple(map(NoteKey.parse, vkeys)), KEY)
    note = write_genesis(genesis, {name: load_key(tmp_path / f"{name}.pem") for name in "ab"})
    file = ChangeFile.draft(note, CHANGES)
    (tmp_path / "change.json").write_bytes(write_change_file(file))
    return tmp_path


def test_a_root_key_is_for_its_holder_alone_and_never_overwritten(desk: Path, capsys: Any) -> None:
    assert (desk / "a.pem").stat().st_mode & 0o777 == 0o600
    public = load_key(desk / "a.pem").public
    assert NoteKey.parse((desk / "a.vkey").read_text().strip()).public == public
    assert fangzhi(capsys, "root", "new", desk / "a.pem", "--name", "a")[0] == 2
    assert load_key(desk / "a.pem").public == public
    assert fangzhi(capsys, "root", "new", desk / "d.pem", "--name", "two words")[0] == 2
    assert not (desk / "d.pem").exists()


def test_everything_that_a_file_does_is_said_in_both_languages(desk: Path, capsys: Any) -> None:
    status, answer, said = fangzhi(capsys, "root", "show", desk / "change.json")
    assert status == 0
    assert (answer["signed_by"], answer["missing"]) == ([], 2)
    for words in (
        ("更换 320581", "第 2 次变更", "address a:1", "its log goes on"),
        ("撤销 320581", "只认到 7 条", "counts up to 7 entries"),
        ("改隶 320600", "名称 虞山市", "stands under 320600"),
        ("撤并 320581", "由 320582 承接", "320582 acts for its items"),
        ("见证规则第 2 版", "外部 1 家（archive）", "a majority of the cities"),
    ):
        assert any(all(word in line for word in words) for line in answer["changes"]), words
    assert "还缺 2 把" in said


def test_signing_a_file_at_two_desks(desk: Path, capsys: Any) -> None:
    path = desk / "change.json"
    assert fangzhi(capsys, "root", "sign", path, "--key", desk / "c.pem")[0] == 0
    before = path.read_bytes()
    status, _, said = fangzhi(capsys, "root", "sign", path, "--key", desk / "c.pem")
    assert (status, path.read_bytes()) == (1, before), said
    assert fangzhi(capsys, "root", "new", desk / "x.pem", "--name", "x")[0] == 0
    assert fangzhi(capsys, "root", "sign", path, "--key", desk / "x.pem")[0] == 1
    status, answer, said = fangzhi(capsys, "root", "sign", path, "--key", desk / "a.pem")
    assert (answer["signed_by"], answer["missing"]) == (["a", "c"], 0)
    assert "可以执行" in said
    read_change_file(path.read_bytes()).require_signed()
    path.write_bytes(before.replace(b'"log_size":7', b'"log_size":8'))
    assert fangzhi(capsys, "root", "show", path)[0] == 1, "signed for something else"
    assert fangzhi(capsys, "root", "show", desk / "none")[0] == 2
