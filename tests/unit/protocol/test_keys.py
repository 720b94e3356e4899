from __future__ import annotations

import hashlib

import pytest

from protocol.errors import DecodeError, ProofError
from protocol.keys import SM2_SM3, SigningKey, key_id, verify

# RFC 8032, 7.1, test 2
SEED = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
PUBLIC = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
SIGNATURE = bytes.fromhex(
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)


def test_rfc_8032_vector() -> None:
    key = SigningKey.from_seed(SEED)
    assert key.public == PUBLIC
    assert key.sign(b"\x72") == SIGNATURE
    verify(PUBLIC, b"\x72", SIGNATURE, "test")


@pytest.mark.parametrize(
    ("public", "message", "signature"),
    [
        (PUBLIC, b"\x73", SIGNATURE),
        (PUBLIC, b"\x72", SIGNATURE[:-1] + b"\x01"),
        (PUBLIC, b"\x72", SIGNATURE[:-1]),
        (PUBLIC, b"\x72", b""),
        (SigningKey.from_seed(bytes(32)).public, b"\x72", SIGNATURE),
        (PUBLIC[:-1], b"\x72", SIGNATURE),
    ],
)
def test_what_does_not_hold_is_refused(public: bytes, message: bytes, signature: bytes) -> None:
    with pytest.raises(ProofError, match="test: expected a signature by"):
        verify(public, message, signature, "test")


def test_key_id_names_algorithm_and_key() -> None:
    assert key_id(PUBLIC) == b"\x01" + hashlib.sha256(b"\x01" + PUBLIC).digest()[:15]
    assert key_id(PUBLIC, SM2_SM3)[0] == SM2_SM3
    assert key_id(PUBLIC, SM2_SM3)[1:] != key_id(PUBLIC)[1:]


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_seed_has_32_bytes(length: int) -> None:
    with pytest.raises(DecodeError):
        SigningKey.from_seed(bytes(length))


def test_its_picture_does_not_show_the_seed() -> None:
    assert SEED.hex() not in repr(SigningKey.from_seed(SEED))
    assert repr(SEED) not in repr(SigningKey.from_seed(SEED))
