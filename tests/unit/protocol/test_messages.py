"""Frames and bodies: one encoding each, and nothing else is read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.canonical import encode
from protocol.errors import DecodeError, Missing
from protocol.ids import BlobId, NetworkId, OfficeCode
from protocol.limits import FAULT_CHARS_MAX, FRAME_BYTES_MAX, METHOD_CHARS_MAX
from protocol.messages import (
    METHODS,
    BlobAsk,
    Cancel,
    FacetLine,
    Fault,
    Frame,
    Goodbye,
    Hello,
    HitKey,
    HitLine,
    OfficeProof,
    Proof,
    RemoteFault,
    Request,
    Response,
    SearchReply,
    ShardReply,
    TraceLine,
    UnknownFrame,
    decode_frame,
    encode_frame,
)
from protocol.shapes import from_value, to_value

CITY = OfficeCode("320500")
values = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2**63 - 1) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4).map(tuple),
    max_leaves=8,
)
numbers = st.integers(0, 2**63 - 1)
frames: st.SearchStrategy[Frame] = st.one_of(
    st.builds(
        Hello,
        numbers,
        st.binary(min_size=32, max_size=32).map(NetworkId),
        st.binary(max_size=40),
        st.lists(st.text().map(OfficeCode), max_size=3).map(tuple),
        numbers,
    ),
    st.lists(st.builds(OfficeProof, st.just(CITY), st.binary(), st.binary()), max_size=3).map(
        lambda lines: Proof(tuple(lines))
    ),
    st.builds(Request, numbers, st.text(max_size=METHOD_CHARS_MAX), values),
    st.builds(Response, numbers, st.booleans(), values),
    st.builds(Cancel, numbers),
    st.builds(Goodbye, st.text(max_size=20), st.text(max_size=20)),
)


@given(frame=frames)
def test_frames_round_trip(frame: Frame) -> None:
    assert decode_frame(encode_frame(frame)) == frame


@given(data=st.binary(max_size=200))
def test_bytes_are_refused_or_are_the_one_encoding(data: bytes) -> None:
    try:
        frame = decode_frame(data)
    except DecodeError:
        return
    assert encode_frame(frame) == data


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", DecodeError),
        (encode(()), DecodeError),
        (encode("1"), DecodeError),
        (encode((True, 1)), DecodeError),  # a bool is not a tag, although True == 1
        (encode((0, 1)), UnknownFrame),
        (encode((7, 1)), UnknownFrame),
        (encode((5,)), DecodeError),
        (encode((5, 1, 1)), DecodeError),
        (encode((5, -1)), DecodeError),
        (b"\x92\x05\xcd\x00\x01", DecodeError),  # 1 written in three bytes
        (encode((5, 1)) + b"\x00", DecodeError),
        (encode((3, 1, "m" * (METHOD_CHARS_MAX + 1), None)), DecodeError),
        (encode((6, "c", "r" * (FAULT_CHARS_MAX + 1))), DecodeError),
    ],
)
def test_bad_frames(data: bytes, expected: type[DecodeError]) -> None:
    with pytest.raises(DecodeError) as caught:
        decode_frame(data)
    assert type(caught.value) is expected


def test_a_frame_too_long_is_neither_written_nor_read() -> None:
    body = bytes(FRAME_BYTES_MAX)
    with pytest.raises(DecodeError):
        encode_frame(Response(1, True, body))
    with pytest.raises(DecodeError):
        decode_frame(encode((4, 1, True, body)))


def test_a_frame_of_exactly_the_limit_passes() -> None:
    overhead = len(encode_frame(Response(1, True, bytes(70_000)))) - 70_000
    frame = encode_frame(Response(1, True, bytes(FRAME_BYTES_MAX - overhead)))
    assert len(frame) == FRAME_BYTES_MAX
    decode_frame(frame)


def test_fault_is_the_error_cut_to_size() -> None:
    fault = Fault.of(Missing("blob " + "x" * 1000, "a file", 7))
    assert (fault.code, fault.expected, fault.got) == ("store.missing", "a file", "7")
    assert len(fault.where) == FAULT_CHARS_MAX
    error = RemoteFault("blob.read", Fault("store.missing", "blob", "a file", "none"))
    assert str(error) == "blob.read at the peer, blob: expected a file, got none"


def test_every_method_has_shapes_that_can_be_read() -> None:
    for asks, answers in METHODS.values():
        for shape in (asks, answers):
            with pytest.raises(DecodeError):
                from_value(shape, "not an array", "body")
    ask = BlobAsk(BlobId.of(b"x"), 5, 10)
    assert from_value(BlobAsk, to_value(ask), "body") == ask
    facets, trace = (FacetLine("kind", "年鉴", 2),), (TraceLine("found", "typed", 2, 70),)
    shard = ShardReply(CITY, 9, False, 2, True, 1, facets, trace)
    line = HitLine(HitKey(60_500, CITY, "item", 1), ("page", 1, (b"", None)))
    reply = SearchReply((shard,), (line,), 900)
    assert from_value(SearchReply, to_value(reply), "body") == reply
