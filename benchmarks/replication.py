"""How long does a long log take to a node that has nothing of it, and who notices meanwhile?

    python -m benchmarks.replication [--events N] [--fold]

A network of a province, a city and a county is founded in a temporary folder, and the city appends
N signed events.  Then three processes run on loopback, over real TLS links and LMDB stores: the
city serves its log, the province catches up with it (with ``--fold`` it also folds what arrives),
and the county asks the city a small question every 10 ms, before and meanwhile.  The city folds
nothing but the roster.  Memory is the highest resident anonymous memory seen; pages of the memory
map, which the kernel takes back when it needs them, are not in it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from statistics import quantiles
from typing import Any

from ledger import logbook
from ledger.events import VersionUpload
from ledger.genesis import read_genesis
from ledger.roster import RosterRef
from ledger.views import TABLES as FOLDED
from node.cli.running import read_config
from node.hands.keys import HomeKeys
from node.hands.open_world import SystemClock, open_world
from node.hands.storage.home import Home
from node.hands.storage.lmdb_kv import LmdbStore
from node.hands.tables import cached_tables
from node.office.catalog import TABLES as CATALOG
from node.office.keyring import Keyring
from node.office.membership import read_invite
from node.office.node import LEDGER_TABLES, Node
from node.office.sequencer import Sequencer
from protocol.errors import FangzhiError
from protocol.ids import BlobId, OfficeCode
from protocol.limits import BATCH_EVENTS_MAX, GiB
from protocol.messages import HeadsAsk

PROVINCE, CITY, COUNTY = map(OfficeCode, ("320000", "320500", "320581"))
FANGZHI = [sys.executable, "-m", "node.cli.main"]
BEFORE_SECONDS = 3.0
ASK_EVERY_SECONDS = 0.01


def free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def found(folder: Path) -> None:
    """Homes of the three offices, admitted."""

    def fangzhi(*words: str) -> None:
        subprocess.run([*FANGZHI, *words], check=True, capture_output=True)

    for code, rest in (
        (PROVINCE, ["--found", "bench.example"]),
        (CITY, ["--request", str(folder / "city"), "--peer-listen", free_address()]),
        (COUNTY, ["--request", str(folder / "county")]),
    ):
        fangzhi("init", str(folder / code), "--office", code, "--web-listen", free_address(), *rest)
    (folder / "table.csv").write_text("request\ncity\ncounty\n")
    fangzhi("admit", str(folder / PROVINCE), "--table", str(folder / "table.csv"),
            "--invite", str(folder / "invites"))  # fmt: skip
    for code, name in ((CITY, "city"), (COUNTY, "county")):
        invite = folder / "invites" / f"{name}.invite.json"
        fangzhi("join", str(folder / code), "--invite", str(invite))


async def append(folder: Path, events: int) -> int:
    """The city's log, through its sequencer; bytes of its entries."""
    province = LmdbStore(Home.open(folder / PROVINCE).ledger, LEDGER_TABLES, 64 * GiB)
    with province.read() as reader:
        roster = logbook.head(reader, PROVINCE)
    await province.close()
    home = Home.open(folder / CITY)
    store = LmdbStore(home.ledger, LEDGER_TABLES, 64 * GiB)
    sequencer = Sequencer(
        store,
        SystemClock(),
        read_genesis(home.genesis.read_bytes()),
        Keyring(HomeKeys(home.keys), lambda _: None),
        lambda: RosterRef(roster.size, roster.root),
        lambda _: None,
        lambda *_: None,
    )
    sequencer.gates[CITY].is_open = True
    for start in range(0, events, BATCH_EVENTS_MAX):
        count = min(BATCH_EVENTS_MAX, events - start)
        await sequencer.append(CITY, tuple(upload(start + at) for at in range(count)))
    with store.read() as reader:
        size = sum(len(value) for _, value in reader.scan(logbook.ENTRY, CITY.encode()))
    await store.close()
    return size


def upload(number: int) -> VersionUpload:
    manifest, report = (BlobId.of(b"%s %d" % (word, number)) for word in (b"manifest", b"report"))
    mark = hashlib.sha256(b"%d" % number).hexdigest()[:15]
    return VersionUpload(f"{CITY}-{mark}", manifest, "open", 3, 10**8 + number, manifest, report)


# ---- the three processes


@contextlib.asynccontextmanager
async def assembled(root: Path) -> AsyncIterator[Node]:
    home = Home.open(root)
    config = read_config(home)
    tables = (*FOLDED, *CATALOG)
    async with open_world(home, config, LEDGER_TABLES, tables) as world:
        invite = home.root / "invite.json"
        newcomer = read_invite(invite.read_bytes())[1] if invite.exists() else None
        keys = HomeKeys(home.keys)
        yield Node(config, world, home.genesis.read_bytes(), keys, cached_tables(home), newcomer)


def say(**facts: Any) -> None:
    print(json.dumps(facts), flush=True)


async def serve(root: Path) -> None:
    """The city: its links, its logs, and the roster."""
    async with assembled(root) as node, asyncio.TaskGroup() as group:
        await node.world.wire.listen(node.config.peer.listen, node.links.accept)
        for service in (node.links, node.folding, node.replicator):
            group.create_task(service.run())
        node.replicator.changed(CITY)
        group.create_task(watch_memory())
        say(ready=True)


async def catch_up(root: Path, size: int, fold: bool) -> None:
    """The province, until it has (and has folded) the city's log."""
    async with assembled(root) as node, asyncio.TaskGroup() as group:
        await node.folding.advance()
        node.links.keep([CITY])
        services = [node.links, node.replicator, *([node.folding] if fold else [])]
        tasks = [group.create_task(service.run()) for service in services]
        memory = group.create_task(watch_memory())
        await longer(node, 0)
        begun, cpu = time.monotonic(), time.process_time()
        await longer(node, size - 1)
        say(stored_s=time.monotonic() - begun, stored_cpu_s=time.process_time() - cpu)
        if fold:
            await node.folding.until(CITY, size)
            say(folded_s=time.monotonic() - begun, folded_cpu_s=time.process_time() - cpu)
        await asyncio.sleep(0.3)
        say(counters=dict(node.links.counters))
        for task in (*tasks, memory):
            task.cancel()


async def longer(node: Node, size: int) -> None:
    while node.log_size(CITY) <= size:  # noqa: ASYNC110  # nobody is told when a log has grown
        await asyncio.sleep(0.002)


async def ask(root: Path) -> None:
    """The county: a small question again and again; says when each was answered, and how late."""
    async with assembled(root) as node, asyncio.TaskGroup() as group:
        node.links.keep([CITY])
        group.create_task(node.links.run())
        while True:
            begun = time.monotonic()
            with contextlib.suppress(FangzhiError):  # the city does not know us yet
                await node.links.ask(CITY, "log.heads", HeadsAsk(), 5)
                say(at=begun, ms=1000 * (time.monotonic() - begun))
            await asyncio.sleep(ASK_EVERY_SECONDS)


async def watch_memory() -> None:
    highest = 0
    while True:
        kib = resident_kib()
        if kib > 1.02 * highest:
            highest = kib
            say(peak_mb=round(kib * 1024 / 1e6))
        await asyncio.sleep(0.1)


def resident_kib() -> int:
    status = Path(f"/proc/{os.getpid()}/status").read_text("ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if "RssAnon" in line)


# ---- the run


class Process:
    """One of the three; what it says is read when it is over."""

    def __init__(self, folder: Path, role: str, code: OfficeCode, *rest: str) -> None:
        self._path = folder / f"{role}.jsonl"
        with self._path.open("wb") as out:
            words = [sys.executable, "-m", "benchmarks.replication", "--role", role, *rest]
            self.child = subprocess.Popen([*words, "--home", str(folder / code)], stdout=out)

    def said(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._path.read_text().splitlines()]

    def stop(self) -> None:
        self.child.terminate()
        self.child.wait()


def run(folder: Path, events: int, fold: bool) -> None:
    city = Process(folder, "serve", CITY)
    while not city.said():
        time.sleep(0.05)
    county = Process(folder, "ask", COUNTY)
    # The county is let in once the city has the roster, which the province brings: see below.
    province = Process(
        folder, "catch-up", PROVINCE, "--events", str(events), *(["--fold"] if fold else [])
    )
    status = province.child.wait()
    over = time.monotonic()
    time.sleep(BEFORE_SECONDS)
    county.stop()
    city.stop()
    if status:
        raise SystemExit("the province could not catch up")
    facts = {key: value for line in province.said() for key, value in line.items()}
    waits = [(line["at"], line["ms"]) for line in county.said()]
    meanwhile = [ms for at, ms in waits if over - facts["stored_s"] < at < over - 0.5]
    for what in ("stored", "folded") if fold else ("stored",):
        seconds, cpu = facts[f"{what}_s"], facts[f"{what}_cpu_s"]
        rate = events / seconds
        print(f"{what}    {seconds:8.1f} s, {cpu:.1f} s of processor; {rate:,.0f} entries/s")
    peak = max(line.get("peak_mb", 0) for line in city.said())
    print(f"memory    {facts['peak_mb']:8} MB here, {peak} MB at the city (anonymous, highest)")
    show("meanwhile", meanwhile)
    show("idle", [ms for at, ms in waits if at > over])
    print(f"counters  {facts['counters']}")


def show(when: str, waits: list[float]) -> None:
    if len(waits) > 2:
        cuts = quantiles(waits, n=100)
        print(f"{when:9} {len(waits):8} questions: p50 {cuts[49]:.1f} ms, p99 {cuts[98]:.1f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--fold", action="store_true")
    parser.add_argument("--role", choices=("serve", "catch-up", "ask"), help=argparse.SUPPRESS)
    parser.add_argument("--home", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role == "serve":
        asyncio.run(serve(options.home))
    elif options.role == "catch-up":
        asyncio.run(catch_up(options.home, options.events, options.fold))
    elif options.role == "ask":
        asyncio.run(ask(options.home))
    else:
        folder = Path(tempfile.mkdtemp())
        try:
            found(folder)
            begun = time.monotonic()
            size = asyncio.run(append(folder, options.events))
            seconds = time.monotonic() - begun
            print(f"appended  {seconds:8.1f} s  {size / options.events:.0f} bytes an entry")
            run(folder, options.events, options.fold)
        finally:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
