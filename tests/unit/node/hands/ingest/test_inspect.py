"""Files as they come: real ones, hostile ones, huge ones."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest
from fpdf import FPDF
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from node.hands.ingest.formats import agree, by_content, by_name, suffix
from node.hands.ingest.inspect import inspect_file
from protocol.limits import GiB
from protocol.records import FILE_ROLES

SIGNATURES = {
    "a.tif": b"II*\0",
    "b.TIFF": b"MM\0*",
    "a.jp2": b"\0\0\0\x0cjP  \r\n\x87\n",
    "a.jpg": b"\xff\xd8\xff\xe0",
    "a.png": b"\x89PNG\r\n\x1a\n",
    "a.ttf": b"\0\1\0\0",
    "b.ttf": b"OTTO\0",
    "a.otf": b"OTTO\0",
    "a.ttc": b"ttcf",
    "a.7z": b"7z\xbc\xaf\x27\x1c",
    "a.docx": b"PK\3\4",
    "a.fbd": b"whatever",
    "a.txt": b"about %PDF-1.7",
    "b.txt": b"true",
    "a.pdf": b"junk before %PDF-1.7",
}


@pytest.mark.parametrize(("name", "head"), SIGNATURES.items())
def test_names_that_fit_their_content(name: str, head: bytes) -> None:
    assert agree(name, by_content(name, head))


@pytest.mark.parametrize(
    ("name", "head"),
    [("a.jpg", b"II*\0"), ("a.txt", b"%PDF-1.7"), ("a.tif", b"xxxx"), ("a.ttf", b"PK\3\4")],
)
def test_names_that_do_not(name: str, head: bytes) -> None:
    assert not agree(name, by_content(name, head))


def test_formats_are_of_roles_we_have() -> None:
    names = ["a.pdf", "a.txt", "a.pages.jsonl", "a.jsonl", "a.indd", "a.otf", "a.xyz", "noend"]
    roles = [by_name(name).role for name in names]
    assert roles == ["print_pdf", "text", "text", "other", "typeset", "fonts", "other", "other"]
    assert set(roles) <= set(FILE_ROLES)
    assert suffix("卷.一/图") == ""
    assert suffix("卷一/图.PDF") == ".pdf"


def test_a_pdf_under_another_name_is_examined_all_the_same(tmp_path: Path) -> None:
    pdf = FPDF()
    pdf.set_font("helvetica")
    pdf.add_page()
    pdf.cell(text="Annals")
    pdf.output(str(tmp_path / "a"))
    inspection = inspect_file(str(tmp_path / "a"), "a.txt")
    assert [found.code for found in inspection.findings] == ["Q003", "Q107"]
    assert inspection.media_type == "application/pdf"
    assert inspection.pages is not None
    assert inspection.pages[0].text.strip() == "Annals"
    assert inspection.pages[0].page == "1"


def test_resolution_counts_through_turns_and_scaling(tmp_path: Path) -> None:
    """600 pixels on 2 inches are 300 DPI, turned or not; stretched over 4 they are 150."""
    from PIL import Image

    for number, (width, turn, low) in enumerate(
        [(144, 0, False), (144, 30, False), (288, 0, True)]
    ):
        pdf = FPDF(unit="pt")
        pdf.add_page()
        with pdf.rotation(turn, 200, 200):
            pdf.image(Image.new("RGB", (600, 600), "gray"), 100, 100, width, 144)
        path = tmp_path / f"{number}.pdf"
        pdf.output(str(path))
        found = {one.code: one for one in inspect_file(str(path), "a.pdf").findings}
        assert ("Q106" in found) == low
        if low:
            assert "150" in found["Q106"].zh


@pytest.mark.parametrize("name", ["a.pdf", "a.txt", "a.pages.jsonl", "a.tif", "a.zip", "a"])
def test_a_sparse_giant_is_not_read_whole(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    with path.open("wb") as file:
        file.truncate(3 * GiB)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    inspection = inspect_file(str(path), name)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 100_000  # KiB
    assert inspection.findings
    assert inspection.pages is None


def test_a_sparse_giant_that_begins_as_a_pdf(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    with path.open("wb") as file:
        file.write(b"%PDF-1.7\n1 0 obj\n")
        file.truncate(3 * GiB)
    found = {one.code for one in inspect_file(str(path), "a.pdf").findings}
    assert found == {"Q102"}


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_damaged_pdf_is_always_answered(data: st.DataObject, tmp_path: Path) -> None:
    pdf = FPDF()
    pdf.set_font("helvetica")
    for number in range(2):
        pdf.add_page()
        pdf.cell(text=f"page {number}")
    raw = bytearray(bytes(pdf.output()))
    for _ in range(data.draw(st.integers(1, 20))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "a.pdf"
    path.write_bytes(raw[: data.draw(st.integers(0, len(raw)))])
    inspection = inspect_file(str(path), "a.pdf")
    assert inspection.findings  # the core font at least


def test_real_files(data_dir: Path) -> None:
    files = [path for path in sorted((data_dir / "files").rglob("*")) if path.is_file()]
    assert files
    for path in files:
        inspection = inspect_file(str(path), path.name)
        assert inspection.role_guess in FILE_ROLES
        if inspection.pages is not None:
            assert len(inspection.pages) == inspection.page_count
            assert any(page.text.strip() for page in inspection.pages)
        if path.suffix == ".tif":
            assert inspection.media_type == "image/tiff"
            assert inspection.findings == ()


def test_a_real_pdf_says_what_is_wrong_with_it(data_dir: Path) -> None:
    (path,) = (data_dir / "files" / "pdf").glob("数据科学*.pdf")
    found = {one.code: one.pages for one in inspect_file(str(path), path.name).findings}
    assert found["Q106"] == (3, 4, 5, 6, 8, 9, 10, 11)
    assert found["Q109"] == (8,)
