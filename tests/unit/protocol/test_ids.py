from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import DecodeError
from protocol.ids import (
    BlobId,
    Digest,
    LeafHash,
    OfficeCode,
    item_birth_office,
    mint_item,
    parse_item,
    parse_office,
)

OFFICES = st.integers(100_000, 999_999).map(lambda number: OfficeCode(str(number)))
BASE32 = "0123456789abcdefghjkmnpqrstvwxyz"


def test_a_digest_is_sha256() -> None:
    assert BlobId.of(b"abc").hex == hashlib.sha256(b"abc").hexdigest()
    assert str(BlobId.of(b"abc")) == BlobId.of(b"abc").hex
    assert BlobId.of(b"abc").short == "ba7816bf"


@given(st.binary(min_size=32, max_size=32))
def test_digest_round_trip(raw: bytes) -> None:
    assert BlobId.parse(BlobId(raw).hex) == BlobId(raw)


def test_two_kinds_of_digest_never_equal() -> None:
    raw: Digest = LeafHash(bytes(32))
    assert raw != BlobId(bytes(32))


@pytest.mark.parametrize("raw", [b"", bytes(31), bytes(33), bytearray(32), "0" * 32])
def test_digest_refuses_other_than_32_bytes(raw: bytes) -> None:
    with pytest.raises(DecodeError):
        BlobId(raw)


@pytest.mark.parametrize("text", ["", "0" * 63, "0" * 65, "A" * 64, "g" * 64, "0" * 64 + "\n"])
def test_digest_parse_refuses(text: str) -> None:
    with pytest.raises(DecodeError):
        BlobId.parse(text)


@pytest.mark.parametrize(
    "text", ["", "32050", "3205000", "032050", "32050x", "３２０５００", "320500\n"]
)
def test_office_refuses(text: str) -> None:
    with pytest.raises(DecodeError, match="six digits"):
        parse_office(text)


@given(OFFICES, st.binary(min_size=8, max_size=8))
def test_item_round_trip(office: OfficeCode, entropy: bytes) -> None:
    item = mint_item(office, entropy)
    assert parse_item(item) == item
    assert parse_item(item.upper()) == item
    assert item_birth_office(item) == office


def test_item_takes_the_lowest_60_bits() -> None:
    low = mint_item(OfficeCode("320583"), bytes(8))
    assert low.startswith("320583-000000000000")
    assert mint_item(OfficeCode("320583"), b"\xf0" + bytes(7)) == low
    assert mint_item(OfficeCode("320583"), b"\xff" * 8).startswith("320583-zzzzzzzzzzzz")


@given(st.binary(min_size=8, max_size=8), st.integers(0, 11), st.sampled_from(BASE32))
def test_one_mistyped_character_is_found(entropy: bytes, place: int, character: str) -> None:
    item = mint_item(OfficeCode("320583"), entropy)
    mistyped = item[: 7 + place] + character + item[8 + place :]
    if mistyped != item:
        with pytest.raises(DecodeError, match="mistyped"):
            parse_item(mistyped)


@given(st.binary(min_size=8, max_size=8), st.integers(0, 10))
def test_two_neighbours_exchanged_are_found(entropy: bytes, place: int) -> None:
    item = mint_item(OfficeCode("320583"), entropy)
    at = 7 + place
    exchanged = item[:at] + item[at + 1] + item[at] + item[at + 2 :]
    if exchanged != item:
        with pytest.raises(DecodeError, match="mistyped"):
            parse_item(exchanged)


@pytest.mark.parametrize(
    "text", ["", "320583", "320583-", "320583-il00000000000", "32058-0000000000000"]
)
def test_item_refuses_another_form(text: str) -> None:
    with pytest.raises(DecodeError, match="office code, dash"):
        parse_item(text)
