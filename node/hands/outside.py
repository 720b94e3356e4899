"""Asks outside witnesses over HTTP: other people's servers, whose answers are bounded.

No redirect is followed: the address is the one that root keys signed into the witness policy.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final

import aiohttp
from yarl import URL

from protocol.errors import Unavailable
from protocol.limits import NOTE_BYTES_MAX

SECONDS_MAX: Final = 20.0


class HttpWitnessClient:
    """WitnessClient over one session, through ``proxy`` (``http://host:port``) where there is
    one."""

    def __init__(self, session: aiohttp.ClientSession, proxy: str = "") -> None:
        self._session = session
        self._proxy = URL(proxy) if proxy else None

    async def add_checkpoint(self, url: str, body: bytes) -> tuple[int, str, bytes]:
        return await self._ask("POST", f"{url.rstrip('/')}/add-checkpoint", body)

    async def cosigned(self, url: str, origin_hash: str) -> bytes | None:
        where = f"{url.rstrip('/')}/{origin_hash}/checkpoint"
        status, _, body = await self._ask("GET", where, None)
        return body if status == HTTPStatus.OK else None

    async def _ask(self, method: str, url: str, body: bytes | None) -> tuple[int, str, bytes]:
        try:
            async with self._session.request(
                method, url, data=body, proxy=self._proxy, allow_redirects=False
            ) as answer:
                chunks, size = [], 0
                async for chunk in answer.content.iter_chunked(NOTE_BYTES_MAX):
                    size += len(chunk)
                    if size > NOTE_BYTES_MAX:
                        raise Unavailable(url, f"at most {NOTE_BYTES_MAX} bytes", "more")
                    chunks.append(chunk)
                return answer.status, answer.headers.get("Content-Type", ""), b"".join(chunks)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise Unavailable(url, "a witness that answers", error or type(error)) from error


@asynccontextmanager
async def open_witness_client(proxy: str) -> AsyncIterator[HttpWitnessClient]:
    timeout = aiohttp.ClientTimeout(total=SECONDS_MAX)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        yield HttpWitnessClient(session, proxy)
