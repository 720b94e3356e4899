from __future__ import annotations

import aiohttp
import pytest
from aiohttp import ClientSession
from hypothesis import given
from hypothesis import strategies as st

from node.faces.downloads import byte_range, disposition
from tests.fake_service import AWAY_SHA, BROKEN_SHA, FILE_NAME, OPEN_FILE, OPEN_SHA, SECRET_SHA
from tests.fake_shelf import BOOK, HIDDEN, leaf

SIZE = len(OPEN_FILE)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, (0, 10)),
        ("bytes=0-3", (0, 4)),
        ("bytes=4-", (4, 6)),
        ("bytes=-3", (7, 3)),
        ("bytes=-99", (0, 10)),
        ("bytes=8-99", (8, 2)),
        ("bytes=0-1,4-5", (0, 10)),  # several: the whole
        ("pages=1-2", (0, 10)),
        ("bytes=5-4", (0, 10)),  # not a range
        ("bytes=-", (0, 10)),
        ("bytes=10-", None),
        ("bytes=-0", None),
    ],
)
def test_ranges(header: str | None, expected: tuple[int, int] | None) -> None:
    assert byte_range(header, 10) == expected


@given(st.integers(0, 50), st.integers(0, 60), st.integers(0, 60))
def test_a_range_stays_inside(size: int, first: int, last: int) -> None:
    span = byte_range(f"bytes={first}-{last}", size)
    if span is None:
        assert first >= size
    else:
        offset, length = span
        assert 0 <= offset <= offset + length <= size
        if first <= last:
            whole = bytes(range(size))
            assert whole[offset : offset + length] == whole[first : last + 1]


def test_names_in_any_script_travel_and_break_nothing() -> None:
    assert disposition("卷/志 1.pdf", "application/pdf") == (
        "inline; filename=\"_ 1.pdf\"; filename*=UTF-8''%E5%BF%97%201.pdf"
    )
    evil = disposition('a"\r\nX: y.html', "text/html")
    assert evil.startswith("attachment")
    assert "\r" not in evil
    assert "\n" not in evil
    assert evil.count('"') == 2


async def test_a_whole_file(client: ClientSession) -> None:
    response = await client.get(f"/api/v1/files/{OPEN_SHA}")
    assert await response.read() == OPEN_FILE
    assert response.headers["Accept-Ranges"] == "bytes"
    assert response.headers["Cache-Control"] == "no-cache"
    assert response.content_type == "application/pdf"
    assert response.content_disposition is not None
    assert response.content_disposition.filename == FILE_NAME


async def test_one_range_of_a_file(client: ClientSession) -> None:
    path = f"/api/v1/files/{OPEN_SHA}"
    response = await client.get(path, headers={"Range": "bytes=300-1499"})
    assert response.status == 206
    assert response.headers["Content-Range"] == f"bytes 300-1499/{SIZE}"
    assert await response.read() == OPEN_FILE[300:1500]
    outside = await client.get(path, headers={"Range": f"bytes={SIZE}-"})
    assert outside.status == 416
    assert outside.headers["Content-Range"] == f"bytes */{SIZE}"
    other = {"Range": "bytes=0-1", "If-Range": '"another"'}
    assert (await client.get(path, headers=other)).status == 200


async def test_a_copy_that_is_good_is_not_sent_again(client: ClientSession) -> None:
    headers = {"If-None-Match": f'"{OPEN_SHA}"'}
    response = await client.get(f"/api/v1/files/{OPEN_SHA}", headers=headers)
    assert response.status == 304
    assert await response.read() == b""


async def test_head_tells_the_size_alone(client: ClientSession) -> None:
    response = await client.head(f"/api/v1/files/{OPEN_SHA}")
    assert response.headers["Content-Length"] == str(SIZE)


async def test_rights_come_before_everything(client: ClientSession) -> None:
    headers = {"If-None-Match": f'"{SECRET_SHA}"'}
    assert (await client.get(f"/api/v1/files/{SECRET_SHA}", headers=headers)).status == 403
    assert (await client.get(f"/api/v1/files/{'0' * 64}")).status == 404
    assert (await client.get("/api/v1/files/xyz")).status == 400


async def test_a_file_that_browsers_would_run_is_a_download(client: ClientSession) -> None:
    response = await client.head(f"/api/v1/files/{BROKEN_SHA}")
    assert response.headers["Content-Disposition"].startswith("attachment")
    assert response.headers["Content-Security-Policy"].startswith("default-src 'none'")


async def test_a_holder_that_breaks_off_is_seen_as_a_cut(client: ClientSession) -> None:
    response = await client.get(f"/api/v1/files/{BROKEN_SHA}")
    with pytest.raises(aiohttp.ClientPayloadError):
        await response.read()


async def test_a_file_that_no_holder_gives_is_refused_before_anything_is_sent(
    client: ClientSession,
) -> None:
    for headers in ({}, {"Range": "bytes=5-9"}):
        response = await client.get(f"/api/v1/files/{AWAY_SHA}", headers=headers)
        assert response.status == 404
        assert response.content_type == "application/problem+json"
        assert "Content-Range" not in response.headers


CLERK = {"Authorization": "Bearer clerk-token"}


@pytest.mark.parametrize("prefix", ["", "/api/v1"])
@pytest.mark.parametrize("derivative", ["image", "thumbnail"])
async def test_the_image_of_a_page(client: ClientSession, prefix: str, derivative: str) -> None:
    address = f"{prefix}/items/{BOOK}/pages/1/{derivative}"
    answer = await client.get(address)
    whole = leaf(1, derivative == "thumbnail")
    assert (answer.status, answer.content_type, await answer.read()) == (200, "image/webp", whole)
    assert answer.headers["Cache-Control"] == "public, no-cache"
    assert answer.headers["Vary"] == "Authorization"
    tag = answer.headers["ETag"]
    again = await client.get(address, headers={"If-None-Match": tag})
    assert (again.status, await again.read()) == (304, b"")
    part = await client.get(address, headers={"Range": "bytes=5-9", "If-Range": tag})
    assert (part.status, await part.read()) == (206, whole[5:10])


async def test_what_is_not_everybodys_is_kept_by_no_cache(client: ClientSession) -> None:
    address = f"/items/{HIDDEN}/pages/1/image"
    refused = await client.get(address)
    assert refused.status == 403
    shown = await client.get(address, headers=CLERK)
    assert (shown.status, shown.headers["Cache-Control"]) == (200, "private, no-store")


@pytest.mark.parametrize("page", ["0", "3", "x", "-1"])
async def test_a_page_that_nothing_shows(client: ClientSession, page: str) -> None:
    answer = await client.get(f"/api/v1/items/{BOOK}/pages/{page}/image")
    assert answer.status in (400, 404)
    assert answer.content_type == "application/problem+json"


async def test_among_thumbnails_a_page_without_image_shows_that_it_has_none(
    client: ClientSession,
) -> None:
    answer = await client.get(f"/items/{BOOK}/pages/3/thumbnail")
    assert (answer.status, answer.content_type) == (200, "image/svg+xml")
    assert answer.url.path == "/static/no_image.svg"
    asked = await client.get(f"/api/v1/items/{BOOK}/pages/3/thumbnail")
    assert (await asked.json())["code"] == "store.missing.image"
