"""Resumable upload of the files of a report: tus 1.0.0 (tus.io/protocols/resumable-upload).

Core protocol with creation, creation-with-upload, termination, checksum and expiration.  Every
request is authorised anew.  What cannot be taken is said as everywhere else: a problem document.
docs/spec/hand-in.md.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from functools import wraps
from hashlib import new
from typing import Final

from aiohttp import web
from yarl import URL

from node.faces.asking import FACE, integer, service_of, staff_of
from node.faces.problem import MEDIA_TYPE, http_status, problem_document
from node.office.uploads import CHECKSUMS, Checksum, Upload
from protocol.errors import DecodeError, FangzhiError, Missing, ProofError, Rejected
from protocol.limits import CHUNK_BYTES, FILE_BYTES_MAX, FILES_PER_PACKAGE_MAX

VERSION: Final = "1.0.0"
EXTENSIONS: Final = "creation,creation-with-upload,termination,checksum,expiration"
BODY_MEDIA_TYPE: Final = "application/offset+octet-stream"
METADATA_CHARS_MAX: Final = 8_000
CHECKSUM_MISMATCH: Final = 460  # of the protocol

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _tus(handler: Handler) -> Handler:
    """The handler, with what the protocol wants of every answer but to OPTIONS."""

    @wraps(handler)
    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            if request.headers.get("Tus-Resumable") != VERSION:
                expected, got = VERSION, request.headers.get("Tus-Resumable", "none")[:20]
                raise _Refusal(412, DecodeError("Tus-Resumable", expected, got))
            response = await handler(request)
        except FangzhiError as error:
            statuses = {Rejected: 409, ProofError: CHECKSUM_MISMATCH}
            response = _problem(error, statuses.get(type(error), http_status(error)))
        except _Refusal as refusal:
            response = _problem(refusal.error, refusal.status)
        response.headers["Tus-Resumable"] = VERSION
        response.headers["Tus-Version"] = VERSION
        return response

    return answer


class _Refusal(Exception):
    """A refusal whose status the protocol names."""

    def __init__(self, status: int, error: FangzhiError) -> None:
        super().__init__(status, error)
        self.status = status
        self.error = error


async def options(_request: web.Request) -> web.Response:
    """OPTIONS on either address: what this node can do."""
    headers = {
        "Tus-Resumable": VERSION,
        "Tus-Version": VERSION,
        "Tus-Extension": EXTENSIONS,
        "Tus-Max-Size": str(FILE_BYTES_MAX),
        "Tus-Checksum-Algorithm": ",".join(CHECKSUMS),
    }
    return web.Response(status=204, headers=headers)


@_tus
async def create(request: web.Request) -> web.StreamResponse:
    """POST /api/v1/reports/{report}/files: the upload of the file whose path in the package is the
    ``filename`` of Upload-Metadata; perhaps with its first bytes."""
    asker = staff_of(request)
    report = request.match_info["report"]
    if "Upload-Defer-Length" in request.headers:
        raise DecodeError("Upload-Length", "the size: the list of files has it", "a deferred one")
    size = integer(request.headers.get("Upload-Length", ""), "Upload-Length", 0, FILE_BYTES_MAX)
    path = _metadata(request.headers.get("Upload-Metadata", "")).get("filename", "")
    files = (await service_of(request).report(report, asker))["files"]
    number = next((at for at, file in enumerate(files) if file["path"] == path), None)
    if number is None:
        raise Missing("Upload-Metadata", "filename: a path of the report's list", path[:80])
    if files[number]["size"] != size:
        raise DecodeError("Upload-Length", f"{files[number]['size']} as announced", size)
    if request.body_exists:
        upload = await _receive(request, report, number)
    else:
        upload = await service_of(request).upload(report, number, asker)
    response = _shown(web.Response(status=201), upload)
    response.headers["Location"] = str(_origin(request) / f"api/v1/reports/{report}/files/{number}")
    return response


@_tus
async def offset(request: web.Request) -> web.StreamResponse:
    """HEAD /api/v1/reports/{report}/files/{number}: how many bytes are here."""
    asker = staff_of(request)
    report, number = _upload_in(request)
    upload = await service_of(request).upload(report, number, asker)
    response = _shown(web.Response(status=200), upload)
    response.headers["Upload-Length"] = str(upload.size)
    filename = b64encode(upload.path.encode()).decode()
    response.headers["Upload-Metadata"] = f"filename {filename}"
    return response


@_tus
async def append(request: web.Request) -> web.StreamResponse:
    """PATCH /api/v1/reports/{report}/files/{number}: the bytes that follow."""
    staff_of(request)
    report, number = _upload_in(request)
    return _shown(web.Response(status=204), await _receive(request, report, number))


@_tus
async def terminate(request: web.Request) -> web.StreamResponse:
    """DELETE /api/v1/reports/{report}/files/{number}: what came of the file is forgotten."""
    asker = staff_of(request)
    await service_of(request).drop_upload(*_upload_in(request), asker)
    return web.Response(status=204)


@_tus
async def overridden(request: web.Request) -> web.StreamResponse:
    """POST with X-HTTP-Method-Override, for networks that know no PATCH and DELETE."""
    methods = {"PATCH": append, "DELETE": terminate, "HEAD": offset}
    method = request.headers.get("X-HTTP-Method-Override", "").upper()
    if method not in methods:
        raise DecodeError("X-HTTP-Method-Override", " or ".join(methods), method[:20] or "none")
    return await methods[method](request)


async def _receive(request: web.Request, report: str, number: int) -> Upload:
    if request.content_type != BODY_MEDIA_TYPE:
        got = request.content_type[:80]
        raise _Refusal(415, DecodeError("Content-Type", BODY_MEDIA_TYPE, got))
    if "Content-Encoding" in request.headers:
        raise DecodeError("Content-Encoding", "none: the bytes as they are", "some")
    begins = request.headers.get("Upload-Offset", "0" if request.method == "POST" else "")
    at = integer(begins, "Upload-Offset", 0, FILE_BYTES_MAX)
    checksum = _checksum(request.headers.get("Upload-Checksum"))
    body = aiter(request.content.iter_chunked(CHUNK_BYTES))
    asker = staff_of(request)
    return await service_of(request).receive(report, number, at, body, checksum, asker)


def _checksum(header: str | None) -> Checksum | None:
    if header is None:
        return None
    algorithm, _, encoded = header.partition(" ")
    if algorithm not in CHECKSUMS:
        raise DecodeError("Upload-Checksum", f"one of {', '.join(CHECKSUMS)}", algorithm[:20])
    digest = _unbased(encoded, "Upload-Checksum")
    if len(digest) != new(algorithm, usedforsecurity=False).digest_size:
        raise DecodeError("Upload-Checksum", f"a digest of {algorithm}", f"{len(digest)} bytes")
    return Checksum(algorithm, digest)


def _metadata(header: str) -> dict[str, str]:
    """Pairs of a key and, in base64, a value."""
    if len(header) > METADATA_CHARS_MAX:
        raise DecodeError("Upload-Metadata", f"at most {METADATA_CHARS_MAX} characters", "more")
    pairs = [pair.strip().partition(" ") for pair in header.split(",") if pair.strip()]
    try:
        return {key: _unbased(value, "Upload-Metadata").decode() for key, _, value in pairs}
    except UnicodeDecodeError as error:
        raise DecodeError("Upload-Metadata", "UTF-8 in base64", "another encoding") from error


def _unbased(text: str, where: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise DecodeError(where, "base64", text[:40]) from error


def _upload_in(request: web.Request) -> tuple[str, int]:
    number = integer(request.match_info["number"], "file number", 0, FILES_PER_PACKAGE_MAX - 1)
    return request.match_info["report"], number


def _origin(request: web.Request) -> URL:
    """Where the caller reached us: under the shown address a proxy may speak HTTPS for us."""
    shown = URL(request.app[FACE].shown_url)
    return shown if shown.authority == request.host else request.url.origin()


def _shown(response: web.Response, upload: Upload) -> web.Response:
    response.headers["Upload-Offset"] = str(upload.offset)
    response.headers["Upload-Expires"] = formatdate(upload.expires / 1000, usegmt=True)
    return response


def _problem(error: FangzhiError, status: int) -> web.Response:
    document = problem_document(error) | {"status": status}
    return web.json_response(document, status=status, content_type=MEDIA_TYPE)


def routes() -> list[web.RouteDef]:
    files, file = "/api/v1/reports/{report}/files", "/api/v1/reports/{report}/files/{number}"
    return [
        web.options(files, options),
        web.post(files, create),
        web.options(file, options),
        web.head(file, offset),
        web.patch(file, append),
        web.delete(file, terminate),
        web.post(file, overridden),
    ]
