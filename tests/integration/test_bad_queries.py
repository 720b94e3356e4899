"""Queries that would explode and texts that should break something, at real processes."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tests.integration.conftest import fangzhi

CITY, COUNTY = "320500", "320581"
SECONDS_MAX = 5.0  # two deadlines and what the machine does beside
Cli = Callable[..., tuple[int, dict[str, Any], str]]

QUERIES = {
    "one stroke": "一",
    "nothing but not": "NOT 的",
    "wildcards": "苏*" * 40,
    "half a syllable": "zh",
    "a long spelling": "xian" * 500,
    "brackets": "((((苏州",
    "closing brackets": "苏州))))",
    "quotes": "「苏州",
    "markup": "<script>alert(1)</script>",
    "right to left": "\u202e州苏\u202c",
    "private use": "\ue000\U000f0000",
    "nothing": "　，。",
}
TEXTS = {
    "markup.txt": "光緒蘇州府志<script>alert('x')</script>虎丘山塘",
    "turned.txt": "陽澄湖志\u202e記者\u202c昆山玉峰山記",
    "private.txt": "\ue123嘉定瞿氏\U000f0123藏書樓記",
    "endless.txt": "無錫惠山" * 250_000,  # 3 MB and no break
}


@pytest.fixture(scope="module")
def strange(network: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The county, with the texts reported, passed and found."""
    folder = tmp_path_factory.mktemp("strange")
    county = network[COUNTY]
    for name, text in TEXTS.items():
        (folder / name).write_text(text, encoding="utf-8")
        how = ("--title", f"怪文{name}", "--confirm")
        status, answer, said = fangzhi("report", county.home, folder / name, *how)
        assert status == 0, said
        (report,) = answer["reports"]
        review = partial(fangzhi, "review", network[CITY].home, report["item"], "--pass")
        network.until(lambda review=review: review()[0] == 0)  # type: ignore[misc]
    network.until(lambda: all(_total(county, text[:4]) for text in TEXTS.values()), 60)
    return county


def ask(server: Any, path: str, **fields: str) -> tuple[int, bytes, float]:
    url = f"http://{server.web}{path}?{urllib.parse.urlencode(fields, errors='surrogatepass')}"
    began = time.monotonic()
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.status, answer.read(), time.monotonic() - began
    except urllib.error.HTTPError as error:
        return error.code, error.read(), time.monotonic() - began


def _total(server: Any, query: str) -> int:
    status, body, _ = ask(server, "/api/v1/search", q=query)
    return int(json.loads(body)["total"]) if status == 200 else 0


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_is_answered_or_refused_in_time(name: str, strange: Any, cli: Cli) -> None:
    query = QUERIES[name]
    for path in ("/api/v1/search", "/search", "/api/v1/suggest"):
        status, body, seconds = ask(strange, path, q=query)
        assert status in (200, 400, 422), (path, body[:300])
        assert seconds < SECONDS_MAX, path
        assert b"Traceback" not in body
        if status != 200 and path.startswith("/api"):
            assert json.loads(body)["code"], "a refusal has a stable code"
        if path == "/search":
            assert b"<script>alert" not in body
    began = time.monotonic()
    status, answer, said = cli("search", query, "--node", strange.home)
    assert status in (0, 1, 2), said
    assert time.monotonic() - began < 2 * SECONDS_MAX
    assert status == 0 or answer.get("problem") or answer.get("total") == 0


@pytest.mark.parametrize("name", TEXTS)
def test_a_strange_text_is_found_and_shown_escaped(name: str, strange: Any) -> None:
    text = TEXTS[name]
    assert _total(strange, text[:4]) >= 1
    status, body, _ = ask(strange, "/search", q=text[:4])
    page = body.decode()
    assert status == 200
    assert "<script>alert" not in page
    assert text[:4] in page.replace("<mark>", "").replace("</mark>", "")


def test_private_characters_and_halves_of_pairs(strange: Any) -> None:
    assert _total(strange, "\ue123") >= 1
    status, body, _ = ask(strange, "/api/v1/search", q="\ud800苏")
    assert status == 400 or json.loads(body)["total"] == 0
