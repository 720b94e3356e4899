"""Damaged copies: found, mended from whoever has good chunks, and told; also if all are damaged."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

from ledger import views
from ledger.holdings import repairs
from protocol.ids import BlobId, OfficeCode
from protocol.limits import CHUNK_BYTES

PROVINCE, CITY, CITY2 = map(OfficeCode, ("320000", "320500", "320600"))
EVERYBODY = (PROVINCE, CITY, CITY2)
Play = Callable[..., None]
CHUNKS = 4
DATA = random.Random(6).randbytes(CHUNKS * CHUNK_BYTES - 1000)
FILE = BlobId.of(DATA)


def scrubber(town: Any, code: OfficeCode) -> Any:
    return town.node(code).vault.scrubber


def damage(town: Any, code: OfficeCode, chunk: int) -> None:
    town.hosts[code].disk.flip(FILE, chunk * CHUNK_BYTES + 7)


async def is_whole(town: Any, code: OfficeCode) -> bool:
    stored = town.node(code).world.blobs
    return bool(await stored.read(FILE, 0, len(DATA) + 1) == DATA)


def holders(town: Any, item: str) -> set[str]:
    with town.node(PROVINCE).world.state.read() as reader:
        return set(views.item(reader, item).holders)


def repaired(town: Any) -> list[tuple[str, str]]:
    node = town.node(PROVINCE)
    with node.world.state.read() as reader:
        return [(who, row.source) for who, row in repairs(reader, node.folding.roster)]


def test_one_bad_chunk_is_brought_and_the_repair_is_logged(play: Play) -> None:
    async def story(town: Any) -> None:
        item = await town.report_data(CITY, DATA)
        await town.quiet()
        damage(town, PROVINCE, 2)
        asked = []
        honest = town.node(CITY).vault.lending.on_read

        async def counted(peer: Any, ask: Any) -> Any:
            asked.append(ask.offset // CHUNK_BYTES)
            return await honest(peer, ask)

        town.node(CITY).links._handlers["blob.read"] = counted
        town.node(CITY2).links._handlers.pop("blob.read")
        assert await scrubber(town, PROVINCE).check(FILE)
        assert await is_whole(town, PROVINCE)
        assert asked == [2], "what is right here is not brought"
        await town.quiet()
        assert repaired(town) == [(PROVINCE, CITY)]
        assert holders(town, item) == set(EVERYBODY)
        assert not scrubber(town, PROVINCE).alarms()

    play(story, *EVERYBODY)


def test_copies_that_are_all_damaged_mend_each_other_at_once(play: Play) -> None:
    async def story(town: Any) -> None:
        item = await town.report_data(CITY, DATA)
        await town.quiet()
        for chunk, code in enumerate(EVERYBODY):
            damage(town, code, chunk)
        await asyncio.gather(*(scrubber(town, code).check(FILE) for code in EVERYBODY))
        await town.until(lambda: not any(scrubber(town, c).alarms() for c in EVERYBODY))
        await asyncio.sleep(130)  # who came too early tries again
        assert [await is_whole(town, code) for code in EVERYBODY] == [True] * 3
        await town.quiet()
        assert holders(town, item) == set(EVERYBODY)

    play(story, *EVERYBODY)


def test_what_nobody_has_is_lost_and_says_so_until_it_is_found(play: Play) -> None:
    async def story(town: Any) -> None:
        item = await town.report_data(CITY, DATA)
        await town.quiet()
        for code in EVERYBODY:
            damage(town, code, 1)
        for code in EVERYBODY:
            assert not await scrubber(town, code).check(FILE)
        await town.until(lambda: not holders(town, item))
        for code in EVERYBODY:
            assert [view.item for _, view in scrubber(town, code).alarms()] == [item]
        damage(town, CITY, 1)  # flipped back: a good copy turns up
        await town.until(lambda: holders(town, item) == set(EVERYBODY), 300)
        assert [await is_whole(town, code) for code in EVERYBODY] == [True] * 3
        assert not any(scrubber(town, code).alarms() for code in EVERYBODY)

    play(story, *EVERYBODY)


def test_killed_while_mending_it_goes_on(play: Play) -> None:
    async def story(town: Any) -> None:
        item = await town.report_data(CITY, DATA)
        await town.quiet()
        for moment in (0.001, 0.02, 0.05, 0.1):
            damage(town, PROVINCE, 2)
            mending = asyncio.ensure_future(scrubber(town, PROVINCE).check(FILE))
            await asyncio.sleep(moment)
            await town.hosts[PROVINCE].crash()
            mending.cancel()
            await town.hosts[PROVINCE].start()
            await town.until(town.all_open)
            if town.node(PROVINCE).world.blobs.size(FILE) is not None:
                await scrubber(town, PROVINCE).check(FILE)
            await town.quiet()
            assert await is_whole(town, PROVINCE)
            assert PROVINCE in holders(town, item)

    play(story, *EVERYBODY)


def test_every_copy_is_read_again_in_its_time(play: Play) -> None:
    async def story(town: Any) -> None:
        await town.report_data(CITY, DATA)
        await town.quiet()
        damage(town, CITY2, 0)
        before = {blob: at for at, blob in town.node(CITY2).world.blobs.checks()}
        scrubber(town, CITY2)._period_ms = 60_000
        await asyncio.sleep(70)
        scrubbing = asyncio.ensure_future(scrubber(town, CITY2)._scrub())
        await asyncio.sleep(60)
        scrubbing.cancel()
        assert await is_whole(town, CITY2)
        after = {blob: at for at, blob in town.node(CITY2).world.blobs.checks()}
        assert all(after[blob] > before[blob] for blob in before)

    play(story, *EVERYBODY)
