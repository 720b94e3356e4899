"""Figures of the ledger against their bars, peers beside them, all in one run.

    python -m benchmarks.ledger [append] [concurrent] [tree] [audit] [--rounds N] [--json]

Each append is the real one: ``Sequencer.append`` on the LMDB store, with uvloop as a node has it.
Its bar is the *sum*: n + 1 Ed25519 signatures and one synced LMDB commit of n entries of the same
length, one after the other.  Ours and the sum are timed in turns, because the syncs of a disk
change from minute to minute; ratios are the median over the turns, with the 10th and 90th
percentile.  hypercore (which does not sync) comes from npm into a temporary folder.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median

import lmdb
import uvloop

from ledger import logbook
from ledger.events import Context, VersionUpload, sign_event
from ledger.genesis import Genesis
from ledger.hash_rows import ROW_BYTES, TILE, roots_of_rows, row_key, subtree
from ledger.note import ED25519, NoteKey
from ledger.roster import RosterRef
from node.hands.keys import OfficeKeys, make_office_keys
from node.hands.open_world import SystemClock
from node.hands.storage.lmdb_kv import LmdbStore
from node.office.keyring import Keyring
from node.office.node import LEDGER_TABLES
from node.office.sequencer import Sequencer
from protocol.ids import BlobId, NetworkId, OfficeCode, RootHash, UnixMs, mint_item
from protocol.limits import GiB
from protocol.merkle import HASH_BYTES, CompactRange
from protocol.ports import Writer
from simulations.cluster import SimKeys

CODE = OfficeCode("320581")
GENESIS = Genesis("b.example", OfficeCode("320000"), 1, (NoteKey("r", ED25519, bytes(32)),), b"l")
ROSTER = RosterRef(1_000, RootHash(bytes(32)))
ENTRY_BYTES = 512
CALLERS = 200
HYPERCORE = """
const Hypercore = require('hypercore')
const data = Buffer.alloc(512, 1)
async function main () {
  const core = new Hypercore('core')
  await core.ready()
  const rates = {}
  for (const [n, rounds] of [[1, 300], [100, 30], [1000, 10]]) {
    const times = []
    for (let i = 0; i < rounds; i++) {
      const started = process.hrtime.bigint()
      await core.append(n === 1 ? data : Array(n).fill(data))
      times.push(Number(process.hrtime.bigint() - started))
    }
    rates[n] = n / times.sort((a, b) => a - b)[rounds >> 1] * 1e9
  }
  console.log(JSON.stringify(rates))
}
main()
"""


@dataclass(frozen=True, slots=True)
class Figure:
    """A line of the table; a peer has no bar."""

    name: str
    figure: str
    bar: str = ""
    ratio: str = ""
    verdict: str = ""


def judged(name: str, figure: str, bar: str, ratio: str, good: bool) -> Figure:
    return Figure(name, figure, bar, ratio, "met" if good else "MISSED")


def upload(padding: int) -> VersionUpload:
    item = mint_item(CODE, os.urandom(8))
    manifest = BlobId(os.urandom(32))
    return VersionUpload(item, manifest, "o" * padding, 3, 30_000_000, None, manifest)


def padding() -> int:
    """What makes an entry 512 bytes."""
    keys = make_office_keys(CODE, os.urandom)
    root = RootHash(bytes(32))
    context = Context(NetworkId(bytes(32)), CODE, 70_000, root, ROSTER.size, root)
    now = UnixMs(1_700_000_000_000)
    short = len(sign_event(context, upload(40), now, keys.event).encoded())
    return 40 + ENTRY_BYTES - short


class Bench:
    """A log in a store of its own, and the sum beside it."""

    def __init__(self, folder: Path) -> None:
        self.keys: OfficeKeys = make_office_keys(CODE, os.urandom)
        self.store = LmdbStore(folder / "ours", LEDGER_TABLES, 64 * GiB)
        self.sequencer = Sequencer(
            self.store,
            SystemClock(),
            GENESIS,
            Keyring(SimKeys({CODE: (self.keys,)}), lambda _: None),
            lambda: ROSTER,
            lambda _: None,
            lambda *_: None,
        )
        self.sequencer.gates[CODE].is_open = True
        self._env = lmdb.open(str(folder / "sum"), map_size=64 * GiB, max_dbs=1)
        self._entries = self._env.open_db(b"entry")
        self._count = 0
        self._padding = padding()

    def bodies(self, count: int) -> tuple[object, ...]:
        return tuple(upload(self._padding) for _ in range(count))

    async def ours(self, count: int) -> float:
        bodies = self.bodies(count)
        started = time.perf_counter()
        await self.sequencer.append(CODE, bodies)
        return time.perf_counter() - started

    def sum(self, count: int) -> float:
        entries = [os.urandom(ENTRY_BYTES) for _ in range(count + 1)]
        started = time.perf_counter()
        for entry in entries:
            self.keys.event.sign(entry)
        with self._env.begin(write=True) as transaction:
            for entry in entries[:count]:
                key = logbook.entry_key(CODE, self._count)
                transaction.put(key, entry, db=self._entries)
                self._count += 1
        return time.perf_counter() - started


@asynccontextmanager
async def bench(folder: Path, name: str) -> AsyncIterator[Bench]:
    (folder / name).mkdir()
    made = Bench(folder / name)
    try:
        yield made
    finally:
        await made.store.close()


def spread(ratios: Iterable[float]) -> tuple[float, str]:
    ordered = sorted(ratios)
    low, middle, high = (ordered[int(len(ordered) * q)] for q in (0.1, 0.5, 0.9))
    return middle, f"{middle:.2f} ({low:.2f} to {high:.2f})"


async def append(folder: Path, rounds: int) -> AsyncIterator[Figure]:
    """Durable, signed, checkpointed appends."""
    async with bench(folder, "append") as log:
        for count, turns in ((1, 30 * rounds), (100, 5 * rounds), (1000, 2 * rounds)):
            pairs = [(await log.ours(count), log.sum(count)) for _ in range(turns)][turns // 10 :]
            rate = count / median(ours for ours, _ in pairs)
            peer = count / median(whole for _, whole in pairs)
            ratio, text = spread(whole / ours for ours, whole in pairs)
            figure = f"{rate:,.0f}/s, the sum {peer:,.0f}/s"
            yield judged(f"append, batches of {count}", figure, "≥ 0.8 × sum", text, ratio >= 0.8)
    for name, rate_of in (("SQLite WAL, FULL", sqlite), ("plain file, fdatasync", plain)):
        for count in (1, 100, 1000):
            yield Figure(f"  {name}, {count}, unsigned", f"{rate_of(folder, count):,.0f}/s")
    for batch, rate in hypercore(folder).items():
        yield Figure(f"  hypercore, {batch}, not synced", f"{rate:,.0f}/s" if rate else "skipped")


def sqlite(folder: Path, count: int) -> float:
    with sqlite3.connect(folder / f"{count}.sqlite", isolation_level=None) as base:
        base.execute("PRAGMA journal_mode=WAL")
        base.execute("PRAGMA synchronous=FULL")
        base.execute("CREATE TABLE entry (number INTEGER PRIMARY KEY, bytes BLOB)")

        def write(rows: list[bytes]) -> None:
            base.execute("BEGIN")
            base.executemany("INSERT INTO entry (bytes) VALUES (?)", [(row,) for row in rows])
            base.execute("COMMIT")

        return rate_of_batches(write, count)


def plain(folder: Path, count: int) -> float:
    with (folder / f"{count}.log").open("ab", buffering=0) as file:

        def write(rows: list[bytes]) -> None:
            file.write(b"".join(rows))
            os.fdatasync(file.fileno())

        return rate_of_batches(write, count)


def rate_of_batches(write: Callable[[list[bytes]], None], count: int) -> float:
    times = []
    for _ in range(100 if count == 1 else 20):
        rows = [os.urandom(ENTRY_BYTES) for _ in range(count)]
        started = time.perf_counter()
        write(rows)
        times.append(time.perf_counter() - started)
    return count / median(times)


def hypercore(folder: Path) -> dict[str, float]:
    home = folder / "hypercore"
    home.mkdir()
    (home / "main.js").write_text(HYPERCORE)
    try:
        install = ["npm", "install", "--silent", "--no-audit", "--no-fund", "hypercore@10"]
        subprocess.run(install, cwd=home, check=True, capture_output=True, timeout=180)
        run = ["node", "main.js"]
        told = subprocess.run(run, cwd=home, check=True, capture_output=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return {"all": 0.0}
    return dict(json.loads(told.stdout))


async def concurrent(folder: Path, rounds: int) -> AsyncIterator[Figure]:
    """Many callers of one event each, all the time."""
    async with bench(folder, "concurrent") as log:
        times: list[float] = []

        async def caller() -> None:
            times.extend([await log.ours(1) for _ in range(rounds)])

        await log.ours(1)
        sums = [log.sum(CALLERS) for _ in range(rounds)]
        await asyncio.gather(*(caller() for _ in range(CALLERS)))
        sums += [log.sum(CALLERS) for _ in range(rounds)]
        worst = sorted(times)[int(0.99 * len(times))]
        ratio = worst / median(sums)
        figure = f"{1e3 * worst:.1f} ms, the sum {1e3 * median(sums):.1f} ms"
        name = f"p99 of an append, {CALLERS} callers"
        yield judged(name, figure, "≤ 3 × sum", f"{ratio:.2f}", ratio <= 3)


async def tree(folder: Path, rounds: int) -> AsyncIterator[Figure]:
    """A log of 10 M leaves beside one of 10 k; leaf hashes are random, below them no entries."""
    async with bench(folder, "small") as small, bench(folder, "large") as large:
        for log, size in ((small, 10_000), (large, 10_000_000)):
            await plant(log.store, size)
            await log.ours(1)
        turns = [(await small.ours(1), await large.ours(1)) for _ in range(30 * rounds)]
        yield flat("append", turns)
        proofs = [(prove(small, 10_000), prove(large, 10_000_000)) for _ in range(100 * rounds)]
        yield flat("proof", proofs)


def prove(log: Bench, size: int) -> float:
    """Seconds of one inclusion proof of a random leaf."""
    index = random.randrange(size)
    with log.store.read() as reader:
        started = time.perf_counter()
        logbook.prove_inclusion(reader, CODE, index, size)
        return time.perf_counter() - started


def flat(name: str, turns: list[tuple[float, float]]) -> Figure:
    small, large = (1e6 * median(turn[at] for turn in turns) for at in (0, 1))
    figure = f"{large:,.0f} µs, of 10 k {small:,.0f} µs"
    ratio = large / small
    return judged(f"10 M leaves: {name}", figure, "≤ 2 × of 10 k", f"{ratio:.2f}", ratio <= 2)


async def plant(store: LmdbStore, size: int) -> None:
    """Rows over random leaf hashes, level by level, and the head over them."""
    level, hashes = 0, os.urandom(size * HASH_BYTES)
    while hashes:
        for start in range(0, len(hashes), 10_000 * ROW_BYTES):
            run = hashes[start : start + 10_000 * ROW_BYTES]
            await store.write(partial(put_rows, level=level, start=start // ROW_BYTES, run=run))
        level, hashes = level + 1, roots_of_rows(hashes)
    await store.write(lambda writer: put_head(writer, size))


def put_rows(writer: Writer, level: int, start: int, run: bytes) -> None:
    rows = [run[at : at + ROW_BYTES] for at in range(0, len(run), ROW_BYTES)]
    keys = [row_key(CODE, level, number) for number in range(start, start + len(rows))]
    writer.put_many(TILE, list(zip(keys, rows, strict=True)))


def put_head(writer: Writer, size: int) -> None:
    levels = [level for level in range(63, -1, -1) if size >> level & 1]
    hashes = tuple([subtree(writer, CODE, level, (size >> level) - 1) for level in levels])
    root = CompactRange(size, hashes).root()
    head = b"".join((size.to_bytes(8, "big"), root, *hashes))
    writer.put(logbook.HEAD, CODE.encode(), head)


async def audit(folder: Path, _rounds: int) -> AsyncIterator[Figure]:
    """Of a network of seven offices; see benchmarks/audit.py."""
    from benchmarks.audit import figures  # noqa: PLC0415 (only this section needs the makers)

    told = await asyncio.to_thread(figures, 50_000, folder)
    rate = told["replica_entries_per_second_per_core"]
    yield judged(
        "replica check, hashes only",
        f"{rate:,}/s per core",
        "≥ 250,000/s",
        f"{rate / 250_000:.2f}",
        rate >= 250_000,
    )
    ratio = told["audit_to_raw"]
    audits = told["audits"]
    figure = f"{max(each['events_per_second'] for each in audits):,}/s"
    yield judged("full audit", figure, "≥ 0.85 × raw verify", f"{ratio:.2f}", ratio >= 0.85)
    memory = max(each["peak_rss_mb"] for each in audits)
    events = audits[0]["events"]
    name = f"memory of an audit of {events:,} events"
    yield judged(name, f"{memory} MB", "≤ 300 MB", f"{memory / 300:.2f}", memory <= 300)


SECTIONS = {section.__name__: section for section in (append, concurrent, tree, audit)}


async def measure(names: list[str], rounds: int, *, as_json: bool) -> bool:
    """Whether every bar was met."""
    figures = []
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as temporary:
        for name in names:
            async for figure in SECTIONS[name](Path(temporary), rounds):
                figures.append(figure)
                if not as_json:
                    print(
                        f"{figure.name:38} {figure.figure:38} {figure.bar:20} "
                        f"{figure.ratio:22} {figure.verdict}",
                        flush=True,
                    )
    if as_json:
        print(json.dumps([asdict(figure) for figure in figures], indent=2, ensure_ascii=False))
    return all(figure.verdict != "MISSED" for figure in figures)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    if unknown := set(chosen.sections) - set(SECTIONS):
        parser.error(f"no section {', '.join(sorted(unknown))}")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        names = chosen.sections or list(SECTIONS)
        raise SystemExit(not runner.run(measure(names, chosen.rounds, as_json=chosen.json)))


if __name__ == "__main__":
    main()
