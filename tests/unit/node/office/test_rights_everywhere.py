"""Every way out of a node asks the one place of rights for its derivative, and follows it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from ledger import rights, views
from node.office import access, reading
from node.office.answers import Asker, Question
from node.office.links import Peer
from protocol.errors import FangzhiError, Forbidden
from protocol.fetching import FetchAsk
from protocol.ids import BlobId, OfficeCode
from protocol.messages import BlobAsk, TreeAsk
from protocol.possession import ChallengeAsk

PROVINCE, CITY, CITY2, COUNTY = map(OfficeCode, ("320000", "320500", "320600", "320581"))
Play = Callable[..., None]
TEXT = "卷一 常熟虞山".encode()
FILE = BlobId.of(TEXT)
STAFF = Asker("clerk", COUNTY)


async def exits(node: Any, item: str) -> dict[str, list[Callable[[], Awaitable[Any]]]]:
    """The ways out, by derivative; each raises or gives."""
    recall, shown, granted = node.using.recall, node.reading, Peer("k", (CITY2,), True, 9, (CITY2,))

    async def of(value: Any) -> Any:
        return value

    return {
        "record": [
            lambda: of(shown.item(item, STAFF)),
            lambda: of(shown.revision(item, STAFF)),
            lambda: of(shown.file_items(FILE.hex, STAFF)),
            lambda: of(shown.items(None, STAFF, "", 9)[0]),
        ],
        "page_text": [
            lambda: shown.page(item, 1, STAFF),
            lambda: node.using.access.on_fetch(granted, FetchAsk(item, "service")),
        ],
        "file": [lambda: shown.open_file(FILE.hex, STAFF)],
        "sealed_file": [
            lambda: recall.begin(item),
            lambda: recall.begin(FILE.hex),
            lambda: recall.open_file(item, FILE.hex),
            lambda: node.using.access.on_fetch(granted, FetchAsk(item, "file")),
        ],
    }


def test_each_way_out_asks_for_its_derivative_and_follows(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(town: Any) -> None:
        node = town.node(COUNTY)
        item = str((await town.report(COUNTY, {"a.txt": TEXT}, rights="sealed"))["item"])
        await town.quiet()
        await node.using.granting.grant(item, CITY2, "service", "审核", 3)
        await town.node(CITY2).sealer.rotate(CITY2)
        await town.quiet()
        await node.using.granting.grant(item, CITY2, "file", "审核", 3)
        await town.quiet()
        asked: list[str] = []
        denied: set[str] = set()

        def decide(*arguments: Any) -> Any:
            asked.append(arguments[4])
            if arguments[4] in denied:
                raise Forbidden("test", "nobody", "somebody")
            return rights.decide(*arguments)

        monkeypatch.setattr(reading, "decide", decide)
        monkeypatch.setattr(access, "decide", decide)
        for derivative, ways in (await exits(node, item)).items():
            for number, way in enumerate(ways):
                asked.clear()
                denied.clear()
                await way()
                assert derivative in asked, (derivative, number)
                denied.add(derivative)
                with pytest.raises((FangzhiError, IndexError)):
                    await way()
        denied.clear()
        whole = node.reading.item(item, STAFF)
        denied |= {"report", "reason"}
        bare = node.reading.item(item, STAFF)
        assert {"report"} <= set(asked)
        assert bare.findings == ()
        assert all(not event.reason for event in bare.events)
        assert whole.record == bare.record

    play(story, PROVINCE, CITY, CITY2, COUNTY)


def test_nothing_of_a_sealed_item_leaves_by_any_question_of_a_peer(play: Play) -> None:
    """Neither its text nor its files nor whether they are here; nor in a search."""

    async def story(town: Any) -> None:
        node = town.node(COUNTY)
        item = str((await town.report(COUNTY, {"a.txt": TEXT}, rights="sealed"))["item"])
        await town.quiet()
        await town.until(lambda: _seal(town, item) is not None)
        opened = await node.sealer.open(_view(town, item))
        lending = node.vault.lending
        peers = [Peer(code, (code,), True, 9, (code,)) for code in (PROVINCE, CITY, CITY2)]
        blobs = [FILE, _view(town, item).pages_blob, BlobId.of(b"never seen")]
        words = set()
        for peer in peers:
            for blob in blobs:
                for asking in (
                    lending.on_read(peer, BlobAsk(blob, 0, 9)),
                    lending.on_tree(peer, TreeAsk(blob, 0)),
                    lending.on_challenge(peer, ChallengeAsk(blob, bytes(32), (0,))),
                ):
                    with pytest.raises(Forbidden) as refusal:
                        await asking
                    words.add(refusal.value.expected)
        assert len(words) == 1
        stranger = peers[2]
        for name in (sealed.sealed for sealed, _ in opened):
            if CITY2 not in _view(town, item).sealed_holders:
                with pytest.raises(Forbidden):
                    await lending.on_read(stranger, BlobAsk(name, 0, 9))
        for code in (PROVINCE, CITY, CITY2):
            found = await town.node(code).searcher.search(Question("虞山"), Asker("clerk", code))
            assert found.total == 0

    play(story, PROVINCE, CITY, CITY2, COUNTY)


def _view(town: Any, item: str) -> Any:
    with town.node(COUNTY).world.state.read() as reader:
        return views.item(reader, item)


def _seal(town: Any, item: str) -> BlobId | None:
    seal: BlobId | None = _view(town, item).seal
    return seal
