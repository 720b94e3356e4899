from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from search_shard.columns import BitColumn, Column


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.integers(0, 3), max_size=20), max_size=6))
def test_pieces_stand_one_after_another(pieces: list[list[int]]) -> None:
    values = [value for piece in pieces for value in piece]
    column, pairs = Column("<u2", len(values)), BitColumn(2, len(values))
    bits = BitColumn(1, len(values))
    for piece in pieces:
        numbers = np.array(piece, np.uint8)
        column.add(numbers)
        pairs.add(numbers)
        bits.add(numbers > 1)
    assert len(column) == len(values)
    assert column.values.tolist() == values
    packed = int.from_bytes(pairs.end().tobytes(), "little")
    assert [packed >> 2 * at & 3 for at in range(len(values))] == values
    assert packed >> 2 * len(values) == 0, "the rest is zeros"
    assert np.unpackbits(bits.end(), count=len(values)).tolist() == [v > 1 for v in values]
