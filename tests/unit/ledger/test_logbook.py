from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import logbook
from ledger.checkpoint import Checkpoint, parse_checkpoint
from ledger.hash_rows import TILE, row_key
from ledger.log_check import check_log
from ledger.logbook import CUT, EMPTY_HEAD, ENTRY, HEAD, entry_key
from ledger.tiles import bundle_path, bundles_of, decode_bundle, tile_path, tiles_of
from node.hands.storage.memory_kv import MemoryStore
from protocol.errors import Corrupt, DecodeError, Missing, ProofError
from protocol.ids import RootHash, parse_office
from protocol.merkle import EMPTY_ROOT, leaf_hash, root_of, verify_consistency, verify_inclusion
from protocol.ports import Reader, Writer

T = TypeVar("T")
CODE, NEIGHBOUR = parse_office("320500"), parse_office("320501")
ORIGIN = "fzb.example/320500"


def second_opinion() -> ModuleType:
    path = Path(__file__).resolve().parents[2] / "vectors" / "check.py"
    spec = importlib.util.spec_from_file_location("merkle_check", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CHECK = second_opinion()


def made(size: int) -> list[bytes]:
    return [f"entry {index}".encode() for index in range(size)]


def store(size: int = 0) -> MemoryStore:
    tables = MemoryStore([ENTRY, TILE, HEAD, CUT])
    tables.run(lambda writer: logbook.append(writer, CODE, made(size)))
    return tables


def read(tables: MemoryStore, job: Callable[[Reader], T]) -> T:
    with tables.read() as reader:
        return job(reader)


def checkpoint(size: int) -> Checkpoint:
    return Checkpoint(ORIGIN, size, RootHash(root_of(map(leaf_hash, made(size)))))


def findings(tables: MemoryStore) -> list[tuple[str, str]]:
    return read(tables, lambda r: [(f.code, f.where) for f in check_log(r, CODE)])


def test_a_log_without_rows_is_empty() -> None:
    tables = store()
    assert read(tables, lambda r: logbook.head(r, CODE)) == EMPTY_HEAD
    assert read(tables, lambda r: logbook.root_at(r, CODE, 0)).raw == EMPTY_ROOT
    assert findings(tables) == []
    assert tables.dump()[HEAD] == {}


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 300), min_size=1, max_size=4), st.data())
def test_batches_do_not_matter(batches: list[int], data: st.DataObject) -> None:
    """Heads, roots and proofs are those of the definition, however the entries came in."""
    whole = made(sum(batches))
    tables = MemoryStore([ENTRY, TILE, HEAD, CUT])
    start = 0
    for count in batches:
        part = whole[start : start + count]
        start += count
        head = tables.run(lambda writer, part=part: logbook.append(writer, CODE, part))
        assert (head.size, head.root.raw) == (start, CHECK.root(whole[:start]))
        assert head == read(tables, lambda r: logbook.head(r, CODE))
    assert tables.dump() == store(len(whole)).dump()
    assert findings(tables) == []
    if not whole:
        return
    index = data.draw(st.integers(0, len(whole) - 1))
    size = data.draw(st.integers(index + 1, len(whole)))
    root = read(tables, lambda r: logbook.root_at(r, CODE, size))
    assert root.raw == CHECK.root(whole[:size])
    path = read(tables, lambda r: logbook.prove_inclusion(r, CODE, index, size))
    verify_inclusion(leaf_hash(whole[index]), index, size, root.raw, path)
    assert CHECK.includes(index, size, whole[index], path, root.raw)
    proof = read(tables, lambda r: logbook.prove_consistency(r, CODE, size, len(whole)))
    verify_consistency(size, root.raw, len(whole), CHECK.root(whole), proof)
    assert CHECK.consistent(size, root.raw, len(whole), CHECK.root(whole), proof)


@settings(max_examples=20, deadline=None)
@given(
    st.sampled_from([1, 2, 15, 16, 17, 255, 256, 257, 271, 272, 511, 512, 513]),
    st.lists(st.integers(0, 3), min_size=1, max_size=4),
)
def test_growing_by_steps_is_writing_at_once(size: int, steps: list[int]) -> None:
    """Around the edges of rows and tiles: every row the same, every root by the definition."""
    tables = store(size)
    for count in steps:
        part = made(size + count)[size:]
        head = tables.run(lambda writer, part=part: logbook.append(writer, CODE, part))
        size += count
        assert head.root.raw == CHECK.root(made(size))
    assert tables.dump() == store(size).dump()
    assert findings(tables) == []


def test_growing_over_the_edge_of_the_third_level() -> None:
    whole = made(65_540)
    leaves = [leaf_hash(entry) for entry in whole]
    tables = store(65_533)
    for size in range(65_534, 65_540):
        tables.run(lambda writer, size=size: logbook.append(writer, CODE, [whole[size - 1]]))
        assert read(tables, lambda r: logbook.head(r, CODE)).root.raw == root_of(leaves[:size])
    assert tables.dump() == store(65_539).dump()


def test_third_level_of_tiles() -> None:
    """At 65,536 entries the third level begins."""
    size = 65_536 + 300
    tables = store(size)
    leaves = [leaf_hash(entry) for entry in made(size)]
    head = read(tables, lambda r: logbook.head(r, CODE))
    assert head.root.raw == root_of(leaves)
    assert len(tables.dump()[TILE]) == 4_115 + 258 + 17 + 1 + 1
    top = read(tables, lambda r: logbook.tile_hashes(r, CODE, 2, 0, 1))
    assert top == root_of(leaves[:65_536])
    assert top == read(tables, lambda r: logbook.subtree_hash(r, CODE, 16, 0))
    path = read(tables, lambda r: logbook.prove_inclusion(r, CODE, 65_535, size))
    verify_inclusion(leaves[65_535], 65_535, size, head.root.raw, path)


def test_an_append_reads_and_writes_no_more_when_the_log_is_long() -> None:
    class Counting:
        def __init__(self, inner: Writer) -> None:
            self.inner, self.gets, self.puts = inner, 0, 0

        def get(self, table: str, key: bytes) -> bytes | None:
            self.gets += 1
            return self.inner.get(table, key)

        def put(self, table: str, key: bytes, value: bytes) -> None:
            self.puts += 1
            self.inner.put(table, key, value)

        def put_many(self, table: str, pairs: list[tuple[bytes, bytes]]) -> None:
            for pair in pairs:
                self.put(table, *pair)

        delete = scan = None

    def cost(size: int) -> tuple[int, int]:
        def job(writer: Writer) -> tuple[int, int]:
            counting = Counting(writer)
            logbook.append(counting, CODE, [b"one more"])  # type: ignore[arg-type]
            return counting.gets, counting.puts

        return store(size).run(job)

    assert cost(1_000)[1] == cost(20_000)[1] == 3  # entry, row, head
    assert cost(20_000)[0] < 25


def test_an_entry_that_is_not_there_is_named() -> None:
    tables = store(600)
    tables.run(lambda writer: writer.delete(ENTRY, entry_key(CODE, 300)))
    for start, end in ((290, 310), (290, 301), (300, 301), (299, 600)):
        with pytest.raises(Missing, match="entry 300"):
            read(tables, lambda r, start=start, end=end: logbook.entries(r, CODE, start, end))
    with pytest.raises(Missing, match="entry 600"):
        read(tables, lambda r: logbook.entries(r, CODE, 590, 601))


def test_entries_and_bundles() -> None:
    tables = store(600)
    assert read(tables, lambda r: logbook.entry(r, CODE, 599)) == b"entry 599"
    assert list(read(tables, lambda r: logbook.entries(r, CODE, 250, 300))) == made(300)[250:]
    assert read(tables, lambda r: logbook.entries(r, CODE, 7, 7)) == ()
    data = read(tables, lambda r: logbook.bundle(r, CODE, 2, 88))
    assert list(decode_bundle(data, 88)) == made(600)[512:]
    narrow = read(tables, lambda r: logbook.tile_hashes(r, CODE, 0, 2, 3))
    assert narrow == b"".join(leaf_hash(entry) for entry in made(600)[512:515])
    for job in (
        lambda r: logbook.entry(r, CODE, 600),
        lambda r: logbook.entries(r, CODE, 599, 601),
        lambda r: logbook.entries(r, NEIGHBOUR, 0, 1),
        lambda r: logbook.bundle(r, CODE, 2, 89),
        lambda r: logbook.tile_hashes(r, CODE, 0, 2, 89),
        lambda r: logbook.root_at(r, CODE, 601),
        lambda r: logbook.prove_inclusion(r, CODE, 600, 601),
        lambda r: logbook.prove_consistency(r, CODE, 600, 601),
    ):
        with pytest.raises(Missing):
            read(tables, job)


def test_logs_of_one_store_do_not_touch() -> None:
    tables = store(300)
    before = read(tables, lambda r: logbook.head(r, CODE))
    tables.run(lambda writer: logbook.append(writer, NEIGHBOUR, [b"other"] * 300))
    assert read(tables, lambda r: logbook.head(r, CODE)) == before
    assert read(tables, lambda r: logbook.entry(r, CODE, 299)) == b"entry 299"
    assert findings(tables) == []


def test_long_entries() -> None:
    tables = store(2)
    before = tables.dump()
    with pytest.raises(DecodeError, match="65535"):
        tables.run(lambda writer: logbook.append(writer, CODE, [b"x", bytes(65_536)]))
    assert tables.dump() == before
    assert tables.run(lambda writer: logbook.append(writer, CODE, [bytes(65_535)])).size == 3


def test_a_mirror_follows() -> None:
    """In one step, or in batches whose hashes it has found in verified tiles."""
    source, mirror, slow = store(700), store(), store()
    tables = mirror.run(lambda w: logbook.append_verified(w, CODE, 0, made(700), checkpoint(700)))
    assert tables.size == 700
    for start in range(0, 700, 100):
        part = made(700)[start : start + 100]
        leaves = b"".join(map(leaf_hash, part))
        slow.run(
            lambda w, start=start, part=part, leaves=leaves: logbook.append_hashed(
                w, CODE, logbook.head_at(w, CODE, start), part, leaves
            )
        )
    assert source.dump() == mirror.dump() == slow.dump()
    again = slow.run(lambda w: logbook.append_verified(w, CODE, 700, [], checkpoint(700)))
    assert again.size == 700
    with pytest.raises(ProofError):
        slow.run(lambda w: logbook.head_at(w, CODE, 699))
    with pytest.raises(ProofError):  # fewer hashes than entries
        slow.run(
            lambda w: logbook.append_hashed(w, CODE, logbook.head(w, CODE), [b"x", b"y"], bytes(32))
        )
    assert source.dump() == slow.dump()


@pytest.mark.parametrize(
    ("start", "added", "size"),
    [
        (9, made(20)[9:], 20),
        (11, made(20)[11:], 20),
        (10, made(20)[10:19], 20),
        (10, [*made(20)[10:], b"more"], 20),
        (10, [*made(20)[10:19], b"other"], 20),
        (10, made(20)[10:][::-1], 20),
        (10, [], 20),
        (10, made(20)[10:], 9),
    ],
)
def test_a_mirror_refuses(start: int, added: list[bytes], size: int) -> None:
    mirror = store(10)
    before = mirror.dump()
    written: list[str] = []

    def job(writer: Writer) -> None:
        try:
            logbook.append_verified(writer, CODE, start, added, checkpoint(size))
        except ProofError:
            written.append("refused")  # and the transaction goes on: nothing may have been put

    mirror.run(job)
    assert written == ["refused"]
    assert mirror.dump() == before


def damage(tables: MemoryStore, table: str, key: bytes, change: Callable[[bytes], bytes]) -> None:
    def job(writer: Writer) -> None:
        value = writer.get(table, key)
        assert value is not None
        writer.put(table, key, change(value))

    tables.run(job)


def flip(at: int) -> Callable[[bytes], bytes]:
    return lambda value: value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :]


def test_a_damaged_log_is_not_appended_to() -> None:
    tables = store(5)
    for change in (lambda value: value[:-32], lambda value: value + bytes(64)):
        damage(tables, TILE, row_key(CODE, 0, 0), change)
        with pytest.raises(Corrupt):
            tables.run(lambda writer: logbook.append(writer, CODE, [b"x"]))
    tables = store(600)
    damage(tables, HEAD, CODE.encode(), flip(50))
    with pytest.raises(Corrupt):
        tables.run(lambda writer: logbook.append(writer, CODE, [b"x"]))


def test_published_log(data_dir: Path) -> None:
    """Appending the entries of a log of transparency-dev/tessera one by one gives its checkpoints
    and its tiles."""
    folder = data_dir / "vectors" / "tessera-log"
    tables = store()
    for entry in decode_bundle((folder / bundle_path(0, 15)).read_bytes(), 15):
        head = tables.run(lambda writer, entry=entry: logbook.append(writer, CODE, [entry]))
        theirs = parse_checkpoint((folder / f"checkpoint.{head.size}").read_bytes())
        assert (theirs.size, theirs.root) == (head.size, head.root)
        for tile in tiles_of(head.size):
            path = folder / tile_path(tile.level, tile.number, tile.width)
            ours = read(
                tables,
                lambda r, t=tile: logbook.tile_hashes(r, CODE, t.level, t.number, t.width),
            )
            assert path.read_bytes() == ours
        for bundle in bundles_of(head.size):
            data = read(tables, lambda r, b=bundle: logbook.bundle(r, CODE, b.number, b.width))
            assert (folder / bundle_path(bundle.number, bundle.width)).read_bytes() == data


@pytest.mark.parametrize(
    ("size", "to"),
    [(1, 0), (5, 4), (17, 16), (17, 15), (256, 255), (257, 255), (700, 512), (65_537, 65_535)],
)
def test_a_cut_log_is_the_shorter_one(size: int, to: int) -> None:
    tables = store(size)
    tables.run(lambda writer: logbook.append(writer, NEIGHBOUR, made(3)))
    tables.run(lambda writer: logbook.cut(writer, CODE, to, 7))
    short = store(to)
    short.run(lambda writer: logbook.append(writer, NEIGHBOUR, made(3)))

    def rows(reader: Reader) -> dict[str, list[tuple[bytes, bytes]]]:
        return {table: list(reader.scan(table)) for table in (ENTRY, TILE)}

    assert read(tables, rows) == read(short, rows)
    with tables.read() as reader:
        assert logbook.head(reader, CODE) == read(short, lambda r: logbook.head(r, CODE))
        assert not list(check_log(reader, CODE))
        moved = [value for _, value in reader.scan(CUT, CODE.encode() + (7).to_bytes(8, "big"))]
    assert moved == made(size)[to:]
    tables.run(lambda writer: logbook.append(writer, CODE, made(size)[to:]))
    with tables.read() as reader:
        assert logbook.root_at(reader, CODE, size) == checkpoint(size).root


def test_a_log_that_is_short_enough_is_not_cut() -> None:
    tables = store(5)
    assert tables.run(lambda writer: logbook.cut(writer, CODE, 5, 0)).size == 5
    assert tables.run(lambda writer: logbook.cut(writer, CODE, 9, 0)).size == 5
    assert not read(tables, lambda reader: list(reader.scan(CUT)))


@pytest.mark.parametrize("size", [300, 512, 70_000])
def test_what_is_damaged_is_not_given_to_others(size: int) -> None:
    tables = store(size)
    full, partial = divmod(size, 256)
    last = (full, partial) if partial else (full - 1, 256)
    assert read(tables, lambda r: logbook.sound_entries(r, CODE, 200, 300)) == tuple(
        made(300)[200:]
    )
    for level, number, width in ((0, 0, 256), (0, 0, 7), (0, *last), (1, 0, 1)):
        tile = read(tables, lambda r, t=(level, number, width): logbook.sound_tile(r, CODE, *t))
        assert tile == read(
            tables, lambda r, t=(level, number, width): logbook.tile_hashes(r, CODE, *t)
        )
    damage(tables, ENTRY, entry_key(CODE, 260), lambda value: value[:-1] + b"!")
    for start, end in ((260, 261), (250, 270), (256, 261)):
        with pytest.raises(Corrupt, match="entry 260"):
            read(tables, lambda r, s=start, e=end: logbook.sound_entries(r, CODE, s, e))
    assert len(read(tables, lambda r: logbook.sound_entries(r, CODE, 0, 260))) == 260
    with pytest.raises(Corrupt):
        read(tables, lambda r: logbook.bundle(r, CODE, 1, 44))
    for level, number, width in ((0, 0, 7), (0, *last), (1, 0, 1)):
        key = row_key(CODE, 2 * level, number * 16)
        damage(tables, TILE, key, lambda value: value[:-1] + bytes([value[-1] ^ 1]))
        with pytest.raises(Corrupt):
            read(tables, lambda r, t=(level, number, width): logbook.sound_tile(r, CODE, *t))
        damage(tables, TILE, key, lambda value: value[:-1] + bytes([value[-1] ^ 1]))
