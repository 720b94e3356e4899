"""What every BlobStore promises (protocol/ports.py), on each backend."""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.hands.storage.file_blobs import FileBlobStore
from protocol.errors import Corrupt, Full, Missing
from protocol.ids import BlobId
from protocol.limits import CHUNK_BYTES
from simulations.disk import SimBlobStore, SimDisk
from simulations.loop import run as run_simulated

T = TypeVar("T")
Store = FileBlobStore | SimBlobStore  # both are BlobStores that can verify
Story = Callable[[Store], Awaitable[Any]]
Play = Callable[[Story], Any]


class Threads:
    """BlockingWork as a real node has it."""

    async def run(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.to_thread(work, *arguments)


def file_store(folder: Path, reserve_bytes: int = 0) -> FileBlobStore:
    return FileBlobStore(folder / "blobs", folder / "staging", reserve_bytes, Threads())


def play_files(story: Story) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        asyncio.run(_tell(story, file_store(folder)))
        assert list((folder / "staging").iterdir()) == []


def play_simulated(story: Story) -> None:
    async def tell() -> None:
        await story(SimDisk(1, "disk").blobs())

    run_simulated(tell())


async def _tell(story: Story, store: FileBlobStore) -> None:
    await story(store)


PLAYS = {"files": play_files, "simulated": play_simulated}


@pytest.fixture(params=PLAYS)
def play(request: pytest.FixtureRequest) -> Play:
    return PLAYS[request.param]


async def stream(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def broken_stream() -> AsyncIterator[bytes]:
    yield bytes(3 * CHUNK_BYTES)
    raise ConnectionResetError


def test_what_is_put_is_read_by_its_hash(play: Play) -> None:
    async def story(store: Store) -> None:
        data = bytes(range(256)) * 10
        blob = await store.put(stream(data[:100], b"", data[100:]))
        assert blob == BlobId(hashlib.sha256(data).digest())
        assert store.size(blob) == len(data)
        assert await store.read(blob, 0, len(data)) == data
        assert await store.read(blob, 250, 10) == data[250:260]
        assert await store.read(blob, len(data) - 5, 100) == data[-5:]
        assert await store.read(blob, len(data), 100) == b""
        assert await store.read(blob, 3, 0) == b""
        await store.verify(blob)

    play(story)


def test_an_empty_and_a_large_blob(play: Play) -> None:
    async def story(store: Store) -> None:
        empty = await store.put(stream())
        assert empty == BlobId.of(b"")
        assert store.size(empty) == 0
        large = bytes(2 * CHUNK_BYTES) + b"end"
        blob = await store.put(
            stream(large[:5], large[5 : CHUNK_BYTES + 9], large[CHUNK_BYTES + 9 :])
        )
        assert blob == BlobId.of(large)
        assert await store.read(blob, 2 * CHUNK_BYTES - 1, 9) == b"\x00end"

    play(story)


def test_an_absent_blob(play: Play) -> None:
    async def story(store: Store) -> None:
        absent = BlobId.of(b"absent")
        assert store.size(absent) is None
        with pytest.raises(Missing):
            await store.read(absent, 0, 1)
        with pytest.raises(Missing):
            await store.verify(absent)
        await store.delete(absent)

    play(story)


def test_the_same_content_is_stored_once_and_forgotten_once(play: Play) -> None:
    async def story(store: Store) -> None:
        twins = await asyncio.gather(*(store.put(stream(b"same")) for _ in range(5)))
        assert len(set(twins)) == 1
        assert await store.put(stream(b"sa", b"me")) == twins[0]
        assert list(store.scan()) == [twins[0]]
        await store.delete(twins[0])
        assert store.size(twins[0]) is None
        assert list(store.scan()) == []

    play(story)


def test_scan_is_in_order_of_id(play: Play) -> None:
    async def story(store: Store) -> None:
        blobs = [await store.put(stream(b"%d" % number)) for number in range(40)]
        assert list(store.scan()) == sorted(blobs)

    play(story)


def test_content_that_is_not_the_expected_one_is_not_kept(play: Play) -> None:
    async def story(store: Store) -> None:
        expected = BlobId.of(b"right")
        with pytest.raises(Corrupt, match=expected.hex):
            await store.put(stream(b"wrong"), expected)
        assert list(store.scan()) == []
        assert await store.put(stream(b"right"), expected) == expected

    play(story)


def test_an_interrupted_stream_leaves_nothing(play: Play) -> None:
    async def story(store: Store) -> None:
        with pytest.raises(ConnectionResetError):
            await store.put(broken_stream())
        assert list(store.scan()) == []

    play(story)


def test_a_cancelled_put_leaves_nothing(play: Play) -> None:
    async def story(store: Store) -> None:
        started = asyncio.Event()

        async def endless() -> AsyncIterator[bytes]:
            while True:
                yield bytes(CHUNK_BYTES)
                started.set()
                await asyncio.sleep(0.001)

        putting = asyncio.ensure_future(store.put(endless()))
        await started.wait()
        putting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await putting
        assert list(store.scan()) == []

    play(story)


@pytest.mark.parametrize("name", PLAYS)
@settings(max_examples=10, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["put", "delete"]), st.sampled_from([b"", b"a", b"b", b"c"])),
        max_size=12,
    )
)
def test_any_steps_leave_what_a_set_would_hold(name: str, steps: list[tuple[str, bytes]]) -> None:
    async def story(store: Store) -> None:
        model: set[BlobId] = set()
        for what, content in steps:
            if what == "put":
                model.add(await store.put(stream(content)))
            else:
                await store.delete(BlobId.of(content))
                model.discard(BlobId.of(content))
            assert list(store.scan()) == sorted(model)

    PLAYS[name](story)


def test_too_little_room_keeps_nothing_in_files(tmp_path: Path) -> None:
    async def story() -> None:
        store = file_store(tmp_path, reserve_bytes=2**60)
        with pytest.raises(Full, match="bytes free"):
            await store.put(stream(b"x"))
        assert list(store.scan()) == []
        assert list((tmp_path / "staging").iterdir()) == []

    asyncio.run(story())


def test_too_little_room_keeps_nothing_in_simulations() -> None:
    async def story() -> None:
        store = SimDisk(1, "disk", capacity_bytes=10).blobs()
        await store.put(stream(b"12345"))
        with pytest.raises(Full):
            await store.put(stream(b"abc", b"def"))
        assert list(store.scan()) == [BlobId.of(b"12345")]
        await store.put(stream(b"abcde"))

    run_simulated(story())


def test_damage_is_named_in_files(tmp_path: Path) -> None:
    async def story() -> None:
        store = file_store(tmp_path)
        blob = await store.put(stream(b"sound"))
        path = tmp_path / "blobs" / blob.hex[:2] / blob.hex[2:]
        path.chmod(0o600)
        path.write_bytes(b"Sound")
        with pytest.raises(Corrupt, match=blob.hex):
            await store.verify(blob)

    asyncio.run(story())


def test_damage_is_named_in_simulations() -> None:
    async def story() -> None:
        disk = SimDisk(1, "disk")
        blob = await disk.blobs().put(stream(b"sound"))
        disk.flip(blob, 2)
        with pytest.raises(Corrupt, match=blob.hex):
            await disk.blobs().verify(blob)

    run_simulated(story())


def test_what_a_crash_left_in_staging_is_removed_and_nothing_else(tmp_path: Path) -> None:
    file_store(tmp_path)
    (tmp_path / "staging" / "blob-1-1.tmp").write_bytes(b"half")
    (tmp_path / "staging" / "upload").write_bytes(b"of somebody else")
    file_store(tmp_path)
    assert [path.name for path in (tmp_path / "staging").iterdir()] == ["upload"]


def test_a_cancelled_put_does_not_close_the_file_under_a_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing = threading.Event()
    failed: list[BaseException] = []
    real_write = os.write

    def slow_write(descriptor: int, data: bytes) -> int:
        writing.set()
        time.sleep(0.05)
        try:
            return real_write(descriptor, data)
        except OSError as error:
            failed.append(error)
            raise

    async def story() -> None:
        store = file_store(tmp_path)
        monkeypatch.setattr("os.write", slow_write)
        putting = asyncio.ensure_future(store.put(stream(b"x")))
        await asyncio.to_thread(writing.wait)
        putting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await putting

    asyncio.run(story())
    monkeypatch.undo()
    assert failed == []
    assert list((tmp_path / "staging").iterdir()) == []
