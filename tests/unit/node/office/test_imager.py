"""Service-level images: made in the background, listed, kept, mended, remade and collected."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ledger import views
from node.hands.ingest.findings import Inspection
from node.hands.ingest.text import inspect_text
from node.office import imager
from node.office.answers import Asker
from node.office.catalog import every_item, uses
from node.office.imager import FAILURES_MAX, arranged
from protocol.errors import FangzhiError, Missing
from protocol.ids import BlobId, OfficeCode
from protocol.images import NO_IMAGE, parse_images
from protocol.records import PageText
from simulations.cluster import pretend_drawn

PROVINCE, CITY, CITY2, COUNTY = map(OfficeCode, ("320000", "320500", "320600", "320581"))
EVERYBODY = (PROVINCE, CITY, CITY2, COUNTY)
Play = Callable[..., None]
STAFF = Asker("clerk", COUNTY)
TWO_PAGES = "卷一\f卷二".encode()


async def scan(town: Any, data: bytes = TWO_PAGES, **fields: str) -> str:
    """An item of a PDF with a text layer, as the inspector of a real node would see it."""
    node = town.node(COUNTY)

    async def inspect(blob: BlobId, name: str) -> Inspection:
        whole = await node.world.blobs.read(blob, 0, 10**6)
        return replace(inspect_text(name, whole), media_type="application/pdf", role_guess="images")

    node.intake._world = replace(node.intake._world, inspect=inspect)
    return str((await town.report(COUNTY, {"卷一.pdf": data}, **fields))["item"])


async def drawn(town: Any, data: bytes = TWO_PAGES, **fields: str) -> str:
    item = await scan(town, data, **fields)
    await town.quiet()
    await town.until(lambda: view_of(town, item).images_blob is not None)
    await town.quiet()
    return item


def every(town: Any) -> Any:
    with town.node(COUNTY).world.state.read() as reader:
        return list(every_item(reader))


def view_of(town: Any, item: str, code: OfficeCode = COUNTY) -> Any:
    with town.node(code).world.state.read() as reader:
        return views.item(reader, item)


async def pages_of(town: Any, item: str, code: OfficeCode = COUNTY) -> Any:
    return await town.node(code).vault.images.listed(view_of(town, item).images_blob)


def pictures(pages: Any) -> list[BlobId]:
    return [BlobId.parse(name) for page in pages for name in (page.image, page.thumbnail) if name]


async def having(town: Any, item: str) -> set[str]:
    """Who has images of an item; whoever has one has all."""
    wanted = pictures(await pages_of(town, item))
    found = {
        code: {town.node(code).world.blobs.size(blob) is not None for blob in wanted}
        for code in town.hosts
    }
    assert all(len(answers) == 1 for answers in found.values())
    return {code for code, answers in found.items() if True in answers}


async def bytes_of(answer: Any) -> bytes:
    return b"".join([part async for part in answer.read(0, answer.size)])


def test_pages_are_drawn_listed_and_shown(play: Play) -> None:
    async def story(town: Any) -> None:
        item = await drawn(town)
        view, pages = view_of(town, item), await pages_of(town, item)
        assert (view.images, view.images_made, len(pages)) == (2, imager.MADE, 2)
        assert [page.page for page in pages] == [1, 2]
        reading = town.node(COUNTY).reading
        shown = await reading.image(item, 2, False, STAFF)
        mark = f" by {COUNTY} · {pages[1].file[:8]}"
        assert await bytes_of(shown) == "image of 卷二".encode() + mark.encode()
        assert shown.sha256 == pages[1].image
        assert not shown.public
        small = await reading.image(item, 1, True, STAFF)
        assert await bytes_of(small) == "thumbnail of 卷一".encode()
        page = await reading.page(item, 2, STAFF)
        assert (page.text, page.pages, page.image_width) == ("卷二", 2, 1200)
        assert reading.item(item, STAFF).line.images == 2
        for seq in (0, 3):
            with pytest.raises(Missing):
                await reading.image(item, seq, False, STAFF)

    play(story, *EVERYBODY)


def test_the_report_does_not_wait_for_images(play: Play) -> None:
    async def story(town: Any) -> None:
        item = await scan(town)
        await town.until_soon(lambda: item in [v.item for v in every(town)])
        assert view_of(town, item).images_blob is None

    play(story, PROVINCE, CITY, COUNTY)


def test_open_images_go_where_the_text_goes_and_others_stay(play: Play) -> None:
    """The owner and its city have them; a hold.take does not wait for them."""

    async def story(town: Any) -> None:
        item = await drawn(town)
        await town.until(lambda: len(view_of(town, item).holders) >= 3)
        assert await having(town, item) == {COUNTY, CITY}
        sealed = await drawn(town, data="密卷".encode(), rights="sealed")
        await town.until(lambda: len(view_of(town, sealed).sealed_holders) >= 2)
        assert await having(town, sealed) == {COUNTY}

    play(story, *EVERYBODY)


def test_withdrawn_images_are_gone_everywhere(play: Play) -> None:
    async def story(town: Any) -> None:
        item = await drawn(town)
        gone = [*pictures(await pages_of(town, item)), view_of(town, item).images_blob]
        await town.node(COUNTY).desk.withdraw(item, "重印")
        await town.quiet()
        for code in EVERYBODY:
            blobs = town.node(code).world.blobs
            await town.until(lambda blobs=blobs: all(blobs.size(b) is None for b in gone))
            with town.node(code).world.state.read() as reader:
                assert not any(uses(reader, blob) for blob in gone)
        with pytest.raises(FangzhiError):
            await town.node(COUNTY).reading.image(item, 1, False, STAFF)

    play(story, *EVERYBODY)


def test_lost_images_are_made_again_at_the_owner(play: Play) -> None:
    async def story(town: Any) -> None:
        item = await drawn(town, rights="office")
        before = view_of(town, item).images_blob
        node = town.node(COUNTY)
        image = pictures(await pages_of(town, item))[0]
        await node.world.blobs.delete(image)
        await town.hosts[COUNTY].stop()
        await town.hosts[COUNTY].start()
        blobs = town.node(COUNTY).world.blobs
        await town.until(lambda: blobs.size(image) is not None)
        assert view_of(town, item).images_blob == before  # the same images: nothing new to say
        await blobs.delete(before)
        await town.hosts[COUNTY].stop()
        await town.hosts[COUNTY].start()
        await town.until(lambda: view_of(town, item).images_blob != before)
        assert await bytes_of(await town.node(COUNTY).reading.image(item, 1, False, STAFF))

    play(story, PROVINCE, CITY, COUNTY)


def test_a_damaged_image_is_drawn_again(play: Play) -> None:
    async def story(town: Any) -> None:
        item = await drawn(town, rights="office")
        image = pictures(await pages_of(town, item))[0]
        vault = town.node(COUNTY).vault
        good = await town.node(COUNTY).world.blobs.read(image, 0, 999)
        town.hosts[COUNTY].disk.flip(image, 3)
        assert not await vault.scrubber.check(image)
        await town.until(lambda: town.node(COUNTY).world.blobs.size(image) is not None)
        assert await town.node(COUNTY).world.blobs.read(image, 0, 999) == good
        assert vault.scrubber.damaged == 0

    play(story, PROVINCE, CITY, COUNTY)


def test_another_way_of_drawing_makes_all_anew(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(town: Any) -> None:
        item = await drawn(town)
        before = view_of(town, item).images_blob
        old = pictures(await pages_of(town, item))
        monkeypatch.setattr(imager, "MADE", 2)
        monkeypatch.setattr("simulations.cluster.pretend_drawn", drawn_anew)
        town.node(COUNTY).vault.imager.look_at(frozenset({item}))
        await town.until(lambda: view_of(town, item).images_blob != before)
        await town.quiet()
        assert view_of(town, item).images_made == 2
        for code in (COUNTY, CITY):
            blobs = town.node(code).world.blobs
            await town.until(lambda blobs=blobs: all(blobs.size(b) is None for b in (before, *old)))

    play(story, PROVINCE, CITY, COUNTY)


def drawn_anew(data: bytes, name: str, page: int, mark: str) -> Any:
    one = pretend_drawn(data, name, page, mark)
    return replace(one, image=b"anew " + one.image, thumbnail=b"anew " + one.thumbnail)


def test_a_file_is_drawn_once_however_many_items_have_it(play: Play) -> None:
    async def story(town: Any) -> None:
        first = await drawn(town)
        asked: list[int] = []
        town.node(COUNTY).vault.imager._world = counting(town.node(COUNTY).world, asked)
        second = await drawn(town, title="又一部")
        assert not asked
        assert await pages_of(town, first) == await pages_of(town, second)
        await town.node(COUNTY).desk.withdraw(first, "重印")
        await town.quiet()
        shown = await town.node(COUNTY).reading.image(second, 1, False, STAFF)
        assert await bytes_of(shown)

    play(story, PROVINCE, CITY, COUNTY)


def counting(world: Any, asked: list[int]) -> Any:
    """A world that writes down each page that it is to draw."""

    @contextlib.asynccontextmanager
    async def drawing(blob: BlobId, name: str) -> Any:
        async with world.drawing(blob, name) as draw:

            async def noted(page: int, mark: str) -> Any:
                asked.append(page)
                return await draw(page, mark)

            yield noted

    return replace(world, drawing=drawing)


def test_pages_that_cannot_be_drawn_have_a_finding_and_a_bad_file_is_given_up(play: Play) -> None:
    async def story(town: Any) -> None:
        asked: list[int] = []
        imager_of = town.node(COUNTY).vault.imager
        imager_of._world = counting(town.node(COUNTY).world, asked)
        pages = ["卷一", *[""] * (FAILURES_MAX + 30)]
        item = await scan(town, "\f".join(pages).encode() + b"\fz")
        await town.quiet()
        await town.until(lambda: view_of(town, item).images_blob is not None)
        found = [page.finding for page in await pages_of(town, item)]
        assert found == ["", *["Q303"] * (len(pages) - 1), "Q303"]
        assert asked == list(range(1, FAILURES_MAX + 2))
        with pytest.raises(Missing, match="Q303"):
            await town.node(COUNTY).reading.image(item, 2, False, STAFF)

    play(story, PROVINCE, CITY, COUNTY)


def test_a_restart_goes_on_where_it_was(play: Play) -> None:
    async def story(town: Any) -> None:
        asked: list[int] = []
        node = town.node(COUNTY)
        node.vault.imager._world = counting(node.world, asked)
        item = await scan(town, b"\f".join(b"%d" % n for n in range(40)))
        await town.until_soon(lambda: len(asked) >= 10)
        done, known = node.vault.imager.progress(item)
        assert 0 < done <= 10
        assert known == 40
        assert node.reading.item(item, STAFF).to_draw == 40
        await town.hosts[COUNTY].stop()
        await town.hosts[COUNTY].start()
        node, again = town.node(COUNTY), list[int]()
        node.vault.imager._world = counting(node.world, again)
        await town.quiet()
        await town.until(lambda: view_of(town, item).images_blob is not None)
        assert len(await pages_of(town, item)) == 40
        assert not set(again) & set(asked[:-1])

    play(story, PROVINCE, CITY, COUNTY)


def test_pages_of_text_come_first_and_files_without_text_behind() -> None:
    def image(file: str, page: int) -> Any:
        return replace(NO_IMAGE, file=file, page=page, image="aa", thumbnail="bb")

    texts = tuple(
        PageText(*row)
        for row in [("1", "", "a", "f"), ("2-1", "", "b", "f"), ("2-2", "", "c", "f")]
    )
    texts += (PageText("序", "", "d", ""),)
    drawn_pages = [image("f", 1), image("f", 2), image("scan", 1), image("scan", 2)]
    assert arranged(texts, drawn_pages) == [
        image("f", 1),
        image("f", 2),
        image("f", 2),
        NO_IMAGE,
        image("scan", 1),
        image("scan", 2),
    ]


def test_the_list_is_what_the_event_says(play: Play) -> None:
    async def story(town: Any) -> None:
        item = await drawn(town)
        view = view_of(town, item)
        data = await town.node(COUNTY).world.blobs.read(view.images_blob, 0, 10**6)
        assert len(data) == view.images_bytes
        assert parse_images(data)[0] == item

    play(story, PROVINCE, CITY, COUNTY)
