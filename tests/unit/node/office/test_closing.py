"""Closures carried out: copies are cut, lost tails are shown, and the log goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from ledger import logbook
from ledger.changes import sign_change
from ledger.checkpoint import Checkpoint, parse_checkpoint, sign_checkpoint
from ledger.events import MemberAdmit, MemberRevoke
from ledger.evidence import signers_of
from ledger.log_check import check_log
from node.hands.keys import make_office_keys
from protocol.ids import OfficeCode, RootHash
from simulations.clock import SimRng
from simulations.disk import SimDisk

PROVINCE, CITY, COUNTY = map(OfficeCode, ("320000", "320500", "320581"))
Play = Callable[..., None]


async def close(town: Any, code: OfficeCode, size: int) -> None:
    """The province revokes an office's keys at ``size`` and admits it with new ones."""
    province, host = town.node(PROVINCE), town.hosts[code]
    root = town.cluster.root
    with province.world.ledger.read() as reader:
        at = logbook.root_at(reader, code, size)
    old = province.folding.roster.member(code)
    keys = make_office_keys(code, SimRng(7, f"again {code}").random_bytes)
    host.folder.generations[code] += (keys,)
    revoke = MemberRevoke(code, size, at, 1, ())
    admit = MemberAdmit(
        code=code,
        name=old.name,
        tier=old.tier,
        parent=old.parent or "",
        log_key=keys.log.public,
        witness_key=keys.witness.public,
        mirror_key=keys.mirror.public,
        event_key=keys.event.public,
        tls_pin=host.pin,
        peer_address=old.peer_address,
        web_url=old.web_url,
        turn=2,
        signatures=(),
    )
    bodies = tuple(sign_change(province.genesis, body, root) for body in (revoke, admit))
    assert await province.sequencer.append(PROVINCE, bodies)
    await asyncio.sleep(5)


def roots(town: Any, size: int) -> set[RootHash]:
    found = set()
    for code in (PROVINCE, CITY, COUNTY):
        with town.node(code).world.ledger.read() as reader:
            found.add(logbook.root_at(reader, COUNTY, size))
            assert not list(check_log(reader, COUNTY))
    return found


async def three_reports(town: Any) -> int:
    for text in ("一", "二", "三"):
        await town.report(COUNTY, {"a.txt": text.encode()})
    await town.quiet()
    size: int = town.node(COUNTY).log_size(COUNTY)
    return size


def test_everybody_cuts_and_the_log_goes_on(play: Play) -> None:
    async def story(town: Any) -> None:
        size = await three_reports(town)
        with town.node(CITY).world.ledger.read() as reader:
            note = reader.get("note", COUNTY.encode())
        await town.hosts[COUNTY].stop()
        await close(town, COUNTY, size - 2)
        assert {town.node(code).log_size(COUNTY) for code in (PROVINCE, CITY)} == {size - 2}
        for code in (PROVINCE, CITY):
            ((office, _, row),) = town.node(code).closing.lost_tails()
            assert (office, row.log_size, row.lost_size) == (COUNTY, size - 2, size)
            assert row.lost_note == note
            with town.node(code).world.ledger.read() as reader:
                assert len(list(reader.scan("cut", COUNTY.encode()))) == 2
        await town.hosts[COUNTY].start()  # its own copy is cut as well
        await town.until(town.all_open)
        await town.report(COUNTY, {"b.txt": "四".encode()})
        await town.quiet()
        grown = town.node(COUNTY).log_size(COUNTY)
        assert grown > size - 2
        assert len(roots(town, grown)) == 1
        for code in (PROVINCE, CITY, COUNTY):
            node = town.node(code)
            assert not node.accuser.evidence()
            with node.world.ledger.read() as reader:
                now = reader.get("note", COUNTY.encode())
            keys = node.accuser.log_keys(COUNTY)
            assert signers_of(now, keys) == keys[:1]
            before, after = await node.folding.rebuild()
            assert before == after
        # what the old key signed beyond is told again: counted, and nothing else happens
        node = town.node(CITY)
        told = node.links.counters["log.lost-tail"]
        await node.replicator.learn(COUNTY, note)
        assert node.links.counters["log.lost-tail"] == told + 1
        assert not node.accuser.quarantined

    play(story, PROVINCE, CITY, COUNTY)


def test_an_office_that_lost_its_disk_refills_to_the_closure(play: Play) -> None:
    async def story(town: Any) -> None:
        size = await three_reports(town)
        host, city = town.hosts[COUNTY], town.node(CITY)
        origin = town.cluster.genesis.origin(COUNTY)
        beyond = sign_checkpoint(Checkpoint(origin, size + 4, RootHash(bytes(32))), host.keys.log)
        await host.stop()
        # a witness saw more than any mirror has, and the disk is gone
        await city.world.ledger.write(lambda w: w.put("witness", COUNTY.encode(), beyond))
        host.disk = SimDisk(1, COUNTY)
        await host.start()
        await asyncio.sleep(20)
        gate = town.node(COUNTY).sequencer.gates[COUNTY]
        assert not gate.is_open
        assert f"a peer has {size + 4} entries" in gate.why_shut(size)
        assert (await town.report(COUNTY, {"w.txt": "待".encode()}))["pending"]
        await host.stop()
        await close(town, COUNTY, size - 1)
        host.disk = SimDisk(1, COUNTY)
        await host.start()
        await town.until(town.all_open)
        await town.report(COUNTY, {"b.txt": "四".encode()})
        await town.quiet()
        grown = town.node(COUNTY).log_size(COUNTY)
        assert grown > size - 1
        assert len(roots(town, grown)) == 1
        ((_, _, row),) = city.closing.lost_tails()
        assert (row.lost_size, row.lost_note) == (size + 4, beyond)
        with city.world.ledger.read() as reader:
            seen = parse_checkpoint(reader.get("witness", COUNTY.encode()))
        assert seen.size == grown, "the witness counts from the closure"
        assert not any(town.node(code).accuser.evidence() for code in town.hosts)

    play(story, PROVINCE, CITY, COUNTY)
