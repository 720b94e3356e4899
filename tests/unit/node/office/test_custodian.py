"""Files at their keepers: who gets them, and what a full disk costs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ledger import views
from ledger.keeping import keepers, room
from node.hands.config import KeepingConfig
from protocol.errors import Full
from protocol.ids import BlobId, OfficeCode
from protocol.limits import GiB

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


def drawn(town: Any, item: str) -> set[str]:
    node = town.node(PROVINCE)
    with node.world.state.read() as reader:
        view = views.item(reader, item)
        return set(keepers(node.folding.roster, room(reader, node.folding.roster), view))


def test_open_files_go_where_they_are_drawn_and_nowhere_else(play: Play) -> None:
    async def story(town: Any) -> None:
        item = (await town.report(COUNTY, {"a.txt": TEXT}))["item"]
        await town.quiet()
        assert has(town) == holders(town, item) == drawn(town, item)
        assert len(has(town)) == 3
        assert has(town) > {PROVINCE, COUNTY}
        secret = (await town.report(COUNTY, {"s.txt": b"secret"}, rights="office"))["item"]
        await town.quiet()
        assert has(town, BlobId.of(b"secret")) == holders(town, secret) == {COUNTY}

    play(story)


def test_what_is_offered_is_said_once_and_a_county_keeps_only_by_consent(play: Play) -> None:
    async def story(town: Any) -> None:
        item = (await town.report(CITY, {"a.txt": TEXT}))["item"]
        await town.quiet()
        assert holders(town, item) == {PROVINCE, CITY}, "no city is left, and the county is silent"
        host, size = town.hosts[COUNTY], town.node(COUNTY).log_size(COUNTY)
        keeping = KeepingConfig(offer_gib=3, keeps_others=True)
        host.config = replace(host.config, keeping=keeping)
        for _ in range(2):  # what stands in its log is not said again
            await host.stop()
            await host.start()
            await town.until(town.all_open)
            await town.quiet()
        town.node(COUNTY).custodian.look_at(frozenset({item}))
        await town.until(lambda: holders(town, item) == {PROVINCE, CITY, COUNTY})
        assert town.node(COUNTY).log_size(COUNTY) == size + 2, "an offer and a holding"
        with town.node(PROVINCE).world.state.read() as reader:
            place = room(reader, town.node(PROVINCE).folding.roster)
        assert place.offices[COUNTY].free_bytes == 3 * GiB - len(TEXT)

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
