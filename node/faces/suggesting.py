"""What may be meant by what is being typed: the question that the search box asks at every key."""

from __future__ import annotations

from dataclasses import asdict

from aiohttp import web

from node.faces.asking import asker_of, integer, service_of, text_field
from protocol.limits import SUGGEST_CHARS_MAX, SUGGESTIONS_MAX


async def suggest(request: web.Request) -> web.Response:
    """GET /api/v1/suggest?q=&limit="""
    typed = text_field(dict(request.query), "q", SUGGEST_CHARS_MAX)
    limit = request.query.get("limit", str(SUGGESTIONS_MAX))
    answer = await service_of(request).suggest(
        typed, integer(limit, "limit", 1, SUGGESTIONS_MAX), asker_of(request)
    )
    return web.json_response(asdict(answer))


def routes() -> list[web.RouteDef]:
    return [web.get("/api/v1/suggest", suggest)]
