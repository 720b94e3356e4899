"""Files at their keepers: who may read them, and what damage and a full disk cost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from ledger import views
from node.office.links import Peer
from protocol.errors import Forbidden, Full, Missing
from protocol.ids import BlobId, OfficeCode
from protocol.limits import CHUNK_BYTES
from protocol.messages import BlobAsk

PROVINCE, CITY, CITY2, COUNTY, COUNTY2 = map(
    OfficeCode, ("320000", "320500", "320600", "320581", "320681")
)
Play = Callable[..., None]
TEXT = "常熟虞山".encode()
FILE = BlobId.of(TEXT)


def has(town: Any, blob: BlobId = FILE) -> set[str]:
    return {code for code in town.hosts if town.node(code).world.blobs.size(blob) is not None}


def holders(town: Any, item: str) -> set[str]:
    with town.node(PROVINCE).world.state.read() as reader:
        return set(views.item(reader, item).holders)


def test_open_files_go_to_the_province_and_the_city_and_nobody_else(play: Play) -> None:
    async def story(town: Any) -> None:
        item = (await town.report(COUNTY, {"a.txt": TEXT}))["item"]
        await town.quiet()
        assert has(town) == holders(town, item) == {PROVINCE, CITY, COUNTY}
        secret = (await town.report(COUNTY, {"s.txt": b"secret"}, rights="office"))["item"]
        await town.quiet()
        assert has(town, BlobId.of(b"secret")) == holders(town, secret) == {COUNTY}

    play(story)


def test_only_keepers_are_served_until_it_is_public(play: Play) -> None:
    async def story(town: Any) -> None:
        item = (await town.report(COUNTY, {"a.txt": TEXT}))["item"]
        await town.report(COUNTY, {"s.txt": b"secret"}, rights="sealed")
        await town.quiet()
        custodian, ask = town.node(COUNTY).custodian, BlobAsk(FILE, 0, 10**9)
        city = Peer("a", (CITY,), True, 9, (CITY,))
        stranger = Peer("b", (CITY2, COUNTY2), True, 9, (CITY2, COUNTY2))
        chunk = await custodian.on_read(city, ask)
        assert (chunk.data, chunk.size_total) == (TEXT, len(TEXT))
        assert len(chunk.data) <= CHUNK_BYTES
        with pytest.raises(Forbidden, match="a keeper"):
            await custodian.on_read(stranger, ask)
        for peer in (city, stranger):
            with pytest.raises(Forbidden):
                await custodian.on_read(peer, BlobAsk(BlobId.of(b"secret"), 0, 9))
            with pytest.raises(Missing):
                await custodian.on_read(peer, BlobAsk(BlobId.of(b"nothing"), 0, 9))
        await town.node(CITY).desk.review(item, "pass", "")
        await town.quiet()
        assert (await custodian.on_read(stranger, ask)).data == TEXT
        await town.node(COUNTY).desk.withdraw(item, "重印")
        await town.quiet()
        with pytest.raises(Forbidden):
            await custodian.on_read(stranger, ask)

    play(story)


def test_damage_is_found_logged_and_repaired(play: Play) -> None:
    async def story(town: Any) -> None:
        item = await town.public_item(COUNTY, "常熟虞山")
        town.hosts[CITY].disk.flip(FILE, 3)
        upkeep = town.node(CITY).upkeep
        (ailment,) = await upkeep.examine(True, lambda *_: None)
        assert ailment.code == "file.damaged"
        assert item in ailment.what
        await town.quiet()
        await town.until(lambda: holders(town, item) == {PROVINCE, CITY, COUNTY})
        assert await upkeep.examine(False, lambda *_: None) == []

    play(story, PROVINCE, CITY, COUNTY)


def test_a_holding_that_could_not_be_logged_is_logged_later(play: Play) -> None:
    async def story(town: Any) -> None:
        sequencer = town.node(CITY).sequencer
        append = sequencer.append

        async def full(*_: object) -> None:
            raise Full("ledger", "room", 0)

        sequencer.append = full
        item = (await town.report(COUNTY, {"a.txt": TEXT}))["item"]
        await asyncio.sleep(20)
        assert CITY not in holders(town, item)
        sequencer.append = append
        await town.until(lambda: CITY in holders(town, item))

    play(story, PROVINCE, CITY, COUNTY)
