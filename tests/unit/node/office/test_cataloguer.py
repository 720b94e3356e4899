"""Catalogues as nodes keep them: whose records, seen by whom, and when they are whole."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from node.office.catalog import find
from node.office.node import Node
from node.office.transfer import Wanted
from protocol.errors import Missing
from protocol.ids import OfficeCode
from search_shard.lattice import Filter
from tests.unit.node.office.conftest import CITY, COUNTY, PROVINCE, Town


def records_at(
    town: Town, at: OfficeCode, staff: bool = False, of: OfficeCode = COUNTY
) -> int | None:
    """How many records of a shard the node at ``at`` would search."""
    shard = town.node(at).indexer.shard(of, staff, records=True)
    return None if shard is None else shard.pages


def test_records_stand_where_the_pages_stand_and_show_what_is_public(
    play: Callable[..., None],
) -> None:
    async def story(town: Town) -> None:
        holders = [code for code in town.hosts if records_at(town, code) is not None]
        assert {COUNTY, CITY} <= set(holders)
        assert [records_at(town, code) for code in holders] == [0] * len(holders)
        public = await town.public_item(COUNTY, "昆山之石")
        await town.report(COUNTY, {"a.txt": b"draft"}, "未审之志")
        await town.report(COUNTY, {"b.txt": b"sealed"}, "密存之志", rights="sealed")
        await town.quiet()
        assert [records_at(town, code) for code in holders] == [1] * len(holders)
        assert records_at(town, COUNTY, staff=True) == 3
        await town.node(COUNTY).desk.withdraw(public, "错", "")
        await town.quiet()
        assert [records_at(town, code) for code in holders] == [0] * len(holders)
        assert records_at(town, COUNTY, staff=True) == 2

    play(story)


def test_a_record_is_of_the_newest_revision_and_knows_its_holders(
    play: Callable[..., None],
) -> None:
    async def story(town: Town) -> None:
        item = await town.public_item(COUNTY, "昆山之石")
        cataloguer = town.node(CITY).indexer.cataloguer
        (first,) = cataloguer.of(COUNTY).catalogue.records
        assert first.holders == (PROVINCE, CITY, COUNTY)
        assert first.places == (COUNTY,)
        await town.report(COUNTY, {"a.txt": "江水".encode()}, "昆山新志", item=item)
        await town.quiet()
        assert records_at(town, COUNTY, staff=True) == 1  # the old revision's page is hidden
        catalogue = cataloguer.of(COUNTY).catalogue
        (second,) = catalogue.records
        assert second.item != first.item
        assert second.elements == (("title", "昆山新志"),)
        assert catalogue.select([Filter("item", (item,))]) == catalogue.select(
            [Filter("place", (CITY,))]
        )

    play(story, PROVINCE, CITY, COUNTY)


def test_a_shard_that_lacks_a_public_record_is_not_answered_for(
    play: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(town: Town) -> None:
        city = town.node(CITY)

        async def nobody_answers(wanted: Wanted, sources: list[str]) -> None:
            raise Missing(f"file {wanted.blob.short}", f"one of {sources}", "none")

        with monkeypatch.context() as patch:
            patch.setattr(city.vault.transfer, "fetch", nobody_answers)
            item = str((await town.report(COUNTY, {"a.bin": b"no text in it"}))["item"])
            await town.until(lambda: seen(city, item) is not None)
            await city.desk.review(item, "pass", "")
            await town.until(lambda: all(seen(town.node(c), item) for c in (CITY, COUNTY)))
            await asyncio.sleep(1)
            assert records_at(town, COUNTY) == 1
            assert records_at(town, CITY) is None
            assert city.indexer.shard(COUNTY, staff=False) is None
        await town.quiet()
        assert records_at(town, CITY) == 1

    play(story, PROVINCE, CITY, COUNTY)


def test_new_records_do_not_rebuild_the_old_ones(play: Callable[..., None]) -> None:
    async def story(town: Town) -> None:
        shelved = town.node(PROVINCE).indexer.cataloguer.of
        sizes = []
        for number in range(12):
            await town.report(PROVINCE, {"a.bin": b"no text in it %d" % number}, f"第{number}志")
            await town.quiet()
            sizes.append([segment.pages for segment in shelved(PROVINCE).segments])
            assert records_at(town, PROVINCE, staff=True, of=PROVINCE) == number + 1
        assert [4, 1] in sizes
        assert max(map(len, sizes)) == 2
        before = shelved(PROVINCE).segments
        town.node(PROVINCE).indexer.look_at(shelved(PROVINCE).catalogue.records[0].item[:20])
        await town.quiet()
        assert shelved(PROVINCE).segments is before

    play(story, PROVINCE)


def seen(node: Node, item: str) -> bool | None:
    """Whether the node knows the item to be public; None while it does not know the item."""
    with node.world.state.read() as reader:
        view = find(reader, item)
    return None if view is None else view.public
