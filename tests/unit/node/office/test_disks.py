"""Items that travel on a disk: whichever comes first, disk or log, one item stands in the end."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

import pytest

from ledger import views
from node.hands.ingest.carriers.carried import CarriedFile
from node.office.disks import DISK, STATEMENT, Disks
from protocol.errors import (
    Corrupt,
    DecodeError,
    FangzhiError,
    Forbidden,
    Missing,
    ProofError,
    Rejected,
)
from protocol.ids import OfficeCode, mint_item
from protocol.records import encode_json

PROVINCE, CITY, CITY2, COUNTY = map(OfficeCode, ("320000", "320500", "320600", "320581"))
FILES = {"卷一/a.txt": "常熟縣志卷一".encode(), "b.txt": "卷二 沿革".encode()}
Contents = dict[str, bytes]


async def packed(disks: Disks, item: str) -> Contents:
    """What a disk of an item holds."""
    signed, statement, _ = await disks.pack(item)
    contents = {STATEMENT: signed}
    for file in statement.files:
        contents[file.path] = b"".join([piece async for piece in disks.pieces(file)])
    return contents


def carried(contents: Contents) -> dict[str, CarriedFile]:
    return {
        path: CarriedFile(path, len(data), 0, partial(lambda d: nullcontext(io.BytesIO(d)), data))
        for path, data in contents.items()
    }


async def receive(node: Any, contents: Contents) -> dict[str, Any]:
    return await node.disks.receive(carried(contents), lambda *_: None)


def cut_off(node: Any) -> None:
    """Nobody confirms the node: it signs nothing, and nobody asks it for files."""
    node.sequencer.gates[COUNTY].is_open = False


def no_fetching(node: Any, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Files that the node wanted from others, none of which it got."""
    wanted: list[object] = []

    async def refuse(blob: Any, *_: object) -> None:
        wanted.append(blob)
        raise Missing("line", "a line", "none")

    monkeypatch.setattr(node.custodian.transfer, "fetch", refuse)
    return wanted


@pytest.mark.parametrize("first", ["disk", "log"])
def test_disk_and_log_meet_in_one_item(
    play: Callable[..., None], monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    async def story(town: Any) -> None:
        county, city = town.node(COUNTY), town.node(CITY)
        wanted = no_fetching(city, monkeypatch)
        cut_off(county)
        reported = await town.report(COUNTY, FILES)
        assert (reported["status"], reported["log_index"]) == ("spooled", None)
        disk = await packed(county.disks, reported["item"])
        if first == "disk":
            answer = await receive(city, disk)
            assert (answer["status"], answer["stored"]) == ("waiting", len(disk) - 1)
            assert (answer["item"], answer["manifest"]) == (reported["item"], reported["manifest"])
            assert city.disks.waiting() == [reported["item"]]
        county.sequencer.gates[COUNTY].is_open = True
        await county.sequencer.drain(COUNTY)
        await town.until(lambda: known(city, reported["item"]))
        if first == "log":
            assert wanted
            assert city.custodian.incomplete
        answer = await receive(city, disk)
        assert (answer["status"], answer["log_index"]) == ("registered", 0)
        assert city.disks.waiting() == []
        await town.until(lambda: CITY in view(city, reported["item"]).holders)
        if first == "disk":
            assert not wanted
        assert (await receive(city, disk))["stored"] == 0
        with city.world.state.read() as reader:
            assert [one.item for one in views.items(reader, COUNTY)] == [reported["item"]]
            assert view(city, reported["item"]).manifest.hex == reported["manifest"]
            assert view(city, reported["item"]).revisions == 1

    play(story, PROVINCE, CITY, COUNTY)


def view(node: Any, item: str) -> Any:
    with node.world.state.read() as reader:
        return views.item(reader, item)


def known(node: Any, item: str) -> bool:
    try:
        view(node, item)
    except Missing:
        return False
    return True


def test_a_later_revision_in_the_log_is_told(play: Callable[..., None]) -> None:
    async def story(town: Any) -> None:
        county, city = town.node(COUNTY), town.node(CITY)
        item = (await town.report(COUNTY, FILES))["item"]
        await town.quiet()
        disk = await packed(county.disks, item)
        await town.report(COUNTY, {"c.txt": "卷三".encode()}, item=item)
        await town.quiet()
        assert (await receive(city, disk))["status"] == "superseded"

    play(story, PROVINCE, CITY, COUNTY)


def test_only_who_is_above_takes_a_disk_in(play: Callable[..., None]) -> None:
    async def story(town: Any) -> None:
        item = (await town.report(COUNTY, FILES))["item"]
        await town.quiet()
        disk = await packed(town.node(COUNTY).disks, item)
        with pytest.raises(Forbidden, match="an office above it"):
            await receive(town.node(CITY2), disk)
        with pytest.raises(Forbidden, match="its owner"):
            await town.node(CITY).disks.pack(item)
        with pytest.raises(Missing, match="reported here"):
            await town.node(COUNTY).disks.pack(mint_item(COUNTY, bytes(8)))

    play(story, PROVINCE, CITY, CITY2, COUNTY)


def restated(disk: Contents, **changes: Any) -> Contents:
    signed = json.loads(disk[STATEMENT])
    signed["statement"] |= changes
    return disk | {STATEMENT: encode_json(signed)}


def test_a_disk_that_was_changed_is_refused(play: Callable[..., None]) -> None:
    async def story(town: Any) -> None:
        county, city = town.node(COUNTY), town.node(CITY)
        cut_off(county)
        item = (await town.report(COUNTY, FILES))["item"]
        disk = await packed(county.disks, item)
        text = "data/卷一/a.txt"
        signed = json.loads(disk[STATEMENT])
        fewer = signed["statement"]["files"][:-1]
        bad: list[tuple[Contents, type[FangzhiError]]] = [
            (restated(disk, made=1), ProofError),
            (restated(disk, files=fewer), ProofError),
            (restated(disk, network="0" * 64), ProofError),
            (restated(disk, office=str(CITY)), ProofError),
            (restated(disk, format="other"), DecodeError),
            (restated(disk, strange=1), DecodeError),
            (restated(disk, events=[]), DecodeError),
            (restated(disk, events=signed["statement"]["events"][1:]), DecodeError),
            (restated(disk, files=[["x", "zz", 1]]), DecodeError),
            (disk | {STATEMENT: disk[STATEMENT] + b" "}, DecodeError),
            ({path: data for path, data in disk.items() if path != STATEMENT}, Missing),
            ({path: data for path, data in disk.items() if path != text}, ProofError),
            (disk | {text: disk[text] + b"!"}, ProofError),
            (disk | {text: disk[text][:-1] + b"!"}, Corrupt),
            (disk | {"fangzhi/manifest.json": b"{}"}, FangzhiError),
            (disk | {"data/more.txt": b"x"}, Rejected),
        ]
        for contents, error in bad:
            with pytest.raises(error):
                await receive(city, contents)
            with city.world.ledger.read() as reader:
                assert next(reader.scan(DISK), None) is None
        await receive(city, disk)

    play(story, PROVINCE, CITY, COUNTY)


def test_what_is_not_open_travels_sealed_or_not_at_all(play: Callable[..., None]) -> None:
    async def story(town: Any) -> None:
        county, city = town.node(COUNTY), town.node(CITY)
        cut_off(county)
        item = (await town.report(COUNTY, FILES, rights="office"))["item"]
        with pytest.raises(Rejected, match="only encrypted"):
            await county.disks.pack(item)
        county.sequencer.gates[COUNTY].is_open = True
        await county.sequencer.drain(COUNTY)
        await town.quiet()
        await town.until(lambda: view(county, item).seal is not None)
        disk = await packed(county.disks, item)
        assert not any(data in b"".join(disk.values()) for data in FILES.values())
        await town.quiet()
        await receive(city, disk)
        assert city.world.blobs.size(view(county, item).seal) is not None

    play(story, PROVINCE, CITY, COUNTY)
