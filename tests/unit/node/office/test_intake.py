"""Reports at a real office: what is refused, interrupted or repeated leaves nothing behind."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest

from ledger import views
from node.office.intake import REPORT
from protocol.errors import DecodeError, Forbidden, Full, Missing, Rejected
from protocol.ids import OfficeCode

PROVINCE, CITY, COUNTY = map(OfficeCode, ("320000", "320500", "320581"))
TEXT = "常熟縣志卷一 建置沿革".encode()


async def stream(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def broken(data: bytes) -> AsyncIterator[bytes]:
    yield data
    raise ConnectionResetError("the clerk's cable")


def codes(answer: dict[str, Any]) -> set[str]:
    return {finding["code"] for finding in answer["findings"]}


def drafts(node: Any) -> int:
    with node.world.ledger.read() as reader:
        return sum(1 for _ in reader.scan(REPORT))


def blobs(node: Any) -> list[Any]:
    return list(node.world.blobs.scan())


def test_what_cannot_be_taken_leaves_nothing(play: Callable[..., None]) -> None:
    async def story(town: Any) -> None:
        node = town.node(PROVINCE)
        size = node.log_size(PROVINCE)
        intake, one = node.intake, [{"path": "a.txt", "size": len(TEXT)}]
        for name in ("../../etc/passwd", "/etc/passwd", "a\nb.txt", "a/../b", "CON", ""):
            answer = await town.report(PROVINCE, {name: TEXT})
            assert (answer["status"], codes(answer)) == ("refused", {"Q401"})
        answer = await town.report(PROVINCE, {})
        assert codes(answer) == {"Q406"}
        for files, code in (
            ({"a.txt": b""}, "Q001"),
            ({"a.txt": "沿革".encode("gb18030") * 9}, "Q201"),
            ({"good.txt": TEXT, "bad.txt": b"abc \xff"}, "Q201"),
        ):
            answer = await town.report(PROVINCE, files)
            assert answer["status"] == "refused"
            assert code in codes(answer)
            assert not answer["pending"]
        with pytest.raises(DecodeError, match=r"report\.rights"):
            await intake.begin({"record": {"title": "志"}, "rights": "free", "files": one})
        with pytest.raises(Forbidden, match="hosted here"):
            await intake.begin({"office": CITY, "record": {"title": "志"}, "files": one})
        intake._world = replace(intake._world, free_bytes=lambda: 2**36)
        big = [{"path": f"{n}.bin", "size": 2**36} for n in range(2)]
        with pytest.raises(Full, match="above the reserve"):
            await intake.begin({"record": {"title": "志"}, "files": big})
        assert (drafts(node), blobs(node), node.log_size(PROVINCE)) == (0, [], size)

    play(story, PROVINCE)


def test_an_interrupted_upload_is_sent_again(play: Callable[..., None]) -> None:
    async def story(town: Any) -> None:
        node = town.node(PROVINCE)
        intake = node.intake
        one = [{"path": "a.txt", "size": len(TEXT)}]
        report = (await intake.begin({"record": {"title": "志"}, "files": one}))["report"]
        with pytest.raises(ConnectionResetError):
            await intake.receive(report, 0, broken(TEXT[:9]))
        for wrong in (TEXT[:-1], TEXT + b"x"):
            with pytest.raises(DecodeError, match="bytes as announced"):
                await intake.receive(report, 0, stream(wrong))
        assert blobs(node) == []
        with pytest.raises(Rejected, match="every file received"):
            await intake.submit(report)
        with pytest.raises(Missing, match="files 0 to 0"):
            await intake.receive(report, 1, stream(TEXT))
        await intake.receive(report, 0, stream(TEXT[:5], TEXT[5:]))
        assert (await intake.submit(report))["status"] == "submitted"
        with pytest.raises(Missing, match="not yet submitted"):
            await intake.submit(report)
        assert drafts(node) == 0

    play(story, PROVINCE)


def test_forgotten_reports_go_but_what_others_use_stays(play: Callable[..., None]) -> None:
    async def story(town: Any) -> None:
        node, host = town.node(PROVINCE), town.hosts[PROVINCE]
        intake = node.intake
        await town.report(PROVINCE, {"a.txt": TEXT})
        await town.quiet()
        kept = blobs(node)
        files = [{"path": "same.txt", "size": len(TEXT)}, {"path": "new.txt", "size": 3}]
        report = (await intake.begin({"record": {"title": "志"}, "files": files}))["report"]
        await intake.receive(report, 0, stream(TEXT))
        await intake.receive(report, 1, stream(b"new"))
        assert len(blobs(node)) == len(kept) + 1
        assert await intake.expire(48) == 0
        host.clock.offset_ms += 49 * 3_600_000
        assert await intake.expire(48) == 1
        assert (blobs(node), drafts(node)) == (kept, 0)

    play(story, PROVINCE)


def test_the_same_file_twice_is_stored_once_and_said(play: Callable[..., None]) -> None:
    async def story(town: Any) -> None:
        node = town.node(PROVINCE)
        first = await town.report(PROVINCE, {"a.txt": TEXT, "b.txt": TEXT})
        assert (first["status"], codes(first)) == ("submitted", {"Q010"})
        await town.quiet()
        before = len(blobs(node))
        again = await town.report(PROVINCE, {"c.txt": TEXT}, title="另一部")
        assert (again["status"], codes(again)) == ("submitted", {"Q011"})
        assert first["item"] in again["findings"][0]["zh"]
        assert again["item"] != first["item"]
        assert len(blobs(node)) == before + 3  # manifest, findings, pages: not the file

    play(story, PROVINCE)


def test_a_revision_is_the_owners(play: Callable[..., None]) -> None:
    async def story(town: Any) -> None:
        item = (await town.report(COUNTY, {"a.txt": TEXT}))["item"]
        await town.quiet()
        with pytest.raises(Forbidden, match=f"an item of {CITY}"):
            await town.report(CITY, {"a.txt": b"theirs"}, item=item)
        with pytest.raises(DecodeError, match="mistyped"):
            await town.report(COUNTY, {"a.txt": b"x"}, item=item[:-1] + "0")
        before = town.node(COUNTY)
        with before.world.state.read() as reader:
            old = views.item(reader, item)
        second = await town.report(COUNTY, {"a.txt": TEXT + b"!"}, item=item)
        assert (second["item"], codes(second)) == (item, set())
        await town.quiet()
        with town.node(PROVINCE).world.state.read() as reader:
            view = views.item(reader, item)
        assert (view.revisions, view.manifest != old.manifest) == (2, True)

    play(story, PROVINCE, CITY, COUNTY)
