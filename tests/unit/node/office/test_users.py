"""Named users: enrolled by their office, heard within their roles, retired."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ledger import logbook, views
from ledger.events import KeyRetire, parse_event
from protocol.errors import DecodeError, Forbidden, Missing
from protocol.ids import OfficeCode

PROVINCE, CITY, COUNTY = map(OfficeCode, ("320000", "320500", "320581"))
Play = Callable[..., None]


def signers(town: Any, code: OfficeCode) -> dict[str, list[str]]:
    """By kind of event, who signed each: a key id."""
    found: dict[str, list[str]] = {}
    with town.node(code).world.ledger.read() as reader:
        for entry in logbook.entries(reader, code, 0, logbook.head(reader, code).size):
            event = parse_event(entry)
            found.setdefault(event.kind, []).append(event.signer.hex())
    return found


def test_what_a_user_says_carries_their_key(play: Play) -> None:
    async def story(town: Any) -> None:
        county, city = town.node(COUNTY), town.node(CITY)
        clerk = (await county.users.enroll("", " 王秀兰 ", ("clerk",)))["key"]
        reviewer = (await city.users.enroll(CITY, "李明", ("reviewer",)))["key"]
        head = (await county.users.enroll(COUNTY, "赵", ("administrator",)))["key"]
        await town.quiet()
        listed = await county.users.listed()
        assert {(u["key"], u["name"], u["counts"]) for u in listed} == {
            (clerk, "王秀兰", True),
            (head, "赵", True),
        }
        item = (await town.report(COUNTY, {"a.txt": "甲".encode()}, **{"as": clerk[:8]}))["item"]
        await town.quiet()
        await city.desk.review(item, "pass", "", reviewer)
        await town.quiet()
        await county.desk.withdraw(item, "重印", head)
        await town.quiet()
        said = signers(town, COUNTY)
        assert said["version.upload"] == said["text.derive"] == [clerk]
        assert said["version.withdraw"] == [head]
        assert said["hold.take"] != [clerk], "what a node does by itself its office says"
        assert signers(town, CITY)["review.accept"] == [reviewer]
        with town.node(PROVINCE).world.state.read() as reader:
            assert views.item(reader, item).status == "withdrawn"
            assert list(views.findings(reader)) == []
            assert b"\xe7\x8e\x8b" not in b"".join(value for _, value in reader.scan("enrolled"))

    play(story, PROVINCE, CITY, COUNTY)


def test_what_a_user_may_not_say_is_refused_before_it_is_signed(play: Play) -> None:
    async def story(town: Any) -> None:
        county, city = town.node(COUNTY), town.node(CITY)
        clerk = (await county.users.enroll(COUNTY, "王", ("clerk",)))["key"]
        await town.quiet()
        item = (await town.report(COUNTY, {"a.txt": "甲".encode()}))["item"]
        await town.quiet()
        sizes = [town.node(code).log_size(code) for code in (COUNTY, CITY)]
        with pytest.raises(Forbidden, match="administrator"):
            await county.desk.withdraw(item, "误", clerk)
        with pytest.raises(Missing, match="user"):
            await city.desk.review(item, "pass", "", clerk)  # a user of another office
        for typed in ("01", clerk[:3], "f" * 32):
            with pytest.raises(Missing):
                await county.desk.withdraw(item, "误", typed)
        for name, roles in (("", ("clerk",)), ("王", ()), ("王", ("king",)), ("王\n", ("clerk",))):
            with pytest.raises(DecodeError):
                await county.users.enroll(COUNTY, name, roles)
        with pytest.raises(Forbidden, match="hosted here"):
            await county.users.enroll(CITY, "王", ("clerk",))

        intake = county.intake
        files = [{"path": "b.txt", "size": 3}]
        asked = {"record": {"title": "又一部"}, "files": files, "as": clerk}
        begun = await intake.begin(asked)
        assert [town.node(code).log_size(code) for code in (COUNTY, CITY)] == sizes
        assert (await county.users.retire(clerk))["status"] == "retired"
        await town.quiet()
        with pytest.raises(Forbidden, match="retired"):
            await intake.begin(asked)
        with pytest.raises(Forbidden, match="retired"):
            await intake.receive(begun["report"], 0, stream("乙".encode()))
        with pytest.raises(Forbidden, match="retired"):
            await intake.status(begun["report"])
        with pytest.raises(Forbidden, match="retired"):
            await county.users.retire(clerk)
        with pytest.raises(Missing):
            await county.users.retire("ffffff")

    async def stream(data: bytes) -> Any:
        yield data

    play(story, PROVINCE, CITY, COUNTY)


@pytest.mark.parametrize("retired", [False, True])
def test_a_draft_that_waits_keeps_who_said_it(play: Play, retired: bool) -> None:
    async def story(town: Any) -> None:
        county = town.node(COUNTY)
        clerk = (await county.users.enroll(COUNTY, "王", ("clerk",)))["key"]
        await town.quiet()
        town.cluster.cut([COUNTY])
        county.sequencer.gates[COUNTY].is_open = False
        spooled = await town.report(COUNTY, {"a.txt": "甲".encode()}, **{"as": clerk})
        assert spooled["status"] == "spooled"
        if retired:
            county.sequencer.gates[COUNTY].is_open = True
            # somebody retires the key at the very moment in which the gate opens
            bodies = (KeyRetire(bytes.fromhex(clerk)),)
            with county.world.ledger.read() as reader:
                waiting = list(reader.scan("spool"))
            await county.world.ledger.write(lambda w: [w.delete("spool", k) for k, _ in waiting])
            await county.sequencer.append(COUNTY, bodies)
            await county.folding.advance()
            await county.world.ledger.write(lambda w: [w.put("spool", k, v) for k, v in waiting])
            county.sequencer.gates[COUNTY].is_open = False
        town.cluster.heal([COUNTY])
        await town.until(town.all_open)
        await town.quiet()
        (signer,) = signers(town, COUNTY)["version.upload"]
        assert (signer == clerk) is not retired
        with town.node(PROVINCE).world.state.read() as reader:
            assert views.item(reader, spooled["item"]).status == "submitted"
            assert list(views.findings(reader)) == []

    play(story, PROVINCE, CITY, COUNTY)
