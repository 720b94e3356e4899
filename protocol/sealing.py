"""Sealed copies (加密保管): chunk ciphers, wrapped keys, and the two blobs that speak of them.

A sealed file is AES-256-GCM under a key of its own, in chunks: CHUNK_BYTES of ciphertext for each
CHUNK_BYTES − 16 of plaintext, so that a chunk of the ciphertext is a chunk of its tree.  Keys are
wrapped by HPKE (RFC 9180, base mode, X25519, HKDF-SHA256, AES-256-GCM).  Keys and randomness are
arguments, so a run can be repeated.  docs/spec/sealing.md.
"""

from __future__ import annotations

import hmac
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from protocol.errors import DecodeError, KeyMismatch, ProofError
from protocol.ids import BlobId, ChunkRoot
from protocol.limits import (
    CHUNK_BYTES,
    SEAL_BYTES_MAX,
    SEALED_FILES_MAX,
    WRAPS_BYTES_MAX,
    WRAPS_PER_ITEM_MAX,
)
from protocol.records import checked_salt, decode_json, encode_json

SEAL_FORMAT: Final = "fangzhi/seal/1"
WRAPS_FORMAT: Final = "fangzhi/wraps/1"
KEY_BYTES: Final = 32
TAG_BYTES: Final = 16
PLAIN_CHUNK_BYTES: Final = CHUNK_BYTES - TAG_BYTES
_CHUNK_DOMAIN: Final = b"fangzhi/seal/v1\n"
_SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


# chunks


def sealed_size(plain_size: int) -> int:
    """Bytes of the ciphertext of a file.  An empty file has one chunk: its tag."""
    return plain_size + TAG_BYTES * sealed_chunks(plain_size)


def sealed_chunks(plain_size: int) -> int:
    return max(1, -(-plain_size // PLAIN_CHUNK_BYTES))


def plain_size(sealed: int) -> int:
    """The inverse of :func:`sealed_size`.

    Raises:
        ProofError: no ciphertext is so long.
    """
    chunks = max(1, -(-sealed // CHUNK_BYTES))
    size = sealed - TAG_BYTES * chunks
    if size < 0 or sealed_size(size) != sealed:
        raise ProofError("sealed file", "a length that a ciphertext can have", sealed)
    return size


class ChunkCipher:
    """Seals and opens the chunks of one file, in any order."""

    __slots__ = ("_aead", "_file", "_last")

    def __init__(self, key: bytes, file: BlobId, size: int) -> None:
        """``file`` and ``size`` are those of the plaintext."""
        self._aead = AESGCM(key)
        self._file = file
        self._last = sealed_chunks(size) - 1

    def seal(self, number: int, plain: bytes) -> bytes:
        return self._aead.encrypt(number.to_bytes(12, "big"), plain, self._bound_to(number))

    def open(self, number: int, sealed: bytes) -> bytes:
        """
        Raises:
            ProofError: another key, another file, another place, or a changed byte.
        """
        try:
            return self._aead.decrypt(number.to_bytes(12, "big"), sealed, self._bound_to(number))
        except InvalidTag as error:
            expected = f"chunk {number} under this key"
            raise ProofError(f"sealed file {self._file.short}", expected, "another") from error

    def _bound_to(self, number: int) -> bytes:
        last = b"\x01" if number == self._last else b"\x00"
        return _CHUNK_DOMAIN + self._file.raw + number.to_bytes(8, "big") + last


# wrapped keys


def public_half(private: bytes) -> bytes:
    """The public X25519 key of 32 private bytes."""
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def wrap(secret: bytes, public: bytes, info: bytes, ephemeral: bytes) -> bytes:
    """``secret`` sealed for the holder of ``public``: HPKE's SealBase, enc ‖ ct, with no
    associated data.  ``ephemeral`` is 32 fresh random bytes.

    Raises:
        DecodeError: ``public`` is a point of small order, for which nothing is secret.
    """
    enc, shared = _encapsulate(public, ephemeral)
    suite = b"HPKE" + bytes.fromhex("002000010002")
    context = b"\x00" + _extract(b"", suite, b"psk_id_hash", b"")
    context += _extract(b"", suite, b"info_hash", info)
    prk = _extract(shared, suite, b"secret", b"")
    key = _expand(prk, suite, b"key", context, 32)
    nonce = _expand(prk, suite, b"base_nonce", context, 12)
    return enc + AESGCM(key).encrypt(nonce, secret, b"")


def unwrap(wrapped: bytes, private: bytes, info: bytes) -> bytes:
    """
    Raises:
        KeyMismatch: not wrapped for this key, or changed.
    """
    try:
        return _SUITE.decrypt(wrapped, X25519PrivateKey.from_private_bytes(private), info)
    except (InvalidTag, ValueError) as error:
        raise KeyMismatch("wrapped keys", "the key they were wrapped for", "another") from error


def _encapsulate(public: bytes, ephemeral: bytes) -> tuple[bytes, bytes]:
    """(enc, shared secret) of DHKEM(X25519, HKDF-SHA256)."""
    own = X25519PrivateKey.from_private_bytes(ephemeral)
    enc = own.public_key().public_bytes_raw()
    try:
        common = own.exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError as error:
        raise DecodeError("sealing key", "an X25519 key", public.hex()) from error
    suite = b"KEM" + bytes.fromhex("0020")
    prk = _extract(b"", suite, b"eae_prk", common)
    return enc, _expand(prk, suite, b"shared_secret", enc + public, 32)


def _extract(salt: bytes, suite: bytes, label: bytes, material: bytes) -> bytes:
    return hmac.digest(salt, b"HPKE-v1" + suite + label + material, sha256)


def _expand(prk: bytes, suite: bytes, label: bytes, info: bytes, length: int) -> bytes:
    """At most 32 bytes: one block of HKDF-Expand."""
    head = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label
    return hmac.digest(prk, head + info + b"\x01", sha256)[:length]


# the two blobs


@dataclass(frozen=True, slots=True)
class SealedFile:
    """One ciphertext, as its holders know it."""

    sealed: BlobId
    size: int
    chunks: ChunkRoot


@dataclass(frozen=True, slots=True)
class FileKey:
    """What opens a ciphertext: its key, and the plaintext that it is bound to."""

    key: bytes
    file: BlobId


@dataclass(frozen=True, slots=True)
class Wraps:
    """The keys of the files of one seal record, in its order, wrapped for each reader."""

    salt: str
    seal: BlobId
    keys: dict[bytes, bytes]  # by the reader's public key

    def encoded(self) -> bytes:
        keys = {key.hex(): b64encode(wrapped).decode() for key, wrapped in self.keys.items()}
        return encode_json(
            {"format": WRAPS_FORMAT, "keys": keys, "salt": self.salt, "seal": self.seal.hex}
        )


def encode_seal(salt: str, files: Sequence[SealedFile]) -> bytes:
    """The seal record: what holders keep, and nothing of names or content."""
    rows = [
        {"chunks": file.chunks.hex, "sealed": file.sealed.hex, "size": file.size} for file in files
    ]
    return encode_json({"files": rows, "format": SEAL_FORMAT, "salt": salt})


def parse_seal(data: bytes) -> tuple[SealedFile, ...]:
    """
    Raises:
        DecodeError: not a seal record in canonical form and within limits.
    """
    fields = decode_json(data, bytes_max=SEAL_BYTES_MAX, where="seal")
    try:
        files = tuple(
            SealedFile(BlobId.parse(row["sealed"]), row["size"], ChunkRoot.parse(row["chunks"]))
            for row in fields["files"]
        )
        sizes = [plain_size(file.size) for file in files]
        is_same = encode_seal(checked_salt(fields["salt"]), files) == data
    except (KeyError, TypeError, AttributeError, ProofError) as error:
        raise DecodeError("seal", "sealed files with their sizes", repr(error)[:80]) from error
    if not is_same:
        raise DecodeError("seal", "its canonical fields and no others", "another spelling")
    if not 0 < len(sizes) <= SEALED_FILES_MAX:
        raise DecodeError("seal.files", f"1 to {SEALED_FILES_MAX} files", len(sizes))
    names = [file.sealed.raw for file in files]
    if names != sorted(set(names)):
        raise DecodeError("seal.files", "each once, in order of name", "another order")
    return files


def parse_wraps(data: bytes) -> Wraps:
    """
    Raises:
        DecodeError: not wrapped keys in canonical form and within limits.
    """
    fields = decode_json(data, bytes_max=WRAPS_BYTES_MAX, where="wraps")
    try:
        keys = {
            bytes.fromhex(key): b64decode(wrapped, validate=True)
            for key, wrapped in fields["keys"].items()
        }
        wraps = Wraps(checked_salt(fields["salt"]), BlobId.parse(fields["seal"]), keys)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise DecodeError("wraps", "keys in hexadecimal and base64", repr(error)[:80]) from error
    if wraps.encoded() != data or any(len(key) != KEY_BYTES for key in keys):
        raise DecodeError("wraps", "its canonical fields and no others", "another spelling")
    if not 0 < len(keys) <= WRAPS_PER_ITEM_MAX:
        raise DecodeError("wraps.keys", f"1 to {WRAPS_PER_ITEM_MAX} readers", len(keys))
    return wraps


def wrap_keys(seal: BlobId, keys: Sequence[FileKey], public: bytes, ephemeral: bytes) -> bytes:
    """The keys of the files of the seal record ``seal``, in its order, for one reader.

    Raises:
        DecodeError: see :func:`wrap`.
    """
    secret = b"".join(each.key + each.file.raw for each in keys)
    return wrap(secret, public, _info(seal), ephemeral)


def unwrap_keys(wraps: Wraps, private: bytes) -> tuple[FileKey, ...]:
    """
    Raises:
        KeyMismatch: they are not wrapped for this key.
        DecodeError: what was wrapped is no keys.
    """
    wrapped = wraps.keys.get(public_half(private))
    if wrapped is None:
        expected = " or ".join(key.hex()[:16] for key in wraps.keys)
        raise KeyMismatch("wrapped keys", f"the key {expected}", public_half(private).hex()[:16])
    secret = unwrap(wrapped, private, _info(wraps.seal))
    if len(secret) % (2 * KEY_BYTES):
        raise DecodeError("wrapped keys", "64 bytes for each file", len(secret))
    return tuple(
        FileKey(secret[at : at + KEY_BYTES], BlobId(secret[at + KEY_BYTES : at + 2 * KEY_BYTES]))
        for at in range(0, len(secret), 2 * KEY_BYTES)
    )


def _info(seal: BlobId) -> bytes:
    return WRAPS_FORMAT.encode() + b"\n" + seal.raw
