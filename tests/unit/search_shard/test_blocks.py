from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import Corrupt
from search_shard.blocks import Buffer, array, open_blocks, pack_blocks

MAGIC = b"fztest\x00\x01"


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(st.text("abcdef", min_size=1, max_size=5), st.binary(max_size=40), max_size=6),
    st.one_of(st.none(), st.integers(0, 2**40), st.tuples(st.text(max_size=5), st.binary())),
)
def test_what_is_packed_comes_out(blocks: dict[str, bytes], header: object) -> None:
    taken = dict(blocks)
    data = pack_blocks(MAGIC, header, taken)  # type: ignore[arg-type]  # mypy: object as Value
    assert not taken, "memory does not hold them twice"
    got, views = open_blocks(data, MAGIC, "here")
    assert got == header
    assert list(views) == list(blocks)
    assert {name: bytes(view) for name, view in views.items()} == blocks
    assert len(data) % 8 == 0


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_buffer_is_read_in_place(kind: type[Buffer]) -> None:
    numbers = np.arange(5, dtype="<u4")
    data = kind(pack_blocks(MAGIC, 1, {"odd": b"123", "numbers": numbers.data}))
    block = open_blocks(data, MAGIC, "here")[1]["numbers"]
    read = array(block, "<u4")
    assert read.tolist() == [0, 1, 2, 3, 4]
    assert np.shares_memory(read, np.frombuffer(data, dtype=np.uint8))
    assert read.ctypes.data % 4 == 0


def test_every_byte_but_padding_is_watched() -> None:
    data = pack_blocks(MAGIC, ("head", 7), {"a": b"12345", "empty": b"", "b": b"x" * 17})
    base = np.frombuffer(data, dtype=np.uint8).ctypes.data
    carried = set(range(28 + int.from_bytes(data[8:12], "little")))
    for view in open_blocks(data, MAGIC, "here")[1].values():
        start = np.frombuffer(view, dtype=np.uint8).ctypes.data - base if view.nbytes else 0
        carried |= set(range(start, start + view.nbytes))
    for bit in (0, 7):
        unnoticed = set()
        for at in range(len(data)):
            damaged = bytearray(data)
            damaged[at] ^= 1 << bit
            try:
                open_blocks(damaged, MAGIC, "here")
            except Corrupt:
                continue
            unnoticed.add(at)
        assert unnoticed == set(range(len(data))) - carried


def test_any_other_length_is_noticed() -> None:
    data = pack_blocks(MAGIC, None, {"a": b"12345"})
    for cut in range(len(data)):
        with pytest.raises(Corrupt, match="here: expected"):
            open_blocks(data[:cut], MAGIC, "here")
    with pytest.raises(Corrupt, match=f"expected {len(data)} bytes, got {len(data) + 8}"):
        open_blocks(data + bytes(8), MAGIC, "here")


def test_another_format_is_named() -> None:
    data = pack_blocks(b"fzother\x01", None, {})
    with pytest.raises(Corrupt, match=r"expected format b'fztest.*got b'fzother"):
        open_blocks(data, MAGIC, "here")
