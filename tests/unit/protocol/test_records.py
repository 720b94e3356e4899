from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import DecodeError
from protocol.ids import BlobId, ChunkRoot, OfficeCode, mint_item
from protocol.limits import FILE_PATH_BYTES_MAX, TITLE_CHARS_MAX
from protocol.merkle import leaf_hash
from protocol.records import (
    FileEntry,
    Manifest,
    PageText,
    clean_path,
    decode_json,
    encode_json,
    encode_pages,
    encode_reason,
    parse_manifest,
    parse_pages,
    parse_reason,
)

SALT = "0" * 32
ITEM = mint_item(OfficeCode("320583"), bytes(8))
FILE = FileEntry(
    "正文/昆山县志.pdf",
    12,
    BlobId.of(b"pdf"),
    ChunkRoot(leaf_hash(b"pdf")),
    "application/pdf",
    "print_pdf",
)
MANIFEST = Manifest(
    SALT, ITEM, "320583", "open", {"title": "昆山县志", "span": "1911-1990"}, (FILE,)
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def test_manifest_round_trip_as_plain_json() -> None:
    data = MANIFEST.encoded()
    assert parse_manifest(data) == MANIFEST
    assert MANIFEST.title == "昆山县志"
    assert json.loads(data)["files"][0]["path"] == FILE.path


@pytest.mark.parametrize(
    "wrong",
    [
        replace(MANIFEST, files=()),
        replace(MANIFEST, item=ITEM[:-1] + ("0" if ITEM[-1] != "0" else "1")),
        replace(MANIFEST, office="32058"),
        replace(MANIFEST, record={}),
        replace(MANIFEST, record={"title": ""}),
        replace(MANIFEST, record={"title": "志" * (TITLE_CHARS_MAX + 1)}),
        replace(MANIFEST, record={"title": "志", "colour": "red"}),
        replace(MANIFEST, files=(replace(FILE, path="../../etc/passwd"),)),
        replace(MANIFEST, files=(replace(FILE, size=-1),)),
        replace(MANIFEST, files=(replace(FILE, role="secret"),)),
    ],
)
def test_manifest_refuses(wrong: Manifest) -> None:
    with pytest.raises(DecodeError):
        parse_manifest(wrong.encoded())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"format"', b'"more":1,"format"'),
        (b'"office":"320583"', b'"office":320583'),
        (b"fangzhi/manifest/1", b"fangzhi/manifest/2"),
        (b'","', b'", "'),
        (b"}]", b',"note":""}]'),
    ],
)
def test_manifest_has_one_spelling(old: bytes, new: bytes) -> None:
    data = MANIFEST.encoded()
    assert old in data
    with pytest.raises(DecodeError):
        parse_manifest(data.replace(old, new, 1))


@pytest.mark.parametrize(
    "path", ["a", "a/b.pdf", "卷一/图 1.tif", ".hidden", "a" * FILE_PATH_BYTES_MAX]
)
def test_clean_paths(path: str) -> None:
    assert clean_path(path)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "../a",
        "a/../b",
        "a/./b",
        "a//b",
        "a/",
        "a\nb",
        "a\0b",
        "a\\b",
        "C:a",
        " a",
        "a /b",
        "a\u202eb",
        "志" * FILE_PATH_BYTES_MAX,
    ],
)
def test_unclean_paths(path: str) -> None:
    assert not clean_path(path)


@given(st.lists(st.builds(PageText, TEXT, TEXT, TEXT, st.just("")), max_size=5))
def test_pages_round_trip(pages: list[PageText]) -> None:
    lines = list(encode_pages(SALT, ITEM, pages))
    assert all(b"\n" not in line for line in lines)
    assert parse_pages(b"".join(line + b"\n" for line in lines)) == (ITEM, tuple(pages))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}\n",
        b"\n".join(encode_pages(SALT, ITEM, [])),
        b"\n".join([*encode_pages(SALT, ITEM, []), b"", b""]),
        b"\n".join([*encode_pages(SALT, ITEM, []), b'{"page":"1"}', b""]),
    ],
)
def test_pages_refuse(data: bytes) -> None:
    with pytest.raises(DecodeError):
        parse_pages(data)


@given(TEXT.filter(bool))
def test_reason_round_trip(text: str) -> None:
    assert parse_reason(encode_reason(SALT, text)) == text


@pytest.mark.parametrize("text", ["", "长" * 2001])
def test_a_reason_says_something_and_not_too_much(text: str) -> None:
    with pytest.raises(DecodeError, match="1 to 2000 characters"):
        parse_reason(encode_reason(SALT, text))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"rights":"open"', b'"rights":"free"'),
        (b'"salt":"', b'"salt":"x'),
        (b'"size":', b'"size":1.5,"sizes":'),
        (b"application/pdf", b"application pdf"),
    ],
)
def test_a_manifest_says_nothing_unknown(old: bytes, new: bytes) -> None:
    data = MANIFEST.encoded()
    assert old in data
    with pytest.raises(DecodeError):
        parse_manifest(data.replace(old, new, 1))


def test_a_manifest_names_a_path_once() -> None:
    twice = replace(MANIFEST, files=(MANIFEST.files[0], MANIFEST.files[0]))
    with pytest.raises(DecodeError, match="every path once"):
        parse_manifest(twice.encoded())


def test_a_reason_is_not_a_manifest() -> None:
    with pytest.raises(DecodeError, match=r"reason\.format"):
        parse_reason(MANIFEST.encoded())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"nothing",
        b'{"b":1,"a":1}',
        b'{"a": 1}',
        b'{"a":1,"a":1}',
        b'{"a":NaN}',
        b'{"a":"\\u65b9"}',
        b'{"a":"\\ud800"}',
        b'{"a":' * 2000,
        b"\xff",
    ],
)
def test_json_has_one_spelling(data: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_json(data, bytes_max=100_000, where="test")


def test_json_keeps_the_bound() -> None:
    with pytest.raises(DecodeError, match="at most 1 bytes"):
        decode_json(b"{}", bytes_max=1, where="test")


def test_json_needs_a_utf8_form() -> None:
    with pytest.raises(DecodeError):
        encode_json({"a": "\ud800"})
