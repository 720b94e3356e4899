"""Figures of a search over everybody's shards, with holders that are dead or hang.

``python -m benchmarks.federation [--seed N] [--megabytes N] [--queries N] [--shards N] [--out
DIR]``, within ten minutes on two cores.  Real nodes over real links in several processes: a
provincial coordinator, cities, counties.  Every query is new.  Ten holders have a process each,
which is stopped (SIGSTOP), continued, and killed.  Writes federation.json and its plots to DIR
(docs/benchmarks).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import pickle
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import fmean
from typing import Any, Final

import uvloop

from benchmarks.shard.corpus import Section, read_sections
from benchmarks.town import PROVINCE, Office, build, keys_of, open_blobs, plan
from ledger.views import TABLES as FOLDED
from node.demo.network import free_ports
from node.hands.config import NodeConfig, PeerConfig, SearchConfig, WebConfig
from node.hands.open_world import SystemClock, SystemRng, Threads
from node.hands.storage.memory_kv import MemoryStore
from node.hands.tls import load_tls, make_tls
from node.hands.wire import SocketWire
from node.hands.world import World
from node.office.answers import PUBLIC, Question
from node.office.catalog import TABLES as CATALOG
from node.office.node import LEDGER_TABLES, Node
from protocol.errors import Unavailable
from protocol.ids import OfficeCode
from protocol.placement import city_for
from protocol.ports import BlobStore
from search_shard.tables import Tables, build_tables
from simulations.cluster import Outside, SimKeys

FOLDER: Final = Path(__file__).resolve().parents[1] / "docs" / "benchmarks"
CITIES: Final = 13
GROUPS: Final = 3  # processes of the holders that stay
VICTIMS: Final = 10
FIRST: Final = 20  # queries after holders begin to hang
SETTLE_S: Final = 3.0


# ---- one process of nodes


class Segments:
    """SegmentStore in memory."""

    def __init__(self) -> None:
        self._data: dict[str, bytes] = {}

    def names(self) -> list[str]:
        return sorted(self._data)

    def open(self, name: str) -> memoryview:
        return memoryview(self._data[name])

    def put(self, name: str, data: bytes) -> None:
        self._data[name] = data

    def delete(self, name: str) -> None:
        self._data.pop(name, None)

    def page_out(self, _buffer: memoryview) -> None:
        """It stays: there is no file behind it."""


class Nodes:
    """The nodes of one process, each with its own state and links."""

    def __init__(self, folder: Path, blobs: BlobStore) -> None:
        self.note, self.dump = pickle.loads((folder / "town").read_bytes())
        self.tables = Tables.from_bytes((folder / "tables").read_bytes())
        self.tls = load_tls(folder)
        self.work = Threads()
        self.blobs = blobs

    def node(self, code: OfficeCode, address: str) -> Node:
        config = NodeConfig(
            peer=PeerConfig(listen=address),
            web=WebConfig(listen=""),
            search=SearchConfig(deadline_ms=10_000),
        )
        world = World(
            clock=SystemClock(),
            rng=SystemRng(),
            wire=SocketWire(self.tls),
            outside=Outside(),
            ledger=MemoryStore(LEDGER_TABLES),
            state=MemoryStore((*FOLDED, *CATALOG), self.dump),
            blobs=self.blobs,
            segments=Segments(),
            work=self.work,
            inspect=_inspect,
            drawing=_inspect,
            free_bytes=lambda: 2**40,
        )
        keys = SimKeys({code: (keys_of(code),)})
        return Node(config, world, self.note, keys, self.tables, None)


async def _inspect(*_: object) -> Any:
    raise AssertionError("nothing is handed in")


async def serve(folder: Path, places: Sequence[tuple[str, str]]) -> None:
    """Holders, until the process is stopped; says when their shards stand."""
    async with open_blobs(folder, places[0][0]) as blobs, asyncio.TaskGroup() as group:
        nodes = Nodes(folder, blobs)
        running = []
        for code, address in places:
            node = nodes.node(OfficeCode(code), address)
            await node.world.wire.listen(address, node.links.accept)
            for service in (node.links.run, node.indexer.run, node.searcher.run):
                group.create_task(service())
            running.append(node)
        while not all(map(_stands, running)):  # noqa: ASYNC110  # an indexer tells nobody
            await asyncio.sleep(0.1)
        print("ready", flush=True)


def _stands(node: Node) -> bool:
    own = min(node.keys.hosted)
    return node.indexer.waiting == 0 and node.indexer.shard(own, False) is not None


# ---- the run


class Holders:
    """The processes of the holders."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.children: list[asyncio.subprocess.Process] = []

    async def start(self, groups: Iterable[Sequence[Office]]) -> None:
        for group in groups:
            places = [f"{office.code}={office.address}" for office in group]
            words = ["-m", "benchmarks.federation", "--serve", str(self.folder), *places]
            child = await asyncio.create_subprocess_exec(
                sys.executable, *words, stdout=asyncio.subprocess.PIPE
            )
            self.children.append(child)
        for child in self.children:
            assert child.stdout is not None
            if await child.stdout.readline() != b"ready\n":
                raise SystemExit("a process of holders did not come up")

    def send(self, victims: Iterable[int], number: signal.Signals) -> None:
        for at in victims:
            with suppress(ProcessLookupError):
                self.children[at].send_signal(number)

    async def end(self) -> None:
        for child in self.children:
            with suppress(ProcessLookupError):
                child.kill()
            await child.wait()


def victims_of(offices: Sequence[Office]) -> list[Office]:
    """Holders whose loss leaves a replica of every shard: as many cities as can be, then counties
    of cities that stay."""
    cities = [office.code for office in offices if office.tier == "city"]
    chosen: list[Office] = []
    for office in offices:
        gone = {each.code for each in chosen} | {office.code}
        if office.tier == "city" and office.address:
            stays = all(city_for(city, cities, None) not in gone for city in gone)
            counted = any(each.code == PROVINCE for each in offices)
            province_stays = not counted or city_for(PROVINCE, cities, None) not in gone
            if stays and province_stays and len(chosen) < VICTIMS // 2:
                chosen.append(office)
    down = {each.code for each in chosen}
    for office in offices:
        if office.tier == "county" and office.parent not in down and len(chosen) < VICTIMS:
            chosen.append(office)
    return chosen


class Questions:
    """Queries that nobody has asked: pieces of the text, alone and two together."""

    def __init__(self, sections: Sequence[Section], seed: int) -> None:
        self._texts = [section.text for section in sections]
        self._draw = random.Random(seed)

    def next(self) -> str:
        length = self._draw.choice((2, 2, 3, 4, 8))
        if length == 2 and self._draw.random() < 0.5:
            return f"{self._piece(2)} {self._piece(2)}"
        return self._piece(length)

    def _piece(self, length: int) -> str:
        while True:
            text = self._draw.choice(self._texts)
            at = self._draw.randrange(max(1, len(text) - length))
            piece = text[at : at + length]
            if len(piece) == length and all("\u4e00" <= each < "\u9fff" for each in piece):
                return piece


def percentile(values: Sequence[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * part), len(ordered) - 1)]


async def measure(node: Node, questions: Questions, count: int) -> dict[str, Any]:
    """Figures of ``count`` queries, one after another; milliseconds."""
    times, cpus, missing = [], [], 0
    for _ in range(count):
        question = Question(questions.next(), limit=10)
        cpu, started = time.process_time(), time.perf_counter()
        answer = await node.searcher.search(question, PUBLIC)
        times.append(1000 * (time.perf_counter() - started))
        cpus.append(1000 * (time.process_time() - cpu))
        missing = max(missing, len(answer.coverage.missing))
    return {
        "queries": count,
        "p50": round(percentile(times, 0.5), 2),
        "p95": round(percentile(times, 0.95), 2),
        "worst": round(max(times), 2),
        "cpu": round(fmean(cpus), 2),
        "missing": missing,
    }


async def prepare(
    folder: Path, shards: int, cities: int, counties_up: bool, sections: Sequence[Section]
) -> list[Office]:
    rows = plan(shards, cities)
    ports = iter(free_ports(len(rows)))
    offices = [
        Office(code, tier, parent, f"127.0.0.1:{next(ports)}" if tier == "city" or (
            tier == "county" and counties_up) else "")
        for code, tier, parent in rows
    ]  # fmt: skip
    make_tls(folder, os.urandom, SystemClock().now())
    await build(folder, offices, load_tls(folder).fingerprint, sections)
    return offices


async def with_holders(
    shards: int,
    cities: int,
    counties_up: bool,
    options: argparse.Namespace,
    tables: bytes,
    sections: Sequence[Section],
) -> dict[str, Any]:
    """Figures of a network of ``shards``."""
    folder = Path(tempfile.mkdtemp())
    (folder / "tables").write_bytes(tables)
    holders = Holders(folder)
    questions = Questions(sections, options.seed)
    try:
        offices = await prepare(folder, shards, cities, counties_up, sections)
        up = [office for office in offices if office.address]
        victims = victims_of(offices) if counties_up else []
        rest = [office for office in up if office not in victims]
        groups = [[victim] for victim in victims] + [rest[at::GROUPS] for at in range(GROUPS)]
        await holders.start([group for group in groups if group])
        async with open_blobs(folder, "coordinator") as blobs, asyncio.TaskGroup() as group:
            node = Nodes(folder, blobs).node(PROVINCE, "")
            tasks = [
                group.create_task(run())
                for run in (node.links.run, node.indexer.run, node.searcher.run)
            ]
            await settled(node)
            await measure(node, questions, 40)
            figures = {"none": await measure(node, questions, options.queries)}
            if counties_up:
                figures |= await under_losses(node, questions, holders, len(victims), options)
            for task in tasks:
                task.cancel()
    except* asyncio.CancelledError:
        pass
    finally:
        await holders.end()
        shutil.rmtree(folder)
    return figures


async def settled(node: Node) -> None:
    """Until every shard is answered for: holders come up, links are made."""
    for _ in range(100):
        with suppress(Unavailable):
            answer = await node.searcher.search(Question("志"), PUBLIC)
            if not answer.coverage.missing:
                return
        await asyncio.sleep(0.2)
    raise SystemExit(f"nobody answers for {answer.coverage.missing}")


async def under_losses(
    node: Node, questions: Questions, holders: Holders, count: int, options: argparse.Namespace
) -> dict[str, Any]:
    """Figures while holders hang, and after they died; cities come first among the victims."""
    figures: dict[str, Any] = {}
    for lost in (1, count):
        holders.send(range(lost), signal.SIGSTOP)
        figures[f"{lost} hang, first {FIRST}"] = await measure(node, questions, FIRST)
        figures[f"{lost} hang, then"] = await measure(node, questions, options.queries // 2)
        holders.send(range(lost), signal.SIGCONT)
        await asyncio.sleep(SETTLE_S)
        await measure(node, questions, 40)
        figures[f"after {lost} hung"] = await measure(node, questions, options.queries // 2)
    for lost in (1, count):
        holders.send(range(lost), signal.SIGKILL)
        figures[f"{lost} dead, first {FIRST}"] = await measure(node, questions, FIRST)
        figures[f"{lost} dead, then"] = await measure(node, questions, options.queries // 2)
    return figures


async def run(options: argparse.Namespace) -> None:
    figures: dict[str, Any] = {"megabytes": options.megabytes, "shards": options.shards}
    stock = (options, build_tables(), read_sections(options.megabytes, options.seed))
    figures["losses"] = await with_holders(options.shards, CITIES, True, *stock)
    show(figures["losses"])
    figures["growth"] = []
    for shards in options.growth:
        cities = min(CITIES, max(shards // 3, 2))
        row = (await with_holders(shards, cities, False, *stock))["none"]
        figures["growth"].append({"shards": shards, **row})
        show({f"{shards} shards": row})
    if options.save:
        options.out.mkdir(parents=True, exist_ok=True)
        said = json.dumps(figures, indent=1) + "\n"
        (options.out / "federation.json").write_text(said, "utf-8")
        from benchmarks.plots import draw_federation  # noqa: PLC0415 (matplotlib, to draw only)

        draw_federation(figures, options.out)


def show(figures: dict[str, Any]) -> None:
    for name, row in figures.items():
        times = "  ".join(f"{what} {row[what]:8.2f}" for what in ("p50", "p95", "worst"))
        cpu = f"coordinator {row['cpu']:6.2f} ms of processor"
        print(f"{name:20} {times} ms  {cpu}  missing {row['missing']}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--megabytes", type=float, default=20)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--shards", type=int, default=109)
    parser.add_argument("--growth", type=int, nargs="*", default=[10, 109, 1000])
    parser.add_argument("--out", type=Path, default=FOLDER, metavar="DIR")
    parser.add_argument("--no-save", dest="save", action="store_false")
    parser.add_argument("--serve", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        if options.serve:
            folder, *places = options.serve
            pairs = [tuple(place.split("=")) for place in places]
            runner.run(serve(Path(folder), pairs))
        else:
            runner.run(run(options))


if __name__ == "__main__":
    main()
