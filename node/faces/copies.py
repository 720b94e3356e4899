"""Copies as people see them: the report on fixity (完整性报告), receipts (入库回执)."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Final

from aiohttp import web

from node.faces.asking import asker_of, item_in, service_of
from node.faces.portal import office_names, render
from node.office.fixity import FixityAnswer
from protocol.errors import FangzhiError

SECONDS_OF_DAY: Final = 86_400
COLUMNS: Final = (
    ("机构代码", "office"),
    ("机构", "name"),
    ("保存件数", "items"),
    ("字节数", "bytes"),
    ("抽验次数", "asked"),
    ("通过", "passed"),
    ("不符", "failed"),
    ("未答", "silent"),
    ("最近抽验", "last"),
    ("修复次数", "repaired"),
)


async def fixity_document(request: web.Request) -> web.Response:
    """GET /api/v1/fixity"""
    return web.json_response(asdict(await service_of(request).fixity()))


async def fixity_table(request: web.Request) -> web.Response:
    """GET /fixity.csv: a line for each holder, as spreadsheets read it."""
    answer = await service_of(request).fixity()
    headers = {"Content-Disposition": 'attachment; filename="fixity.csv"'}
    return web.Response(body=as_csv(answer), content_type="text/csv", headers=headers)


async def fixity_page(request: web.Request) -> web.Response:
    """GET /fixity"""
    answer = await service_of(request).fixity()
    values = {"answer": answer, "names": office_names(request), "day": _day}
    return render(request, "fixity.html", values)


async def receipt_document(request: web.Request) -> web.Response:
    """GET /api/v1/items/{item}/receipt: the file that ``fangzhi verify`` checks offline."""
    body = await service_of(request).receipt(item_in(request))
    headers = {"Content-Disposition": f'attachment; filename="{item_in(request)}.receipt.json"'}
    return web.Response(body=body, content_type="application/json", headers=headers)


async def receipt_page(request: web.Request) -> web.Response:
    """GET /items/{item}/receipt: for paper; the title only for whom it is."""
    item, service = item_in(request), service_of(request)
    received = await service.read_receipt(item)
    try:
        title = service.item(item, asker_of(request)).line.title
    except FangzhiError:
        title = ""
    return render(
        request,
        "receipt.html",
        {"received": received, "title": title, "names": office_names(request)},
        script="print.js",
    )


def as_csv(answer: FixityAnswer) -> bytes:
    """The holders of a report; with a byte order mark, which spreadsheets want."""
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow([f"{zh} {en}" for zh, en in COLUMNS])
    for line in answer.holders:
        silent = line.asked - line.passed - line.failed
        table.writerow(
            (
                *(line.office, line.name, line.items, line.file_bytes),
                *(line.asked, line.passed, line.failed, silent),
                *(_day(line.last_day), line.repaired),
            )
        )
    return text.getvalue().encode("utf-8-sig")


def _day(days: int) -> str:
    return datetime.fromtimestamp(days * SECONDS_OF_DAY, UTC).strftime("%Y-%m-%d") if days else ""


def routes() -> list[web.RouteDef]:
    return [
        web.get("/api/v1/fixity", fixity_document),
        web.get("/fixity.csv", fixity_table),
        web.get("/fixity", fixity_page),
        web.get("/api/v1/items/{item}/receipt", receipt_document),
        web.get("/items/{item}/receipt", receipt_page),
    ]
