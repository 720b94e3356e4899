"""What does it cost that there are so many?  Measured with as many members, for :mod:`costs`.

Seven real nodes under virtual time are told events, and their frames are counted; then a province
of N members is made whole (its roster, a signed and co-signed head of every log), and asked.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ledger import logbook
from ledger.changes import sign_change
from ledger.checkpoint import Checkpoint, Cosigner, cosign, sign_checkpoint
from ledger.custody import HoldCheck
from ledger.events import (
    MemberAdmit,
)
from ledger.genesis import Genesis
from ledger.note import parse_note
from node.hands.config import LedgerConfig
from node.hands.keys import OfficeKeys, make_office_keys
from node.office.answers import PUBLIC, Question
from node.office.links import Peer
from node.office.node import Node
from protocol.ids import (
    OfficeCode,
)
from protocol.keys import SigningKey
from protocol.messages import (
    Heads,
    HeadsAsk,
    HeadsDigest,
    Response,
    decode_frame,
    encode_frame,
)
from protocol.ports import Writer
from protocol.shapes import from_value, to_value
from search_shard.tables import Tables
from simulations.clock import EPOCH_MS, SimRng
from simulations.cluster import Cluster
from simulations.faults import Machine, Mix
from simulations.trace import Trace
from simulations.wire import Weather

PROVINCE: Final = OfficeCode("320000")
CITY: Final = OfficeCode("320500")
COUNTY: Final = OfficeCode("320581")
OFFICES: Final = (
    PROVINCE,
    *map(OfficeCode, ("320100", "320500", "320104", "320116", "320509", "320581")),
)
CALM: Final = Weather((0.002, 0.020))
IDLE_S: Final = 300.0  # virtual, of the network whose frames are counted
TOLD: Final = 20  # events that are gossiped there, one after the other
BATCH: Final = 250
ANCHOR_S: Final = float(LedgerConfig().anchor_s)


@dataclass(frozen=True, slots=True)
class AtSize:
    """What grows with the number of members."""

    offices: int
    heads_bytes: int  # the answer to one comparison of heads
    heads_s: float  # of making it, encoding it, and reading it at the other end
    digest_s: float  # of the digests of both sides, by which they see that they have the same
    admit_s: float  # of appending and folding one more member
    plan_s: float  # of a search at the province, nobody being there to ask
    again_s: float  # what is worked out anew for both after every change of the roster
    as_of_bytes: int  # the snapshot that goes with every question


class Watch:
    """Seconds of the processor since it was made, divided."""

    def __init__(self) -> None:
        self._begun = time.process_time()

    def per(self, count: int) -> float:
        return (time.process_time() - self._begun) / count


# ---- events


def checked_on(day: int) -> HoldCheck:
    return HoldCheck(str(CITY), day, 48, 48, 0, None)


def admitted_as(
    genesis: Genesis, code: OfficeCode, tier: str, parent: str, keys: OfficeKeys, root: SigningKey
) -> object:
    body = MemberAdmit(
        code,
        f"{code}地方志办公室",
        tier,
        parent,
        keys.log.public,
        keys.witness.public,
        keys.mirror.public,
        keys.event.public,
        bytes(32),
        "" if tier == "county" else f"{code}.example:8321",
        "",
        0,
        (),
    )
    return sign_change(genesis, body, root)


def _mix(codes: Sequence[OfficeCode]) -> Mix:
    """Nothing goes wrong."""
    return Mix("calm", 1, 0.0, CALM, {code: Machine(listens=code[4:] == "00") for code in codes})


async def told(tables: Tables) -> tuple[float, float]:
    """Bytes that one more event of a county sends over an average link, and the entries that it
    brings to all logs: seven offices, whose frames are counted with and without events."""
    trace = Trace(asyncio.get_running_loop().time)
    cluster = Cluster(_mix(OFFICES), trace, tables)
    await cluster.found()
    for host in cluster.hosts.values():
        if host is not cluster.province:
            await cluster.join(host)
    await asyncio.sleep(IDLE_S)

    def heads() -> int:
        node = cluster.province.node
        assert node is not None
        return sum(node.log_size(code) for code in OFFICES)

    async def sent(events: int) -> tuple[int, int]:
        begin, before = len(trace.lines), heads()
        for number in range(TOLD):
            if events:
                node = cluster.hosts[COUNTY].node
                assert node is not None
                await node.sequencer.append(COUNTY, (checked_on(number),))
            await asyncio.sleep(2 * ANCHOR_S)
        frames = [line for line in trace.lines[begin:] if " frame " in line]
        return sum(int(line.split("bytes=")[1].split()[0]) for line in frames), heads() - before

    idle, _ = await sent(0)
    busy, entries = await sent(TOLD)
    for host in cluster.up():
        await host.stop()
    return (busy - idle) / TOLD / (len(OFFICES) - 1), entries / TOLD


async def at_size(tables: Tables, cities: int, counties: int) -> AtSize:
    """A province that knows so many members, each with a log that has a co-signed head."""
    cluster = Cluster(_mix((PROVINCE,)), Trace(asyncio.get_running_loop().time), tables)
    await cluster.found()
    node = cluster.province.node
    assert node is not None
    above = [OfficeCode(f"{1000 + number}00") for number in range(cities)]
    places = [(code, "city", str(PROVINCE)) for code in above]
    for number in range(counties):
        turn, city = divmod(number, cities)
        places.append((OfficeCode(f"{1000 + city}{turn + 1:02}"), "county", above[city]))
    keys = {code: make_office_keys(code, SimRng(1, code).random_bytes) for code, *_ in places}
    admits = [
        admitted_as(cluster.genesis, code, tier, parent, keys[code], cluster.root)
        for code, tier, parent in places
    ]
    watch = Watch()
    for start in range(0, len(admits), BATCH):
        await node.sequencer.append(PROVINCE, tuple(admits[start : start + BATCH]))
    await node.folding.until(PROVINCE, node.log_size(PROVINCE))
    admit_s, offices = watch.per(len(admits)), 1 + len(places)
    assert len(node.folding.roster.members) == offices

    def put_logs(writer: Writer) -> None:
        for code, each in keys.items():
            _put_log(writer, code, each, cluster.genesis)

    await node.world.ledger.write(put_logs)
    first_heads_s, _ = await _heads(node, 1)
    heads_s, frame = await _heads(node, 3)
    digest_s = await _digest(node, 3)
    first_plan_s = await _planned(node, 1)
    plan_s = await _planned(node, 3)
    await cluster.province.stop()
    again_s = first_heads_s + first_plan_s - heads_s - plan_s
    return AtSize(
        offices, len(frame), heads_s, digest_s, admit_s, plan_s, max(0.0, again_s), 14 * offices
    )


def _put_log(writer: Writer, code: OfficeCode, keys: OfficeKeys, genesis: Genesis) -> None:
    head = logbook.append(writer, code, [b"one entry"])
    origin = genesis.origin(code)
    note = sign_checkpoint(Checkpoint(origin, head.size, head.root), keys.log)
    line = cosign(parse_note(note).text, Cosigner(f"{origin}/w", keys.witness), EPOCH_MS // 1000)
    writer.put("note", code.encode(), note + line.format().encode())


async def _heads(node: Node, rounds: int) -> tuple[float, bytes]:
    """Seconds of both sides, and the frame, of one comparison of heads."""
    peer, comparing = Peer("1", (CITY,), False, 1, ()), node.replicator.comparing
    watch = Watch()
    for _ in range(rounds):
        heads = await comparing.on_heads(peer, HeadsAsk())
        frame = encode_frame(Response(1, True, to_value(heads)))
        body = decode_frame(frame)
        assert isinstance(body, Response)
        from_value(Heads, body.body, "heads")
        await comparing.on_heads(peer, HeadsAsk())  # the asker looks at each of its own
    return watch.per(rounds), frame


async def _digest(node: Node, rounds: int) -> float:
    peer, ask = Peer("1", (CITY,), False, 1, ()), HeadsDigest(bytes(32))
    watch = Watch()
    for _ in range(2 * rounds):
        await node.replicator.comparing.on_digest(peer, ask)
    return watch.per(rounds)


async def _planned(node: Node, rounds: int) -> float:
    watch = Watch()
    for _ in range(rounds):
        answer = await node.searcher.search(Question("地方志"), PUBLIC)
    assert answer.coverage.asked, "nobody is there, so every shard is missing"
    return watch.per(rounds)
