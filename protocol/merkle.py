"""Is this entry in that log, this chunk of that file, and is this log a prefix of that one?

The Merkle tree of RFC 6962 §2.1 (= RFC 9162 §2.1) over SHA-256: roots, the append state, and both
kinds of proof, made and verified.  Hashes are raw 32-byte strings here, because these loops are the
hottest of the ledger; other modules wrap them as LeafHash, RootHash and ChunkRoot.
Specification: docs/spec/log.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from protocol.errors import ProofError
from protocol.limits import PROOF_HASHES_MAX, TREE_SIZE_MAX

HASH_BYTES: Final = 32
ROW_LEVELS: Final = 4  # of the tree in one stored row: see ledger/hash_rows.py
EMPTY_ROOT: Final = sha256(b"").digest()

Subtree = Callable[[int, int], bytes]
"""``subtree(level, index)``: the hash of leaves ``[index << level, (index + 1) << level)``."""


def leaf_hash(entry: bytes) -> bytes:
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def perfect_root(hashes: bytes) -> bytes:
    """The root over 2^k concatenated hashes."""
    while len(hashes) > HASH_BYTES:
        hashes = b"".join(
            [sha256(b"\x01" + hashes[at : at + 64]).digest() for at in range(0, len(hashes), 64)]
        )
    return hashes


def root_of(leaf_hashes: Iterable[bytes]) -> bytes:
    """The root of a whole tree, from its leaf hashes."""
    return CompactRange().extend(leaf_hashes).root()


@dataclass(frozen=True, slots=True)
class CompactRange:
    """The append state of a tree: the roots of its perfect subtrees, widest first.

    There is one hash for each set bit of ``size``.
    """

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.size <= TREE_SIZE_MAX or len(self.hashes) != self.size.bit_count():
            raise ProofError("compact range", f"the hashes of size {self.size}", len(self.hashes))
        _check_hashes(self.hashes, "compact range")

    def push(self, leaf: bytes) -> CompactRange:
        return self.extend((leaf,))

    def extend(self, leaf_hashes: Iterable[bytes]) -> CompactRange:
        """This tree with more leaves.

        Raises:
            ProofError: a leaf hash is not 32 bytes, or the tree gets too large.
        """
        return self.grow(leaf_hashes).tree

    def grow(self, leaf_hashes: Iterable[bytes]) -> Growth:
        """:meth:`extend`, with what it adds to the rows of the tree."""
        size, stack = self.size, list(self.hashes)
        added: list[list[bytes]] = [[]]
        for leaf in leaf_hashes:
            if len(leaf) != HASH_BYTES:
                raise ProofError("leaf hash", "32 bytes", len(leaf))
            node, level, carry = leaf, 0, size
            added[0].append(leaf)
            # every trailing 1 bit of the size is a perfect subtree that this leaf completes
            while carry & 1:
                node = sha256(b"\x01" + stack.pop() + node).digest()
                carry >>= 1
                level += 1
                if not level % ROW_LEVELS:
                    if level // ROW_LEVELS == len(added):
                        added.append([])
                    added[level // ROW_LEVELS].append(node)
            stack.append(node)
            size += 1
        return Growth(CompactRange(size, tuple(stack)), added)

    def root(self) -> bytes:
        return _fold(self.hashes)


@dataclass(frozen=True, slots=True)
class Growth:
    """A tree after an append.  ``hashes[k]`` are the new subtrees of 16^k leaves, in order: what
    is added to the rows of level k."""

    tree: CompactRange
    hashes: list[list[bytes]]


class GrowingTree:
    """A tree to which many leaves are added one by one."""

    __slots__ = ("_hashes", "size")

    def __init__(self, start: CompactRange) -> None:
        self.size = start.size
        self._hashes = list(start.hashes)

    def push(self, leaf: bytes) -> None:
        """One more leaf hash."""
        hashes, carry = self._hashes, self.size
        while carry & 1:
            leaf = sha256(b"\x01" + hashes.pop() + leaf).digest()
            carry >>= 1
        hashes.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        return _fold(self._hashes)

    def compact(self) -> CompactRange:
        return CompactRange(self.size, tuple(self._hashes))


def range_root(start: int, end: int, subtree: Subtree) -> bytes:
    """The hash of leaves [start, end), where ``start`` is a multiple of the largest power of two
    that is at most ``end - start`` (every node of a tree is such a range)."""
    parts = []
    while start < end:
        level = (end - start).bit_length() - 1
        parts.append(subtree(level, start >> level))
        start += 1 << level
    return _fold(parts)


def prove_inclusion(index: int, size: int, subtree: Subtree) -> tuple[bytes, ...]:
    """The audit path of leaf ``index`` in the tree of ``size``, sibling of the leaf first.

    Raises:
        ProofError: the tree of that size has no such leaf.
    """
    if not 0 <= index < size <= TREE_SIZE_MAX:
        raise ProofError("inclusion proof", f"an index below {size}", index)
    proof = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            proof.append(range_root(middle, end, subtree))
            end = middle
        else:
            proof.append(range_root(start, middle, subtree))
            start = middle
    return tuple(reversed(proof))


def prove_consistency(size1: int, size2: int, subtree: Subtree) -> tuple[bytes, ...]:
    """The proof that the tree of ``size1`` is a prefix of that of ``size2`` (RFC 9162 §2.1.4.1).

    Empty when either tree is empty or both have the same size.

    Raises:
        ProofError: ``size1`` is larger than ``size2``.
    """
    if not 0 <= size1 <= size2 <= TREE_SIZE_MAX:
        raise ProofError("consistency proof", f"a size of at most {size2}", size1)
    if size1 in (0, size2):
        return ()
    proof = []
    start, end = 0, size2
    while end != size1:
        middle = start + _split(end - start)
        if size1 <= middle:
            proof.append(range_root(middle, end, subtree))
            end = middle
        else:
            proof.append(range_root(start, middle, subtree))
            start = middle
    if start:  # otherwise the old root itself is the first hash, which the verifier has
        proof.append(range_root(start, end, subtree))
    return tuple(reversed(proof))


def verify_inclusion(
    leaf: bytes, index: int, size: int, root: bytes, proof: Sequence[bytes]
) -> None:
    """Check that ``leaf`` (a leaf hash) stands at ``index`` in the tree (RFC 9162 §2.1.3.2).

    Raises:
        ProofError: it does not, or an argument is out of range.
    """
    if not 0 <= index < size <= TREE_SIZE_MAX:
        raise ProofError("inclusion proof", f"an index below {size} < 2^63", index)
    _check_hashes((leaf, root), "inclusion proof")
    _check_proof(proof, "inclusion proof")
    place, last, node = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise ProofError("inclusion proof", "no hash beyond the root", f"{len(proof)} hashes")
        if place & 1 or place == last:
            node = node_hash(sibling, node)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            node = node_hash(node, sibling)
        place, last = place >> 1, last >> 1
    if last:
        raise ProofError("inclusion proof", "hashes up to the root", f"only {len(proof)}")
    _check_same(root, node, "inclusion proof")


def prefix_root(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes:
    """The root of the first ``index + 1`` leaves, from the inclusion proof of the last of them.

    The hashes left of its path are the tree before it; the proof must have been verified.
    """
    place, last, node = index, size - 1, leaf
    for sibling in proof:
        if place & 1 or place == last:
            node = node_hash(sibling, node)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        place, last = place >> 1, last >> 1
    return node


def verify_consistency(
    size1: int, root1: bytes, size2: int, root2: bytes, proof: Sequence[bytes]
) -> None:
    """Check that the first tree is a prefix of the second (RFC 9162 §2.1.4.2).

    From size 0 the proof is empty and ``root1`` is the empty root: the witness protocol counts that
    as consistent.

    Raises:
        ProofError: it is not, or an argument is out of range.
    """
    where = "consistency proof"
    if not 0 <= size1 <= size2 <= TREE_SIZE_MAX:
        raise ProofError(where, f"a first size of at most {size2} < 2^63", size1)
    _check_hashes((root1, root2), where)
    _check_proof(proof, where)
    for size, root in ((size1, root1), (size2, root2)):
        if size == 0:
            _check_same(EMPTY_ROOT, root, "root of the empty tree")
    if size1 in (0, size2):
        if proof:
            raise ProofError(where, "no hashes", len(proof))
        if size1 == size2:
            _check_same(root1, root2, where)
        return
    path = list(proof)
    if not path:
        raise ProofError(where, "at least one hash", "none")
    if size1 & (size1 - 1) == 0:  # a perfect tree is itself a node of the larger one
        path.insert(0, root1)
    place, last = size1 - 1, size2 - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    old = new = path[0]
    for node in path[1:]:
        if last == 0:
            raise ProofError(where, "no hash beyond the root", f"{len(proof)} hashes")
        if place & 1 or place == last:
            old, new = node_hash(node, old), node_hash(node, new)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            new = node_hash(new, node)
        place, last = place >> 1, last >> 1
    if last:
        raise ProofError(where, "hashes up to the root", f"only {len(proof)}")
    _check_same(root1, old, "consistency proof, older root")
    _check_same(root2, new, "consistency proof, newer root")


def _split(count: int) -> int:
    """The largest power of two below ``count`` (count ≥ 2)."""
    return 1 << ((count - 1).bit_length() - 1)


def _fold(hashes: Sequence[bytes]) -> bytes:
    if not hashes:
        return EMPTY_ROOT
    root = hashes[-1]
    for left in reversed(hashes[:-1]):
        root = node_hash(left, root)
    return root


def _check_hashes(hashes: Iterable[bytes], where: str) -> None:
    for value in hashes:
        if len(value) != HASH_BYTES:
            raise ProofError(where, "hashes of 32 bytes", f"{len(value)} bytes")


def _check_proof(proof: Sequence[bytes], where: str) -> None:
    if len(proof) > PROOF_HASHES_MAX:
        raise ProofError(where, f"at most {PROOF_HASHES_MAX} hashes", len(proof))
    _check_hashes(proof, where)


def _check_same(expected: bytes, computed: bytes, where: str) -> None:
    if expected != computed:
        raise ProofError(where, f"root {expected.hex()[:16]}", computed.hex()[:16])
