"""Proof of an item: the files of it in JSON, and a page whose script checks them in the browser.

The script is an ES module of this package.
"""

from __future__ import annotations

from typing import Final

from aiohttp import web

from node.faces.asking import FACE, asker_of, item_in, service_of
from node.faces.portal import render
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
        "node_url": request.app[FACE].shown_url,
        "zh": Wording("zh"),
        "en": Wording("en"),
    }
    return render(request, "proof.html", values, script="proof.js")


def routes() -> list[web.RouteDef]:
    return [
        web.get("/api/v1/items/{item}/proof", document),
        web.get("/items/{item}/proof", page),
    ]
