"""The page on the peer link names every code that a link can end with."""

from __future__ import annotations

import re
from pathlib import Path

from node.office.link import BYE, DUPLICATE, WRONG_OFFICE
from protocol.handshake import Refusal
from protocol.messages import METHODS

PAGE = Path(__file__).resolve().parents[4] / "docs" / "spec" / "peer-link.md"


def test_the_page_has_every_code_and_no_other() -> None:
    rows = re.findall(r"^\| `(link\.[a-z.-]+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(rows) == sorted([*Refusal, BYE, DUPLICATE, WRONG_OFFICE])


def test_the_page_has_every_method_and_no_other() -> None:
    text = PAGE.read_text(encoding="utf-8").split("## One link")[0]
    rows = re.findall(r"^\| `([a-z.]+)` \|", text, re.MULTILINE)
    assert sorted(rows) == sorted(METHODS)
