from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_shard import buckets, lists
from search_shard.blocks import Array
from search_shard.lists import build_table
from search_shard.postings import COUNT_MAX, TABLE_KINDS, Table

Rows = list[tuple[int, int, int]]


def columns(rows: Rows) -> tuple[Array, Array, Array]:
    data = np.array(rows, np.uint16).reshape(-1, 3)
    return data[:, 0], data[:, 1], data[:, 2]


def blocks_of(rows: Rows, size: int, piece: int = 1000) -> dict[str, memoryview]:
    pieces = [columns(rows[at : at + piece]) for at in range(0, len(rows), piece)]
    built = build_table(lambda: pieces, size)
    return {
        f"t.{name}": np.ascontiguousarray(built[name], kind).data.cast("B")
        if len(built[name])
        else memoryview(b"")
        for name, kind in TABLE_KINDS.items()
    }


def read(table: Table, size: int, seconds: int) -> dict[tuple[int, int], dict[int, int]]:
    """Pair → document → how often, by every way of asking, which all agree."""
    held: dict[tuple[int, int], dict[int, int]] = {}
    for first in range(size):
        for second in range(seconds):
            pair = table.find(first, second)
            if pair < 0:
                continue
            documents, counts = (column.tolist() for column in table.counted(pair))
            assert documents == sorted(set(documents)) == table.documents(pair).tolist()
            assert table.count(pair) == len(documents)
            held[first, second] = dict(zip(documents, counts, strict=True))
    return held


def counted(rows: Rows) -> dict[tuple[int, int], dict[int, int]]:
    wanted: dict[tuple[int, int], dict[int, int]] = {}
    for (first, second, document), count in Counter(rows).items():
        if first:
            wanted.setdefault((first, second), {})[document] = min(count, COUNT_MAX)
    return wanted


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.integers(0, 3), st.sampled_from([0, 1, 2, 254, 255, 9999])),
        max_size=120,
    )
)
def test_a_table_tells_what_was_counted(rows: Rows) -> None:
    assert read(Table.over(blocks_of(rows, 5), "t"), 5, 4) == counted(rows)


@pytest.mark.parametrize("documents", [1, 2, 3, 23, 24, 25, 127, 128, 129, 700])
@pytest.mark.parametrize("step", [1, 7, 90])
@pytest.mark.parametrize("often", [0, 1, 5])
def test_lists_of_every_length(documents: int, step: int, often: int) -> None:
    """Long lists stand as gaps, of which some are beyond a byte; some documents repeat."""
    some = [(1, 2, n * step) for n in range(documents)]
    some[-1] = (1, 2, 65_535)
    rows = [*some, *(some[:: max(1, documents // 9)] * often), *([some[0]] * 300 * (often > 1))]
    assert read(Table.over(blocks_of(rows, 2), "t"), 2, 3) == counted(rows)


def test_any_partition_gives_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(1)
    rows = np.minimum(draw.zipf(1.4, (20_000, 3)), 300).tolist()
    whole = blocks_of(rows, 301)
    for held, piece in ((100, 64), (5000, 999), (1, 10_000), (10**9, 1)):
        monkeypatch.setattr(buckets, "RANGE_ROWS", held)
        monkeypatch.setattr(buckets, "PIECE_ROWS", piece)
        monkeypatch.setattr(lists, "PIECE_ROWS", piece)
        assert blocks_of(rows, 301, min(piece, 10_000)) == whole
