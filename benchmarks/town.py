"""A network of many offices, made whole: rosters, logs, public items, and their folded state.

Nodes of a benchmark start from a copy, so that a hundred of them need not gossip first.
"""

from __future__ import annotations

import asyncio
import hashlib
import pickle
import random
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.shard.corpus import Section
from ledger import logbook
from ledger.changes import sign_change
from ledger.custody import HoldTake
from ledger.events import (
    Context,
    MemberAdmit,
    ReviewAccept,
    TextDerive,
    VersionUpload,
    sign_event,
)
from ledger.genesis import Genesis, write_genesis
from ledger.note import ED25519, NoteKey
from ledger.replay import Fold
from ledger.views import TABLES as FOLDED
from node.hands.keys import OfficeKeys, make_office_keys
from node.hands.open_world import SystemClock, Threads
from node.hands.storage.memory_kv import MemoryStore
from node.hands.storage.vault import open_vault
from node.office.catalog import TABLES as CATALOG
from node.office.catalog import note_blob, put_bytes
from node.office.node import LEDGER_TABLES
from protocol.ids import (
    BlobId,
    ChunkRoot,
    EventRef,
    LeafHash,
    OfficeCode,
    RootHash,
    UnixMs,
    mint_item,
)
from protocol.keys import SigningKey
from protocol.merkle import leaf_hash, root_of
from protocol.ports import BlobStore, Writer
from protocol.records import FileEntry, Manifest, PageText, encode_pages

NETWORK: Final = "federation.example"
PROVINCE: Final = OfficeCode("320000")
NOW: Final = UnixMs(1_790_000_000_000)


@dataclass(frozen=True, slots=True)
class Office:
    code: OfficeCode
    tier: str
    parent: str
    address: str  # "" when no node is there


def plan(shards: int, cities: int) -> list[tuple[OfficeCode, str, str]]:
    """(code, tier, parent) of a province, its cities, and counties dealt out among them."""
    above = [OfficeCode(f"32{number:02}00") for number in range(1, cities + 1)]
    rows = [(PROVINCE, "province", ""), *((code, "city", PROVINCE) for code in above)]
    for number in range(shards - len(rows)):
        city, turn = above[number % cities], number // cities + 1
        rows.append((OfficeCode(f"{city[:4]}{turn:02}"), "county", city))
    return rows


def keys_of(code: OfficeCode) -> OfficeKeys:
    draw = random.Random(f"keys {code}")
    return make_office_keys(code, draw.randbytes)


class Town:
    """Writes the events of a network, as its offices would, and folds them."""

    def __init__(self, blobs: BlobStore, offices: Sequence[Office], pin: bytes) -> None:
        self.offices, self.pin = offices, pin
        root = SigningKey.from_seed(bytes(32))
        name = f"{NETWORK}/root"
        log_key = keys_of(PROVINCE).log.public
        self.genesis = Genesis(
            NETWORK, PROVINCE, 1, (NoteKey(name, ED25519, root.public),), log_key
        )
        self.note = write_genesis(self.genesis, {name: root})
        self.root = root
        self.ledger = MemoryStore(LEDGER_TABLES)
        self.state = MemoryStore((*FOLDED, *CATALOG))
        self.fold = Fold(self.genesis)
        self.blobs = blobs

    def say(self, code: OfficeCode, *bodies: object) -> list[EventRef]:
        """One batch of a log, folded; where each event stands."""

        def job(writer: Writer) -> list[bytes]:
            head = logbook.head(writer, code)
            with self.state.read() as reader:
                roster = self.fold.roster_ref(reader)
            context = Context(self.genesis.id, code, head.size, head.root, roster.size, roster.root)
            key = keys_of(code).event
            entries = [sign_event(context, body, NOW, key).encoded() for body in bodies]
            logbook.append(writer, code, entries)
            return entries

        entries = self.ledger.run(job)
        with self.ledger.read() as reader:
            start = logbook.head(reader, code).size - len(entries)
        changes = self.state.run(lambda w: self.fold.apply_run(w, code, start, entries))
        assert not [change for change in changes if change.finding], changes
        return [
            EventRef(code, start + at, LeafHash(leaf_hash(entry)))
            for at, entry in enumerate(entries)
        ]

    def found(self) -> None:
        for office in self.offices:
            keys = keys_of(office.code)
            body = MemberAdmit(
                office.code,
                f"{office.code}办公室",
                office.tier,
                office.parent,
                keys.log.public,
                keys.witness.public,
                keys.mirror.public,
                keys.event.public,
                self.pin,
                office.address,
                "",
                0,
                (),
            )
            self.say(PROVINCE, sign_change(self.genesis, body, self.root))

    async def publish(self, office: Office, sections: Sequence[Section], number: int) -> None:
        """A public item of these pages."""
        draw = random.Random(f"item {office.code} {number}")
        item = mint_item(office.code, draw.randbytes(8))
        salt = draw.randbytes(16).hex()
        content = hashlib.sha256(item.encode()).digest()
        file = FileEntry(
            "志.pdf", 1, BlobId(content), ChunkRoot(content), "application/pdf", "print_pdf"
        )
        record = {"title": sections[0].title[:200] or "志"}
        manifest = Manifest(salt, item, office.code, "open", record, (file,)).encoded()
        texts = [
            PageText(str(at), section.heading[:100], section.text, "")
            for at, section in enumerate(sections, 1)
        ]
        lines = list(encode_pages(salt, item, texts))
        pages = b"".join(line + b"\n" for line in lines)
        blob, about = await put_bytes(self.blobs, pages), await put_bytes(self.blobs, manifest)
        root = RootHash(root_of(map(leaf_hash, lines)))
        upload, _ = self.say(
            office.code,
            VersionUpload(item, about, "open", 1, 1, None, None),
            TextDerive(item, about, len(texts), root, blob, len(pages)),
        )
        self.say(office.code, HoldTake(item, about, 1, 1))
        reviewer = OfficeCode(office.parent or office.code)
        self.say(reviewer, ReviewAccept(item, about, upload))
        await note_blob(self.state, self.blobs, item, "manifest", about)
        await note_blob(self.state, self.blobs, item, "pages", blob)


async def build(
    folder: Path, offices: Sequence[Office], pin: bytes, sections: Sequence[Section]
) -> None:
    """The network in ``folder``: ``town`` has genesis note and state, ``blobs`` the text."""
    async with open_blobs(folder, "town") as blobs:
        town = Town(blobs, offices, pin)
        town.found()
        share = -(-len(sections) // len(offices))
        for number, office in enumerate(offices):
            part = sections[number * share : (number + 1) * share]
            if part:
                await town.publish(office, part, number)
                await asyncio.sleep(0)
    (folder / "town").write_bytes(pickle.dumps((town.note, town.state.dump())))


def open_blobs(folder: Path, place: str) -> AbstractAsyncContextManager[BlobStore]:
    """The files of all nodes in ``folder``, for the process called ``place``."""
    cards, staged = folder / f"cards {place}", folder / f"staged {place}"
    return open_vault(cards, folder / "blobs", staged, Threads(), SystemClock())
