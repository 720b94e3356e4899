"""What every BlobStore promises (protocol/ports.py), on each backend."""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.hands.storage.file_blobs import listing
from node.hands.storage.vault import Vault, open_vault
from protocol.chunks import leaves_of, root_of_leaves
from protocol.errors import Corrupt, DecodeError, Full, Missing, ProofError
from protocol.ids import BlobId, UnixMs
from protocol.limits import CHUNK_BYTES, PACKED_BYTES_MAX, MiB
from protocol.merkle import leaf_hash
from protocol.ports import BlobStore
from simulations.disk import SimDisk
from simulations.loop import run as run_simulated
from tests.objects import damage_object, new_bucket, object_store

T = TypeVar("T")
Store = BlobStore
Story = Callable[[Store], Awaitable[Any]]
Play = Callable[[Story], Any]


class Threads:
    """BlockingWork as a real node has it."""

    async def run(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.to_thread(work, *arguments)


class Wall:
    def now(self) -> UnixMs:
        return UnixMs(time.time_ns() // 1_000_000)


def file_store(folder: Path, **bounds: int) -> AbstractAsyncContextManager[Vault]:
    blobs, staging = folder / "blobs", folder / "staging"
    return open_vault(folder / "vault", blobs, staging, Threads(), Wall(), **bounds)


def play_files(story: Story) -> None:
    async def tell() -> None:
        async with file_store(folder) as store:
            await story(store)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        asyncio.run(tell())
        assert list((folder / "staging").iterdir()) == []


def play_objects(story: Story) -> None:
    async def tell() -> None:
        async with file_store(folder) as store:
            await store.mover.move(new_bucket(endpoint))
            await story(store)

    with object_store() as endpoint, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        asyncio.run(tell())
        assert list((folder / "staging").iterdir()) == []
        assert list(listing(folder / "blobs")) == []


def play_simulated(story: Story) -> None:
    async def tell() -> None:
        await story(SimDisk(1, "disk").blobs())

    run_simulated(tell())


PLAYS = {"files": play_files, "objects": play_objects, "simulated": play_simulated}


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


def test_a_card_knows_size_root_and_when_the_bytes_were_seen(play: Play) -> None:
    async def story(store: Store) -> None:
        data = bytes(CHUNK_BYTES) + b"end"
        for content in (b"", b"small", data):
            blob = await store.put(stream(content))
            card, leaves = await store.card(blob), await store.leaves(blob)
            assert (card.size, leaves) == (len(content), leaves_of(content))
            assert card.chunks == root_of_leaves(leaves)
            assert (card.checked, blob) in store.checks()
        seen = [checked for checked, _ in store.checks()]
        assert seen == sorted(seen)
        await asyncio.sleep(0.01)
        await store.verify(blob)
        assert (await store.card(blob)).checked > card.checked
        for ask in (store.card, store.leaves):
            with pytest.raises(Missing):
                await ask(BlobId.of(b"absent"))

    play(story)


def test_an_arrival_refuses_a_chunk_that_was_promised_otherwise(play: Play) -> None:
    async def story(store: Store) -> None:
        data = bytes(range(256)) * (CHUNK_BYTES // 256) + b"end"
        arrival = await store.arrive("upload-1", len(data))
        first, last = data[:CHUNK_BYTES], data[CHUNK_BYTES:]
        for wrong in (last + b"!", bytes(3)):
            with pytest.raises((ProofError, DecodeError)):
                await arrival.write(CHUNK_BYTES, wrong, leaf_hash(last))
        with pytest.raises(ProofError):
            await arrival.write(0, bytes(CHUNK_BYTES), leaf_hash(first))
        assert (arrival.end, arrival.have()) == (0, frozenset())
        await arrival.write(CHUNK_BYTES, last, leaf_hash(last))
        await arrival.write(0, first, leaf_hash(first))
        assert await arrival.commit() == BlobId.of(data)

    play(story)


def test_an_arrival_takes_pieces_in_any_order(play: Play) -> None:
    async def story(store: Store) -> None:
        data = b"".join(b"%07d\n" % number for number in range(330_000))  # 2.5 chunks
        arrival = await store.arrive("upload-1", len(data))
        assert (arrival.end, arrival.have()) == (0, frozenset())
        with pytest.raises(Missing):
            await arrival.commit()
        await arrival.write(0, data[:1000])
        await arrival.write(2 * CHUNK_BYTES, data[2 * CHUNK_BYTES :])
        assert (arrival.end, arrival.have()) == (1000, frozenset({2}))
        for offset, length in ((999, 10), (1, 0), (CHUNK_BYTES, 5), (2 * CHUNK_BYTES, CHUNK_BYTES)):
            with pytest.raises(DecodeError):
                await arrival.write(offset, bytes(length))
        assert await store.arrive("upload-1", len(data)) is not None
        await arrival.write(1000, data[1000 : CHUNK_BYTES + 77])
        assert arrival.end == CHUNK_BYTES + 77
        await arrival.write(0, bytes(CHUNK_BYTES))  # is here already
        await arrival.write(CHUNK_BYTES, data[CHUNK_BYTES : 2 * CHUNK_BYTES])
        assert (arrival.end, arrival.have()) == (len(data), frozenset({0, 1, 2}))
        assert list(store.scan()) == []
        blob = await arrival.commit(BlobId.of(data))
        assert await store.read(blob, 0, len(data)) == data
        assert await store.leaves(blob) == leaves_of(data)
        await arrival.discard()
        assert list(store.scan()) == [blob]

    play(story)


def test_an_arrival_of_nothing(play: Play) -> None:
    async def story(store: Store) -> None:
        arrival = await store.arrive("nothing", 0)
        assert await arrival.commit() == BlobId.of(b"")

    play(story)


def test_an_arrival_that_is_not_the_expected_one_is_dropped(play: Play) -> None:
    async def story(store: Store) -> None:
        arrival = await store.arrive("a", 5)
        await arrival.write(0, b"wrong")
        with pytest.raises(Corrupt):
            await arrival.commit(BlobId.of(b"right"))
        assert list(store.scan()) == []
        assert (await store.arrive("a", 5)).end == 0
        await (await store.arrive("a", 5)).discard()

    play(story)


def test_an_arrival_of_another_size_begins_again(play: Play) -> None:
    async def story(store: Store) -> None:
        await (await store.arrive("a", 5)).write(0, b"12345")
        again = await store.arrive("a", 6)
        assert (again.end, again.have()) == (0, frozenset())
        await again.discard()
        for name in ("", "A", "a/b", "..", "a" * 81):
            with pytest.raises(DecodeError):
                await store.arrive(name, 1)

    play(story)


def test_what_is_here_already_arrives_and_is_one(play: Play) -> None:
    async def story(store: Store) -> None:
        blob = await store.put(stream(b"twice"))
        arrival = await store.arrive("a", 5)
        await arrival.write(0, b"twice")
        assert await arrival.commit(blob) == blob
        assert list(store.scan()) == [blob]
        await store.delete(blob)
        assert list(store.scan()) == []

    play(story)


class FileLives:
    """A folder that outlives the processes that use it."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.run = asyncio.run

    def life(self) -> AbstractAsyncContextManager[BlobStore]:
        return file_store(Path(self._folder.name))

    def damage(self, blob: BlobId) -> None:
        found = listing(Path(self._folder.name) / "blobs")
        path, start = next((path, at) for each, path, at in found if each == blob)
        path.chmod(0o600)
        with path.open("r+b") as file:
            file.seek(start)
            file.write(b"?")


class ObjectLives:
    """A bucket that outlives the processes that use it."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._server = object_store()
        self._bucket = new_bucket(self._server.__enter__())
        self.run = asyncio.run

    @asynccontextmanager
    async def life(self) -> AsyncIterator[BlobStore]:
        async with file_store(Path(self._folder.name)) as store:
            if not store.mover.show()["now"].startswith("s3:"):
                await store.mover.move(self._bucket)
            yield store

    def damage(self, blob: BlobId) -> None:
        damage_object(self._bucket, blob)


class SimLives:
    """A simulated disk that outlives the processes that use it."""

    def __init__(self) -> None:
        self._disk = SimDisk(1, "disk")
        self.run = run_simulated

    @asynccontextmanager
    async def life(self) -> AsyncIterator[BlobStore]:
        yield self._disk.blobs()
        self._disk.crash()

    def damage(self, blob: BlobId) -> None:
        self._disk.flip(blob, 0)


LIVES = {"files": FileLives, "objects": ObjectLives, "simulated": SimLives}


@pytest.mark.parametrize("name", LIVES)
def test_blobs_and_arrivals_survive_a_restart(name: str) -> None:
    lives = LIVES[name]()
    data = bytes(CHUNK_BYTES) + b"x" * 5000

    async def story() -> None:
        async with lives.life() as store:
            kept = await store.put(stream(b"kept"))
            arrival = await store.arrive("a", len(data))
            await arrival.write(CHUNK_BYTES, data[CHUNK_BYTES:])
            await arrival.write(0, data[:3000])
            await (await store.arrive("b", 9)).write(0, b"dropped")
        async with lives.life() as store:
            assert list(store.scan()) == [kept]
            await store.verify(kept)
            await store.forget_arrivals(lambda name: name == "a")
            assert (await store.arrive("b", 9)).end == 0
            arrival = await store.arrive("a", len(data))
            assert (arrival.end, arrival.have()) == (3000, frozenset({1}))
            await arrival.write(3000, data[3000:CHUNK_BYTES])
            await store.verify(await arrival.commit(BlobId.of(data)))

    lives.run(story())


@pytest.mark.parametrize("content", [b"small", b"l" * PACKED_BYTES_MAX * 2, b"x" * 9 * MiB])
@pytest.mark.parametrize("way", ["put", "arrival"])
@pytest.mark.parametrize("name", LIVES)
def test_a_damaged_copy_stays_until_the_right_bytes_take_its_place(
    name: str, way: str, content: bytes
) -> None:
    lives = LIVES[name]()
    blob = BlobId.of(content)

    async def here_all_the_time(store: BlobStore) -> None:
        while True:
            assert store.size(blob) == len(content)
            assert len(await store.read(blob, 0, 9)) == min(9, len(content))
            await asyncio.sleep(0.001)

    async def story() -> None:
        async with lives.life() as store:
            await store.put(stream(content))
            lives.damage(blob)
            for _ in range(2):
                with pytest.raises(Corrupt):
                    await store.verify(blob)
            with pytest.raises(Corrupt):
                await store.put(stream(content, b"?"), blob)
            assert store.size(blob) == len(content)
            looking = asyncio.ensure_future(here_all_the_time(store))
            if way == "put":
                await store.put(stream(content), blob)
            else:
                arrival = await store.arrive("a", len(content))
                await arrival.write(0, content)
                await arrival.commit(blob)
            assert not looking.done()
            looking.cancel()
            await store.verify(blob)
            assert await store.read(blob, 0, len(content)) == content
            assert list(store.scan()) == [blob]
        async with lives.life() as store:
            await store.verify(blob)
            await store.delete(blob)
            assert list(store.scan()) == []
        async with lives.life() as store:
            assert list(store.scan()) == []

    lives.run(story())


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


@pytest.mark.parametrize("name", ["files", "simulated"])
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
        async with file_store(tmp_path, reserve_bytes=2**50) as store:
            for data in (b"x", bytes(CHUNK_BYTES)):
                with pytest.raises(Full, match="bytes free"):
                    await store.put(stream(data))
            with pytest.raises(Full, match="bytes free"):
                await store.arrive("a", 1)
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


def test_damage_is_named_in_simulations() -> None:
    async def story() -> None:
        disk = SimDisk(1, "disk")
        blob = await disk.blobs().put(stream(b"sound"))
        disk.flip(blob, 2)
        with pytest.raises(Corrupt, match=blob.hex):
            await disk.blobs().verify(blob)

    run_simulated(story())


def test_what_a_crash_left_in_staging_is_removed_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "staging").mkdir()
    (tmp_path / "staging" / "blob-1-1.tmp").write_bytes(b"half")
    (tmp_path / "staging" / "upload").write_bytes(b"of somebody else")

    async def story() -> None:
        async with file_store(tmp_path):
            pass

    asyncio.run(story())
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
        async with file_store(tmp_path) as store:
            monkeypatch.setattr("os.write", slow_write)
            putting = asyncio.ensure_future(store.put(stream(bytes(CHUNK_BYTES))))
            await asyncio.to_thread(writing.wait)
            putting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await putting

    asyncio.run(story())
    monkeypatch.undo()
    assert failed == []
    assert list((tmp_path / "staging").iterdir()) == []
