"""Pages of results over nodes that change: as of the first page, without repeats and gaps."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from node.office.answers import PUBLIC, ExportLine, ExportReceipt, Question
from node.office.snapshots import Snapshots
from protocol.errors import DecodeError
from protocol.ids import OfficeCode
from protocol.merkle import leaf_hash, verify_inclusion

PROVINCE, CITY, CITY2, COUNTY, COUNTY2 = map(
    OfficeCode, ("320000", "320500", "320600", "320581", "320681")
)
Play = Callable[..., None]
ASKED = Question("虞山", limit=2)


async def search(town: Any, at: OfficeCode, question: Question) -> Any:
    return await town.node(at).searcher.search(question, PUBLIC)


def pages(answer: Any) -> list[tuple[str, int]]:
    return [(hit.item, hit.seq) for hit in answer.hits]


async def all_pages(town: Any, nodes: list[OfficeCode], answer: Any) -> list[tuple[str, int]]:
    """The rest of the pages, each from another node."""
    read = pages(answer)
    while answer.next:
        nodes = [*nodes[1:], nodes[0]]
        answer = await search(town, nodes[0], replace(ASKED, page=answer.next))
        read += pages(answer)
    return read


def test_pages_have_no_repeats_and_no_gaps_while_text_arrives(play: Play) -> None:
    async def story(town: Any) -> None:
        for code in (COUNTY, COUNTY2):
            await town.public_item(code, "\f".join(f"虞山{'志' * n}" for n in range(4)))
        everybody = list(town.hosts)
        whole = pages(await search(town, PROVINCE, replace(ASKED, limit=100)))
        first = await search(town, PROVINCE, ASKED)
        assert (len(whole), first.total, first.previous) == (8, 8, "")
        assert await all_pages(town, everybody, first) == whole
        await town.public_item(CITY, "虞山虞山虞山")
        assert (await search(town, PROVINCE, ASKED)).total == 9
        second = await search(town, COUNTY, replace(ASKED, page=first.next))
        assert (second.total, second.gone) == (8, 0)
        assert await all_pages(town, everybody, first) == whole, "as of the first page"
        back = await search(town, CITY2, replace(ASKED, page=second.previous))
        assert (pages(back), back.previous, back.next) == (pages(first), "", first.next)

    play(story)


@pytest.mark.parametrize("owners", [(COUNTY, COUNTY2), (COUNTY2, COUNTY)])
def test_what_was_withdrawn_since_is_left_out_and_said_so(
    play: Play, owners: tuple[OfficeCode, OfficeCode]
) -> None:
    async def story(town: Any) -> None:
        kept = await town.public_item(owners[0], "虞山\f虞山志\f虞山志志")
        gone = await town.public_item(owners[1], "虞山志志志\f虞山志志志志")
        first = await search(town, PROVINCE, ASKED)
        await town.node(PROVINCE).desk.withdraw(gone, "版权")
        await town.quiet()
        second = await search(town, PROVINCE, replace(ASKED, page=first.next))
        assert (second.gone, second.total) == (1, 3)
        read = await all_pages(town, list(town.hosts), first)
        assert read == [(kept, 1), (kept, 2), (kept, 3)]

    play(story)


def test_a_token_is_of_its_question_and_of_nothing_else(play: Play) -> None:
    async def story(town: Any) -> None:
        await town.public_item(COUNTY, "虞山\f虞山志\f虞山志志")
        token = (await search(town, PROVINCE, ASKED)).next
        assert token
        for question in (
            replace(ASKED, text="虞山 志", page=token),
            replace(ASKED, without=("pinyin",), page=token),
            replace(ASKED, records=True, page=token),
            replace(ASKED, page=token[:-1]),
            replace(ASKED, page="虞山"),
        ):
            with pytest.raises(DecodeError, match="page"):
                await search(town, PROVINCE, question)

    play(story, PROVINCE, CITY, COUNTY)


def test_a_holder_without_all_of_the_snapshot_is_named(play: Play) -> None:
    async def story(town: Any) -> None:
        item = await town.public_item(COUNTY, "虞山")
        node = town.node(CITY)
        real = node.snapshots.now()
        behind = dict(real.sizes) | {COUNTY: 1}
        node.shards._snapshots = old = Snapshots(
            node.world.state, node.world.ledger, node.indexer, node._roster
        )
        old._now = replace(real, sizes=behind)
        answer = await search(town, PROVINCE, ASKED)
        assert (answer.coverage.lagging, answer.coverage.missing) == ((COUNTY,), ())
        assert pages(answer) == [(item, 1)]

    play(story, PROVINCE, CITY, COUNTY)


def test_an_export_is_every_hit_with_what_proves_it(play: Play) -> None:
    async def story(town: Any) -> None:
        text = "\f".join(f"虞山{'志' * n}" for n in range(130))
        item = await town.public_item(COUNTY, text)
        node = town.node(PROVINCE)
        *lines, receipt = [line async for line in node.exporter.export(ASKED, PUBLIC)]
        assert isinstance(receipt, ExportReceipt)
        assert (receipt.total, receipt.lines, receipt.complete) == (130, 130, True)
        assert [(line.hit.item, line.hit.seq) for line in lines] == [
            (item, seq) for seq in range(1, 131)
        ]
        line = lines[77]
        assert isinstance(line, ExportLine)
        proof = await node.checks.shown_proof(item, line.hit.seq)
        leaf = leaf_hash(proof.line.encode())
        hashes = tuple(map(bytes.fromhex, proof.hashes))
        root = bytes.fromhex(line.pages_root)
        verify_inclusion(leaf, line.hit.seq, line.pages + 1, root, hashes)
        assert line.hit.snippet in proof.line
        await town.hosts[CITY].crash()
        await asyncio.sleep(1)
        *_, receipt = [line async for line in node.exporter.export(ASKED, PUBLIC)]
        assert not receipt.complete, "shards are missing"

    play(story, PROVINCE, CITY, COUNTY)
