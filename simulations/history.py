"""What a run was promised and what was seen of it: the material of the checkers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from ledger import logbook
from node.hands.storage.memory_kv import MemoryStore
from node.office.catalog import find
from protocol.ids import BlobId, OfficeCode
from simulations.cluster import Cluster, Host


@dataclass(frozen=True, slots=True)
class Reported:
    """A package whose report was answered: kept in the log, or (待登记) in the spool."""

    item: str
    office: OfficeCode
    manifest: BlobId
    files: tuple[BlobId, ...]
    pages: tuple[str, ...]
    phrases: tuple[tuple[str, ...], ...]  # one phrase of a page in several spellings


@dataclass
class History:
    """Collected while the run goes on.  ``wrong`` has (checker, what it saw).

    Whoever plays a member that lies names it in ``villains`` before it does, and in ``forks``, with
    the moment, once it has signed two histories; ``gone`` are machines that never come back.
    """

    reports: list[Reported] = field(default_factory=list)
    entries: dict[tuple[OfficeCode, int], bytes] = field(default_factory=dict)  # acknowledged
    wrong: list[tuple[str, str]] = field(default_factory=list)
    villains: set[OfficeCode] = field(default_factory=set)
    gone: set[OfficeCode] = field(default_factory=set)
    forks: dict[OfficeCode, float] = field(default_factory=dict)  # seconds
    proven: dict[tuple[OfficeCode, OfficeCode], float] = field(default_factory=dict)
    """When a node was first seen to have evidence: (node, accused) to seconds."""
    roots: dict[tuple[OfficeCode, int], bytes] = field(default_factory=dict)
    """Every head that was seen anywhere: (log, size) to root."""
    written: list[tuple[str, ...]] = field(default_factory=list)
    """The pages of every package that anybody tried to hand in."""
    searches: int = 0
    shards_answered: int = 0
    sights: int = 0
    _sizes: dict[tuple[OfficeCode, OfficeCode], int] = field(default_factory=dict)

    def acknowledge(self, host: Host, start: int, count: int) -> None:
        """``host`` has just said that these entries stand in its log."""
        assert host.node is not None
        with host.node.world.ledger.read() as reader:
            entries = logbook.entries(reader, host.code, start, start + count)
        self.entries.update(((host.code, start + i), entry) for i, entry in enumerate(entries))

    def look(self, cluster: Cluster) -> None:
        """Note the head of every log at every node that runs, what is wrong with it, and who is
        convicted there."""
        for host in cluster.up():
            assert host.node is not None
            if host.code in self.villains:
                continue
            with host.node.world.ledger.read() as reader:
                heads = {code: logbook.head(reader, code) for code in cluster.hosts}
            for code, head in heads.items():
                self.sights += 1
                if head.size < self._sizes.get((host.code, code), 0):
                    self.blame("checkpoints", f"{host.code} has forgotten a part of {code}")
                self._sizes[host.code, code] = head.size
                root = self.roots.setdefault((code, head.size), head.root.raw)
                if head.size and root != head.root.raw and code not in self.villains:
                    self.blame("checkpoints", f"{host.code} has another {code} at {head.size}")
            for code, _, _ in host.node.accuser.evidence():
                self.proven.setdefault((host.code, code), asyncio.get_running_loop().time())

    def all_stand(self, cluster: Cluster) -> bool:
        """Whether every machine runs that is to be asked."""
        spared = self.villains | self.gone
        return all(host.node or code in spared for code, host in cluster.hosts.items())

    def lost(self, cluster: Cluster, host: Host) -> None:
        """The disk of ``host`` has forgotten what it had called durable.  What then stands on no
        disk at all is nobody's to keep any more; the rest must come back."""
        for code in cluster.hosts:
            self._sizes.pop((host.code, code), None)
        disks = [each.disk for each in cluster.hosts.values()]
        ledgers = [store for disk in disks if (store := disk.durable("ledger"))]
        states = [store for disk in disks if (store := disk.durable("state"))]
        before = len(self.entries), len(self.reports)
        self.entries = {
            place: entry
            for place, entry in self.entries.items()
            if any(_stands(store, *place, entry) for store in ledgers)
        }
        self.reports = [
            report
            for report in self.reports
            if any(_is_item(store, report.item) for store in states)
            and all(any(disk.keeps(b) for disk in disks) for b in (report.manifest, *report.files))
        ]
        self.roots = {
            (code, size): root
            for (code, size), root in self.roots.items()
            if any(_reached(store, code, size, root) for store in ledgers)
        }
        gone = before[0] - len(self.entries), before[1] - len(self.reports)
        cluster.trace.record(host.code, "lost for all", events=gone[0], reports=gone[1])

    def blame(self, checker: str, what: str) -> None:
        self.wrong.append((checker, what))


def _stands(store: MemoryStore, code: OfficeCode, index: int, entry: bytes) -> bool:
    with store.read() as reader:
        head = logbook.head(reader, code)
        return index < head.size and logbook.entry(reader, code, index) == entry


def _is_item(store: MemoryStore, item: str) -> bool:
    with store.read() as reader:
        return find(reader, item) is not None


def _reached(store: MemoryStore, code: OfficeCode, size: int, root: bytes) -> bool:
    with store.read() as reader:
        head = logbook.head(reader, code)
        return head.size >= size and logbook.root_at(reader, code, size).raw == root
