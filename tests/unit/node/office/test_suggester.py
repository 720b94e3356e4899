"""What may be suggested, to whom, from whom, and for how long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from node.office.answers import PUBLIC, Asker, SuggestAnswer
from node.office.links import Peer
from node.office.suggester import ASK_S
from protocol.ids import OfficeCode
from protocol.limits import SUGGESTIONS_MAX
from protocol.messages import HeadingLine, SuggestAsk, SuggestReply

PROVINCE, CITY, CITY2, COUNTY, COUNTY2 = map(
    OfficeCode, ("320000", "320500", "320600", "320581", "320681")
)
Play = Callable[..., None]
STAFF = Asker("administrator", "*")


async def suggest(town: Any, at: OfficeCode, typed: str, asker: Asker = PUBLIC) -> SuggestAnswer:
    answer: SuggestAnswer = await town.node(at).suggester.suggest(typed, 10, asker)
    return answer


async def said(
    town: Any, at: OfficeCode, typed: str, asker: Asker = PUBLIC
) -> list[tuple[str, str]]:
    """Kind and text of what is suggested, but for old names of places."""
    answer = await suggest(town, at, typed, asker)
    return [(one.kind, one.text) for one in answer.suggestions if not one.note]


async def a_book(town: Any, code: OfficeCode, title: str, *sections: str) -> str:
    """A public item with a page under each heading."""
    page = '{{"page": "{}", "section": "{}", "text": "某页"}}'
    lines = [page.format(n, section) for n, section in enumerate(sections, 1)]
    files = {"a.pages.jsonl": "\n".join(lines).encode()}
    item = str((await town.report(code, files, title))["item"])
    await town.quiet()
    reviewer = town.node(code).folding.roster.reviewer_of(code)
    await town.node(reviewer).desk.review(item, "pass", "")
    await town.quiet()
    await asyncio.sleep(2)  # names are gathered
    return item


def test_titles_and_places_are_known_everywhere_headings_to_holders(play: Play) -> None:
    async def story(town: Any) -> None:
        item = await a_book(town, COUNTY, "常熟縣志", "虞山 下", "虞山 下", "尚湖")
        for code in town.hosts:
            for typed in ("常熟县", "changshux", "csx"):
                found = (await suggest(town, code, typed)).suggestions
                (title, *_) = (one for one in found if not one.note)
                assert (title.kind, title.text, title.sources) == ("title", "常熟縣志", (item,))
            assert ("place", "常熟市") in await said(town, code, "chang shu")
            answer = await suggest(town, code, "yushan")
            told = [(o.kind, o.text, o.count) for o in answer.suggestions if not o.note]
            here = code in (COUNTY, CITY) or CITY in town.node(code).links.live()
            assert told == ([("heading", "虞山 下", 2)] if here else []), code
        assert [w.text for w in (await suggest(town, COUNTY, "yushan")).words] == ["虞山"]

    play(story, PROVINCE, CITY, CITY2, COUNTY)


def test_what_is_withdrawn_or_not_passed_is_not_suggested(play: Play) -> None:
    async def story(town: Any) -> None:
        secret = await town.report(COUNTY, {"a.txt": "虞山".encode()}, "密志稿")
        item = await a_book(town, COUNTY, "常熟志", "虞山")
        assert await said(town, COUNTY, "密志") == await said(town, CITY, "mizhi") == []
        assert await said(town, COUNTY, "密志", STAFF) == [("title", "密志稿")]
        assert await said(town, CITY, "密志", STAFF) == [], "of another office"
        assert await said(town, COUNTY, "常熟志", STAFF) == [("title", "常熟志")]
        assert await said(town, CITY, "虞山") == [("heading", "虞山")]
        await town.node(COUNTY).desk.withdraw(item, "重印")
        await town.node(COUNTY).folding.advance()
        for asker in (PUBLIC, STAFF):
            assert await said(town, COUNTY, "虞山", asker) == [], "at once, not when gathered anew"
            assert await said(town, COUNTY, "常熟志", asker) == []
        await town.node(CITY).desk.review(secret["item"], "pass", "")
        await town.quiet()
        await asyncio.sleep(2)
        for code in town.hosts:
            assert await said(town, code, "虞山") == await said(town, code, "常熟志") == []
            assert await said(town, code, "mizhi") == [("title", "密志稿")]

    play(story, PROVINCE, CITY, COUNTY)


def test_pinyin_in_a_query_names_the_words_of_the_text(play: Play) -> None:
    async def story(town: Any) -> None:
        await town.public_item(COUNTY, "常熟虞山，虞山尚湖。")
        await town.report(COUNTY, {"s.txt": "榆山".encode()})
        await town.quiet()

        async def words(typed: str, asker: Asker = PUBLIC) -> list[tuple[str, int]]:
            found = await town.node(COUNTY).suggester.words(typed, asker)
            return [(word.text, word.pages) for word in found]

        assert await words("yushan") == await words("Yú Shān") == await words("yu'shan")
        assert await words("yushan") == [("虞山", 1)]
        assert sorted(await words("yushan", STAFF)) == sorted([("榆山", 1), ("虞山", 1)])
        for other in ("yu shan shang", "yus han", "虞shan", "虞山", "", "yush", "a" * 10**4):
            assert await words(other) == []

    play(story, PROVINCE, CITY, COUNTY)


def test_a_holder_that_lies_or_hangs_is_not_waited_for(play: Play) -> None:
    async def story(town: Any) -> None:
        item = await a_book(town, COUNTY, "常熟志", "虞山")
        gone = await a_book(town, COUNTY, "旧志", "虞山旧")
        await town.node(COUNTY).desk.withdraw(gone, "重印")
        await town.quiet()
        line = HeadingLine("虞山", 3, (item,), "typed", 0, 2)
        lies: list[HeadingLine] = []

        async def lying(_: Peer, ask: SuggestAsk) -> SuggestReply:
            assert (ask.typed, ask.limit) == ("虞山", 10)
            return SuggestReply((line, *lies))

        handlers = town.node(CITY).links._handlers
        handlers["suggest"] = lying
        assert await said(town, PROVINCE, "虞山") == [("heading", "虞山")]
        for item_lie in ((gone,), ("320581-nothing",), ()):
            lies[:] = [replace(line, text="虞山旧", items=item_lie)]
            assert await said(town, PROVINCE, "虞山") == [("heading", "虞山")]
        for broken in ({"rule": "magic"}, {"end": 9}, {"start": 2}):
            lies[:] = [replace(line, **broken)]
            assert await said(town, PROVINCE, "虞山") == []
        assert town.node(PROVINCE).links.counters["wire.decode"] == 3

        async def hanging(_: Peer, __: SuggestAsk) -> SuggestReply:
            await asyncio.sleep(3600)
            raise AssertionError

        handlers["suggest"] = hanging
        began = asyncio.get_running_loop().time()
        assert await said(town, PROVINCE, "虞山") == []
        assert asyncio.get_running_loop().time() - began < 2 * ASK_S

    play(story, PROVINCE, CITY, COUNTY)


def test_old_names_of_places_are_suggested_with_whose_they_were(play: Play) -> None:
    async def story(town: Any) -> None:
        await a_book(town, CITY, "吴门志", "河")
        suggester = town.node(COUNTY).suggester
        for typed, rule in (("姑苏", "typed"), ("gusu", "pinyin"), ("姑酥", "sound")):
            await asyncio.sleep(2)
            answer = await suggester.suggest(typed, 10, PUBLIC)
            (one,) = (one for one in answer.suggestions if one.kind == "place")
            assert (one.text, one.sources, one.rule) == ("姑苏", (CITY,), rule)
            assert (one.note, one.count) == ("苏州的别称", 1)
        (present, *_) = (await suggester.suggest("苏州市", 10, PUBLIC)).suggestions
        assert (present.text, present.note) == ("苏州市", "")

    play(story, PROVINCE, CITY, COUNTY)


def test_what_others_ask_is_bounded(play: Play) -> None:
    async def story(town: Any) -> None:
        await a_book(town, CITY, "苏州志", *(f"河{n}" for n in range(SUGGESTIONS_MAX + 5)))
        suggester = town.node(CITY).suggester
        for limit in (-1, 3, 10**9):
            reply = await suggester.on_suggest(None, SuggestAsk("河" * 10**4, limit))
            assert reply.headings == ()
            reply = await suggester.on_suggest(None, SuggestAsk("河", limit))
            assert len(reply.headings) == max(1, min(limit, SUGGESTIONS_MAX))
            assert {line.text[0] for line in reply.headings} == {"河"}, "no titles, no places"
        assert len((await suggester.suggest("he", 10**9, PUBLIC)).suggestions) == SUGGESTIONS_MAX

    play(story, PROVINCE, CITY)
