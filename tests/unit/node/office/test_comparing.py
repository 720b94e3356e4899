"""What gossip lost is found again; those who have the same leave each other alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from node.office.links import Peer
from protocol.ids import OfficeCode
from protocol.messages import Ack, Advert, Heads, HeadsAsk, HeadsDigest

PROVINCE, CITY, CITY2, COUNTY = map(OfficeCode, ("320000", "320500", "320600", "320581"))
Play = Callable[..., None]


def frames(town: Any) -> int:
    return sum(" frame " in line for line in town.cluster.trace.lines)


def deafen(node: Any) -> None:
    """From now on the node takes every note, and forgets it."""

    async def forget(_peer: Peer, _ask: Advert) -> Ack:
        return Ack()

    node.links._handlers["log.note"] = forget


def is_equal(town: Any) -> bool:
    city, county = town.node(CITY), town.node(COUNTY)
    return bool(city.log_size(COUNTY) == county.log_size(COUNTY))


async def lose_news(town: Any) -> float:
    """The county signs something that the city hears and forgets; when the city listens again."""
    await asyncio.sleep(10)  # all at rest
    city = town.node(CITY)
    listen = city.links._handlers["log.note"]
    deafen(city)
    await town.report(COUNTY, {"a.txt": "县".encode()})
    await asyncio.sleep(1)
    assert not is_equal(town)
    city.links._handlers["log.note"] = listen
    return asyncio.get_running_loop().time()


def test_what_was_told_and_lost_is_told_again(play: Play) -> None:
    async def story(town: Any) -> None:
        since = await lose_news(town)
        await town.until(lambda: is_equal(town))
        assert asyncio.get_running_loop().time() - since < 5  # 2 s after the news, and a fetch

    play(story, PROVINCE, CITY, COUNTY)


def test_a_peer_that_knows_no_digest_is_asked_for_its_lines(play: Play) -> None:
    async def story(town: Any) -> None:
        del town.node(CITY).links._handlers["log.digest"]
        await lose_news(town)
        await town.until(lambda: is_equal(town))

    play(story, PROVINCE, CITY, COUNTY)


def test_who_has_the_same_looks_once_an_hour(play: Play) -> None:
    async def story(town: Any) -> None:
        await asyncio.sleep(10)
        before = frames(town)
        await asyncio.sleep(3500)
        assert frames(town) == before
        await asyncio.sleep(200)
        assert 2 <= frames(town) - before <= 8  # a question and an answer at each of two links

    play(story, PROVINCE, CITY, COUNTY)


def test_who_lacks_a_note_is_another(play: Play) -> None:
    async def story(town: Any) -> None:
        city, county = town.node(CITY), town.node(COUNTY)
        await asyncio.sleep(10)
        (peer,) = city.links.peers()[-1:]
        digests = [
            (await node.replicator.comparing.on_digest(peer, HeadsDigest(b""))).digest
            for node in (city, county)
        ]
        assert digests[0] == digests[1]
        await county.world.ledger.write(lambda writer: writer.delete("note", CITY.encode()))
        after = await county.replicator.comparing.on_digest(peer, HeadsDigest(digests[0]))
        assert after.digest != digests[0]

    play(story, PROVINCE, CITY, COUNTY)


def test_while_its_gate_is_shut_an_office_keeps_asking_who_confirms_it(play: Play) -> None:
    async def story(town: Any) -> None:
        await asyncio.sleep(10)  # all at rest
        node = town.node(COUNTY)
        gate = node.sequencer.gates[COUNTY]
        gate.forget()
        node._open_gates()
        await town.until(lambda: gate.is_open, 10)

    play(story, PROVINCE, CITY, COUNTY)


def test_the_word_of_a_parent_waits_for_the_others_who_can_be_asked(play: Play) -> None:
    """Another city has seen more of the log than the parent, and says so to this old copy alone."""

    async def story(town: Any) -> None:
        await asyncio.sleep(10)
        county, other = town.node(COUNTY), town.node(CITY2)
        gate, asked = county.sequencer.gates[COUNTY], other.links._handlers["log.heads"]

        async def more(peer: Peer, ask: HeadsAsk) -> Heads:
            answer = await asked(peer, ask)
            lines = [
                replace(line, size=line.size + 3) if line.office == COUNTY else line
                for line in answer.heads
            ]
            return Heads(tuple(lines))

        assert CITY2 in gate.confirmed
        assert CITY2 not in county.links.live(), "it was dialled for this question only"

        other.links._handlers["log.heads"] = more
        gate.forget()
        county._open_gates()
        await asyncio.sleep(30)
        assert not gate.is_open
        assert f"a peer has {county.log_size(COUNTY) + 3} entries" in gate.why_shut(
            county.log_size(COUNTY)
        )
        other.links._handlers["log.heads"] = asked
        gate.forget()
        await town.until(lambda: gate.is_open, 30)

    play(story, PROVINCE, CITY, CITY2, COUNTY)
