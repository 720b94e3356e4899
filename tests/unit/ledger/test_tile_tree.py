from __future__ import annotations

import hashlib

import pytest

from ledger.tile_tree import check_edge, check_tile, edge_of, root_of_tiles, subtree
from ledger.tiles import Tile
from protocol.errors import Missing, ProofError
from protocol.ids import RootHash
from protocol.merkle import HASH_BYTES, perfect_root, root_of

LEAVES = [hashlib.sha256(str(number).encode()).digest() for number in range(66_000)]


def tiles(size: int) -> dict[tuple[int, int], bytes]:
    found: dict[tuple[int, int], bytes] = {}
    level, hashes = 0, LEAVES[:size]
    while hashes:
        runs = [b"".join(hashes[at : at + 256]) for at in range(0, len(hashes), 256)]
        found |= {(level, number): run for number, run in enumerate(runs)}
        hashes = [perfect_root(run) for run in runs if len(run) == 256 * HASH_BYTES]
        level += 1
    return found


def edge(size: int) -> dict[int, bytes]:
    rows = tiles(size)
    return {tile.level: rows[tile.level, tile.number] for tile in edge_of(size)}


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 700, 65_535, 65_536, 65_537, 66_000])
def test_the_edge_gives_the_root(size: int) -> None:
    root = RootHash(root_of(LEAVES[:size]))
    check_edge(size, root, edge(size))
    rows = tiles(size)
    assert root_of_tiles(lambda level, number: rows[level, number], size) == root
    if size:
        with pytest.raises(ProofError):
            check_edge(size, RootHash(bytes(32)), edge(size))
        with pytest.raises(ProofError):
            check_edge(size + 1, root, edge(size))


def test_edges() -> None:
    assert edge_of(0) == ()
    assert edge_of(256) == (Tile(1, 0, 1),)
    assert edge_of(65_536) == (Tile(2, 0, 1),)
    assert edge_of(65_537) == (Tile(0, 256, 1), Tile(2, 0, 1))
    assert edge_of(2**62) == (Tile(7, 0, 2**62 >> 56),)


@pytest.mark.parametrize("level", [0, 1, 2])
def test_every_bit_of_the_edge_counts(level: int) -> None:
    size = 66_000 - 66_000 % 256 + 7
    root = RootHash(root_of(LEAVES[:size]))
    good = edge(size)
    check_edge(size, root, good)
    flipped = bytearray(good[level])
    flipped[-1] ^= 1
    for wrong in (
        good | {level: bytes(flipped)},
        good | {level: good[level][:-HASH_BYTES]},
        good | {level: good[level] + bytes(32)},
        {at: row for at, row in good.items() if at != level},
        good | {3: bytes(32)},
    ):
        with pytest.raises(ProofError):
            check_edge(size, root, wrong)


def test_a_full_tile_is_checked_by_the_one_above() -> None:
    rows = tiles(66_000)
    for number in (0, 1, 255):
        check_tile(rows[0, number], 0, number, rows[1, 0])
        with pytest.raises(ProofError):
            check_tile(rows[0, number], 0, number + 1, rows[1, 0])
    check_tile(rows[0, 256], 0, 256, rows[1, 1])
    check_tile(rows[1, 0], 1, 0, rows[2, 0])
    for hashes, above in (
        (rows[0, 0][:-32], rows[1, 0]),
        (rows[0, 0] + bytes(32), rows[1, 0]),
        (rows[0, 0], b""),
        (perfect_root(rows[0, 0]), rows[1, 0]),  # what stands above is no tile
    ):
        with pytest.raises(ProofError):
            check_tile(hashes, 0, 0, above)


def test_nodes_come_from_the_tile_in_whose_levels_they_lie() -> None:
    rows = tiles(66_000)

    def row(level: int, number: int) -> bytes:
        return rows.get((level, number), b"")

    assert subtree(row, 0, 65_999) == LEAVES[65_999]
    assert subtree(row, 3, 5) == root_of(LEAVES[40:48])
    assert subtree(row, 11, 3) == root_of(LEAVES[3 * 2048 : 4 * 2048])
    with pytest.raises(Missing):
        subtree(row, 0, 66_000)
    with pytest.raises(Missing):
        subtree(row, 17, 0)
