"""The pages on copies: what a manager reads, what a spreadsheet reads, a receipt on paper."""

from __future__ import annotations

import csv
import io

import pytest
from aiohttp import ClientSession

ITEM = "320500-hmdpqf0nv5x2y"


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (
            "",
            (
                "127 / 128",
                "30 天内逐字节核验完好",
                "无一副本的条目：1",
                "没有其他机构有空间保存",
                "警报",
            ),
        ),
        ("?lang=en", ("127 / 128", "items without any copy: 1", "out of reach", "Alarm")),
    ],
)
async def test_the_report_says_denominators_and_reasons(
    client: ClientSession, query: str, words: tuple[str, ...]
) -> None:
    async with client.get(f"/fixity{query}") as answer:
        text = await answer.text()
        assert answer.status == 200
    assert [word for word in words if word not in text] == []
    assert "<地方志>" not in text


async def test_the_table_is_read_by_a_spreadsheet(client: ClientSession) -> None:
    async with client.get("/fixity.csv") as answer:
        data = await answer.read()
        assert answer.content_type == "text/csv"
    assert data.startswith(b"\xef\xbb\xbf")
    header, row = csv.reader(io.StringIO(data.decode("utf-8-sig")))
    assert len(header) == len(row) == 10
    assert row[4:8] == ["10", "7", "1", "2"]
    assert row[8] == "2024-10-04"


async def test_the_report_as_json(client: ClientSession) -> None:
    async with client.get("/api/v1/fixity") as answer:
        report = await answer.json()
    assert (report["checked"], report["files"], report["short"][0]["copies"]) == (127, 128, 2)


async def test_a_receipt_on_paper_and_one_that_is_not_there(client: ClientSession) -> None:
    async with client.get("/api/v1/items") as listed:
        item = (await listed.json())["items"][0]["item"]
    async with client.get(f"/items/{item}/receipt") as answer:
        text = await answer.text()
        assert answer.status == 200
    assert "版本资源入库回执" in text
    assert "加密" in text
    async with client.get(f"/api/v1/items/{item}/receipt") as answer:
        assert answer.status == 404
