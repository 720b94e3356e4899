from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import ClientSession

from node.office.answers import Asker
from tests.fake_service import BOOK, TOKENS, FakeService

CLERK = TOKENS["clerk-token"]
REPORT: dict[str, Any] = {
    "record": {"title": "样书"},
    "rights": "open",
    "files": [{"path": "a.pdf", "size": 3_000_000}],
}
CHANGES = [
    ("POST", "/api/v1/reports"),
    ("GET", "/api/v1/reports/r1"),
    ("DELETE", "/api/v1/reports/r1"),
    ("POST", "/api/v1/reports/r1/submit"),
    ("POST", f"/api/v1/items/{BOOK}/review"),
    ("POST", f"/api/v1/items/{BOOK}/withdraw"),
    ("POST", "/api/v1/operate/doctor"),
]


@pytest.mark.parametrize(("method", "path"), CHANGES)
async def test_the_public_changes_nothing(
    client: ClientSession, service: FakeService, method: str, path: str
) -> None:
    response = await client.request(method, path, json={})
    assert response.status == 401
    assert service.calls == []
    assert service.received == {}


async def test_a_report_is_begun_looked_at_and_submitted(
    clerk: ClientSession, service: FakeService
) -> None:
    begun = await clerk.post("/api/v1/reports", json=REPORT)
    assert begun.status == 201
    assert service.calls == [("begin", REPORT, CLERK)]
    listed = [{"path": "a.pdf", "size": 3_000_000, "offset": 0}]
    assert (await begun.json())["files"] == listed
    assert (await (await clerk.get("/api/v1/reports/r1")).json())["files"] == listed
    done = await (await clerk.post("/api/v1/reports/r1/submit", json={"confirm": True})).json()
    assert done["item"] == BOOK
    assert service.calls[-1] == ("submit", "r1", True)
    assert (await clerk.delete("/api/v1/reports/r1")).status == 204
    assert service.received == {}


async def test_a_question_comes_before_a_report(clerk: ClientSession) -> None:
    near = REPORT | {"record": {"title": "相近"}}
    asked = await clerk.post("/api/v1/reports", json=near)
    assert (asked.status, (await asked.json())["status"]) == (200, "question")
    assert (await clerk.post("/api/v1/reports", json=near | {"confirm": True})).status == 201


@pytest.mark.parametrize(
    "change",
    [
        {"files": []},
        {"files": [{"path": "a"}]},
        {"files": [{"path": 1, "size": 1}]},
        {"files": [{"path": "a", "size": -1}]},
        {"files": [{"path": "a", "size": True}]},
        {"files": [{"path": "a", "size": 1, "modified": "today"}]},
        {"files": [{"path": "a", "size": 1, "strange": 1}]},
        {"confirm": "yes"},
        {"record": {"title": 1}},
        {"rights": None},
        {"office": 320500},
        {"strange": 1},
    ],
)
async def test_a_report_of_another_shape_is_refused(
    clerk: ClientSession, service: FakeService, change: dict[str, Any]
) -> None:
    response = await clerk.post("/api/v1/reports", json=REPORT | change)
    assert response.status == 400
    assert service.calls == []


async def test_a_rejected_report_says_why(clerk: ClientSession) -> None:
    response = await clerk.post("/api/v1/reports/r2/submit", json={})
    assert response.status == 422
    document = await response.json(content_type=None)
    assert document["findings"][0]["code"] == "P001"


async def test_review_and_withdrawal(clerk: ClientSession, service: FakeService) -> None:
    path = f"/api/v1/items/{BOOK}"
    assert (await clerk.post(f"{path}/review", json={"verdict": "pass"})).status == 200
    returned = {"verdict": "return", "reason": "缺页", "as": "01ab"}
    assert (await clerk.post(f"{path}/review", json=returned)).status == 200
    assert (await clerk.post(f"{path}/withdraw", json={"reason": "侵权"})).status == 200
    assert service.calls == [
        ("review", BOOK, "pass", "", "", CLERK),
        ("review", BOOK, "return", "缺页", "01ab", CLERK),
        ("withdraw", BOOK, "侵权", "", CLERK),
    ]


@pytest.mark.parametrize(
    ("action", "body"),
    [
        ("review", {"verdict": "return"}),
        ("review", {"verdict": "return", "reason": "  "}),
        ("review", {"verdict": "maybe"}),
        ("review", {"verdict": ["pass"]}),
        ("withdraw", {}),
        ("withdraw", {"reason": "长" * 2001}),
    ],
)
async def test_a_verdict_needs_its_reason(
    clerk: ClientSession, service: FakeService, action: str, body: dict[str, Any]
) -> None:
    assert (await clerk.post(f"/api/v1/items/{BOOK}/{action}", json=body)).status == 400
    assert service.calls == []


async def test_the_socket_has_every_right(
    open_client: Callable[..., Awaitable[ClientSession]], service: FakeService
) -> None:
    local = await open_client(trusted=True)
    assert (await local.post("/api/v1/reports", json=REPORT)).status == 201
    assert service.calls[0][2] == Asker("administrator", "*")
    assert (await local.post("/api/v1/operate/doctor", json={})).status == 200


async def lines(client: ClientSession, command: str, arguments: dict[str, Any]) -> list[Any]:
    response = await client.post(f"/api/v1/operate/{command}", json=arguments)
    assert response.status == 200
    assert response.content_type == "application/x-ndjson"
    return [json.loads(line) for line in (await response.text()).splitlines()]


async def test_an_operation_tells_how_far_it_is(administrator: ClientSession) -> None:
    told = await lines(administrator, "export", {})
    assert told[0] == {"progress": {"doing": "logs", "done": 1, "total": 2}}
    assert told[-1] == {"result": {"files": 9}}
    assert await lines(administrator, "doctor", {}) == [{"result": {"well": True}}]


async def test_an_operation_that_fails_on_the_way_says_so(administrator: ClientSession) -> None:
    told = await lines(administrator, "export", {"fail": True})
    assert told[-1]["problem"]["code"] == "unavailable"


async def test_an_operation_refused_at_once_is_an_ordinary_problem(
    administrator: ClientSession, clerk: ClientSession
) -> None:
    assert (await administrator.post("/api/v1/operate/dance", json={})).status == 404
    assert (await clerk.post("/api/v1/operate/doctor", json={})).status == 403


async def test_an_operation_ends_with_its_caller(
    administrator: ClientSession, service: FakeService
) -> None:
    response = await administrator.post("/api/v1/operate/forever", json={})
    await response.content.readline()
    response.close()
    async with asyncio.timeout(5):
        while not service.cancelled:
            await asyncio.sleep(0.02)
