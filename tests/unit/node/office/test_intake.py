"""Reports at a real office: what is refused, interrupted or repeated leaves nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest

from ledger import views
from node.office.catalog import find, read_small
from node.office.drafts import TABLES as DRAFTS
from protocol.errors import DecodeError, Forbidden, Full, Missing, Rejected
from protocol.ids import OfficeCode
from protocol.limits import CHUNK_BYTES, REPORTS_OPEN_MAX
from protocol.records import Manifest, parse_manifest

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
        return sum(1 for table in DRAFTS for _ in reader.scan(table))


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


def asked(files: dict[str, int], title: str = "志", **fields: Any) -> dict[str, Any]:
    listed = [{"path": path, "size": size} for path, size in files.items()]
    return {"record": {"title": title}, "files": listed, **fields}


def test_an_interrupted_upload_goes_on_where_it_was(play: Callable[..., None]) -> None:
    async def story(town: Any) -> None:
        node, host = town.node(PROVINCE), town.hosts[PROVINCE]
        intake = node.intake
        request = asked({"a.txt": len(TEXT)})
        begun = await intake.begin(request)
        report = begun["report"]
        assert begun["files"] == [{"path": "a.txt", "size": len(TEXT), "offset": 0}]
        with pytest.raises(ConnectionResetError):
            await intake.receive(report, 0, broken(TEXT[:9]))
        assert (await intake.upload(report, 0)).offset == 9
        with pytest.raises(Rejected, match="what follows byte 9"):
            await intake.receive(report, 0, stream(TEXT))
        with pytest.raises(DecodeError, match="bytes as announced"):
            await intake.receive(report, 0, stream(TEXT[9:-1] + b"xyz"), 9)
        assert (await intake.upload(report, 0)).offset == 9
        with pytest.raises(Rejected, match="every file received"):
            await intake.submit(report)
        with pytest.raises(Missing, match="files 0 to 0"):
            await intake.receive(report, 1, stream(TEXT))
        await host.crash()
        await host.start()
        intake = town.node(PROVINCE).intake
        again = await intake.begin(request)
        assert (again["report"], again["item"]) == (report, begun["item"])
        assert again["files"][0]["offset"] == 9
        done = await intake.receive(report, 0, stream(TEXT[9:]), 9)
        assert done.offset == len(TEXT)
        with pytest.raises(Rejected, match="what follows byte"):
            await intake.receive(report, 0, stream(TEXT))
        assert (await intake.submit(report))["status"] == "submitted"
        with pytest.raises(Missing, match="not yet submitted"):
            await intake.submit(report)
        assert drafts(town.node(PROVINCE)) == 0

    play(story, PROVINCE)


def test_who_sends_the_same_file_last_goes_on(play: Callable[..., None]) -> None:
    async def story(town: Any) -> None:
        intake = town.node(PROVINCE).intake
        report = (await intake.begin(asked({"a.txt": 6})))["report"]
        stuck = asyncio.Event()

        async def dead_line() -> AsyncIterator[bytes]:
            yield b"abc"
            await stuck.wait()
            yield b"XYZ"

        async with asyncio.TaskGroup() as group:
            first = group.create_task(refused(intake.receive(report, 0, dead_line())))
            await asyncio.sleep(1)
            assert (await intake.receive(report, 0, stream(b"abcdef"))).offset == 6
            stuck.set()
        assert "sends it anew" in str(first.result())
        assert (await intake.submit(report))["status"] == "submitted"

    async def refused(sending: Any) -> Rejected:
        with pytest.raises(Rejected) as caught:
            await sending
        return caught.value

    play(story, PROVINCE)


def test_a_silent_line_is_given_up_and_its_bytes_are_kept(play: Callable[..., None]) -> None:
    async def story(town: Any) -> None:
        intake = town.node(PROVINCE).intake
        report = (await intake.begin(asked({"a.txt": 6})))["report"]

        async def silent() -> AsyncIterator[bytes]:
            yield b"abc"
            await asyncio.sleep(3600)

        with pytest.raises(DecodeError, match="silence"):
            await intake.receive(report, 0, silent())
        assert (await intake.upload(report, 0)).offset == 3

    play(story, PROVINCE)


def test_forgetting_stops_an_upload_between_two_chunks(play: Callable[..., None]) -> None:
    async def story(town: Any) -> None:
        node = town.node(PROVINCE)
        intake = node.intake
        report = (await intake.begin(asked({"a.bin": 3 * CHUNK_BYTES})))["report"]

        async def body() -> AsyncIterator[bytes]:
            yield bytes(CHUNK_BYTES)
            await intake.forget(report)
            yield bytes(CHUNK_BYTES)

        with pytest.raises(Missing, match="submitted or forgotten"):
            await intake.receive(report, 0, body())
        assert (drafts(node), blobs(node), len(node.world.blobs._left)) == (0, [], 0)

    play(story, PROVINCE)


def test_retiring_a_user_stops_an_upload_between_two_chunks(play: Callable[..., None]) -> None:
    async def story(town: Any) -> None:
        node = town.node(PROVINCE)
        intake = node.intake
        clerk = (await node.users.enroll(PROVINCE, "王", ("clerk",)))["key"]
        await town.quiet()
        request = asked({"a.bin": 3 * CHUNK_BYTES}, **{"as": clerk})
        report = (await intake.begin(request))["report"]

        async def body() -> AsyncIterator[bytes]:
            yield bytes(CHUNK_BYTES)
            await node.users.retire(clerk)
            await town.quiet()
            yield bytes(CHUNK_BYTES)

        with pytest.raises(Forbidden, match="retired"):
            await intake.receive(report, 0, body())
        with node.world.ledger.read() as reader:
            assert reader.get("arrived", report.encode() + bytes(4)) == b""  # not whole

    play(story, PROVINCE)


def test_a_file_that_was_dropped_is_sent_anew(play: Callable[..., None]) -> None:
    async def story(town: Any) -> None:
        node = town.node(PROVINCE)
        intake = node.intake
        report = (await intake.begin(asked({"a.txt": 3, "b.txt": 3})))["report"]
        await intake.receive(report, 0, stream(b"abc"))
        await intake.receive(report, 1, stream(b"d"))
        for number in (0, 1):
            await intake.drop(report, number)
            assert (await intake.upload(report, number)).offset == 0
        assert blobs(node) == []
        await intake.receive(report, 0, stream(b"ABC"))
        await intake.receive(report, 1, stream(b"DEF"))
        assert (await intake.submit(report))["status"] == "submitted"

    play(story, PROVINCE)


def test_forgotten_reports_go_but_what_others_use_stays(play: Callable[..., None]) -> None:
    async def story(town: Any) -> None:
        node, host = town.node(PROVINCE), town.hosts[PROVINCE]
        intake = node.intake
        await town.report(PROVINCE, {"a.txt": TEXT})
        await town.quiet()
        kept = blobs(node)
        request = asked({"same.txt": len(TEXT), "new.txt": 3, "part.txt": 9}, title="另一部")
        report = (await intake.begin(request))["report"]
        await intake.receive(report, 0, stream(TEXT))
        await intake.receive(report, 1, stream(b"new"))
        await intake.receive(report, 2, stream(b"part"))
        assert len(blobs(node)) == len(kept) + 1
        assert await intake.expire() == 0
        host.clock.offset_ms += 47 * 3_600_000
        await intake.receive(report, 2, stream(b"!"), 4)
        host.clock.offset_ms += 2 * 3_600_000
        assert await intake.expire() == 0  # a byte came meanwhile
        host.clock.offset_ms += 47 * 3_600_000
        assert await intake.expire() == 1
        assert (blobs(node), drafts(node), len(node.world.blobs._left)) == (kept, 0, 0)

    play(story, PROVINCE)


def test_room_is_kept_for_reports_that_are_open(play: Callable[..., None]) -> None:
    async def story(town: Any) -> None:
        intake = town.node(PROVINCE).intake
        free = intake._reserve_bytes + 1000
        intake._world = replace(intake._world, free_bytes=lambda: free)
        first = (await intake.begin(asked({"a.txt": 600})))["report"]
        with pytest.raises(Full, match="room for 500 bytes"):
            await intake.begin(asked({"b.txt": 500}, title="又一部"))
        await intake.forget(first)
        assert (await intake.begin(asked({"b.txt": 500}, title="又一部")))["status"] == "open"

    play(story, PROVINCE)


def test_reports_are_not_opened_without_end(play: Callable[..., None]) -> None:
    async def story(town: Any) -> None:
        intake = town.node(PROVINCE).intake
        for number in range(REPORTS_OPEN_MAX):
            await intake.begin(asked({"a.txt": 1}, title=f"第{number}部"))
        with pytest.raises(Rejected, match="open reports"):
            await intake.begin(asked({"a.txt": 1}, title="再一部"))

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
        (said,) = again["findings"]
        for part in (first["item"], "《志》", "江苏省", "2027-"):
            assert part in said["zh"]
        assert said["severity"] == "warning"
        assert again["item"] != first["item"]
        assert len(blobs(node)) == before + 3  # manifest, findings, pages: not the file

    play(story, PROVINCE)


def test_what_others_keep_to_themselves_is_not_told(play: Callable[..., None]) -> None:
    async def story(town: Any) -> None:
        await town.report(COUNTY, {"a.txt": TEXT}, rights="open")
        await town.quiet()
        mine = await town.report(CITY, {"a.txt": TEXT}, title="志")
        assert codes(mine) == set()  # not reviewed yet, so not the city's to know
        public = await town.public_item(COUNTY, "常熟沿革")
        await town.quiet()
        again = await town.report(CITY, {"b.txt": "常熟沿革".encode()}, title="又")
        assert [public in found["zh"] for found in again["findings"]] == [True]

    play(story, PROVINCE, CITY, COUNTY)


def test_a_near_title_is_a_question_first(play: Callable[..., None]) -> None:
    async def story(town: Any) -> None:
        node = town.node(PROVINCE)
        intake = node.intake
        record = {"title": "《蘇州府志》", "volume": "卷一"}
        first = await town.report(PROVINCE, {"a.txt": TEXT}, record=record)
        await town.quiet()
        near = asked({"b.txt": 3}, record={"title": "苏州府志 第1卷"})
        question = await intake.begin(near)
        assert (question["status"], question["report"]) == ("question", "")
        assert codes(question) == {"Q012"}
        assert first["item"] in question["findings"][0]["zh"]
        assert drafts(node) == 0
        for other in ({"title": "苏州府志"}, {"title": "苏州府志", "volume": "二"}):
            opened = await intake.begin(asked({"b.txt": 3}, record=other))
            assert opened["status"] == "open"
            await intake.forget(opened["report"])
        revision = await intake.begin(near | {"item": first["item"]})
        assert revision["status"] == "open"
        begun = await intake.begin(near | {"confirm": True})
        await intake.receive(begun["report"], 0, stream(b"abc"))
        done = await intake.submit(begun["report"])
        assert (done["status"], codes(done)) == ("submitted", {"Q012"})  # the reviewer sees it

    play(story, PROVINCE)


def test_a_near_title_that_came_meanwhile_is_asked_about_at_the_end(
    play: Callable[..., None],
) -> None:
    async def story(town: Any) -> None:
        intake = town.node(PROVINCE).intake
        begun = [await intake.begin(asked({name: 3})) for name in ("a.txt", "b.txt")]
        for each in begun:
            await intake.receive(each["report"], 0, stream(each["files"][0]["path"][:3].encode()))
        assert (await intake.submit(begun[0]["report"]))["status"] == "submitted"
        late = begun[1]["report"]
        question = await intake.submit(late)
        assert (question["status"], codes(question)) == ("question", {"Q012"})
        assert (await intake.submit(late, confirm=True))["status"] == "submitted"

    play(story, PROVINCE)


def test_a_withdrawn_item_is_no_near_one(play: Callable[..., None]) -> None:
    async def story(town: Any) -> None:
        node = town.node(PROVINCE)
        first = await town.report(PROVINCE, {"a.txt": TEXT})
        await town.quiet()
        await node.desk.withdraw(first["item"], "误报")
        await town.quiet()
        assert (await node.intake.begin(asked({"b.txt": 3})))["status"] == "open"

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


def test_a_revision_keeps_what_it_does_not_say(play: Callable[..., None]) -> None:
    async def story(town: Any) -> None:
        node = town.node(COUNTY)
        record = {"title": "常熟志", "kind": "旧志", "volume": "卷一"}
        first = await town.report(COUNTY, {"a.txt": TEXT}, record=record, rights="sealed")
        await town.quiet()

        async def revised(text: str, said: dict[str, str], **fields: str) -> Any:
            files = {"a.txt": text.encode()}
            answer = await town.report(COUNTY, files, record=said, item=first["item"], **fields)
            assert answer["status"] == "submitted"
            await town.quiet()
            with node.world.state.read() as reader:
                view = find(reader, first["item"])
                manifest = _manifest(reader, view)
            assert view.rights == manifest.rights
            return manifest

        again = await revised("常熟志 校勘", {"volume": "卷二"})
        assert (again.rights, again.record) == ("sealed", {**record, "volume": "卷二"})
        third = await revised("常熟志 定稿", {"kind": ""}, rights="office")
        assert (third.rights, third.record) == ("office", {"title": "常熟志", "volume": "卷二"})
        with pytest.raises(Forbidden, match="an item of 320500"):
            await town.node(CITY).intake.begin(asked({"b.txt": 3}, item=first["item"]))

    play(story, PROVINCE, CITY, COUNTY)


def _manifest(reader: Any, view: Any) -> Manifest:
    return parse_manifest(read_small(reader, view.manifest))
