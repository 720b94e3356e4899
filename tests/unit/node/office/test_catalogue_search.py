"""书目检索 over everybody's shards: the same answer from every node, of what the asker may see."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

from ledger import logbook
from ledger.events import VersionUpload, parse_event
from node.office.answers import (
    PUBLIC,
    Asker,
    CatalogueAnswer,
    ExportReceipt,
    Question,
    RecordLine,
)
from node.office.catalog import read_small
from node.office.service import OfficeService
from protocol.ids import BlobId, OfficeCode
from protocol.merkle import leaf_hash
from tests.unit.node.office.conftest import CITY, CITY2, COUNTY, COUNTY2, PROVINCE, Town

Play = Callable[..., None]
STAFF = Asker("administrator", "*")
EVERY = "权限:公开|内部|封存"
SHELF = (
    (COUNTY, {"title": "常熟縣志", "kind": "旧志", "published": "清光绪三十年刻本"}),
    (COUNTY, {"title": "常熟年鉴", "kind": "年鉴", "published": "1998", "subject": "水利；地理"}),
    (COUNTY2, {"title": "启东水利志", "kind": "新方志", "published": "1991", "place": "启东"}),
    (CITY, {"title": "苏州小志", "kind": "新方志", "summary": "常熟之水利附焉", "place": "苏州"}),
)


async def ask(
    town: Town, at: OfficeCode, text: str, asker: Asker = PUBLIC, **how: Any
) -> CatalogueAnswer:
    service = OfficeService(town.node(at), "token", "0", lambda: 0, {})
    return await service.catalogue(Question(text, facets=True, **how), asker)


async def report(town: Town, code: OfficeCode, record: dict[str, str], **fields: Any) -> str:
    files = {"a.bin": f"no text in {record['title']}".encode()}
    return str((await town.report(code, files, record=record, **fields))["item"])


async def passed(town: Town, items: dict[str, OfficeCode]) -> None:
    await town.quiet()
    for item, code in items.items():
        reviewer = town.node(code).folding.roster.reviewer_of(code)
        await town.node(reviewer).desk.review(item, "pass", "")
    await town.quiet()


def counted(answer: CatalogueAnswer, field: str) -> dict[str, int]:
    return {facet.value: facet.count for facet in answer.search.facets if facet.field == field}


def titles(answer: CatalogueAnswer) -> list[str]:
    return [hit.title for hit in answer.search.hits]


def test_every_node_answers_alike_and_narrowing_by_a_facet_leaves_its_count(play: Play) -> None:
    async def story(town: Town) -> None:
        await passed(town, {await report(town, code, record): code for code, record in SHELF})
        answers = [await ask(town, code, EVERY) for code in town.hosts]
        assert len({answer.search.hits for answer in answers}) == 1
        assert len({answer.search.facets for answer in answers}) == 1
        assert len({answer.records for answer in answers}) == 1
        first = answers[0]
        assert (first.search.total, first.search.total_is_exact) == (4, True)
        assert counted(first, "kind") == {"新方志": 2, "旧志": 1, "年鉴": 1}
        assert counted(first, "place")[CITY] == 3
        assert counted(first, "holding")[PROVINCE] == 4
        assert counted(first, "published")["1904"] == 1, "光绪三十年"
        for facet in first.search.facets:
            words = {"place": "地区", "kind": "类型", "span": "断限", "published": "出版"}
            words |= {"office": "机构", "holding": "馆藏", "rights": "权限"}
            narrowed = f"{EVERY} {words[facet.field]}:{facet.value}"
            assert (await ask(town, CITY2, narrowed)).search.total == facet.count, narrowed

    play(story)


def test_records_are_found_by_any_element_and_say_which(play: Play) -> None:
    async def story(town: Town) -> None:
        await passed(town, {await report(town, code, record): code for code, record in SHELF})
        answer = await ask(town, CITY2, "水利")
        assert titles(answer) == ["启东水利志", "常熟年鉴", "苏州小志"], "title, subject, rest"
        assert [record.matched for record in answer.records] == [
            ("title",),
            ("subject",),
            ("summary",),
        ]
        marked = {
            element.name: [element.text[start:end] for start, end in element.highlights]
            for record in answer.records
            for element in record.elements
            if element.highlights
        }
        assert marked == {name: ["水利"] for name in ("title", "subject", "summary")}
        assert titles(await ask(town, CITY, "changshu 非 类型:旧志")) == ["常熟年鉴", "苏州小志"]
        assert titles(await ask(town, CITY, "常熟县智")) == ["常熟縣志"]
        assert titles(await ask(town, CITY, "出版:..1911")) == ["常熟縣志"]
        pages = [await ask(town, PROVINCE, EVERY, limit=3)]
        pages.append(await ask(town, COUNTY, EVERY, limit=3, page=pages[0].search.next))
        assert Counter(t for page in pages for t in titles(page)) == Counter(
            record["title"] for _, record in SHELF
        )

    play(story)


def test_what_the_asker_may_not_see_counts_nowhere(play: Play) -> None:
    async def story(town: Town) -> None:
        shown = {await report(town, code, record): code for code, record in SHELF[:2]}
        secret = {"title": "常熟密存志", "kind": "密存", "published": "1851"}
        kept = [
            await report(town, COUNTY, secret, rights=rights) for rights in ("office", "sealed")
        ]
        await passed(town, shown | dict.fromkeys(kept, COUNTY))
        await report(town, COUNTY, secret | {"title": "常熟未审志"})
        await town.quiet()
        for at in town.hosts:
            answer = await ask(town, at, EVERY)
            assert answer.search.total == 2
            assert counted(answer, "rights") == {"open": 2}
            assert counted(answer, "kind") == {"旧志": 1, "年鉴": 1}
            assert "1851" not in counted(answer, "published")
            assert (await ask(town, at, "密存")).search.total == 0
        staff = await ask(town, COUNTY, EVERY, STAFF)
        assert counted(staff, "rights") == {"open": 3, "office": 1, "sealed": 1}
        assert counted(await ask(town, CITY2, EVERY, STAFF), "rights") == {"open": 2}

        (gone, *_) = shown
        await town.node(COUNTY).desk.withdraw(gone, "错", "")
        await town.quiet()
        for at in town.hosts:
            answer = await ask(town, at, EVERY)
            assert (answer.search.total, titles(answer)) == (1, ["常熟年鉴"])
            assert counted(answer, "kind") == {"年鉴": 1}
            assert (await ask(town, at, "縣志")).search.facets == ()
        assert "旧志" not in counted(await ask(town, COUNTY, EVERY, STAFF), "kind")

    play(story)


def test_an_export_is_every_record_with_what_proves_it(play: Play) -> None:
    async def story(town: Town) -> None:
        await passed(town, {await report(town, code, record): code for code, record in SHELF})
        node, asked = town.node(CITY2), Question("水利", records=True)
        *lines, receipt = [line async for line in node.exporter.export(asked, PUBLIC)]
        assert isinstance(receipt, ExportReceipt)
        assert (receipt.total, receipt.lines, receipt.complete) == (3, 3, True)
        for line in lines:
            assert isinstance(line, RecordLine)
            with node.world.state.read() as reader:
                manifest = read_small(reader, BlobId.parse(line.manifest))
            assert BlobId.of(manifest).hex == line.manifest
            assert json.loads(manifest)["record"] == line.record
            with node.world.ledger.read() as ledger:
                entry = logbook.entry(ledger, OfficeCode(line.hit.office), line.hit.log_index)
            assert leaf_hash(entry).hex() == line.event
            body = parse_event(entry).read_body()
            assert isinstance(body, VersionUpload)
            assert body.manifest.hex == line.manifest
        assert lines[0].record["title"] == "启东水利志"

    play(story)


def test_a_record_with_long_elements_is_shown(play: Play) -> None:
    async def story(town: Town) -> None:
        subjects = "；".join(f"水利{'甲' * 40}{number}" for number in range(100))
        record = {"title": "志" * 300, "volume": "卷" * 1000, "subject": subjects}
        await passed(town, {await report(town, COUNTY, record): COUNTY})
        for at in (COUNTY, PROVINCE):
            answer = await ask(town, at, "水利")
            assert (answer.search.total, len(answer.records)) == (1, 1)

    play(story, PROVINCE, CITY, COUNTY)
