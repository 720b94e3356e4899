"""The page on which staff get files back (调取): its script asks the API with the node's token."""

from __future__ import annotations

from aiohttp import web

from node.faces.portal import render


async def page(request: web.Request) -> web.Response:
    """GET /recall"""
    what = request.query.get("what", "")[:64]
    return render(request, "recall.html", {"what": what}, script="recall.js")


def routes() -> list[web.RouteDef]:
    return [web.get("/recall", page)]
