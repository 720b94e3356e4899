"""Ed25519 keys and the ids under which events and hellos name them.

A key id is ``algorithm byte || first 15 bytes of SHA-256(algorithm byte || public key)``.
Algorithm numbers (docs/spec/keys.md): 01 Ed25519, 02 reserved for SM2 with SM3.  Keys inside
signed notes have the shorter ids of C2SP signed-note; those live in ``ledger/note.py``.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from protocol.errors import DecodeError, ProofError

ED25519: Final = 0x01
SM2_SM3: Final = 0x02  # reserved


class Signer(Protocol):
    """Whoever can sign: a key in memory now, a token or an HSM later."""

    @property
    def public(self) -> bytes: ...

    def sign(self, message: bytes) -> bytes: ...


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An Ed25519 private key made from a 32-byte seed (RFC 8032: signing is deterministic)."""

    seed: bytes
    _key: Ed25519PrivateKey
    public: bytes

    @classmethod
    def from_seed(cls, seed: bytes) -> SigningKey:
        if len(seed) != 32:
            raise DecodeError("private key", "a seed of 32 bytes", len(seed))
        key = Ed25519PrivateKey.from_private_bytes(seed)
        return cls(seed, key, key.public_key().public_bytes_raw())

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)

    def __repr__(self) -> str:
        return f"SigningKey(public={self.public.hex()[:8]})"


def key_id(public: bytes, algorithm: int = ED25519) -> bytes:
    """The 16-byte id of a public key."""
    prefix = bytes([algorithm])
    return prefix + hashlib.sha256(prefix + public).digest()[:15]


def verify(public: bytes, message: bytes, signature: bytes, where: str) -> None:
    """Check an Ed25519 signature.

    Raises:
        ProofError: the signature does not hold.
    """
    try:
        _verified(public, message, signature)
    except (InvalidSignature, ValueError) as error:
        raise ProofError(where, f"a signature by {public.hex()[:8]}", "none that holds") from error


def verify_once(public: bytes, message: bytes, signature: bytes, where: str) -> None:
    """:func:`verify` for what is not met again, such as the events of a log.

    Raises:
        ProofError: the signature does not hold.
    """
    try:
        _public_key(public).verify(signature, message)
    except (InvalidSignature, ValueError) as error:
        raise ProofError(where, f"a signature by {public.hex()[:8]}", "none that holds") from error


@lru_cache(maxsize=4096)  # a note that travels is met again with every cosignature it gains
def _verified(public: bytes, message: bytes, signature: bytes) -> None:
    _public_key(public).verify(signature, message)


@lru_cache(maxsize=1024)
def _public_key(public: bytes) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(public)
