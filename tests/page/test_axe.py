"""Nothing on a page shuts out who uses it by keyboard, screen reader or large print (axe-core)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.page.test_portal import PAGES

pytestmark = pytest.mark.page

Open = Callable[..., Page]
RUN = """async () => (await axe.run({ resultTypes: ["violations"] })).violations.map(
  found => `${found.id} (${found.impact}): ${found.nodes.map(node => node.html).join(" | ")}`)"""


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing(open_page: Open, node_modules: Path, name: str) -> None:
    page = open_page(PAGES[name])
    script = (node_modules / "axe-core" / "axe.min.js").read_text("utf-8")
    page.evaluate(script)  # our policy keeps foreign scripts out of the page itself
    assert page.evaluate(RUN) == []
