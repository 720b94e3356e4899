"""Files over HTTP: whole or one range (RFC 9110), under their own names, never as pages of ours.

A file's bytes come from outside.  Only kinds that browsers show without running anything are shown
in place; all others are downloads, and a policy without scripts goes with every file.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Final
from urllib.parse import quote

from aiohttp import web

from node.faces.asking import (
    SEQ_MAX,
    asker_of,
    integer,
    item_in,
    service_of,
    sha256_in,
    staff_of,
)
from node.faces.portal import static_path
from node.faces.service import ReadRange
from protocol.errors import FangzhiError, NoImage
from protocol.images import MEDIA_TYPE

SHOWN_IN_PLACE: Final = frozenset(
    ("application/pdf", "image/jpeg", "image/png", "image/webp", "text/plain")
)
FILE_POLICY: Final = "default-src 'none'; frame-ancestors 'none'"
_RANGE: Final = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)
_MEDIA_TYPE: Final = re.compile(r"[\w.+-]{1,60}/[\w.+-]{1,60}", re.ASCII)


def byte_range(header: str | None, size: int) -> tuple[int, int] | None:
    """(offset, length) that a Range header asks of ``size`` bytes; the whole where it asks for
    several ranges, for another unit or for nothing; None when it lies outside."""
    match = _RANGE.fullmatch((header or "").strip())
    if match is None or match.group(1) == match.group(2) == "":
        return 0, size
    first, last = match.groups()
    if first == "":
        length = min(int(last), size)
        return (size - length, length) if length else None
    start = int(first)
    end = min(int(last), size - 1) if last else size - 1
    if last and int(last) < start:
        return 0, size  # not a range at all
    return (start, end - start + 1) if start < size else None


def disposition(name: str, media_type: str) -> str:
    """Content-Disposition (RFC 6266) for a file name in any script."""
    kind = "inline" if media_type in SHOWN_IN_PLACE else "attachment"
    base = name.rsplit("/", 1)[-1] or "file"
    plain = re.sub(r"[^A-Za-z0-9._ -]", "_", base)
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(base, safe='')}"


async def download(request: web.Request) -> web.StreamResponse:
    """GET /api/v1/files/{sha256}"""
    sha256 = sha256_in(request)
    opened = await service_of(request).open_file(sha256, asker_of(request))
    return await _served(request, sha256, opened)


async def recalled(request: web.Request) -> web.StreamResponse:
    """GET /api/v1/items/{item}/recall/{sha256}: 调取, from whichever holder is up"""
    item, sha256, asker = item_in(request), sha256_in(request), staff_of(request)
    opened = await service_of(request).recall_file(item, sha256, asker)
    return await _served(request, sha256, opened)


async def page_image(request: web.Request) -> web.StreamResponse:
    """GET /items/{item}/pages/{seq}/image and /thumbnail, and the same of /api/v1 (服务级)"""
    seq = integer(request.match_info["seq"], "page number", 1, SEQ_MAX)
    thumbnail = request.path.endswith("/thumbnail")
    asker = asker_of(request)
    try:
        shown = await service_of(request).image(item_in(request), seq, thumbnail, asker)
    except NoImage as error:
        if thumbnail and not request.path.startswith("/api/"):  # stands in a row of others
            raise web.HTTPFound(static_path("no_image.svg")) from error
        raise
    opened = shown.size, MEDIA_TYPE, shown.name, shown.read
    # Asked again each time in either case: rights end within seconds.  What is not everybody's is
    # kept by no cache at all.
    caching = "public, no-cache" if shown.public else "private, no-store"
    return await _served(request, shown.sha256, opened, caching)


async def _served(
    request: web.Request,
    sha256: str,
    opened: tuple[int, str, str, ReadRange],
    caching: str = "no-cache",  # asked again each time: a withdrawn file is gone at once
) -> web.StreamResponse:
    size, media_type, name, read = opened
    tag = f'"{sha256}"'
    headers = {
        "Accept-Ranges": "bytes",
        "Cache-Control": caching,
        "Content-Disposition": disposition(name, media_type),
        "Content-Security-Policy": FILE_POLICY,
        "ETag": tag,
        "Vary": "Authorization",
    }
    if tag in (part.strip() for part in request.headers.get("If-None-Match", "").split(",")):
        return web.Response(status=304, headers=headers)
    same = request.headers.get("If-Range", tag) == tag
    span = byte_range(request.headers.get("Range") if same else None, size)
    if span is None:
        return web.Response(status=416, headers={"Content-Range": f"bytes */{size}"})
    offset, length = span
    response = web.StreamResponse(status=200, headers=headers)
    safe = _MEDIA_TYPE.fullmatch(media_type)
    response.content_type = media_type if safe else "application/octet-stream"
    if media_type == "text/plain":
        response.charset = "utf-8"
    response.content_length = length
    if length < size:
        response.set_status(206)
        response.headers["Content-Range"] = f"bytes {offset}-{offset + length - 1}/{size}"
    if request.method != "GET":
        await response.prepare(request)
        return response
    body = read(offset, length)
    first = await anext(body, b"")  # a relay that finds no holder is refused, not broken off
    await response.prepare(request)
    await _send(request, response, first, body)
    return response


async def _send(
    request: web.Request, response: web.StreamResponse, first: bytes, body: AsyncIterator[bytes]
) -> None:
    try:
        await response.write(first)
        async for part in body:
            await response.write(part)
        await response.write_eof()
    except FangzhiError:
        # The holder broke off.  The head is sent, so the reader can only be told by a cut.
        if request.transport is not None:
            request.transport.abort()


def routes() -> list[web.RouteDef]:
    drawn = ("/items/{item}/pages/{seq}/image", "/items/{item}/pages/{seq}/thumbnail")
    return [
        *(web.get(prefix + path, page_image) for prefix in ("", "/api/v1") for path in drawn),
        web.get("/api/v1/files/{sha256}", download),
        web.get("/api/v1/items/{item}/recall/{sha256}", recalled),
    ]
