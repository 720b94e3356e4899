"""Does the network come to rest, and does work go on, once nothing goes wrong any more?"""

from __future__ import annotations

import asyncio
from typing import Final

from ledger import logbook, witness_policy
from ledger.checkpoint import open_checkpoint
from ledger.note import parse_note
from node.office.node import Node
from protocol.errors import Missing
from protocol.ids import OfficeCode
from simulations.checkers.verdict import Found, honest
from simulations.clock import draws
from simulations.cluster import Cluster
from simulations.history import History
from simulations.people import Office

SETTLE_SECONDS_MAX: Final = 600.0
STILL_SECONDS: Final = 65.0  # longer than a notary waits between two anchors
LOOK_SECONDS: Final = 5.0
ASKED_MAX: Final = 3  # offices that report once more


async def settled(cluster: Cluster, history: History) -> Found:
    """From the last fault on it takes at most SETTLE_SECONDS_MAX until nothing is under way at any
    node and no notary has anything new to say: heads and digests are equal, gates open, queues
    empty, every event witnessed.
    Not checked: how fast it is when it is in time."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    wrong = await settle(cluster, history)
    seconds = loop.time() - begun - STILL_SECONDS
    count = len(cluster.hosts) - len(history.villains | history.gone)
    return Found(f"{count} nodes, at rest after {max(0.0, seconds):.0f} s", count, wrong)


async def progress(cluster: Cluster, history: History) -> Found:
    """What is reported after the last fault, open and sealed, is in its log at once and not
    spooled, is reviewed, searched for, and settles as everything before did.
    Not checked: more than ASKED_MAX offices, drawn."""
    chance = draws(cluster.mix.seed, "progress")
    running = honest(cluster, history)
    people = {code: Office(cluster, cluster.hosts[code], history) for code in running}
    asked = chance.sample(list(running), min(ASKED_MAX, len(running)))
    wrong = []
    for number, code in enumerate(asked):
        before = len(history.reports), len(history.entries)
        await people[code].report(chance, rights="open" if number else "sealed")
        if len(history.reports) == before[0]:
            wrong.append(f"{code} cannot report")
        elif len(history.entries) == before[1]:
            wrong.append(f"{code} spools what is reported")
    wrong += await settle(cluster, history)
    for code in running:
        await people[code].review(chance)
    wrong += await settle(cluster, history)
    for code in asked:
        await people[code].search(chance)
    return Found(f"{len(asked)} more reports", len(asked), wrong)


async def witnessed(cluster: Cluster, history: History) -> Found:
    """At every node every event is under a checkpoint whose cosignatures, verified anew, satisfy
    the witness policy.
    Not checked: how long that took; the logs of members that lie."""
    running = honest(cluster, history)
    looked = len(running) * len(running)
    return Found(f"{looked} copies of logs", looked, unwitnessed(cluster, history))


async def settle(cluster: Cluster, history: History) -> list[str]:
    """Wait until nothing is under way at any node, and nothing new is said by any notary either;
    returns what hinders it."""
    loop = asyncio.get_running_loop()
    end, still_since, seen = loop.time() + SETTLE_SECONDS_MAX, loop.time(), ""
    while True:
        before, seen = seen, str([heads(cluster, history, code) for code in cluster.hosts])
        hindered = _unsettled(cluster, history)
        if hindered or seen != before:
            still_since = loop.time()
        if loop.time() - still_since > STILL_SECONDS or loop.time() > end:
            return hindered
        await asyncio.sleep(LOOK_SECONDS)


def heads(cluster: Cluster, history: History, at: OfficeCode) -> dict[OfficeCode, tuple[int, str]]:
    """Size and root of every log at one node, of logs that did not fork; empty if it is down."""
    node = cluster.hosts[at].node
    if node is None:
        return {}
    with node.world.ledger.read() as reader:
        logs = {
            code: logbook.head(reader, code) for code in cluster.hosts if code not in history.forks
        }
    return {code: (head.size, head.root.short) for code, head in logs.items()}


def digests_agree(history: History) -> bool:
    """Whether all can fold the same: of a log that forked, each stopped where it was convinced."""
    return not history.forks


def _unsettled(cluster: Cluster, history: History) -> list[str]:
    """What is still under way, at any node."""
    try:
        running = honest(cluster, history)
    except Missing as error:
        return [str(error)]
    found = []
    first = next(iter(running))
    known = heads(cluster, history, first)
    for code, node in running.items():
        if (here := heads(cluster, history, code)) != known:
            found.append(f"{code} has other heads than {first}: {here} and {known}")
        elif digests_agree(history) and node.upkeep.digest() != running[first].upkeep.digest():
            found.append(f"{code} has another digest than {first}")
        found += [f"{code} has {what}: {count}" for what, count in _waiting(node).items() if count]
    return found + unwitnessed(cluster, history)


def _waiting(node: Node) -> dict[str, int]:
    return {
        "shut gate": not all(gate.is_open for gate in node.sequencer.gates.values()),
        "spooled drafts": node.sequencer.spooled(),
        "files to come": node.custodian.incomplete,
        "texts to index": node.indexer.waiting,
        "items to seal": node.sealer.waiting,
    }


def unwitnessed(cluster: Cluster, history: History) -> list[str]:
    """Logs that are not, or not wholly, witnessed somewhere."""
    wrong = []
    for at, node in honest(cluster, history).items():
        roster = node.folding.roster
        for code in roster.members:
            if code in history.forks or code in history.gone:
                continue
            with node.world.ledger.read() as reader:
                note = reader.get("witnessed", code.encode())
                size = logbook.head(reader, code).size
            if note is None:
                wrong.append(f"{code} is not witnessed at {at}")
                continue
            log = roster.member(code).log_note_key(cluster.genesis)
            checkpoint, _ = open_checkpoint(note, [log])
            seen = witness_policy.witnessed(roster.policy(code), parse_note(note))
            if checkpoint.size < size or not seen.holds:
                wrong.append(f"{code} at {at}: {checkpoint.size} of {size} by {seen}")
    return wrong
