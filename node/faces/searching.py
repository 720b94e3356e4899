"""The search page: one question, its answer arranged, and every change of it as a link.

What is asked stands whole in the address, so that a search can be kept, sent and printed; the page
needs no script.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from aiohttp import web

from node.faces.asking import (
    RULES_TO_SWITCH,
    VIEWS,
    asked_fields,
    asker_of,
    integer,
    question_of,
    service_of,
)
from node.faces.portal import office_names, render, wording_of
from node.faces.results import Work, by_item, by_work, facet_values
from node.faces.service import Service
from node.office.answers import Asker, OfficeLine, Question, SearchAnswer
from protocol.errors import FangzhiError
from search_shard.grammar import JOINS, Part, parts_of
from search_shard.lattice import NOT, OR
from search_shard.spelling import filter_text

ALTERNATIVES_MAX: Final = 6
AT_MAX: Final = 10**9
_OR: Final = frozenset(("|", "｜", *(join for join, how in JOINS.items() if how == OR)))


@dataclass(frozen=True, slots=True)
class Asked:
    """What a reader asked of the page."""

    question: Question
    view: str
    at: int  # number of the first hit shown, from 1
    path: str = "/search"  # of the page that was asked

    @property
    def literal(self) -> bool:
        return self.question.without == RULES_TO_SWITCH

    @property
    def parts(self) -> tuple[Part, ...]:
        return parts_of(self.question.text)

    def but(self, **changes: object) -> dict[str, object]:
        """The fields of the address of this search with some changed.  Another question starts at
        its first page."""
        question = self.question
        now: dict[str, object] = {
            "q": question.text,
            "without": question.without,
            "view": self.view,
            "limit": question.limit if question.limit != Question("").limit else "",
            "explain": "1" if question.explain else "",
        } | changes
        if now["view"] == VIEWS[0]:
            now["view"] = ""
        if now["without"] == RULES_TO_SWITCH:
            now |= {"without": (), "literal": "1"}
        return now

    @property
    def export(self) -> str:
        return f"/api/v1{self.path}/export"

    @property
    def exported(self) -> dict[str, object]:
        return {"q": self.question.text, "without": self.question.without}

    @property
    def before(self) -> int:
        return max(self.at - self.question.limit, 1)

    def without_part(self, part: Part) -> dict[str, object]:
        text = self.question.text
        return self.but(q=" ".join(f"{text[: part.start]} {text[part.end :]}".split()))

    def with_filter(self, field: str, value: str) -> dict[str, object]:
        """With one more filter; beside an 或 it would be on one side only."""
        words = self.question.text
        joined = f"({words})" if _has_alternatives(words) else words
        return self.but(q=f"{joined} {filter_text(field, value)}".strip())

    def switched(self, rule: str) -> dict[str, object]:
        off = set(self.question.without) ^ {rule}
        return self.but(without=tuple(one for one in RULES_TO_SWITCH if one in off))


def _has_alternatives(text: str) -> bool:
    """Whether an 或 stands outside all brackets."""
    depth = 0
    for part in parts_of(text):
        depth += (part.text in "(（") - (part.text in ")）")
        if depth == 0 and part.text.casefold() in _OR:
            return True
    return False


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another question, and how many pages it would find."""

    why: str  # meant | word | unfiltered | rules
    question: Question
    total: int
    total_is_exact: bool


async def search(request: web.Request) -> web.Response:
    """GET /search?q=…; without a query: the search box."""
    if not request.query.get("q", "").strip():
        raise web.HTTPFound(wording_of(request).link("/"))
    fields = asked_fields(request)
    if fields.get("literal") == "1":
        fields["without"] = list(RULES_TO_SWITCH)
    question, view = question_of(fields | {"facets": True})
    at = integer(request.query.get("at", "1"), "at", 1, AT_MAX)
    asked, asker, service = Asked(question, view, at), asker_of(request), service_of(request)
    answer = await service.search(question, asker)
    names = office_names(request)
    others = [] if answer.hits else await would_hit(service, question, answer, asker)
    works: tuple[Work, ...] = ()
    if view == VIEWS[2]:
        works = by_work(answer.hits, records_of(service, answer, asker))
    values = {
        "query": question.text,
        "asked": asked,
        "without": question.without,
        "literal": asked.literal,
        "names": names,
        "chinese": told_apart(service.offices()),
        "answer": answer,
        "books_found": by_item(answer.hits),
        "works": works,
        "facets": facet_values(answer.facets),
        "others": others,
        "candidates": await service.candidate_words(question.text, asker),
        "missing": [names.get(code, code) for code in answer.coverage.missing],
        "answerers": answerers(answer, names),
    }
    return render(request, "search.html", values, script="suggest.js")


def records_of(
    service: Service, answer: SearchAnswer, asker: Asker
) -> dict[str, Mapping[str, str]]:
    """The records of the items that were hit, of those that stand here."""
    records: dict[str, Mapping[str, str]] = {}
    for item in dict.fromkeys(hit.item for hit in answer.hits):
        try:
            records[item] = service.item(item, asker).record
        except FangzhiError:
            continue  # withdrawn since, or its record has not come yet: the title must do
    return records


async def would_hit(
    service: Service, question: Question, answer: SearchAnswer, asker: Asker
) -> list[Alternative]:
    """What would be found instead, when nothing was: bounded, and asked all at once."""
    candidates = list(_changed(question, answer))[:ALTERNATIVES_MAX]

    async def ask(why: str, other: Question) -> Alternative | None:
        try:
            found = await service.search(replace(other, limit=1, page="", facets=False), asker)
        except FangzhiError:
            return None  # a word alone may be no query
        return Alternative(why, other, found.total, found.total_is_exact) if found.total else None

    found = await asyncio.gather(*(ask(why, other) for why, other in candidates))
    return [each for each in found if each]


def _changed(question: Question, answer: SearchAnswer) -> Iterator[tuple[str, Question]]:
    for text in answer.did_you_mean:
        yield "meant", replace(question, text=text)
    if question.without:
        yield "rules", replace(question, without=())
    parts = parts_of(question.text)
    before = ("", *(JOINS.get(part.text.casefold(), "") for part in parts))
    words = [
        part.text
        for part, join in zip(parts, before, strict=False)
        if part.is_word and join != NOT and part.text[0] not in "-－−"
    ]
    if words and any(part.field for part in parts):
        plain = " ".join(part.text for part in parts if not part.field)
        yield "unfiltered", replace(question, text=plain)
    if len(words) > 1:
        for word in words:
            yield "word", replace(question, text=word)


def told_apart(offices: Sequence[OfficeLine]) -> dict[str, str]:
    """The names of regions that a filter may be typed with, by code: not those that two share."""
    count = Counter(line.name for line in offices)
    return {line.code: line.name for line in offices if count[line.name] == 1}


def answerers(
    answer: SearchAnswer, names: Mapping[str, str]
) -> list[tuple[str, list[tuple[str, int]]]]:
    """Each node that answered, by name, with the (office name, log size) of its shards."""
    by_node: dict[str, list[tuple[str, int]]] = {}
    for source in answer.coverage.sources:
        node = names.get(source.answered_by, source.answered_by)
        shard = names.get(source.office, source.office)
        by_node.setdefault(node, []).append((shard, source.as_of))
    return sorted(by_node.items(), key=lambda pair: -len(pair[1]))


def routes() -> list[web.RouteDef]:
    return [web.get("/search", search)]
