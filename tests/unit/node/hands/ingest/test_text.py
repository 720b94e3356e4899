"""Text keeps what was written; what cannot be kept is said."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.hands.ingest.text import inspect_text, looks_like
from protocol.ids import OfficeCode, mint_item
from protocol.limits import PAGE_CHARS_MAX, PAGE_LABEL_CHARS_MAX, TITLE_CHARS_MAX
from protocol.records import PageText, encode_pages, parse_pages

SIMPLIFIED = "沭阳县位于江苏省北部，沂河、沭河流经其境。"
TRADITIONAL = "沭陽縣志卷三水利，曰南河，源出山東，入海。"
ITEM = mint_item(OfficeCode("320500"), bytes(8))


def lines(*pages: object) -> bytes:
    return b"".join(json.dumps(page).encode() + b"\n" for page in pages)


def test_pages_are_separated_by_form_feeds() -> None:
    inspection = inspect_text("卷一.txt", "\ufeff甲\r\n\f乙　\n\f".encode())
    assert inspection.pages == (PageText("1", "", "甲\r\n", ""), PageText("2", "", "乙　\n", ""))
    assert inspection.page_count == 2
    assert inspection.findings == ()
    assert (inspection.media_type, inspection.role_guess) == ("text/plain", "text")


@pytest.mark.parametrize("text", [SIMPLIFIED, TRADITIONAL, "沭阳县志"])
@pytest.mark.parametrize(
    ("codec", "label"),
    [
        ("gb18030", "GB18030"),
        ("utf-16-le", "UTF-16"),
        ("utf-16-be", "UTF-16"),
        ("utf-16", "UTF-16"),
    ],
)
def test_another_encoding_is_named(text: str, codec: str, label: str) -> None:
    inspection = inspect_text("a.txt", text.encode(codec))
    (found,) = inspection.findings
    assert found.code == "Q201"
    assert label in found.zh
    assert label in found.en
    assert inspection.pages is None


def test_big5_is_told_from_gb18030() -> None:
    assert looks_like(TRADITIONAL.encode("big5")) == "Big5"
    assert looks_like(TRADITIONAL.encode("gb18030")) == "GB18030"


def test_utf16_of_latin_letters_is_not_taken_for_utf8() -> None:
    (found,) = inspect_text("a.txt", "Annals of Shuyang".encode("utf-16-le")).findings
    assert found.code == "Q201"


def test_the_first_bad_byte_is_named() -> None:
    (found,) = inspect_text("a.txt", SIMPLIFIED.encode() + b"\xff").findings
    assert found.code == "Q202"
    assert str(len(SIMPLIFIED.encode())) in found.en


def test_counts_and_pages_of_odd_characters() -> None:
    inspection = inspect_text("a.txt", "甲\f\ue000\ue001乙\0\0\f\U000f0000".encode())
    by_code = {found.code: found for found in inspection.findings}
    assert by_code["Q204"].pages == (2, 3)
    assert "3 个" in by_code["Q204"].zh
    assert "U+E000 U+E001 U+F0000" in by_code["Q204"].zh
    assert by_code["Q203"].pages == (2,)
    assert "2 个" in by_code["Q203"].zh
    assert inspection.pages is not None
    assert inspection.pages[1].text == "\ue000\ue001乙"


def test_rare_characters_are_nothing_to_complain_of() -> None:
    assert inspect_text("a.txt", "𠀀𬺰㐀〇".encode()).findings == ()


def test_a_long_page_is_cut_at_line_ends() -> None:
    line = "甲" * 99 + "\n"
    text = line * (2 * PAGE_CHARS_MAX // 100 + 1)
    inspection = inspect_text("a.txt", text.encode())
    assert [found.code for found in inspection.findings] == ["Q207"]
    assert inspection.pages is not None
    assert [page.page for page in inspection.pages] == ["1-1", "1-2", "1-3"]
    assert "".join(page.text for page in inspection.pages) == text
    assert all(page.text.endswith("\n") for page in inspection.pages)


def test_pages_carrier() -> None:
    data = lines(
        {"page": "卷三-4a", "section": "水利", "text": "沂河"},
        {"text": "\ud83d", "section": "", "page": "5"},
    )
    inspection = inspect_text("a.pages.jsonl", data)
    assert inspection.pages == (
        PageText("卷三-4a", "水利", "沂河", ""),
        PageText("5", "", "\ufffd", ""),
    )
    assert [found.code for found in inspection.findings] == ["Q205"]
    assert inspection.findings[0].pages == (2,)


@pytest.mark.parametrize(
    "page",
    [
        {"page": "1", "section": ""},
        {"page": "1", "section": "", "text": "", "extra": ""},
        {"page": 1, "section": "", "text": ""},
        {"page": "x" * (PAGE_LABEL_CHARS_MAX + 1), "section": "", "text": ""},
        {"page": "1", "section": "x" * (TITLE_CHARS_MAX + 1), "text": ""},
        {"page": "\ud800", "section": "", "text": ""},
        ["page"],
    ],
)
def test_a_line_that_is_no_page_is_named(page: object) -> None:
    good = {"page": "1", "section": "", "text": "甲"}
    inspection = inspect_text("a.pages.jsonl", lines(good, page, good))
    (found,) = inspection.findings
    assert found.code == "Q210"
    assert "Line 2" in found.en
    assert inspection.pages is None


def test_deep_json_is_a_bad_line() -> None:
    (found,) = inspect_text("a.pages.jsonl", b"[" * 100_000).findings
    assert found.code == "Q210"


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(["a.txt", "a.pages.jsonl"]),
    data=st.one_of(
        st.binary(max_size=300),
        st.text(max_size=100).map(str.encode),
        st.text(alphabet="甲\0\f\n\ue000a", max_size=60).map(str.encode),
        st.builds(
            lambda text: lines({"page": "1", "section": "", "text": text}),
            st.text(alphabet=st.characters(exclude_categories=())),
        ),
    ),
)
def test_whatever_comes_in_what_comes_out_can_be_stored(name: str, data: bytes) -> None:
    inspection = inspect_text(name, data)
    assert inspection.acceptable == (inspection.pages is not None)
    if inspection.pages is not None:
        blob = b"\n".join([*encode_pages("00" * 16, ITEM, inspection.pages), b""])
        assert parse_pages(blob)[1] == inspection.pages


@settings(max_examples=40, deadline=None)
@given(pages=st.lists(st.text(st.characters(exclude_characters="\f\0", exclude_categories=["Cs"]))))
def test_text_is_kept_as_it_was_written(pages: list[str]) -> None:
    text = "甲" + "\f".join(pages)
    inspection = inspect_text("a.txt", text.encode())
    assert inspection.pages is not None
    kept = "\f".join(page.text for page in inspection.pages)
    assert text.startswith(kept)
    assert not text[len(kept) :].strip()
