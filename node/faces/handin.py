"""The page on which a clerk hands in (报送): its script sends the files by tus."""

from __future__ import annotations

from aiohttp import web

from node.faces.asking import service_of
from node.faces.portal import render
from protocol.limits import TITLE_CHARS_MAX
from protocol.records import RIGHTS_CLASSES

KINDS = ("新方志", "旧志", "年鉴", "专志", "地情资料")


async def page(request: web.Request) -> web.Response:
    """GET /report"""
    service = service_of(request)
    values = {
        "kinds": KINDS,
        "rights": RIGHTS_CLASSES,
        "offices": service.status().offices,
        "names": {line.code: line.name for line in service.offices()},
        "title_chars_max": TITLE_CHARS_MAX,
    }
    return render(request, "report.html", values, script="report.js")


def routes() -> list[web.RouteDef]:
    return [web.get("/report", page)]
