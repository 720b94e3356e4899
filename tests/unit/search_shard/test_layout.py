from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.canonical import decode
from protocol.errors import DecodeError
from search_shard.blocks import open_blocks
from search_shard.build import build_segment
from search_shard.layout import KINDS, MAGIC, records
from search_shard.tables import Tables
from tests.unit.search_shard.pages import ONE


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.text(max_size=3)), max_size=6))
def test_records_can_be_read_one_by_one(values: list[tuple[int, str]]) -> None:
    ends, data = records(values)
    raw = data.tobytes()
    read = [
        decode(raw[start:end], bytes_max=99, where="record")
        for start, end in zip(ends.tolist(), ends.tolist()[1:], strict=False)
    ]
    assert read == values
    assert ends[-1] == len(raw)


def test_a_record_is_canonical_or_refused() -> None:
    with pytest.raises(DecodeError, match="float"):
        records([("320500", 1.5)])  # type: ignore[list-item]  # that is the point


def test_a_segment_has_these_blocks_in_this_order(tables: Tables) -> None:
    _, blocks = open_blocks(build_segment([ONE], tables), MAGIC, "segment")
    assert list(blocks) == list(KINDS)
    for name, kind in KINDS.items():
        assert blocks[name].nbytes % np.dtype(kind).itemsize == 0
        assert np.dtype(kind).byteorder in "<|=", "little-endian on every machine"
