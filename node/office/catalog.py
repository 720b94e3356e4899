"""What this node knows of items beyond the fold: the records and files it holds.

Tables of the derived store; they depend on what is stored here, so they are outside the digest of
the fold: ``small`` (the bytes of manifests, reports and reasons, for quick reading), ``blob``
(stored file, item → kind), ``named`` (file, item: a record held here names the file, wherever
its bytes are) and ``recorded`` (item → the manifest noted last, also before the log has it).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from ledger import logbook, views
from ledger.custody import RightsGrant, SealMake, SealRewrap
from ledger.views import ItemView
from node.hands.world import World
from protocol.errors import Corrupt, Missing
from protocol.ids import BlobId, OfficeCode, UnixMs
from protocol.limits import MANIFEST_BYTES_MAX
from protocol.ports import BlobStore, KeyValueStore, Reader, Writer
from protocol.records import FileEntry, Manifest, parse_manifest
from protocol.shapes import pack, unpack

SMALL: Final = "small"
BLOB: Final = "blob"
NAMED: Final = "named"
RECORDED: Final = "recorded"
SHARD: Final = "shard"  # kept by the indexer
LIE: Final = "lie"  # kept by the spot checks
SEALED: Final = "sealed"  # this and the next two: kept by node/office/sealed_files.py
SEALED_AS: Final = "sealed_as"
LEAVES: Final = "leaves"
DAMAGED: Final = "damaged"  # kept by the scrubber: stored file -> since when, u64 ms
TALLIES: Final = "tallies"  # kept by the challenger
DRAWN: Final = "drawn"  # this and the next: kept by node/office/images.py
IMAGED: Final = "imaged"
TABLES: Final = (
    SMALL,
    BLOB,
    NAMED,
    RECORDED,
    SHARD,
    LIE,
    SEALED,
    SEALED_AS,
    LEAVES,
    DAMAGED,
    TALLIES,
    DRAWN,
    IMAGED,
)
_TALLY: Final = b"tally"


@dataclass(frozen=True, slots=True)
class Tally:
    files: int
    file_bytes: int


def find(reader: Reader, item: str) -> ItemView | None:
    """The item, or None when the logs here do not know it."""
    try:
        return views.item(reader, item)
    except Missing:
        return None


def is_folded(world: World, code: OfficeCode) -> bool:
    """Whether all that an office said is in the state: half of it, as while that is made anew,
    would look like items of which nobody has said anything yet."""
    with world.state.read() as state, world.ledger.read() as ledger:
        return views.folded_size(state, code) == logbook.head(ledger, code).size


def revision_key(view: ItemView) -> str:
    """What the index calls an item: a new revision is another document."""
    return f"{view.item}/{view.manifest.hex[:16]}"


def every_item(reader: Reader, owner: str = "") -> Iterator[ItemView]:
    """All items of an office, or of all offices, in order of id."""
    last = ""
    while page := views.items(reader, owner, start_after=last):
        yield from page
        last = page[-1].item


def record(reader: Reader, manifest: BlobId) -> Manifest | None:
    """The manifest, when this node holds it."""
    row = read_small(reader, manifest)
    return parse_manifest(row) if row else None


def read_small(reader: Reader, blob: BlobId) -> bytes:
    """A manifest, report or reason that this node holds; empty when it does not."""
    return reader.get(SMALL, blob.raw) or b""


def uses(reader: Reader, blob: BlobId) -> list[tuple[ItemView, str]]:
    """The items a stored file belongs to, and as what."""
    rows = [(key[32:].decode(), kind.decode()) for key, kind in reader.scan(BLOB, blob.raw)]
    found = [(find(reader, item), kind) for item, kind in rows]
    return [(view, kind) for view, kind in found if view is not None]


def records_of(reader: Reader, file: BlobId) -> list[tuple[ItemView, FileEntry]]:
    """The items whose present record names ``file``, wherever its bytes are."""
    items = [find(reader, key[32:].decode()) for key, _ in reader.scan(NAMED, file.raw)]
    return [
        (view, entry)
        for view in items
        if view is not None and (manifest := record(reader, view.manifest)) is not None
        for entry in manifest.files
        if entry.sha256 == file
    ]


def noted_items(reader: Reader, file: BlobId) -> list[str]:
    """Items, also those that the log does not have yet, a record of which names ``file``."""
    return [key[32:].decode() for key, _ in reader.scan(NAMED, file.raw)]


def recorded(reader: Reader, prefixes: Iterable[str]) -> Iterator[tuple[str, BlobId]]:
    """Items whose id begins so, with the manifest that was noted here last."""
    for prefix in prefixes:
        for key, manifest in reader.scan(RECORDED, prefix.encode()):
            yield key.decode(), BlobId(manifest)


def derived_blobs(view: ItemView) -> list[tuple[str, BlobId]]:
    """(kind, file) of what the events of an item name, beside its manifest."""
    named = [
        ("report", view.report),
        ("pages", view.pages_blob),
        ("report", view.reason),
        ("seal", view.seal),
        ("wraps", view.wraps),
    ]
    return [(kind, blob) for kind, blob in named if blob is not None]


def stale_wraps(reader: Reader, view: ItemView) -> set[BlobId]:
    """Wrapped keys of this revision that others have taken the place of, and those of grants that
    count no more: to be erased wherever they are."""
    told: list[BlobId | None] = []
    for fact in views.facts(reader, view.item):
        match fact.read_body():
            case SealMake(manifest=manifest, wraps=wraps) if manifest == view.manifest:
                told.append(wraps)
            case SealRewrap(manifest=manifest, wraps=wraps) if manifest == view.manifest:
                told.append(wraps)
            case RightsGrant(wraps=wraps):
                told.append(wraps)
    needed = {view.wraps, *(grant.wraps for grant in view.grants)}
    return {wraps for wraps in told if wraps is not None and wraps not in needed}


async def read_whole(blobs: BlobStore, blob: BlobId, bytes_max: int) -> bytes:
    """A small stored file, checked against its name.

    Raises:
        Missing: not stored here.
        Corrupt: longer than ``bytes_max``, or not what was stored.
    """
    data = await blobs.read(blob, 0, bytes_max + 1)
    if len(data) > bytes_max or BlobId.of(data) != blob:
        raise Corrupt(f"file {blob.short}", "the stored content", "another")
    return data


async def put_bytes(blobs: BlobStore, data: bytes) -> BlobId:
    """Store a small blob; durable when this returns."""

    async def once() -> AsyncIterator[bytes]:
        yield data

    return await blobs.put(once())


async def note_blob(
    state: KeyValueStore, blobs: BlobStore, item: str, kind: str, blob: BlobId
) -> None:
    """Record what a stored file is for, and the bytes of a small one for quick reading.

    Raises:
        Corrupt: a manifest that is not one of this item.
    """
    key = blob.raw + item.encode()
    with state.read() as reader:
        if reader.get(BLOB, key) is not None:
            return
    text = b""
    if kind in ("manifest", "report"):
        text = await read_whole(blobs, blob, MANIFEST_BYTES_MAX)
    manifest = parse_manifest(text) if kind == "manifest" else None
    if manifest is not None and manifest.item != item:
        raise Corrupt(f"manifest of {item}", "its own item in it", "another item")

    size = blobs.size(blob) or 0

    def job(writer: Writer) -> None:
        put_use(writer, item, kind, blob, size)
        if manifest is not None:
            writer.put(RECORDED, item.encode(), blob.raw)
        for file in manifest.files if manifest else ():
            writer.put(NAMED, file.sha256.raw + item.encode(), b"")
        if text:
            writer.put(SMALL, blob.raw, text)

    await state.write(job)


def put_use(writer: Writer, item: str, kind: str, blob: BlobId, size: int) -> None:
    """Say what a stored file of ``size`` bytes is for."""
    if next(writer.scan(BLOB, blob.raw), None) is None:
        count, total = tally(writer)
        writer.put(SMALL, _TALLY, pack(Tally(count + 1, total + size)))
    writer.put(BLOB, blob.raw + item.encode(), kind.encode())


def drop_use(writer: Writer, item: str, blob: BlobId, size: int) -> bool:
    """Say that an item needs a stored file no more; whether nothing else does."""
    key = blob.raw + item.encode()
    if writer.get(BLOB, key) is None:
        return False
    writer.delete(BLOB, key)
    if next(writer.scan(BLOB, blob.raw), None) is not None:
        return False
    count, total = tally(writer)
    writer.put(SMALL, _TALLY, pack(Tally(max(count - 1, 0), max(total - size, 0))))
    return True


def tally(reader: Reader) -> tuple[int, int]:
    """How many files are kept here for items, and their bytes."""
    row = reader.get(SMALL, _TALLY)
    if row is None:
        return 0, 0
    kept = unpack(Tally, row, bytes_max=64, where="tally")
    return kept.files, kept.file_bytes


def damaged(reader: Reader, blob: BlobId) -> bool:
    """Whether the copy here is known to be damaged, and not yet mended."""
    return reader.get(DAMAGED, blob.raw) is not None


def damaged_blobs(reader: Reader) -> list[tuple[BlobId, UnixMs]]:
    """Every damaged copy here, and since when that is known."""
    return [
        (BlobId(key), UnixMs(int.from_bytes(since, "big"))) for key, since in reader.scan(DAMAGED)
    ]
