"""Files on their way between nodes: several sources, liars, who vanishes, crashes, the pace."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from node.office.transfer import HERE, Wanted
from protocol.chunks import leaves_of, root_of_leaves
from protocol.errors import Missing
from protocol.ids import BlobId, OfficeCode
from protocol.limits import CHUNK_BYTES
from protocol.messages import Chunk, TreeLeaves
from protocol.pacing import Pace, Rates

PROVINCE, CITY, CITY2 = map(OfficeCode, ("320000", "320500", "320600"))
Play = Callable[..., None]
CHUNKS = 5
DATA = random.Random(5).randbytes(CHUNKS * CHUNK_BYTES - 1000)
FILE = BlobId.of(DATA)
ROOT = root_of_leaves(leaves_of(DATA))
KNOWN, UNKNOWN = Wanted(FILE, ROOT), Wanted(FILE)


async def placed(town: Any) -> Any:
    """A file that all three have; the second city's copy is gone again.  Its node."""
    await town.report_data(CITY, DATA)
    await town.quiet()
    node = town.node(CITY2)
    await node.world.blobs.delete(FILE)
    return node


async def content(node: Any) -> bytes:
    return bytes(await node.world.blobs.read(FILE, 0, len(DATA) + 1))


def tampered(town: Any, code: OfficeCode, method: str, change: Callable[[Any], Any]) -> None:
    """The answers of a node to ``method`` are changed on their way."""
    handlers = town.node(code).links._handlers
    honest: Callable[[Any, Any], Awaitable[Any]] = handlers[method]

    async def answer(peer: Any, ask: Any) -> Any:
        return change(await honest(peer, ask))

    handlers[method] = answer


def counted(town: Any, code: OfficeCode, asked: Counter[str]) -> None:
    def count(answer: Any) -> Any:
        asked[code] += 1
        return answer

    tampered(town, code, "blob.read", count)


def spoilt(chunk: Chunk) -> Chunk:
    return replace(chunk, data=bytes([chunk.data[0] ^ 1]) + chunk.data[1:])


def test_several_sources_give_each_a_part(play: Play) -> None:
    async def story(town: Any) -> None:
        node, asked = await placed(town), Counter[str]()
        for code in (PROVINCE, CITY):
            counted(town, code, asked)
        brought = await node.vault.transfer.fetch(KNOWN, [PROVINCE, CITY])
        assert await content(node) == DATA
        assert min(asked[PROVINCE], asked[CITY]) >= 2
        assert asked.total() <= CHUNKS + 2, "one to see how long it is, one twice at the end"
        assert brought.source in (PROVINCE, CITY)
        assert (await node.vault.transfer.fetch(KNOWN, [])).source == HERE

    play(story, PROVINCE, CITY, CITY2)


@pytest.mark.parametrize("wanted", [KNOWN, UNKNOWN])
def test_a_source_with_wrong_bytes_costs_nothing_but_time(play: Play, wanted: Wanted) -> None:
    async def story(town: Any) -> None:
        node = await placed(town)
        tampered(town, PROVINCE, "blob.read", spoilt)
        await node.vault.transfer.fetch(wanted, [PROVINCE, CITY])
        assert await content(node) == DATA
        assert node.links.counters["transfer.proof"] >= 1

    play(story, PROVINCE, CITY, CITY2)


@pytest.mark.parametrize("wanted", [KNOWN, UNKNOWN])
def test_a_source_with_a_wrong_tree_is_passed_over(play: Play, wanted: Wanted) -> None:
    async def story(town: Any) -> None:
        node, lie = await placed(town), leaves_of(DATA[::-1])
        tampered(town, PROVINCE, "blob.tree", lambda said: TreeLeaves(said.size_total, lie))
        await node.vault.transfer.fetch(wanted, [PROVINCE, CITY])
        assert await content(node) == DATA

    play(story, PROVINCE, CITY, CITY2)


def test_liars_alone_leave_nothing(play: Play) -> None:
    async def story(town: Any) -> None:
        node = await placed(town)
        for code in (PROVINCE, CITY):
            tampered(town, code, "blob.read", spoilt)
        for wanted in (KNOWN, UNKNOWN):
            with pytest.raises(Missing, match=r"they have not now|every chunk"):
                await node.vault.transfer.fetch(wanted, [PROVINCE, CITY])
        assert node.world.blobs.size(FILE) is None

    play(story, PROVINCE, CITY, CITY2)


def test_one_that_vanishes_half_way_is_replaced(play: Play) -> None:
    async def story(town: Any) -> None:
        node, asked = await placed(town), Counter[str]()

        def count(answer: Any) -> Any:
            asked[PROVINCE] += 1
            if asked[PROVINCE] == 3:
                asyncio.get_running_loop().create_task(town.hosts[PROVINCE].crash())
            return answer

        tampered(town, PROVINCE, "blob.read", count)
        await node.vault.transfer.fetch(KNOWN, [PROVINCE, CITY])
        assert await content(node) == DATA
        assert town.hosts[PROVINCE].node is None

    play(story, PROVINCE, CITY, CITY2)


def test_a_killed_receiver_goes_on_where_it_was(play: Play) -> None:
    async def story(town: Any) -> None:
        node, asked = await placed(town), Counter[str]()
        counted(town, CITY, asked)
        fetching = asyncio.ensure_future(node.vault.transfer.fetch(KNOWN, [CITY]))
        await town.until_soon(lambda: asked[CITY] >= CHUNKS - 1)
        await town.hosts[CITY2].crash()
        fetching.cancel()
        came = asked[CITY]
        assert came <= CHUNKS
        await town.hosts[CITY2].start()
        await town.until(lambda: town.node(CITY2).world.blobs.size(FILE) is not None)
        assert await content(town.node(CITY2)) == DATA
        assert asked[CITY] - came < CHUNKS, "not all of it again"

    play(story, PROVINCE, CITY, CITY2)


def test_a_slow_office_is_given_time(play: Play) -> None:
    async def story(town: Any) -> None:
        node, loop = await placed(town), asyncio.get_running_loop()
        node.vault.transfer._pace = Pace(Rates(CHUNK_BYTES // 2, CHUNK_BYTES // 2, 0, 0))
        begun = loop.time()
        await node.vault.transfer.fetch(KNOWN, [CITY])
        assert 2 * (CHUNKS - 1) < loop.time() - begun < 2 * (CHUNKS + 2)

    play(story, PROVINCE, CITY, CITY2)


def test_two_who_want_the_same_fetch_it_once(play: Play) -> None:
    async def story(town: Any) -> None:
        node, asked = await placed(town), Counter[str]()
        counted(town, CITY, asked)
        await asyncio.gather(*(node.vault.transfer.fetch(KNOWN, [CITY]) for _ in range(3)))
        assert asked[CITY] == CHUNKS + 1
        assert not len(node.vault.transfer._turns)

    play(story, PROVINCE, CITY, CITY2)
