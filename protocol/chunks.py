"""A file as a tree: its chunks of 1 MiB are the leaves of an RFC 6962 tree (protocol/merkle.py).

The root stands in the manifest, so any chunk from anybody is verified before it is written or
shown.  docs/spec/manifest.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

from protocol.errors import Corrupt, ProofError
from protocol.ids import ChunkRoot
from protocol.limits import CHUNK_BYTES
from protocol.merkle import EMPTY_ROOT, HASH_BYTES, leaf_hash, root_of

EMPTY: ChunkRoot = ChunkRoot(EMPTY_ROOT)


def chunk_count(size: int) -> int:
    """How many chunks a file of ``size`` bytes has; an empty one has none."""
    return -(-size // CHUNK_BYTES)


def chunk_span(size: int, number: int) -> tuple[int, int]:
    """``(offset, length)`` of chunk ``number``; all but the last are CHUNK_BYTES long.

    Raises:
        ProofError: a file of ``size`` bytes has no such chunk.
    """
    if not 0 <= number < chunk_count(size):
        raise ProofError("chunk", f"a number below {chunk_count(size)}", number)
    return number * CHUNK_BYTES, min(CHUNK_BYTES, size - number * CHUNK_BYTES)


def split_leaves(leaves: bytes) -> Iterator[bytes]:
    return (leaves[at : at + HASH_BYTES] for at in range(0, len(leaves), HASH_BYTES))


def root_of_leaves(leaves: bytes) -> ChunkRoot:
    """The chunk root, from the leaf hashes one after another.

    Raises:
        ProofError: not a whole number of hashes.
    """
    return ChunkRoot(root_of(split_leaves(leaves)))


def leaves_of(data: bytes) -> bytes:
    """The leaf hashes of a file that is in memory."""
    return b"".join(
        leaf_hash(data[at : at + CHUNK_BYTES]) for at in range(0, len(data), CHUNK_BYTES)
    )


def check_leaves(root: ChunkRoot, size: int, leaves: bytes) -> None:
    """Check that these are the leaf hashes of the file of ``size`` bytes under ``root``.

    Raises:
        ProofError: they are not.
    """
    if len(leaves) != HASH_BYTES * chunk_count(size):
        raise ProofError("leaves of a file", f"{chunk_count(size)} hashes", len(leaves))
    if root_of_leaves(leaves) != root:
        raise ProofError("leaves of a file", f"root {root.short}", "another")


def check_chunk(leaves: bytes, number: int, data: bytes) -> None:
    """Check that ``data`` is chunk ``number`` of the file with these leaf hashes.

    Raises:
        Corrupt: it is not.
    """
    if leaf_hash(data) != leaves[number * HASH_BYTES : (number + 1) * HASH_BYTES]:
        raise Corrupt(f"chunk {number}", "the bytes that its leaf hash is of", "others")


class ChunkHasher:
    """The leaf hashes of a stream, in pieces of any length."""

    __slots__ = ("_hash", "_left", "leaves")

    def __init__(self) -> None:
        self.leaves = bytearray()  # of the chunks that are whole
        self._left = 0  # bytes missing of the one begun; 0: none is begun
        self._hash = sha256(b"\x00")

    def update(self, data: bytes | memoryview) -> None:
        view = memoryview(data)
        while view:
            if not self._left:
                self._hash, self._left = sha256(b"\x00"), CHUNK_BYTES
            part, view = view[: self._left], view[self._left :]
            self._hash.update(part)
            self._left -= len(part)
            if not self._left:
                self.leaves += self._hash.digest()

    def partial(self) -> bytes:
        """The leaf hash of the chunk begun, as if it ended here; empty when none is begun."""
        return self._hash.digest() if self._left else b""

    def finished(self) -> bytes:
        """All leaf hashes of what came."""
        return bytes(self.leaves) + self.partial()
