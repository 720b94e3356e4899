"""Figures of the audit: the whole of it against raw signature checks, hashes only, and memory.

``python -m benchmarks.audit [--events N] [--folder DIR]``.  A province, two cities and four
counties say what offices say (an item is reported, its text derived, copies kept, it is passed; now
and then a log is anchored), in batches of one to forty events.  With ``--folder`` the logs are
kept there and used again.  Figures are printed as one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ledger.audit import audit
from ledger.changes import sign_change
from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.custody import HoldTake
from ledger.events import (
    DOMAIN,
    Anchor,
    AnchorLine,
    Context,
    MemberAdmit,
    ReviewAccept,
    TextDerive,
    VersionUpload,
    sign_event,
)
from ledger.genesis import Genesis, write_genesis
from ledger.note import ED25519, NoteKey
from ledger.spool import Tools
from ledger.survey import check_replica
from ledger.tiles import bundle_path, bundles_of, decode_bundle, encode_bundle, tile_path
from node.hands.crew import Crew
from node.hands.sources import FolderSource
from node.hands.workbench import Workbench
from protocol.ids import BlobId, EventRef, ItemId, LeafHash, OfficeCode, RootHash, UnixMs, mint_item
from protocol.keys import SigningKey
from protocol.limits import TILE_WIDTH
from protocol.merkle import CompactRange, GrowingTree, leaf_hash, perfect_root

_LOOK_EACH_S = 0.5
PROVINCE = "320000"
CITIES = ("320500", "320600")
COUNTIES = ("320581", "320582", "320681", "320682")
PARENT = {PROVINCE: "", **dict.fromkeys(CITIES, PROVINCE)} | {c: c[:4] + "00" for c in COUNTIES}
TIER = dict.fromkeys(COUNTIES, "county") | dict.fromkeys(CITIES, "city") | {PROVINCE: "province"}


def key(purpose: str) -> SigningKey:
    return SigningKey.from_seed(BlobId.of(purpose.encode()).raw)


@dataclass
class Log:
    """One office's log on its way to a folder; only the running bundle is in memory."""

    folder: Path
    code: str
    tree: GrowingTree = field(default_factory=lambda: GrowingTree(CompactRange()))
    entries: list[bytes] = field(default_factory=list)
    levels: list[list[bytes]] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)

    def add(self, entry: bytes) -> bytes:
        leaf = leaf_hash(entry)
        self.tree.push(leaf)
        self.entries.append(entry)
        self._hash(0, leaf)
        if len(self.entries) == TILE_WIDTH:
            self._write(bundle_path(self.tree.size // TILE_WIDTH - 1), encode_bundle(self.entries))
            self.entries.clear()
        return leaf

    def _hash(self, level: int, value: bytes) -> None:
        if level == len(self.levels):
            self.levels.append([])
            self.counts.append(0)
        row = self.levels[level]
        row.append(value)
        self.counts[level] += 1
        if len(row) == TILE_WIDTH:
            data = b"".join(row)
            self._write(tile_path(level, self.counts[level] // TILE_WIDTH - 1), data)
            row.clear()
            self._hash(level + 1, perfect_root(data))

    def close(self, genesis: Genesis) -> None:
        if self.entries:
            number = self.tree.size // TILE_WIDTH
            width = len(self.entries)
            self._write(bundle_path(number, width), encode_bundle(self.entries))
        for level, row in enumerate(self.levels):
            if row:
                path = tile_path(level, self.counts[level] // TILE_WIDTH, len(row))
                self._write(path, b"".join(row))
        root = RootHash(self.tree.root())
        checkpoint = Checkpoint(genesis.origin(self.code), self.tree.size, root)
        self._write("checkpoint", sign_checkpoint(checkpoint, key(f"{self.code} log")))

    def _write(self, name: str, data: bytes) -> None:
        path = self.folder / "log" / self.code / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


class Maker:
    """Writes a network of seven offices into a folder."""

    def __init__(self, folder: Path, seed: int) -> None:
        root = key("root")
        self.folder = folder
        self.random = random.Random(seed)
        self.genesis = Genesis(
            network="fzb.bench.example",
            province=OfficeCode(PROVINCE),
            threshold=1,
            roots=(NoteKey("root", ED25519, root.public),),
            log_key=key(f"{PROVINCE} log").public,
        )
        (folder / "genesis.note").write_bytes(write_genesis(self.genesis, {"root": root}))
        self.logs = {code: Log(folder, code) for code in PARENT}
        self.keys = {code: key(f"{code} event") for code in PARENT}
        self.now = 1_700_000_000_000
        self.written = 0
        for code in (PROVINCE, *CITIES, *COUNTIES):
            self.say(PROVINCE, sign_change(self.genesis, self._admission(code), root))

    def _admission(self, code: str) -> MemberAdmit:
        keys = {
            f"{name}_key": key(f"{code} {name}").public
            for name in ("log", "witness", "mirror", "event")
        }
        return MemberAdmit(
            code=code,
            name=f"office {code}",
            tier=TIER[code],
            parent=PARENT[code],
            tls_pin=bytes(32),
            peer_address="",
            web_url="",
            turn=0,
            signatures=(),
            **keys,
        )

    def say(self, code: str, *bodies: object) -> list[EventRef]:
        """One batch."""
        log, province = self.logs[code], self.logs[PROVINCE]
        context = Context(
            network=self.genesis.id,
            origin=OfficeCode(code),
            last_size=log.tree.size,
            last_root=RootHash(log.tree.root()),
            roster_size=province.tree.size,
            roster_root=RootHash(province.tree.root()),
        )
        self.now += 1000
        refs = []
        for body in bodies:
            entry = sign_event(context, body, UnixMs(self.now), self.keys[code]).encoded()
            index = log.tree.size
            refs.append(EventRef(OfficeCode(code), index, LeafHash(log.add(entry))))
        self.written += len(bodies)
        return refs

    def grow(self, events: int) -> None:
        while self.written < events:
            code = self.random.choice((*CITIES, *COUNTIES, *COUNTIES))
            parent = PARENT[code]
            items = [
                mint_item(OfficeCode(code), self.random.randbytes(8))
                for _ in range(self.random.choice((1, 1, 2, 20)))
            ]
            refs = self.say(code, *(body for item in items for body in self._report(item)))
            self.say(parent, *(self._kept(item) for item in items))
            self.say(PROVINCE, *(self._kept(item) for item in items))
            passed = zip(items, refs[::3], strict=True)
            self.say(parent, *(ReviewAccept(item, _manifest(item), ref) for item, ref in passed))
            if self.random.random() < 0.3:
                tree = self.logs[code].tree
                line = AnchorLine(code, tree.size, RootHash(tree.root()))
                self.say(parent, Anchor((line,)))

    def _report(self, item: ItemId) -> tuple[object, ...]:
        manifest = _manifest(item)
        return (
            VersionUpload(item, manifest, "open", 3, 30_000_000, None, manifest),
            TextDerive(item, manifest, 300, RootHash(manifest.raw), manifest, 400_000),
            HoldTake(item, manifest, 3, 30_000_000),
        )

    def _kept(self, item: ItemId) -> HoldTake:
        return HoldTake(item, _manifest(item), 3, 30_000_000)

    def close(self) -> None:
        for log in self.logs.values():
            log.close(self.genesis)


def _manifest(item: ItemId) -> BlobId:
    return BlobId.of(item.encode())


def make_network(folder: Path, events: int, seed: int = 1) -> None:
    maker = Maker(folder, seed)
    maker.grow(events)
    maker.close()


def raw_rate(folder: Path, seconds: float) -> tuple[float, float]:
    """Ed25519 verifications of the events of a log, every core at once: a second, and µs of one
    processor each."""
    with Crew() as crew:
        list(crew.map(_verify_for, [(folder, 0.1)] * crew.workers))  # started and warm
        started = time.perf_counter()
        counts = list(crew.map(_verify_for, [(folder, seconds)] * crew.workers))
        elapsed = time.perf_counter() - started
    count = sum(count for count, _ in counts)
    return count / elapsed, 1e6 * sum(spent for _, spent in counts) / count


def _verify_for(task: tuple[Path, float]) -> tuple[int, float]:
    folder, seconds = task
    source = FolderSource(folder)
    bundle = next(iter(bundles_of(TILE_WIDTH)))
    entries = decode_bundle(source.bundle(PROVINCE, 0, bundle.width), bundle.width)[7:]
    public = Ed25519PublicKey.from_public_bytes(key(f"{PROVINCE} event").public)
    signed = [(entry[-64:], DOMAIN + b"\x9b" + entry[1:-66]) for entry in entries]
    end, count, began = time.perf_counter() + seconds, 0, time.process_time()
    while time.perf_counter() < end:
        for signature, message in signed:
            public.verify(signature, message)
        count += len(signed)
    return count, time.process_time() - began


def hash_rate(folder: Path) -> float:
    """Entries of a replica check for each second of one processor."""
    source = FolderSource(folder)
    checkpoint = Checkpoint.parse(source.checkpoint(PROVINCE).decode().split("\n\n")[0] + "\n")
    started = time.process_time()
    check_replica(source, OfficeCode(PROVINCE), checkpoint.size, checkpoint.root.raw)
    return checkpoint.size / (time.process_time() - started)


def audit_rate(folder: Path) -> dict[str, Any]:
    """A full audit: events a second, and the memory of all its processes together."""
    with tempfile.TemporaryDirectory(dir=folder) as work, Crew() as crew:
        list(crew.map(abs, range(crew.workers)))  # started
        peak = _Peak()
        started, spent = time.perf_counter(), processor_s()
        report = asyncio.run(_audit(folder, Path(work), crew, peak))
        seconds = time.perf_counter() - started - peak.seconds
        spent = processor_s() - spent - peak.seconds
    events = sum(log.size for log in report.logs)
    return {
        "events": events,
        "seconds": round(seconds, 2),
        "events_per_second": round(events / seconds),
        "processor_us_per_event": round(1e6 * spent / events, 1),
        "ok": report.ok,
        "findings": len(report.findings),
        "items": sum(report.items.values()),
        **peak.figures(),
    }


async def _audit(folder: Path, work: Path, crew: Crew, peak: _Peak) -> Any:
    bench = Workbench(work)
    tools = Tools(bench, bench.spool, crew.map, peak.look)
    genesis = (folder / "genesis.note").read_bytes()
    try:
        source = FolderSource(folder)
        return await asyncio.to_thread(audit, {"folder": source}, genesis, tools)
    finally:
        peak.look("", 0, 0)
        await bench.close()


class _Peak:
    """The largest memory of this process and its children, looked at as progress is told."""

    def __init__(self) -> None:
        self._resident = self._proportional = 0
        self._looked = -_LOOK_EACH_S
        self.seconds = 0.0  # that looking took

    def look(self, _what: str, _done: int, _total: int) -> None:
        started = time.perf_counter()
        if started < self._looked + _LOOK_EACH_S:
            return
        self._looked = started
        sums = dict.fromkeys(("Rss", "Pss"), 0)
        for process in _family(os.getpid()):
            for name, value in _rollup(process):
                sums[name] += value
        self._resident = max(self._resident, sums["Rss"])
        self._proportional = max(self._proportional, sums["Pss"])
        self.seconds += time.perf_counter() - started

    def figures(self) -> dict[str, int]:
        return {
            "peak_rss_mb": self._resident // 1024,
            "peak_pss_mb": self._proportional // 1024,  # pages that processes share, once
        }


def _rollup(process: int) -> Iterator[tuple[str, int]]:
    try:
        text = Path(f"/proc/{process}/smaps_rollup").read_text("ascii")
    except OSError:
        return
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        if name in ("Rss", "Pss"):
            yield name, int(rest.split()[0])


def _family(process: int) -> Iterator[int]:
    yield process
    for children in Path(f"/proc/{process}/task").glob("*/children"):
        for child in children.read_text("ascii").split():
            yield from _family(int(child))


def processor_s() -> float:
    """Seconds of processor that this process and its children have used."""
    ticks = 0
    for process in _family(os.getpid()):
        fields = Path(f"/proc/{process}/stat").read_text("ascii").rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def figures(events: int, folder: Path) -> dict[str, Any]:
    """Everything, in one run."""
    if not (folder / "genesis.note").exists():
        make_network(folder, events)
    raw, told = [raw_rate(folder, 2.0)], []
    for _ in range(2):  # in turns, for the machine may be busy with other things as well
        told.append(audit_rate(folder))
        raw.append(raw_rate(folder, 2.0))
    rate, spent = (sum(each) / len(raw) for each in zip(*raw, strict=True))
    audited = sum(each["events_per_second"] for each in told) / len(told)
    audit_spent = sum(each["processor_us_per_event"] for each in told) / len(told)
    return {
        "cores": len(os.sched_getaffinity(0)),
        "raw_verify_per_second": [round(each) for each, _ in raw],
        "raw_processor_us": [round(each, 1) for _, each in raw],
        "audits": told,
        "audit_to_raw_by_processor_time": round(spent / audit_spent, 3),
        "audit_to_raw": round(audited / rate, 3),
        "replica_entries_per_second_per_core": round(hash_rate(folder)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--events", type=int, default=50_000)
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        print(json.dumps(figures(arguments.events, folder), indent=2))


if __name__ == "__main__":
    main()
