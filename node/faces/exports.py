"""All hits of a question as a file: CSV for a table on a desk, JSON Lines for a program.

Lines go out as they are found; the last one is the receipt, so a file without it is not whole.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Final

from aiohttp import web

from node.faces.asking import asked_fields, asker_of, choice_field, question_of, service_of
from node.faces.wording import Wording
from node.office.answers import ExportLine, ExportReceipt
from protocol.errors import FangzhiError

COLUMNS: Final = (
    *("line", "office", "office_name", "title", "section", "page", "snippet", "matched", "item"),
    *("seq", "score", "public", "file", "log_index", "witnessed_by", "manifest", "event", "pages"),
    *("pages_root", "pages_blob"),
)
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would run what follows


Write = Callable[[int, ExportLine | ExportReceipt], str]


def csv_line(number: int, line: ExportLine | ExportReceipt) -> str:
    if isinstance(line, ExportReceipt):
        said = json.dumps(asdict(line), ensure_ascii=False)
        return _row(["receipt", *[""] * (COLUMNS.index("snippet") - 1), said])
    values = asdict(line.hit) | asdict(line)
    values |= {
        "line": number,
        "matched": Wording("zh").why(line.hit),
        "witnessed_by": " ".join(line.hit.witnessed_by),
    }
    return _row([values[name] for name in COLUMNS])


def json_line(_: int, line: ExportLine | ExportReceipt) -> str:
    told = asdict(line)
    if isinstance(line, ExportReceipt):
        told = {"receipt": told}
    return json.dumps(told, ensure_ascii=False) + "\n"


def _row(values: Iterable[object]) -> str:
    text = io.StringIO()
    cells = [f"'{cell}" if str(cell).startswith(_FORMULA) else cell for cell in values]
    csv.writer(text).writerow(cells)
    return text.getvalue()


# What a spreadsheet knows UTF-8 by, and the names of the columns.
CSV_HEAD: Final = "\ufeff" + _row(COLUMNS)
_WRITERS: Final[dict[str, tuple[str, str, Write]]] = {
    "csv": ("text/csv", CSV_HEAD, csv_line),
    "jsonl": ("application/jsonl", "", json_line),
}


async def export(request: web.Request) -> web.StreamResponse:
    """GET /api/v1/search/export?q=…&format=csv|jsonl"""
    fields = asked_fields(request)
    kind = choice_field({"format": "jsonl"} | fields, "format", tuple(_WRITERS))
    question, _ = question_of(fields)
    found = service_of(request).export(question, asker_of(request))
    first = await anext(found)  # what cannot be searched is refused, not broken off
    media_type, head, write = _WRITERS[kind]
    response = web.StreamResponse(
        headers={"Content-Disposition": f'attachment; filename="fangzhi-search.{kind}"'}
    )
    response.content_type, response.charset = media_type, "utf-8"
    await response.prepare(request)
    try:
        await response.write(_bytes(head + write(1, first)))
        number = 1
        async for line in found:
            number += 1
            await response.write(_bytes(write(number, line)))
        await response.write_eof()
    except FangzhiError:
        # The head is sent, so the reader can only be told by a cut, and by the missing receipt.
        if request.transport is not None:
            request.transport.abort()
    return response


def _bytes(text: str) -> bytes:
    """In JSON an escape, elsewhere a text: a lone surrogate has no form in UTF-8."""
    return text.encode("utf-8", "backslashreplace")


def routes() -> list[web.RouteDef]:
    return [web.get("/api/v1/search/export", export)]
