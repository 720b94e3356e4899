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
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from configs.offices import load
from ledger import logbook
from ledger.custody import HoldTake, ReceiptIssue
from ledger.events import (
    Anchor,
    AnchorLine,
    Context,
    ReviewAccept,
    TextDerive,
    VersionUpload,
    sign_event,
)
from ledger.genesis import Genesis
from ledger.note import ED25519, NoteKey
from ledger.replay import Fold
from ledger.views import TABLES as FOLDED
from node.demo.texts import Writer as TextWriter
from node.hands.keys import make_office_keys
from node.hands.storage.lmdb_kv import LmdbStore
from node.office.node import LEDGER_TABLES
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
    HeadsDigest,
    HitKey,
    HitLine,
    Request,
    Response,
    SearchReply,
    ShardReply,
    decode_frame,
    encode_frame,
)
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
from simulations.loop import run
from simulations.sizes import (
    BATCH,
    CITY,
    COUNTY,
    PROVINCE,
    AtSize,
    Watch,
    admitted_as,
    at_size,
    checked_on,
    told,
)

SHAPES: Final = ((13, 95), (50, 449), (333, 2966))  # cities, counties; and one province
EVENTS: Final = 4000  # stored and folded
PAGES: Final = 1000  # of the shard that is built and asked


@dataclass(frozen=True, slots=True)
class Costs:
    """Bytes, and seconds of one core, of one of each."""

    entry_bytes: dict[str, int]  # by kind of event, signed
    anchor_line_bytes: int
    digest_bytes: int  # of asking whether both have the same heads, and of the answer
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
    told_bytes, told_events = run(told(tables))
    figures: dict[str, Any] = {
        **_entries(),
        **_keys(),
        **asyncio.run(_kept()),
        **_searched(tables),
        "told_bytes": told_bytes,
        "told_events": told_events,
        "at": tuple(run(at_size(tables, *shape)) for shape in shapes),
    }
    return Costs(**figures)


def _item(number: int) -> str:
    return mint_item(COUNTY, number.to_bytes(8, "big"))


def _blob(number: int) -> BlobId:
    return BlobId.of(b"%d" % number)


def _upload(number: int) -> VersionUpload:
    return VersionUpload(_item(number), _blob(number), "open", 3, 60_000_000, None, _blob(number))


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
        "hold.check": checked_on(20_800),
        "anchor": _anchor(1),
    }
    now = UnixMs(EPOCH_MS)
    sizes = {kind: len(sign_event(_context(), b, now, key).encoded()) for kind, b in bodies.items()}
    digest = to_value(HeadsDigest(bytes(32)))
    longer = len(sign_event(_context(), _anchor(2), now, key).encoded())
    return {
        "entry_bytes": sizes,
        "anchor_line_bytes": longer - sizes["anchor"],
        "digest_bytes": len(encode_frame(Request(1000, "log.digest", digest)))
        + len(encode_frame(Response(1000, True, digest))),
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
        await say(PROVINCE, [admitted_as(genesis, code, tier, parent, keys[code], root)])
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
