"""Brings files from other nodes: by chunk, from several at once, each verified before written.

A file that fits one chunk is one question, and its hash is the proof.  Of a longer one the tree
comes first.  Where the caller knows the root (a manifest or a seal record names it) the tree is
verified by it; otherwise a source's tree is believed until the whole is, and a source whose tree
did not lead to the file's hash is asked no more.  Then chunks come as the plan says
(:mod:`protocol.chunk_plan`) into an arrival of the store, which a restart takes up where it was.

What is moved here waits for its turn by the pace of the office (node.toml, ``[transfer]``); what a
person waits for does not.  Questions travel over any link there is, dialled by either side.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final

from node.hands.turns import Turns
from node.office.links import Links
from protocol.chunk_plan import ChunkPlan
from protocol.chunks import check_leaves, chunk_count, chunk_span, root_of_leaves
from protocol.errors import (
    Corrupt,
    DecodeError,
    FangzhiError,
    Missing,
    ProofError,
    Unavailable,
    WireError,
)
from protocol.ids import BlobId, ChunkRoot, OfficeCode
from protocol.limits import CHUNK_BYTES, FILE_BYTES_MAX
from protocol.merkle import HASH_BYTES
from protocol.messages import BlobAsk, Chunk, TreeAsk, TreeLeaves
from protocol.pacing import Pace
from protocol.ports import Arrival, BlobStore, Clock

CHUNKS_MOVING_MAX: Final = 12  # of all transfers together; each is a few MiB of memory
HERE: Final = ""  # the name of our own damaged copy among the sources
ARRIVAL: Final = "copy-"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file to bring.  ``chunks`` is the root of its tree, where that is known."""

    blob: BlobId
    chunks: ChunkRoot | None = None


@dataclass(frozen=True, slots=True)
class Brought:
    """``source`` gave the most of it; HERE where nothing had to be brought."""

    source: str
    moved_bytes: int


@dataclass(frozen=True, slots=True)
class _Tree:
    size: int
    leaves: bytes

    def leaf(self, number: int) -> bytes:
        return self.leaves[number * HASH_BYTES : (number + 1) * HASH_BYTES]


@dataclass(frozen=True, slots=True)
class _Going:
    """A file on its way."""

    blob: BlobId
    tree: _Tree
    arrival: Arrival
    writing: asyncio.Lock


class Transfer:
    """Everything that this node fetches, each file once at a time."""

    def __init__(
        self,
        blobs: BlobStore,
        links: Links,
        clock: Clock,
        pace: Pace,
        request_s: float,
    ) -> None:
        self._blobs = blobs
        self._links = links
        self._clock = clock
        self._pace = pace
        self._request_s = request_s
        self._places = asyncio.Semaphore(CHUNKS_MOVING_MAX)
        self._turns = Turns[BlobId]()

    async def fetch(self, wanted: Wanted, sources: Sequence[str]) -> Brought:
        """Store a file that is not here.

        Raises:
            Missing: the sources together could not give all of it; what came stays for next time.
            Full: no room.
        """
        async with self._turns.of(wanted.blob):
            if self._blobs.size(wanted.blob) is not None:
                return Brought(HERE, 0)
            return await self._bring(wanted, list(sources))

    async def mend(self, wanted: Wanted, sources: Sequence[str]) -> Brought:
        """Make a damaged copy whole: what is right of it stays, the rest comes from the sources,
        of which none needs to be whole itself.  The damaged copy is there till then.

        Raises:
            Missing: the sources and what is left here could not give all of it.
            Full: no room for the second copy.
        """
        async with self._turns.of(wanted.blob):
            return await self._bring(wanted, [HERE, *sources])

    async def stream(
        self, blob: BlobId, source: str, offset: int, length: int | None
    ) -> AsyncIterator[bytes]:
        """The bytes of a file at another node, in chunks; unverified."""
        end = None if length is None else offset + length
        while end is None or offset < end:
            size = CHUNK_BYTES if end is None else min(CHUNK_BYTES, end - offset)
            chunk = await self._read(source, blob, offset, size)
            end = chunk.size_total if end is None else min(end, chunk.size_total)
            offset += len(chunk.data)
            if chunk.data:
                yield chunk.data
            elif offset < end:
                raise WireError("blob.read", f"bytes up to {end}", f"none at {offset}")

    # ---- trees

    async def _bring(self, wanted: Wanted, sources: list[str]) -> Brought:
        for source in list(sources):
            try:
                brought = await self._whole(wanted, source)
                if brought is not None:
                    return brought
                tree = await self._tree(wanted, source)
            except (WireError, Corrupt, Missing, ProofError, Unavailable) as error:
                self._count(error)
                continue
            arrival = await self._blobs.arrive(ARRIVAL + wanted.blob.hex, tree.size)
            try:
                return await self._gather(wanted.blob, tree, arrival, sources)
            except (Corrupt, Missing) as error:
                if wanted.chunks is not None:
                    raise
                self._count(error)  # perhaps that tree was wrong, and what came by it
                await arrival.discard()
                sources.remove(source)
        asked = [source or "here" for source in sources]
        raise Missing(f"file {wanted.blob.short}", f"{asked} to have it", "they have not now")

    async def _whole(self, wanted: Wanted, source: str) -> Brought | None:
        """A file of one chunk at most, in one question; None for a longer one."""
        if source == HERE:
            return None
        chunk = await self._paced(source, wanted.blob, 0, CHUNK_BYTES)
        if chunk.size_total > CHUNK_BYTES:
            return None
        if BlobId.of(chunk.data) != wanted.blob:
            raise Corrupt(f"file {wanted.blob.short}", "its content", f"another from {source}")
        await self._blobs.put(_once(chunk.data), wanted.blob)
        return Brought(source, len(chunk.data))

    async def _tree(self, wanted: Wanted, source: str) -> _Tree:
        """What a source says the tree is, verified as far as it can be before the chunks come.

        Raises:
            ProofError, DecodeError: it is none, or another than the known one.
        """
        if source == HERE:
            leaves = await self._blobs.leaves(wanted.blob)
            size = self._blobs.size(wanted.blob) or 0
        else:
            leaves, size = b"", CHUNK_BYTES
            while len(leaves) < HASH_BYTES * chunk_count(size):
                ask = TreeAsk(wanted.blob, len(leaves) // HASH_BYTES)
                part = await self._ask(source, "blob.tree", ask)
                assert isinstance(part, TreeLeaves)
                leaves, size = leaves + part.leaves, part.size_total
                if not part.leaves or size > FILE_BYTES_MAX:
                    raise DecodeError("blob.tree", "the leaves of a file", f"{size} bytes")
        root = wanted.chunks or root_of_leaves(leaves)
        check_leaves(root, size, leaves)
        return _Tree(size, leaves)

    # ---- chunks

    async def _gather(
        self, blob: BlobId, tree: _Tree, arrival: Arrival, sources: Sequence[str]
    ) -> Brought:
        """Every chunk of the tree from any source, stored.

        Raises:
            Missing: some chunk no source has.
            Corrupt: the whole is another file.
        """
        going = _Going(blob, tree, arrival, asyncio.Lock())
        wanted = set(range(chunk_count(tree.size))) - arrival.have()
        if HERE in sources:
            wanted -= {n for n in sorted(wanted) if await self._chunk(going, HERE, n) == "came"}
        plan = ChunkPlan(wanted, [source for source in sources if source != HERE])
        gave = Counter[str]()
        loop = asyncio.get_running_loop()
        asking: dict[asyncio.Task[str], tuple[str, int]] = {}
        try:
            while not plan.is_done and not plan.is_stuck:
                for source, number in plan.questions(loop.time()):
                    task = loop.create_task(self._chunk(going, source, number))
                    asking[task] = (source, number)
                wakes = plan.wakes_at()
                pause = None if wakes is None or asking else max(wakes - loop.time(), 0.01)
                if not asking:
                    await asyncio.sleep(pause or 0.01)
                    continue
                done, _ = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    source, number = asking.pop(task)
                    match task.result():
                        case "came":
                            gave[source] += plan.came(source, number)
                        case "wrong":
                            plan.wrong(source, number)
                        case _:
                            plan.silent(source, number, loop.time())
        finally:
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
        if not plan.is_done:
            raise Missing(f"file {blob.short}", "every chunk at some source", "not all now")
        await arrival.commit(blob)
        best = max(gave, key=lambda source: gave[source], default=HERE)
        return Brought(best, gave.total() * CHUNK_BYTES)

    async def _chunk(self, going: _Going, source: str, number: int) -> str:
        """Bring one chunk and write it: ``came``, ``wrong`` or ``silent``.

        Raises:
            Full: no room.
        """
        offset, length = chunk_span(going.tree.size, number)
        try:
            async with self._places:
                if source == HERE:
                    data = await self._blobs.read(going.blob, offset, length)
                else:
                    data = (await self._paced(source, going.blob, offset, length)).data
                if len(data) != length:
                    raise Corrupt(f"file {going.blob.short}", f"{length} bytes", len(data))
                async with going.writing:
                    await going.arrival.write(offset, data, going.tree.leaf(number))
                return "came"
        except (WireError, Corrupt, Missing, ProofError) as error:
            self._count(error)
            return "wrong"
        except Unavailable as error:
            self._count(error)
            return "silent"

    async def _paced(self, source: str, blob: BlobId, offset: int, length: int) -> Chunk:
        at = asyncio.get_running_loop().time()
        await asyncio.sleep(self._pace.wait_s(length, at, self._clock.now()))
        return await self._read(source, blob, offset, length)

    async def _read(self, source: str, blob: BlobId, offset: int, length: int) -> Chunk:
        chunk = await self._ask(source, "blob.read", BlobAsk(blob, offset, length))
        assert isinstance(chunk, Chunk)
        if len(chunk.data) > length:
            raise DecodeError("blob.read", f"at most {length} bytes", len(chunk.data))
        return chunk

    async def _ask(self, source: str, method: str, body: object) -> object:
        answer: object = await self._links.ask(OfficeCode(source), method, body, self._request_s)
        return answer

    def _count(self, error: FangzhiError) -> None:
        self._links.count(f"transfer.{error.code}")


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
