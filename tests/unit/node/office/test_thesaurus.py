"""The province's table of synonyms in a town of real nodes: signed, fetched, used, replaced."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ledger import views
from ledger.events import SynonymsPut
from node.office.answers import PUBLIC, Question
from node.office.catalog import put_bytes
from node.office.upkeep import REPAIRED
from protocol.errors import DecodeError, Forbidden, Rejected, Unavailable
from protocol.ids import BlobId, OfficeCode
from search_shard.rules.synonyms import HEAD

PROVINCE, CITY, COUNTY = map(OfficeCode, ("320000", "320500", "320581"))
MATCHES = "火柴 洋火 自来火 # 旧称"
FILMS = "电影院、影戏院"
Play = Callable[..., None]


def versions(town: Any) -> set[int]:
    return {town.node(host.code).thesaurus.version for host in town.cluster.up()}


async def notes(town: Any, code: OfficeCode, text: str) -> set[tuple[str, str, str]]:
    answer = await town.node(code).searcher.search(Question(text), PUBLIC)
    return {(note.rule, note.typed, note.taken_for) for note in answer.notes}


def test_every_node_uses_what_the_province_signed(play: Play) -> None:
    async def story(town: Any) -> None:
        thesaurus = town.node(PROVINCE).thesaurus
        assert await notes(town, CITY, "洋火") == set()
        assert (await thesaurus.shown())["version"] == 0
        put = await thesaurus.put(f"\ufeff{FILMS}\r\n{MATCHES}")
        assert (put["version"], put["groups"]) == (1, 2)
        await town.until(lambda: versions(town) == {1})
        texts = {(await town.node(c).thesaurus.shown())["text"] for c in town.hosts}
        assert texts == {f"{HEAD}\n{MATCHES}\n{FILMS.replace('、', ' ')}\n"}
        for code in town.hosts:
            assert await notes(town, code, "洋火") == {
                ("synonym", "洋火", "火柴、自来火（旧称，同义词表第1版）")
            }
        item = await town.public_item(CITY, "民国时自来火行销全县")
        answer = await town.node(COUNTY).searcher.search(Question("洋火"), PUBLIC)
        assert [hit.item for hit in answer.hits] == [item]

        await thesaurus.put(FILMS)
        await town.until(lambda: versions(town) == {2})
        assert await notes(town, COUNTY, "洋火") == set()
        await town.quiet()
        with town.node(COUNTY).world.state.read() as reader:
            assert list(views.findings(reader)) == []

    play(story, PROVINCE, CITY, COUNTY)


def test_who_was_away_fetches_it_from_whoever_is_there(play: Play) -> None:
    async def story(town: Any) -> None:
        town.cluster.cut([COUNTY])
        await town.node(PROVINCE).thesaurus.put(MATCHES)
        await town.until(lambda: town.node(CITY).thesaurus.version == 1)
        town.cluster.heal([COUNTY])
        town.cluster.cut([PROVINCE])
        await town.until(lambda: town.node(COUNTY).thesaurus.version == 1)

    play(story, PROVINCE, CITY, COUNTY)


def test_what_cannot_be_read_is_passed_over(play: Play) -> None:
    async def story(town: Any) -> None:
        province, city = town.node(PROVINCE), town.node(CITY)
        await province.thesaurus.put(MATCHES)
        await town.until(lambda: versions(town) == {1})
        blob = await put_bytes(province.world.blobs, b"no table\n")
        await province.sequencer.append(PROVINCE, (SynonymsPut(2, blob, 9),))
        await town.quiet()
        shown = await city.thesaurus.shown()
        assert (shown["version"], shown["in_use"], shown["table"]) == (2, 1, blob.hex)
        await province.thesaurus.put(FILMS)
        await town.until(lambda: versions(town) == {3})

        table = (await city.thesaurus.shown())["table"]
        town.hosts[CITY].disk.flip(BlobId.parse(table), 3)
        (ailment,) = await city.upkeep.examine(True, lambda *_: None)
        assert "the table of synonyms" in ailment.what
        assert ailment.cure == REPAIRED
        assert (await city.thesaurus.shown())["text"]
        await city.world.state.write(lambda writer: writer.delete("synonyms", PROVINCE.encode()))
        city.thesaurus.look()  # as after a log that was cut below the event
        await town.until(lambda: city.thesaurus.version == 0)
        assert await notes(town, CITY, "影戏院") == set()

    play(story, PROVINCE, CITY)


def test_who_may_put_what_and_when(play: Play) -> None:
    async def story(town: Any) -> None:
        province = town.node(PROVINCE)
        with pytest.raises(Forbidden, match="provincial node"):
            await town.node(CITY).thesaurus.put(MATCHES)
        with pytest.raises(DecodeError, match="line 2"):
            await province.thesaurus.put(f"{MATCHES}\n单")
        await province.thesaurus.put(MATCHES)
        with pytest.raises(Rejected, match="version 1"):
            await province.thesaurus.put(f"# 同\n{MATCHES}")
        size = province.log_size(PROVINCE)
        province.sequencer.gates[PROVINCE].is_open = False
        with pytest.raises(Unavailable, match="gate"):
            await province.thesaurus.put(FILMS)
        assert province.log_size(PROVINCE) == size
        assert province.sequencer.spooled() == 0

    play(story, PROVINCE, CITY)


def test_further_pages_are_read_by_the_table_of_the_first(play: Play) -> None:
    async def story(town: Any) -> None:
        thesaurus, node = town.node(PROVINCE).thesaurus, town.node(CITY)
        item = await town.public_item(CITY, "\f".join(f"自来火{'甲' * n}" for n in range(3)))
        await thesaurus.put(MATCHES)
        await town.until(lambda: versions(town) == {1})
        asked = Question("洋火", limit=1)
        first = await node.searcher.search(asked, PUBLIC)
        assert (first.total, len(first.hits)) == (3, 1)
        await thesaurus.put(FILMS)
        await town.until(lambda: versions(town) == {2})
        assert (await node.searcher.search(asked, PUBLIC)).total == 0
        second = await node.searcher.search(replace(asked, page=first.next), PUBLIC)
        assert ([hit.item for hit in second.hits], second.total) == ([item], 3)
        assert second.notes == first.notes
        await town.hosts[CITY].crash()
        await town.hosts[CITY].start()
        await town.until(lambda: versions(town) == {2})
        with pytest.raises(Unavailable, match=r"version 1 of the table of synonyms.*version 2"):
            await town.node(CITY).searcher.search(replace(asked, page=first.next), PUBLIC)

    play(story, PROVINCE, CITY)
