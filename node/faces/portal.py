"""The portal: what a reader sees of the network, rendered here, without cookies; a page that
runs a script of ours (the search box, :mod:`node.faces.proofs`) says all without it, too.

Chinese first; ``?lang=en`` says the same in English.  Texts of items are data: they are escaped
by the templates and never interpreted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final

import jinja2
from aiohttp import web

from node.faces.asking import (
    FACE,
    RULES_TO_SWITCH,
    SEQ_MAX,
    VIEWS,
    asker_of,
    integer,
    item_in,
    known_item,
    office_in,
    service_of,
)
from node.faces.results import reasons_of
from node.faces.wording import LANGUAGES, Wording, phrases, tools
from node.office.answers import ItemLine, OfficeLine
from protocol.errors import FangzhiError, Missing
from protocol.limits import QUERY_CHARS_MAX, SUGGEST_CHARS_MAX

TEMPLATES: Final = web.AppKey("templates", jinja2.Environment)
FACET_VALUES_SHOWN: Final = 8
HOME_ITEMS: Final = 12
WINDOW_ITEMS: Final = 100
THUMBNAILS_SHOWN: Final = 24
_STATIC_TYPES: Final = {
    "portal.css": "text/css",
    "no_image.svg": "image/svg+xml",
    "seal.svg": "image/svg+xml",
    **dict.fromkeys(
        (
            *("bytes.js", "chain.js", "events.js", "proof.js", "reader.js", "recall.js"),
            *("print.js", "report.js", "roster.js", "suggest.js", "tlog.js"),
        ),
        "text/javascript",
    ),
}
SCRIPT_POLICY: Final = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def make_templates() -> jinja2.Environment:
    """The environment of all templates: everything escaped, a missing name is an error."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("node.faces"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= tools() | {
        "reasons_of": reasons_of,
        "query_chars_max": QUERY_CHARS_MAX,
        "rules": RULES_TO_SWITCH,
        "suggest_chars_max": SUGGEST_CHARS_MAX,
        "thumbnails_shown": THUMBNAILS_SHOWN,
        "views": VIEWS,
        "facet_shown": FACET_VALUES_SHOWN,
        "seal": static_path("seal.svg"),
        "style": static_path("portal.css"),
    }
    return environment


def wording_of(request: web.Request) -> Wording:
    asked = request.query.get("lang", LANGUAGES[0])
    return Wording(asked if asked in LANGUAGES else LANGUAGES[0])


def render(
    request: web.Request,
    template: str,
    values: Mapping[str, Any],
    status: int = 200,
    script: str = "",
) -> web.Response:
    """The page ``template`` in the request's language; ``script`` is the module that it runs."""
    wording = wording_of(request)
    other = next(language for language in LANGUAGES if language != wording.language)
    asked = {name: request.query.getall(name) for name in request.query if name != "lang"}
    page = request.app[TEMPLATES].get_template(template)
    body = page.render(
        {"query": "", "without": (), "literal": False, **values},
        script=static_path(script) if script else "",
        t=wording.say,
        w=wording,
        other_language=Wording(other).link(request.path, **asked),
    )
    # A lone surrogate, which has no form in UTF-8, is shown as its number.
    data = body.encode("utf-8", "backslashreplace")
    policy = {"Content-Security-Policy": SCRIPT_POLICY} if script else {}
    return web.Response(
        body=data, status=status, content_type="text/html", charset="utf-8", headers=policy
    )


def office_names(request: web.Request) -> dict[str, str]:
    """The name of every office of the roster in the request's language."""
    wording = wording_of(request)
    lines = service_of(request).offices()
    return {line.code: wording.office(line.code, line.name) for line in lines}


async def home(request: web.Request) -> web.Response:
    """GET /"""
    service = service_of(request)
    offices = service.offices()
    values = {
        "network": request.app[FACE].network(),
        "provinces": tree(offices),
        "names": office_names(request),
        "items": service.items(None, asker_of(request), "", HOME_ITEMS),
    }
    return render(request, "home.html", values, script="suggest.js")


def tree(
    offices: list[OfficeLine],
) -> list[tuple[OfficeLine, list[tuple[OfficeLine, list[OfficeLine]]]]]:
    """Provinces, each with its cities, each with its counties; an office whose parent is not in
    the list stands at the top."""
    below: dict[str, list[OfficeLine]] = {}
    codes = {office.code for office in offices}
    for office in offices:
        below.setdefault(office.parent if office.parent in codes else "", []).append(office)
    return [
        (top, [(city, below.get(city.code, [])) for city in below.get(top.code, [])])
        for top in below.get("", [])
    ]


async def office(request: web.Request) -> web.Response:
    """GET /o/{code}/: the window of any office of the network, open even when its PC is off."""
    service, code = service_of(request), office_in(request)
    offices = service.offices()
    named = {line.code: line for line in offices}
    if code not in named:
        raise Missing("office", "a code of the roster", code)
    after = known_item(request.query["after"]) if request.query.get("after") else ""
    items = service.items(code, asker_of(request), after, WINDOW_ITEMS)
    values = {
        "office": named[code],
        "parent": named.get(named[code].parent),
        "children": [line for line in offices if line.parent == code],
        "names": office_names(request),
        "kinds": by_kind(items),
        "after": items[-1].item if len(items) == WINDOW_ITEMS else "",
    }
    return render(request, "office.html", values)


def by_kind(items: list[ItemLine]) -> dict[str, list[ItemLine]]:
    kinds: dict[str, list[ItemLine]] = {}
    for item in items:
        kinds.setdefault(item.kind, []).append(item)
    return dict(sorted(kinds.items(), key=lambda pair: -len(pair[1])))


async def item(request: web.Request) -> web.Response:
    """GET /items/{item}"""
    service = service_of(request)
    answer = service.item(item_in(request), asker_of(request))
    values = {
        "answer": answer,
        "line": answer.line,
        "names": office_names(request),
        "node_url": request.app[FACE].shown_url,
    }
    return render(request, "item.html", values)


async def page(request: web.Request) -> web.Response:
    """GET /items/{item}/pages/{seq}: one page to read."""
    seq = integer(request.match_info["seq"], "page number", 1, SEQ_MAX)
    answer = await service_of(request).page(item_in(request), seq, asker_of(request))
    values = {"answer": answer, "names": office_names(request)}
    return render(request, "page.html", values, script="reader.js")


async def network(request: web.Request) -> web.Response:
    """GET /network"""
    service = service_of(request)
    offices = service.offices()
    values = {
        "status": service.status(),
        "offices": offices,
        "names": office_names(request),
    }
    return render(request, "network.html", values)


def refusal_page(request: web.Request, error: FangzhiError, status: int) -> web.Response:
    """What a reader sees instead of a page: what happened and what to do."""
    number = (
        str(status) if f"problem.{status}" in phrases() else ("500" if status >= 500 else "400")
    )
    query = request.query.get("q", "")[:QUERY_CHARS_MAX]
    values = {"number": number, "status": status, "error": error, "query": query}
    return render(request, "problem.html", values | {"query_max": QUERY_CHARS_MAX}, status)


@cache
def static_bytes(name: str) -> bytes:
    return files(__package__).joinpath("static", name).read_bytes()


def static_path(name: str) -> str:
    """The address of a static file; it changes with the content, so it may be cached for ever."""
    return f"/static/{name}?v={hashlib.sha256(static_bytes(name)).hexdigest()[:12]}"


async def static(request: web.Request) -> web.Response:
    """GET /static/{name}"""
    name = request.match_info["name"]
    if name not in _STATIC_TYPES:
        raise Missing("static file", f"one of {', '.join(_STATIC_TYPES)}", name[:40])
    named_by_content = "v" in request.query  # scripts import each other by plain names
    caching = "public, max-age=31536000, immutable" if named_by_content else "no-cache"
    return web.Response(
        body=static_bytes(name),
        content_type=_STATIC_TYPES[name],
        charset="utf-8",
        headers={"Cache-Control": caching},
    )


async def with_slash(request: web.Request) -> web.Response:
    raise web.HTTPPermanentRedirect(wording_of(request).link(f"/o/{office_in(request)}/"))


def routes() -> list[web.RouteDef]:
    return [
        web.get("/", home),
        web.get("/o/{code}", with_slash),
        web.get("/o/{code}/", office),
        web.get("/items/{item}", item),
        web.get("/items/{item}/pages/{seq}", page),
        web.get("/network", network),
        web.get("/static/{name}", static),
    ]
