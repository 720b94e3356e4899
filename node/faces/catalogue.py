"""书目检索: the catalogue of the whole network, as a page and as JSON.

Questions are those of the text search; hits are items, each with its record.  Without a question
the page shows what there is, to be narrowed down.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Final

from aiohttp import web

from node.faces.asking import (
    EVERY_RECORD,
    QUESTION_FIELDS,
    RULES_TO_SWITCH,
    VIEWS,
    asked_fields,
    asker_of,
    integer,
    json_body,
    question_of,
    service_of,
)
from node.faces.portal import office_names, render
from node.faces.results import facet_values
from node.faces.searching import AT_MAX, Asked, answerers, told_apart

FIELDS: Final = tuple(name for name in QUESTION_FIELDS if name not in ("view", "alternatives"))


async def catalogue(request: web.Request) -> web.Response:
    """GET /api/v1/catalogue?q= and POST /api/v1/catalogue with the same members in JSON.

    ``records`` has the record of each hit in turn, ``tree`` the facets with regions in regions.
    """
    fields = asked_fields(request)
    if request.method == "POST":
        fields = await json_body(request, FIELDS)
    question, _ = question_of(fields)
    answer = await service_of(request).catalogue(question, asker_of(request))
    tree = {
        field: [asdict(value) for value in values]
        for field, values in facet_values(answer.search.facets).items()
    }
    records = [asdict(record) for record in answer.records]
    return web.json_response({**asdict(answer.search), "records": records, "tree": tree})


async def page(request: web.Request) -> web.Response:
    """GET /catalogue?q=…; without a query every record there is."""
    service, fields = service_of(request), asked_fields(request)
    if fields.get("literal") == "1":
        fields["without"] = list(RULES_TO_SWITCH)
    typed = str(fields.get("q", "")).strip()
    question, _ = question_of(fields | {"q": typed or EVERY_RECORD, "facets": True})
    at = integer(request.query.get("at", "1"), "at", 1, AT_MAX)
    answer = await service.catalogue(question, asker_of(request))
    names = office_names(request)
    asked = Asked(replace(question, text=typed), VIEWS[0], at, "/catalogue")
    values = {
        "query": typed,
        "asked": asked,
        "without": question.without,
        "literal": asked.literal,
        "names": names,
        "chinese": told_apart(service.offices()),
        "answer": answer.search,
        "books": list(zip(answer.search.hits, answer.records, strict=True)),
        "others": (),
        "facets": facet_values(answer.search.facets),
        "missing": [names.get(code, code) for code in answer.search.coverage.missing],
        "answerers": answerers(answer.search, names),
    }
    return render(request, "catalogue.html", values)


def routes() -> list[web.RouteDef]:
    return [
        web.get("/catalogue", page),
        web.get("/api/v1/catalogue", catalogue),
        web.post("/api/v1/catalogue", catalogue),
    ]
