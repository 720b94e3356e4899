"""书目检索 as JSON and as a page, over the paper node."""

from __future__ import annotations

from urllib.parse import unquote_plus

import pytest
from aiohttp import ClientSession

from node.faces.asking import EVERY_RECORD
from search_shard.grammar import parts_of
from tests.fake_service import TITLES, YEARBOOK, FakeService
from tests.unit.node.faces.test_portal import Outline, read


def links(page: Outline) -> list[str]:
    return [unquote_plus(str(link["href"])) for link in page.all("a")]


async def test_each_hit_comes_with_its_record(client: ClientSession) -> None:
    async with client.get("/api/v1/catalogue", params={"q": "运河", "facets": "1"}) as response:
        assert response.status == 200
        answer = await response.json()
    items = [hit["item"] for hit in answer["hits"]]
    assert len(items) == len(set(items)) == len(answer["records"]) == answer["total"]
    elements = {e["name"]: e["text"] for e in answer["records"][0]["elements"]}
    assert elements["title"] == answer["hits"][0]["title"]
    (province,) = answer["tree"]["place"]
    assert (province["value"], province["below"][0]["value"]) == ("320000", "320500")
    assert {each["field"] for each in answer["facets"]} == set(answer["tree"])


async def test_the_same_question_by_post(client: ClientSession, service: FakeService) -> None:
    body = {"q": "运河", "limit": 3, "without": ["sound"]}
    async with client.post("/api/v1/catalogue", json=body) as response:
        assert response.status == 200
    (_, question, _) = service.calls[-1]
    assert (question.text, question.limit, question.without) == ("运河", 3, ("sound",))


@pytest.mark.parametrize("body", [{}, {"q": "运河", "view": "lines"}, {"q": "运河", "limit": 0}])
async def test_what_is_no_question_is_refused(client: ClientSession, body: dict[str, str]) -> None:
    async with client.post("/api/v1/catalogue", json=body) as response:
        assert response.status == 400


async def test_without_a_question_the_page_shows_every_record(
    client: ClientSession, service: FakeService
) -> None:
    page = await read(client, "/catalogue")
    (_, question, _) = service.calls[-1]
    assert (question.text, question.facets) == (EVERY_RECORD, True)
    assert [part.field for part in parts_of(EVERY_RECORD)] == ["rights"]
    assert TITLES[YEARBOOK][0] in page.text
    assert "/api/v1/catalogue/export?format=csv" in links(page)
    narrowed = [link for link in links(page) if link.startswith("/catalogue?q=")]
    assert narrowed
    assert not [link for link in narrowed if EVERY_RECORD in link]


async def test_a_facet_narrows_the_question_down(client: ClientSession) -> None:
    page = await read(client, "/catalogue?q=运河")
    assert "/catalogue?q=运河 类型:旧志" in links(page)
    assert "编纂单位张家港市地方志编纂委员会" in "".join(page.text.split())
