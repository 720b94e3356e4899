"""Blobs with a meaning: the manifest of a revision, the pages of its text, the words of a reason.

All are canonical JSON (sorted keys, no spaces, UTF-8, integers only), so an auditor can read them
with any tool, and each carries a random salt, so that its hash in the public log tells nothing
about what it says.  docs/spec/manifest.md, docs/spec/pages.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, cast

from protocol.errors import DecodeError
from protocol.ids import BlobId, ChunkRoot, parse_item, parse_office
from protocol.limits import (
    FILE_BYTES_MAX,
    FILE_PATH_BYTES_MAX,
    FILES_PER_PACKAGE_MAX,
    MANIFEST_BYTES_MAX,
    PAGE_CHARS_MAX,
    PAGE_LINE_BYTES_MAX,
    PAGES_BLOB_BYTES_MAX,
    PAGES_PER_ITEM_MAX,
    PERSON_BYTES_MAX,
    REASON_CHARS_MAX,
    TITLE_CHARS_MAX,
)

MANIFEST_FORMAT: Final = "fangzhi/manifest/1"
PAGES_FORMAT: Final = "fangzhi/pages/1"
REASON_FORMAT: Final = "fangzhi/reason/1"
REPORT_FORMAT: Final = "fangzhi/report/1"
PERSON_FORMAT: Final = "fangzhi/person/1"

# The elements of a record (著录): basic, holding (馆藏), subject and edition ones, and the notice.
# Title is mandatory, the others may be "".
RECORD_ELEMENTS: Final = (
    "title",  # 题名
    "volume",  # 卷次
    "kind",  # 志书类型: 旧志 新方志 年鉴 专志 …
    "responsible",  # 责任者
    "compiler",  # 编纂单位
    "publisher",  # 出版社
    "published",  # 出版日期
    "span",  # 断限
    "isbn",
    "extent",  # 载体形态: 册数、页数、开本
    "holding",  # 馆藏: 收藏单位、索书号
    "classification",  # 中图分类
    "subject",  # 主题词
    "place",  # 行政区划
    "edition",  # 版本信息
    "summary",  # 简介
    "notice",  # a line shown with every page, for example 演示数据
)
_SALT: Final = re.compile(r"[0-9a-f]{32}")
_MEDIA_TYPE: Final = re.compile(r"[\w.+-]{1,80}/[\w.+-]{1,80}", re.ASCII)
RIGHTS_CLASSES: Final = ("open", "office", "sealed")
FILE_ROLES: Final = ("print_pdf", "typeset", "images", "fonts", "text", "other")


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of a package, under its clean relative path."""

    path: str
    size: int
    sha256: BlobId
    chunks: ChunkRoot
    media_type: str
    role: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an office reported: the record and the files of one revision."""

    salt: str  # 32 hexadecimal digits
    item: str
    office: str
    rights: str
    record: dict[str, str]
    files: tuple[FileEntry, ...]

    @property
    def title(self) -> str:
        return self.record["title"]

    def encoded(self) -> bytes:
        files = [
            {
                "chunks": file.chunks.hex,
                "media_type": file.media_type,
                "path": file.path,
                "role": file.role,
                "sha256": file.sha256.hex,
                "size": file.size,
            }
            for file in self.files
        ]
        return encode_json(
            {
                "files": files,
                "format": MANIFEST_FORMAT,
                "item": self.item,
                "office": self.office,
                "record": self.record,
                "rights": self.rights,
                "salt": self.salt,
            }
        )


def parse_manifest(data: bytes) -> Manifest:
    """
    Raises:
        DecodeError: not a manifest in canonical form and within limits.
    """
    fields = decode_json(data, bytes_max=MANIFEST_BYTES_MAX, where="manifest")
    _expect_format(fields, MANIFEST_FORMAT, "manifest")
    files = _typed(fields, "files", list, "manifest")
    record = _typed(fields, "record", dict, "manifest")
    for element, text in record.items():
        if element not in RECORD_ELEMENTS or not isinstance(text, str):
            raise DecodeError("manifest.record", f"elements among {RECORD_ELEMENTS}", element)
    if not 0 < len(record.get("title", "")) <= TITLE_CHARS_MAX:
        raise DecodeError("manifest.record.title", f"1 to {TITLE_CHARS_MAX} characters", "other")
    if not 0 < len(files) <= FILES_PER_PACKAGE_MAX:
        raise DecodeError("manifest.files", f"1 to {FILES_PER_PACKAGE_MAX} files", len(files))
    manifest = Manifest(
        salt=_salt(fields, "manifest"),
        item=parse_item(_typed(fields, "item", str, "manifest")),
        office=parse_office(_typed(fields, "office", str, "manifest")),
        rights=_typed(fields, "rights", str, "manifest"),
        record=record,
        files=tuple(_file_entry(file) for file in files),
    )
    if manifest.rights not in RIGHTS_CLASSES:
        raise DecodeError("manifest.rights", f"one of {RIGHTS_CLASSES}", manifest.rights[:40])
    paths = [file.path for file in manifest.files]
    if len(set(paths)) < len(paths):
        raise DecodeError("manifest.files.path", "every path once", "one of them twice")
    if manifest.encoded() != data:
        raise DecodeError("manifest", "its canonical fields and no others", "another spelling")
    return manifest


def _file_entry(value: object) -> FileEntry:
    where = "manifest.files"
    if not isinstance(value, dict):
        raise DecodeError(where, "an object", type(value).__name__)
    path = _typed(value, "path", str, where)
    size = _typed(value, "size", int, where)
    role = _typed(value, "role", str, where)
    if not clean_path(path):
        raise DecodeError(f"{where}.path", "a clean relative path", repr(path[:80]))
    if not 0 <= size <= FILE_BYTES_MAX:
        raise DecodeError(f"{where}.size", f"0 to {FILE_BYTES_MAX} bytes", size)
    if role not in FILE_ROLES:
        raise DecodeError(f"{where}.role", f"one of {FILE_ROLES}", role)
    media_type = _typed(value, "media_type", str, where)
    if not _MEDIA_TYPE.fullmatch(media_type):
        raise DecodeError(f"{where}.media_type", "type/subtype", repr(media_type[:40]))
    return FileEntry(
        path=path,
        size=size,
        sha256=BlobId.parse(_typed(value, "sha256", str, where)),
        chunks=ChunkRoot.parse(_typed(value, "chunks", str, where)),
        media_type=media_type,
        role=role,
    )


def clean_path(path: str) -> bool:
    """Whether a package path is relative, forward, printable and goes nowhere up."""
    parts = path.split("/")
    return (
        0 < len(path.encode("utf-8", "replace")) <= FILE_PATH_BYTES_MAX
        and path.isprintable()
        and "\\" not in path
        and ":" not in path
        and all(part not in ("", ".", "..") and part == part.strip() for part in parts)
    )


@dataclass(frozen=True, slots=True)
class PageText:
    """The text of one page, in reading order within its item."""

    page: str  # label: "12", "卷三-4a"
    section: str
    text: str
    file: str  # SHA-256 of the file that shows the page, hexadecimal; "" if none


def encode_pages(salt: str, item: str, pages: Iterable[PageText]) -> Iterator[bytes]:
    """The lines of a pages blob, without line ends: a header, then one line a page.

    The blob is these lines, each followed by ``\\n``; the Merkle leaves are the lines.
    """
    yield encode_json({"format": PAGES_FORMAT, "item": item, "salt": salt})
    for page in pages:
        yield encode_json(
            {"file": page.file, "page": page.page, "section": page.section, "text": page.text}
        )


def parse_pages(data: bytes) -> tuple[str, tuple[PageText, ...]]:
    """(item, pages) of a pages blob.

    Raises:
        DecodeError: not in canonical form, too many or too long.
    """
    if len(data) > PAGES_BLOB_BYTES_MAX:
        raise DecodeError("pages", f"at most {PAGES_BLOB_BYTES_MAX} bytes", len(data))
    if not data.endswith(b"\n"):
        raise DecodeError("pages", "a line end after every line", "none at the end")
    lines = data[:-1].split(b"\n")
    if len(lines) - 1 > PAGES_PER_ITEM_MAX:
        raise DecodeError("pages", f"at most {PAGES_PER_ITEM_MAX} pages", len(lines) - 1)
    header = decode_json(lines[0], bytes_max=1024, where="pages header")
    _expect_format(header, PAGES_FORMAT, "pages")
    _salt(header, "pages header")
    item = parse_item(_typed(header, "item", str, "pages header"))
    return item, tuple(parse_page(line, number) for number, line in enumerate(lines[1:]))


def parse_page(line: bytes, number: int) -> PageText:
    """The page of one line of a pages blob; ``number`` names it in errors.

    Raises:
        DecodeError: not in canonical form, or too long.
    """
    where = f"pages[{number}]"
    fields = decode_json(line, bytes_max=PAGE_LINE_BYTES_MAX, where=where)
    page = PageText(
        *(_typed(fields, name, str, where) for name in ("page", "section", "text", "file"))
    )
    if len(fields) != 4:
        raise DecodeError(where, "file, page, section and text", sorted(fields)[:8])
    if len(page.text) > PAGE_CHARS_MAX:
        raise DecodeError(where, f"at most {PAGE_CHARS_MAX} characters", len(page.text))
    return page


def encode_reason(salt: str, text: str) -> bytes:
    """The blob of a reason (退回意见, 下架理由)."""
    return encode_json({"format": REASON_FORMAT, "salt": salt, "text": text})


def parse_reason(data: bytes) -> str:
    fields = decode_json(data, bytes_max=REASON_CHARS_MAX * 6 + 200, where="reason")
    _expect_format(fields, REASON_FORMAT, "reason")
    text = cast(str, _typed(fields, "text", str, "reason"))
    if not 0 < len(text) <= REASON_CHARS_MAX:
        raise DecodeError("reason", f"1 to {REASON_CHARS_MAX} characters", len(text))
    return text


def encode_person(salt: str, name: str) -> bytes:
    """The blob that says whose a user's key is; erased where the person's name must go."""
    return encode_json({"format": PERSON_FORMAT, "name": name, "salt": salt})


def parse_person(data: bytes) -> str:
    """The name in the blob of a user.

    Raises:
        DecodeError: not one.
    """
    fields = decode_json(data, bytes_max=PERSON_BYTES_MAX, where="person")
    _expect_format(fields, PERSON_FORMAT, "person")
    return cast(str, _typed(fields, "name", str, "person"))


def encode_json(value: object) -> bytes:
    """Canonical JSON: sorted keys, no spaces, UTF-8.

    Raises:
        DecodeError: a float, or text that has no UTF-8 form (a lone surrogate).
    """
    try:
        return json.dumps(
            value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
        ).encode()
    except (UnicodeEncodeError, ValueError, TypeError) as error:
        raise DecodeError("JSON", "text with a UTF-8 form", str(error)[:80]) from error


def decode_json(data: bytes, *, bytes_max: int, where: str) -> dict[str, Any]:
    """The object in canonical JSON ``data``.

    Raises:
        DecodeError: too long, not JSON, not an object, or not the canonical spelling.
    """
    if len(data) > bytes_max:
        raise DecodeError(where, f"at most {bytes_max} bytes", len(data))
    try:
        value = json.loads(data, parse_float=_no_float, parse_constant=_no_float)
    except (ValueError, RecursionError) as error:
        raise DecodeError(where, "JSON", str(error)[:80]) from error
    if not isinstance(value, dict):
        raise DecodeError(where, "a JSON object", type(value).__name__)
    if encode_json(value) != data:
        raise DecodeError(where, "canonical JSON", "another spelling")
    return value


def _salt(fields: dict[str, Any], where: str) -> str:
    salt: str = _typed(fields, "salt", str, where)
    if not _SALT.fullmatch(salt):
        raise DecodeError(f"{where}.salt", "32 hexadecimal digits", repr(salt[:40]))
    return salt


def checked_salt(salt: object) -> str:
    """
    Raises:
        DecodeError: not 32 hexadecimal digits.
    """
    if not isinstance(salt, str) or not _SALT.fullmatch(salt):
        raise DecodeError("salt", "32 hexadecimal digits", repr(salt)[:40])
    return salt


def _no_float(text: str) -> None:
    raise ValueError(f"a number that is no integer: {text[:20]}")


def _expect_format(fields: dict[str, Any], name: str, where: str) -> None:
    if fields.get("format") != name:
        raise DecodeError(f"{where}.format", name, repr(fields.get("format"))[:40])


def _typed(fields: dict[str, Any], name: str, kind: type, where: str) -> Any:
    value = fields.get(name)
    if type(value) is not kind:
        raise DecodeError(f"{where}.{name}", kind.__name__, type(value).__name__)
    return value
