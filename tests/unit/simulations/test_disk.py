"""What a crash loses and keeps; the promises of the ports are in tests/contract."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable

import pytest

from protocol.errors import Corrupt, Fatal, Full, Missing, Unavailable
from protocol.ids import BlobId
from protocol.ports import Writer
from simulations.disk import SimDisk
from simulations.loop import run
from simulations.sync import REPORT_SECONDS, SYNC_SECONDS

LONG = 2 * (SYNC_SECONDS[1] + REPORT_SECONDS[1])


def put(number: int) -> Callable[[Writer], None]:
    def job(writer: Writer) -> None:
        writer.put("t", bytes([number]), b"")
        writer.put("t", bytes([number]) + b"twin", b"")

    return job


async def stream(data: bytes) -> AsyncIterator[bytes]:
    yield data


@pytest.mark.parametrize("seed", range(20))
def test_a_crash_keeps_what_was_acknowledged_and_loses_only_whole_writes(seed: int) -> None:
    async def main() -> None:
        disk = SimDisk(seed, "disk")
        store = disk.key_value("kv", ["t"])
        acknowledged: list[int] = []

        async def clerk(first: int) -> None:
            for number in range(first, first + 20):
                await store.write(put(number))
                acknowledged.append(number)

        clerks = [asyncio.ensure_future(clerk(first)) for first in (0, 50, 100)]
        await asyncio.sleep(0.05 + 0.001 * seed)
        disk.crash()
        results = await asyncio.gather(*clerks, return_exceptions=True)
        assert all(isinstance(result, Unavailable) for result in results)
        with pytest.raises(Unavailable):
            await store.write(put(200))
        with disk.key_value("kv", ["t"]).read() as reader:
            keys = [key for key, _ in reader.scan("t")]
        whole = {key[0] for key in keys if len(key) == 1}
        assert whole == {key[0] for key in keys if len(key) > 1}
        assert set(acknowledged) <= whole
        # at most the one write of each clerk that was done and not yet reported
        assert len(whole) <= len(acknowledged) + len(clerks)

    run(main())


def test_a_write_that_was_under_way_is_lost() -> None:
    async def main() -> None:
        disk = SimDisk(1, "disk")
        store = disk.key_value("kv", ["t"])
        writing = asyncio.ensure_future(store.write(put(1)))
        await asyncio.sleep(0)
        disk.crash()
        with pytest.raises(Unavailable):
            await writing
        await asyncio.sleep(LONG)
        with disk.key_value("kv", ["t"]).read() as reader:
            assert list(reader.scan("t")) == []

    run(main())


def test_some_crash_finds_a_write_done_but_not_reported() -> None:
    async def crash_after(seconds: float) -> tuple[bool, bool]:
        disk = SimDisk(1, "disk")
        writing = asyncio.ensure_future(disk.key_value("kv", ["t"]).write(put(1)))
        await asyncio.sleep(seconds)
        disk.crash()
        reported = not isinstance(
            (await asyncio.gather(writing, return_exceptions=True))[0], Unavailable
        )
        with disk.key_value("kv", ["t"]).read() as reader:
            return reader.get("t", b"\x01") is not None, reported

    async def main() -> set[tuple[bool, bool]]:
        return {await crash_after(step * 0.0002) for step in range(120)}

    assert run(main()) == {(False, False), (True, False), (True, True)}


def test_a_blob_survives_once_put_returned_and_not_before() -> None:
    async def main() -> None:
        disk = SimDisk(1, "disk")
        store = disk.blobs()
        kept = await store.put(stream(b"kept"))
        lost = asyncio.ensure_future(store.put(stream(b"lost")))
        await asyncio.sleep(0)
        disk.crash()
        with pytest.raises(Unavailable):
            await lost
        with pytest.raises(Unavailable):
            await store.read(kept, 0, 1)
        await asyncio.sleep(LONG)
        store = disk.blobs()
        assert list(store.scan()) == [kept]
        with pytest.raises(Missing):
            await store.read(BlobId.of(b"lost"), 0, 1)

    run(main())


def test_a_segment_may_be_lost_until_it_is_synced() -> None:
    async def main() -> None:
        disk = SimDisk(1, "disk")
        store = disk.segments()
        store.put("old", b"1")
        store.put("gone", b"1")
        store.delete("gone")
        await asyncio.sleep(LONG)
        store.put("new", b"2")
        assert store.names() == ["new", "old"]
        disk.crash()
        await asyncio.sleep(LONG)
        assert disk.segments().names() == ["old"]

    run(main())


def rows(disk: SimDisk) -> list[bytes]:
    with disk.key_value("kv", ["t"]).read() as reader:
        return [key for key, _ in reader.scan("t") if len(key) == 1]


async def filled(disk: SimDisk, number: int) -> BlobId:
    """One row, one blob and one segment more, all durable."""
    await disk.key_value("kv", ["t"]).write(put(number))
    blob = await disk.blobs().put(stream(bytes([number]) * 10))
    disk.segments().put(f"s{number}", bytes([number]) * 10)
    await asyncio.sleep(LONG)
    return blob


def test_on_a_full_disk_nothing_is_kept_until_there_is_room() -> None:
    async def main() -> None:
        disk = SimDisk(1, "disk")
        disk.full = True
        for write in (disk.key_value("kv", ["t"]).write(put(1)), disk.blobs().put(stream(b"1"))):
            with pytest.raises(Full):
                await write
        assert rows(disk) == list(disk.blobs().scan()) == []
        disk.full = False
        await filled(disk, 1)

    run(main())


def test_a_broken_disk_ends_whoever_writes() -> None:
    async def main() -> None:
        disk = SimDisk(1, "disk")
        disk.broken = True
        for write in (disk.key_value("kv", ["t"]).write(put(1)), disk.blobs().put(stream(b"1"))):
            with pytest.raises(Fatal):
                await write
        assert rows(disk) == []

    run(main())


def test_a_lying_disk_goes_back_to_where_it_began_to_lie() -> None:
    async def main() -> None:
        disk = SimDisk(1, "disk")
        kept = await filled(disk, 1)
        disk.lie()
        lost = await filled(disk, 2)
        assert disk.keeps(lost)
        assert disk.crash()
        assert rows(disk) == [b"\x01"]
        assert (disk.keeps(kept), disk.keeps(lost)) == (True, False)
        assert disk.segments().names() == ["s1"]
        again = await filled(disk, 3)
        disk.keep_word()
        assert not disk.crash()
        assert disk.keeps(again)

    run(main())


def test_an_old_copy_has_what_stood_when_it_was_made_and_can_be_put_in_twice() -> None:
    async def main() -> None:
        disk = SimDisk(1, "disk")
        await filled(disk, 1)
        backup = disk.backup()
        for number in (2, 3):
            await filled(disk, number)
            disk.crash()
            disk.replace(backup)
            assert (rows(disk), disk.segments().names()) == ([b"\x01"], ["s1"])
        disk.crash()
        disk.replace(None)
        assert rows(disk) == list(disk.blobs().scan()) == disk.segments().names() == []

    run(main())


def test_rot_turns_one_bit_of_what_is_stored_and_is_found() -> None:
    async def main() -> None:
        disk = SimDisk(1, "disk")
        blob = await filled(disk, 1)
        where = {disk.rot(random.Random(seed)).split()[0] for seed in range(20)}
        assert where == {"blob", "segment"}
        with pytest.raises(Corrupt):
            await disk.blobs().verify(blob)
        assert disk.rot_row("kv", "t", random.Random(1)) == ""  # rows without a value
        await disk.key_value("kv", ["t"]).write(lambda writer: writer.put("t", b"k", b"v"))
        assert disk.rot_row("kv", "t", random.Random(1)) == b"k".hex()
        with disk.key_value("kv", ["t"]).read() as reader:
            assert reader.get("t", b"k") != b"v"

    run(main())
