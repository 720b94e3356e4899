"""The service-level images (服务级) of a revision: one line for each page, in a blob like its text.

Line *n* is page *n* of the item: first the pages of its text, then those that only images show.
docs/spec/images.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Final

from protocol.errors import DecodeError
from protocol.ids import BlobId, parse_item
from protocol.limits import (
    IMAGE_BYTES_MAX,
    IMAGE_SIDE_MAX,
    IMAGES_BLOB_BYTES_MAX,
    PAGES_PER_ITEM_MAX,
)
from protocol.records import checked_salt, decode_json, encode_json

FORMAT: Final = "fangzhi/images/1"
MEDIA_TYPE: Final = "image/webp"
_LINE_BYTES_MAX: Final = 1024


@dataclass(frozen=True, slots=True)
class PageImage:
    """How one page is shown; ``image`` and ``thumbnail`` are "" where it is not, and ``finding``
    says why a page that could have been drawn was not."""

    file: str  # SHA-256 of the file that it was drawn from, hexadecimal; "": no file shows it
    page: int  # of that file, from 1; 0: no file shows it
    image: str  # SHA-256, hexadecimal
    image_bytes: int
    thumbnail: str
    thumbnail_bytes: int
    width: int  # of the image, pixels
    height: int
    finding: str  # code of a rule of the checks


NO_IMAGE: Final = PageImage("", 0, "", 0, "", 0, 0, 0, "")


def encode_images(salt: str, item: str, made: str, pages: Iterable[PageImage]) -> Iterator[bytes]:
    """The lines of an images blob, without line ends: a header, then one line a page.

    ``made`` names the programs that drew.  The blob is these lines, each followed by ``\\n``; the
    Merkle leaves are the lines.
    """
    yield encode_json({"format": FORMAT, "item": item, "made": made, "salt": salt})
    for page in pages:
        yield encode_json(asdict(page))


def parse_images(data: bytes) -> tuple[str, tuple[PageImage, ...]]:
    """(item, pages) of an images blob.

    Raises:
        DecodeError: not in canonical form, too many or too long.
    """
    if not data.endswith(b"\n") or len(data) > IMAGES_BLOB_BYTES_MAX:
        raise DecodeError("images", f"lines of {IMAGES_BLOB_BYTES_MAX} bytes", len(data))
    lines = data[:-1].split(b"\n")
    if len(lines) - 1 > PAGES_PER_ITEM_MAX:
        raise DecodeError("images", f"at most {PAGES_PER_ITEM_MAX} pages", len(lines) - 1)
    header = decode_json(lines[0], bytes_max=_LINE_BYTES_MAX, where="images header")
    if header.get("format") != FORMAT or set(header) != {"format", "item", "made", "salt"}:
        raise DecodeError("images.format", FORMAT, repr(header.get("format"))[:40])
    checked_salt(header["salt"])
    item = parse_item(str(header["item"]))
    return item, tuple(_page(line, number) for number, line in enumerate(lines[1:], 1))


def _page(line: bytes, number: int) -> PageImage:
    where = f"images[{number}]"
    fields = decode_json(line, bytes_max=_LINE_BYTES_MAX, where=where)
    wanted = asdict(NO_IMAGE)
    if {name: type(value) for name, value in fields.items()} != {
        name: type(value) for name, value in wanted.items()
    }:
        raise DecodeError(where, ", ".join(wanted), sorted(fields)[:10])
    page = PageImage(**fields)
    for name in (page.file, page.image, page.thumbnail):
        if name:
            BlobId.parse(name)
    if not (
        0 <= page.page <= PAGES_PER_ITEM_MAX
        and 0 <= page.image_bytes <= IMAGE_BYTES_MAX
        and 0 <= page.thumbnail_bytes <= IMAGE_BYTES_MAX
        and 0 <= page.width <= IMAGE_SIDE_MAX
        and 0 <= page.height <= IMAGE_SIDE_MAX
        and (page.image == "") == (page.thumbnail == "")
    ):
        raise DecodeError(where, "an image within limits and its thumbnail", "another")
    return page
