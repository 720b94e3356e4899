"""One query over everybody's shards: who answers, who is missing, and who is not believed."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from node.office.answers import PUBLIC, VERBATIM, Asker, Question
from node.office.links import Peer
from protocol.errors import DecodeError, Rejected
from protocol.ids import OfficeCode
from protocol.messages import HitLine, SearchAsk, SearchReply
from protocol.shapes import from_value, pack, to_value
from search_shard.parse import Rules, parse_query
from search_shard.rank import Hit

PROVINCE, CITY, CITY2, COUNTY, COUNTY2 = map(
    OfficeCode, ("320000", "320500", "320600", "320581", "320681")
)
Play = Callable[..., None]
STAFF = Asker("administrator", "*")


async def search(
    town: Any, at: OfficeCode, text: str = "虞山", asker: Asker = PUBLIC, **how: Any
) -> Any:
    return await town.node(at).searcher.search(Question(text, VERBATIM, **how), asker)


def items(answer: Any) -> list[str]:
    return [hit.item for hit in answer.hits]


def test_every_node_gives_the_same_answer(play: Play) -> None:
    async def story(town: Any) -> None:
        one = await town.public_item(COUNTY, "常熟虞山")
        two = await town.public_item(COUNTY2, "也有虞山")
        answers = [await search(town, code) for code in town.hosts]
        assert len({tuple(answer.hits) for answer in answers}) == 1
        assert {hit.item: hit.office for hit in answers[0].hits} == {one: COUNTY, two: COUNTY2}
        assert (answers[0].total, answers[0].total_is_exact, answers[0].near_total) == (2, True, 0)
        for code, answer in zip(town.hosts, answers, strict=True):
            assert (answer.coverage.asked, answer.coverage.answered) == (5, 5)
            assert answer.coverage.lagging == ()
            by = {source.office: source.answered_by for source in answer.coverage.sources}
            if code in (PROVINCE, CITY2):
                assert by[COUNTY] == CITY, "the city answers for its counties"

    play(story)


def test_the_same_epoch_gives_the_same_order_everywhere(play: Play) -> None:
    async def story(town: Any) -> None:
        for code, text in ((COUNTY, "虞山虞山虞山，尚湖"), (COUNTY2, "虞山，尚湖尚湖尚湖")):
            await town.public_item(code, text)
        await town.public_item(CITY, "虞山" + "志" * 300)
        plain = await search(town, PROVINCE, "虞山 尚湖")
        assert plain.epoch == ""
        signed = await town.node(PROVINCE).statistician.refresh()
        assert (signed["pages"], signed["shards"], signed["missing"]) == (3, 5, [])
        await town.quiet()
        await asyncio.sleep(10)
        answers = [await search(town, code, "虞山 尚湖") for code in town.hosts]
        assert {answer.epoch for answer in answers} == {f"{PROVINCE}/{signed['index']}"}
        assert len({answer.hits for answer in answers}) == 1
        assert answers[0].hits[0].office == COUNTY2, "尚湖 is the rarer word"
        again = await town.node(PROVINCE).statistician.refresh()
        assert again["blob"] == signed["blob"], "the same text, the same statistics"

    play(story)


def test_only_the_office_finds_what_is_not_passed(play: Play) -> None:
    async def story(town: Any) -> None:
        item = (await town.report(COUNTY, {"a.txt": "常熟虞山".encode()}))["item"]
        await town.quiet()
        assert items(await search(town, COUNTY, asker=STAFF)) == [item]
        for code in town.hosts:
            assert items(await search(town, code)) == []
        assert items(await search(town, CITY, asker=STAFF)) == []
        assert (await town.node(PROVINCE).statistician.refresh())["pages"] == 0

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


def test_a_hanging_holder_is_hedged_and_then_asked_last(play: Play) -> None:
    async def story(town: Any) -> None:
        item = await town.public_item(CITY, "苏州虞山")
        clock = asyncio.get_running_loop().time
        answering = town.node(CITY2).links._handlers["search"]

        async def hang(_: Peer, __: SearchAsk) -> SearchReply:
            await asyncio.sleep(3600)
            raise AssertionError

        town.node(CITY2).links._handlers["search"] = hang
        started = clock()
        answer = await search(town, PROVINCE)
        assert clock() - started < 2.1, "the deadline"
        by = {source.office: source.answered_by for source in answer.coverage.sources}
        assert (items(answer), by[CITY], by[CITY2]) == ([item], CITY, CITY)
        assert answer.coverage.missing == (COUNTY2,), "nobody else can be asked for it"
        town.node(CITY2).links._handlers["search"] = answering
        await asyncio.sleep(5)
        started = clock()
        answer = await search(town, PROVINCE)
        by = {source.office: source.answered_by for source in answer.coverage.sources}
        assert (answer.coverage.missing, by[CITY2]) == ((), CITY2), "it answered a probe"
        assert clock() - started < 0.2

    play(story)


def test_what_a_holder_says_of_others_is_not_believed(play: Play) -> None:
    async def story(town: Any) -> None:
        item = await town.public_item(COUNTY, "常熟虞山")
        secret = (await town.report(COUNTY, {"s.txt": "未审虞山".encode()}))["item"]
        gone = await town.public_item(COUNTY, "下架虞山")
        await town.node(COUNTY).desk.withdraw(gone, "重印")
        await town.quiet()
        (good,) = (await search(town, PROVINCE)).hits
        honest = await town.node(CITY).shards.on_search(None, ask_for(town, COUNTY))
        (line,) = honest.hits
        hit = from_value(Hit, line.shown, "hit")
        revision = hit.item.partition("/")[2]
        lies = [
            replace(hit, item=f"{secret}/{revision}"),
            replace(hit, item=f"{gone}/{revision}"),
            replace(hit, item=f"{COUNTY}-nothing/{revision}"),
            replace(hit, item="", seq=7),
            replace(hit, seq=8, log_index=10**6),
            replace(hit, office=CITY2),
            replace(hit, office="999999"),
            replace(hit, seq=2, reasons=(replace(hit.reasons[0], rule="magic"),)),
            replace(hit, seq=3, highlights=((5, 10**9),)),
            replace(hit, seq=4, highlights=((3, 1),)),
            replace(hit, seq=5, snippet="虞" * 10_000),
        ]
        lines = [line_of(lie) for lie in lies]
        lines += [replace(line_of(hit), shown=b"no hit at all", key=replace(line.key, seq=9))]
        lines += [replace(line, key=replace(line.key, score=10**9)), line]

        async def lying(_: Peer, ask: SearchAsk) -> SearchReply:
            (shard,) = honest.shards
            shards = (replace(shard, total=len(lines)), replace(shard, office=CITY2))
            return SearchReply(shards if ask.offices else (), tuple(lines), 1)

        town.node(CITY).links._handlers["search"] = lying
        answer = await search(town, PROVINCE)
        assert answer.hits == (good,)
        assert good.item == item
        assert town.node(PROVINCE).links.counters["wire.decode"] == 6

    play(story)


def line_of(hit: Hit) -> HitLine:
    return from_value(HitLine, ((hit.score, hit.office, hit.item, hit.seq), to_value(hit)), "line")


def ask_for(town: Any, *offices: OfficeCode, limit: int = 10, **how: Any) -> SearchAsk:
    query = parse_query("虞山", Rules(town.cluster.tables), frozenset(VERBATIM))
    as_of = town.node(PROVINCE).snapshots.now().encoded
    ask = SearchAsk(
        offices, as_of, pack(query), limit, None, False, "snippet", False, False, False, 2000
    )
    return replace(ask, **how)


def test_what_a_holder_is_asked_is_bounded(play: Play) -> None:
    async def story(town: Any) -> None:
        await town.public_item(CITY, "虞山")
        shards = town.node(CITY).shards
        answer = await shards.on_search(None, ask_for(town, *([CITY] * 500), limit=2**60))
        assert [shard.office for shard in answer.shards] == [CITY]
        assert (await shards.on_search(None, ask_for(town, CITY2))).shards == ()
        for how in ({"view": "magic"}, {"as_of": b"1"}, {"query": b""}):
            with pytest.raises(DecodeError):
                await shards.on_search(None, ask_for(town, CITY, **how))

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


def test_one_wrong_character_is_looked_for_when_too_little_is_found(play: Play) -> None:
    async def story(town: Any) -> None:
        near = await town.public_item(COUNTY, "登上虞山之巅")
        question = Question("登上余山之巅", explain=True)
        answer = await town.node(PROVINCE).searcher.search(question, PUBLIC)
        assert (items(answer), answer.total, answer.near_total) == ([near], 1, 1)
        assert answer.hits[0].matched_by == "sound"
        assert answer.did_you_mean == ("登上虞山之巅",)
        *lattice, tables = answer.explanation.lattice
        assert lattice
        assert re.fullmatch("tables: year [0-9a-f]{8}, number 1, place [0-9a-f]{8}", tables)
        assert {trace.office for trace in answer.explanation.shards} == set(town.hosts)
        assert any(trace.steps for trace in answer.explanation.shards)

    play(story, PROVINCE, CITY, COUNTY)
