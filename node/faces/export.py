"""Search results as files: CSV for a spreadsheet, JSON Lines for a program; every line with what
proves it, the last line a receipt."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import asdict
from typing import Final

from node.faces.service import Json
from node.office.answers import ExportLine, ExportReceipt

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
_BOM: Final = "\ufeff"  # spreadsheets take a CSV file for UTF-8 only with it
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def export_row(line: ExportLine) -> Json:
    """One line as it travels; ``proof`` is where this node proves the page."""
    hit = line.hit
    known = {**asdict(hit), **asdict(line)}
    known["found"] = " ".join(dict.fromkeys(each.found for each in hit.reasons if each.found))
    known["proof"] = f"/api/v1/items/{hit.item}/pages/{hit.seq}/proof"
    return {name: known[name] for name in COLUMNS}


def receipt_row(receipt: ExportReceipt) -> Json:
    return {"receipt": asdict(receipt)}


def cell_text(value: object) -> str:
    """A cell that no spreadsheet takes for a formula."""
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


async def as_csv(lines: AsyncIterator[ExportLine | ExportReceipt]) -> AsyncIterator[str]:
    """A header, a row for each hit, and a last row: ``receipt`` and its JSON."""
    yield _BOM + _csv_row(COLUMNS)
    async for line in lines:
        if isinstance(line, ExportLine):
            yield _csv_row([cell_text(value) for value in export_row(line).values()])
        else:
            yield _csv_row(["receipt", json.dumps(asdict(line), ensure_ascii=False)])


async def as_jsonl(lines: AsyncIterator[ExportLine | ExportReceipt]) -> AsyncIterator[str]:
    """An object a line; the last one has the one member ``receipt``."""
    async for line in lines:
        row = export_row(line) if isinstance(line, ExportLine) else receipt_row(line)
        yield json.dumps(row, ensure_ascii=False) + "\n"


WRITERS: Final[
    dict[str, tuple[str, Callable[[AsyncIterator[ExportLine | ExportReceipt]], AsyncIterator[str]]]]
] = {
    "csv": ("text/csv", as_csv),
    "jsonl": ("application/jsonl", as_jsonl),
}


def _csv_row(cells: Iterable[object]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow(cells)
    return out.getvalue()
