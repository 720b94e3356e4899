"""Receipts as the province's node issues them, and the bundle that anybody checks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from ledger import views
from ledger.receipt import Receipt, check_receipt
from protocol.errors import Missing
from protocol.ids import OfficeCode

PROVINCE, CITY, COUNTY = map(OfficeCode, ("320000", "320500", "320581"))
Play = Callable[..., None]


def view_of(town: Any, item: str) -> Any:
    with town.node(COUNTY).world.state.read() as reader:
        return views.item(reader, item)


async def passed(town: Any, item: str) -> None:
    await town.quiet()
    await town.node(CITY).desk.review(item, "pass", "")
    await town.quiet()


@pytest.mark.parametrize("rights", ["open", "sealed"])
def test_a_passed_item_whose_copies_stand_has_a_receipt(play: Play, rights: str) -> None:
    async def story(town: Any) -> None:
        item = await town.report_data(COUNTY, b"final files", rights=rights)
        await town.quiet()
        assert not view_of(town, item).deposited, "before it is passed"
        await passed(town, item)
        await town.until(lambda: view_of(town, item).deposited)
        await town.quiet()
        for code in (PROVINCE, COUNTY):
            bundle = await town.node(code).vault.receipts.bundle(item)
            said = check_receipt(Receipt.decode(bundle), town.cluster.genesis_note)
            assert said.item == item
            assert {copy.said.office for copy in said.copies} == {PROVINCE, CITY, COUNTY}
            sealed = {copy.said.office for copy in said.copies if copy.sealed}
            assert sealed == (set() if rights == "open" else {PROVINCE, CITY})
            assert said.witnessed

    play(story, PROVINCE, CITY, COUNTY)


def test_without_a_third_copy_there_is_none_and_its_lack_is_told(play: Play) -> None:
    async def story(town: Any) -> None:
        item = await town.report_data(CITY, b"final files")
        await town.quiet()
        await town.node(PROVINCE).desk.review(item, "pass", "")
        await asyncio.sleep(60)
        await town.quiet()
        with pytest.raises(Missing, match="receipt"):
            await town.node(CITY).vault.receipts.bundle(item)
        short = town.node(PROVINCE).custodian.short[item]
        assert [one.reason for one in short] == ["room"]

    play(story, PROVINCE, CITY)


def test_a_receipt_is_issued_once_whatever_restarts(play: Play) -> None:
    async def story(town: Any) -> None:
        item = await town.report_data(COUNTY, b"final files")
        await passed(town, item)
        await town.until(lambda: view_of(town, item).deposited)
        await town.hosts[PROVINCE].crash()
        await town.hosts[PROVINCE].start()
        await town.until(town.all_open)
        await town.quiet()
        await asyncio.sleep(60)
        with town.node(PROVINCE).world.state.read() as reader:
            kinds = [fact.kind for fact in views.facts(reader, item)]
        assert kinds.count("receipt.issue") == 1

    play(story, PROVINCE, CITY, COUNTY)
