"""The JSON API's changes: reports handed in file by file, reviews, withdrawals, operations.

All need a token, or the node's own socket.  Files are streamed and never held in memory.
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
    integer,
    item_in,
    json_body,
    service_of,
    staff_of,
    text_field,
)
from node.faces.problem import problem_document
from node.faces.service import Json
from protocol.errors import DecodeError, FangzhiError
from protocol.limits import CHUNK_BYTES, FILE_BYTES_MAX, FILES_PER_PACKAGE_MAX, REASON_CHARS_MAX

REPORT_MEMBERS: Final = ("office", "item", "as", "record", "rights", "files")
KEY_ID_CHARS_MAX: Final = 32
PROGRESS_SECONDS: Final = 0.2
LINES_MEDIA_TYPE: Final = "application/x-ndjson"


async def begin_report(request: web.Request) -> web.Response:
    """POST /api/v1/reports: what will be handed in; the answer names the report."""
    asker = staff_of(request)
    fields = await json_body(request, REPORT_MEMBERS)
    answer = await service_of(request).begin_report(_checked_report(fields), asker)
    return web.json_response(answer, status=201)


def _checked_report(fields: Json) -> Json:
    for name, kind in (("record", dict), ("rights", str), ("files", list)):
        if not isinstance(fields.get(name), kind):
            raise DecodeError(f"report.{name}", kind.__name__, type(fields.get(name)).__name__)
    for name in ("office", "item", "as"):
        text_field(fields, name, 40)
    files = fields["files"]
    if not 0 < len(files) <= FILES_PER_PACKAGE_MAX:
        raise DecodeError("report.files", f"1 to {FILES_PER_PACKAGE_MAX} files", len(files))
    for file in files:
        if not isinstance(file, dict) or set(file) != {"path", "size"}:
            raise DecodeError("report.files", "objects of path and size", repr(file)[:80])
        if not isinstance(file["path"], str):
            raise DecodeError("report.files.path", "a text", type(file["path"]).__name__)
        if type(file["size"]) is not int or not 0 <= file["size"] <= FILE_BYTES_MAX:
            raise DecodeError("report.files.size", f"0 to {FILE_BYTES_MAX} bytes", file["size"])
    for element, text in fields["record"].items():
        if not isinstance(text, str):
            raise DecodeError(f"report.record.{element}", "a text", type(text).__name__)
    return fields


async def receive_file(request: web.Request) -> web.Response:
    """PUT /api/v1/reports/{report}/files/{number}: the bytes of one file, from number 0."""
    asker = staff_of(request)
    if "Content-Encoding" in request.headers:
        raise DecodeError("Content-Encoding", "none: the bytes as they are", "some")
    if (request.content_length or 0) > FILE_BYTES_MAX:
        raise DecodeError("file", f"at most {FILE_BYTES_MAX} bytes", request.content_length)
    number = integer(request.match_info["number"], "file number", 0, FILES_PER_PACKAGE_MAX - 1)
    body = request.content.iter_chunked(CHUNK_BYTES)
    report = request.match_info["report"]
    return web.json_response(
        await service_of(request).receive_file(report, number, aiter(body), asker)
    )


async def submit_report(request: web.Request) -> web.Response:
    """POST /api/v1/reports/{report}/submit: all files are there; check, sign and log."""
    asker = staff_of(request)
    report = request.match_info["report"]
    return web.json_response(await service_of(request).submit_report(report, asker))


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
        web.put("/api/v1/reports/{report}/files/{number}", receive_file),
        web.post("/api/v1/reports/{report}/submit", submit_report),
        web.post("/api/v1/items/{item}/review", review),
        web.post("/api/v1/items/{item}/withdraw", withdraw),
        web.post("/api/v1/operate/{command}", operate),
    ]
