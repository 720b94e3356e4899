"""The JSON API's questions: search, items, pages, files' records, offices, status."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

from aiohttp import web

from node.faces.asking import (
    QUESTION_FIELDS,
    SEQ_MAX,
    VIEWS,
    asked_fields,
    asker_of,
    integer,
    item_in,
    json_body,
    known_item,
    question_of,
    service_of,
    sha256_in,
    switch_field,
)
from node.faces.results import Work, by_work
from node.faces.searching import Alternative, records_of, would_hit
from node.faces.service import Json
from node.office.answers import Hit
from protocol.ids import parse_office

ITEMS_SHOWN: Final = 50
ITEMS_MAX: Final = 100
MANIFEST_CACHING: Final = "no-cache"  # a withdrawn item's manifest must go at once


async def search(request: web.Request) -> web.Response:
    """GET /api/v1/search?q= and POST /api/v1/search with the same members in JSON."""
    fields = asked_fields(request)
    if request.method == "POST":
        fields = await json_body(request, QUESTION_FIELDS)
    question, view = question_of(fields)
    asker = asker_of(request)
    answer = await service_of(request).search(question, asker)
    document = asdict(answer)
    if view == VIEWS[2]:
        works = by_work(answer.hits, records_of(service_of(request), answer, asker))
        document["works"] = [_work_document(work, answer.hits) for work in works]
    if switch_field(fields, "alternatives") and not answer.hits:
        others = await would_hit(service_of(request), question, answer, asker)
        document["alternatives"] = [_alternative_document(other) for other in others]
    return web.json_response(document)


def _alternative_document(other: Alternative) -> Json:
    return {
        "why": other.why,
        "q": other.question.text,
        "without": other.question.without,
        "total": other.total,
        "total_is_exact": other.total_is_exact,
    }


def _work_document(work: Work, hits: Sequence[Hit]) -> Json:
    """The editions of a work, with the places of their hits in the list of hits."""
    editions = [
        {
            "item": edition.item,
            "title": edition.title,
            "marks": dict(edition.marks),
            "hits": [hits.index(hit) for hit in edition.hits],
        }
        for edition in work.editions
    ]
    return {"title": work.title, "editions": editions}


async def items(request: web.Request) -> web.Response:
    """GET /api/v1/items?office=&after=&limit=; ``next`` is the ``after`` of the next part."""
    fields = request.query
    office = parse_office(fields["office"]) if "office" in fields else None
    after = known_item(fields["after"]) if "after" in fields else ""
    limit = integer(fields.get("limit", str(ITEMS_SHOWN)), "limit", 1, ITEMS_MAX)
    lines = service_of(request).items(office, asker_of(request), after, limit)
    more = lines[-1].item if len(lines) == limit else None
    return web.json_response({"items": [asdict(line) for line in lines], "next": more})


async def item(request: web.Request) -> web.Response:
    """GET /api/v1/items/{item}"""
    answer = service_of(request).item(item_in(request), asker_of(request))
    return web.json_response(asdict(answer))


async def page(request: web.Request) -> web.Response:
    """GET /api/v1/items/{item}/pages/{seq}"""
    seq = integer(request.match_info["seq"], "page number", 1, SEQ_MAX)
    answer = await service_of(request).page(item_in(request), seq, asker_of(request))
    return web.json_response(asdict(answer))


async def file_records(request: web.Request) -> web.Response:
    """GET /api/v1/files/{sha256}/records: where the logs speak of a file."""
    names = ("office", "log_index", "manifest", "item")
    records = service_of(request).file_items(sha256_in(request), asker_of(request))
    return web.json_response(
        {"records": [dict(zip(names, record, strict=True)) for record in records]}
    )


async def manifest(request: web.Request) -> web.Response:
    """GET /api/v1/manifests/{sha256}: the very bytes whose hash the log names."""
    body = service_of(request).manifest(sha256_in(request), asker_of(request))
    return web.Response(
        body=body,
        content_type="application/json",
        headers={"Cache-Control": MANIFEST_CACHING},
    )


async def offices(request: web.Request) -> web.Response:
    """GET /api/v1/offices"""
    lines = service_of(request).offices()
    return web.json_response({"offices": [asdict(line) for line in lines]})


async def status(request: web.Request) -> web.Response:
    """GET /api/v1/status"""
    return web.json_response(asdict(service_of(request).status()))


def routes() -> list[web.RouteDef]:
    return [
        web.get("/api/v1/search", search),
        web.post("/api/v1/search", search),
        web.get("/api/v1/items", items),
        web.get("/api/v1/items/{item}", item),
        web.get("/api/v1/items/{item}/pages/{seq}", page),
        web.get("/api/v1/files/{sha256}/records", file_records),
        web.get("/api/v1/manifests/{sha256}", manifest),
        web.get("/api/v1/offices", offices),
        web.get("/api/v1/status", status),
    ]
