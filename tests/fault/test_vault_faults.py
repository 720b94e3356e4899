"""Killed processes and full disks under the store of files: nothing acknowledged is lost, nothing
is half-stored."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from node.hands.storage import incoming, packs
from node.hands.storage.file_blobs import listing
from node.hands.storage.packs import HEADER_BYTES
from node.hands.storage.vault import Vault, open_vault
from protocol.errors import Corrupt, Fatal, Full, Missing, StoreError
from protocol.ids import BlobId, UnixMs
from protocol.limits import MiB
from tests.killed import ROOT, acknowledged_until_killed

T = TypeVar("T")


class Threads:
    """BlockingWork as a real node has it."""

    async def run(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.to_thread(work, *arguments)


class Wall:
    def now(self) -> UnixMs:
        return UnixMs(time.time_ns() // 1_000_000)


async def stream(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


def open_store(
    folder: Path, staging: Path | None = None, **bounds: Any
) -> AbstractAsyncContextManager[Vault]:
    staging = staging or folder / "staging"
    return open_vault(folder / "vault", folder / "blobs", staging, Threads(), Wall(), **bounds)


WRITE_BLOBS = """
import asyncio, itertools, sys
from pathlib import Path
from tests.fault.test_vault_faults import open_store

async def stream(data):
    for start in range(0, len(data), 1000):
        yield data[start : start + 1000]

async def main():
    async with open_store(Path(sys.argv[1])) as store:
        async def clerk(name):
            for number in itertools.count():
                times = 20000 if number % 2 else 200
                blob = await store.put(stream(b"%d-%d " % (name, number) * times))
                sys.stdout.write(blob.hex + "\\n")
                sys.stdout.flush()
        await asyncio.gather(*map(clerk, range(4)))

asyncio.run(main())
"""


def test_a_killed_process_loses_no_acknowledged_blob_and_leaves_no_half(tmp_path: Path) -> None:
    for _ in range(2):  # the second one opens what the first one left
        acknowledged = acknowledged_until_killed(WRITE_BLOBS, tmp_path, 60)

        async def check(acknowledged: list[str]) -> None:
            async with open_store(tmp_path) as store:
                assert list((tmp_path / "staging").iterdir()) == []
                kept = list(store.scan())
                assert {BlobId.parse(line) for line in acknowledged} <= set(kept)
                for blob in kept:
                    await store.verify(blob)

        asyncio.run(check(acknowledged))


def test_a_blob_is_durable_when_put_returns(tmp_path: Path, calls: list[str]) -> None:
    async def story() -> None:
        async with open_store(tmp_path) as store:
            calls.clear()
            data = bytes(MiB) + b"data"
            blob = await store.put(stream(data))
            shelf, rest = blob.hex[:2], blob.hex[2:]
            staged = calls[1].removeprefix("fsync ")
            stored = [f"fsync {staged}", f"rename {staged} {rest}", f"fsync {shelf}"]
            assert calls == ["fsync blobs", *stored]
            calls.clear()
            await store.put(stream(data))
            staged = calls[1].removeprefix("fsync ")  # the copy that is there may be damaged
            assert calls[1:] == [f"fsync {staged}", f"rename {staged} {rest}", f"fsync {shelf}"]
            calls.clear()
            many = (store.put(stream(b"%d" % number)) for number in range(50))
            await asyncio.gather(*many)
            assert calls[:2] == ["fsync packs", "fsync 00000001"]
            assert set(calls[2:]) <= {"fsync 00000001"}
            assert len(calls) <= 4, "many share one sync"
            await asyncio.gather(*(store.put(stream(b"%d" % number)) for number in range(50)))
            assert len(list(listing(tmp_path / "blobs"))) == 51, "the same again takes no room"
            calls.clear()
            await store.delete(BlobId.of(b"7"))
            assert calls == ["fsync 00000001"]

    asyncio.run(story())


def test_a_full_disk_keeps_no_half_blob(small_disk: Path) -> None:
    async def story() -> None:
        async with open_store(small_disk) as store:
            small = await store.put(stream(bytes(MiB)))
            with pytest.raises(Full):
                await store.put(stream(*[b"x" * MiB] * 5))
            assert list((small_disk / "staging").iterdir()) == []
            assert list(store.scan()) == [small]
            await store.put(stream(b"y" * MiB))  # there is room again

    asyncio.run(story())


SMALL, LARGE = b"small", b"large" * MiB


async def filled(store: Vault) -> list[BlobId]:
    """Ten small blobs and a large one."""
    contents = [*(SMALL * (number + 1) for number in range(10)), LARGE]
    return [await store.put(stream(content)) for content in contents]


async def cards_of(store: Vault) -> dict[BlobId, tuple[int, bytes, bytes]]:
    return {
        blob: (card.size, card.chunks.raw, await store.leaves(blob))
        for blob in store.scan()
        for card in [await store.card(blob)]
    }


def flip(path: Path, at: int) -> None:
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))


def place_of(folder: Path, blob: BlobId) -> tuple[Path, int]:
    return next((path, at) for here, path, at in listing(folder / "blobs") if here == blob)


@pytest.mark.parametrize(
    ("content", "at"),
    [(LARGE, 0), (LARGE, 2 * MiB), (LARGE, len(LARGE) - 1), (SMALL * 5, 0), (SMALL * 5, 24)],
)
def test_a_flipped_bit_of_a_blob_is_found_and_healed_by_another_copy(
    tmp_path: Path, content: bytes, at: int
) -> None:
    blob = BlobId.of(content)

    async def story() -> None:
        async with open_store(tmp_path) as store:
            blobs = await filled(store)
            path, start = place_of(tmp_path, blob)
            flip(path, start + at)
            for each in blobs:
                if each != blob:
                    await store.verify(each)
            for _ in range(2):  # it stays known
                with pytest.raises(Corrupt, match=blob.hex):
                    await store.verify(blob)
            await store.delete(blob)
            assert await store.put(stream(content)) == blob
            await store.verify(blob)

    asyncio.run(story())


def test_a_file_cut_short_and_a_file_that_is_gone_are_found(tmp_path: Path) -> None:
    async def story() -> None:
        async with open_store(tmp_path) as store:
            blob = await store.put(stream(LARGE))
            path, _ = place_of(tmp_path, blob)
            path.chmod(0o600)
            os.truncate(path, 3 * MiB)
            with pytest.raises(Corrupt):
                await store.verify(blob)
            path.unlink()
            with pytest.raises(Missing):
                await store.verify(blob)
        async with open_store(tmp_path) as store:
            assert store.size(blob) is None
            assert await store.put(stream(LARGE)) == blob

    asyncio.run(story())


def test_a_wrong_card_is_put_right_by_the_bytes(tmp_path: Path) -> None:
    async def story() -> None:
        async with open_store(tmp_path) as store:
            await filled(store)
            right = await cards_of(store)
            for blob, card in list(store._cards.walk()):
                await store._cards.put([(blob, replace(card, xxh3=bytes(16)))])
            for blob in right:
                await store.verify(blob)
            assert await cards_of(store) == right
            assert all(card.xxh3 != bytes(16) for _, card in store._cards.walk())

    asyncio.run(story())


def test_lost_cards_are_made_again_from_the_bytes(tmp_path: Path) -> None:
    async def story() -> None:
        async with open_store(tmp_path) as store:
            blobs = await filled(store)
            right = await cards_of(store)
            forgotten = blobs.pop(3)
            await store.delete(forgotten)
        shutil.rmtree(tmp_path / "vault")
        async with open_store(tmp_path) as store:
            assert list(store.scan()) == sorted(blobs), "a hole is no blob"
            assert {checked for checked, _ in store.checks()} == {0}
            del right[forgotten]
            assert await cards_of(store) == right
            await store.put(stream(SMALL * 99))  # the pack grows on

    asyncio.run(story())


@pytest.mark.parametrize("at", [0, 3, 5, 20, 43])
def test_a_damaged_header_costs_its_own_blob_and_only_if_the_cards_are_lost(
    tmp_path: Path, at: int
) -> None:
    async def story() -> None:
        async with open_store(tmp_path) as store:
            blobs = await filled(store)
            path, start = place_of(tmp_path, blobs[4])
        flip(path, start - HEADER_BYTES + at)
        async with open_store(tmp_path) as store:
            for blob in blobs:
                await store.verify(blob)
        shutil.rmtree(tmp_path / "vault")
        async with open_store(tmp_path) as store:
            assert set(blobs) - set(store.scan()) == {blobs[4]}
            await store.put(stream(SMALL * 5))
            for blob in blobs:
                await store.verify(blob)

    asyncio.run(story())


@pytest.mark.parametrize("torn", [b"fzb1", b"fzb", bytes(100), "header", "data"])
def test_a_torn_end_of_a_pack_is_no_blob_and_is_written_over(
    tmp_path: Path, torn: bytes | str
) -> None:
    async def story() -> None:
        async with open_store(tmp_path) as store:
            blobs = await filled(store)
            path, start = place_of(tmp_path, blobs[9])
        whole = path.read_bytes()
        record = whole[start - HEADER_BYTES :]
        ends = {"header": record[:HEADER_BYTES], "data": record[:-1] + b"?"}
        path.write_bytes(whole + (ends[torn] if isinstance(torn, str) else torn))
        for lost in (False, True):
            if lost:
                shutil.rmtree(tmp_path / "vault")
            async with open_store(tmp_path) as store:
                assert list(store.scan()) == sorted(blobs)
                blobs.append(await store.put(stream(b"after %d" % lost)))
                for blob in blobs:
                    await store.verify(blob)
                for number, blob in enumerate(blobs[:10]):
                    assert await store.read(blob, 0, 99) == SMALL * (number + 1)

    asyncio.run(story())


def test_what_is_forgotten_cannot_be_found_on_the_disk_and_its_room_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packs, "PACK_BYTES", 200_000)

    async def story() -> None:
        async with open_store(tmp_path) as store:
            contents = [b"secret %03d " % number * 2000 for number in range(60)]
            blobs = [await store.put(stream(content)) for content in contents]
            files = {place_of(tmp_path, blob)[0] for blob in blobs}
            assert len(files) >= 3
            first = place_of(tmp_path, blobs[0])[0]
            rest = [blob for blob in blobs if place_of(tmp_path, blob)[0] == first]
            for blob in rest[1:]:
                await store.delete(blob)
            assert not first.exists()
            left = b"".join(path.read_bytes() for path in (tmp_path / "blobs").rglob("0*"))
            for blob, content in zip(blobs, contents, strict=True):
                assert (content[:20] in left) == (blob not in rest[1:])
            for blob in store.scan():
                await store.verify(blob)
        async with open_store(tmp_path) as store:
            assert set(store.scan()) == set(blobs) - set(rest[1:])

    asyncio.run(story())


def test_a_rewriting_that_was_cut_short_leaves_each_blob_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packs, "PACK_BYTES", 200_000)

    async def story() -> None:
        async with open_store(tmp_path) as store:
            blobs = [await store.put(stream(b"%03d" % number * 5000)) for number in range(40)]
            monkeypatch.setattr(packs.Packs, "forget", lambda *_: 1 / 0)  # the process ends here

            async def delete_some() -> None:
                for blob in blobs[:9]:
                    await store.delete(blob)

            with pytest.raises(ZeroDivisionError):
                await delete_some()
            kept = set(store.scan())
        monkeypatch.undo()
        async with open_store(tmp_path) as store:
            assert set(store.scan()) == kept
            listed = [blob for blob, _, _ in listing(tmp_path / "blobs")]
            assert sorted(listed) == sorted(kept)
            for blob in kept:
                await store.verify(blob)

    asyncio.run(story())


# Disks that refuse.


@pytest.mark.parametrize("content", [b"x" * 60_000, b"y" * MiB * 2])
def test_a_disk_that_fills_step_by_step_keeps_what_it_acknowledged(
    small_disk: Path, content: bytes
) -> None:
    async def story() -> None:
        kept = []
        async with open_store(small_disk) as store:

            async def fill() -> None:
                for number in range(1000):
                    blob = await store.put(stream(b"%04d" % number + content))
                    kept.append(blob)

            with pytest.raises(Full):
                await fill()
            assert kept
            assert list((small_disk / "staging").iterdir()) == []
            await store.delete(kept.pop())
            kept.append(await store.put(stream(b"again" + content[: len(content) // 4])))
        async with open_store(small_disk) as store:
            assert list(store.scan()) == sorted(kept)
            for blob in kept:
                await store.verify(blob)

    asyncio.run(story())


def test_an_arrival_on_a_full_disk_keeps_what_came_and_goes_on(small_disk: Path) -> None:
    async def story() -> None:
        async with open_store(small_disk) as store:
            with pytest.raises(Full):
                await store.arrive("too-large", 5 * MiB)
            data = bytes(3 * MiB)
            arrival = await store.arrive("a", len(data))
            (small_disk / "other").write_bytes(bytes(3 * MiB // 2))
            with pytest.raises(Full):
                await arrival.write(0, data)
            assert arrival.have()
            (small_disk / "other").unlink()
            for number in range(3):
                await arrival.write(number * MiB, data[number * MiB :][:MiB])
            await store.verify(await arrival.commit(BlobId.of(data)))

    asyncio.run(story())


def test_a_quota_is_kept_and_named(tmp_path: Path) -> None:
    async def story() -> None:
        async with open_store(tmp_path, quota_bytes=3 * MiB) as store:
            first = await store.put(stream(bytes(MiB)))
            assert await store.put(stream(bytes(MiB))) == first  # costs nothing
            arrival = await store.arrive("a", MiB)
            for content in (b"x" * 2 * MiB, b"x" * (MiB + 1)):
                with pytest.raises(Full, match="quota"):
                    await store.put(stream(content))
            await arrival.discard()
            await store.put(stream(b"x" * 2 * MiB))
            with pytest.raises(Full, match="quota"):
                await store.put(stream(b"1"))
            await store.delete(first)
            await store.put(stream(b"1"))
        async with open_store(tmp_path, quota_bytes=2 * MiB) as store:
            with pytest.raises(Full, match="quota"):
                await store.put(stream(b"2"))

    asyncio.run(story())


@pytest.mark.parametrize("content", [SMALL, LARGE])
@pytest.mark.parametrize("call", ["os.write", "os.pwrite", "os.fsync", "os.open"])
def test_a_disk_that_errs_stores_nothing_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, content: bytes
) -> None:
    real = getattr(os, call.removeprefix("os."))
    hits = []

    def err(*given: object, **named: object) -> object:
        if call == "os.open" and not str(given[0]).endswith((".tmp", "00000001")):
            return real(*given, **named)
        hits.append(given)
        raise OSError(errno.EIO, "Input/output error")

    async def story() -> None:
        async with open_store(tmp_path) as store:
            monkeypatch.setattr(call, err)
            stored = await asyncio.gather(store.put(stream(content)), return_exceptions=True)
            monkeypatch.undo()
            if hits:
                assert isinstance(stored[0], StoreError)
                assert list(store.scan()) == []
            assert await store.put(stream(content)) == BlobId.of(content)
        async with open_store(tmp_path) as store:
            await store.verify(BlobId.of(content))

    asyncio.run(story())


def test_a_disk_that_cannot_be_read_is_corrupt_not_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def err(*_: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    async def story() -> None:
        async with open_store(tmp_path) as store:
            blobs = await filled(store)
            monkeypatch.setattr("os.pread", err)
            monkeypatch.setattr("os.preadv", err)
            for blob in (blobs[0], blobs[-1]):
                for ask in (store.read(blob, 0, 3), store.verify(blob)):
                    with pytest.raises(Corrupt, match="Input/output error"):
                        await ask

    asyncio.run(story())


def test_a_folder_made_read_only_refuses_and_still_serves(small_disk: Path) -> None:
    def remount(how: str) -> None:
        options = f"remount,{how}"
        subprocess.run(["mount", "-o", options, str(small_disk / "blobs")], check=True)

    async def story() -> None:
        (small_disk / "blobs").mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(small_disk / "blobs")]
        subprocess.run(mount, check=True)
        try:
            (small_disk / "blobs" / "staging").mkdir()
            async with open_store(small_disk, staging=small_disk / "blobs" / "staging") as store:
                blobs = [await store.put(stream(SMALL)), await store.put(stream(bytes(MiB)))]
            async with open_store(small_disk, staging=small_disk / "blobs" / "staging") as store:
                remount("ro")  # no file is open for writing, or it could not be
                for content in (b"new", b"n" * MiB):
                    with pytest.raises(StoreError):
                        await store.put(stream(content))
                with pytest.raises(StoreError):
                    await store.arrive("a", 5)
                for blob in blobs:
                    await store.verify(blob)
                assert list(store.scan()) == sorted(blobs)
                remount("rw")
                await store.put(stream(b"new"))
        finally:
            subprocess.run(["umount", str(small_disk / "blobs")], check=True)

    asyncio.run(story())


# Arrivals.

ARRIVE = """
import asyncio, sys
from pathlib import Path
from tests.fault.test_vault_faults import open_store, PIECES

async def main():
    async with open_store(Path(sys.argv[1])) as store:
        arrival = await store.arrive("upload", sum(map(len, PIECES)))
        offset = 0
        for piece in PIECES:
            if offset >= arrival.end:
                await arrival.write(offset, piece)
                sys.stdout.write(f"{arrival.end}\\n")
                sys.stdout.flush()
            offset += len(piece)
        await asyncio.sleep(60)

asyncio.run(main())
"""
PIECES = [b"%07d\n" % number * 25_000 for number in range(60)]  # 200 kB each


def test_an_arrival_outlives_kills_without_losing_what_it_acknowledged(tmp_path: Path) -> None:
    data = b"".join(PIECES)
    for lines in (15, 20):
        acknowledged = acknowledged_until_killed(ARRIVE, tmp_path, lines)

        async def check(end: int) -> None:
            async with open_store(tmp_path) as store:
                arrival = await store.arrive("upload", len(data))
                assert arrival.end >= end

        asyncio.run(check(int(acknowledged[-1])))

    async def finish() -> None:
        async with open_store(tmp_path) as store:
            arrival = await store.arrive("upload", len(data))
            assert arrival.end >= 35 * len(PIECES[0])
            await arrival.write(arrival.end, data[arrival.end :])
            assert await arrival.commit() == BlobId.of(data)

    asyncio.run(finish())


@pytest.mark.parametrize("at", [0, MiB, 2 * MiB + 500])
def test_a_piece_that_changed_while_nobody_looked_is_not_here(tmp_path: Path, at: int) -> None:
    data = b"0123456789abcdef" * (MiB // 16) * 2 + b"x" * 1000

    async def story() -> None:
        async with open_store(tmp_path) as store:
            arrival = await store.arrive("a", len(data) + 9)
            await arrival.write(0, data)
        flip(tmp_path / "staging" / "arrival-a.data", at)
        async with open_store(tmp_path) as store:
            arrival = await store.arrive("a", len(data) + 9)
            assert arrival.end == at // MiB * MiB
            assert arrival.have() == {0, 1} - {at // MiB}
            await arrival.write(arrival.end, (data + b"nine bytes")[arrival.end : -1])
            await store.verify(await arrival.commit(BlobId.of(data + b"nine byte")))

    asyncio.run(story())


def test_a_log_of_an_arrival_that_is_torn_or_lies_is_not_believed(tmp_path: Path) -> None:
    data = bytes(2 * MiB)

    async def story() -> None:
        async with open_store(tmp_path) as store:
            arrival = await store.arrive("a", len(data))
            await arrival.write(0, data)
        log = tmp_path / "staging" / "arrival-a.log"
        rows = log.read_bytes()
        flip(log, 10)  # a row that is damaged
        log.write_bytes(log.read_bytes() + b"torn")
        async with open_store(tmp_path) as store:
            arrival = await store.arrive("a", len(data))
            assert (arrival.end, arrival.have()) == (0, frozenset({1}))
        log.write_bytes(rows)
        (tmp_path / "staging" / "arrival-a.data").unlink()
        async with open_store(tmp_path) as store:
            assert (await store.arrive("a", len(data))).end == 0

    asyncio.run(story())


def test_a_sync_that_fails_behind_the_writing_is_not_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync  # noqa: TID251  # watched here, not used
    results = iter([errno.EIO])  # told once, as the kernel does

    def fsync(descriptor: int) -> None:
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        if path.endswith(".tmp") and (number := next(results, 0)):
            raise OSError(number, os.strerror(number))
        real(descriptor)

    async def story() -> None:
        async with open_store(tmp_path) as store:
            monkeypatch.setattr("os.fsync", fsync)
            monkeypatch.setattr(incoming, "_FLUSH_BYTES", MiB)
            with pytest.raises(Fatal):
                await store.put(stream(LARGE))
            assert list(store.scan()) == []

    asyncio.run(story())


TAKE_IN = """
import asyncio, resource, sys
from pathlib import Path
from tests.fault.test_vault_faults import open_store

async def stream():
    for number in range(int(sys.argv[2])):
        yield number.to_bytes(4, "big") * 2**18

async def main():
    async with open_store(Path(sys.argv[1])) as store:
        await store.verify(await store.put(stream()))
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)

asyncio.run(main())
"""


def test_a_large_file_takes_no_more_memory_than_a_small_one(tmp_path: Path) -> None:
    def peak_mib(mib: int) -> int:
        (tmp_path / str(mib)).mkdir()
        told = subprocess.run(
            [sys.executable, "-c", TAKE_IN, str(tmp_path / str(mib)), str(mib)],
            check=True,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
        )
        return int(told.stdout)

    assert peak_mib(200) < peak_mib(1) + 64
