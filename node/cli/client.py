"""Speaks HTTP to a node: over its home's socket, or to a URL with a token."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, Final, Self

import aiohttp

from node.faces import tus
from node.faces.problem import error_from
from protocol.errors import AuthError, FangzhiError, Forbidden, Missing, Unavailable
from protocol.limits import CHUNK_BYTES

_OF_STATUS: Final[dict[int, type[FangzhiError]]] = {401: AuthError, 403: Forbidden, 404: Missing}

Json = dict[str, Any]
Progress = Callable[[str, int, int], None]


def is_url(target: str) -> bool:
    return target.startswith(("http://", "https://"))


def token_of(path: str | None) -> str | None:
    """The token in a file, or in the environment variable FANGZHI_TOKEN."""
    return Path(path).read_text("ascii").strip() if path else os.environ.get("FANGZHI_TOKEN")


class Client:
    """One node; use as a context."""

    def __init__(self, base: str, socket: Path | None, token: str | None) -> None:
        self._base = base.rstrip("/")
        connector = aiohttp.UnixConnector(str(socket)) if socket else aiohttp.TCPConnector()
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=600)
        self._session = aiohttp.ClientSession(connector=connector, headers=headers, timeout=timeout)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def get(self, path: str, **parameters: str | int) -> Any:
        """The JSON under ``path``.

        Raises:
            FangzhiError: of the class that the node's problem document names.
            Unavailable: nobody answers.
        """
        async with self._answer("GET", path, params=parameters) as answer:
            return await answer.json()

    async def post(self, path: str, body: Json | None = None) -> Any:
        async with self._answer("POST", path, json=body or {}) as answer:
            return await answer.json()

    async def append(self, path: str, offset: int, data: bytes) -> int:
        """Send bytes of a resumable upload from ``offset``; how far it is then (tus 1.0).

        Raises:
            Rejected: it stands at another offset.
            Unavailable: nobody answers; some of the bytes may have come.
        """
        headers = {
            "Tus-Resumable": tus.VERSION,
            "Upload-Offset": str(offset),
            "Content-Type": tus.BODY_MEDIA_TYPE,
        }
        async with self._answer("PATCH", path, data=BytesIO(data), headers=headers) as answer:
            return int(answer.headers["Upload-Offset"])

    async def offset(self, path: str) -> int:
        """How far a resumable upload is."""
        headers = {"Tus-Resumable": tus.VERSION}
        async with self._answer("HEAD", path, headers=headers) as answer:
            return int(answer.headers["Upload-Offset"])

    async def read_bytes(self, path: str, offset: int = 0) -> AsyncIterator[bytes]:
        """The bytes under ``path``, from ``offset``."""
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        async with self._answer("GET", path, headers=headers) as answer:
            async for chunk in answer.content.iter_chunked(CHUNK_BYTES):
                yield chunk

    async def operate(self, command: str, arguments: Json, progress: Progress) -> Json:
        """Run an operator's command; progress lines go to ``progress``."""
        path = f"/api/v1/operate/{command}"
        async with self._answer("POST", path, json=arguments) as answer:
            async for line in _lines(answer):
                told = json.loads(line)
                if "problem" in told:
                    raise error_from(told["problem"])
                if "result" in told:
                    result: Json = told["result"]
                    return result
                step = told["progress"]
                progress(step["doing"], step["done"], step["total"])
        raise Unavailable(f"operate {command}", "a result", "the answer ended without one")

    @asynccontextmanager
    async def _answer(
        self, method: str, path: str, **options: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        try:
            async with self._session.request(method, self._base + path, **options) as answer:
                if answer.status >= 400:
                    raise await _problem(answer)
                yield answer
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            expected = "a node that answers (is it running? fangzhi serve HOME)"
            got = str(error) or type(error).__name__
            raise Unavailable(self._base, expected, got) from error


async def _lines(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """Lines of any length."""
    rest = b""
    async for chunk in answer.content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line
    if rest:
        yield rest


async def _problem(answer: aiohttp.ClientResponse) -> FangzhiError:
    try:
        document = await answer.json(content_type=None)
    except ValueError:
        document = None
    if isinstance(document, dict):
        return error_from(document)
    cls = _OF_STATUS.get(answer.status, Unavailable)  # an answer to HEAD has no document
    return cls(str(answer.url), "an answer of a node", f"HTTP {answer.status}")
