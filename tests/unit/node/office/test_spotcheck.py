"""A holder with good keys that shows what is not in the log: caught, left out, reported."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from node.office.answers import PUBLIC, Question
from node.office.links import Peer
from node.office.spotcheck import DISTRUST_S, agrees
from protocol.errors import Missing
from protocol.ids import OfficeCode
from protocol.messages import HitLine, PageAsk, SearchAsk, SearchReply
from protocol.records import PageText
from protocol.shapes import from_value, to_value
from search_shard.rank import Hit, Line

PROVINCE, CITY, CITY2, COUNTY, COUNTY2 = map(
    OfficeCode, ("320000", "320500", "320600", "320581", "320681")
)
Play = Callable[..., None]
Twist = Callable[[Hit], Hit]


def make_lie(town: Any, at: OfficeCode, twist: Twist) -> None:
    """The node at ``at`` answers searches with every hit twisted."""
    honest = town.node(at).shards.on_search

    async def lying(peer: Peer, ask: SearchAsk) -> SearchReply:
        reply = await honest(peer, ask)
        hits = [twist(from_value(Hit, line.shown, "hit")) for line in reply.hits]
        keys = [replace(line.key, seq=hit.seq) for line, hit in zip(reply.hits, hits, strict=True)]
        lines = [HitLine(key, to_value(hit)) for key, hit in zip(keys, hits, strict=True)]
        return replace(reply, hits=tuple(lines))

    town.node(at).links._handlers["search"] = lying


async def search(town: Any, at: OfficeCode, text: str = "虞山", *, records: bool = False) -> Any:
    return await town.node(at).searcher.search(Question(text, records=records), PUBLIC)


@pytest.mark.parametrize(
    "twist",
    [
        lambda hit: replace(hit, snippet="虞山归我县所有", highlights=()),
        lambda hit: replace(hit, page="卷九"),
        lambda hit: replace(hit, section="伪造"),
        lambda hit: replace(hit, seq=7),
        lambda hit: replace(hit, lines=(Line("常", "虞山", "归我"),)),
    ],
)
def test_a_liar_is_caught_and_others_are_asked(play: Play, twist: Twist) -> None:
    async def story(town: Any) -> None:
        item = await town.public_item(CITY, "苏州虞山")
        node = town.node(COUNTY2)
        make_lie(town, CITY, twist)
        answer = await search(town, COUNTY2)
        assert [(hit.item, hit.snippet) for hit in answer.hits] == [(item, "苏州虞山")]
        assert answered_by(answer)[CITY] == CITY2, "the other holder is asked instead"
        assert answer.coverage.missing == ()
        (lie,) = node.checks.lie_lines()
        assert (lie.holder, lie.office, lie.item) == (CITY, CITY, item)
        assert node.links.counters["search.lie"] == 1
        assert ("苏州虞山" in lie.line) == (lie.seq == 1)
        ailments = await node.upkeep.examine(False, lambda *_: None)
        assert [each.code for each in ailments] == ["search.lie"]
        again = await search(town, COUNTY2)
        assert again.hits == answer.hits
        assert answered_by(again)[CITY] == CITY2, "distrusted from now on"
        assert len(node.checks.lies()) == 1
        await town.hosts[COUNTY2].crash()
        await town.hosts[COUNTY2].start()
        assert (CITY, CITY) in town.node(COUNTY2).checks.distrusted(), "kept over a restart"

    play(story, PROVINCE, CITY, CITY2, COUNTY2)


@pytest.mark.parametrize(
    "twist",
    [
        lambda hit: replace(hit, snippet="虞山归我县所有", highlights=()),
        lambda hit: replace(hit, title="伪志"),
        lambda hit: replace(hit, section="伪造"),
        lambda hit: replace(hit, seq=2),
        lambda hit: replace(hit, file="ab" * 32),
        lambda hit: replace(hit, lines=(Line("常", "虞山", "归我"),)),
    ],
)
def test_who_lies_about_a_record_is_caught(play: Play, twist: Twist) -> None:
    async def story(town: Any) -> None:
        item = await town.public_item(CITY, "苏州虞山")
        node = town.node(COUNTY2)
        make_lie(town, CITY, twist)
        answer = await search(town, COUNTY2, "志", records=True)
        assert [(hit.item, hit.title) for hit in answer.hits] == [(item, "志")]
        assert answered_by(answer)[CITY] == CITY2, "the other holder is asked instead"
        (lie,) = node.checks.lie_lines()
        assert (lie.holder, lie.office, lie.item, lie.seq) == (CITY, CITY, item, 0)
        assert lie.line == '{"title":"志"}'
        (ailment,) = await node.upkeep.examine(False, lambda *_: None)
        assert (ailment.code, "in the record of" in ailment.what) == ("search.lie", True)

    play(story, PROVINCE, CITY, CITY2, COUNTY2)


def test_who_knows_an_office_by_its_old_name_is_no_liar(play: Play) -> None:
    async def story(town: Any) -> None:
        item = await town.public_item(CITY, "苏州虞山")
        honest = town.node(CITY).shards.on_search
        name = town.node(CITY).folding.roster.members[CITY].name
        old: list[SearchReply] = []

        async def behind(peer: Peer, ask: SearchAsk) -> SearchReply:
            if not old:
                old.append(await honest(peer, ask))
            return old[0]

        town.node(CITY).links._handlers["search"] = behind
        await search(town, COUNTY2, name, records=True)
        await town.office.change({"rename": CITY, "name": "姑苏方志馆"})
        town.node(COUNTY2).checks._met.clear()
        answer = await search(town, COUNTY2, name, records=True)
        assert [hit.item for hit in answer.hits] == [item]
        assert name in answer.hits[0].snippet
        assert town.node(COUNTY2).checks.lies() == []

    play(story, PROVINCE, CITY, CITY2, COUNTY2)


def answered_by(answer: Any) -> dict[str, str]:
    return {source.office: source.answered_by for source in answer.coverage.sources}


def test_without_another_holder_the_shard_of_a_liar_is_missing(play: Play) -> None:
    async def story(town: Any) -> None:
        await town.public_item(COUNTY, "常熟虞山")
        checks = town.node(PROVINCE).checks
        make_lie(town, CITY, lambda hit: replace(hit, snippet="伪造", highlights=()))
        answer = await search(town, PROVINCE)
        assert (answer.hits, answer.coverage.missing) == ((), (COUNTY,))
        assert not answer.total_is_exact
        assert checks.distrusted() == [(CITY, COUNTY)]
        now = checks._clock.now()
        checks._clock = type("Later", (), {"now": lambda _: now + DISTRUST_S * 1000})()
        assert checks.distrusted() == [], "it is given another chance"

    play(story, PROVINCE, CITY, CITY2, COUNTY)  # a county that only dials out cannot be asked


def test_an_honest_holder_stays_one(play: Play) -> None:
    async def story(town: Any) -> None:
        await town.public_item(CITY, "第一行\n苏州虞山\n" + "志" * 500)
        for _ in range(40):
            assert (await search(town, COUNTY2)).coverage.missing == ()
        assert town.node(COUNTY2).checks.lies() == []
        assert town.node(COUNTY2).links.counters["search.lie"] == 0

    play(story, PROVINCE, CITY, CITY2, COUNTY2)


def test_pages_are_proven_to_whoever_may_read_them(play: Play) -> None:
    async def story(town: Any) -> None:
        item = await town.public_item(COUNTY, "常熟\f虞山\f尚湖")
        hidden = (await town.report(COUNTY, {"a.txt": "未审".encode()}))["item"]
        await town.quiet()
        for code in (CITY, COUNTY):
            proof = await town.node(code).checks.on_page(None, PageAsk(item, 2))
            assert "虞山" in proof.line.decode()
        away = await town.node(CITY2).checks.shown_proof(item, 3)
        assert ("尚湖" in away.line, away.office, away.pages) == (True, COUNTY, 3)
        for ask in (PageAsk(item, 0), PageAsk(item, 4), PageAsk(hidden, 1), PageAsk("x", 1)):
            with pytest.raises(Missing):
                await town.node(COUNTY).checks.on_page(None, ask)

    play(story, PROVINCE, CITY, CITY2, COUNTY)


def test_every_thing_that_a_hit_shows_of_its_page_counts() -> None:
    hit = Hit(
        "o", "i", 1, "志", "1", "卷一", "乙丙", ((0, 1),), (), (Line("甲", "乙", "丙"),), 1, "f", 1
    )
    page = PageText("1", "卷一", "甲乙丙丁", "f")
    assert agrees(hit, page)
    for other in (
        replace(hit, snippet="丙乙"),
        replace(hit, page="2"),
        replace(hit, section=""),
        replace(hit, file=""),
        replace(hit, lines=(*hit.lines, Line("乙", "甲", "丙"))),
    ):
        assert not agrees(other, page)
