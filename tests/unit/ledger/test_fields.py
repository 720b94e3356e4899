from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.fields import format_base64, parse_base64, parse_decimal, parse_hash
from protocol.errors import DecodeError


@given(st.integers(0, 2**63 - 1))
def test_decimal_round_trip(number: int) -> None:
    assert parse_decimal(str(number), "n") == number


@pytest.mark.parametrize("text", ["", "00", "01", "+1", "-1", " 1", "1\n", "1_0", "１", str(2**63)])
def test_decimal_refuses(text: str) -> None:
    with pytest.raises(DecodeError):
        parse_decimal(text, "n")


@given(st.binary(max_size=40))
def test_base64_round_trip(data: bytes) -> None:
    assert parse_base64(format_base64(data), "b") == data


def test_base64_accepts_stray_padding_bits() -> None:
    assert parse_base64("AB==", "b") == parse_base64("AA==", "b") == b"\0"


@pytest.mark.parametrize(
    "text", ["A", "AA", "AAA", "A===", "AAAA=", "AA=A", "A A=", "AA-_", "AA=\n", "é==="]
)
def test_base64_refuses(text: str) -> None:
    with pytest.raises(DecodeError):
        parse_base64(text, "b")


@pytest.mark.parametrize("length", [0, 31, 33])
def test_hash_has_32_bytes(length: int) -> None:
    with pytest.raises(DecodeError):
        parse_hash(format_base64(bytes(length)), "h")
