"""Epochs of statistics in a town of real nodes: signed by the province, taken, and forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ledger import views
from ledger.events import StatisticsPublish
from node.office import statistician
from node.office.catalog import note_blob, put_bytes
from node.office.links import Peer
from node.office.statistician import KEPT
from protocol.errors import Missing, Rejected, Unavailable
from protocol.ids import BlobId, OfficeCode
from protocol.messages import Sketch, SketchAsk

PROVINCE, CITY, CITY2, COUNTY = map(OfficeCode, ("320000", "320500", "320600", "320581"))
Play = Callable[..., None]


def newest(town: Any) -> set[tuple[int, int] | None]:
    """(index, pages) of the epoch that each node weighs by."""
    found = (town.node(host.code).statistician.newest() for host in town.cluster.up())
    return {each and (each[0], each[1].pages) for each in found}


async def signed(town: Any) -> dict[str, Any]:
    """An epoch of the town, as every node that is up has it."""
    epoch = await town.node(PROVINCE).statistician.refresh()
    await town.until(lambda: newest(town) == {(epoch["index"], epoch["pages"])})
    return epoch


def test_who_may_sign_an_epoch_and_when(play: Play) -> None:
    async def story(town: Any) -> None:
        assert newest(town) == {None}
        with pytest.raises(Rejected, match=f"the node of the province {PROVINCE}"):
            await town.node(CITY).statistician.refresh()
        province = town.node(PROVINCE)
        province.sequencer.gates[PROVINCE].is_open = False
        with pytest.raises(Unavailable, match="an open log"):
            await province.statistician.refresh()

    play(story, PROVINCE, CITY)


def test_only_the_newest_files_are_kept(play: Play) -> None:
    async def story(town: Any) -> None:
        blobs = []
        for number in range(KEPT + 2):
            if number == KEPT:
                await town.hosts[COUNTY].crash()
            await town.public_item(CITY, "虞山" * (number + 1))
            blobs.append(BlobId.parse((await signed(town))["blob"]))
        await town.hosts[COUNTY].start()
        await town.quiet()
        await town.until(lambda: len(newest(town)) == 1)
        assert len(set(blobs)) == KEPT + 2
        for code in town.hosts:
            sizes = [town.node(code).world.blobs.size(blob) for blob in blobs]
            assert sizes[:-KEPT] == [None, None], code
            assert None not in sizes[-KEPT:], code

    play(story, PROVINCE, CITY, COUNTY)


def test_a_file_of_an_item_is_kept(play: Play) -> None:
    async def story(town: Any) -> None:
        item = await town.public_item(CITY, "虞山")
        epoch, world = BlobId.parse((await signed(town))["blob"]), town.node(CITY).world
        await note_blob(world.state, world.blobs, item, "files", epoch)
        for number in range(KEPT):
            await town.public_item(CITY, "虞山" * (number + 2))
            await signed(town)
        assert world.blobs.size(epoch) is not None
        assert town.node(PROVINCE).world.blobs.size(epoch) is None

    play(story, PROVINCE, CITY)


def test_a_file_that_is_no_epoch_is_passed_over(play: Play) -> None:
    async def story(town: Any) -> None:
        await town.public_item(CITY, "虞山")
        good = await signed(town)
        province = town.node(PROVINCE)
        blob = await put_bytes(province.world.blobs, b"no epoch")
        await province.sequencer.append(PROVINCE, (StatisticsPublish(blob, 8, 1, 1),))
        await town.quiet()
        await town.until(lambda: town.node(CITY).links.counters["wire.decode"] > 0)
        assert newest(town) == {(good["index"], 1)}
        with town.node(CITY).world.state.read() as reader:
            assert next(views.epochs(reader, province.folding.roster)).blob == blob

    play(story, PROVINCE, CITY)


def test_a_sketch_is_of_a_shard_that_stands_here(play: Play) -> None:
    async def story(town: Any) -> None:
        await town.public_item(COUNTY, "虞山\f尚湖")
        assert (await town.node(CITY).statistician.on_sketch(None, SketchAsk(COUNTY))).pages == 2
        for office in (OfficeCode("999999"), COUNTY):
            with pytest.raises(Missing, match="shard"):
                await town.node(CITY2).statistician.on_sketch(None, SketchAsk(office))

    play(story, PROVINCE, CITY, CITY2, COUNTY)


def test_who_gives_no_sketch_is_passed_over(play: Play) -> None:
    async def story(town: Any) -> None:
        await town.public_item(CITY, "虞山")
        answering = town.node(CITY).links._handlers["search.sketch"]

        async def lying(peer: Peer, ask: SketchAsk) -> Sketch:
            return replace(await answering(peer, ask), pages=0)

        town.node(CITY).links._handlers["search.sketch"] = lying
        epoch = await town.node(PROVINCE).statistician.refresh()
        assert (epoch["pages"], epoch["missing"]) == (1, []), "the other city has it, too"
        counters = town.node(PROVINCE).links.counters
        assert counters["statistics.wire.decode"] == 1
        await town.hosts[CITY2].crash()
        epoch = await town.node(PROVINCE).statistician.refresh()
        assert (epoch["pages"], epoch["shards"], epoch["missing"]) == (0, 2, [CITY])

    play(story, PROVINCE, CITY, CITY2)


def test_the_province_signs_anew_when_a_tenth_has_changed(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statistician, "LOOK_S", 30.0)

    async def story(town: Any) -> None:
        await town.public_item(CITY, "\f".join("虞山" * n for n in range(1, 21)))
        await town.until(lambda: {each and each[1] for each in newest(town)} == {20})
        (first,) = newest(town)
        for _ in range(2):
            await town.public_item(CITY, "尚湖")
            await asyncio.sleep(40)
            await town.quiet()
            (then,) = newest(town)
            assert then == first, "a twentieth, and a tenth"
        await town.public_item(CITY, "尚湖")
        await town.until(lambda: {each and each[1] for each in newest(town)} == {23})

    play(story, PROVINCE, CITY)
