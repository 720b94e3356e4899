"""One query over everybody's shards: who answers, who is missing, and who is not believed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from node.office.answers import PUBLIC, VERBATIM, Asker, Question
from node.office.links import Peer
from protocol.errors import Rejected
from protocol.ids import OfficeCode
from protocol.messages import SearchAsk, SearchReply, ShardReply
from protocol.shapes import from_value, to_value
from search_shard.query import parse_query
from search_shard.rank import Hit

PROVINCE, CITY, CITY2, COUNTY, COUNTY2 = map(
    OfficeCode, ("320000", "320500", "320600", "320581", "320681")
)
Play = Callable[..., None]
STAFF = Asker("administrator", "*")


async def search(town: Any, at: OfficeCode, text: str = "虞山", asker: Asker = PUBLIC) -> Any:
    return await town.node(at).searcher.search(Question(text, VERBATIM), asker)


def items(answer: Any) -> list[str]:
    return [hit.item for hit in answer.hits]


def test_every_node_gives_the_same_answer(play: Play) -> None:
    async def story(town: Any) -> None:
        one = await town.public_item(COUNTY, "常熟虞山")
        two = await town.public_item(COUNTY2, "也有虞山")
        answers = [await search(town, code) for code in town.hosts]
        assert len({tuple(answer.hits) for answer in answers}) == 1
        assert {hit.item: hit.office for hit in answers[0].hits} == {one: COUNTY, two: COUNTY2}
        assert answers[0].total_is_exact
        for code, answer in zip(town.hosts, answers, strict=True):
            assert (answer.coverage.asked, answer.coverage.answered) == (5, 5)
            by = {source.office: source.answered_by for source in answer.coverage.sources}
            if code in (PROVINCE, CITY2):
                assert by[COUNTY] == CITY, "the city answers for its counties"

    play(story)


def test_only_the_office_finds_what_is_not_passed(play: Play) -> None:
    async def story(town: Any) -> None:
        item = (await town.report(COUNTY, {"a.txt": "常熟虞山".encode()}))["item"]
        await town.quiet()
        assert items(await search(town, COUNTY, asker=STAFF)) == [item]
        for code in town.hosts:
            assert items(await search(town, code)) == []
        assert items(await search(town, CITY, asker=STAFF)) == []

    play(story, PROVINCE, CITY, COUNTY)


def test_a_county_that_is_off_is_still_found_and_a_lost_city_is_named(play: Play) -> None:
    async def story(town: Any) -> None:
        item = await town.public_item(COUNTY, "常熟虞山")
        await town.hosts[COUNTY].crash()
        answer = await search(town, PROVINCE)
        assert (items(answer), answer.coverage.missing) == ([item], ())
        await town.hosts[CITY].crash()
        answer = await search(town, PROVINCE)
        assert items(answer) == []
        assert answer.coverage.missing == (COUNTY,), "the other city has this city's own shard"
        assert not answer.total_is_exact
        await town.hosts[CITY].start()
        await asyncio.sleep(20)
        answer = await search(town, PROVINCE)
        assert (items(answer), answer.coverage.missing) == ([item], ())

    play(story, PROVINCE, CITY, CITY2, COUNTY)


def test_a_hanging_holder_is_hedged(play: Play) -> None:
    async def story(town: Any) -> None:
        item = await town.public_item(CITY, "苏州虞山")

        async def hang(_: Peer, __: SearchAsk) -> SearchReply:
            await asyncio.sleep(3600)
            raise AssertionError

        town.node(CITY2).links._handlers["search"] = hang
        started = asyncio.get_running_loop().time()
        answer = await search(town, PROVINCE)
        assert asyncio.get_running_loop().time() - started < 2.1, "the deadline"
        by = {source.office: source.answered_by for source in answer.coverage.sources}
        assert (items(answer), by[CITY], by[CITY2]) == ([item], CITY, CITY)
        assert answer.coverage.missing == (COUNTY2,), "nobody else can be asked for it"

    play(story)


def test_a_holder_that_lies_is_not_believed(play: Play) -> None:
    async def story(town: Any) -> None:
        item = await town.public_item(COUNTY, "常熟虞山")
        secret = (await town.report(COUNTY, {"s.txt": "未审虞山".encode()}))["item"]
        gone = await town.public_item(COUNTY, "下架虞山")
        await town.node(COUNTY).desk.withdraw(gone, "重印")
        await town.quiet()
        (good,) = (await search(town, PROVINCE)).hits
        holder = town.node(CITY).searcher
        honest = await holder.on_search(None, ask_for(town, COUNTY))
        (value,) = honest.shards[0].hits
        hit = from_value(Hit, value, "hit")
        revision = hit.item.partition("/")[2]
        lies = [
            replace(hit, item=f"{secret}/{revision}"),
            replace(hit, item=f"{gone}/{revision}"),
            replace(hit, item=f"{COUNTY}-nothing/{revision}"),
            replace(hit, item="", seq=7),
            replace(hit, office=CITY2),
            replace(hit, office="999999"),
            replace(hit, matched_by="magic"),
            replace(hit, highlights=((5, 10**9),)),
            replace(hit, highlights=((3, 1),)),
        ]
        values = (*[to_value(lie) for lie in lies], b"no hit at all", value)

        async def lying(_: Peer, ask: SearchAsk) -> SearchReply:
            shards = [ShardReply(COUNTY, 1, len(values), True, values)]
            shards += [ShardReply(CITY2, 1, 1, True, (value,))]  # was not asked for
            return SearchReply(tuple(shard for shard in shards if ask.offices))

        town.node(CITY).links._handlers["search"] = lying
        answer = await search(town, PROVINCE)
        assert answer.hits == (good,)
        assert (good.item, answer.total) == (item, 1)
        assert town.node(PROVINCE).links.counters["wire.decode"] == 4

    play(story)


def ask_for(town: Any, *offices: OfficeCode, limit: int = 10) -> SearchAsk:
    query = parse_query("虞山", "exact", town.cluster.tables)
    return SearchAsk(offices, to_value(query), limit, 2000)


def test_what_a_holder_is_asked_is_bounded(play: Play) -> None:
    async def story(town: Any) -> None:
        await town.public_item(CITY, "虞山")
        searcher = town.node(CITY).searcher
        answer = await searcher.on_search(None, ask_for(town, *([CITY] * 500), limit=2**60))
        assert [shard.office for shard in answer.shards] == [CITY]
        assert (await searcher.on_search(None, ask_for(town, CITY2))).shards == ()

    play(story, PROVINCE, CITY)


def test_a_query_that_cannot_be_answered_says_why(play: Play) -> None:
    async def story(town: Any) -> None:
        for text in ("", "  ", "常" * 10_000, "，。"):
            with pytest.raises(Rejected, match="query"):
                await search(town, PROVINCE, text)
        for text in ("常", "😀", "𪚥", "👨‍👩‍👧"):
            assert (await search(town, PROVINCE, text)).hits == ()

    play(story, PROVINCE)


def test_withdrawal_hides_at_once_even_from_a_holder_that_has_not_heard(play: Play) -> None:
    async def story(town: Any) -> None:
        item = await town.public_item(COUNTY, "常熟虞山")
        assert items(await search(town, PROVINCE)) == [item]
        await town.node(PROVINCE).desk.withdraw(item, "版权")
        town.cluster.cut([CITY2])
        await asyncio.sleep(0.2)
        assert items(await search(town, PROVINCE)) == []
        await town.quiet()
        assert [items(await search(town, code)) for code in (CITY, COUNTY)] == [[], []]

    play(story, PROVINCE, CITY, COUNTY)
