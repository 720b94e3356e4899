from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.chunks import (
    EMPTY,
    ChunkHasher,
    check_chunk,
    check_leaves,
    chunk_count,
    chunk_span,
    leaves_of,
    root_of_leaves,
)
from protocol.errors import Corrupt, ProofError
from protocol.limits import CHUNK_BYTES
from tests.second import trees

SIZES = (0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 5 * CHUNK_BYTES, 6 * CHUNK_BYTES + 9)


def content(size: int) -> bytes:
    """Every chunk of it is another."""
    return b"".join(b"%08d" % number for number in range(-(-size // 8)))[:size]


@pytest.mark.parametrize("size", SIZES)
def test_every_chunk_is_proven_and_no_other_passes(size: int) -> None:
    data = content(size)
    leaves = leaves_of(data)
    root = root_of_leaves(leaves)
    check_leaves(root, size, leaves)
    chunks = [data[at : at + CHUNK_BYTES] for at in range(0, size, CHUNK_BYTES)]
    assert root.raw == list(trees.roots(map(trees.leaf, chunks)))[-1]
    assert chunk_count(size) == len(chunks)
    for number, chunk in enumerate(chunks):
        offset, length = chunk_span(size, number)
        assert data[offset : offset + length] == chunk
        check_chunk(leaves, number, chunk)
        flipped = bytes([chunk[0] ^ 1]) + chunk[1:]
        for wrong in (flipped, chunk[:-1], chunk + b"\0"):
            with pytest.raises(Corrupt):
                check_chunk(leaves, number, wrong)
        with pytest.raises(Corrupt):
            check_chunk(leaves, number + 1, chunk)
    with pytest.raises(ProofError):
        chunk_span(size, len(chunks))


def test_an_empty_file_has_the_root_of_the_empty_tree() -> None:
    assert root_of_leaves(b"") == EMPTY
    check_leaves(EMPTY, 0, b"")


def test_leaves_of_another_file_or_size_are_refused() -> None:
    leaves = leaves_of(content(3 * CHUNK_BYTES))
    root = root_of_leaves(leaves)
    swapped = leaves[32:64] + leaves[:32] + leaves[64:]
    for size, wrong in ((3 * CHUNK_BYTES, swapped), (2 * CHUNK_BYTES, leaves), (3, leaves[:-1])):
        with pytest.raises(ProofError):
            check_leaves(root, size, wrong)


@settings(max_examples=20, deadline=None)
@given(cuts=st.lists(st.integers(0, 2 * CHUNK_BYTES + 5), max_size=6))
def test_a_stream_hashes_the_same_however_it_is_cut(cuts: list[int]) -> None:
    data = content(2 * CHUNK_BYTES + 5)
    edges = [0, *sorted(cuts), len(data)]
    hasher = ChunkHasher()
    for start, end in itertools.pairwise(edges):
        hasher.update(data[start:end])
    assert hasher.finished() == leaves_of(data)
