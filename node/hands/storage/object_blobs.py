"""Blobs in any object store that speaks S3: ``prefix/aa/rest-of-the-sha256``, whatever their size.

An object is made whole or not at all: small ones by a conditional create, large ones in parts; each
request carries a SHA-256 that the store checks.  Writer gains nothing and loss is repaired, as of a
folder (``file_blobs``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import S3Store

from node.hands.storage.cards import Cards, Facts, Place, StoredCard
from protocol.errors import ConfigError, Corrupt, Missing, Unavailable
from protocol.ids import BlobId, UnixMs
from protocol.limits import FAULT_CHARS_MAX, MiB
from protocol.ports import BlockingWork

if TYPE_CHECKING:
    from obstore.store import S3Config  # not there at run time

_PART_BYTES: Final = 8 * MiB  # so that FILE_BYTES_MAX is at most 10,000 parts, S3's bound
_PARTS_AT_ONCE: Final = 3
_OBJECTS_AT_ONCE: Final = 16
_PROBE: Final = b"fangzhi"


@dataclass(frozen=True, slots=True)
class Bucket:
    """Where an object store is and who we are there; empty texts are taken from the environment
    (``AWS_…``) or the store's defaults."""

    url: str  # s3://bucket or s3://bucket/prefix
    endpoint: str = ""  # https://host:port of a store that is not Amazon's
    region: str = ""
    access_key: str = ""
    secret_key: str = ""

    def open(self) -> S3Store:
        """
        Raises:
            ConfigError: not such a URL, or the library cannot use it.
        """
        if not self.url.startswith("s3://") or len(self.url) == len("s3://"):
            raise ConfigError("storage", "s3://bucket/prefix", repr(self.url[:80]))
        bucket, _, prefix = self.url.removeprefix("s3://").partition("/")
        config: S3Config = {"checksum_algorithm": "SHA256", "virtual_hosted_style_request": False}
        if self.endpoint:
            config["endpoint"] = self.endpoint
        if self.region:
            config["region"] = self.region
        if self.access_key:
            config["access_key_id"] = self.access_key
            config["secret_access_key"] = self.secret_key
        try:
            return S3Store(
                bucket,
                prefix=prefix or None,
                config=config,
                client_options={"allow_http": True, "timeout": timedelta(seconds=60)},
                retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=30)},
            )
        except BaseError as error:
            raise ConfigError("storage", "an object store that can be used", error) from error


class ObjectShelf:
    """A Shelf in a bucket."""

    def __init__(self, number: int, bucket: Bucket, cards: Cards, work: BlockingWork) -> None:
        self.number = number
        self._url = bucket.url
        self._store = bucket.open()
        self._cards = cards
        self._work = work

    async def probe(self) -> None:
        """Write, read and delete an object.

        Raises:
            Unavailable: one of these does not work; says which and why.
        """
        with self._answering("an object store that takes an object and gives it back"):
            await obstore.put_async(self._store, "probe", _PROBE)
            answer = await obstore.get_async(self._store, "probe")
            if bytes(await answer.bytes_async()) != _PROBE:
                raise Unavailable(self._url, "the object that was put", "another")
            await obstore.delete_async(self._store, "probe")

    async def take(self, staged: Path, facts: Facts) -> Place:
        with self._answering(f"room for {facts.blob}"):
            if facts.size <= _PART_BYTES:
                await self._create(facts, await self._work.run(staged.read_bytes))
            elif not await self._has(facts):
                await obstore.put_async(
                    self._store,
                    _key(facts.blob),
                    staged,
                    chunk_size=_PART_BYTES,
                    max_concurrency=_PARTS_AT_ONCE,
                )
        await self._work.run(staged.unlink)
        return Place(self.number)

    async def take_small(self, batch: Sequence[tuple[Facts, bytes]]) -> list[Place]:
        left = iter(batch)

        async def put_some() -> None:
            for facts, data in left:
                await self._create(facts, data)

        with self._answering(f"room for {len(batch)} objects"):
            await asyncio.gather(*(put_some() for _ in range(_OBJECTS_AT_ONCE)))
        return [Place(self.number)] * len(batch)

    async def read(self, blob: BlobId, place: Place, offset: int, length: int) -> bytes:
        if not length:
            return b""
        try:
            data = await obstore.get_range_async(
                self._store, _key(blob), start=offset, length=length
            )
        except (BaseError, OSError) as error:
            with self._answering(f"blob {blob}"):
                size = await self._size(blob)
            if size is None:
                raise Missing(self._url, f"blob {blob}", "nothing") from error
            if size < offset + length:
                raise Corrupt(self._url, f"bytes {offset} to {offset + length}", size) from error
            raise Unavailable(
                self._url, f"bytes of {blob}", str(error)[:FAULT_CHARS_MAX]
            ) from error
        if len(data) != length:
            raise Corrupt(self._url, f"{length} bytes at {offset} of {blob}", len(data))
        return bytes(data)

    async def feed(
        self, blob: BlobId, place: Place, size: int, take: Callable[[memoryview], None]
    ) -> None:
        for offset in range(0, size, _PART_BYTES):
            data = await self.read(blob, place, offset, min(_PART_BYTES, size - offset))
            await self._work.run(take, memoryview(data))

    async def remove(self, blob: BlobId, place: Place, size: int) -> None:
        with self._answering(f"to forget {blob}"), suppress(FileNotFoundError):
            await obstore.delete_async(self._store, _key(blob))

    async def tidy(self) -> None:
        """Nothing is left of what was removed."""

    def own_file(self, blob: BlobId, place: Place) -> Path | None:
        return None

    def changes(self) -> Iterator[tuple[BlobId, StoredCard | None]]:
        """Cards are believed; without any, the bucket is listed."""
        if any(card.place.shelf == self.number for _, card in self._cards.walk()):
            return
        for blob, size in self._listed():
            yield blob, StoredCard(size, Place(self.number), UnixMs(0))

    async def clear(self) -> None:
        for blob, size in await self._work.run(lambda: list(self._listed())):
            await self.remove(blob, Place(self.number), size)

    async def close(self) -> None:
        """Nothing is open."""

    async def _create(self, facts: Facts, data: bytes) -> None:
        try:
            await obstore.put_async(
                self._store, _key(facts.blob), data, mode="create", use_multipart=False
            )
        except AlreadyExistsError:
            if not await self._has(facts):  # damaged: these take its place in one step
                await obstore.put_async(self._store, _key(facts.blob), data, use_multipart=False)

    async def _has(self, facts: Facts) -> bool:
        """Whether its object has its bytes."""
        if await self._size(facts.blob) != facts.size:
            return False
        hasher = sha256()
        try:
            await self.feed(facts.blob, Place(self.number), facts.size, hasher.update)
        except (Corrupt, Missing):
            return False
        return hasher.digest() == facts.blob.raw

    async def _size(self, blob: BlobId) -> int | None:
        try:
            return (await obstore.head_async(self._store, _key(blob)))["size"]
        except FileNotFoundError:
            return None

    def _listed(self) -> Iterator[tuple[BlobId, int]]:
        with self._answering("a list of objects"):
            for page in obstore.list(self._store):
                for found in page:
                    with suppress(ValueError):
                        yield BlobId(bytes.fromhex(found["path"].replace("/", ""))), found["size"]

    @contextmanager
    def _answering(self, expected: str) -> Iterator[None]:
        try:
            yield
        except (BaseError, OSError) as error:  # of those built in: not found, not permitted
            raise Unavailable(self._url, expected, str(error)[:FAULT_CHARS_MAX]) from error


def _key(blob: BlobId) -> str:
    return f"{blob.hex[:2]}/{blob.hex[2:]}"
