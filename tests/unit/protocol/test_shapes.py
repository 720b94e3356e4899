from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.canonical import Value, encode
from protocol.errors import DecodeError
from protocol.ids import BlobId, UnixMs
from protocol.shapes import from_value, pack, plain_reader, to_value, unpack


@dataclass(frozen=True, slots=True)
class Inner:
    name: str
    blob: BlobId


@dataclass(frozen=True, slots=True)
class Outer:
    time: UnixMs
    data: bytes
    good: bool
    maybe: int | None
    inners: tuple[Inner, ...]


INNER = Inner("方志", BlobId(bytes(32)))
OUTER = Outer(UnixMs(7), b"x", True, None, (INNER, INNER))
INNERS = st.builds(
    Inner,
    st.text(st.characters(exclude_categories=["Cs"])),
    st.binary(min_size=32, max_size=32).map(BlobId),
)
OUTERS = st.builds(
    Outer,
    st.integers(0, 2**63 - 1).map(UnixMs),
    st.binary(),
    st.booleans(),
    st.none() | st.integers(0, 2**63 - 1),
    st.lists(INNERS, max_size=3).map(tuple),
)


@given(OUTERS)
def test_round_trip(outer: Outer) -> None:
    data = pack(outer)
    assert unpack(Outer, data, bytes_max=len(data), where="outer") == outer


def test_a_dataclass_travels_as_its_fields_in_order() -> None:
    inner = ("方志", bytes(32))
    assert to_value(OUTER) == (7, b"x", True, None, (inner, inner))


def test_a_dataclass_of_one_field_is_an_array_too() -> None:
    @dataclass(frozen=True, slots=True)
    class One:
        blobs: tuple[BlobId, ...]

    one = One((BlobId(bytes(32)),))
    assert to_value(one) == ((bytes(32),),)
    assert unpack(One, pack(one), bytes_max=100, where="one") == one
    with pytest.raises(DecodeError, match=r"one.blobs\[0\]: expected 32 bytes"):
        from_value(One, ((b"",),), "one")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            (7, b"x", True, None),
            r"outer: expected an array of 5 \(time, data, good, maybe, inners\)",
        ),
        (7, "outer: expected an array of 5"),
        ((-1, b"x", True, None, ()), "outer.time: expected an integer"),
        ((2**63, b"x", True, None, ()), "outer.time: expected an integer"),
        ((True, b"x", True, None, ()), "outer.time: expected an integer"),
        ((7, "x", True, None, ()), "outer.data: expected bytes, got str"),
        ((7, b"x", 1, None, ()), "outer.good: expected bool, got int"),
        ((7, b"x", True, "", ()), "outer.maybe: expected an integer"),
        ((7, b"x", True, None, None), "outer.inners: expected an array"),
        ((7, b"x", True, None, (("a",),)), r"outer.inners\[0\]: expected an array of 2"),
        ((7, b"x", True, None, (("a", b""),)), r"outer.inners\[0\].blob: expected 32 bytes"),
        (
            (7, b"x", True, None, (("a", bytes(32)), (b"a", bytes(32)))),
            r"outer.inners\[1\].name: expected str, got bytes",
        ),
    ],
)
def test_refuses_naming_the_field(value: Value, message: str) -> None:
    with pytest.raises(DecodeError, match=message):
        from_value(Outer, value, "outer")


def test_unpack_keeps_the_bound() -> None:
    data = encode(to_value(OUTER))
    with pytest.raises(DecodeError, match="at most"):
        unpack(Outer, data, bytes_max=len(data) - 1, where="outer")


def test_a_field_without_a_shape_is_a_fault_of_ours() -> None:
    @dataclass
    class Wrong:
        number: float

    with pytest.raises(TypeError, match="no shape"):
        from_value(Wrong, (1,), "wrong")


@dataclass(frozen=True, slots=True)
class Plain:
    time: UnixMs
    maybe: BlobId | None
    inner: Inner
    data: bytes


PLAIN = pack(Plain(UnixMs(300), BlobId(bytes(32)), INNER, b"x"))
ANY = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2**64 - 1) | st.text("ab", max_size=2) | st.binary(),
    lambda inner: st.lists(inner, max_size=4).map(tuple),
)
OF_PLAIN = st.tuples(
    st.integers(-1, 2**63) | ANY,
    st.none() | st.binary(min_size=31, max_size=33) | ANY,
    st.tuples(st.text("ab"), st.binary(min_size=32, max_size=32)) | ANY,
    st.binary() | ANY,
)


def _spoiled(at: int, byte: int) -> bytes:
    return PLAIN[:at] + bytes([byte]) + PLAIN[at + 1 :]


@given(
    OF_PLAIN.map(encode)
    | st.builds(_spoiled, st.integers(0, len(PLAIN) - 1), st.integers(0, 255))
    | st.just(PLAIN.replace(b"\xcd\x01\x2c", b"\xce\0\0\x01\x2c"))
)
def test_members_are_read_plainly_where_the_whole_can_be(data: bytes) -> None:
    try:
        expected = to_value(unpack(Plain, data, bytes_max=1000, where="plain"))
    except DecodeError:
        expected = None
    assert plain_reader(Plain)(data) == expected
