"""The JSON API's changes: reports (their files come by :mod:`node.faces.tus`), reviews,
withdrawals, operations.  All need a token, or the node's own socket.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Final

from aiohttp import web

from node.faces.asking import (
    administrator_of,
    choice_field,
    item_in,
    json_body,
    service_of,
    staff_of,
    switch_field,
    text_field,
)
from node.faces.problem import problem_document
from node.faces.service import Json
from protocol.errors import DecodeError, FangzhiError
from protocol.limits import FILE_BYTES_MAX, FILES_PER_PACKAGE_MAX, REASON_CHARS_MAX

REPORT_MEMBERS: Final = ("office", "item", "as", "record", "rights", "confirm", "files")
KEY_ID_CHARS_MAX: Final = 32
TIME_MS_MAX: Final = 2**53
PROGRESS_SECONDS: Final = 0.2
LINES_MEDIA_TYPE: Final = "application/x-ndjson"


async def begin_report(request: web.Request) -> web.Response:
    """POST /api/v1/reports: what will be handed in; the answer names the report.  The same once
    more gives the report that is open already."""
    asker = staff_of(request)
    fields = await json_body(request, REPORT_MEMBERS)
    answer = await service_of(request).begin_report(_checked_report(fields), asker)
    return web.json_response(answer, status=201 if answer["report"] else 200)


def _checked_report(fields: Json) -> Json:
    for name, kind in (("record", dict), ("rights", str), ("files", list)):
        if not isinstance(fields.get(name), kind):
            raise DecodeError(f"report.{name}", kind.__name__, type(fields.get(name)).__name__)
    for name in ("office", "item", "as"):
        text_field(fields, name, 40)
    switch_field(fields, "confirm")
    files = fields["files"]
    if not 0 < len(files) <= FILES_PER_PACKAGE_MAX:
        raise DecodeError("report.files", f"1 to {FILES_PER_PACKAGE_MAX} files", len(files))
    for file in files:
        if not isinstance(file, dict) or set(file) - {"modified"} != {"path", "size"}:
            raise DecodeError("report.files", "objects of path and size", repr(file)[:80])
        if not isinstance(file["path"], str):
            raise DecodeError("report.files.path", "a text", type(file["path"]).__name__)
        for name, most in (("size", FILE_BYTES_MAX), ("modified", TIME_MS_MAX)):
            value = file.get(name, 0)
            if type(value) is not int or not 0 <= value <= most:
                raise DecodeError(f"report.files.{name}", f"0 to {most}", repr(value)[:40])
    for element, text in fields["record"].items():
        if not isinstance(text, str):
            raise DecodeError(f"report.record.{element}", "a text", type(text).__name__)
    return fields


async def report(request: web.Request) -> web.Response:
    """GET /api/v1/reports/{report}: how far an open report is."""
    asker = staff_of(request)
    return web.json_response(await service_of(request).report(request.match_info["report"], asker))


async def submit_report(request: web.Request) -> web.Response:
    """POST /api/v1/reports/{report}/submit: all files are there; check, sign and log."""
    asker = staff_of(request)
    fields = await json_body(request, ("confirm",))
    report, confirm = request.match_info["report"], switch_field(fields, "confirm")
    return web.json_response(await service_of(request).submit_report(report, confirm, asker))


async def forget_report(request: web.Request) -> web.Response:
    """DELETE /api/v1/reports/{report}: what came of it is dropped."""
    asker = staff_of(request)
    await service_of(request).forget_report(request.match_info["report"], asker)
    return web.Response(status=204)


async def review(request: web.Request) -> web.Response:
    """POST /api/v1/items/{item}/review: the tier above passes or returns it."""
    asker = staff_of(request)
    fields = await json_body(request, ("verdict", "reason", "as"))
    verdict = choice_field(fields, "verdict", ("pass", "return"))
    reason = text_field(fields, "reason", REASON_CHARS_MAX)
    if verdict == "return" and not reason.strip():
        raise DecodeError("reason", "why it is returned", "nothing")
    item, user = item_in(request), text_field(fields, "as", KEY_ID_CHARS_MAX)
    answer = await service_of(request).review(item, verdict, reason, user, asker)
    return web.json_response(answer)


async def withdraw(request: web.Request) -> web.Response:
    """POST /api/v1/items/{item}/withdraw: 下架."""
    asker = staff_of(request)
    fields = await json_body(request, ("reason", "as"))
    reason = text_field(fields, "reason", REASON_CHARS_MAX)
    if not reason.strip():
        raise DecodeError("reason", "why it is taken down", "nothing")
    item, user = item_in(request), text_field(fields, "as", KEY_ID_CHARS_MAX)
    return web.json_response(await service_of(request).withdraw(item, reason, user, asker))


class _Teller:
    """Tells a caller how far an operation is, at most five times a second; older words that
    were not told yet are forgotten."""

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self._line: Json | None = None
        self._ended = asyncio.Event()
        self.response = web.StreamResponse(headers={"Content-Type": LINES_MEDIA_TYPE})

    def note(self, doing: str, done: int, total: int) -> None:
        self._line = {"progress": {"doing": doing, "done": done, "total": total}}

    def end(self) -> None:
        self._ended.set()

    async def run(self) -> None:
        while not self._ended.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(PROGRESS_SECONDS):
                    await self._ended.wait()
            line, self._line = self._line, None
            if line:
                await self.write(line)

    async def write(self, line: Json) -> None:
        if not self.response.prepared:
            await self.response.prepare(self._request)
        await self.response.write(json.dumps(line).encode() + b"\n")


async def operate(request: web.Request) -> web.StreamResponse:
    """POST /api/v1/operate/{command}: lines of JSON, ``progress`` ones and at last a ``result``
    or a ``problem``.  The operation is cancelled when its caller goes away."""
    asker = administrator_of(request)
    arguments = await json_body(request)
    command = request.match_info["command"]
    teller = _Teller(request)
    problem: FangzhiError | None = None
    result: Json = {}
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(teller.run())
            try:
                service = service_of(request)
                result = await service.operate(command, arguments, asker, teller.note)
            except FangzhiError as error:
                problem = error
            finally:
                teller.end()
    except ExceptionGroup as errors:
        if errors.split(ConnectionError)[1] is not None:
            raise
        return teller.response  # the caller went away
    if problem and not teller.response.prepared:
        raise problem  # refused before anything was told: an ordinary problem document
    await teller.write({"problem": problem_document(problem)} if problem else {"result": result})
    await teller.response.write_eof()
    return teller.response


def routes() -> list[web.RouteDef]:
    return [
        web.post("/api/v1/reports", begin_report),
        web.get("/api/v1/reports/{report}", report),
        web.delete("/api/v1/reports/{report}", forget_report),
        web.post("/api/v1/reports/{report}/submit", submit_report),
        web.post("/api/v1/items/{item}/review", review),
        web.post("/api/v1/items/{item}/withdraw", withdraw),
        web.post("/api/v1/operate/{command}", operate),
    ]
