"""Proof of an item: the files of it in JSON, and a page whose script checks them in the browser.

The script is an ES module of this package; nothing but this page may run one.
"""

from __future__ import annotations

from typing import Final

from aiohttp import web

from node.faces.asking import FACE, asker_of, item_in, service_of
from node.faces.portal import render, static_path
from node.faces.wording import Wording

STEPS: Final = (
    "genesis",
    "roster",
    "manifest",
    "event",
    "inclusion",
    "checkpoint",
    "witnesses",
    "anchors",
)
PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


async def document(request: web.Request) -> web.Response:
    """GET /api/v1/items/{item}/proof: the files that ``fangzhi verify --out`` writes, in JSON."""
    body = await service_of(request).proof(item_in(request), asker_of(request))
    return web.Response(body=body, content_type="application/json")


async def page(request: web.Request) -> web.Response:
    """GET /items/{item}/proof: the reader's own browser checks the item's proof."""
    answer = service_of(request).item(item_in(request), asker_of(request))
    values = {
        "line": answer.line,
        "steps": STEPS,
        "script": static_path("proof.js"),
        "node_url": request.app[FACE].shown_url,
        "zh": Wording("zh"),
        "en": Wording("en"),
    }
    response = render(request, "proof.html", values)
    response.headers["Content-Security-Policy"] = PAGE_POLICY
    return response


def routes() -> list[web.RouteDef]:
    return [
        web.get("/api/v1/items/{item}/proof", document),
        web.get("/items/{item}/proof", page),
    ]
