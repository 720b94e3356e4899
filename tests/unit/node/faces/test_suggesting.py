"""The search box's question over HTTP."""

from __future__ import annotations

import pytest
from aiohttp import ClientSession

from node.office.answers import PUBLIC
from protocol.limits import SUGGEST_CHARS_MAX
from tests.fake_service import BOOK, TITLES, FakeService

URL = "/api/v1/suggest"


async def test_what_is_typed_is_answered(client: ClientSession, service: FakeService) -> None:
    answer = await (await client.get(URL, params={"q": "张", "limit": "2"})).json()
    assert service.calls[-1] == ("suggest", "张", 2, PUBLIC)
    assert answer["suggestions"][1] == {
        "kind": "title",
        "text": TITLES[BOOK][0],
        "count": 3,
        "sources": [BOOK],
        "rule": "typed",
        "marked": [0, 1],
        "note": "",
    }
    spelled = await (await client.get(URL, params={"q": "zhang"})).json()
    assert spelled["words"] == [{"text": "张", "pages": 14}]


async def test_nothing_typed_is_no_fault(client: ClientSession) -> None:
    for path in (URL, f"{URL}?q=", f"{URL}?q=%20"):
        answer = await client.get(path)
        assert (answer.status, (await answer.json())["suggestions"]) == (200, [])


@pytest.mark.parametrize(
    "query", [{"q": "a" * (SUGGEST_CHARS_MAX + 1)}, {"limit": "0"}, {"limit": "11"}, {"limit": "x"}]
)
async def test_what_is_out_of_bounds_is_refused(
    client: ClientSession, query: dict[str, str]
) -> None:
    answer = await client.get(URL, params=query)
    assert (answer.status, (await answer.json())["code"]) == (400, "wire.decode")


async def test_only_pages_with_a_box_run_its_script(client: ClientSession) -> None:
    for path in ("/", "/search?q=x"):
        page = await (await client.get(path)).text()
        assert page.count("<script") == 1
        assert '<script type="module" src="/static/suggest.js?v=' in page
    for path in ("/network", f"/items/{BOOK}"):
        answer = await client.get(path)
        assert "<script" not in await answer.text()
        assert "script-src" not in answer.headers["Content-Security-Policy"]


async def test_the_results_of_pinyin_name_its_words_with_their_pages(client: ClientSession) -> None:
    page = await (await client.get("/search?q=yunhe")).text()
    assert "拼音可作" in page
    assert "<bdi>云和</bdi></a> <small>2 页</small>" in page
    assert "拼音可作" not in await (await client.get("/search?q=运河")).text()
