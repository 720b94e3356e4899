"""Every rule can be broken: a bad sample for each code, and the strictness of the table itself."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pypdfium2
import pytest

from node.hands.ingest import findings
from node.hands.ingest.carriers.reading import read_package
from node.hands.ingest.findings import Finding, finding, page_ranges, parse_rules
from node.hands.ingest.inspect import inspect_file
from node.hands.ingest.orders import failed
from node.hands.ingest.package import check_package
from node.hands.ingest.text import settle
from protocol.errors import ConfigError
from protocol.limits import (
    FILE_BYTES_MAX,
    FILES_PER_PACKAGE_MAX,
    PACKAGE_BYTES_MAX,
    PAGE_CHARS_MAX,
    PAGES_PER_ITEM_MAX,
    RECORD_ELEMENT_CHARS_MAX,
    TEXT_BYTES_MAX,
)
from protocol.records import PageText

GOOD = {"title": "沭阳县志"}
ONE = [("a.pdf", 1)]
TEXT = "沭阳县位于江苏省北部，沂河、沭河流经其境。"


def a_pdf(*texts: str, dpi: int = 0, font: str = "Helvetica") -> bytes:
    """A PDF written by hand: a page for each text ("" for a page without any), and on page 1, if
    ``dpi`` is given, a picture of one square inch."""
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b""]
    objects.append(f"<< /Type /Font /Subtype /Type1 /BaseFont /{font} >>".encode())
    side = dpi or 1
    objects.append(
        f"<< /Type /XObject /Subtype /Image /Width {side} /Height {side} /BitsPerComponent 8 "
        f"/ColorSpace /DeviceGray /Length {side * side} >>\nstream\n".encode()
        + bytes(side * side)
        + b"\nendstream"
    )
    kids = []
    for number, text in enumerate(texts):
        content = f"BT /F 12 Tf 20 20 Td ({text}) Tj ET".encode() if text else b""
        if dpi and number == 0:
            content += b" q 72 0 0 72 50 50 cm /I Do Q"
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content))
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 300] /Contents %d 0 R "
            b"/Resources << /Font << /F 3 0 R >> /XObject << /I 4 0 R >> >> >>" % len(objects)
        )
        kids.append(b"%d 0 R" % len(objects))
    objects[1] = b"<< /Type /Pages /Kids [%s] /Count %d >>" % (b" ".join(kids), len(kids))
    return assemble(objects)


def assemble(objects: list[bytes], trailer: bytes = b"") -> bytes:
    out = io.BytesIO()
    out.write(b"%PDF-1.7\n")
    offsets = []
    for number, body in enumerate(objects, start=1):
        offsets.append(out.tell())
        out.write(b"%d 0 obj\n%s\nendobj\n" % (number, body))
    start = out.tell()
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    out.writelines(b"%010d 00000 n \n" % offset for offset in offsets)
    out.write(b"trailer\n<< /Root 1 0 R /Size %d %s >>\n" % (len(objects) + 1, trailer))
    out.write(b"startxref\n%d\n%%%%EOF\n" % start)
    return out.getvalue()


def locked_pdf(password: str) -> bytes:
    from fpdf import FPDF

    pdf = FPDF()
    pdf.add_page()
    pdf.set_encryption(owner_password="owner", user_password=password)
    return bytes(pdf.output())


def zipped() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.txt", "a")
    return out.getvalue()


def many_pages() -> str:
    return "\f" * (PAGES_PER_ITEM_MAX + 1) + "x"


FILES: dict[str, tuple[str, bytes]] = {
    "Q001": ("a.pdf", b""),
    "Q003": ("a.jpg", b"\x89PNG\r\n\x1a\n"),
    "Q004": ("a.pdf", b"nothing of the kind"),
    "Q005": ("a.zip", zipped()),
    "Q006": ("a.bin", b"\1\2\3"),
    "Q101": ("a.pdf", b"%PDF-1.7\nand then nothing\n%%EOF"),
    "Q102": ("a.pdf", a_pdf("one")[:-200]),
    "Q103": ("a.pdf", a_pdf()),
    "Q104": ("a.pdf", locked_pdf("secret")),
    "Q105": ("a.pdf", locked_pdf("")),
    "Q106": ("a.pdf", a_pdf("one", dpi=72)),
    "Q107": ("a.pdf", a_pdf("one", font="STSong-Light")),
    "Q108": ("a.pdf", a_pdf("", "")),
    "Q109": ("a.pdf", a_pdf("one", "")),
    "Q201": ("a.txt", TEXT.encode("gb18030")),
    "Q202": ("a.txt", "café crème".encode("latin-1")),
    "Q203": ("a.txt", TEXT.encode() + b"\0"),
    "Q204": ("a.txt", f"{TEXT}\ue000".encode()),
    "Q205": ("a.pages.jsonl", b'{"page":"1","section":"","text":"\\ud800"}'),
    "Q206": ("a.txt", b" " * (TEXT_BYTES_MAX + 1)),
    "Q207": ("a.txt", b"x" * (PAGE_CHARS_MAX + 1)),
    "Q208": ("a.txt", many_pages().encode()),
    "Q209": ("a.txt", b" \n\f "),
    "Q210": ("a.pages.jsonl", b'{"page": 1}'),
}
PACKAGES: dict[str, tuple[list[tuple[str, int]], dict[str, str], str]] = {
    "Q401": ([("../../etc/passwd", 1)], GOOD, "open"),
    "Q402": ([("图.TIF", 1), ("图.tif", 1)], GOOD, "open"),
    "Q403": ([(f"{n}.tif", 1) for n in range(FILES_PER_PACKAGE_MAX + 1)], GOOD, "open"),
    "Q404": ([(f"{n}.tif", PACKAGE_BYTES_MAX // 10) for n in range(11)], GOOD, "open"),
    "Q405": ([("a.tif", FILE_BYTES_MAX + 1)], GOOD, "open"),
    "Q406": ([], GOOD, "open"),
    "Q407": (ONE, {"title": "　"}, "open"),
    "Q408": (ONE, {**GOOD, "summary": "x" * (RECORD_ELEMENT_CHARS_MAX + 1)}, "open"),
    "Q409": (ONE, {**GOOD, "tittle": "x"}, "open"),
    "Q410": (ONE, {**GOOD, "summary": "a\x1b[2J"}, "open"),
    "Q411": (ONE, GOOD, "public"),
    "Q412": ([("卷一", 1), ("卷一/图.tif", 1)], GOOD, "open"),
}


def folder_with_oddities(root: Path) -> Path:
    (root / "a.txt").write_text(TEXT, encoding="utf-8")
    (root / "Thumbs.db").write_bytes(b"x")
    (root / "link.txt").symlink_to("/etc/passwd")
    os.mkfifo(root / "pipe")
    return root


def codes(found: list[Finding] | tuple[Finding, ...]) -> set[str]:
    return {one.code for one in found}


@pytest.mark.parametrize("code", FILES)
def test_a_bad_file_raises_its_code(code: str, tmp_path: Path) -> None:
    name, data = FILES[code]
    (tmp_path / name).write_bytes(data)
    found = inspect_file(str(tmp_path / name), name).findings
    assert code in codes(found)
    assert all(one.path == name for one in found)


def test_a_page_that_cannot_be_read_is_q110(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PDFium mends nearly everything, so the failure is played."""
    whole = pypdfium2.PdfDocument.get_page

    def failing(self: pypdfium2.PdfDocument, index: int) -> pypdfium2.PdfPage:
        if index == 1:
            raise pypdfium2.PdfiumError("no such page")
        return whole(self, index)

    monkeypatch.setattr(pypdfium2.PdfDocument, "get_page", failing)
    monkeypatch.setattr(pypdfium2.PdfDocument, "__getitem__", failing)
    (tmp_path / "a.pdf").write_bytes(a_pdf("one", "two", "three"))
    inspection = inspect_file(str(tmp_path / "a.pdf"), "a.pdf")
    (found,) = [one for one in inspection.findings if one.code == "Q110"]
    assert found.pages == (2,)
    assert inspection.pages is not None
    assert [page.text for page in inspection.pages] == ["one", "", "three"]


@pytest.mark.parametrize("code", PACKAGES)
def test_a_bad_submission_raises_its_code(code: str) -> None:
    assert code in codes(check_package(*PACKAGES[code]))


def test_every_code_has_a_bad_sample(tmp_path: Path) -> None:
    by_folder = codes(read_package(folder_with_oddities(tmp_path)).notes)
    by_worker = codes(failed("a.pdf", "crash").findings)
    by_zip = {"Q504", "Q505"}  # test_zipped.py
    by_drawing = {"Q301", "Q302", "Q303"}  # test_draw.py
    by_intake = {"Q010", "Q011", "Q012"}  # tests/unit/node/office/test_intake.py
    raised = {*FILES, *PACKAGES, "Q110", *by_folder, *by_worker, *by_zip, *by_drawing, *by_intake}
    assert raised == findings.rules().keys()


def test_text_says_where_in_both_languages() -> None:
    found = finding("Q106", "卷一.pdf", [1, 2, 3, 7], dpi_min=300, dpi=72)
    assert found.pages == (1, 2, 3, 7)
    assert found.severity == "warning"
    assert "1-3, 7" in found.zh
    assert "72" in found.en


def test_what_came_from_outside_cannot_break_the_line() -> None:
    found = finding("Q401", "a\nb\ud800\x1b[31m", reason="x" * 1000)
    assert found.path == "a\\u000ab\\ud800\\u001b[31m"
    assert len(found.zh) < 300
    found.path.encode()


def test_params_must_be_those_of_the_rule() -> None:
    with pytest.raises(KeyError, match="Q106 takes"):
        finding("Q106", "a.pdf", [1], dpi=72)
    with pytest.raises(KeyError, match="Q108 takes"):
        finding("Q108", "a.pdf", dpi=72)


@pytest.mark.parametrize(
    ("pages", "text"),
    [([], ""), ([4], "4"), ([1, 2, 4, 5, 6, 9], "1-2, 4-6, 9")],
)
def test_page_ranges(pages: list[int], text: str) -> None:
    assert page_ranges(pages) == text


def test_page_ranges_end_with_an_ellipsis() -> None:
    assert page_ranges(range(1, 100, 2)).endswith("37, 39, …")


@pytest.mark.parametrize(
    ("table", "where"),
    [
        ('[Q1]\nseverity="note"\nzh="a"\nen="a"', "code of Q"),
        ('[Q900]\nseverity="fatal"\nzh="a"\nen="a"', "severity"),
        ('[Q900]\nseverity="note"\nzh="a"', "severity, zh and en"),
        ('[Q900]\nseverity="note"\nzh="a"\nen=""', "either language"),
        ('[Q900]\nseverity="note"\nzh="a {n}"\nen="a"', "same params"),
        ('[Q900]\nseverity="note"\nzh="a {n"\nen="a"', "format string"),
        ('[Q900]\nseverity="note"\nzh="{n.m}"\nen="{n.m}"', "named params"),
        ('[Q900]\nseverity="note"\nzh="a"\nen="a"\nfr="a"', "severity, zh and en"),
        ("Q900 = 1", "severity, zh and en"),
        ("[Q900", "TOML"),
    ],
)
def test_the_table_is_read_strictly(table: str, where: str) -> None:
    with pytest.raises(ConfigError, match=where):
        parse_rules(table)


def test_settle_takes_no_more_pages_than_it_may() -> None:
    taken = 0

    def endless() -> Iterator[PageText]:
        nonlocal taken
        while True:
            taken += 1
            yield PageText("1", "", "", "")

    pages, found = settle("a.pdf", endless())
    assert pages is None
    assert codes(found) == {"Q208"}
    assert taken == PAGES_PER_ITEM_MAX + 1


def test_settle_takes_no_more_text_than_it_may() -> None:
    page = PageText("1", "", "甲" * PAGE_CHARS_MAX, "")
    enough = TEXT_BYTES_MAX // len(page.text.encode())
    assert settle("a.pdf", [page] * enough)[1] == []
    pages, found = settle("a.pdf", [page] * (enough + 1))
    assert pages is None
    assert codes(found) == {"Q206"}
