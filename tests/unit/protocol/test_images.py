from __future__ import annotations

from dataclasses import asdict, replace

import pytest

from protocol.errors import DecodeError
from protocol.ids import mint_item
from protocol.images import NO_IMAGE, PageImage, encode_images, parse_images
from protocol.limits import IMAGE_BYTES_MAX, IMAGE_SIDE_MAX, PAGES_PER_ITEM_MAX
from protocol.records import encode_json

ITEM = mint_item("320581", bytes(8))
SALT = "0" * 32
PAGE = PageImage("ab" * 32, 1, "cd" * 32, 900, "ef" * 32, 90, 1200, 1630, "")
UNDRAWN = replace(NO_IMAGE, file="ab" * 32, page=2, finding="Q303")


def blob(*pages: PageImage) -> bytes:
    return b"".join(line + b"\n" for line in encode_images(SALT, ITEM, "drawer 1", pages))


def test_what_is_listed_is_read_back() -> None:
    pages = (PAGE, NO_IMAGE, UNDRAWN)
    assert parse_images(blob(*pages)) == (ITEM, pages)


@pytest.mark.parametrize(
    "change",
    [
        {"image": "no hash"},
        {"image": ""},
        {"thumbnail": ""},
        {"image_bytes": IMAGE_BYTES_MAX + 1},
        {"thumbnail_bytes": -1},
        {"width": IMAGE_SIDE_MAX + 1},
        {"height": -1},
        {"page": PAGES_PER_ITEM_MAX + 1},
        {"file": "AB" * 32},
    ],
)
def test_a_line_out_of_bounds_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(DecodeError):
        parse_images(blob(replace(PAGE, **change)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "fields",
    [
        {**asdict(PAGE), "more": 1},
        {**asdict(PAGE), "width": True},
        {**asdict(PAGE), "finding": 3},
        {name: value for name, value in asdict(PAGE).items() if name != "page"},
    ],
)
def test_a_line_of_another_shape_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(DecodeError):
        parse_images(blob() + encode_json(fields) + b"\n")


def test_a_blob_that_is_no_list_is_refused() -> None:
    good = blob(PAGE)
    for bad in (b"", good[:-1], good.replace(b"images/1", b"images/2"), good.replace(b'"0', b'"x')):
        with pytest.raises(DecodeError):
            parse_images(bad)
