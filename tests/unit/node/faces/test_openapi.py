from __future__ import annotations

import json
import re
from dataclasses import fields
from typing import Any

import pytest

from node.faces.app import make_web_app
from node.faces.asking import RULES_TO_SWITCH, VIEWS
from node.faces.export import COLUMNS, RECORD_COLUMNS
from node.faces.openapi import document
from node.faces.results import FacetValue
from node.office import answers, fixity
from protocol.limits import HITS_MAX, PAGE_TOKEN_CHARS_MAX, QUERY_CHARS_MAX
from tests.fake_service import FakeService


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len(dict(pairs)) == len(pairs), f"a name stands twice in {[name for name, _ in pairs]}"
    return dict(pairs)


SPEC: dict[str, Any] = json.loads(document(), object_pairs_hook=_once)
METHODS = {"get", "post", "put", "delete", "patch"}
PORTAL = re.compile(
    r"/|/search|/catalogue|/o/.*|/items/.*|/network|/report|/recall|/evidence|/fixity|/static/.*"
)


def described() -> set[tuple[str, str]]:
    return {
        (method, path) for path, methods in SPEC["paths"].items() for method in METHODS & {*methods}
    }


def served() -> set[tuple[str, str]]:
    app = make_web_app(FakeService(), trusted=False, shown_url="")
    return {
        (route.method.lower(), route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None
        and route.method.lower() in METHODS
        and not PORTAL.fullmatch(route.resource.canonical)
    }


def test_the_document_tells_of_every_route_and_of_no_other() -> None:
    assert described() == served()


def test_every_parameter_of_a_path_is_described() -> None:
    for method, path in described():
        named = {
            parameter["name"]
            for parameter in SPEC["paths"][path][method].get("parameters", [])
            if parameter["in"] == "path"
        }
        assert named == set(re.findall(r"{(\w+)}", path)), (method, path)


def test_every_change_needs_a_token_and_no_reading_does() -> None:
    questions = {("post", "/api/v1/search"), ("post", "/api/v1/catalogue")}
    questions |= {("post", "/witness/add-checkpoint")}
    for method, path in described():
        needs = "security" in SPEC["paths"][path][method]
        is_logged = path == "/api/v1/items/{item}/recall/{sha256}"  # by whoever gives it
        assert needs == (is_logged or (method != "get" and (method, path) not in questions)), path


@pytest.mark.parametrize(
    ("schema", "cls"),
    [
        ("Hit", answers.Hit),
        ("ShardSource", answers.ShardSource),
        ("Coverage", answers.Coverage),
        ("SearchAnswer", answers.SearchAnswer),
        ("ExportReceipt", answers.ExportReceipt),
        ("PageProof", answers.PageProofAnswer),
        ("MatchReason", answers.Reason),
        ("ContextLine", answers.Line),
        ("FacetCount", answers.FacetCount),
        ("Note", answers.Note),
        ("Explanation", answers.Explanation),
        ("ShardTrace", answers.ShardTrace),
        ("StepTime", answers.StepTime),
        ("HolderTime", answers.HolderTime),
        ("RecordShown", answers.RecordShown),
        ("Element", answers.Element),
        ("FacetValue", FacetValue),
        ("SuggestAnswer", answers.SuggestAnswer),
        ("Suggestion", answers.Suggestion),
        ("CandidateWord", answers.CandidateWord),
        ("ItemLine", answers.ItemLine),
        ("FileLine", answers.FileLine),
        ("EventLine", answers.EventLine),
        ("Finding", answers.Finding),
        ("Item", answers.ItemAnswer),
        ("Page", answers.PageAnswer),
        ("Lie", answers.LieLine),
        ("OfficeLine", answers.OfficeLine),
        ("Status", answers.StatusAnswer),
        ("Fork", answers.ForkLine),
        ("ShortItem", answers.ShortLine),
        ("Fixity", fixity.FixityAnswer),
        ("ForkReport", answers.ForkReportLine),
        ("LostTail", answers.LostTailLine),
        ("Evidence", answers.EvidenceAnswer),
    ],
)
def test_schemas_have_the_members_that_answers_have(schema: str, cls: Any) -> None:
    described_as = SPEC["components"]["schemas"][schema]
    names = [field.name for field in fields(cls)]
    assert list(described_as["properties"]) == names
    assert described_as["required"] == names


def test_bounds_are_those_of_the_system() -> None:
    schemas = SPEC["components"]["schemas"]
    assert schemas["Query"]["maxLength"] == QUERY_CHARS_MAX
    assert schemas["PageToken"]["maxLength"] == PAGE_TOKEN_CHARS_MAX
    assert schemas["Limit"]["maximum"] == HITS_MAX
    assert schemas["Rule"]["enum"] == list(RULES_TO_SWITCH)
    assert schemas["View"]["enum"] == list(VIEWS)


def test_a_line_of_an_export_has_the_columns() -> None:
    schemas = SPEC["components"]["schemas"]
    assert schemas["ExportRow"]["required"] == list(COLUMNS)
    assert schemas["ExportRecord"]["required"] == list(RECORD_COLUMNS)


def test_no_reference_dangles() -> None:
    references = set(re.findall(r'"#/components/(\w+)/(\w+)"', document().decode()))
    for kind, name in references:
        assert name in SPEC["components"][kind]
    schemas = {name for kind, name in references if kind == "schemas"}
    assert schemas == set(SPEC["components"]["schemas"])
