"""Nodes and roots of a tree that is kept as tiles, and what each tile must be.

The last tiles of all levels together give the root.  Every other tile is full, and its root is one
hash of the tile above it.  So, from a signed checkpoint, a tree of any size is verified tile by
tile from the top, each as soon as it comes, and with one tile per level at hand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from ledger.tiles import Tile, tile_count
from protocol.errors import Missing, ProofError
from protocol.ids import RootHash
from protocol.limits import TILE_WIDTH
from protocol.merkle import HASH_BYTES, perfect_root, range_root

TILE_BYTES: Final = TILE_WIDTH * HASH_BYTES

Row = Callable[[int, int], bytes]
"""``row(level, number)``: the hashes of that tile, as many as there are."""


def subtree(row: Row, level: int, index: int) -> bytes:
    """The hash of leaves [index·2^level, (index + 1)·2^level), from the tile in whose 8 levels it
    lies.

    Raises:
        Missing: the tile has no such hashes.
    """
    tile_level, height = divmod(level, 8)
    number, at = divmod(index << height, TILE_WIDTH)
    hashes = row(tile_level, number)[at * HASH_BYTES : (at + (1 << height)) * HASH_BYTES]
    if len(hashes) != HASH_BYTES << height:
        where = f"tile {tile_level}/{number}"
        raise Missing(where, f"{at + (1 << height)} hashes", "fewer")
    return perfect_root(hashes)


def root_of_tiles(row: Row, size: int) -> RootHash:
    """The root at ``size``; only the last tile of each level is read.

    Raises:
        Missing: the tiles do not reach so far.
    """
    return RootHash(range_root(0, size, lambda level, index: subtree(row, level, index)))


def edge_of(size: int) -> tuple[Tile, ...]:
    """The partial tiles of a tree of ``size``, at most one per level, lowest level first."""
    widths = [tile_count(size, level) for level in range(-(-size.bit_length() // 8))]
    return tuple(
        Tile(level, full, partial) for level, (full, partial) in enumerate(widths) if partial
    )


def check_edge(size: int, root: RootHash, edge: Mapping[int, bytes]) -> None:
    """Check the partial tiles of a tree, by level, against its root.

    Raises:
        ProofError: a tile is missing, too many, of another width, or they give another root.
    """
    widths = {tile.level: tile.width * HASH_BYTES for tile in edge_of(size)}
    got = {level: len(hashes) for level, hashes in edge.items()}
    if got != widths:
        raise ProofError(f"tiles of size {size}", f"bytes by level {widths}", got)
    found = root_of_tiles(lambda level, _: edge[level], size)
    if found != root:
        raise ProofError(f"tiles of size {size}", f"root {root.short}", found.short)


def check_tile(hashes: bytes, level: int, number: int, above: bytes) -> None:
    """Check a full tile against the one above it, which has been checked.

    Raises:
        ProofError: its root is not the hash there.
    """
    at = number % TILE_WIDTH * HASH_BYTES
    if len(hashes) != TILE_BYTES or perfect_root(hashes) != above[at : at + HASH_BYTES]:
        where = f"tile {level}/{number}"
        raise ProofError(where, "256 hashes under the tile above", f"{len(hashes)} bytes, others")
