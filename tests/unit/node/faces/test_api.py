from __future__ import annotations

import pytest
from aiohttp import ClientSession

from node.office.answers import Question
from protocol.limits import QUERY_CHARS_MAX
from tests.fake_service import (
    BOOK,
    HIDDEN,
    MANIFEST,
    OPEN_SHA,
    TITLES,
    FakeService,
    item_id,
)

SEARCH_KEYS = {"query", "total", "total_is_exact", "hits", "coverage", "took_ms"}
HIT_KEYS = {"office", "item", "title", "page", "snippet", "matched_by", "score", "file"}
COVERAGE_KEYS = {"asked", "answered", "missing"}


async def problem(response: object, status: int, code: str) -> dict[str, object]:
    assert response.status == status, await response.text()  # type: ignore[attr-defined]
    assert response.content_type == "application/problem+json"  # type: ignore[attr-defined]
    document = await response.json(content_type=None)  # type: ignore[attr-defined]
    assert document["code"] == code
    assert document["status"] == status
    return dict(document)


async def test_the_search_answer_has_the_stable_keys(client: ClientSession) -> None:
    response = await client.get("/api/v1/search", params={"q": " 运河 ", "limit": "2"})
    answer = await response.json()
    assert set(answer) == SEARCH_KEYS | {
        "without",
        "near_total",
        "facets",
        "notes",
        "did_you_mean",
        "next",
        "previous",
        "gone",
        "epoch",
        "explanation",
    }
    assert set(answer["hits"][0]) == HIT_KEYS | {
        "log_index",
        "office_name",
        "section",
        "highlights",
        "seq",
        "public",
        "witnessed_by",
        "reasons",
        "lines",
    }
    assert set(answer["coverage"]) == COVERAGE_KEYS | {"sources", "lagging"}
    assert answer["query"] == "运河"
    assert len(answer["hits"]) == 2
    assert answer["coverage"]["asked"] == 109


async def test_a_long_query_may_be_posted(client: ClientSession) -> None:
    body = {"q": "运" * 200, "without": ["pinyin"], "limit": 1.0, "facets": True}
    answer = await (await client.post("/api/v1/search", json=body)).json()
    assert len(answer["hits"]) == 1
    assert answer["without"] == ["pinyin"]
    assert answer["facets"][0] == {"field": "place", "value": "320000", "count": 31}


async def test_an_address_says_all_that_a_body_can(
    client: ClientSession, service: FakeService
) -> None:
    address = "/api/v1/search?q=运&without=sound&without=year&page=second&facets=1&explain=1"
    answer = await (await client.get(f"{address}&view=lines&limit=3&lang=en")).json()
    body = {"q": "运", "without": ["year", "sound"], "page": "second", "facets": True}
    body |= {"explain": True, "view": "lines", "limit": 3}
    assert await (await client.post("/api/v1/search", json=body)).json() == answer
    asked, again = (call[1] for call in service.calls)
    assert asked == again == Question("运", ("year", "sound"), 3, "second", True, "lines", True)
    assert answer["explanation"]["shards"][0]["office"] == "320582"


async def test_editions_come_with_the_places_of_their_hits(client: ClientSession) -> None:
    params = {"q": "运河", "view": "editions"}
    answer = await (await client.get("/api/v1/search", params=params)).json()
    work = next(work for work in answer["works"] if len(work["editions"]) > 1)
    assert work["title"] == "常昭合志"
    for edition in work["editions"]:
        assert {answer["hits"][at]["item"] for at in edition["hits"]} == {edition["item"]}
    assert [edition["marks"]["edition"] for edition in work["editions"]] == [
        "光绪三十年刻本",
        "点校本",
    ]
    assert "works" not in await (await client.get("/api/v1/search", params={"q": "运"})).json()


async def test_what_would_be_found_is_told_to_those_who_ask(client: ClientSession) -> None:
    params = {"q": "无此 运河", "alternatives": "1"}
    answer = await (await client.get("/api/v1/search", params=params)).json()
    assert answer["total"] == 0
    assert [(other["why"], other["q"]) for other in answer["alternatives"]] == [
        ("meant", "运河"),
        ("word", "运河"),
    ]
    for params in ({"q": "无此"}, {"q": "运河", "alternatives": "1"}):
        answer = await (await client.get("/api/v1/search", params=params)).json()
        assert "alternatives" not in answer


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"q": "   "},
        {"q": "运" * (QUERY_CHARS_MAX + 1)},
        {"q": "运" * 10_000},
        {"q": "运", "view": "magic"},
        {"q": "运", "without": "literal"},
        {"q": "运", "facets": "2"},
        {"q": "运", "page": "x" * 70_000},
        {"q": "运", "limit": "0"},
        {"q": "运", "limit": "101"},
        {"q": "运", "limit": "٣"},
    ],
)
async def test_what_is_not_a_query_is_refused_in_words(
    client: ClientSession, params: dict[str, str]
) -> None:
    document = await problem(await client.get("/api/v1/search", params=params), 400, "wire.decode")
    assert document["where"] in ("q", "view", "limit", "without", "facets", "page")


@pytest.mark.parametrize("query", ["志", "😀", "𠮷𪚥", "'\"<>", "a\u0000b"])
async def test_strange_queries_are_queries(client: ClientSession, query: str) -> None:
    answer = await (await client.post("/api/v1/search", json={"q": query})).json()
    assert answer["query"] == query


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"q": "a", "x": 1}',
        b'{"q": NaN}',
        b'{"q": "a", "without": "year"}',
        b'{"q": "\\ud800"}',
        b"[" * 9000,
    ],
)
async def test_bodies_that_are_no_request(client: ClientSession, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    response = await client.post("/api/v1/search", data=body, headers=headers)
    await problem(response, 400, "wire.decode")


async def test_a_body_that_is_too_large(client: ClientSession) -> None:
    response = await client.post("/api/v1/search", json={"q": "a" * 2_000_000})
    await problem(response, 413, "wire.decode")


async def test_items_come_part_by_part(client: ClientSession) -> None:
    seen: list[str] = []
    after: dict[str, str] | None = {}
    while after is not None:
        params = {"office": "320582", "limit": "2"} | after
        answer = await (await client.get("/api/v1/items", params=params)).json()
        seen += [line["item"] for line in answer["items"]]
        after = {"after": answer["next"]} if answer["next"] else None
    assert seen == [item for item in TITLES if item != HIDDEN]


async def test_an_item_and_its_page(client: ClientSession) -> None:
    item = await (await client.get(f"/api/v1/items/{BOOK}")).json()
    assert item["line"]["title"] == TITLES[BOOK][0]
    assert item["events"][0]["kind"] == "version.upload"
    page = await (await client.get(f"/api/v1/items/{BOOK}/pages/2")).json()
    assert "张家港河" in page["text"]
    await problem(await client.get(f"/api/v1/items/{BOOK}/pages/9"), 404, "store.missing")
    await problem(await client.get(f"/api/v1/items/{BOOK}/pages/0"), 400, "wire.decode")


async def test_a_mistyped_item_is_named_as_such(client: ClientSession) -> None:
    wrong = BOOK[:-1] + ("0" if BOOK[-1] != "0" else "1")
    document = await problem(await client.get(f"/api/v1/items/{wrong}"), 404, "store.missing")
    assert "mistyped" in str(document["expected"])
    unknown = item_id(99)
    await problem(await client.get(f"/api/v1/items/{unknown}"), 404, "store.missing")


async def test_rights_are_asked_with_the_askers_name(
    client: ClientSession, clerk: ClientSession
) -> None:
    await problem(await client.get(f"/api/v1/items/{HIDDEN}"), 403, "forbidden")
    assert (await clerk.get(f"/api/v1/items/{HIDDEN}")).status == 200


@pytest.mark.parametrize(
    "header", ["Bearer wrong", "Bearer", "Basic YTpi", "Bearer 志", "Bearer " + "x" * 500]
)
async def test_bad_credentials_are_refused_even_for_reading(
    client: ClientSession, header: str
) -> None:
    response = await client.get("/api/v1/items", headers={"Authorization": header})
    await problem(response, 401, "wire.auth")
    assert response.headers["WWW-Authenticate"] == "Bearer"


async def test_manifests_records_offices_status(client: ClientSession) -> None:
    assert await (await client.get(f"/api/v1/manifests/{MANIFEST}")).json() == {"title": "样"}
    answer = await (await client.get(f"/api/v1/files/{OPEN_SHA}/records")).json()
    assert answer["records"] == [
        {"office": "320582", "log_index": 17, "manifest": MANIFEST, "item": BOOK}
    ]
    offices = (await (await client.get("/api/v1/offices")).json())["offices"]
    assert len(offices) == 109
    status = await (await client.get("/api/v1/status")).json()
    assert status["logs"]["320500"] == [42, 42]


async def test_unavailable_says_when_to_come_back(client: ClientSession) -> None:
    response = await client.get("/api/v1/search", params={"q": "过载"})
    await problem(response, 503, "unavailable")
    assert response.headers["Retry-After"] == "2"


async def test_unknown_addresses_and_methods(client: ClientSession) -> None:
    await problem(await client.get("/api/v1/nothing"), 404, "store.missing")
    response = await client.delete("/api/v1/status")
    await problem(response, 405, "wire.decode")
    assert "GET" in response.headers["Allow"]


async def test_a_fault_tells_nothing_of_the_inside(
    client: ClientSession, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(service, "offices", fail)
    response = await client.get("/api/v1/offices")
    document = await problem(response, 500, "error")
    assert "secret" not in str(document)


async def test_every_answer_carries_the_headers_that_protect_readers(
    client: ClientSession,
) -> None:
    for path in ("/", "/api/v1/status", "/nowhere", "/metrics"):
        headers = (await client.get(path)).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert ("script-src 'self';" in headers["Content-Security-Policy"]) == (path == "/")
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["Referrer-Policy"] == "same-origin"
        assert "Set-Cookie" not in headers


async def test_metrics_and_health(client: ClientSession) -> None:
    await client.get("/api/v1/status")
    text = await (await client.get("/metrics")).text()
    assert "fangzhi_refused_wire_auth_total 3.0" in text  # two names, one spelling: added up
    assert 'fangzhi_log_witnessed_size{office="320500"} 79.0' in text
    assert 'fangzhi_http_requests_total{route="/api/v1/status",status="200"} 1.0' in text
    assert "fangzhi_waiting_files 4.0" in text
    assert "process_resident_memory_bytes" in text
    assert await (await client.get("/healthz")).json() == {"ok": True}
