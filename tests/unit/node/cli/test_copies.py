"""What ``receipt`` and ``fixity`` tell a clerk, and what ``verify`` makes of a receipt."""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from ledger.receipt import Receipt, Received
from node.cli import copies
from protocol.errors import ConfigError, ProofError
from tests.fake_service import BOOK, FakeService

Json = dict[str, Any]
LINES = b'{"format":"fangzhi/receipt/1"}'


class Paper:
    """A node that answers from the shelf of the fake service."""

    def __init__(self, report: Json) -> None:
        self.report, self.asked = report, list[str]()

    async def get(self, path: str) -> Json:
        self.asked.append(path)
        return self.report

    async def read_bytes(self, path: str) -> AsyncIterator[bytes]:
        self.asked.append(path)
        yield LINES[:7]
        yield LINES[7:]


@pytest.fixture
async def paper(monkeypatch: pytest.MonkeyPatch) -> Paper:
    node = Paper(asdict(await FakeService().fixity()))

    @asynccontextmanager
    async def reach(_target: str, _token: str | None = None) -> AsyncIterator[Paper]:
        yield node

    monkeypatch.setattr(copies, "reach", reach)
    return node


def asked(**more: Any) -> argparse.Namespace:
    return argparse.Namespace(home="home", token=None, json=False, csv="", **more)


async def test_the_report_has_denominators_reasons_and_an_alarm(
    paper: Paper, capsys: pytest.CaptureFixture[str]
) -> None:
    status, answer = await copies.fixity(asked())
    said = capsys.readouterr().err
    assert (status, answer["checked"]) == (1, 127)
    assert "核验 checked: 127 / 128 文件 files，30 天内 days" in said
    assert "最久 oldest: 2026-05-29 04:26 UTC+8" in said
    assert "损坏 damaged: 1" in said
    assert "0: 1，2: 1，3: 2；无副本 lost: 1" in said
    assert "320581-000000000001v 副本 copies 2：待 320500 取得" in said
    assert "（联系不上 out of reach）；没有其他机构有空间保存" in said
    assert "7 / 10" in said


@pytest.mark.parametrize(("healed", "status"), [((), 1), (("lost",), 1), (("lost", "damaged"), 0)])
async def test_what_is_lost_or_damaged_is_no_success(
    paper: Paper, healed: tuple[str, ...], status: int
) -> None:
    paper.report |= dict.fromkeys(healed, ())
    assert (await copies.fixity(asked()))[0] == status


async def test_nothing_was_checked_yet(paper: Paper, capsys: pytest.CaptureFixture[str]) -> None:
    paper.report["oldest"] = 0
    await copies.fixity(asked())
    assert "最久 oldest: 从未 never" in capsys.readouterr().err


async def test_the_table_and_the_receipt_are_written_as_they_came(
    paper: Paper, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, file = tmp_path / "table.csv", tmp_path / "回执.json"
    arguments = asked()
    arguments.csv, arguments.json = str(table), True
    await copies.fixity(arguments)
    assert capsys.readouterr().err == ""
    wanted = argparse.Namespace(node="home", token=None, item=BOOK, output=str(file))
    assert (await copies.receipt(wanted))[0] == 0
    assert table.read_bytes() == file.read_bytes() == LINES
    assert paper.asked[1:] == ["/fixity.csv", f"/api/v1/items/{BOOK}/receipt"]
    assert f"fangzhi verify {file} --genesis genesis.note" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="a file to write"):
        await copies.receipt(argparse.Namespace(**{**vars(wanted), "output": str(tmp_path)}))


@pytest.mark.parametrize("witnessed", [True, False])
async def test_a_receipt_is_told_line_by_line(
    witnessed: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    received = await FakeService().read_receipt(BOOK)
    if not witnessed:
        seen = replace(received.upload.seen, witnessed=False)
        received = replace(received, upload=replace(received.upload, seen=seen))

    def checked(_receipt: Receipt, genesis: bytes) -> Received:
        assert genesis == b"note"
        return received

    path = tmp_path / "r.json"
    path.write_bytes(LINES)
    monkeypatch.setattr(Receipt, "decode", lambda _data: Receipt(()))
    monkeypatch.setattr(copies, "check_receipt", checked)
    status, told = copies.check_receipt_file(path, b"note")
    said = capsys.readouterr().err
    assert (status, told["ok"], told["item"]) == (not witnessed, witnessed, BOOK)
    assert "✓ 入库回执 receipt  320000 江苏省 #8，2026-09-21 22:13 UTC+8" in said
    assert "✓ 副本 copy  320000 江苏省 #8，加密 sealed" in said
    assert ("✗ 尚未见证" in said) is not witnessed


def test_what_is_no_receipt_is_a_wrong_use_and_a_torn_one_proves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"a book")
    with pytest.raises(ConfigError, match="a receipt, or one of --node, --log and --proof"):
        copies.check_receipt_file(path, b"")
    path.write_text('{"format":"fangzhi/receipt/1","proofs":[{},{},{}]}')
    with pytest.raises((ProofError, ConfigError)):
        copies.check_receipt_file(path, b"")
