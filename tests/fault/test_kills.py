"""kill -9 in the middle of bringing, mending, rewriting and moving files, at many points of the
disk's work: what was acknowledged is there, what was right stays right, and the next life ends what
this one began."""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import pytest

from node.hands.storage import packs
from node.hands.storage.file_blobs import listing
from node.hands.storage.object_blobs import Bucket
from node.hands.storage.vault import Vault
from node.office.links import Links
from node.office.transfer import Transfer, Wanted
from protocol.chunks import leaves_of
from protocol.errors import Missing
from protocol.ids import BlobId
from protocol.limits import CHUNK_BYTES, PACKED_BYTES_MAX
from protocol.messages import Chunk, TreeLeaves
from protocol.pacing import Pace, Rates
from tests.fault.test_vault_faults import Wall, flip, open_store, place_of, stream
from tests.killed import deaths
from tests.objects import KEYS, object_store

Say = Callable[[str], None]
Begin = Callable[[], None]

DICE = random.Random(14)
LARGE = DICE.randbytes(5 * CHUNK_BYTES - 1000)
FILES = (LARGE, DICE.randbytes(2 * PACKED_BYTES_MAX), DICE.randbytes(900))
CITY, COUNTY = "320500", "320582"
TORN = {CITY: 1, COUNTY: 3}  # the chunk of LARGE that each of the two can still give


class Peers:
    """Links to two holders.  ``gives`` says which chunk of a file one of them has."""

    def __init__(self, gives: Callable[[str, BlobId, int], bool]) -> None:
        self._gives = gives
        self.asked = Counter[BlobId]()

    async def ask(self, office: str, method: str, body: Any, _seconds: float) -> object:
        await asyncio.sleep(0)
        content = next(content for content in FILES if BlobId.of(content) == body.blob)
        if method == "blob.tree":
            return TreeLeaves(len(content), leaves_of(content)[32 * body.start :])
        self.asked[body.blob] += 1
        if not self._gives(office, body.blob, body.offset // CHUNK_BYTES):
            raise Missing("file", "this chunk", "not here")
        return Chunk(len(content), content[body.offset : body.offset + body.length])

    def count(self, _code: str) -> None: ...


def carrier(store: Vault, peers: Peers) -> Transfer:
    pace = Pace(Rates(2**40, 2**40, 0, 0))
    return Transfer(store, cast(Links, peers), Wall(), pace, request_s=30)


async def check(store: Vault, contents: Iterable[bytes]) -> None:
    wanted = {BlobId.of(content): content for content in contents}
    assert list(store.scan()) == sorted(wanted)
    for blob, content in wanted.items():
        await store.verify(blob)
        assert await store.read(blob, 0, len(content)) == content


def every(_office: str, _blob: BlobId, _chunk: int) -> bool:
    return True


async def fetch_all(store: Vault, say: Say) -> Counter[BlobId]:
    peers = Peers(every)
    transfer = carrier(store, peers)
    for content in FILES:
        await transfer.fetch(Wanted(BlobId.of(content)), (CITY, COUNTY))
        say(BlobId.of(content).hex)
    return peers.asked


async def fetching(folder: Path, begin: Begin, say: Say) -> None:
    async with open_store(folder) as store:
        begin()
        await fetch_all(store, say)


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """In memory where that can be: a process that is killed loses nothing that it wrote, so these
    many lives need no disk that syncs."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield Path(folder)


def test_a_fetch_that_is_killed_keeps_what_came_and_goes_on(tmp_path: Path) -> None:
    async def after(folder: Path, acknowledged: list[str]) -> None:
        async with open_store(folder) as store:
            here = set(store.scan())
            assert here >= {BlobId.parse(line) for line in acknowledged[1:]}
            for blob in here:
                await store.verify(blob)
            have: frozenset[int] = frozenset()
            if BlobId.of(LARGE) not in here:
                have = (await store.arrive(f"copy-{BlobId.of(LARGE).hex}", len(LARGE))).have()
            asked = await fetch_all(store, lambda _: None)
            assert asked[BlobId.of(LARGE)] <= 1 + 5 - len(have) + 1, "not all of it again"
            assert not here & set(asked)
            await check(store, FILES)

    for death in deaths(f"{__name__}:fetching", tmp_path, 12):
        asyncio.run(after(death.folder, death.acknowledged))


def only_the_torn(office: str, blob: BlobId, chunk: int) -> bool:
    return blob != BlobId.of(LARGE) or chunk == TORN[office]


async def mend_all(store: Vault, say: Say) -> None:
    transfer = carrier(store, Peers(only_the_torn))
    for content in FILES:
        await transfer.mend(Wanted(BlobId.of(content)), (CITY, COUNTY))
        say(BlobId.of(content).hex)


async def mending(folder: Path, begin: Begin, say: Say) -> None:
    async with open_store(folder) as store:
        for content in FILES:
            blob = await store.put(stream(content))
            path, start = place_of(folder, blob)
            for number in TORN.values() if content is LARGE else (0,):
                flip(path, start + number * CHUNK_BYTES + 7)
        begin()
        await mend_all(store, say)


def test_a_mending_that_is_killed_leaves_every_good_chunk_where_it_was(tmp_path: Path) -> None:
    """No holder has a whole copy: what of the damaged one is lost could not be had again."""

    async def after(folder: Path, acknowledged: list[str]) -> None:
        async with open_store(folder) as store:
            for content in FILES:
                blob = BlobId.of(content)
                assert store.size(blob) == len(content), "a copy, damaged or not, is always there"
                if blob.hex in acknowledged:
                    await store.verify(blob)
            for number in set(range(5)) - set(TORN.values()):
                at = number * CHUNK_BYTES
                good = await store.read(BlobId.of(LARGE), at, CHUNK_BYTES)
                assert good == LARGE[at : at + CHUNK_BYTES]
            await mend_all(store, lambda _: None)
            await check(store, FILES)

    for death in deaths(f"{__name__}:mending", tmp_path, 15):
        asyncio.run(after(death.folder, death.acknowledged))


SMALL = [b"%03d" % number * 2000 for number in range(40)]
GOING = SMALL[:20]


async def rewriting(folder: Path, begin: Begin, say: Say) -> None:
    packs.PACK_BYTES = 50_000  # type: ignore[misc]  # of this process alone
    async with open_store(folder) as store:
        for content in SMALL:
            await store.put(stream(content))
        begin()
        for number, content in enumerate(GOING):
            if number % 4:
                say(f"begun {BlobId.of(content).hex}")
                await store.delete(BlobId.of(content))
                say(f"gone {BlobId.of(content).hex}")


def test_a_rewriting_of_packs_that_is_killed_loses_nothing_and_brings_nothing_back(
    tmp_path: Path,
) -> None:
    async def after(folder: Path, acknowledged: list[str]) -> None:
        said = [line.split() for line in acknowledged if " " in line]
        begun = {BlobId.parse(blob) for word, blob in said if word == "begun"}
        gone = {BlobId.parse(blob) for word, blob in said if word == "gone"}
        kept = {BlobId.of(content): content for content in SMALL if BlobId.of(content) not in begun}
        async with open_store(folder) as store:
            assert kept.keys() <= set(store.scan())
            assert not gone & set(store.scan())
            for blob in kept:
                await store.verify(blob)
            for blob in begun - gone:  # half forgotten: to be forgotten or had anew
                content = next(content for content in SMALL if BlobId.of(content) == blob)
                await store.put(stream(content))
                await store.verify(blob)
                await store.delete(blob)
        async with open_store(folder) as store:
            await check(store, kept.values())
            assert sorted(blob for blob, _, _ in listing(folder / "blobs")) == sorted(kept)

    for death in deaths(f"{__name__}:rewriting", tmp_path, 20):
        asyncio.run(after(death.folder, death.acknowledged))


MOVED = [*SMALL[:5], *FILES[1:], DICE.randbytes(3 * CHUNK_BYTES)]


def bucket_of(folder: Path) -> Bucket:
    return Bucket(f"s3://vault/{folder.name}", os.environ["ENDPOINT"], "us-east-1", *KEYS)


async def moving_to(there: bool, folder: Path, begin: Begin) -> None:
    async with open_store(folder) as store:
        if not there:
            await store.mover.move(bucket_of(folder))
            await asyncio.wait_for(store.mover.finished(lambda _: None), 30)
        for content in MOVED:
            await store.put(stream(content))
        begin()
        await store.mover.move(bucket_of(folder) if there else None)
        await asyncio.wait_for(store.mover.finished(lambda _: None), 30)


async def moving_out(folder: Path, begin: Begin, _say: Say) -> None:
    await moving_to(True, folder, begin)


async def moving_back(folder: Path, begin: Begin, _say: Say) -> None:
    await moving_to(False, folder, begin)


@pytest.mark.parametrize("way", ["moving_out", "moving_back"])
def test_a_move_that_is_killed_loses_nothing_and_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    async def after(folder: Path) -> None:
        async with open_store(folder) as store:
            for content in MOVED:
                blob = BlobId.of(content)
                assert await store.read(blob, 0, len(content)) == content
            await asyncio.wait_for(store.mover.finished(lambda _: None), 30)
            told: Mapping[str, Any] = store.mover.show()
            assert (told["damaged"], told["error"]) == ([], "")
            await check(store, MOVED)

    with object_store() as endpoint:
        monkeypatch.setenv("ENDPOINT", endpoint)
        for death in deaths(f"{__name__}:{way}", tmp_path, 6):
            asyncio.run(after(death.folder))
