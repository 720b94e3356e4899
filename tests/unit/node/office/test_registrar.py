"""Changes of the roster in a town of real nodes: drafted, signed, applied, lived with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from configs.offices import load
from ledger import views
from ledger.checkpoint import log_key, open_checkpoint
from ledger.genesis import Genesis
from ledger.note import ED25519, NoteKey, parse_note
from node.hands.keys import make_office_keys
from node.office.answers import PUBLIC, Question
from node.office.changefile import ChangeFile, add_signature
from node.office.membership import write_request
from protocol.errors import ConfigError, DecodeError, Forbidden, Missing, ProofError, Rejected
from protocol.ids import OfficeCode
from protocol.keys import SigningKey
from simulations.clock import SimRng

PROVINCE, CITY, CITY2, COUNTY, COUNTY2 = map(
    OfficeCode, ("320000", "320500", "320600", "320581", "320681")
)
TABLE = load("jiangsu")
Play = Callable[..., None]


def request(code: OfficeCode, seed: int = 1) -> str:
    keys = {code: make_office_keys(code, SimRng(seed, code).random_bytes)}
    return write_request(keys, bytes(32), "", "http://x").decode()


def test_who_may_be_admitted(play: Play) -> None:
    async def story(town: Any) -> None:
        registrar = town.node(PROVINCE).registrar
        (body,) = registrar.draft({"admit": [request(COUNTY)]}, TABLE).changes
        assert (body.parent, body.tier, body.name) == (CITY, "county", "常熟市")
        with pytest.raises(ProofError, match="no such"):  # its parent has not been admitted
            registrar.draft({"admit": [request(COUNTY2)]}, TABLE)
        both = registrar.draft({"admit": [request(COUNTY2), request(CITY2)]}, TABLE)
        assert [body.code for body in both.changes] == [CITY2, COUNTY2], "parents first"
        with pytest.raises(Missing, match="table of offices"):
            registrar.draft({"admit": [request(OfficeCode("999999"))]}, TABLE)
        stolen = {COUNTY: replace(town.hosts[CITY].keys, code=COUNTY)}
        text = write_request(stolen, bytes(32), "", "").decode()
        with pytest.raises(ProofError, match="nobody ever had"):
            registrar.draft({"admit": [text]}, TABLE)
        rows = [replace(row, parent=PROVINCE) if row.code == COUNTY else row for row in TABLE]
        with pytest.raises(ProofError, match="as parent"):
            registrar.draft({"admit": [request(COUNTY)]}, rows)
        with pytest.raises(ProofError, match="new office or a revoked one"):
            registrar.draft({"admit": [request(CITY)]}, TABLE)
        for nonsense in ({}, {"move": CITY}, {"revoke": 1}, {"admit": "x"}):
            with pytest.raises((DecodeError, Missing)):
                registrar.draft(nonsense, TABLE)

    play(story, PROVINCE, CITY)


def test_what_is_not_applied(play: Play) -> None:
    async def story(town: Any) -> None:
        registrar, root = town.node(PROVINCE).registrar, town.cluster.root
        file = registrar.draft({"rename": CITY, "name": "姑苏"}, TABLE)
        with pytest.raises(ProofError, match="1 root signatures"):
            await registrar.apply(file)
        with pytest.raises(Forbidden, match="the provincial node"):
            await town.node(CITY).registrar.apply(add_signature(file, root))
        stranger = SigningKey.from_seed(bytes(32))
        roots = (NoteKey("other", ED25519, stranger.public),)
        other = ChangeFile(Genesis("other", PROVINCE, 1, roots, bytes(32)), (), file.changes)
        with pytest.raises(Forbidden, match="another network"):
            await registrar.apply(add_signature(other, stranger))
        signed = add_signature(file, root)
        await registrar.apply(signed)
        with pytest.raises(Rejected, match="another one came first"):
            await registrar.apply(signed)
        assert town.node(PROVINCE).folding.roster.member(CITY).name == "姑苏"

        with pytest.raises(ConfigError, match="policy file"):
            registrar.draft({"policy": "cities = 2"}, TABLE)
        policy = {"policy": "city_county = 1\nprovince = 1\noutside_needed = 0\n"}
        stale = add_signature(registrar.draft(policy, TABLE), root)
        await town.office.change(policy)
        assert town.node(CITY).folding.roster.rules.version == 2
        with pytest.raises(Rejected, match="witness policy"):
            await registrar.apply(stale)

    play(story, PROVINCE, CITY)


def test_a_revocation_takes_the_last_anchored_checkpoint(play: Play) -> None:
    async def story(town: Any) -> None:
        registrar = town.node(PROVINCE).registrar
        with pytest.raises(Missing, match="anchored"):
            registrar.draft({"revoke": COUNTY}, TABLE)
        sizes = []
        for text in ("一", "二"):
            await town.report(COUNTY, {"a.txt": text.encode()})
            await town.quiet()
            await town.node(CITY).notary.anchor_all()
            await town.quiet()
            sizes.append(town.node(PROVINCE).log_size(COUNTY))
        await town.report(COUNTY, {"a.txt": "三".encode()})
        (body,) = registrar.draft({"revoke": COUNTY}, TABLE).changes
        assert body.log_size == sizes[-1]
        (body,) = registrar.draft({"revoke": COUNTY, "at": sizes[0]}, TABLE).changes
        assert body.log_size == sizes[0]
        with pytest.raises(Missing, match="one of size"):
            registrar.draft({"revoke": COUNTY, "at": sizes[0] + 1}, TABLE)

    play(story, PROVINCE, CITY, COUNTY)


def test_a_running_node_changes_over_to_its_next_keys(play: Play) -> None:
    async def story(town: Any) -> None:
        node, host = town.node(COUNTY), town.hosts[COUNTY]
        item = str((await town.report(COUNTY, {"a.txt": "甲".encode()}))["item"])
        await town.quiet()
        size = node.log_size(COUNTY)
        await town.office.rotate(COUNTY)
        _, new = host.folder.generations[COUNTY]
        assert node.keys[COUNTY] is new
        origin = town.cluster.genesis.origin(COUNTY)
        key = log_key(origin, new.log.public)

        def resigned() -> bool:
            with town.node(PROVINCE).world.ledger.read() as reader:
                note = reader.get("note", COUNTY.encode())
            return any(line.key_id == key.id for line in parse_note(note).signatures)

        await town.until(resigned)  # nobody had to say anything for this
        with town.node(PROVINCE).world.ledger.read() as reader:
            checkpoint, _ = open_checkpoint(reader.get("note", COUNTY.encode()), (key,))
        assert checkpoint.size == size
        await town.report(COUNTY, {"b.txt": "乙".encode()})
        await town.quiet()
        assert town.node(PROVINCE).log_size(COUNTY) > size
        with town.node(PROVINCE).world.state.read() as reader:
            assert list(views.findings(reader)) == []
        await town.node(CITY).desk.review(item, "pass", "")
        # both ways of starting again: as it is, and without having heard
        await host.stop()
        await host.start()
        await town.until(lambda: town.all_open() and CITY in town.node(COUNTY).links.live())
        assert town.node(COUNTY).links.counters["remote.link.key"] <= 2

    play(story, PROVINCE, CITY, COUNTY)


def test_a_node_that_was_off_while_its_keys_changed_finds_its_way_back(play: Play) -> None:
    async def story(town: Any) -> None:
        await town.hosts[COUNTY].stop()
        await town.office.rotate(COUNTY)
        await town.hosts[COUNTY].start()
        await town.until(town.all_open)
        assert town.node(COUNTY).keys[COUNTY] is town.hosts[COUNTY].folder.generations[COUNTY][1]
        report = await town.report(COUNTY, {"a.txt": "甲".encode()})
        assert report["status"] == "submitted"
        await town.quiet()

    play(story, PROVINCE, CITY, COUNTY)


def test_revoked_and_admitted_again_with_new_keys(play: Play) -> None:
    async def story(town: Any) -> None:
        kept = await town.public_item(COUNTY, "甲")
        await town.node(CITY).notary.anchor_all()
        await town.quiet()
        size = town.node(PROVINCE).log_size(COUNTY)
        await town.office.change({"revoke": COUNTY})
        node = town.node(COUNTY)
        assert "revoked" in node.sequencer.gates[COUNTY].barred
        report = await town.report(COUNTY, {"b.txt": "乙".encode()})
        assert report["status"] == "spooled", "what is reported meanwhile is kept"
        ailments = [a.code for a in await node.upkeep.examine(False, lambda *_: None)]
        assert "office.barred" in ailments
        await asyncio.sleep(10)  # its links are gone now
        text = town.office.next_keys(COUNTY, lost=True)
        registrar = town.node(PROVINCE).registrar
        with pytest.raises(ProofError, match="present event key"):
            registrar.draft({"rotate": [text]}, TABLE)
        await town.office.change({"admit": [text]})
        await town.until(town.all_open)
        await town.until(lambda: town.node(PROVINCE).log_size(COUNTY) > size)
        await town.quiet()
        for code in (PROVINCE, CITY, COUNTY):
            assert not town.node(code).sequencer.spooled()
            with town.node(code).world.state.read() as reader:
                assert list(views.findings(reader)) == []
                assert views.item(reader, kept).public
                assert views.item(reader, report["item"]).status == "submitted"

    play(story, PROVINCE, CITY, COUNTY)


def test_an_office_that_moves_dials_its_new_parent(play: Play) -> None:
    async def story(town: Any) -> None:
        item = await town.public_item(COUNTY, "虞山")
        assert CITY2 not in town.node(COUNTY).links.live()
        await town.office.change({"move": COUNTY, "parent": CITY2})
        await town.until(lambda: CITY2 in town.node(COUNTY).links.live())
        await town.quiet()
        with town.node(CITY2).world.state.read() as reader:
            assert CITY2 not in views.item(reader, item).holders, "a copy stays where it is"
        second = str((await town.report(COUNTY, {"b.txt": "乙".encode()}))["item"])
        await town.quiet()
        with pytest.raises(Forbidden):
            await town.node(CITY).desk.review(second, "pass", "")
        await town.node(CITY2).desk.review(second, "pass", "")

    play(story, PROVINCE, CITY, CITY2, COUNTY)


def test_who_comes_after_an_abolished_office(play: Play) -> None:
    async def story(town: Any) -> None:
        item = await town.public_item(COUNTY, "虞山胜迹")
        await town.node(CITY).notary.anchor_all()
        await town.quiet()
        await town.office.change({"abolish": COUNTY, "successor": COUNTY2})
        gone, heir = town.node(COUNTY), town.node(COUNTY2)
        await town.until(lambda: COUNTY2 in gone.sequencer.gates[COUNTY].barred)
        assert "已撤并" in gone.sequencer.gates[COUNTY].why_shut(0)
        with pytest.raises(Forbidden, match="hosted here"):
            await town.report(COUNTY, {"c.txt": b"x"}, office=COUNTY)
        await town.hosts[COUNTY].stop()
        await town.quiet()

        # the heir keeps the files, and the shard is answered for without the office
        with heir.world.state.read() as reader:
            assert COUNTY2 in views.item(reader, item).holders
        for code in (PROVINCE, CITY2, COUNTY2):
            answer = await town.node(code).searcher.search(Question("虞山胜迹"), PUBLIC)
            assert [hit.item for hit in answer.hits] == [item], code
            assert answer.coverage.missing == ()

        # and acts for the item
        again = await town.report(COUNTY2, {"d.txt": "新版".encode()}, item=item)
        assert again["status"] == "submitted"
        await town.quiet()
        await town.node(CITY2).desk.review(item, "pass", "")
        await town.quiet()
        await heir.desk.withdraw(item, "重印")
        await town.quiet()
        with town.node(PROVINCE).world.state.read() as reader:
            assert views.item(reader, item).status == "withdrawn"
            assert list(views.findings(reader)) == []

    play(story, PROVINCE, CITY, CITY2, COUNTY, COUNTY2)


def test_a_node_that_was_off_while_its_keys_were_closed_learns_it(play: Play) -> None:
    async def story(town: Any) -> None:
        await town.report(COUNTY, {"a.txt": "甲".encode()})
        await town.quiet()
        await town.node(CITY).notary.anchor_all()
        await town.quiet()
        await town.hosts[COUNTY].stop()
        await town.office.change({"revoke": COUNTY})
        await town.hosts[COUNTY].start()
        await town.until(lambda: "revoked" in town.node(COUNTY).sequencer.gates[COUNTY].barred)
        assert COUNTY not in town.node(CITY).links.live(), "and is no office until it is back"
        await town.hosts[COUNTY].stop()
        await town.office.change({"admit": [town.office.next_keys(COUNTY, lost=True)]})
        await town.hosts[COUNTY].start()
        await town.until(town.all_open)
        await town.report(COUNTY, {"b.txt": "乙".encode()})
        await town.quiet()
        for code in (PROVINCE, CITY, COUNTY):
            with town.node(code).world.state.read() as reader:
                assert list(views.findings(reader)) == []

    play(story, PROVINCE, CITY, COUNTY)


def test_a_node_that_was_off_while_its_keys_were_closed_signs_nothing_with_them(play: Play) -> None:
    async def story(town: Any) -> None:
        await town.report(COUNTY, {"a.txt": "甲".encode()})
        await town.quiet()
        await town.node(CITY).notary.anchor_all()
        await town.quiet()
        await town.hosts[COUNTY].stop()
        town.cluster.cut([COUNTY])
        await town.hosts[COUNTY].start()
        said = await town.report(COUNTY, {"b.txt": "乙".encode()})
        assert said["log_index"] is None, "it waits for the gate"
        await town.hosts[COUNTY].stop()
        town.cluster.heal([COUNTY])
        await town.office.change({"revoke": COUNTY})
        size = town.node(CITY).log_size(COUNTY)
        await town.hosts[COUNTY].start()
        await town.until(lambda: "revoked" in town.node(COUNTY).sequencer.gates[COUNTY].barred)
        assert town.node(COUNTY).log_size(COUNTY) == size
        assert town.node(COUNTY).sequencer.spooled() == 3, "and what was handed in is not lost"

    play(story, PROVINCE, CITY, COUNTY)


def test_a_node_that_was_off_while_its_parent_was_abolished_finds_the_next_one(play: Play) -> None:
    async def story(town: Any) -> None:
        await town.public_item(COUNTY, "虞山")
        await town.node(PROVINCE).notary.anchor_all()
        await town.quiet()
        await town.hosts[COUNTY].stop()
        await town.office.change({"move": COUNTY, "parent": CITY2})
        await town.office.change({"abolish": CITY, "successor": CITY2})
        await town.hosts[CITY].stop()
        await town.hosts[COUNTY].start()
        await town.until(lambda: town.node(COUNTY).links.live() == {CITY2})
        await town.until(town.all_open)
        assert COUNTY not in town.node(PROVINCE).links.live(), "the province stood in for a while"
        await town.report(COUNTY, {"b.txt": "乙".encode()})
        await town.quiet()

    play(story, PROVINCE, CITY, CITY2, COUNTY)


def test_an_abolished_office_that_was_off_hears_of_it(play: Play) -> None:
    async def story(town: Any) -> None:
        await town.report(COUNTY, {"a.txt": "甲".encode()})
        await town.quiet()
        await town.node(CITY).notary.anchor_all()
        await town.quiet()
        await town.hosts[COUNTY].stop()
        await town.office.change({"abolish": COUNTY, "successor": CITY})
        await town.hosts[COUNTY].start()
        await town.until(lambda: CITY in town.node(COUNTY).sequencer.gates[COUNTY].barred)

    play(story, PROVINCE, CITY, COUNTY)


def test_a_province_that_only_knows_of_its_own_rotation_is_believed(play: Play) -> None:
    async def story(town: Any) -> None:
        town.cluster.cut([PROVINCE])
        registrar, root = town.node(PROVINCE).registrar, town.cluster.root
        file = registrar.draft({"rotate": [town.office.next_keys(PROVINCE)]}, TABLE)
        size = await registrar.apply(add_signature(file, root))
        await town.hosts[PROVINCE].stop()
        town.cluster.heal([PROVINCE])
        await town.hosts[PROVINCE].start()
        await town.until(lambda: town.node(COUNTY).folding.roster.size >= size and town.all_open())
        await town.until(lambda: PROVINCE in town.node(CITY).links.live())
        await town.quiet()

    play(story, PROVINCE, CITY, COUNTY)
