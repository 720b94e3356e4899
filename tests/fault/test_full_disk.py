"""A disk that fills while files are rewritten, mended and moved: what is there stays, and it goes
on when there is room."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.hands.storage import moving, packs
from node.hands.storage.vault import Vault
from protocol.errors import Full
from protocol.ids import BlobId
from protocol.limits import MiB
from tests.fault import test_kills
from tests.fault.test_kills import LARGE, Peers, carrier
from tests.fault.test_vault_faults import flip, open_store, place_of, stream
from tests.objects import new_bucket, object_store


def fill(folder: Path, left: int) -> Path:
    """Take the room but for ``left`` bytes, which the cards may need."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (MiB, 4096):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue
        file.truncate(filler.stat().st_size - left)
    return filler


def test_what_is_deleted_on_a_full_disk_is_deleted_and_packs_are_rewritten_later(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packs, "PACK_BYTES", 200_000)

    async def story() -> None:
        async with open_store(small_disk) as store:
            blobs = [await store.put(stream(b"%03d" % number * 5000)) for number in range(40)]
            filler = fill(small_disk, MiB // 16)
            for blob in blobs[:8]:
                await store.delete(blob)
            assert set(store.scan()) == set(blobs[8:])
            kept = len(list((small_disk / "blobs" / "packs").iterdir()))
            for blob in blobs[8:]:
                await store.verify(blob)
            filler.unlink()
            await store.delete(blobs[8])
            assert len(list((small_disk / "blobs" / "packs").iterdir())) < kept
            for blob in blobs[9:]:
                await store.verify(blob)

    asyncio.run(story())


def test_a_mending_on_a_full_disk_keeps_the_damaged_copy_till_there_is_room(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = LARGE[: 3 * MiB // 2]
    blob = BlobId.of(content)
    monkeypatch.setattr(test_kills, "FILES", (content,))

    async def mended(store: Vault) -> None:
        transfer = carrier(store, Peers(lambda _office, _blob, number: number == 0))
        await transfer.mend(test_kills.Wanted(blob), (test_kills.CITY,))

    async def story() -> None:
        async with open_store(small_disk) as store:
            await store.put(stream(content))
            path, _ = place_of(small_disk, blob)
            flip(path, 7)
            filler = fill(small_disk, MiB // 2)
            for _ in range(2):
                with pytest.raises(Full):
                    await mended(store)
                assert await store.read(blob, MiB, MiB) == content[MiB:]
            filler.unlink()
            await mended(store)
            await store.verify(blob)

    asyncio.run(story())


@pytest.fixture
def endpoint() -> Iterator[str]:
    with object_store() as where:
        yield where


def test_a_move_to_a_full_disk_waits_and_loses_nothing(
    small_disk: Path, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "RETRY_S", 0.2)
    contents = [*(b"%03d" % number * 9000 for number in range(6)), LARGE[:MiB]]

    async def story() -> None:
        async with open_store(small_disk) as store:
            await store.mover.move(new_bucket(endpoint))
            blobs = [await store.put(stream(content)) for content in contents]
            await store.mover.finished(lambda _: None)
            filler = fill(small_disk, MiB // 2)
            await store.mover.move(None)
            while not store.mover.show()["error"]:
                await asyncio.sleep(0.05)
            for blob, content in zip(blobs, contents, strict=True):
                assert await store.read(blob, 0, len(content)) == content
            filler.unlink()
            await store.mover.finished(lambda _: None)
            assert store.mover.show()["shelves"][0]["files"] == len(contents)
            for blob in blobs:
                await store.verify(blob)

    asyncio.run(story())
