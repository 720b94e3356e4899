"""What does a request ask, and who asks?  Strict reading of parameters, bodies and tokens."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from node.faces.service import Json, Service
from node.office.answers import Asker, Question
from protocol.errors import AuthError, DecodeError, Forbidden, Missing
from protocol.ids import BlobId, parse_item, parse_office
from protocol.limits import HITS_MAX, PAGE_TOKEN_CHARS_MAX, QUERY_CHARS_MAX
from protocol.records import RIGHTS_CLASSES
from search_shard.lattice import NEAR, RULES
from search_shard.spelling import filter_text

RULES_TO_SWITCH: Final = (*RULES[1:], *NEAR)  # the literal text always counts
VIEWS: Final = ("snippet", "lines", "editions")
QUESTION_FIELDS: Final = (
    *("q", "without", "limit", "page", "facets", "view", "explain"),
    "alternatives",  # asked besides, when nothing is found
)
HITS_SHOWN: Final = 20
TOKEN_CHARS_MAX: Final = 200
SEQ_MAX: Final = 10**9
EVERY_RECORD: Final = filter_text("rights", *RIGHTS_CLASSES)  # what an empty box asks the catalogue


@dataclass(frozen=True, slots=True)
class Face:
    """What every handler has: the node, whether its caller has every right, the address to show."""

    service: Service
    trusted: bool
    shown_url: str
    network: Callable[[], str]  # its name, asked of the node once


FACE: Final = web.AppKey("face", Face)


def service_of(request: web.Request) -> Service:
    return request.app[FACE].service


def asker_of(request: web.Request) -> Asker:
    """Who asks: everything on the node's own socket, else whoever holds the bearer token.

    Raises:
        AuthError: a token that is not known, or another kind of credentials.
    """
    face = request.app[FACE]
    if face.trusted:
        return Asker("administrator", "*")
    header = request.headers.get("Authorization")
    if header is None:
        return face.service.asker_for(None)
    scheme, _, token = header.partition(" ")
    token = token.strip()
    if (
        scheme.lower() != "bearer"
        or not token
        or not token.isascii()
        or len(token) > TOKEN_CHARS_MAX
    ):
        raise AuthError("Authorization", "Bearer and a token", scheme[:20])
    return face.service.asker_for(token)


def staff_of(request: web.Request) -> Asker:
    """Who asks for a change.

    Raises:
        AuthError: nobody we know.
    """
    asker = asker_of(request)
    if asker.role == "public":
        raise AuthError("Authorization", "a token: changes need one", "none")
    return asker


def administrator_of(request: web.Request) -> Asker:
    """Who asks for an operator's command.

    Raises:
        AuthError: nobody we know.
        Forbidden: another role.
    """
    asker = staff_of(request)
    if asker.role != "administrator":
        raise Forbidden("operate", "an administrator", asker.role)
    return asker


def item_in(request: web.Request) -> str:
    return known_item(request.match_info["item"])


def known_item(text: str) -> str:
    """
    Raises:
        Missing: not an item id; a mistyped one names nothing.
    """
    try:
        return parse_item(text)
    except DecodeError as error:
        raise Missing(error.where, error.expected, error.got) from error


def office_in(request: web.Request) -> str:
    return parse_office(request.match_info["code"])


def sha256_in(request: web.Request) -> str:
    return BlobId.parse(request.match_info["sha256"]).hex


def integer(text: str, where: str, low: int, high: int) -> int:
    """
    Raises:
        DecodeError: not a plain decimal number from ``low`` to ``high``.
    """
    if not (text.isascii() and text.isdecimal() and len(text) <= 12 and low <= int(text) <= high):
        raise DecodeError(where, f"a number from {low} to {high}", repr(text[:20]))
    return int(text)


def question_of(fields: Json) -> tuple[Question, str]:
    """The question in the members :data:`QUESTION_FIELDS`, and the view asked for: ``editions`` is
    an arrangement of snippets.

    Raises:
        DecodeError: naming the one that does not fit.
    """
    query = text_field(fields, "q", QUERY_CHARS_MAX).strip()
    if not query:
        raise DecodeError("q", f"1 to {QUERY_CHARS_MAX} characters", "none")
    without = fields.get("without", [])
    if not isinstance(without, list) or not all(rule in RULES_TO_SWITCH for rule in without):
        raise DecodeError("without", f"rules of {', '.join(RULES_TO_SWITCH)}", repr(without)[:60])
    limit = fields.get("limit", HITS_SHOWN)
    if isinstance(limit, bool) or not isinstance(limit, int | str):
        raise DecodeError("limit", f"a number from 1 to {HITS_MAX}", type(limit).__name__)
    view = choice_field({"view": VIEWS[0]} | fields, "view", VIEWS)
    question = Question(
        query,
        tuple(rule for rule in RULES_TO_SWITCH if rule in without),
        integer(str(limit), "limit", 1, HITS_MAX),
        text_field(fields, "page", PAGE_TOKEN_CHARS_MAX),
        switch_field(fields, "facets"),
        "lines" if view == "lines" else "snippet",
        switch_field(fields, "explain"),
    )
    return question, view


def asked_fields(request: web.Request) -> Json:
    """The members of a question as an address has them; ``without`` may be repeated."""
    return {**request.query, "without": request.query.getall("without", [])}


async def json_body(request: web.Request, members: Iterable[str] | None = None) -> Json:
    """The JSON object in the body, with no members but ``members``.

    Raises:
        DecodeError: anything else.
    """
    if request.content_type != "application/json":
        raise DecodeError("Content-Type", "application/json", request.content_type)
    try:
        value = json.loads(await request.read(), parse_float=_number, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise DecodeError("body", "JSON in UTF-8", str(error)[:80]) from error
    if not isinstance(value, dict):
        raise DecodeError("body", "a JSON object", type(value).__name__)
    if members is not None and (strange := sorted(set(value) - set(members))):
        raise DecodeError("body", f"no members but {', '.join(members)}", strange[0][:40])
    return value


def _number(text: str) -> int | float:
    number = float(text)
    return int(number) if number.is_integer() else number  # JSON does not tell 10.0 from 10


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is not JSON")


def text_field(fields: Json, name: str, chars_max: int) -> str:
    """A text of at most ``chars_max`` code points ("" when absent) that has a UTF-8 form."""
    value = fields.get(name, "")
    if not isinstance(value, str):
        raise DecodeError(name, "a text", type(value).__name__)
    if len(value) > chars_max:
        raise DecodeError(name, f"at most {chars_max} characters", len(value))
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise DecodeError(name, "text with a UTF-8 form", "a lone surrogate") from error
    return value


def choice_field(fields: Json, name: str, choices: tuple[str, ...]) -> str:
    value = fields.get(name)
    if value not in choices:
        raise DecodeError(name, f"one of {', '.join(choices)}", repr(value)[:40])
    return str(value)


def switch_field(fields: Json, name: str) -> bool:
    """A truth of JSON, or 1 or 0 in an address; no when absent."""
    value = fields.get(name, False)
    if value not in (True, False, "1", "0", ""):
        raise DecodeError(name, "true or false, in an address 1 or 0", repr(value)[:40])
    return value in (True, "1")
