"""Every checker is silent in a network where all is well, and speaks when something is wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Final

import pytest
import structlog

from node.office.accuser import Held
from node.office.answers import SearchAnswer
from protocol.errors import Missing
from protocol.ids import BlobId, OfficeCode, UnixMs
from search_shard.tables import Tables
from simulations.checkers import CHECKERS, NOTHING, logs, not_checked, settling
from simulations.checkers.copies import secrets
from simulations.checkers.verdict import Found, ask, items
from simulations.clock import draws
from simulations.cluster import Cluster
from simulations.faults import Machine, Mix
from simulations.history import History, Reported
from simulations.loop import run
from simulations.people import Office
from simulations.trace import Trace
from simulations.wire import Weather

PROVINCE, CITY, CITY2, COUNTY = map(OfficeCode, ("320000", "320100", "320500", "320581"))
MIX: Final = Mix(
    "checkers",
    1,
    1.0,
    Weather((0.001, 0.005)),
    {PROVINCE: Machine(), CITY: Machine(), CITY2: Machine(), COUNTY: Machine(listens=False)},
)
CHANGED = b"\x01"


class World:
    """A network at rest, and ways to spoil it."""

    def __init__(self, cluster: Cluster, history: History) -> None:
        self.cluster, self.history = cluster, history

    def node(self, code: OfficeCode) -> Any:
        return self.cluster.hosts[code].node

    def blobs(self, code: OfficeCode) -> dict[BlobId, bytes]:
        return self.cluster.hosts[code].disk._blobs.content

    def reported(self, rights: str) -> Reported:
        known = {view.manifest: view.rights for view in items(self.cluster, self.history)}
        return next(each for each in self.history.reports if known[each.manifest] == rights)

    async def row(self, code: OfficeCode, table: str, key: bytes, value: bytes | None) -> None:
        """Change a row of the ledger, behind the node's back."""
        store = self.node(code).world.ledger
        await store.write(
            lambda writer: (
                writer.delete(table, key) if value is None else writer.put(table, key, value)
            )
        )


Plant = Callable[[World], Any]  # an async context manager: spoilt inside, as before after it


@asynccontextmanager
async def row_changed(
    world: World, at: OfficeCode, table: str, key: bytes, value: bytes | None
) -> AsyncIterator[None]:
    with world.node(at).world.ledger.read() as reader:
        before = reader.get(table, key)
    await world.row(at, table, key, value)
    yield
    await world.row(at, table, key, before)


@asynccontextmanager
async def patched(thing: Any, name: str, value: Any) -> AsyncIterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(thing, name, value)
        yield


def kept(world: World, **changes: Any) -> Any:
    """The history, with these parts of it others."""
    return patched_parts(world.history, changes)


@asynccontextmanager
async def patched_parts(thing: Any, changes: dict[str, Any]) -> AsyncIterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in changes.items():
            patch.setattr(thing, name, value)
        yield


def event_gone(world: World) -> Any:
    return kept(world, entries={**world.history.entries, (COUNTY, 10**6): b"an event"})


def event_changed(world: World) -> Any:
    return kept(world, entries={**world.history.entries, (COUNTY, 0): b"another"})


def report_gone(world: World) -> Any:
    lost = replace(world.reported("open"), item="320581-0000000000000")
    return kept(world, reports=[*world.history.reports, lost])


def copy_rotten(world: World) -> Any:
    """At the province, whose copy nobody reads as long as the owner's is there."""
    content = world.blobs(PROVINCE)
    (blob,) = world.reported("open").files
    damaged = {**content, blob: content[blob][:-1] + CHANGED}
    return patched_parts(world.node(PROVINCE).world.blobs, {"_durable": damaged})


def owner_rotten(world: World) -> Any:
    report = world.reported("open")
    content = world.blobs(report.office)
    (blob,) = report.files
    damaged = {**content, blob: content[blob][:-1] + CHANGED}
    return patched_parts(world.node(report.office).world.blobs, {"_durable": damaged})


def plaintext_at_a_holder(world: World) -> Any:
    report = world.reported("sealed")
    other = next(code for code in (PROVINCE, CITY2) if code != report.office)
    text = report.pages[0].encode()
    content = {**world.blobs(other), BlobId.of(text): b"left behind: " + text}
    return patched_parts(world.cluster.hosts[other].disk._blobs, {"content": content})


def plaintext_in_a_row(world: World) -> Any:
    text = world.reported("sealed").pages[0].encode()
    return row_changed(world, PROVINCE, "spool", b"left behind", text)


def root_changed(world: World) -> Any:
    return kept(world, roots={**world.history.roots, (COUNTY, 1): bytes(32)})


def checkpoint_taken_back(world: World) -> Any:
    return kept(world, roots={**world.history.roots, (COUNTY, 10**6): bytes(32)})


def copy_changed(world: World) -> Any:
    return row_changed(world, PROVINCE, "entry", entry_key(world), b"another entry")


def entry_key(world: World) -> bytes:
    with world.node(CITY).world.ledger.read() as reader:
        return next(key for key, _ in reader.scan("entry", COUNTY.encode()))


def unwitnessed(world: World) -> Any:
    return row_changed(world, CITY2, "witnessed", COUNTY.encode(), None)


def head_behind(world: World) -> Any:
    """One node has not all of a log."""

    def behind(cluster: Cluster, history: History, at: OfficeCode) -> Any:
        known = settling.heads(cluster, history, at)
        return {**known, COUNTY: (0, "")} if at == CITY2 else known

    return patched(logs, "heads", behind)


def state_changed(world: World) -> Any:
    return patched(world.node(PROVINCE).upkeep, "digest", lambda: "0" * 64)


@asynccontextmanager
async def hits_left_out(world: World) -> AsyncIterator[None]:
    """The province claims shards and leaves their hits out."""
    searcher = world.node(PROVINCE).searcher
    honest = searcher.search

    async def search(*asked: Any) -> SearchAnswer:
        return replace(await honest(*asked), hits=())

    async with patched(searcher, "search", search):
        office = Office(world.cluster, world.cluster.hosts[PROVINCE], world.history)
        for number in range(10):
            await office.search(draws(number, "reader"))
        yield
    world.history.wrong.clear()


def unreadable(world: World) -> Any:
    async def page(*_: Any) -> Any:
        raise Missing("page", "one", "none")

    return patched(world.node(CITY2).reading, "page", page)


def leak(world: World) -> Any:
    return patched(world.node(CITY).notary, "_anchored", dict.fromkeys(range(10_000), 0))


def many_tasks(world: World) -> Any:
    return patched(asyncio, "all_tasks", lambda: range(10**6))


@asynccontextmanager
async def shard_short(world: World) -> AsyncIterator[None]:
    """The index of an office lacks a page that the log has; making it again brings it back."""
    indexer = world.node(CITY).indexer
    whole, (office, *_) = indexer.shard, indexer.offices

    def short(code: OfficeCode, *how: Any, **more: Any) -> Any:
        shard = whole(code, *how, **more)
        if shard is None or code != office or made_again:
            return shard
        return replace(shard, deleted=frozenset(i for s in shard.segments for i in s.numbers))

    made_again: list[bool] = []
    again = indexer.rebuild

    async def rebuild() -> None:
        made_again.append(True)
        await again()

    async with patched_parts(indexer, {"shard": short, "rebuild": rebuild}):
        yield


def unproven(world: World) -> Any:
    return kept(world, forks={COUNTY: 0.0}, villains={COUNTY})


def accused(world: World) -> Any:
    held = Held(b"no evidence", bytes(32), UnixMs(0), made_here=False)
    digest = BlobId.of(held.evidence)
    return patched(world.node(CITY).accuser, "_known", {COUNTY: {digest: held}})


def died(world: World) -> Any:
    return patched(world.cluster.hosts[CITY], "deaths", ["Fatal()"])


def handler_failed(world: World) -> Any:
    counters = world.node(CITY).links.counters
    return patched(
        world.node(CITY).links, "counters", counters + type(counters)(["handler.failed"])
    )


@asynccontextmanager
async def gate_shut(world: World) -> AsyncIterator[None]:
    """Nobody signs; and nobody waits ten minutes for it here."""

    async def at_once(cluster: Cluster, history: History) -> list[str]:
        return settling._unsettled(cluster, history)

    async def shut(*_: Any) -> Any:
        raise Missing("gate", "an open one", "shut")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settling, "settle", at_once)
        for code in world.cluster.hosts:
            patch.setattr(world.node(code).intake, "begin", shut)
            patch.setattr(world.node(code).sequencer.gates[code], "is_open", False)
        patch.setattr("simulations.people.TRIES_MAX", 1)
        yield


PLANTS: Final[dict[str, tuple[str, Plant, str]]] = {
    "an event that is gone": ("acknowledged", event_gone, "is gone"),
    "an event that is another": ("acknowledged", event_changed, "is another now"),
    "a report that is no item": ("acknowledged", report_gone, "is no item"),
    "a file that rots": ("acknowledged", owner_rotten, "is gone or damaged"),
    "a copy that rots": ("placed", copy_rotten, f"{PROVINCE} lacks"),
    "a plaintext at a holder": ("sealed", plaintext_at_a_holder, "clear text"),
    "a plaintext in a row": ("sealed", plaintext_in_a_row, "clear text"),
    "a history that changed": ("checkpoints", root_changed, "another history below 1"),
    "a checkpoint taken back": ("checkpoints", checkpoint_taken_back, "taken its checkpoint at"),
    "a copy with another entry": ("checkpoints", copy_changed, COUNTY),
    "a head that is behind": ("equal", head_behind, "other heads"),
    "another state": ("equal", state_changed, "another digest"),
    "a state the auditor does not share": ("audited", state_changed, "folds another state"),
    "a log with another entry": ("audited", copy_changed, COUNTY),
    "a log that nobody witnessed": ("witnessed", unwitnessed, f"{COUNTY} is not witnessed"),
    "hits left out": ("coverage", hits_left_out, "answered for"),
    "hits left out at the end": ("searched", hits_left_out, "does not find"),
    "a page that cannot be read": ("read", unreadable, f"{CITY2} cannot read"),
    "rows that nobody takes away": ("bounded", leak, "notary._anchored has 10000 rows"),
    "tasks that do not end": ("bounded", many_tasks, "tasks run"),
    "an index that lacks a page": ("rebuilt", shard_short, "rebuilds another shard"),
    "a fork that nobody proves": ("forks", unproven, f"no evidence that {COUNTY} forked"),
    "an honest office accused": ("forks", accused, f"accuses {COUNTY}, which is honest"),
    "evidence that proves nothing": ("forks", accused, "proves nothing"),
    "a node that died": ("nodes", died, "died of Fatal"),
    "a handler that failed": ("nodes", handler_failed, "1 handlers failed"),
    "gates that stay shut": ("progress", gate_shut, "shut gate"),
    "clerks who are sent away": ("progress", gate_shut, "cannot report"),
}


async def spoken(name: str, world: World) -> list[str]:
    return list((await ask(name, CHECKERS[name], world.cluster, world.history)).wrong)


async def tell(tables: Tables) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """What the checkers say when all is well, and of each plant."""
    trace = Trace(asyncio.get_running_loop().time)
    cluster, history = Cluster(MIX, trace, tables), History()
    world = World(cluster, history)
    await cluster.found()
    for code in (CITY, CITY2, COUNTY):
        await cluster.join(cluster.hosts[code])
    await settling.settle(cluster, history)
    for number, code in enumerate((CITY, COUNTY, CITY2)):
        office = Office(cluster, cluster.hosts[code], history)
        await office.report(draws(number, "clerk"), rights="open" if number else "sealed")
    await settling.settle(cluster, history)
    history.look(cluster)
    well = {name: await spoken(name, world) for name in CHECKERS}
    wrong = {}
    for title, (name, plant, _) in PLANTS.items():
        async with plant(world):
            try:
                wrong[title] = await spoken(name, world)
            except Exception as error:  # its own test says so, and the others go on
                wrong[title] = [repr(error)]
    return well, wrong


@pytest.fixture(scope="module")
def said(tables: Tables) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    try:
        return run(tell(tables))
    finally:
        structlog.reset_defaults()


@pytest.mark.parametrize("name", CHECKERS)
def test_all_is_well(name: str, said: tuple[dict[str, list[str]], Any]) -> None:
    assert said[0][name] == []


@pytest.mark.parametrize("title", PLANTS)
def test_what_is_wrong_is_found(title: str, said: tuple[Any, dict[str, list[str]]]) -> None:
    _, _, words = PLANTS[title]
    assert any(words in line for line in said[1][title]), said[1][title]


async def test_a_checker_that_looked_at_nothing_fails() -> None:
    async def idle(*_: Any) -> Found:
        return Found("0 items", 0, [])

    history: Any = History()
    assert (await ask("idle", idle, history, history)).wrong == (NOTHING,)


async def test_damage_that_stops_a_checker_is_a_finding() -> None:
    async def stopped(*_: Any) -> Found:
        raise Missing("log", "an entry", "none")

    history: Any = History()
    history.blame("stopped", "seen before")
    said = await ask("stopped", stopped, history, history)
    assert said.wrong == ("seen before", "log: expected an entry, got none")


@pytest.mark.parametrize("name", CHECKERS)
def test_a_checker_says_what_it_does_not_check(name: str) -> None:
    assert not_checked(CHECKERS[name])


def test_heads_are_watched_all_the_time(tables: Tables) -> None:
    async def story() -> list[tuple[str, str]]:
        cluster, history = Cluster(MIX, Trace(lambda: 0.0), tables), History()
        await cluster.found()
        history.look(cluster)
        history._sizes[PROVINCE, PROVINCE] += 1
        history.roots = {key: bytes(32) for key in history.roots}
        history.look(cluster)
        return history.wrong

    assert [what for _, what in run(story())] == [
        f"{PROVINCE} has forgotten a part of {PROVINCE}",
        f"{PROVINCE} has another {PROVINCE} at 1",
    ]


def test_secrets_are_what_no_other_text_has() -> None:
    page = "".join(chr(0x4E00 + number) for number in range(40))
    none = BlobId.of(b"")
    report = Reported("i", COUNTY, none, (), (page,), ())
    assert secrets(report, page) == [page[:16].encode(), page[16:32].encode()]
    assert secrets(report, page + page[:16]) == [page[16:32].encode()]
    assert secrets(report, page + page) == []
