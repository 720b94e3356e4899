"""Class × status × asker × derivative, asked of real nodes: each answers what the one place of
rights decides, from its own copy, by relay from another, and to a peer that reads its files."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from ledger import rights, views
from node.hands.ingest.findings import Inspection
from node.hands.ingest.text import inspect_text
from node.office.answers import PUBLIC, Asker, Question
from node.office.links import Peer
from node.office.service import OfficeService
from protocol.errors import FangzhiError, Forbidden, Missing
from protocol.fetching import FetchAsk
from protocol.ids import BlobId, OfficeCode
from protocol.messages import BlobAsk

PROVINCE, CITY, CITY2, COUNTY = map(OfficeCode, ("320000", "320500", "320600", "320581"))
Play = Callable[..., None]
OWNER, ABOVE, OTHER = (Asker("reviewer", code) for code in (COUNTY, CITY, CITY2))
ASKERS = {  # who asks at which node
    "owner": (COUNTY, OWNER),
    "above": (CITY, ABOVE),
    "above that": (PROVINCE, Asker("clerk", PROVINCE)),
    "another": (CITY2, OTHER),
    "the public at the owner's": (COUNTY, PUBLIC),
    "the public elsewhere": (CITY2, PUBLIC),
}
SERVICE = {"page_text", "service_image", "thumbnail"}
DERIVATIVES = {"record", "file", *SERVICE}


async def report(town: Any, rights_class: str, word: str) -> str:
    """An item of one drawn file, whose text has ``word``."""
    node = town.node(COUNTY)

    async def inspect(blob: BlobId, name: str) -> Inspection:
        data = await node.world.blobs.read(blob, 0, 10**6)
        return replace(inspect_text(name, data), media_type="image/tiff", role_guess="images")

    node.intake._world = replace(node.intake._world, inspect=inspect)
    files = {"卷一.tif": f"虞山{word}".encode()}
    said = await town.report(COUNTY, files, title=word, rights=rights_class)
    item = str(said["item"])
    await town.quiet()
    await town.until(lambda: view_of(town, item).images_blob is not None)
    await town.quiet()
    return item


def view_of(town: Any, item: str, code: OfficeCode = COUNTY) -> Any:
    with town.node(code).world.state.read() as reader:
        return views.item(reader, item)


def service_at(town: Any, code: OfficeCode) -> OfficeService:
    return OfficeService(town.node(code), "token", "0", lambda: 0, {})


async def given(town: Any, code: OfficeCode, asker: Asker, item: str, file: str) -> set[str]:
    """What an asker gets at a node, by its very bytes."""
    service = service_at(town, code)

    async def record() -> bool:
        return service.item(item, asker).line.item == item

    async def text() -> bool:
        return "虞山" in (await service.page(item, 1, asker)).text

    async def image(thumbnail: bool) -> bool:
        shown = await service.image(item, 1, thumbnail, asker)
        data = b"".join([part async for part in shown.read(0, shown.size)])
        return BlobId.of(data).hex == shown.sha256 and data.startswith(
            b"thumbnail" if thumbnail else b"image"
        )

    async def whole() -> bool:
        size, _, _, read = await service.open_file(file, asker)
        return len(b"".join([part async for part in read(0, size)])) == size

    asking: dict[str, Callable[[], Awaitable[bool]]] = {
        "record": record,
        "page_text": text,
        "service_image": lambda: image(False),
        "thumbnail": lambda: image(True),
        "file": whole,
    }
    found = set[str]()
    for derivative, ask in asking.items():
        try:
            assert await ask(), (derivative, asker)
        except (Forbidden, Missing):
            continue
        found.add(derivative)
    return found


def decided(town: Any, code: OfficeCode, asker: Asker, item: str) -> set[str]:
    node, found = town.node(code), set[str]()
    for derivative in DERIVATIVES:
        now = node.world.clock.now()
        try:
            view = view_of(town, item, code)
            rights.decide(node.folding.roster, view, asker.role, asker.office, derivative, now)
        except Forbidden:
            continue
        found.add(derivative)
    return found


async def check(town: Any, item: str, expected: dict[str, set[str]]) -> None:
    file = town.node(COUNTY).reading.item(item, OWNER).files[0].sha256
    for name, (code, asker) in ASKERS.items():
        got = await given(town, code, asker, item, file)
        assert got == decided(town, code, asker, item) == expected.get(name, set()), name


async def found(town: Any, word: str) -> set[str]:
    """Who finds a snippet."""
    answers = set[str]()
    for name, (code, asker) in ASKERS.items():
        answer = await service_at(town, code).search(Question(word), asker)
        if answer.total:
            assert "虞山" in "".join(str(hit.snippet) for hit in answer.hits)
            answers.add(name)
    return answers


EVERYBODY = dict.fromkeys(ASKERS, DERIVATIVES)
STAFF = {"owner": DERIVATIVES, "above": DERIVATIVES, "above that": DERIVATIVES}
ABOUT = {"owner": DERIVATIVES, "above": {"record"}, "above that": {"record"}}


def test_open_submitted_accepted_withdrawn(play: Play) -> None:
    async def story(town: Any) -> None:
        item = await report(town, "open", "甲乙")
        await check(town, item, STAFF)
        assert await found(town, "甲乙") <= set(STAFF)
        await town.node(CITY).desk.review(item, "pass", "")
        await town.quiet()
        await check(town, item, EVERYBODY)
        assert await found(town, "甲乙") == set(ASKERS)
        await town.node(COUNTY).desk.withdraw(item, "重印")
        await town.quiet()
        about = {"record", "file"}
        await check(town, item, {"owner": about, "above": {"record"}, "above that": {"record"}})
        assert not await found(town, "甲乙")

    play(story, PROVINCE, CITY, CITY2, COUNTY)


def test_office_and_sealed_with_a_grant_and_without(play: Play) -> None:
    async def story(town: Any) -> None:
        for rights_class, word in (("office", "丙丁"), ("sealed", "戊己")):
            item = await report(town, rights_class, word)
            await check(town, item, ABOUT)
            await town.node(CITY).desk.review(item, "pass", "")
            await town.quiet()
            await check(town, item, ABOUT)
            granting = town.node(COUNTY).using.granting
            before = town.node(COUNTY).log_size(COUNTY)
            await granting.grant(item, CITY, "service", "审核", 3)
            await town.quiet()
            await check(town, item, ABOUT | {"above": {"record", *SERVICE}})
            assert await found(town, word) <= {"owner"}
            assert town.node(COUNTY).log_size(COUNTY) == before + 2  # and access.fetch, once
            await granting.revoke(item, view_of(town, item).grants[0].ref.index)
            await town.quiet()
            await check(town, item, ABOUT)

    play(story, PROVINCE, CITY, CITY2, COUNTY)


def test_what_a_peer_may_read_of_them(play: Play) -> None:
    """The bytes behind each derivative, asked for as nodes ask each other."""

    async def story(town: Any) -> None:
        item = await report(town, "sealed", "庚辛")
        node, view = town.node(COUNTY), view_of(town, item)
        (page,) = await node.vault.images.listed(view.images_blob)
        service = {
            "text": view.pages_blob,
            "list": view.images_blob,
            "image": BlobId.parse(page.image),
            "thumbnail": BlobId.parse(page.thumbnail),
        }
        blobs = service | {"file": BlobId.parse(page.file)}
        peers = {code: Peer(code, (code,), True, 9, (code,)) for code in (PROVINCE, CITY, CITY2)}

        async def readable(code: OfficeCode) -> set[str]:
            names = set[str]()
            for name, blob in blobs.items():
                try:
                    await node.vault.lending.on_read(peers[code], BlobAsk(blob, 0, 9))
                except FangzhiError:
                    continue
                names.add(name)
            return names

        for code in peers:
            assert await readable(code) == set()
        await node.using.granting.grant(item, CITY2, "service", "审核", 3)
        await town.quiet()
        assert await readable(CITY2) == set()  # nothing before it is logged
        await node.using.access.on_fetch(peers[CITY2], FetchAsk(item, "service"))
        assert await readable(CITY2) == set(service)
        assert await readable(CITY) == await readable(PROVINCE) == set()
        shown = await report(town, "open", "壬癸")
        view = view_of(town, shown)
        (page,) = await node.vault.images.listed(view.images_blob)
        blobs = {"image": BlobId.parse(page.image), "list": view.images_blob}
        assert await readable(CITY) == await readable(PROVINCE) == set(blobs)  # above the owner
        assert await readable(CITY2) == set()  # not before everybody may

    play(story, PROVINCE, CITY, CITY2, COUNTY)
