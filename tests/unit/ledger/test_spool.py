from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.settlement import row_bytes
from ledger.spool import gather, join_rows, make_block, ranges, split_rows
from node.hands.storage.spool import MemorySpool

KEYS = st.lists(st.binary(min_size=4, max_size=8), unique=True, max_size=400)


@settings(max_examples=60, deadline=None)
@given(keys=KEYS, blocks=st.integers(1, 6), each=st.integers(1, 300), prefix=st.integers(1, 4))
def test_ranges_give_every_row_once_in_order_and_keep_prefixes_together(keys, blocks, each, prefix):
    spool = MemorySpool()
    rows = [(key, key[::-1]) for key in keys]
    placed = []
    for number in range(blocks):
        block = make_block(sorted(rows[number::blocks]))
        placed.append(block.placed(spool.append("fact", block.data)))
    given_rows, heads = [], []
    for wanted in ranges(placed, each, prefix):
        part = gather(spool, "fact", wanted)
        given_rows += part
        heads.append({key[:prefix] for key, _ in part})
    assert given_rows == [(key, row_bytes(key, value)) for key, value in sorted(rows)]
    assert all(not a & b for a, b in pairwise(heads))


@given(rows=st.lists(st.tuples(st.binary(max_size=9), st.binary(max_size=300)), max_size=9))
def test_joined_rows_split_again(rows):
    assert split_rows(join_rows(rows)) == [(key, row_bytes(key, value)) for key, value in rows]
