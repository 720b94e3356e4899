"""Search results as files: CSV for a spreadsheet, JSON Lines for a program; every line with what
proves it, the last line a receipt."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import asdict, replace
from typing import Final

from aiohttp import web

from node.faces.asking import (
    EVERY_RECORD,
    SEQ_MAX,
    asked_fields,
    asker_of,
    choice_field,
    integer,
    item_in,
    question_of,
    service_of,
)
from node.faces.service import Json
from node.office.answers import ExportHit, ExportReceipt, Question, RecordLine
from protocol.errors import FangzhiError
from protocol.records import RECORD_ELEMENTS

Line = ExportHit | ExportReceipt

FORMATS: Final = ("csv", "jsonl")
COLUMNS: Final = (
    "office",
    "office_name",
    "item",
    "title",
    "seq",
    "page",
    "section",
    "snippet",
    "matched_by",
    "found",
    "score",
    "file",
    "log_index",
    "event",
    "manifest",
    "pages",
    "pages_root",
    "pages_blob",
    "proof",
)
RECORD_COLUMNS: Final = (
    "office",
    "office_name",
    "item",
    *RECORD_ELEMENTS,
    "rights",
    "pages",
    "holders",
    "matched_by",
    "found",
    "score",
    "log_index",
    "event",
    "manifest",
    "proof",
)
_BOM: Final = "\ufeff"  # spreadsheets take a CSV file for UTF-8 only with it
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def export_row(line: ExportHit) -> Json:
    """One line as it travels; ``proof`` is where this node proves the page, or the record."""
    hit = line.hit
    known = {**asdict(hit), **asdict(line)}
    known["found"] = " ".join(dict.fromkeys(each.found for each in hit.reasons if each.found))
    if not isinstance(line, RecordLine):
        known["proof"] = f"/api/v1/items/{hit.item}/pages/{hit.seq}/proof"
        return {name: known[name] for name in COLUMNS}
    known |= {name: line.record.get(name, "") for name in RECORD_ELEMENTS}
    known |= {"holders": " ".join(line.holders), "proof": f"/api/v1/items/{hit.item}/proof"}
    return {name: known[name] for name in RECORD_COLUMNS}


def receipt_row(receipt: ExportReceipt) -> Json:
    return {"receipt": asdict(receipt)}


def cell_text(value: object) -> str:
    """A cell that no spreadsheet takes for a formula."""
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


async def as_csv(lines: AsyncIterator[Line], records: bool) -> AsyncIterator[str]:
    """A header, a row for each hit, and a last row: ``receipt`` and its JSON."""
    yield _BOM + _csv_row(RECORD_COLUMNS if records else COLUMNS)
    async for line in lines:
        if not isinstance(line, ExportReceipt):
            yield _csv_row([cell_text(value) for value in export_row(line).values()])
        else:
            yield _csv_row(["receipt", json.dumps(asdict(line), ensure_ascii=False)])


async def as_jsonl(lines: AsyncIterator[Line], _records: bool) -> AsyncIterator[str]:
    """An object a line; the last one has the one member ``receipt``."""
    async for line in lines:
        row = receipt_row(line) if isinstance(line, ExportReceipt) else export_row(line)
        yield json.dumps(row, ensure_ascii=False) + "\n"


_Writer = Callable[[AsyncIterator[Line], bool], AsyncIterator[str]]
WRITERS: Final[dict[str, tuple[str, _Writer]]] = {
    "csv": ("text/csv", as_csv),
    "jsonl": ("application/jsonl", as_jsonl),
}


def _csv_row(cells: Iterable[object]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow(cells)
    return out.getvalue()


async def export(request: web.Request) -> web.StreamResponse:
    """GET /api/v1/search/export?q=…&format=csv|jsonl; the view, the limit and the page of the
    question make no difference."""
    fields = asked_fields(request)
    question, _ = question_of(fields)
    return await _export(request, fields, question, "search")


async def export_records(request: web.Request) -> web.StreamResponse:
    """GET /api/v1/catalogue/export, likewise; without q every record."""
    fields = asked_fields(request)
    if not str(fields.get("q", "")).strip():
        fields["q"] = EVERY_RECORD
    question, _ = question_of(fields)
    return await _export(request, fields, replace(question, records=True), "catalogue")


async def _export(
    request: web.Request, fields: Json, question: Question, name: str
) -> web.StreamResponse:
    kind = choice_field({"format": "jsonl"} | fields, "format", FORMATS)
    found = service_of(request).export(question, asker_of(request))
    first = await anext(found)  # what cannot be searched is refused, not broken off
    media_type, write = WRITERS[kind]
    response = web.StreamResponse(
        headers={"Content-Disposition": f'attachment; filename="fangzhi-{name}.{kind}"'}
    )
    response.content_type, response.charset = media_type, "utf-8"
    await response.prepare(request)
    try:
        async for text in write(_all(first, found), question.records):
            # A lone surrogate has no form in UTF-8; so it is an escape in JSON, and says so in CSV.
            await response.write(text.encode("utf-8", "backslashreplace"))
        await response.write_eof()
    except FangzhiError:
        # The head is sent, so the reader can only be told by a cut, and by the missing receipt.
        if request.transport is not None:
            request.transport.abort()
    return response


async def _all(first: Line, rest: AsyncIterator[Line]) -> AsyncIterator[Line]:
    yield first
    async for line in rest:
        yield line


async def page_proof(request: web.Request) -> web.Response:
    """GET /api/v1/items/{item}/pages/{seq}/proof: what an exported line points at."""
    seq = integer(request.match_info["seq"], "page number", 1, SEQ_MAX)
    answer = await service_of(request).page_proof(item_in(request), seq)
    return web.json_response(asdict(answer))


async def lies(request: web.Request) -> web.Response:
    """GET /api/v1/search/lies: who was caught showing what does not stand in the signed text."""
    return web.json_response({"lies": [asdict(line) for line in service_of(request).lies()]})


def routes() -> list[web.RouteDef]:
    return [
        web.get("/api/v1/search/export", export),
        web.get("/api/v1/catalogue/export", export_records),
        web.get("/api/v1/search/lies", lies),
        web.get("/api/v1/items/{item}/pages/{seq}/proof", page_proof),
    ]
