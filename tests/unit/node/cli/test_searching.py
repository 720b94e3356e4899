"""``fangzhi search`` against a served paper node: what is asked, printed, remembered, kept."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from node.cli.main import make_parser
from node.cli.searching import catalogue, search
from node.faces.app import make_runner, make_web_app
from node.faces.asking import EVERY_RECORD, RULES_TO_SWITCH
from node.office.answers import Question
from protocol.errors import ConfigError, DecodeError, Rejected, Unavailable
from tests.fake_service import FakeService

from aiohttp import web  # isort: skip

Run = Callable[..., Awaitable[tuple[int, dict[str, Any]]]]


@pytest.fixture
def service() -> FakeService:
    return FakeService()


@pytest.fixture
async def run(
    service: FakeService, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> AsyncIterator[Run]:
    """``await run("QUERY", …)`` is what the command does."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    runner = make_runner(make_web_app(service, trusted=False, shown_url=""))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    node = f"http://127.0.0.1:{runner.addresses[0][1]}"

    async def run_one(*words: str) -> tuple[int, dict[str, Any]]:
        command, *words = words if words[:1] == ("catalogue",) else ("search", *words)
        asks = {"search": search, "catalogue": catalogue}[command]
        return await asks(make_parser().parse_args([command, "--node", node, *words]))

    yield run_one
    await runner.cleanup()


async def test_every_option_reaches_the_node(run: Run, service: FakeService) -> None:
    words = ["运河", "--limit", "3", "--without", "sound", "--without", "year", "--facets"]
    await run(*words, "--view", "lines", "--explain", "--page", "second")
    (call,) = service.calls
    assert call[1] == Question("运河", ("year", "sound"), 3, "second", True, "lines", True)
    await run("运河", "--literal")
    assert service.calls[-1][1].without == RULES_TO_SWITCH


async def test_an_answer_is_printed_for_people(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    await run("yunhe", "--facets", "--explain")
    said = capsys.readouterr().out
    for words in (
        "您是不是要找 did you mean：运河",
        "拼音：yunhe → 运河 云和",
        "《张家港市志（1986—2005）》 张家港市  320582-",
        "卷十二 交通 · 第二章 航道 页 412",
        "    十一圩港原為運河支流，光緒初年開浚",
        "匹配：云河（同音字）",
        "匹配：题名（拼音）",
        "地区：江苏省 31（苏州市 29（张家港市 20，常熟市 9），无锡市 2）",
        "志书类型：新方志 18，旧志 9，年鉴 4",
        "共 31 页；其中 1 页差一字（同音或形近）；109/109 个分库作答",
        "fangzhi search --next",
        "  pinyin [yun][he]",
        "解析 parse 0.21 ms；苏州市（2 个分库）8.40 ms",
        "核对 20 (0.31 ms)",
    ):
        assert words in said
    assert said.count("《张家港市志（1986—2005）》") == 1
    assert "\ud800" not in said
    assert "\u202e" not in said


async def test_lines_have_the_word_in_one_column(
    run: Run, service: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    service.hostile_shown = False
    await run("运河", "--view", "lines")
    lines = capsys.readouterr().out.splitlines()
    kept = [line for line in lines if line.startswith("  ") and ("运河" in line or "運河" in line)]
    assert len(kept) == 7
    columns = set()
    for line in kept:
        at = max(line.find("运河", 12), line.find("運河", 12))
        columns.add(sum(2 if ord(sign) > 0x2E80 else 1 for sign in line[:at]))
    assert len(columns) == 1


async def test_editions_are_printed_side_by_side(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    await run("运河", "--view", "editions")
    said = capsys.readouterr().out
    assert "《常昭合志》" in said
    assert "光绪三十年刻本" in said


async def test_what_is_missing_and_what_would_be_found_is_said(
    run: Run, service: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    service.offices_answering = False
    await run("无此 运河")
    said = capsys.readouterr().out
    assert "107/109 个分库作答；缺 320583、320682" in said
    assert "只检索：运河（31 页）" in said


async def test_next_goes_on_where_the_last_search_ended(run: Run, service: FakeService) -> None:
    with pytest.raises(ConfigError, match="a search before it"):
        await run("--next")
    await run("运河", "--without", "year", "--limit", "4")
    await run("--next")
    assert service.calls[-1][1] == Question("运河", ("year",), 4, "second")
    with pytest.raises(ConfigError, match="its last page"):
        await run("--next")
    with pytest.raises(ConfigError, match="QUERY"):
        await run()


async def test_a_query_that_cannot_be_answered_is_refused_with_advice(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Rejected, match="besides what to leave out"):
        await run("非 的")
    assert "还缺一个要找的词" in capsys.readouterr().err


async def test_a_wrong_rule_is_refused_in_words(run: Run) -> None:
    with pytest.raises(DecodeError, match="rules of typed, year"):
        await run("运河", "--without", "magic")


async def test_in_json_nothing_is_printed_by_the_command(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    status, answer = await run("运河", "--json")
    assert (status, answer["total"], capsys.readouterr().out) == (0, 31, "")
    assert json.dumps(answer)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
async def test_an_export_is_kept_when_its_receipt_is_there(
    run: Run, tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"水利{suffix}"
    _, told = await run("运河", "--without", "year", "--export", str(path))
    assert told == {"file": str(path), "bytes": path.stat().st_size}
    assert "receipt" in path.read_text("utf-8").splitlines()[-1][:12]


async def test_the_catalogue_is_exported_whole(
    run: Run, service: FakeService, tmp_path: Path
) -> None:
    path = tmp_path / "书目.jsonl"
    _, told = await run("catalogue", "--export", str(path))
    assert told["bytes"] == path.stat().st_size
    assert json.loads(path.read_text("utf-8").splitlines()[0])["kind"] == "旧志"
    assert (service.calls[-1][1].text, service.calls[-1][1].records) == (EVERY_RECORD, True)


async def test_an_export_that_was_cut_leaves_no_file(run: Run, tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        await run("断", "--export", str(tmp_path / "a.csv"))
    with pytest.raises(ConfigError, match="ending in"):
        await run("运河", "--export", str(tmp_path / "a.xlsx"))
    assert list(tmp_path.iterdir()) == []
