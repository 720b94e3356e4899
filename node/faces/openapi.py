"""The OpenAPI 3.1 document of the node, kept by hand beside this module."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from aiohttp import web


@cache
def document() -> bytes:
    return files(__package__).joinpath("openapi.json").read_bytes()


async def openapi(request: web.Request) -> web.Response:
    """GET /openapi.json"""
    return web.Response(body=document(), content_type="application/json")


def routes() -> list[web.RouteDef]:
    return [web.get("/openapi.json", openapi)]
