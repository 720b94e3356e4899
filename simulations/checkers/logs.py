"""Are the logs what was promised: nothing lost, nothing taken back, the same everywhere?"""

from __future__ import annotations

from hashlib import sha256

from ledger import logbook
from ledger.audit import AUDIT_TABLES, audit
from ledger.log_check import check_log
from ledger.spool import Tools
from node.hands.storage.memory_kv import MemoryStore
from node.hands.storage.spool import MemorySpool
from node.office.catalog import find
from node.office.node import Node
from protocol.errors import FangzhiError, Missing
from protocol.ids import BlobId, OfficeCode
from simulations.checkers.settling import digests_agree, heads
from simulations.checkers.verdict import Found, honest
from simulations.cluster import Cluster
from simulations.history import History


async def nodes(cluster: Cluster, history: History) -> Found:
    """No node ended by itself, and none failed in a handler.
    Not checked: errors that a service counted and lived with; nodes of members that lie."""
    running = honest(cluster, history)
    wrong = []
    for code, node in running.items():
        wrong += [f"{code} died of {why}" for why in cluster.hosts[code].deaths]
        if failed := node.links.counters["handler.failed"]:
            wrong.append(f"{code}: {failed} handlers failed")
    return Found(f"{len(running)} nodes", len(running), wrong)


async def acknowledged(cluster: Cluster, history: History) -> Found:
    """Every acknowledged event stands in its log where it was said to stand, every acknowledged
    report (also a spooled one) is an item of its office, and its files are there and whole.
    Not checked: that what was not acknowledged is absent, for it may be there; what only a disk had
    that was lost for good; reports of members that lie."""
    running = honest(cluster, history)
    wrong = []
    for (code, index), entry in history.entries.items():
        if code not in running:
            continue
        with running[code].world.ledger.read() as reader:
            if logbook.head(reader, code).size <= index:
                wrong.append(f"event {code}/{index} is gone")
            elif logbook.entry(reader, code, index) != entry:
                wrong.append(f"event {code}/{index} is another now")
    blobs: dict[tuple[OfficeCode, BlobId], None] = {}
    for report in history.reports:
        if report.office not in running:
            continue
        with running[report.office].world.state.read() as reader:
            if find(reader, report.item) is None:
                wrong.append(f"report {report.item} is no item")
        blobs.update(((report.office, blob), None) for blob in (report.manifest, *report.files))
    for code, blob in blobs:
        if not await is_whole(running[code], blob):
            wrong.append(f"file {blob.short} of {code} is gone or damaged")
    looked_at = f"{len(history.entries)} events, {len(history.reports)} reports, {len(blobs)} files"
    return Found(looked_at, len(history.entries), wrong)


async def checkpoints(cluster: Cluster, history: History) -> Found:
    """Watched: no node's copy of a log ever got shorter, and no two nodes had different roots at
    one size.  Now: every head that was ever seen is still one of the log's past, every copy is a
    prefix of the owner's, entry by entry, tiles and head agree with them, and the newest note is of
    that head.
    Not checked: copies between two looks (seconds apart); logs that forked."""
    running = honest(cluster, history)
    wrong = []
    for (code, size), root in history.roots.items():
        if code in running and code not in history.forks:
            with running[code].world.ledger.read() as reader:
                if logbook.head(reader, code).size < size:
                    wrong.append(f"{code} has taken its checkpoint at {size} back")
                elif logbook.root_at(reader, code, size).raw != root:
                    wrong.append(f"{code} has another history below {size} than was seen")
    for code in set(running) - history.forks.keys():
        with running[code].world.ledger.read() as reader:
            own = logbook.entries(reader, code, 0, logbook.head(reader, code).size)
        for other, node in running.items():
            with node.world.ledger.read() as reader:
                size = logbook.head(reader, code).size
                if logbook.entries(reader, code, 0, size) != own[:size]:
                    wrong.append(f"{other} has other entries of {code}")
                wrong += [f"{other}, {code}: {f.message}" for f in check_log(reader, code)]
    looked_at = f"{history.sights} heads seen, {len(running)} logs at every node"
    return Found(looked_at, history.sights, sorted(wrong))


async def equal(cluster: Cluster, history: History) -> Found:
    """All nodes have the same heads and the same digest of the folded state.
    Not checked: the tables that depend on what a node holds (catalog, index); the state, where a
    log forked, because each node stopped reading that log where it was convinced."""
    running = honest(cluster, history)
    first = next(iter(running))
    known, digest = heads(cluster, history, first), running[first].upkeep.digest()
    wrong = []
    for code, node in running.items():
        if heads(cluster, history, code) != known:
            wrong.append(f"{code} has other heads than {first}")
        if digests_agree(history) and node.upkeep.digest() != digest:
            wrong.append(f"{code} has another digest than {first}")
    events = sum(size for size, _ in known.values())
    return Found(f"{events} events, digest {digest[:12]}", events, wrong)


async def audited(cluster: Cluster, history: History) -> Found:
    """An auditor who has only the genesis note finds nothing wrong in what each node serves, and
    comes to the node's own digest.
    Not checked: claimed times (clocks are off on purpose); what the auditor finds of logs that
    forked, which is why it looks."""
    wrong, done = [], set[str]()
    for code, node in honest(cluster, history).items():
        if str(heads(cluster, history, code)) in done:
            continue  # the same logs again
        done.add(str(heads(cluster, history, code)))
        tools = Tools(MemoryStore(AUDIT_TABLES), MemorySpool(), map, lambda *_: None)
        report = audit({str(code): _Served(node)}, cluster.genesis_note, tools)
        wrong += [
            f"at {code}: {f.office}/{f.index} {f.code} {f.detail}"
            for f in report.findings
            if f.office not in history.forks
        ]
        if digests_agree(history) and report.state_digest != node.upkeep.digest():
            wrong.append(f"the auditor folds another state than {code}")
    return Found(f"{len(done)} sets of logs", len(done), wrong)


async def is_whole(node: Node, blob: BlobId) -> bool:
    """Whether a node has a file and its bytes are those of its name."""
    store = node.world.blobs
    try:
        size = store.size(blob)
        return size is not None and BlobId.of(await store.read(blob, 0, size)) == blob
    except FangzhiError:
        return False


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
