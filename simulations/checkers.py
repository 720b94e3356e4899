"""Did the network keep its promises?  Each checker says what it looks at, and what it does not.

They run when all faults are over and the network had time to settle; what must hold all the time
(heads, coverage) was watched during the run and waits in the history.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from ledger import logbook, witness_policy
from ledger.audit import AUDIT_TABLES, audit
from ledger.checkpoint import open_checkpoint
from ledger.keeping import keepers, room
from ledger.log_check import check_log
from ledger.note import parse_note
from ledger.spool import Tools
from ledger.views import ItemView
from node.hands.storage.memory_kv import MemoryStore
from node.hands.storage.spool import MemorySpool
from node.office.answers import PUBLIC, VERBATIM, Question, SearchAnswer
from node.office.catalog import every_item, find, revision_key
from node.office.node import Node
from protocol.errors import FangzhiError, Missing
from protocol.ids import BlobId, OfficeCode
from protocol.limits import HITS_MAX
from protocol.placement import index_holders
from simulations.cluster import Cluster
from simulations.history import History, Reported

SETTLE_SECONDS_MAX: Final = 600.0
STILL_SECONDS: Final = 65.0  # longer than a notary waits between two anchors

Findings = list[str]
Checker = Callable[[Cluster, History], Awaitable[tuple[str, Findings]]]


@dataclass(frozen=True, slots=True)
class Verdict:
    checker: str
    looked_at: str
    wrong: tuple[str, ...]

    def __str__(self) -> str:
        head = f"{'FAILED' if self.wrong else 'held':6} {self.checker}: {self.looked_at}"
        return "\n".join([head, *(f"       {line}" for line in self.wrong[:5])])


async def judge(cluster: Cluster, history: History) -> list[Verdict]:
    """Every checker's verdict; the faults are over."""
    wrong = await settle(cluster)
    verdicts = [Verdict("settled", "heads, digests, gates, queues, witnesses", tuple(wrong))]
    if len(cluster.up()) < len(cluster.hosts):
        return verdicts  # the others ask every node
    for name, checker in CHECKERS.items():
        looked_at, wrong = await checker(cluster, history)
        watched = [what for whose, what in history.wrong if whose == name]
        verdicts.append(Verdict(name, looked_at, (*watched, *wrong)))
    return verdicts


async def settle(cluster: Cluster) -> Findings:
    """Wait until nothing is under way at any node, and nothing new is said by any notary either;
    returns what hinders it."""
    loop = asyncio.get_running_loop()
    end, still_since, heads = loop.time() + SETTLE_SECONDS_MAX, loop.time(), ""
    while True:
        before, heads = heads, str([_heads(cluster, code) for code in cluster.hosts])
        unsettled = _unsettled(cluster)
        if unsettled or heads != before:
            still_since = loop.time()
        if loop.time() - still_since > STILL_SECONDS or loop.time() > end:
            return unsettled
        await asyncio.sleep(5)


def _unsettled(cluster: Cluster) -> Findings:
    """What is still under way, at any node."""
    found = []
    first = next(iter(cluster.hosts))
    heads = {code: _heads(cluster, code) for code in cluster.hosts}
    for code, host in cluster.hosts.items():
        node = host.node
        if node is None:
            found.append(f"{code} is down")
            continue
        if heads[code] != heads[first]:
            found.append(f"{code} has other heads than {first}: {heads[code]} and {heads[first]}")
        elif node.upkeep.digest() != _node(cluster, first).upkeep.digest():
            found.append(f"{code} has another digest than {first}")
        waiting = {
            "shut gate": not all(gate.is_open for gate in node.sequencer.gates.values()),
            "spooled drafts": node.sequencer.spooled(),
            "files to come": node.custodian.incomplete,
            "texts to index": node.indexer.waiting,
        }
        found += [f"{code} has {what}: {count}" for what, count in waiting.items() if count]
    return found + _unwitnessed(cluster)


async def nodes(cluster: Cluster, history: History) -> tuple[str, Findings]:
    """No node ended by itself, none failed in a handler, none saw a fork.
    Not checked: errors that a service counted and lived with."""
    wrong = []
    for code, host in cluster.hosts.items():
        wrong += [f"{code} died of {why}" for why in host.deaths]
        node = host.node
        if node is None:
            continue
        if failed := node.links.counters["handler.failed"]:
            wrong.append(f"{code}: {failed} handlers failed")
        wrong += [f"{code} has quarantined {other}" for other in sorted(node.accuser.quarantined)]
    return f"{len(cluster.hosts)} nodes", wrong


async def acknowledged(cluster: Cluster, history: History) -> tuple[str, Findings]:
    """Every acknowledged event stands in its log where it was said to stand, every acknowledged
    report (also a spooled one) is an item of its office, and its files are there and whole.
    Not checked: that what was not acknowledged is absent; it may be there."""
    wrong = []
    for (code, index), entry in history.entries.items():
        with _node(cluster, code).world.ledger.read() as reader:
            if logbook.head(reader, code).size <= index:
                wrong.append(f"event {code}/{index} is gone")
            elif logbook.entry(reader, code, index) != entry:
                wrong.append(f"event {code}/{index} is another now")
    blobs: dict[tuple[OfficeCode, BlobId], None] = {}
    for report in history.reports:
        node = _node(cluster, report.office)
        with node.world.state.read() as reader:
            if find(reader, report.item) is None:
                wrong.append(f"report {report.item} is no item")
        blobs.update(((report.office, blob), None) for blob in (report.manifest, *report.files))
    for code, blob in blobs:
        store = _node(cluster, code).world.blobs
        size = store.size(blob)
        if size is None or BlobId.of(await store.read(blob, 0, size)) != blob:
            wrong.append(f"file {blob.short} of {code} is gone or damaged")
    looked_at = f"{len(history.entries)} events, {len(history.reports)} reports, {len(blobs)} files"
    return looked_at, wrong


async def checkpoints(cluster: Cluster, history: History) -> tuple[str, Findings]:
    """Watched: no node's copy of a log ever got shorter, and no two nodes had different roots at
    one size.  Now: every copy is a prefix of the owner's, entry by entry, tiles and head agree
    with them, and the newest note is of that head.
    Not checked: copies between two looks (seconds apart)."""
    wrong = []
    for code in cluster.hosts:
        with _node(cluster, code).world.ledger.read() as reader:
            own = logbook.entries(reader, code, 0, logbook.head(reader, code).size)
        for other in cluster.hosts:
            with _node(cluster, other).world.ledger.read() as reader:
                size = logbook.head(reader, code).size
                if logbook.entries(reader, code, 0, size) != own[:size]:
                    wrong.append(f"{other} has other entries of {code}")
                wrong += [f"{other}, {code}: {f.message}" for f in check_log(reader, code)]
    return f"{history.sights} heads seen, {len(cluster.hosts)} logs at every node", wrong


async def equal(cluster: Cluster, history: History) -> tuple[str, Findings]:
    """All nodes have the same heads and the same digest of the folded state.
    Not checked: the tables that depend on what a node holds (catalog, index)."""
    first = next(iter(cluster.hosts))
    heads, digest = _heads(cluster, first), _node(cluster, first).upkeep.digest()
    wrong = []
    for code in cluster.hosts:
        if _heads(cluster, code) != heads:
            wrong.append(f"{code} has other heads than {first}")
        if _node(cluster, code).upkeep.digest() != digest:
            wrong.append(f"{code} has another digest than {first}")
    return f"{sum(size for size, _ in heads.values())} events, digest {digest[:12]}", wrong


async def witnessed(cluster: Cluster, history: History) -> tuple[str, Findings]:
    """At every node every event is under a checkpoint whose cosignatures, verified anew, satisfy
    the witness policy.  Not checked: how long that took."""
    return "every log at every node", _unwitnessed(cluster)


def _unwitnessed(cluster: Cluster) -> Findings:
    wrong = []
    for at in cluster.hosts:
        node = cluster.hosts[at].node
        if node is None:
            continue
        roster = node.folding.roster
        for code in roster.members:
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


async def placed(cluster: Cluster, history: History) -> tuple[str, Findings]:
    """Open items are where placement says, whole, and the logs of the holders say so; other items
    are at their owner only; public text is indexed by its holders.
    Not checked: placement itself (the same function is asked), former revisions, and copies
    beyond what placement wants."""
    wrong, items = [], _items(cluster)
    roster = _node(cluster, cluster.province.code).folding.roster
    for view in items:
        parent = roster.member(view.owner).parent
        with _node(cluster, cluster.province.code).world.state.read() as reader:
            drawn = keepers(roster, room(reader, roster), view)
        wanted = set(drawn) if view.rights == "open" else {view.owner}
        if not set(view.holders) >= wanted:
            wrong.append(f"{view.item} is held by {view.holders}, not by {sorted(wanted)}")
        blobs = [view.manifest, *([view.pages_blob] if view.pages_blob else [])]
        for code in sorted(wanted):
            stored = _node(cluster, code).world.blobs
            wrong += [f"{code} lacks {b.short} of {view.item}" for b in blobs if not stored.size(b)]
        for code in sorted(set(cluster.hosts) - wanted) if view.rights != "open" else ():
            if view.pages_blob and _node(cluster, code).world.blobs.size(view.pages_blob):
                wrong.append(f"{code} has the text of {view.item}, which is none of its business")
        for code in index_holders(view.owner, roster.cities(), parent) if view.public else ():
            shard = _node(cluster, code).indexer.shard(view.owner, staff=False)
            key = revision_key(view)
            segments = shard.segments if shard and key not in shard.deleted else ()
            if not any(key in segment.numbers for segment in segments):
                wrong.append(f"{code} does not find {view.item}")
    return f"{len(items)} items", wrong


async def searched(cluster: Cluster, history: History) -> tuple[str, Findings]:
    """The same query at every node has the same hits and reaches every shard, a public page is
    found by its own words, and nothing that is not public is.
    Not checked: whether the ranking is good."""
    wrong = []
    public = {view.item for view in _items(cluster) if view.public}
    asked = history.answers = await _answers(cluster, history)
    for query, answers in asked.items():
        first = next(iter(answers.values()))
        for code, answer in answers.items():
            if answer.hits != first.hits or answer.total != first.total:
                wrong.append(f"{code} answers {query!r} otherwise than the others")
            if answer.coverage.missing:
                wrong.append(f"{code} does not reach {answer.coverage.missing}")
            wrong += [f"{code} shows {h.item}" for h in answer.hits if h.item not in public]
    searcher = _node(cluster, cluster.province.code).searcher
    for report in _current(cluster, history):
        phrase = report.phrases[0][0]
        answer = await searcher.search(Question(phrase, VERBATIM, HITS_MAX), PUBLIC)
        if report.item not in {hit.item for hit in answer.hits}:
            wrong.append(f"{phrase!r} does not find {report.item}")
    return f"{len(asked)} queries at every node, {len(public)} public items", wrong


async def coverage(cluster: Cluster, history: History) -> tuple[str, Findings]:
    """Watched: an answer that claims a shard has every page with the words that was public all the
    while to the holder that answered and to the coordinator, and none that the coordinator does not
    know as public.
    Not checked: pages that became public during the query; shards of a holder that crashed."""
    return f"{history.searches} searches, {history.shards_answered} shards answered", []


async def read(cluster: Cluster, history: History) -> tuple[str, Findings]:
    """Every file and the first page of every public item can be read through every node.
    Not checked: files of items that are not public."""
    wrong, count = [], 0
    for report in _current(cluster, history):
        for code in cluster.hosts:
            reading = _node(cluster, code).reading
            try:
                page = await reading.page(report.item, 1, PUBLIC)
                if page.text != report.pages[0]:
                    wrong.append(f"{code} shows another text of {report.item}")
                for blob in report.files:
                    count += 1
                    size, _, _, bytes_of = await reading.open_file(blob.hex, PUBLIC)
                    data = b"".join([chunk async for chunk in bytes_of(0, size)])
                    if BlobId.of(data) != blob:
                        wrong.append(f"{code} gives another {blob.short}")
            except FangzhiError as error:
                wrong.append(f"{code} cannot read {report.item}: {error}")
    return f"{count} files read", wrong


async def audited(cluster: Cluster, history: History) -> tuple[str, Findings]:
    """An auditor who has only the genesis note finds nothing wrong in what each node serves, and
    comes to the node's own digest.  Not checked: claimed times (clocks are off on purpose)."""
    wrong, done = [], set[str]()
    for code in cluster.hosts:
        node = _node(cluster, code)
        if str(_heads(cluster, code)) in done:
            continue  # the same logs again
        done.add(str(_heads(cluster, code)))
        tools = Tools(MemoryStore(AUDIT_TABLES), MemorySpool(), map, lambda *_: None)
        report = audit({str(code): _Served(node)}, cluster.genesis_note, tools)
        wrong += [f"at {code}: {f.office}/{f.index} {f.code} {f.detail}" for f in report.findings]
        if report.state_digest != node.upkeep.digest():
            wrong.append(f"the auditor folds another state than {code}")
    return f"{len(done)} sets of logs", wrong


async def rebuilt(cluster: Cluster, history: History) -> tuple[str, Findings]:
    """Derived state that is thrown away comes out the same: digest, shards, answers (those of the
    checker ``searched``).  Not checked: a crash during the rebuild."""
    wrong, before = [], history.answers
    for code in cluster.hosts:
        digests = await _node(cluster, code).upkeep.rebuild()
        wrong += [] if digests["equal"] else [f"{code} rebuilds another state"]
    wrong += await settle(cluster)
    for query, answers in (await _answers(cluster, history)).items():
        for code, answer in answers.items():
            if answer.hits != before[query][code].hits:
                wrong.append(f"{code} answers {query!r} otherwise after the rebuild")
    return f"{len(cluster.hosts)} nodes, {len(before)} queries", wrong


CHECKERS: Final[dict[str, Checker]] = {
    "nodes": nodes,
    "acknowledged": acknowledged,
    "checkpoints": checkpoints,
    "equal": equal,
    "witnessed": witnessed,
    "placed": placed,
    "coverage": coverage,
    "searched": searched,
    "read": read,
    "audited": audited,
    "rebuilt": rebuilt,
}


class _Served:
    """What a node serves to auditors, as their source."""

    def __init__(self, node: Node) -> None:
        self._reading = reading = node.reading
        self._witness, self._accuser = node.witness, node.accuser
        self.checkpoint, self.tile, self.bundle = reading.checkpoint, reading.tile, reading.bundle

    def offices(self) -> list[str]:
        return [line.code for line in self._reading.offices()]

    def witnessed(self, _code: str, origin: str) -> dict[str, bytes]:
        try:
            return {"": self._witness.cosigned(sha256(origin.encode()).hexdigest())}
        except Missing:
            return {}

    def evidence(self) -> list[tuple[str, bytes]]:
        return [(code, held.evidence) for code, _, held in self._accuser.evidence()]


async def _answers(cluster: Cluster, history: History) -> dict[str, dict[OfficeCode, SearchAnswer]]:
    """What every node answers to the words of a public page, spelled right and in another way."""
    spellings = next((report.phrases[0] for report in _current(cluster, history)), ())
    other = 1 + cluster.mix.seed % 3
    return {
        query: {
            code: await _node(cluster, code).searcher.search(Question(query), PUBLIC)
            for code in cluster.hosts
        }
        for query in (*spellings[:1], *spellings[other : other + 1])
    }


def _current(cluster: Cluster, history: History) -> list[Reported]:
    """The reports that are public now, in their last revision."""
    public = {view.manifest for view in _items(cluster) if view.public}
    return [report for report in history.reports if report.manifest in public]


def _items(cluster: Cluster) -> list[ItemView]:
    with _node(cluster, cluster.province.code).world.state.read() as reader:
        return list(every_item(reader))


def _heads(cluster: Cluster, code: OfficeCode) -> dict[OfficeCode, tuple[int, str]]:
    node = cluster.hosts[code].node
    if node is None:
        return {}
    with node.world.ledger.read() as reader:
        heads = {other: logbook.head(reader, other) for other in cluster.hosts}
    return {other: (head.size, head.root.short) for other, head in heads.items()}


def _node(cluster: Cluster, code: OfficeCode) -> Node:
    node = cluster.hosts[code].node
    if node is None:
        raise Missing(f"node {code}", "a node that runs after healing", "none")
    return node
