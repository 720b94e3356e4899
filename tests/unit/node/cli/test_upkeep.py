"""What ``doctor`` and ``rebuild`` say: Chinese first, English beside it, and an exit status."""

from __future__ import annotations

import argparse
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from node.cli import upkeep
from node.office.upkeep import (
    BARRED_CURE,
    FILE_CURE,
    FORK_CURE,
    LEFT,
    LIE_CURE,
    LOG_CURE,
    OUTSIDE_CURE,
    REFUSED_CURE,
    REMOVED,
    REPAIRED,
    SHUT_CURE,
    WAIT_CURE,
    Ailment,
)

HAN = re.compile(r"[\u4e00-\u9fff]")


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the node answers to each command."""
    given: dict[str, Any] = {}

    class Node:
        async def operate(self, command: str, *_: Any) -> Any:
            return given[command]

    @asynccontextmanager
    async def reach(_home: str) -> AsyncIterator[Node]:
        yield Node()

    monkeypatch.setattr(upkeep, "reach", reach)
    return given


async def test_an_ailment_is_told_in_both_languages(
    answers: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    ailment = Ailment("file.damaged", "文件 ab 已损坏", "file ab is damaged", FILE_CURE)
    answers["doctor"] = {"ailments": [ailment.shown()]}
    status, _ = await upkeep.doctor(argparse.Namespace(home="home", repair=False))
    lines = capsys.readouterr().err.splitlines()
    assert status == 1
    assert lines == [
        "file.damaged 文件 ab 已损坏",
        "    file ab is damaged",
        "    → fangzhi doctor HOME --repair（从他处取回）",
        "    → fangzhi doctor HOME --repair (from another holder)",
    ]


async def test_a_healthy_node(answers: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    answers["doctor"] = {"ailments": []}
    assert (await upkeep.doctor(argparse.Namespace(home="home", repair=False)))[0] == 0
    assert capsys.readouterr().err == "一切正常 · well\n"


@pytest.mark.parametrize(("same", "words"), [(True, "与原来相同"), (False, "与原来不同")])
async def test_a_rebuild_that_differs_is_no_success(
    same: bool, words: str, answers: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    answers["rebuild"] = {"after": "ab", "equal": same}
    assert (await upkeep.rebuild(argparse.Namespace(home="home")))[0] == (not same)
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    "cure",
    [
        *(BARRED_CURE, FILE_CURE, FORK_CURE, LIE_CURE, LOG_CURE, LEFT),
        *(OUTSIDE_CURE, REFUSED_CURE, REMOVED, REPAIRED, SHUT_CURE, WAIT_CURE),
    ],
)
def test_every_cure_has_chinese_first_and_english_beside_it(cure: tuple[str, str]) -> None:
    zh, en = cure
    assert HAN.search(zh)
    assert not HAN.search(en.replace("待登记", ""))
