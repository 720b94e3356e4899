from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from aiohttp import ClientError, ClientSession

from node.faces.asking import EVERY_RECORD
from node.faces.export import COLUMNS, RECORD_COLUMNS, cell_text
from tests.fake_service import BOOK, HIDDEN, HOSTILE, TITLES, FakeService


async def exported(client: ClientSession, **params: str) -> str:
    response = await client.get("/api/v1/search/export", params={"q": "运河", **params})
    assert response.status == 200
    kind = params.get("format", "jsonl")
    assert response.headers["Content-Disposition"].endswith(f'search.{kind}"')
    return (await response.read()).decode()


async def test_json_lines_have_every_hit_and_a_receipt(client: ClientSession) -> None:
    *lines, last = map(json.loads, (await exported(client)).splitlines())
    assert [line["title"] for line in lines].count(TITLES[BOOK][0]) == 4
    assert all(tuple(line) == COLUMNS for line in lines)
    assert lines[0]["proof"] == f"/api/v1/items/{BOOK}/pages/2/proof"
    assert (last["receipt"]["lines"], last["receipt"]["complete"]) == (len(lines), True)
    assert last["receipt"]["as_of"]["320582"] == 40


async def test_a_table_opens_in_a_spreadsheet_and_runs_nothing(client: ClientSession) -> None:
    text = await exported(client, format="csv")
    assert text.startswith("\ufeffoffice,office_name,")
    head, *rows, last = csv.reader(io.StringIO(text.removeprefix("\ufeff")))
    assert tuple(head) == COLUMNS
    assert HOSTILE in {row[head.index("title")] for row in rows}
    assert last[0] == "receipt"
    assert json.loads(last[1])["lines"] == len(rows)


async def test_records_are_exported_with_their_elements(
    client: ClientSession, service: FakeService
) -> None:
    address = "/api/v1/catalogue/export"
    text = await (await client.get(address, params={"q": "运河"})).text()
    *lines, last = map(json.loads, text.splitlines())
    assert all(tuple(line) == RECORD_COLUMNS for line in lines)
    assert (lines[0]["title"], lines[0]["kind"]) == (TITLES[BOOK][0], "旧志")
    assert lines[0]["proof"] == f"/api/v1/items/{lines[0]['item']}/proof"
    assert last["receipt"]["lines"] == len(lines)
    response = await client.get(address, params={"format": "csv"})
    assert 'filename="fangzhi-catalogue.csv"' in response.headers["Content-Disposition"]
    head, *rows, _ = csv.reader(io.StringIO((await response.text()).removeprefix("\ufeff")))
    assert tuple(head) == RECORD_COLUMNS
    assert {row[head.index("holders")] for row in rows} == {"320000 320500"}
    assert (service.calls[-1][1].text, service.calls[-1][1].records) == (EVERY_RECORD, True)


@pytest.mark.parametrize("text", ["=1+1", "+86", "-2", "@x", "\tx", "＝1"])
def test_formulas_are_text(text: str) -> None:
    assert cell_text(text) == f"'{text}"


@pytest.mark.parametrize(
    ("params", "status"),
    [({"q": ""}, 400), ({"format": "xlsx"}, 400), ({"without": "x"}, 400), ({"q": "过载"}, 503)],
)
async def test_what_cannot_be_exported_is_refused(
    client: ClientSession, params: dict[str, str], status: int
) -> None:
    asked = {"q": "运河", **params}
    response = await client.get("/api/v1/search/export", params=asked)
    assert response.status == status
    assert response.content_type == "application/problem+json"


async def test_an_export_that_breaks_off_is_cut(client: ClientSession) -> None:
    async def whole() -> bytes:
        async with client.get("/api/v1/search/export", params={"q": "断"}) as response:
            assert response.status == 200
            return await response.read()

    with pytest.raises(ClientError):
        await whole()


async def test_the_rules_switched_off_hold_for_the_export(
    client: ClientSession, service: FakeService
) -> None:
    await client.get("/api/v1/search/export?q=运&without=year&without=sound&lang=en&limit=3")
    assert service.calls[-1][1].without == ("year", "sound")


async def test_a_page_is_proven_to_anybody(client: ClientSession) -> None:
    response = await client.get(f"/api/v1/items/{BOOK}/pages/2/proof")
    proof: dict[str, Any] = await response.json()
    assert (proof["item"], proof["seq"]) == (BOOK, 2)
    assert len(proof["pages_root"]) == 64
    assert (await client.get(f"/api/v1/items/{HIDDEN}/pages/2/proof")).status == 403
    assert (await client.get(f"/api/v1/items/{BOOK}/pages/0/proof")).status == 400


async def test_who_was_caught_lying_is_named(client: ClientSession) -> None:
    (lie,) = (await (await client.get("/api/v1/search/lies")).json())["lies"]
    assert (lie["holder"], lie["office"], lie["seq"]) == ("320500", "320582", 2)
