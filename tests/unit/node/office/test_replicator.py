"""Logs at every node: what spreads, what is refused, and what is kept as evidence."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ledger import logbook
from ledger.checkpoint import Checkpoint, parse_checkpoint, sign_checkpoint
from ledger.evidence import SAME_SIZE, Verdict, verify_evidence
from ledger.log_check import check_log
from ledger.note import Note, parse_note
from ledger.views import ReportedFork, reported_forks
from node.office.links import Peer
from node.office.node import LEDGER_TABLES
from protocol.errors import DecodeError, ForkError, ProofError
from protocol.ids import BlobId, OfficeCode, RootHash
from protocol.keys import SigningKey
from protocol.messages import Advert, HeadsAsk
from simulations.disk import SimDisk

PROVINCE, CITY, COUNTY = map(OfficeCode, ("320000", "320500", "320581"))
Play = Callable[..., None]


def note_of(node: Any, code: str, table: str = "note") -> bytes:
    with node.world.ledger.read() as reader:
        return bytes(reader.get(table, code.encode()) or b"")


def signers(note: bytes) -> list[str]:
    return [line.name.split("/", 1)[1] for line in parse_note(note).signatures]


def dump(node: Any) -> dict[str, Any]:
    with node.world.ledger.read() as reader:
        return {table: dict(reader.scan(table)) for table in LEDGER_TABLES}


def evidence(node: Any, code: str) -> list[Verdict]:
    """What is held against a log, verified as a stranger would."""
    keys = node.accuser.log_keys(code)
    held = [held for office, _, held in node.accuser.evidence() if office == code]
    return [verify_evidence(each.evidence, keys) for each in held]


def reported(node: Any, code: str) -> list[ReportedFork]:
    with node.world.state.read() as reader:
        return reported_forks(reader, OfficeCode(code))


def peer_of(node: Any, code: OfficeCode) -> Peer:
    return next(peer for peer in node.links.peers() if code in peer.offices)


def forged(town: Any, size: int, root: bytes, code: OfficeCode = COUNTY) -> bytes:
    """A note that the office itself has signed, of a tree of somebody's choosing."""
    origin = town.cluster.genesis.origin(code)
    return sign_checkpoint(Checkpoint(origin, size, RootHash(root)), town.hosts[code].keys.log)


def test_every_log_reaches_everybody_and_is_witnessed(play: Play) -> None:
    async def story(town: Any) -> None:
        await town.report(COUNTY, {"a.txt": "县".encode()})
        await town.quiet()
        notes = {note_of(town.node(code), COUNTY) for code in (PROVINCE, CITY, COUNTY)}
        assert len(notes) == 1, "joined, they are byte for byte the same"
        assert signers(notes.pop()) == [COUNTY, f"{PROVINCE}/witness", f"{CITY}/witness"]
        assert parse_checkpoint(note_of(town.node(COUNTY), COUNTY, "witnessed")).size > 0
        assert signers(note_of(town.node(COUNTY), CITY)) == [CITY, f"{PROVINCE}/witness"]
        for code in (PROVINCE, CITY, COUNTY):
            with town.node(COUNTY).world.ledger.read() as reader:
                assert not list(check_log(reader, code))

    play(story, PROVINCE, CITY, COUNTY)


def test_who_was_away_catches_up(play: Play) -> None:
    async def story(town: Any) -> None:
        await town.hosts[COUNTY].stop()
        for number in range(3):
            await town.report(CITY, {"a.txt": b"%d" % number})
        await town.hosts[COUNTY].start()
        await town.quiet()
        assert town.node(COUNTY).log_size(CITY) == town.node(CITY).log_size(CITY) > 0

    play(story, PROVINCE, CITY, COUNTY)


def test_what_is_not_a_good_note_changes_nothing(play: Play) -> None:
    async def story(town: Any) -> None:
        await town.report(COUNTY, {"a.txt": "县".encode()})
        await town.quiet()
        node = town.node(CITY)
        good = note_of(node, COUNTY)
        peer, before = peer_of(node, COUNTY), dump(node)
        stranger = SigningKey.from_seed(bytes(32))
        checkpoint = parse_checkpoint(good)
        flipped = bytearray(good)
        flipped[good.index(b"\n\n") - 3] ^= 1
        other = forged(town, 5, bytes(32), PROVINCE)
        for note, error in (
            (sign_checkpoint(checkpoint, stranger), ProofError),
            (bytes(flipped), (ProofError, DecodeError)),
            (other, ProofError),  # a foreign origin
            (b"", DecodeError),
            (b"\xff" * 300, DecodeError),
            (good[: len(good) // 2], DecodeError),
        ):
            with pytest.raises(error):
                await node.replicator.on_note(peer, Advert(COUNTY, note, 1))
        assert dump(node) == before
        assert node.accuser.quarantined == frozenset()
        stranger_office = Advert(OfficeCode("999999"), other, 1)
        await node.replicator.on_note(peer, stranger_office)  # our roster may be behind: no offence
        assert dump(node) == before

    play(story, PROVINCE, CITY, COUNTY)


def test_a_fork_is_evidence_and_quarantine(play: Play) -> None:
    async def story(town: Any) -> None:
        await town.report(COUNTY, {"a.txt": "县".encode()})
        await town.quiet()
        node = town.node(CITY)
        ours = note_of(node, COUNTY)
        size = parse_checkpoint(ours).size
        fork = forged(town, size, bytes(range(32)))
        with pytest.raises(ForkError, match="with evidence"):
            await node.replicator.on_note(peer_of(node, COUNTY), Advert(COUNTY, fork, 9))
        (verdict,) = evidence(node, COUNTY)
        assert (verdict.shape, verdict.size, verdict.size_b) == (SAME_SIZE, size, size)
        assert node.accuser.quarantined == {COUNTY}
        assert note_of(node, COUNTY) == ours
        ailments = await node.upkeep.examine(False, lambda *_: None)
        assert [ailment.code for ailment in ailments] == ["log.fork"]
        # everybody hears it, and who found it says so in its log, once
        await town.until(lambda: all(town.node(code).accuser.quarantined for code in town.hosts))
        await town.until(lambda: bool(reported(town.node(PROVINCE), COUNTY)))
        await asyncio.sleep(10)
        assert [evidence(town.node(code), COUNTY) for code in town.hosts] == [[verdict]] * 3
        (line,) = reported(town.node(COUNTY), COUNTY)
        assert line.origin == CITY
        # its own office signs no more with that key; what is reported waits
        assert (await town.report(COUNTY, {"b.txt": "再".encode()}))["pending"]
        await town.hosts[CITY].crash()
        await town.hosts[CITY].start()
        await asyncio.sleep(10)
        assert town.node(CITY).accuser.quarantined == {COUNTY}, "a restart forgives nothing"
        assert {town.node(code).log_size(COUNTY) for code in town.hosts} == {size}
        assert note_of(town.node(CITY), COUNTY) == ours
        assert len(reported(town.node(PROVINCE), COUNTY)) == 1

    play(story, PROVINCE, CITY, COUNTY)


def test_an_older_fork_is_found_too(play: Play) -> None:
    async def story(town: Any) -> None:
        for text in ("一", "二"):
            await town.report(COUNTY, {"a.txt": text.encode()})
        await town.quiet()
        node = town.node(PROVINCE)
        fork = forged(town, 2, bytes(range(32)))
        with pytest.raises(ForkError):
            await node.replicator.on_note(peer_of(node, CITY), Advert(COUNTY, fork, 9))
        (verdict,) = evidence(node, COUNTY)
        assert (verdict.size, verdict.size_b) == (2, node.log_size(COUNTY))

    play(story, PROVINCE, CITY, COUNTY)


def test_a_witness_never_signs_below_what_it_signed(play: Play) -> None:
    async def story(town: Any) -> None:
        await town.report(COUNTY, {"a.txt": "县".encode()})
        await town.quiet()
        node = town.node(CITY)
        seen = note_of(node, COUNTY, "witness")
        size = parse_checkpoint(seen).size
        with node.world.ledger.read() as reader:
            root = logbook.root_at(reader, COUNTY, size - 1)
        older = forged(town, size - 1, root.raw)
        await node.replicator.on_note(peer_of(node, COUNTY), Advert(COUNTY, older, 9))
        assert note_of(node, COUNTY, "witness") == seen
        assert note_of(node, COUNTY) == seen or parse_checkpoint(note_of(node, COUNTY)).size == size
        await town.hosts[CITY].crash()
        await town.hosts[CITY].start()
        assert parse_checkpoint(note_of(town.node(CITY), COUNTY, "witness")).size == size

    play(story, PROVINCE, CITY, COUNTY)


def test_two_halves_of_cosignatures_are_joined(play: Play) -> None:
    async def story(town: Any) -> None:
        await town.report(COUNTY, {"a.txt": "县".encode()})
        await town.quiet()
        node = town.node(COUNTY)
        whole = note_of(node, COUNTY)
        text, _, lines = whole.partition(b"\n\n")
        log, province, city = lines.splitlines(keepends=True)
        halves = [text + b"\n\n" + log + line for line in (city, province)]
        await node.world.ledger.write(lambda w: w.put("note", COUNTY.encode(), halves[0]))
        await node.replicator.on_note(peer_of(node, CITY), Advert(COUNTY, halves[1], 9))
        assert note_of(node, COUNTY) == whole
        await node.replicator.on_note(peer_of(node, CITY), Advert(COUNTY, halves[0], 9))
        assert note_of(node, COUNTY) == whole

    play(story, PROVINCE, CITY, COUNTY)


def test_heads_are_sizes_and_notes(play: Play) -> None:
    async def story(town: Any) -> None:
        node = town.node(PROVINCE)
        peer = peer_of(node, CITY)
        size = node.log_size(PROVINCE)
        heads = await node.replicator.comparing.on_heads(peer, HeadsAsk())
        lines = {line.office: line for line in heads.heads}
        assert lines[PROVINCE].note == BlobId.of(note_of(node, PROVINCE)).raw
        assert lines[PROVINCE].size == size

    play(story, PROVINCE, CITY)


def test_a_restored_home_stays_shut_until_it_knows_its_own_past(play: Play) -> None:
    """Backup, more work, a dead disk, restore: it refills from its parent and never forks."""

    async def story(town: Any) -> None:
        host = town.hosts[COUNTY]
        await town.report(COUNTY, {"a.txt": "一".encode()})
        await town.quiet()
        copy = town.node(COUNTY).world.ledger._durable.dump()  # the backup
        await town.report(COUNTY, {"b.txt": "二".encode()})
        await town.quiet()
        size = town.node(COUNTY).log_size(COUNTY)
        await host.stop()
        host.disk = SimDisk(2, "new")
        host.disk.key_value("ledger", LEDGER_TABLES)
        host.disk._tables["ledger"] = type(host.disk._tables["ledger"])(LEDGER_TABLES, copy)
        town.cluster.cut([COUNTY])
        await host.start()
        answer = await town.report(COUNTY, {"c.txt": "三".encode()})
        assert answer["status"] == "spooled"
        gate = town.node(COUNTY).sequencer.gates[COUNTY]
        assert not gate.is_open
        town.cluster.heal([COUNTY])
        await town.until(lambda: gate.is_open and not town.node(COUNTY).sequencer.spooled())
        await town.until(lambda: town.node(PROVINCE).log_size(COUNTY) > size)
        for code in (PROVINCE, CITY, COUNTY):
            assert town.node(code).accuser.quarantined == frozenset()
            assert evidence(town.node(code), COUNTY) == []

    play(story, PROVINCE, CITY, COUNTY)


def test_replayed_and_redated_checkpoints_change_nothing(play: Play) -> None:
    async def story(town: Any) -> None:
        await town.report(COUNTY, {"a.txt": "一".encode()})
        await town.quiet()
        node = town.node(CITY)
        old = note_of(node, COUNTY)
        await town.report(COUNTY, {"a.txt": "二".encode()})
        await town.quiet()
        await asyncio.sleep(5)
        peer, before = peer_of(node, COUNTY), dump(node)
        await node.replicator.on_note(peer, Advert(COUNTY, old, 1))  # true, and long known
        assert dump(node) == before
        parsed = parse_note(note_of(node, COUNTY))
        log, *others = parsed.signatures
        for seconds in (0, 1, 2**62):  # the time is signed, so another one is a bad signature
            redated = [
                replace(line, signature=seconds.to_bytes(8, "big") + line.signature[8:])
                for line in others
            ]
            note = Note(parsed.text, (log, *redated)).format()
            with pytest.raises(ProofError):
                await node.replicator.on_note(peer, Advert(COUNTY, note, 1))
            assert dump(node) == before
        moved = Note(parse_note(old).text, parsed.signatures).format()  # lines of another size
        with pytest.raises(ProofError):
            await node.replicator.on_note(peer, Advert(COUNTY, moved, 1))
        assert dump(node) == before

    play(story, PROVINCE, CITY, COUNTY)
