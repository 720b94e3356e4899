"""Logs, witnesses and mirrors over HTTP: c2sp.org/tlog-tiles, tlog-witness, tlog-mirror (the read
side), tlog-policy, and the genesis note.

A checkpoint may be cached for a moment; tiles and entry bundles never change.
"""

from __future__ import annotations

import re
from typing import Final

from aiohttp import web

from ledger.tiles import Bundle, parse_path
from node.faces.asking import service_of
from protocol.errors import DecodeError, Missing
from protocol.ids import parse_office
from protocol.limits import NOTE_BYTES_MAX, PROOF_HASHES_MAX

IMMUTABLE: Final = "public, max-age=31536000, immutable"
MOMENT: Final = "public, max-age=2"
HASH_LINE_BYTES: Final = 45
WITNESS_BODY_BYTES_MAX: Final = NOTE_BYTES_MAX + (PROOF_HASHES_MAX + 2) * HASH_LINE_BYTES


def _office(request: web.Request) -> str:
    try:
        return parse_office(request.match_info["office"])
    except DecodeError as error:
        raise Missing("log", error.expected, error.got) from error


async def checkpoint(request: web.Request) -> web.Response:
    """GET /log/{office}/checkpoint"""
    return _note(service_of(request).checkpoint(_office(request)))


async def tile(request: web.Request) -> web.Response:
    """GET /log/{office}/tile/<L>/<N>[.p/<W>] and /log/{office}/tile/entries/<N>[.p/<W>]"""
    return _tile(request, _office(request))


def _tile(request: web.Request, office: str) -> web.Response:
    service = service_of(request)
    try:
        named = parse_path(f"tile/{request.match_info['path']}")
    except DecodeError as error:
        raise Missing("tile", error.expected, error.got) from error
    if isinstance(named, Bundle):
        body = service.bundle(office, named.number, named.width)
    else:
        body = service.tile(office, named.level, named.number, named.width)
    return web.Response(
        body=body,
        content_type="application/octet-stream",
        headers={"Cache-Control": IMMUTABLE},
    )


async def add_checkpoint(request: web.Request) -> web.Response:
    """POST /witness/add-checkpoint"""
    body = await request.content.read(WITNESS_BODY_BYTES_MAX + 1)
    while len(body) <= WITNESS_BODY_BYTES_MAX and not request.content.at_eof():
        body += await request.content.read(WITNESS_BODY_BYTES_MAX + 1 - len(body))
    if len(body) > WITNESS_BODY_BYTES_MAX:
        raise DecodeError("add-checkpoint", f"at most {WITNESS_BODY_BYTES_MAX} bytes", "more")
    status, content_type, answer = await service_of(request).add_checkpoint(body)
    return web.Response(status=status, body=answer, headers={"Content-Type": content_type})


async def witnessed(request: web.Request) -> web.Response:
    """GET /witness/{hexadecimal SHA-256 of the origin}/checkpoint"""
    return _note(service_of(request).cosigned_checkpoint(_origin_hash(request)))


async def policy(request: web.Request) -> web.Response:
    """GET /log/{office}/policy: whose cosignatures make a checkpoint of this log witnessed."""
    return _note(service_of(request).policy(_office(request)))


async def mirrored(request: web.Request) -> web.Response:
    """GET /mirror/{hexadecimal SHA-256 of the origin}/checkpoint"""
    return _note(service_of(request).mirrored_checkpoint(_origin_hash(request)))


async def mirrored_tile(request: web.Request) -> web.Response:
    """GET /mirror/{hexadecimal SHA-256 of the origin}/tile/…"""
    return _tile(request, service_of(request).log_of(_origin_hash(request)))


def _origin_hash(request: web.Request) -> str:
    origin_hash = request.match_info["origin"]
    if not re.fullmatch(r"[0-9a-f]{64}", origin_hash):
        raise Missing("origin", "the SHA-256 of an origin, hexadecimal", repr(origin_hash[:80]))
    return origin_hash


async def genesis(request: web.Request) -> web.Response:
    """GET /genesis: the note that founds the network; trust it only after comparing its hash."""
    return _note(service_of(request).genesis())


def _note(body: bytes) -> web.Response:
    return web.Response(
        body=body,
        content_type="text/plain",
        charset="utf-8",
        headers={"Cache-Control": MOMENT},
    )


def routes() -> list[web.RouteDef]:
    return [
        web.get("/log/{office}/checkpoint", checkpoint),
        web.get("/log/{office}/policy", policy),
        web.get("/log/{office}/tile/{path:.+}", tile),
        web.post("/witness/add-checkpoint", add_checkpoint),
        web.get("/witness/{origin}/checkpoint", witnessed),
        web.get("/mirror/{origin}/checkpoint", mirrored),
        web.get("/mirror/{origin}/tile/{path:.+}", mirrored_tile),
        web.get("/genesis", genesis),
    ]
