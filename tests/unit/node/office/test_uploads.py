"""One file on its way in: whatever happens to line, node and client, the offset is what is here."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.office.catalog import TABLES as CATALOG
from node.office.drafts import TABLES, Draft, DraftFile, Drafts
from node.office.uploads import PIECE_BYTES, SETTLE_SECONDS, Checksum, Uploads
from protocol.errors import DecodeError, FangzhiError, Full, ProofError, Rejected
from protocol.ids import BlobId, UnixMs
from protocol.limits import CHECKED_BYTES_MAX, CHUNK_BYTES
from simulations.disk import SimDisk
from simulations.loop import run

NEVER_MS = UnixMs(0)
CONTENT = bytes(range(251)) * (CHUNK_BYTES * 3 // 2 // 251)  # not a whole number of chunks


class Machine:
    """A disk, and the uploads of the node that runs on it now."""

    def __init__(self, size: int, capacity_bytes: int = 2**30) -> None:
        self.disk = SimDisk(1, "disk", capacity_bytes)
        file = DraftFile("扫描.bin", size, 0)
        self.draft = Draft("r" * 24, "320581", "i", {}, "open", (file,), "", NEVER_MS, ())
        self.allowed: Exception | None = None
        self.start()

    def start(self) -> None:
        self.ledger = self.disk.key_value("ledger", TABLES)
        world: Any = SimpleNamespace(
            blobs=self.disk.blobs(),
            state=self.disk.key_value("state", CATALOG),
            clock=SimpleNamespace(now=lambda: NEVER_MS),
        )
        self.blobs = world.blobs
        self.drafts = Drafts(self.ledger)
        self.uploads = Uploads(world, self.drafts, self._allow, 48)

    def crash(self) -> None:
        self.disk.crash()
        self.start()

    def _allow(self, _: Draft) -> None:
        if self.allowed:
            raise self.allowed

    async def offset(self) -> int:
        return (await self.uploads.status(self.draft.report, 0)).offset

    async def send(self, offset: int, *pieces: bytes, **more: Any) -> int:
        upload = await self.uploads.receive(self.draft.report, 0, offset, body(*pieces), **more)
        return upload.offset


async def body(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        if not piece:
            raise ConnectionResetError("the clerk's cable")
        yield piece


def checked(data: bytes) -> Checksum:
    return Checksum("sha256", hashlib.sha256(data).digest())


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["send", "cut", "crash", "elsewhere", "checked", "mistaken", "drop"]),
        st.integers(0, CHUNK_BYTES),
    ),
    max_size=8,
)


@settings(max_examples=15, deadline=None)
@given(steps=STEPS, size=st.sampled_from([1, CHUNK_BYTES, CHUNK_BYTES + 1, len(CONTENT)]))
def test_the_offset_is_what_is_here_and_the_blob_what_was_sent(
    steps: list[tuple[str, int]], size: int
) -> None:
    async def story() -> None:
        machine, here, content = Machine(size), 0, CONTENT[:size]
        await machine.drafts.open(machine.draft, bytes(32))
        for step, count in steps:
            data = content[here : here + count]
            half = len(data) // 2
            pieces = [piece for piece in (data[:half], data[half:]) if piece]
            if step == "send":
                here = await machine.send(here, *pieces)
            elif step == "cut":
                if here + len(data) < size:  # else the last byte came, and the cut is no matter
                    with pytest.raises(ConnectionResetError):
                        await machine.send(here, *pieces, b"")
                    here += len(data)
            elif step == "crash":
                machine.crash()
            elif step == "elsewhere":
                if count != here:
                    with pytest.raises(Rejected):
                        await machine.send(count, b"x")
            elif step == "checked":
                here = await machine.send(here, *pieces, checksum=checked(data))
            elif step == "mistaken":
                if data:
                    with pytest.raises(ProofError):
                        await machine.send(here, *pieces, checksum=checked(data + b"!"))
            else:
                await machine.uploads.discard(machine.draft.report, 0)
                here = 0
            assert await machine.offset() == here
        if here < size:
            here = await machine.send(here, content[here:])
        blob = await machine.uploads.finish(machine.draft, 0)
        assert blob == BlobId.of(content)
        assert list(machine.blobs.scan()) == [blob]
        assert machine.blobs._left == {}

    run(story())


def test_more_than_was_announced_is_not_taken() -> None:
    async def story() -> None:
        machine = Machine(10)
        await machine.drafts.open(machine.draft, bytes(32))
        with pytest.raises(DecodeError, match="10 bytes as announced"):
            await machine.send(0, b"01234", b"567890")
        assert await machine.offset() == 5

    run(story())


def test_a_body_with_a_checksum_is_bounded() -> None:
    async def story() -> None:
        machine = Machine(4 * CHECKED_BYTES_MAX)
        await machine.drafts.open(machine.draft, bytes(32))
        pieces = [bytes(CHUNK_BYTES)] * (CHECKED_BYTES_MAX // CHUNK_BYTES + 1)
        with pytest.raises(DecodeError, match="with a checksum"):
            await machine.send(0, *pieces, checksum=checked(b""))
        assert await machine.offset() == 0

    run(story())


def test_a_full_disk_is_said_and_what_is_here_stays() -> None:
    async def story() -> None:
        machine = Machine(3 * CHUNK_BYTES, capacity_bytes=3 * CHUNK_BYTES)
        await machine.drafts.open(machine.draft, bytes(32))
        await machine.send(0, bytes(CHUNK_BYTES))
        other = await machine.blobs.put(body(bytes(CHUNK_BYTES)))
        with pytest.raises(Full):
            await machine.send(CHUNK_BYTES, bytes(2 * CHUNK_BYTES))
        await machine.blobs.delete(other)
        machine.crash()
        assert (
            await machine.offset() == 3 * CHUNK_BYTES
        )  # all of it came: only making it a blob failed
        assert await machine.uploads.finish(machine.draft, 0) == BlobId.of(bytes(3 * CHUNK_BYTES))

    run(story())


def test_rights_are_asked_before_every_chunk() -> None:
    async def story() -> None:
        machine = Machine(3 * CHUNK_BYTES)
        await machine.drafts.open(machine.draft, bytes(32))

        async def retiring() -> AsyncIterator[bytes]:
            yield bytes(CHUNK_BYTES)
            machine.allowed = FangzhiError("user", "one that counts", "a retired one")
            yield bytes(CHUNK_BYTES)

        with pytest.raises(FangzhiError, match="retired"):
            await machine.uploads.receive(machine.draft.report, 0, 0, retiring())
        machine.allowed = None
        assert await machine.offset() == CHUNK_BYTES

    run(story())


def test_bytes_that_still_come_in_are_waited_for() -> None:
    async def story() -> None:
        machine = Machine(20 * PIECE_BYTES)
        await machine.drafts.open(machine.draft, bytes(32))

        async def lagging() -> AsyncIterator[bytes]:
            for _ in range(10):
                await asyncio.sleep(SETTLE_SECONDS / 2)
                yield bytes(PIECE_BYTES)
            await asyncio.sleep(30)
            yield b"late"

        async with asyncio.TaskGroup() as group:
            sending = machine.uploads.receive(machine.draft.report, 0, 0, lagging())
            group.create_task(sending)
            await asyncio.sleep(2 * SETTLE_SECONDS)
            assert await machine.offset() == 10 * PIECE_BYTES

    run(story())
