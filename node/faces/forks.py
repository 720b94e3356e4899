"""Forks of logs: the list for people and for programs, and the files that anybody checks again."""

from __future__ import annotations

from dataclasses import asdict

from aiohttp import web

from node.faces.asking import FACE, service_of
from node.faces.logs import MOMENT
from node.faces.portal import render


async def listing(request: web.Request) -> web.Response:
    """GET /api/v1/evidence"""
    return web.json_response(asdict(service_of(request).evidence()))


async def file(request: web.Request) -> web.Response:
    """GET /evidence/{office}/{evidence}/{name}: a checkpoint or a tlog-proof."""
    return web.Response(
        body=service_of(request).evidence_file(request.path),
        content_type="text/plain",
        charset="utf-8",
        headers={"Cache-Control": MOMENT},
    )


async def page(request: web.Request) -> web.Response:
    """GET /evidence"""
    values = {
        "answer": service_of(request).evidence(),
        "node_url": request.app[FACE].shown_url,
    }
    return render(request, "evidence.html", values)


def routes() -> list[web.RouteDef]:
    return [
        web.get("/api/v1/evidence", listing),
        web.get("/evidence", page),
        web.get("/evidence/{office}/{evidence}/{name}", file),
    ]
