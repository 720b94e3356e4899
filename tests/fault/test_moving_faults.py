"""Moves between a folder and an object store: while others read and write, and through kills,
damage and an object store that goes away.  Nothing is lost, and nothing is left behind."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from node.hands.storage import moving
from node.hands.storage.file_blobs import listing
from node.hands.storage.object_blobs import Bucket
from node.hands.storage.vault import Vault
from protocol.errors import ConfigError, Corrupt, Rejected, Unavailable
from protocol.ids import BlobId
from protocol.limits import MiB
from tests.fault.test_vault_faults import flip, open_store, place_of, stream
from tests.killed import acknowledged_until_killed
from tests.objects import new_bucket, object_store

CONTENTS = [*(b"%03d" % number * 100 for number in range(60)), b"large" * MiB, b"x" * 9 * MiB]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with object_store() as where:
        yield where


async def fill(store: Vault) -> dict[BlobId, bytes]:
    return {await store.put(stream(content)): content for content in CONTENTS}


async def move(store: Vault, bucket: Bucket | None) -> dict[str, Any]:
    await store.mover.move(bucket)
    await store.mover.finished(lambda _: None)
    return store.mover.show()


async def check(store: Vault, contents: dict[BlobId, bytes]) -> None:
    assert list(store.scan()) == sorted(contents)
    for blob, content in contents.items():
        await store.verify(blob)
        assert await store.read(blob, 7, 20) == content[7:27]


def test_there_and_back_while_others_read_write_and_delete(tmp_path: Path, endpoint: str) -> None:
    bucket = new_bucket(endpoint)

    async def story() -> None:
        async with open_store(tmp_path) as store:
            contents = await fill(store)
            before = {blob: await store.card(blob) for blob in contents}
            for where in (bucket, None):
                moved = asyncio.ensure_future(move(store, where))
                added = b"new in %s" % str(where).encode()
                new = await store.put(stream(added))
                forgotten = next(iter(contents))
                await store.delete(forgotten)
                del contents[forgotten], before[forgotten]
                while not moved.done():
                    for blob, content in contents.items():
                        assert await store.read(blob, 0, 50) == content[:50]
                contents[new] = added
                told = await moved
                assert (told["moving"], told["damaged"], told["error"]) == (False, [], "")
                name = "folder" if where is None else bucket.url
                by_name = {shelf["name"]: shelf["files"] for shelf in told["shelves"]}
                assert by_name == {"folder": 0, name: len(contents)}
                assert bool(list(listing(tmp_path / "blobs"))) == (where is None)
                await check(store, contents)
            after = {blob: await store.card(blob) for blob in before}
            assert {b: (c.size, c.chunks) for b, c in after.items()} == {
                b: (c.size, c.chunks) for b, c in before.items()
            }
        async with open_store(tmp_path) as store:
            await check(store, contents)

    asyncio.run(story())


MOVE = """
import asyncio, os, sys
from pathlib import Path
from node.hands.storage.object_blobs import Bucket
from tests.fault.test_vault_faults import open_store

async def main():
    async with open_store(Path(sys.argv[1])) as store:
        if not (Path(sys.argv[1]) / "storage.json").exists():
            await store.mover.move(Bucket(*os.environ["BUCKET"].split()))
        def said(moved):
            sys.stdout.write(f"{moved}\\n")
            sys.stdout.flush()
        await store.mover.finished(said)
        await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.mark.parametrize("lines", [1, 3])
def test_a_killed_move_goes_on_and_loses_nothing(
    tmp_path: Path, endpoint: str, monkeypatch: pytest.MonkeyPatch, lines: int
) -> None:
    bucket = new_bucket(endpoint)
    where = (bucket.url, bucket.endpoint, bucket.region, bucket.access_key, bucket.secret_key)
    monkeypatch.setenv("BUCKET", " ".join(where))

    async def first() -> dict[BlobId, bytes]:
        async with open_store(tmp_path) as store:
            return await fill(store)

    async def last(contents: dict[BlobId, bytes]) -> None:
        async with open_store(tmp_path) as store:
            await store.mover.finished(lambda _: None)
            await check(store, contents)
            assert list(listing(tmp_path / "blobs")) == []

    contents = asyncio.run(first())
    acknowledged_until_killed(MOVE, tmp_path, lines)
    asyncio.run(last(contents))


@pytest.mark.parametrize("content", [CONTENTS[3], CONTENTS[-1]])
def test_what_is_damaged_stays_and_is_named_until_it_is_repaired(
    tmp_path: Path, endpoint: str, content: bytes
) -> None:
    async def story() -> None:
        async with open_store(tmp_path) as store:
            contents = await fill(store)
            blob = BlobId.of(content)
            path, start = place_of(tmp_path, blob)
            flip(path, start + 100)
            told = await move(store, new_bucket(endpoint))
            assert told["damaged"] == [blob.hex]
            assert [shelf["files"] for shelf in told["shelves"]] == [1, len(contents) - 1]
            with pytest.raises(Corrupt):
                await store.verify(blob)
            await store.delete(blob)
            await store.put(stream(content))
            store.mover.resume()
            await store.mover.finished(lambda _: None)
            assert store.mover.show()["damaged"] == []
            await check(store, contents)
            assert list(listing(tmp_path / "blobs")) == []

    asyncio.run(story())


def test_an_object_store_that_goes_away_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "RETRY_S", 0.2)

    async def story() -> None:
        async with open_store(tmp_path) as store:
            contents = await fill(store)
            with object_store() as endpoint:
                bucket = new_bucket(endpoint)
                await store.mover.move(bucket)
            while not store.mover.show()["error"]:
                await asyncio.sleep(0.05)
            with pytest.raises(Rejected):
                await store.mover.move(None)
            for blob, content in contents.items():
                if store._cards.get(blob).place.shelf == 0:
                    assert await store.read(blob, 0, 9) == content[:9]
            with pytest.raises(Unavailable):
                await store.put(stream(b"new"))
            with object_store(int(endpoint.rpartition(":")[2])):
                await store.mover.finished(lambda _: None)
                if store.mover.show()["shelves"][0]["files"] == 0:
                    await check(store, contents)

    asyncio.run(story())


def test_an_object_store_that_does_not_work_is_refused_before_anything_moves(
    tmp_path: Path, endpoint: str
) -> None:
    absent = Bucket("s3://absent/prefix", endpoint, "us-east-1", "fangzhi", "secret")
    nobody = Bucket("s3://vault/x", "http://127.0.0.1:1", "us-east-1", "fangzhi", "secret")

    async def story() -> None:
        async with open_store(tmp_path) as store:
            contents = await fill(store)
            for bucket in (absent, nobody):
                with pytest.raises(Unavailable):
                    await store.mover.move(bucket)
            for url in ("", "s3://", "https://vault"):
                with pytest.raises(ConfigError):
                    await store.mover.move(Bucket(url))
            assert not (tmp_path / "storage.json").exists()
            assert store.mover.show()["now"] == "folder"
            await check(store, contents)

    asyncio.run(story())


def test_lost_cards_of_a_bucket_are_made_again(tmp_path: Path, endpoint: str) -> None:
    async def story() -> None:
        async with open_store(tmp_path) as store:
            contents = await fill(store)
            await move(store, new_bucket(endpoint))
        for path in (tmp_path / "vault").iterdir():
            path.unlink()
        async with open_store(tmp_path) as store:
            await check(store, contents)

    asyncio.run(story())


@pytest.mark.parametrize(
    "text", ["", "{}", json.dumps({"format": "fangzhi/storage/9", "now": 0, "buckets": {}})]
)
def test_a_storage_file_of_somebody_else_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "storage.json").write_text(text)

    async def story() -> None:
        async with open_store(tmp_path):
            pass

    with pytest.raises(ConfigError, match="storage"):
        asyncio.run(story())
