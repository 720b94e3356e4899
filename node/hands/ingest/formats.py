"""Which format a file is of: by the end of its name, and by the bytes it begins with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

HEAD_BYTES: Final = 4096  # how much of the beginning is looked at
_PDF_OFFSET_MAX: Final = 1024  # readers accept that much in front of %PDF-


@dataclass(frozen=True, slots=True)
class Format:
    """``signatures`` are (offset, bytes), any of which must be there; none = no way to tell."""

    label: str
    media_type: str
    role: str
    suffixes: tuple[str, ...]
    signatures: tuple[tuple[int, bytes], ...] = ()


PDF: Final = Format("PDF", "application/pdf", "print_pdf", (".pdf",))
PAGES: Final = Format("pages", "application/x-ndjson", "text", (".pages.jsonl",))
TEXT: Final = Format("TXT", "text/plain", "text", (".txt",))
OTHER: Final = Format("other", "application/octet-stream", "other", ())
ARCHIVES: Final = (
    Format("ZIP", "application/zip", "other", (".zip",), ((0, b"PK\3\4"), (0, b"PK\5\6"))),
    Format("7z", "application/x-7z-compressed", "other", (".7z",), ((0, b"7z\xbc\xaf\x27\x1c"),)),
    Format("RAR", "application/vnd.rar", "other", (".rar",), ((0, b"Rar!\x1a\x07"),)),
)
# Office documents are ZIP files too: what their name says is believed.
_ZIP_BASED: Final = (".docx", ".xlsx", ".pptx", ".wps", ".ofd", ".epub", ".idml")
_TYPESET: Final = (".indd", ".idml", ".fbd", ".fit", ".s92", ".s10", ".ps2", ".qxd", ".docx")
FORMATS: Final = (
    PDF,
    PAGES,
    TEXT,
    *ARCHIVES,
    Format(
        "TIFF",
        "image/tiff",
        "images",
        (".tif", ".tiff"),
        ((0, b"II*\0"), (0, b"MM\0*"), (0, b"II+\0"), (0, b"MM\0+")),
    ),
    Format(
        "JPEG 2000",
        "image/jp2",
        "images",
        (".jp2", ".jpx", ".j2k"),
        ((4, b"jP  \r\n\x87\n"), (0, b"\xff\x4f\xff\x51")),
    ),
    Format("JPEG", "image/jpeg", "images", (".jpg", ".jpeg"), ((0, b"\xff\xd8\xff"),)),
    Format("PNG", "image/png", "images", (".png",), ((0, b"\x89PNG\r\n\x1a\n"),)),
    Format("TrueType", "font/ttf", "fonts", (".ttf",), ((0, b"\0\1\0\0"),)),
    Format("OpenType", "font/otf", "fonts", (".otf",), ((0, b"OTTO\0"),)),
    Format("TrueType collection", "font/collection", "fonts", (".ttc", ".otc"), ((0, b"ttcf"),)),
)
PICTURES: Final = ("TIFF", "JPEG2000", "JPEG", "PNG")
"""The formats of the role images, as Pillow calls them."""


def by_name(name: str) -> Format:
    """The format that the name claims; OTHER when it claims none we know."""
    lowered = name.lower()
    for known in FORMATS:
        if lowered.endswith(known.suffixes):
            return known
    if lowered.endswith(_TYPESET):
        return Format("typesetting", OTHER.media_type, "typeset", (suffix(name),))
    return OTHER


def by_content(name: str, head: bytes) -> Format:
    """The format whose signature ``head`` has; OTHER when none is there.

    A PDF may have bytes in front of its signature, but only one that is called so: a text may
    well talk about PDF.
    """
    if b"%PDF-" in head[: _PDF_OFFSET_MAX if by_name(name) == PDF else 5]:
        return PDF
    for known in FORMATS:
        for offset, signature in known.signatures:
            if head[offset : offset + len(signature)] == signature:
                return known
    return OTHER


def agree(name: str, content: Format) -> bool:
    """Whether a file called ``name`` may well have ``content``.

    An OpenType font may be called .ttf and a TrueType one .otf: both names are in use.
    """
    claimed = by_name(name)
    if content == OTHER:
        return claimed in (OTHER, TEXT, PAGES) or claimed.role == "typeset"
    if content.label == "ZIP" and name.lower().endswith(_ZIP_BASED):
        return True
    return claimed in (content, OTHER) or claimed.role == content.role == "fonts"


def suffix(name: str) -> str:
    """``.pdf`` for ``卷一/图.PDF``; "" for a name without one."""
    last = name.rsplit("/", 1)[-1].lower()
    return "." + last.rsplit(".", 1)[1] if "." in last else ""
