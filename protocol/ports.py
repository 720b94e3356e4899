"""The ports of the world: what the thinking rooms ask for and ``node`` or ``simulations`` gives.

Every port has a contract suite in ``tests/contract`` that runs on each of its backends.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, TypeVar

from protocol.ids import BlobId, ChunkRoot, UnixMs

T = TypeVar("T")


class Clock(Protocol):
    def now(self) -> UnixMs:
        """Wall time, milliseconds since 1970; may jump."""


class Rng(Protocol):
    def random_bytes(self, count: int) -> bytes:
        """Unpredictable bytes (in simulations: drawn from the seed)."""


class Reader(Protocol):
    """A snapshot of a key-value store."""

    def get(self, table: str, key: bytes) -> bytes | None: ...

    def scan(
        self, table: str, prefix: bytes = b"", start: bytes = b"", reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Pairs whose key has ``prefix``, ordered by key; forward from ``start`` (inclusive) when
        given, or backward from the end of the prefix (``start`` is then ignored)."""


class Writer(Reader, Protocol):
    """A transaction: what it reads includes what it wrote."""

    def put(self, table: str, key: bytes, value: bytes) -> None: ...

    def put_many(self, table: str, pairs: Sequence[tuple[bytes, bytes]]) -> None:
        """Put each pair in turn; cheapest when the keys are in order."""

    def delete(self, table: str, key: bytes) -> None: ...


class KeyValueStore(Protocol):
    """Ordered tables of bytes; keys of 1 to 511 bytes."""

    def read(self) -> AbstractContextManager[Reader]:
        """A consistent snapshot; keep it short."""

    async def write(self, job: Callable[[Writer], T]) -> T:
        """Run ``job`` in the one writer, atomically, in order of call; durable when this returns.

        Jobs that wait together share one commit.  A job that raises leaves nothing behind and
        raises here; the others of its commit are not touched.

        Raises:
            Full: the disk or map is full; nothing of the job was kept.
            StoreError: a failed sync; the process must end (law 1).
        """

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Card:
    """What a store knows of a blob beside its name."""

    size: int
    chunks: ChunkRoot
    checked: UnixMs  # when all its bytes were last seen and were right


class Arrival(Protocol):
    """A blob that comes in pieces and survives a restart.

    Pieces that are here are right (each is hashed again after a restart), but nothing is durable
    before :meth:`commit` returns.
    """

    @property
    def size(self) -> int: ...

    @property
    def end(self) -> int:
        """Bytes of the unbroken beginning."""

    def have(self) -> frozenset[int]:
        """Numbers of the chunks that are wholly here."""

    async def write(self, offset: int, data: bytes, leaf: bytes | None = None) -> None:
        """Store ``data`` at ``end``, or whole chunks (the last may be short) at a chunk's start.
        Chunks that are here already are passed over.  With a ``leaf``, ``data`` is one chunk and
        is stored only if that is its leaf hash, which saves the caller from hashing it, too.

        Raises:
            ProofError: its leaf hash is another; nothing was kept.
            DecodeError: it starts elsewhere, breaks off within a chunk or goes beyond ``size``.
            Full: no room; what came before is kept.
        """

    async def commit(self, expect: BlobId | None = None) -> BlobId:
        """Make it a blob, as :meth:`BlobStore.put`, and the arrival is over.

        Raises:
            Missing: not all of it is here.
            Corrupt: the content is not ``expect``; all of it was dropped.
        """

    async def discard(self) -> None:
        """Drop what came; nothing happens when it is over."""


class BlobStore(Protocol):
    """Write-once bytes named by their SHA-256, in chunks of CHUNK_BYTES (protocol/chunks.py)."""

    async def put(self, chunks: AsyncIterator[bytes], expect: BlobId | None = None) -> BlobId:
        """Store a stream; durable when this returns.  The same content is stored once: a copy that
        is damaged is there until these bytes, durable, take its place in one step.

        Raises:
            Corrupt: the content is not ``expect``; nothing was kept.
            Full: no room; nothing was kept.
        """

    async def arrive(self, name: str, size: int) -> Arrival:
        """The arrival called ``name`` (1 to 80 of ``a-z0-9-``) of ``size`` bytes: begun, or taken
        up where it was left.  One of another size is dropped and begun again.

        Raises:
            Full: no room for ``size`` bytes.
        """

    async def forget_arrivals(self, keep: Callable[[str], bool]) -> None:
        """Discard the arrivals left from before, except those whose name ``keep`` says yes to."""

    async def read(self, blob: BlobId, offset: int, length: int) -> bytes:
        """``length`` bytes from ``offset``, fewer at the end of the blob; not checked.

        Raises:
            Missing: no such blob.
            Corrupt: the bytes cannot be read.
        """

    def size(self, blob: BlobId) -> int | None:
        """Bytes, or None when absent."""

    async def card(self, blob: BlobId) -> Card:
        """What is known of it; made again from the bytes when it was lost.

        Raises:
            Missing, Corrupt: as :meth:`verify`.
        """

    async def leaves(self, blob: BlobId) -> bytes:
        """The leaf hashes of its chunks, 32 bytes each.

        Raises:
            Missing, Corrupt: as :meth:`verify`.
        """

    async def verify(self, blob: BlobId) -> None:
        """Read every byte again and note on the card that it is right.

        Raises:
            Missing: no such blob.
            Corrupt: the content is not what was stored, or cannot be read.
        """

    async def delete(self, blob: BlobId) -> None:
        """Forget a blob; nothing happens when it is absent."""

    def scan(self) -> Iterator[BlobId]:
        """Every blob, in order of id."""

    def checks(self) -> Iterator[tuple[UnixMs, BlobId]]:
        """When each blob was last verified (0: not since its card was lost), oldest first, equals
        in the order in which they are best read."""


class SegmentStore(Protocol):
    """Named immutable buffers of derived data; losing them costs a rebuild and nothing else."""

    def put(self, name: str, data: bytes) -> None: ...

    def open(self, name: str) -> memoryview:
        """The buffer, usually a memory map.

        Raises:
            Missing: no such segment.
        """

    def page_out(self, buffer: memoryview) -> None:
        """Let go of the memory that reading all of an opened buffer took; it stays readable."""

    def delete(self, name: str) -> None: ...

    def names(self) -> list[str]: ...


class Connection(Protocol):
    """Two parties exchanging whole frames in order."""

    @property
    def binding(self) -> bytes:
        """32 bytes both ends agree on: SHA-256 of the listener's certificate (DER)."""

    async def send(self, frame: bytes) -> None:
        """Returns when the frame may be forgotten; waits while the other end is slow.

        Raises:
            Unavailable: the connection is gone.
        """

    async def receive(self) -> bytes:
        """The next frame.

        Raises:
            Unavailable: the connection is gone.
            DecodeError: a frame longer than FRAME_BYTES_MAX; the connection is closed.
        """

    async def close(self) -> None: ...


class Wire(Protocol):
    async def dial(self, address: str, pin: bytes) -> Connection:
        """Connect to ``host:port`` whose certificate must have the SHA-256 ``pin``.

        Raises:
            Unavailable: nobody answers.
            AuthError: another certificate.
        """

    async def listen(
        self, address: str, accept: Callable[[Connection], Awaitable[None]]
    ) -> Callable[[], Awaitable[None]]:
        """Serve ``accept`` for every connection; the returned call stops listening.

        Raises:
            Unavailable: the address is in use.
        """


class BlockingWork(Protocol):
    """Where CPU-heavy and blocking work goes, off the event loop."""

    async def run(self, work: Callable[..., T], *arguments: object) -> T: ...


class WitnessClient(Protocol):
    """Witnesses of other people (c2sp.org/tlog-witness), asked over HTTP."""

    async def add_checkpoint(self, url: str, body: bytes) -> tuple[int, str, bytes]:
        """POST ``body`` to ``<url>/add-checkpoint``: (status, content type, answer).

        Raises:
            Unavailable: nobody answers in time, or with more than a note.
        """

    async def cosigned(self, url: str, origin_hash: str) -> bytes | None:
        """The newest note it co-signed for the origin with this SHA-256 (hexadecimal), if any.

        Raises:
            Unavailable: as above.
        """
