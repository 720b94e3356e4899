"""Proofs made by a node of the town, checked by whoever holds the genesis note."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ledger.chain import check_proof
from node.hands.config import LedgerConfig
from node.office.answers import PUBLIC
from protocol.errors import Missing
from protocol.ids import BlobId, OfficeCode

PROVINCE, CITY, CITY2, COUNTY = map(OfficeCode, ("320000", "320500", "320600", "320581"))
TEXT = "常熟虞山"
Play = Callable[..., None]


async def anchoring(town: Any, seconds: int) -> None:
    for host in town.hosts.values():
        await host.stop()
        host.config = replace(host.config, ledger=LedgerConfig(50, 2, seconds, 1))
    for host in town.hosts.values():
        await host.start()
    await town.until(town.all_open)


def check(town: Any, proof: Any, text: str = TEXT) -> Any:
    data = text.encode()
    note = town.node(COUNTY).genesis_note
    return check_proof(proof, note, BlobId.of(data), len(data))


def test_every_node_proves_a_public_item_up_to_the_province(play: Play) -> None:
    async def story(town: Any) -> None:
        await anchoring(town, 5)
        item = await town.public_item(COUNTY, TEXT)
        await asyncio.sleep(20)
        for code in (PROVINCE, CITY2, COUNTY):
            proven = check(town, await town.node(code).provenance.proof(item, PUBLIC))
            assert proven.log.witnessed
            assert [anchor.office for anchor in proven.anchors] == [CITY, PROVINCE]
            assert all(anchor.seen.witnessed for anchor in proven.anchors)

    play(story, PROVINCE, CITY, CITY2, COUNTY)


def test_before_anything_is_anchored_a_proof_ends_at_the_witnesses(play: Play) -> None:
    async def story(town: Any) -> None:
        item = await town.public_item(COUNTY, TEXT)
        proven = check(town, await town.node(CITY).provenance.proof(item, PUBLIC))
        assert (proven.log.witnessed, proven.anchors) == (True, ())
        hidden = (await town.report(COUNTY, {"b.txt": "未审".encode()}))["item"]
        await town.quiet()
        with pytest.raises(Missing):
            await town.node(CITY).provenance.proof(hidden, PUBLIC)

    play(story, PROVINCE, CITY, COUNTY)


def test_an_anchor_that_is_not_anchored_itself_yet_is_passed_over(play: Play) -> None:
    """The city goes on anchoring while the province, which is slower, has only seen less."""

    async def story(town: Any) -> None:
        await anchoring(town, 5)
        item = await town.public_item(COUNTY, TEXT)
        await asyncio.sleep(20)
        host = town.hosts[PROVINCE]
        await host.stop()
        host.config = replace(host.config, ledger=LedgerConfig(50, 2, 3600, 1))
        await host.start()
        await town.until(town.all_open)
        await town.public_item(COUNTY, "后来")
        await asyncio.sleep(20)
        proven = check(town, await town.node(COUNTY).provenance.proof(item, PUBLIC))
        assert [anchor.office for anchor in proven.anchors] == [CITY, PROVINCE]
        log_size = town.node(CITY).log_size(CITY)
        assert proven.anchors[1].size < log_size

    play(story, PROVINCE, CITY, COUNTY)
