"""The tus 1.0 protocol as its text has it, against a service of paper."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from typing import Any

import pytest
from aiohttp import ClientSession

from node.faces.tus import BODY_MEDIA_TYPE
from tests.fake_service import FakeService

FILES, FILE = "/api/v1/reports/r1/files", "/api/v1/reports/r1/files/1"
TUS = {"Tus-Resumable": "1.0.0"}
PATCH = {**TUS, "Content-Type": BODY_MEDIA_TYPE, "Upload-Offset": "0"}
NAME = "卷二/志.pdf"


def metadata(name: str) -> str:
    return f"kind dGVzdA==, filename {b64encode(name.encode()).decode()},empty"


def checked(algorithm: str, data: bytes) -> dict[str, str]:
    digest = hashlib.new(algorithm, data).digest()
    return {"Upload-Checksum": f"{algorithm} {b64encode(digest).decode()}"}


@pytest.fixture(autouse=True)
async def begun(clerk: ClientSession) -> None:
    files = [{"path": "a.pdf", "size": 3_000_000}, {"path": NAME, "size": 10}]
    asked = {"record": {"title": "样书"}, "rights": "open", "files": files}
    assert (await clerk.post("/api/v1/reports", json=asked)).status == 201


@pytest.mark.parametrize("path", [FILES, FILE])
async def test_what_it_can_do_is_told_to_everybody(client: ClientSession, path: str) -> None:
    response = await client.options(path)
    assert response.status == 204
    assert response.headers["Tus-Version"] == "1.0.0"
    extensions = response.headers["Tus-Extension"].split(",")
    assert {"creation", "termination", "checksum", "expiration"} <= set(extensions)
    assert "sha1" in response.headers["Tus-Checksum-Algorithm"].split(",")
    assert int(response.headers["Tus-Max-Size"]) == 64 * 1024**3


async def test_an_upload_from_creation_to_its_last_byte(
    clerk: ClientSession, service: FakeService
) -> None:
    asked = {**TUS, "Upload-Length": "10", "Upload-Metadata": metadata(NAME)}
    made = await clerk.post(FILES, headers=asked)
    assert made.status == 201
    location = made.headers["Location"]
    assert location.startswith("http://")
    assert location.endswith(FILE)
    assert made.headers["Upload-Expires"] == "Fri, 15 Jan 2027 08:00:00 GMT"
    first = await clerk.patch(location, data=b"01234", headers=PATCH)
    assert (first.status, first.headers["Upload-Offset"]) == (204, "5")
    seen = await clerk.head(location, headers=TUS)
    assert (seen.headers["Upload-Offset"], seen.headers["Upload-Length"]) == ("5", "10")
    assert seen.headers["Upload-Metadata"] == f"filename {b64encode(NAME.encode()).decode()}"
    assert seen.headers["Cache-Control"] == "no-store"
    rest = await clerk.patch(location, data=b"56789", headers=PATCH | {"Upload-Offset": "5"})
    assert rest.headers["Upload-Offset"] == "10"
    assert service.received["r1", 1] == b"0123456789"
    gone = await clerk.delete(location, headers=TUS)
    assert gone.status == 204
    assert service.received["r1", 1] == b""
    for response in (made, first, seen, rest, gone):
        assert response.headers["Tus-Resumable"] == "1.0.0"


async def test_creation_may_bring_the_first_bytes(
    clerk: ClientSession, service: FakeService
) -> None:
    asked = {**TUS, "Upload-Length": "10", "Upload-Metadata": metadata(NAME)}
    made = await clerk.post(FILES, data=b"012", headers=asked | {"Content-Type": BODY_MEDIA_TYPE})
    assert (made.status, made.headers["Upload-Offset"]) == (201, "3")
    assert service.received["r1", 1] == b"012"


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
async def test_a_checksum_is_handed_on(
    clerk: ClientSession, service: FakeService, algorithm: str
) -> None:
    wrong = await clerk.patch(FILE, data=b"01", headers=PATCH | checked(algorithm, b"02"))
    assert (wrong.status, service.received["r1", 1]) == (460, b"")
    right = await clerk.patch(FILE, data=b"01", headers=PATCH | checked(algorithm, b"01"))
    assert right.status == 204


@pytest.mark.parametrize("method", ["PATCH", "DELETE", "HEAD"])
async def test_a_method_may_be_named_in_a_header(
    clerk: ClientSession, service: FakeService, method: str
) -> None:
    headers = PATCH | {"X-HTTP-Method-Override": method}
    response = await clerk.post(FILE, data=b"01" if method == "PATCH" else None, headers=headers)
    assert response.status in (200, 204)
    assert service.received["r1", 1] == (b"01" if method == "PATCH" else b"")


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("PATCH", FILE, {"Tus-Resumable": "0.2.2"}, 412),
        ("PATCH", FILE, {"Tus-Resumable": ""}, 412),
        ("PATCH", FILE, {"Content-Type": "application/octet-stream"}, 415),
        ("PATCH", FILE, {"Upload-Offset": "3"}, 409),
        ("PATCH", FILE, {"Upload-Offset": "-1"}, 400),
        ("PATCH", FILE, {"Upload-Offset": ""}, 400),
        ("PATCH", FILE, {"Content-Encoding": "gzip"}, 400),
        ("PATCH", FILE, {"Upload-Checksum": "md5 abcd"}, 400),
        ("PATCH", FILE, {"Upload-Checksum": "sha1 !!"}, 400),
        ("PATCH", FILE, {"Upload-Checksum": "sha1 YWJj"}, 400),
        ("PATCH", "/api/v1/reports/r1/files/9", {}, 404),
        ("PATCH", "/api/v1/reports/none/files/0", {}, 404),
        ("PATCH", "/api/v1/reports/r1/files/x", {}, 400),
        ("POST", FILE, {}, 400),
        ("POST", FILES, {"Upload-Length": "11", "Upload-Metadata": metadata(NAME)}, 400),
        ("POST", FILES, {"Upload-Metadata": metadata(NAME)}, 400),
        ("POST", FILES, {"Upload-Defer-Length": "1", "Upload-Metadata": metadata(NAME)}, 400),
        ("POST", FILES, {"Upload-Length": "10", "Upload-Metadata": metadata("else.pdf")}, 404),
        ("POST", FILES, {"Upload-Length": "10"}, 404),
        ("POST", FILES, {"Upload-Length": "10", "Upload-Metadata": "filename /w=="}, 400),
        ("POST", FILES, {"Upload-Length": "10", "Upload-Metadata": "a " + "A" * 8000}, 400),
    ],
)
async def test_what_the_protocol_refuses(
    clerk: ClientSession,
    service: FakeService,
    method: str,
    path: str,
    headers: dict[str, Any],
    status: int,
) -> None:
    response = await clerk.request(method, path, data=b"01", headers=PATCH | headers)
    assert response.status == status
    assert response.headers["Tus-Version"] == "1.0.0"
    assert response.content_type == "application/problem+json"
    assert (await response.json(content_type=None))["status"] == status
    assert service.received["r1", 1] == b""


@pytest.mark.parametrize("method", ["POST", "HEAD", "PATCH", "DELETE"])
async def test_the_public_uploads_nothing(
    client: ClientSession, service: FakeService, method: str
) -> None:
    path = FILES if method == "POST" else FILE
    response = await client.request(method, path, headers=PATCH)
    assert (response.status, service.received["r1", 1]) == (401, b"")
