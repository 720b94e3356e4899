"""The web application of a node: its routes, and what holds for every answer.

The same application serves the public listener and, with every right, the node's own socket.
"""

from __future__ import annotations

import asyncio
from functools import cache
from http import HTTPStatus
from typing import Final

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from node.faces import (
    api,
    catalogue,
    changes,
    copies,
    downloads,
    export,
    forks,
    handin,
    logs,
    metrics,
    openapi,
    portal,
    proofs,
    recalling,
    searching,
    suggesting,
    tus,
)
from node.faces.asking import FACE, Face
from node.faces.metrics import METRICS, Metrics
from node.faces.problem import MEDIA_TYPE, http_status, problem_document
from node.faces.service import Service
from protocol.errors import DecodeError, FangzhiError, Missing
from protocol.limits import JSON_BODY_BYTES_MAX, KiB

# Long enough that a query of 10,000 characters is answered by us, in words.
REQUEST_LINE_BYTES_MAX: Final = 128 * KiB
HEADER_BYTES_MAX: Final = 16 * KiB
RETRY_SECONDS: Final = 2

# Pages of the portal; everything else speaks to programs and gets problem documents.
_PROGRAM_PREFIXES: Final = (
    "/api/",
    "/log/",
    "/evidence/",
    "/witness/",
    "/mirror/",
    "/genesis",
    "/healthz",
    "/metrics",
    "/openapi.json",
)
_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}

_BEGUN: Final = web.RequestKey("begun", bool)

_log = structlog.get_logger("fangzhi.web")


def make_web_app(service: Service, *, trusted: bool, shown_url: str) -> web.Application:
    """All faces over ``service``.

    ``trusted``: the caller has every right (the socket of mode 0600).  ``shown_url``: the address
    under which people reach this node, shown in words on how to verify.
    """
    app = web.Application(middlewares=[_answer_always], client_max_size=JSON_BODY_BYTES_MAX)
    app[FACE] = Face(
        service, trusted, shown_url.rstrip("/"), cache(lambda: service.status().network)
    )
    app[METRICS] = Metrics(service)
    app[portal.TEMPLATES] = portal.make_templates()
    rooms = (api, changes, copies, downloads, export, forks, logs, metrics, openapi, portal, proofs)
    for room in (*rooms, searching, suggesting, catalogue, handin, recalling, tus):
        app.add_routes(room.routes())
    app.on_response_prepare.append(_add_headers)
    return app


def make_runner(app: web.Application) -> web.AppRunner:
    """The runner of an application: quiet, with our limits on what a request may say."""
    return web.AppRunner(
        app,
        access_log=None,
        max_line_size=REQUEST_LINE_BYTES_MAX,
        max_field_size=HEADER_BYTES_MAX,
        shutdown_timeout=2.0,
    )


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    request[_BEGUN] = True
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Cache-Control", "no-store")


@web.middleware
async def _answer_always(request: web.Request, handler: Handler) -> web.StreamResponse:
    started = asyncio.get_running_loop().time()
    try:
        response = await handler(request)
    except FangzhiError as error:
        response = _refusal(request, error, http_status(error))
    except web.HTTPException as answer:
        if answer.status < HTTPStatus.BAD_REQUEST:
            raise
        response = _refused_by_server(request, answer)
    except Exception:
        if request.get(_BEGUN):
            raise  # the head is sent: the server cuts the connection
        _log.exception("a handler failed", path=request.path)
        response = _refusal(
            request, FangzhiError("this node", "an answer", "a fault of the software"), 500
        )
    resource = request.match_info.route.resource
    route = resource.canonical if resource else "none"
    request.app[METRICS].count(route, response.status, asyncio.get_running_loop().time() - started)
    return response


def _refused_by_server(request: web.Request, answer: web.HTTPException) -> web.StreamResponse:
    """What aiohttp refuses by itself: unknown paths, wrong methods, bodies too large."""
    cls = Missing if answer.status == HTTPStatus.NOT_FOUND else DecodeError
    expected = {
        HTTPStatus.NOT_FOUND: "an address of this node",
        HTTPStatus.METHOD_NOT_ALLOWED: f"the method {answer.headers.get('Allow', '')}",
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: f"a body of at most {JSON_BODY_BYTES_MAX} bytes",
    }.get(HTTPStatus(answer.status), "a request this node can read")
    where = f"{request.method} {request.path[:100]}"
    response = _refusal(request, cls(where, expected, answer.reason), answer.status)
    if "Allow" in answer.headers:
        response.headers["Allow"] = answer.headers["Allow"]
    return response


def _refusal(request: web.Request, error: FangzhiError, status: int) -> web.StreamResponse:
    if request.path.startswith(_PROGRAM_PREFIXES):
        response = web.json_response(
            problem_document(error, status), status=status, content_type=MEDIA_TYPE
        )
    else:
        response = portal.refusal_page(request, error, status)
    if status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = "Bearer"
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers["Retry-After"] = str(RETRY_SECONDS)
    return response
