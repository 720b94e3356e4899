"""Logs of awkward sizes, and entries as large as they may be, through append, replication, export
and the audit of their hashes."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger import logbook
from ledger.survey import LeafReader, UpperTiles, check_replica
from ledger.tiles import bundles_of
from node.hands.sources import FolderSource
from node.hands.storage.memory_kv import MemoryStore
from node.office.upkeep import export_log
from protocol.errors import DecodeError
from protocol.limits import TILE_WIDTH
from protocol.merkle import leaf_hash, perfect_root, root_of
from simulations.loop import run
from tests.keepers import LOG, TABLES, Keeper, keepers, kept, made, note_of, until


def replicated(entries: list[bytes]) -> Keeper:
    async def story() -> Keeper:
        async with keepers() as here:
            holder = await here.join(kept(entries))
            keeper = await here.join(MemoryStore(TABLES))
            keeper.told(note_of(holder.store), holder)
            await until(lambda: bool(keeper.reached))
            assert keeper.dump() == holder.dump()
            return keeper

    return run(story())


def audited(keeper: Keeper, folder: Path) -> list[bytes | None]:
    """The entries that an audit of the exported log finds."""
    store = MemoryStore((*TABLES, "note"), keeper.dump())
    store.run(lambda writer: writer.put("note", LOG.encode(), note_of(keeper.store)))

    def sink(name: str, data: bytes) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    with store.read() as reader:
        head = logbook.head(reader, LOG)
        assert export_log(reader, LOG, sink) == head.size
    found: list[tuple[int, str]] = []

    def report(at: int, code: str) -> None:
        found.append((at, code))

    source = FolderSource(folder)
    leaf_reader, upper = LeafReader(source, LOG, True, report), UpperTiles(source, LOG, 0, report)
    entries = []
    for bundle in bundles_of(head.size):
        leaves = leaf_reader.read(bundle) or []
        entries += [leaf.entry for leaf in leaves]
        if len(leaves) == TILE_WIDTH:
            upper.add_roots(perfect_root(b"".join([leaf.leaf for leaf in leaves])))
    upper.close()
    assert found == []
    check_replica(source, LOG, head.size, head.root.raw)
    return entries


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 65_535, 65_536, 65_537])
def test_a_log_of_any_size_arrives_whole(size: int, tmp_path: Path) -> None:
    entries = made(size)
    keeper = replicated(entries)
    with keeper.store.read() as reader:
        assert logbook.head(reader, LOG).root.raw == root_of(map(leaf_hash, entries))
    assert audited(keeper, tmp_path) == entries


def test_the_largest_entry_arrives_and_a_larger_one_is_refused(tmp_path: Path) -> None:
    entries = [b"", bytes(65_535), b"x"]
    assert audited(replicated(entries), tmp_path) == entries
    store = kept(entries)
    before = store.dump()
    with pytest.raises(DecodeError, match="65535"):
        store.run(lambda writer: logbook.append(writer, LOG, [b"y", bytes(65_536)]))
    assert store.dump() == before
