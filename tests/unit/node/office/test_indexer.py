"""Segments are derived: one that is damaged is built again, and the node lives on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from node.office.answers import PUBLIC, VERBATIM, Question
from protocol.ids import OfficeCode

PROVINCE, CITY, COUNTY = map(OfficeCode, ("320000", "320500", "320581"))
Play = Callable[..., None]


def test_a_segment_that_rotted_while_the_node_was_off_is_built_again(play: Play) -> None:
    async def story(town: Any) -> None:
        item = await town.public_item(COUNTY, "虞山十八景")
        host = town.hosts[CITY]
        await host.stop()
        content = host.disk._segments
        for name in content:
            middle = len(content[name]) // 2
            damaged = bytes([content[name][middle] ^ 1])
            content[name] = content[name][:middle] + damaged + content[name][middle + 1 :]
        await host.start()
        await town.until(town.all_open)
        another = await town.public_item(COUNTY, "尚湖十八景")  # is merged with what is damaged
        await town.quiet()
        question = Question("十八景", VERBATIM, 10)
        answer = await town.node(CITY).searcher.search(question, PUBLIC)
        assert {hit.item for hit in answer.hits} == {item, another}
        assert not answer.coverage.missing
        shard = town.node(CITY).indexer.shard(COUNTY, staff=False)
        assert sum(segment.pages for segment in shard.segments) == 2

    play(story, PROVINCE, CITY, COUNTY)
