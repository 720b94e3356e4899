"""What does one event, one round, one shard cost?  Measured here, on the real code, in a minute.

Bytes are exact.  Seconds are of the processor that this process used (``time.process_time``), so
that another program on the machine does not count; they are of one core.  Whatever depends on how
many offices there are is measured with so many members, not reckoned: a province of N members is
made whole (its roster, a signed and co-signed head of every log), and asked.

Not measured: the time that a disk takes to sync, TLS, and the Internet.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from configs.offices import load
from ledger import logbook
from ledger.changes import sign_change
from ledger.checkpoint import Checkpoint, Cosigner, cosign, sign_checkpoint
from ledger.custody import HoldCheck, HoldTake, ReceiptIssue
from ledger.events import (
    Anchor,
    AnchorLine,
    Context,
    MemberAdmit,
    ReviewAccept,
    TextDerive,
    VersionUpload,
    sign_event,
)
from ledger.genesis import Genesis
from ledger.note import ED25519, NoteKey, parse_note
from ledger.replay import Fold
from ledger.views import TABLES as FOLDED
from node.demo.texts import Writer as TextWriter
from node.hands.config import LedgerConfig
from node.hands.keys import OfficeKeys, make_office_keys
from node.hands.storage.lmdb_kv import LmdbStore
from node.office.answers import PUBLIC, Question
from node.office.links import Peer
from node.office.node import LEDGER_TABLES, Node
from protocol.ids import (
    BlobId,
    EventRef,
    LeafHash,
    NetworkId,
    OfficeCode,
    RootHash,
    UnixMs,
    mint_item,
)
from protocol.keys import SigningKey, verify
from protocol.limits import GiB
from protocol.messages import (
    Heads,
    HeadsAsk,
    HitKey,
    HitLine,
    Response,
    SearchReply,
    ShardReply,
    decode_frame,
    encode_frame,
)
from protocol.ports import Writer
from protocol.shapes import from_value, to_value
from search_shard.build import build_segment
from search_shard.federate import merge
from search_shard.layout import Page
from search_shard.parse import Rules, parse_query
from search_shard.ranking import Ask
from search_shard.search import rank
from search_shard.segment import Segment
from search_shard.shard import Shard
from search_shard.tables import Tables
from simulations.clock import EPOCH_MS, SimRng, draws
from simulations.cluster import Cluster
from simulations.faults import Machine, Mix
from simulations.loop import run
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

SHAPES: Final = ((13, 95), (50, 449), (333, 2966))  # cities, counties; and one province
EVENTS: Final = 4000  # stored and folded
PAGES: Final = 1000  # of the shard that is built and asked
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
    admit_s: float  # of appending and folding one more member
    plan_s: float  # of a search at the province, nobody being there to ask
    again_s: float  # what is worked out anew for both after every change of the roster
    as_of_bytes: int  # the snapshot that goes with every question


@dataclass(frozen=True, slots=True)
class Costs:
    """Bytes, and seconds of one core, of one of each."""

    entry_bytes: dict[str, int]  # by kind of event, signed
    anchor_line_bytes: int
    ledger_bytes: float  # on disk, beyond the entry: tiles, heads, tree pages
    state_bytes: float  # on disk, folded, per event
    told_bytes: float  # everything that one more event of a county sends over an average link
    told_events: float  # entries that one more event causes in all logs, itself too
    sign_s: float
    verify_s: float
    store_s: float  # an entry, verified by its hash, appended
    fold_s: float  # an event, its signature too
    segment_bytes: float  # per page of the index
    page_bytes: float  # of text
    build_s: float  # per page
    rank_s: float  # per shard of PAGES
    merge_s: float  # per shard, at the coordinator
    reply_bytes: float  # per shard
    hit_bytes: float
    at: tuple[AtSize, ...]

    def size(self, offices: int) -> AtSize:
        """
        Raises:
            KeyError: not measured with so many.
        """
        return {each.offices: each for each in self.at}[offices]


def measure(tables: Tables, shapes: Sequence[tuple[int, int]] = SHAPES) -> Costs:
    """About a minute of one core."""
    told_bytes, told_events = run(_told(tables))
    figures: dict[str, Any] = {
        **_entries(),
        **_keys(),
        **asyncio.run(_kept()),
        **_searched(tables),
        "told_bytes": told_bytes,
        "told_events": told_events,
        "at": tuple(run(_at_size(tables, *shape)) for shape in shapes),
    }
    return Costs(**figures)


class Watch:
    """Seconds of the processor since it was made, divided."""

    def __init__(self) -> None:
        self._begun = time.process_time()

    def per(self, count: int) -> float:
        return (time.process_time() - self._begun) / count


# ---- events


def _item(number: int) -> str:
    return mint_item(COUNTY, number.to_bytes(8, "big"))


def _blob(number: int) -> BlobId:
    return BlobId.of(b"%d" % number)


def _upload(number: int) -> VersionUpload:
    return VersionUpload(_item(number), _blob(number), "open", 3, 60_000_000, None, _blob(number))


def _check(day: int) -> HoldCheck:
    return HoldCheck(str(CITY), day, 48, 48, 0, None)


def _ref(number: int) -> EventRef:
    return EventRef(COUNTY, number, LeafHash(_blob(number).raw))


def _anchor(lines: int) -> Anchor:
    code = str(COUNTY)
    return Anchor(tuple(AnchorLine(code, 70_000, RootHash(bytes(32))) for _ in range(lines)))


def _context(number: int = 70_000) -> Context:
    root = RootHash(bytes(32))
    return Context(NetworkId(bytes(32)), COUNTY, number, root, 200, root)


def _entries() -> dict[str, object]:
    key = SigningKey.from_seed(bytes(32))
    manifest, root = _blob(1), RootHash(bytes(32))
    bodies = {
        "version.upload": _upload(1),
        "text.derive": TextDerive(_item(1), manifest, 600, root, _blob(2), 1_500_000),
        "hold.take": HoldTake(_item(1), manifest, 3, 60_000_000),
        "review.accept": ReviewAccept(_item(1), manifest, _ref(70_000)),
        "receipt.issue": ReceiptIssue(_item(1), manifest, _ref(70_000), (_ref(70_000),) * 3),
        "hold.check": _check(20_800),
        "anchor": _anchor(1),
    }
    now = UnixMs(EPOCH_MS)
    sizes = {kind: len(sign_event(_context(), b, now, key).encoded()) for kind, b in bodies.items()}
    longer = len(sign_event(_context(), _anchor(2), now, key).encoded())
    return {
        "entry_bytes": sizes,
        "anchor_line_bytes": longer - sizes["anchor"],
    }


def _keys() -> dict[str, float]:
    key, messages = SigningKey.from_seed(bytes(32)), [b"%300d" % each for each in range(EVENTS)]
    watch = Watch()
    signed = [key.sign(message) for message in messages]
    sign_s, watch = watch.per(EVENTS), Watch()
    for message, signature in zip(messages, signed, strict=True):
        verify(key.public, message, signature, "costs")
    return {"sign_s": sign_s, "verify_s": watch.per(EVENTS)}


# ---- what a node keeps


async def _kept() -> dict[str, float]:
    """A log of uploads in a real store, and their fold in another."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ledger = LmdbStore(folder / "ledger", LEDGER_TABLES, GiB)
        state = LmdbStore(folder / "state", FOLDED, GiB)
        try:
            return await _keep(ledger, state, folder)
        finally:
            await ledger.close()
            await state.close()


async def _keep(ledger: LmdbStore, state: LmdbStore, folder: Path) -> dict[str, float]:
    offices = ((PROVINCE, "province", ""), (CITY, "city", PROVINCE), (COUNTY, "county", CITY))
    keys = {code: make_office_keys(code, SimRng(1, code).random_bytes) for code, *_ in offices}
    root = SigningKey.from_seed(bytes(32))
    roots = (NoteKey("n.example/root", ED25519, root.public),)
    genesis = Genesis("n.example", PROVINCE, 1, roots, keys[PROVINCE].log.public)
    fold, watched = Fold(genesis), {"store_s": 0.0, "fold_s": 0.0}

    async def say(code: OfficeCode, bodies: Sequence[object]) -> int:
        with ledger.read() as reader, state.read() as folded:
            head, roster = logbook.head(reader, code), fold.roster_ref(folded)
        context = Context(genesis.id, code, head.size, head.root, roster.size, roster.root)
        signer, now = keys[code].event, UnixMs(EPOCH_MS)
        entries = [sign_event(context, body, now, signer).encoded() for body in bodies]
        watch = Watch()
        await ledger.write(lambda writer: logbook.append(writer, code, entries))
        watched["store_s"] += watch.per(EVENTS)
        watch = Watch()
        changes = await state.write(lambda w: fold.apply_run(w, code, head.size, entries))
        watched["fold_s"] += watch.per(EVENTS)
        assert not [change for change in changes if change.finding], changes[0]
        return sum(map(len, entries))

    for code, tier, parent in offices:
        await say(PROVINCE, [_admitted(genesis, code, tier, parent, keys[code], root)])
    before, written = [_on_disk(folder / name) for name in ("ledger", "state")], 0
    watched.update(store_s=0.0, fold_s=0.0)
    for start in range(0, EVENTS, BATCH):
        written += await say(COUNTY, [_upload(start + number) for number in range(BATCH)])
    after, count = (
        [_on_disk(folder / name) for name in ("ledger", "state")],
        EVENTS // BATCH * BATCH,
    )
    return {
        "ledger_bytes": (after[0] - before[0] - written) / count,
        "state_bytes": (after[1] - before[1]) / count,
        **watched,
    }


def _admitted(
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


def _on_disk(folder: Path) -> int:
    return sum(file.stat().st_blocks * 512 for file in folder.rglob("*") if file.is_file())


# ---- search


def _searched(tables: Tables) -> dict[str, float]:
    row = {row.code: row for row in load("jiangsu")}[COUNTY]
    writer = TextWriter(row, draws(1, "costs"))
    made, _ = writer.pages(PAGES)
    texts = ["\n".join((page.chapter, *page.paragraphs)) for page in made]
    pages = [
        Page(_item(0), COUNTY, number, str(number), "志", "", text, "ab" * 32, 7)
        for number, text in enumerate(texts)
    ]
    watch = Watch()
    data = build_segment(pages, tables)
    build_s = watch.per(PAGES)
    shard = Shard((Segment.open(data, tables),))
    rules = Rules.standard(tables)
    draw = draws(1, "queries")
    asked = []
    for _ in range(200):
        text = draw.choice(texts)
        at = draw.randrange(len(text) - 4)
        asked.append(parse_query(text[at : at + 3], rules))
    watch = Watch()
    for query in asked:
        rank(shard, query, Ask(10))
    rank_s = watch.per(len(asked))
    return {
        "segment_bytes": len(data) / PAGES,
        "page_bytes": sum(len(text.encode()) for text in texts) / PAGES,
        "build_s": build_s,
        "rank_s": rank_s,
        **_merged(),
    }


def _merged() -> dict[str, float]:
    """What comes back from holders of ten shards each, ten hits from each holder."""
    shown = ("志" * 20, "文" * 80, bytes(32), "12", 7)
    codes = [OfficeCode(f"32{number:04}") for number in range(1000)]
    shards = [ShardReply(code, 70_000, False, 12, True, 0, (), ()) for code in codes]
    hits = [
        HitLine(HitKey(1000 - number, code, f"{code}-{number:015x}", number), shown)
        for number, code in enumerate(codes)
    ]
    frames = [
        encode_frame(Response(1, True, to_value(reply)))
        for reply in (
            SearchReply(tuple(shards[at : at + 10]), tuple(hits[at : at + 10]), 1000)
            for at in range(0, 1000, 10)
        )
    ]
    bare = sum(len(encode_frame(Response(1, True, to_value(shard)))) for shard in shards)
    watch = Watch()
    for frame in frames:
        body = decode_frame(frame)
        assert isinstance(body, Response)
        from_value(SearchReply, body.body, "reply")
    merge(shards, hits, 11)
    merge_s = watch.per(len(shards))
    return {
        "merge_s": merge_s,
        "reply_bytes": bare / len(shards),
        "hit_bytes": (sum(map(len, frames)) - bare) / len(hits),
    }


# ---- the network


def _mix(codes: Sequence[OfficeCode]) -> Mix:
    """Nothing goes wrong."""
    return Mix("calm", 1, 0.0, CALM, {code: Machine(listens=code[4:] == "00") for code in codes})


async def _told(tables: Tables) -> tuple[float, float]:
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
                await node.sequencer.append(COUNTY, (_check(number),))
            await asyncio.sleep(2 * ANCHOR_S)
        frames = [line for line in trace.lines[begin:] if " frame " in line]
        return sum(int(line.split("bytes=")[1].split()[0]) for line in frames), heads() - before

    idle, _ = await sent(0)
    busy, entries = await sent(TOLD)
    for host in cluster.up():
        await host.stop()
    return (busy - idle) / TOLD / (len(OFFICES) - 1), entries / TOLD


async def _at_size(tables: Tables, cities: int, counties: int) -> AtSize:
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
        _admitted(cluster.genesis, code, tier, parent, keys[code], cluster.root)
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
    first_plan_s = await _planned(node, 1)
    plan_s = await _planned(node, 3)
    await cluster.province.stop()
    again_s = first_heads_s + first_plan_s - heads_s - plan_s
    return AtSize(offices, len(frame), heads_s, admit_s, plan_s, max(0.0, again_s), 14 * offices)


def _put_log(writer: Writer, code: OfficeCode, keys: OfficeKeys, genesis: Genesis) -> None:
    head = logbook.append(writer, code, [b"one entry"])
    origin = genesis.origin(code)
    note = sign_checkpoint(Checkpoint(origin, head.size, head.root), keys.log)
    line = cosign(parse_note(note).text, Cosigner(f"{origin}/w", keys.witness), EPOCH_MS // 1000)
    writer.put("note", code.encode(), note + line.format().encode())


async def _heads(node: Node, rounds: int) -> tuple[float, bytes]:
    """Seconds of both sides, and the frame, of one comparison of heads."""
    peer = Peer("1", (CITY,), False, 1, ())
    watch = Watch()
    for _ in range(rounds):
        heads = await node.replicator.on_heads(peer, HeadsAsk())
        frame = encode_frame(Response(1, True, to_value(heads)))
        body = decode_frame(frame)
        assert isinstance(body, Response)
        from_value(Heads, body.body, "heads")
        await node.replicator.on_heads(peer, HeadsAsk())  # the asker looks at each of its own
    return watch.per(rounds), frame


async def _planned(node: Node, rounds: int) -> float:
    watch = Watch()
    for _ in range(rounds):
        answer = await node.searcher.search(Question("地方志"), PUBLIC)
    assert answer.coverage.asked, "nobody is there, so every shard is missing"
    return watch.per(rounds)
