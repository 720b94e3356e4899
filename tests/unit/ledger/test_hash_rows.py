from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import hash_rows
from ledger.hash_rows import TILE, row_key
from node.hands.storage.memory_kv import MemoryStore
from protocol.errors import Corrupt, Missing
from protocol.ids import parse_office
from protocol.merkle import CompactRange, leaf_hash, perfect_root

CODE = parse_office("320500")
LEAVES = [leaf_hash(b"%d" % index) for index in range(65_537)]


def rows(size: int) -> MemoryStore:
    store = MemoryStore([TILE])
    added = CompactRange().grow(LEAVES[:size]).hashes
    store.run(lambda writer: hash_rows.extend(writer, CODE, 0, added))
    return store


@pytest.mark.parametrize(
    ("size", "levels"),
    [
        (1, [1]),
        (15, [1]),
        (16, [1, 1]),
        (17, [2, 1]),
        (255, [16, 1]),
        (256, [16, 1, 1]),
        (257, [17, 1, 1]),
        (65_535, [4096, 256, 16, 1]),
        (65_536, [4096, 256, 16, 1, 1]),
        (65_537, [4097, 256, 16, 1, 1]),
    ],
)
def test_each_level_has_the_roots_of_full_rows_below(size: int, levels: list[int]) -> None:
    stored = rows(size).dump()[TILE]
    assert [sum(key[6] == level for key in stored) for level in range(6)] == [
        *levels,
        *[0] * (6 - len(levels)),
    ]
    hashes = b"".join(LEAVES[:size])
    for level, count in enumerate(levels):
        keys = [row_key(CODE, level, number) for number in range(count)]
        assert b"".join(stored[key] for key in keys) == hashes
        hashes = hash_rows.roots_of_rows(hashes)
    assert not hashes


def test_an_append_of_one_writes_half_a_kilobyte_and_seldom_more() -> None:
    store, tree = MemoryStore([TILE]), CompactRange()
    for size in range(300):
        before = store.dump()[TILE]
        growth = tree.grow(LEAVES[size : size + 1])
        store.run(lambda w, size=size, added=growth.hashes: hash_rows.extend(w, CODE, size, added))
        tree = growth.tree
        written = [row for key, row in store.dump()[TILE].items() if before.get(key) != row]
        assert len(written) == 1 + (tree.size % 16 == 0) + (tree.size % 256 == 0)
        assert all(len(row) <= 512 for row in written)
    assert store.dump() == rows(300).dump()


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_subtree_comes_from_one_row(data: st.DataObject) -> None:
    level = data.draw(st.integers(0, 9))
    index = data.draw(st.integers(0, (600 >> level) - 1))
    with SHORT.read() as reader:
        found = hash_rows.subtree(reader, CODE, level, index)
        with pytest.raises(Missing, match="row"):
            hash_rows.subtree(reader, CODE, level, 600 >> level)
    assert found == perfect_root(b"".join(LEAVES[index << level : (index + 1) << level]))


SHORT = rows(600)


def test_tiles_are_read_and_stored_again() -> None:
    store = rows(600)
    whole = store.dump()
    for level, number, hashes in (
        (0, 1, LEAVES[256:512]),
        (0, 2, LEAVES[512:600]),
        (1, 0, [perfect_root(b"".join(LEAVES[at : at + 256])) for at in (0, 256)]),
    ):
        tile = b"".join(hashes)
        with store.read() as reader:
            assert hash_rows.tile(reader, CODE, level, number) == tile
        for damaged in (
            row_key(CODE, 2 * level, number * 16),
            row_key(CODE, 2 * level + 1, number),
        ):
            if damaged in whole[TILE]:
                store.run(lambda w, key=damaged: w.put(TILE, key, b"damaged"))
                put = (CODE, level, number, tile)
                store.run(lambda w, put=put: hash_rows.put_tile(w, *put))
        assert store.dump() == whole


def test_a_tile_ends_where_a_row_is_short() -> None:
    store = rows(256)
    store.run(lambda writer: writer.delete(TILE, row_key(CODE, 0, 2)))
    with store.read() as reader:
        assert hash_rows.tile(reader, CODE, 0, 0) == b"".join(LEAVES[:32])


def test_rows_of_another_size_are_not_extended() -> None:
    store = rows(20)
    for size in (19, 21):
        with pytest.raises(Corrupt, match="row 0/1"):
            store.run(lambda w, size=size: hash_rows.extend(w, CODE, size, [LEAVES[:1]]))


@pytest.mark.parametrize(("size", "to"), [(17, 16), (16, 15), (257, 256), (257, 0), (600, 255)])
def test_cut_rows_are_those_of_the_shorter_log(size: int, to: int) -> None:
    store = rows(size)
    store.run(lambda writer: hash_rows.cut(writer, CODE, size, to))
    assert store.dump() == rows(to).dump()
