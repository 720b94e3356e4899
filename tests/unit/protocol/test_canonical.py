from __future__ import annotations

import tracemalloc

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.canonical import Value, decode, decode_exactly, encode
from protocol.errors import DecodeError
from protocol.limits import VALUE_DEPTH_MAX, KiB

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.binary(),
)
VALUES: st.SearchStrategy[Value] = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4).map(tuple), max_leaves=20
)


def read(data: bytes) -> Value:
    return decode(data, bytes_max=1000, where="test")


@given(VALUES)
def test_round_trip(value: Value) -> None:
    data = encode(value)
    assert decode(data, bytes_max=len(data), where="test") == value


@given(st.binary(max_size=40))
def test_any_bytes_are_canonical_or_refused(data: bytes) -> None:
    try:
        value = read(data)
    except DecodeError:
        return
    assert encode(value) == data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x93\x01",  # truncated
        b"\x01\x01",  # trailing byte
        b"\xcc\x01",  # 1 in two bytes
        b"\xd9\x01a",  # a short string in the long form
        b"\xdc\x00\x01\x01",  # a short array in the long form
        b"\x80",  # map
        b"\xcb" + bytes(8),  # float
        b"\xd4\x01\x00",  # extension
        b"\xa1\xff",  # not UTF-8
        b"\x91" * 1000,  # deep, and truncated
        b"\x91" * (VALUE_DEPTH_MAX + 1) + b"\x01",
        b"\x91" * 100_000 + b"\x01",
        b"\x82\xa1a\x01\xa1a\x02",  # one key twice
        b"\xcb\x7f\xf8" + bytes(6),  # not a number
        b"\xca" + bytes(4),
        b"\xcd\x00\x01",  # 1 in three, five and nine bytes, signed ones too
        b"\xce" + bytes(3) + b"\x01",
        b"\xcf" + bytes(7) + b"\x01",
        b"\xd0\x01",
        b"\xd3" + bytes(7) + b"\x01",
        b"\xd1\xff\xff",  # -1 in three
        b"\xc5\x00\x01a",  # a byte under a long head
        b"\xdd\x00\x00\x00\x01\x01",
        b"\xc1",  # never used
    ],
)
def test_refuses(data: bytes) -> None:
    with pytest.raises(DecodeError):
        read(data)


@pytest.mark.parametrize("head", [b"\xdd", b"\xdf", b"\xdb", b"\xc6", b"\xc9"])
def test_a_length_that_lies_costs_no_memory(head: bytes) -> None:
    """2^32-1 elements, pairs or bytes are announced, one is there."""
    tracemalloc.start()
    try:
        with pytest.raises(DecodeError):
            read(head + b"\xff" * 4 + b"\x01")
        with pytest.raises(DecodeError):
            read(b"\x91" + head + b"\xff" * 4 + b"\x01" * 1000)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_text_and_bytes_are_two_things() -> None:
    assert read(b"\xa1a") == "a"
    assert read(b"\xc4\x01a") == b"a"


def test_refuses_more_bytes_than_allowed() -> None:
    with pytest.raises(DecodeError, match="expected at most 3 bytes, got 4"):
        decode(b"\xc4\x02ab", bytes_max=3, where="test")


def test_depth_is_counted_in_arrays() -> None:
    deepest = b"\x91" * VALUE_DEPTH_MAX + b"\x01"
    assert encode(read(deepest)) == deepest


@pytest.mark.parametrize(
    "value", [1.5, [1], {1: 2}, {1}, (1, (2.0,)), 2**64, -(2**63) - 1, "\ud800"]
)
def test_no_canonical_form(value: Value) -> None:
    with pytest.raises(DecodeError):
        encode(value)


def test_agrees_with_msgpack() -> None:
    assert encode((1, "方", b"x", None, True)) == msgpack.packb([1, "方", b"x", None, True])


LONG = bytes(64 * KiB)


@given(VALUES, VALUES, st.integers(0, 20))
def test_long_values_are_read_exactly_too(before: Value, after: Value, more: int) -> None:
    value = (before, LONG + b"x", (after, LONG), *((None,) * more))
    data = encode(value)
    assert decode_exactly(data) == value
    assert decode_exactly(data + b"\xc0") is None
    assert decode_exactly(data[:-1]) is None


@pytest.mark.parametrize(
    ("canonical", "other"),
    [
        (b"\x94\x01", b"\xdc\x00\x04\x01"),  # the array, longer
        (b"\x94\x01", b"\x94\xcc\x01"),  # an integer, longer
        (b"\xcd\x01\x00", b"\xd1\x01\x00"),  # signed
        (b"\xc4\x01a", b"\xc5\x00\x01a"),  # short bytes, longer
        (b"\x91\xc4", b"\xdd\x00\x00\x00\x01\xc4"),  # the inner array, longer
    ],
)
def test_a_long_value_written_otherwise_is_not_read(canonical: bytes, other: bytes) -> None:
    data = encode((1, LONG, 256, (b"a",)))
    assert data.count(canonical) == 1
    changed = data.replace(canonical, other)
    assert msgpack.unpackb(changed, use_list=False) == (1, LONG, 256, (b"a",))
    assert decode_exactly(changed) is None
