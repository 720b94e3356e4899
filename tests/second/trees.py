"""Merkle trees by their folds, tiles and bundles by their paths (RFC 9162 §2.1, tlog-tiles)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence

from tests.second.values import Bad

WIDTH = 256
EMPTY = hashlib.sha256(b"").digest()


def leaf(entry: bytes) -> bytes:
    return hashlib.sha256(b"\0" + entry).digest()


def pair(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


class Tree:
    """Only the roots of the perfect trees of a log so far; ``root`` folds them."""

    def __init__(self) -> None:
        self.size = 0
        self.peaks: list[bytes] = []

    def add(self, hash_of_leaf: bytes) -> None:
        size, node = self.size, hash_of_leaf
        while size & 1:
            node = pair(self.peaks.pop(), node)
            size >>= 1
        self.peaks.append(node)
        self.size += 1

    def root(self) -> bytes:
        if not self.peaks:
            return EMPTY
        node = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            node = pair(peak, node)
        return node


def roots(leaves: Iterable[bytes]) -> Iterator[bytes]:
    """The root of every size, from 0 on."""
    tree = Tree()
    yield EMPTY
    for each in leaves:
        tree.add(each)
        yield tree.root()


def check_inclusion(
    index: int, size: int, hash_of_leaf: bytes, proof: Sequence[bytes], root: bytes
) -> None:
    """RFC 9162 §2.1.3.2; raises Bad."""
    _check_hashes(hash_of_leaf, root, *proof)
    if not 0 <= index < size:
        raise Bad("an index beyond the tree")
    place, last, node = index, size - 1, hash_of_leaf
    for sibling in proof:
        if last == 0:
            raise Bad("a hash too many")
        if place & 1 or place == last:
            node = pair(sibling, node)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            node = pair(node, sibling)
        place, last = place >> 1, last >> 1
    if last or node != root:
        raise Bad("does not lead to the root")


def check_consistency(
    size1: int, root1: bytes, size2: int, root2: bytes, proof: Sequence[bytes]
) -> None:
    """RFC 9162 §2.1.4.2, and by C2SP from nothing to anything with no proof; raises Bad."""
    _check_hashes(root1, root2, *proof)
    if not 0 <= size1 <= size2:
        raise Bad("the sizes")
    if size1 in (0, size2):
        if proof or root1 != (root2 if size1 else EMPTY) or (size2 == 0 and root2 != EMPTY):
            raise Bad("needs no proof, the same root, and the empty one for size 0")
        return
    if not proof:
        raise Bad("no proof")
    path = [root1, *proof] if size1 & (size1 - 1) == 0 else list(proof)
    place, last = size1 - 1, size2 - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    old = new = path[0]
    for each in path[1:]:
        if last == 0:
            raise Bad("a hash too many")
        if place & 1 or place == last:
            old, new = pair(each, old), pair(each, new)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            new = pair(new, each)
        place, last = place >> 1, last >> 1
    if last or old != root1 or new != root2:
        raise Bad("does not lead to both roots")


def _check_hashes(*hashes: bytes) -> None:
    if any(len(each) != 32 for each in hashes) or len(hashes) > 65:
        raise Bad("not hashes of 32 bytes, or more than 63")


def path(level: int | str, number: int, width: int) -> str:
    """``tile/<level>/<N>[.p/<width>]``; level ``entries`` for bundles."""
    digits = f"{number:03d}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    name = "/".join([*(f"x{each}" for each in groups[:-1]), groups[-1]])
    return f"tile/{level}/{name}" + (f".p/{width}" if width < WIDTH else "")


def widths(count: int) -> Iterator[tuple[int, int]]:
    """(number, width) of the tiles of a level of ``count`` hashes."""
    for number in range(-(-count // WIDTH)):
        yield number, min(WIDTH, count - number * WIDTH)


def hashes_of(tile: bytes, width: int) -> list[bytes]:
    if len(tile) != 32 * width:
        raise Bad("a tile of another width")
    return [tile[at : at + 32] for at in range(0, len(tile), 32)]


def entries_of(bundle: bytes) -> tuple[list[bytes], bool]:
    """The entries, and whether a bundle is nothing but whole entries."""
    entries, at = [], 0
    while len(bundle) - at >= 2:
        start = at + 2
        end = start + int.from_bytes(bundle[at:start], "big")
        if end > len(bundle):
            break
        entries.append(bundle[start:end])
        at = end
    return entries, at == len(bundle)


def perfect(hashes: Sequence[bytes]) -> bytes:
    """The root over a full tile."""
    row = list(hashes)
    while len(row) > 1:
        row = [pair(row[at], row[at + 1]) for at in range(0, len(row), 2)]
    return row[0]
