"""A second opinion on Merkle trees: the definitions of RFC 9162 §2.1, written down as they stand.

Recursive, slow, standard library only, and nothing imported from the project, so that it can
disagree with it.  As a program it checks ``merkle.json`` beside it (or the files named) and exits
with 1 when something does not hold; ``--write`` makes ``merkle.json`` anew from its entries.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def leaf(entry: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + entry).digest()


def node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def split(count: int) -> int:
    """The largest power of two smaller than ``count``."""
    power = 1
    while power * 2 < count:
        power *= 2
    return power


def root(entries: Sequence[bytes]) -> bytes:
    """MTH(D_n)."""
    if not entries:
        return hashlib.sha256(b"").digest()
    if len(entries) == 1:
        return leaf(entries[0])
    k = split(len(entries))
    return node(root(entries[:k]), root(entries[k:]))


def inclusion(index: int, entries: Sequence[bytes]) -> list[bytes]:
    """PATH(m, D_n)."""
    if len(entries) == 1:
        return []
    k = split(len(entries))
    if index < k:
        return [*inclusion(index, entries[:k]), root(entries[k:])]
    return [*inclusion(index - k, entries[k:]), root(entries[:k])]


def consistency(size1: int, entries: Sequence[bytes], whole: bool = True) -> list[bytes]:
    """SUBPROOF(m, D_n, b), for 0 < m ≤ n."""
    if size1 == len(entries):
        return [] if whole else [root(entries)]
    k = split(len(entries))
    if size1 <= k:
        return [*consistency(size1, entries[:k], whole), root(entries[k:])]
    return [*consistency(size1 - k, entries[k:], False), root(entries[:k])]


def root_by_inclusion(
    leaf_hash: bytes, index: int, size: int, proof: Sequence[bytes]
) -> bytes | None:
    """The root that an inclusion proof leads to; None when it has the wrong length."""
    if size == 1:
        return None if proof else leaf_hash
    if not proof:
        return None
    k = split(size)
    below, sibling = proof[:-1], proof[-1]
    if index < k:
        left = root_by_inclusion(leaf_hash, index, k, below)
        return None if left is None else node(left, sibling)
    right = root_by_inclusion(leaf_hash, index - k, size - k, below)
    return None if right is None else node(sibling, right)


def roots_by_consistency(
    size1: int, root1: bytes, size2: int, proof: Sequence[bytes], whole: bool = True
) -> tuple[bytes, bytes] | None:
    """The two roots that a consistency proof leads to; None when it has the wrong length."""
    if size1 == size2:
        if whole:
            return None if proof else (root1, root1)
        return (proof[0], proof[0]) if len(proof) == 1 else None
    if not proof:
        return None
    k = split(size2)
    below, sibling = proof[:-1], proof[-1]
    if size1 <= k:
        both = roots_by_consistency(size1, root1, k, below, whole)
        return None if both is None else (both[0], node(both[1], sibling))
    both = roots_by_consistency(size1 - k, root1, size2 - k, below, False)
    return None if both is None else (node(sibling, both[0]), node(sibling, both[1]))


def includes(index: int, size: int, entry: bytes, proof: Sequence[bytes], expected: bytes) -> bool:
    return 0 <= index < size and root_by_inclusion(leaf(entry), index, size, proof) == expected


def consistent(size1: int, root1: bytes, size2: int, root2: bytes, proof: Sequence[bytes]) -> bool:
    if not 0 < size1 <= size2:
        return size1 == 0 and not proof and root1 == root([])
    return roots_by_consistency(size1, root1, size2, proof) == (root1, root2)


def vectors_of(entries: Sequence[bytes]) -> dict[str, Any]:
    """Every root and every proof of the log of ``entries``, in hexadecimal."""
    sizes = range(1, len(entries) + 1)
    return {
        "entries": [entry.hex() for entry in entries],
        "roots": [root(entries[:size]).hex() for size in range(len(entries) + 1)],
        "inclusion": [
            {"index": i, "size": n, "proof": [h.hex() for h in inclusion(i, entries[:n])]}
            for n in sizes
            for i in range(n)
        ],
        "consistency": [
            {"size1": m, "size2": n, "proof": [h.hex() for h in consistency(m, entries[:n])]}
            for n in sizes
            for m in range(1, n + 1)
        ],
    }


def complaints(vectors: dict[str, Any]) -> list[str]:
    """What does not hold in a vector file."""
    entries = [bytes.fromhex(entry) for entry in vectors["entries"]]
    roots = [bytes.fromhex(value) for value in vectors["roots"]]
    found = [
        f"root of size {size}" for size in range(len(roots)) if root(entries[:size]) != roots[size]
    ]
    for case in vectors["inclusion"]:
        index, size = case["index"], case["size"]
        proof = [bytes.fromhex(value) for value in case["proof"]]
        if not includes(index, size, entries[index], proof, roots[size]):
            found.append(f"inclusion of {index} in {size}")
    for case in vectors["consistency"]:
        size1, size2 = case["size1"], case["size2"]
        proof = [bytes.fromhex(value) for value in case["proof"]]
        if not consistent(size1, roots[size1], size2, roots[size2], proof):
            found.append(f"consistency of {size1} with {size2}")
    return found


def main(arguments: list[str]) -> int:
    own = Path(__file__).with_name("merkle.json")
    if arguments == ["--write"]:
        entries = [bytes.fromhex(entry) for entry in json.loads(own.read_text())["entries"]]
        own.write_text(json.dumps(vectors_of(entries), indent=1) + "\n")
        return 0
    files = [Path(name) for name in arguments] or [own]
    found = [
        f"{path}: {what}" for path in files for what in complaints(json.loads(path.read_text()))
    ]
    print("\n".join(found) or f"{len(files)} vector file(s) hold")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
