"""Checks of PDF by PDFium.  PDFium reads hostile bytes in C++: nodes run this in the worker only.

Looked at: whether it opens and is whole, its pages, the resolution at which every image stands on
its page, embedded fonts, and the text layer of every page.
"""

from __future__ import annotations

import ctypes
import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final

import pypdfium2
import pypdfium2.raw as pdfium
from pypdfium2 import PdfDocument, PdfiumError

from node.hands.ingest.findings import Finding, Inspection, finding
from node.hands.ingest.formats import PDF
from node.hands.ingest.text import settle
from protocol.limits import PAGES_PER_ITEM_MAX, MiB
from protocol.records import PageText

DPI_MIN: Final = 300
_TAIL_BYTES: Final = 1024  # readers look for %%EOF that far from the end
_MENDED_BYTES_MAX: Final = 64 * MiB  # PDFium searches all of a file without an end, for minutes
_POINTS_PER_INCH: Final = 72
_PICTURE_PIXELS_MIN: Final = 8  # along either side
_FONTS_SHOWN: Final = 5
_FONT_TAG = re.compile(r"^[A-Z]{6}\+")
# A sound document without pages does not open and leaves the last error as it was.
_NO_NEW_ERROR: Final = pdfium.FPDF_ERR_FILE
_CANNOT_OPEN: Final = {pdfium.FPDF_ERR_PASSWORD: "Q104", _NO_NEW_ERROR: "Q103"}
_OBJECT_TYPES: Final = (pdfium.FPDF_PAGEOBJ_IMAGE, pdfium.FPDF_PAGEOBJ_TEXT)


@dataclass(slots=True)
class _Seen:
    """What was seen while the pages were walked, by page number (from 1)."""

    coarse: dict[int, int] = field(default_factory=dict)  # page -> lowest DPI below the least
    loose_fonts: dict[str, None] = field(default_factory=dict)
    loose_font_pages: list[int] = field(default_factory=list)
    silent: list[int] = field(default_factory=list)  # pages without text
    broken: list[int] = field(default_factory=list)


def inspect_pdf(path: str, name: str) -> Inspection:
    """What is known of the PDF file at ``path``, called ``name`` in its package.

    Raises:
        OSError: the file cannot be read.
    """
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        found = [] if _has_end_mark(file, size) else [finding("Q102", name)]
    if found and size > _MENDED_BYTES_MAX:
        return _result(found, None, 0)
    pdfium.FPDF_LoadDocument(b"", None)  # no such file: sets _NO_NEW_ERROR
    try:
        document = PdfDocument(path)
    except PdfiumError as error:
        code = _CANNOT_OPEN.get(error.err_code, "Q101")
        return _result([*found, finding(code, name)], None, 0)
    with document:
        count = len(document)
        if pdfium.FPDF_GetSecurityHandlerRevision(document) >= 0:
            found.append(finding("Q105", name))
        if count == 0:
            return _result([*found, finding("Q103", name)], None, 0)
        if count > PAGES_PER_ITEM_MAX:
            found.append(finding("Q208", name, limit=PAGES_PER_ITEM_MAX))
            return _result(found, None, count)
        seen = _Seen()
        pages, about_text = settle(name, _walk(document, seen))
    found += [*_judge(seen, name, count), *about_text]
    return _result(found, pages if len(seen.silent) < count else None, count)


def _walk(document: PdfDocument, seen: _Seen) -> Iterator[PageText]:
    """The text of every page, in order, while ``seen`` fills."""
    for number in range(1, len(document) + 1):
        try:
            page = document[number - 1]
        except PdfiumError:
            seen.broken.append(number)
            seen.silent.append(number)
            yield PageText(str(number), "", "", "")
            continue
        _look_at_objects(page, number, seen)
        textpage = page.get_textpage()
        # PDFium ends lines with CR LF; these are its own, not the author's.
        text = textpage.get_text_range(errors="surrogatepass").replace("\r\n", "\n")
        if not text.strip():
            seen.silent.append(number)
        textpage.close()
        page.close()
        yield PageText(str(number), "", text, "")


def _look_at_objects(page: pypdfium2.PdfPage, number: int, seen: _Seen) -> None:
    fonts: set[int] = set()
    for thing in page.get_objects(filter=_OBJECT_TYPES):
        if thing.type == pdfium.FPDF_PAGEOBJ_IMAGE:
            dpi = _dpi(thing)
            if dpi is not None and dpi < DPI_MIN:
                seen.coarse[number] = min(dpi, seen.coarse.get(number, dpi))
            continue
        raw = pdfium.FPDFTextObj_GetFont(thing)
        address = ctypes.cast(raw, ctypes.c_void_p).value
        if address is None or address in fonts:
            continue
        fonts.add(address)
        if pdfium.FPDFFont_GetIsEmbedded(raw) == 0:
            seen.loose_fonts[_font_name(raw)] = None
            if seen.loose_font_pages[-1:] != [number]:
                seen.loose_font_pages.append(number)


def _dpi(image: Any) -> int | None:
    """Dots per inch along the coarser side as it stands on the page, through all enclosing forms;
    None when it is a stroke or a spacer rather than a picture."""
    matrix, container = image.get_matrix(), image.container
    while container is not None:
        matrix, container = matrix.multiply(container.get_matrix()), container.container
    width, height = math.hypot(matrix.a, matrix.b), math.hypot(matrix.c, matrix.d)
    columns, rows = image.get_px_size()
    if min(columns, rows) < _PICTURE_PIXELS_MIN or not (width > 0 and height > 0):
        return None
    dots_per_point: float = min(columns / width, rows / height)
    return round(dots_per_point * _POINTS_PER_INCH)


def _font_name(raw: Any) -> str:
    size = pdfium.FPDFFont_GetBaseFontName(raw, None, 0)
    buffer = ctypes.create_string_buffer(max(size, 1))
    pdfium.FPDFFont_GetBaseFontName(raw, buffer, size)
    try:
        name = buffer.value.decode()
    except UnicodeDecodeError:
        name = buffer.value.decode("gb18030", errors="replace")  # as Chinese Windows wrote them
    return _FONT_TAG.sub("", name) or "?"


def _judge(seen: _Seen, name: str, count: int) -> Iterator[Finding]:
    if seen.broken:
        yield finding("Q110", name, seen.broken)
    if seen.coarse:
        dpi = min(seen.coarse.values())
        yield finding("Q106", name, list(seen.coarse), dpi_min=DPI_MIN, dpi=dpi)
    if seen.loose_fonts:
        fonts = list(seen.loose_fonts)
        shown = ", ".join(fonts[:_FONTS_SHOWN] + ["…"] * (len(fonts) > _FONTS_SHOWN))
        yield finding("Q107", name, seen.loose_font_pages, fonts=shown)
    if len(seen.silent) == count:
        yield finding("Q108", name)
    elif seen.silent:
        yield finding("Q109", name, seen.silent)


def _has_end_mark(file: BinaryIO, size: int) -> bool:
    file.seek(max(0, size - _TAIL_BYTES))
    return b"%%EOF" in file.read(_TAIL_BYTES)


def _result(
    found: list[Finding], pages: tuple[PageText, ...] | None, page_count: int
) -> Inspection:
    return Inspection(PDF.media_type, PDF.role, tuple(found), pages, page_count)
