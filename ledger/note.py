"""Who signed this text?  Signed notes and their keys (c2sp.org/signed-note).

A note is a text that ends in a newline, an empty line, and one or more signature lines.  A signer
is a key name *and* a key id: lines of unknown signers are ignored, a bad signature of a known
signer spoils the whole note, and a note that no known signer signed is refused.

Of the signature types two are ours: 01, Ed25519 over the text, and 04, the timestamped Ed25519
cosignature of witnesses and mirrors (c2sp.org/tlog-cosignature).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Final

from ledger.fields import format_base64, parse_base64
from protocol.errors import DecodeError, ProofError
from protocol.keys import Signer, verify
from protocol.limits import NOTE_BYTES_MAX, NOTE_SIGNATURES_MAX, TREE_SIZE_MAX

ED25519: Final = 0x01
COSIGNATURE_V1: Final = 0x04

_DASH: Final = "— "
_KEY_ID_BYTES: Final = 4
_TIMESTAMP_BYTES: Final = 8
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_KEY_ID = re.compile(r"[0-9a-f]{8}")
_NOT_IN_NAMES = re.compile(r"[+\s\x00-\x1f\ud800-\udfff]")  # \s: every Unicode space


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line: who claims to sign (name and 4-byte key id) and the signature bytes."""

    name: str
    key_id: bytes
    signature: bytes

    def format(self) -> str:
        return f"{_DASH}{self.name} {format_base64(self.key_id + self.signature)}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A text ending in a newline, and its signature lines, none of them verified yet."""

    text: str
    signatures: tuple[Signature, ...]

    def format(self) -> bytes:
        """Raises DecodeError when no note can have this text and these signatures."""
        if not self.text.endswith("\n") or not self.signatures:
            raise DecodeError("note", "a text ending in a newline, and a signature", "none")
        if _CONTROL.search(self.text):
            raise DecodeError("note", "no control characters", repr(self.text[:80]))
        lines = "".join(signature.format() for signature in self.signatures)
        return f"{self.text}\n{lines}".encode()


@dataclass(frozen=True, slots=True)
class NoteKey:
    """A verifier key.  ``type`` is ED25519 or COSIGNATURE_V1, ``public`` a 32-byte Ed25519 key."""

    name: str
    type: int
    public: bytes

    def __post_init__(self) -> None:
        _check_name(self.name, "note key")
        if self.type not in (ED25519, COSIGNATURE_V1):
            raise DecodeError("note key", "signature type 01 or 04", f"{self.type:02x}")
        if len(self.public) != 32:
            raise DecodeError("note key", "a public key of 32 bytes", len(self.public))

    @property
    def id(self) -> bytes:
        """The first four bytes of SHA-256(name || newline || type || public key)."""
        return _key_id(self.name, self.type, self.public)

    @property
    def vkey(self) -> str:
        return f"{self.name}+{self.id.hex()}+{format_base64(bytes([self.type]) + self.public)}"

    @classmethod
    def parse(cls, vkey: str) -> NoteKey:
        """A key from ``name+id+base64``.

        Raises:
            DecodeError: another form, an unknown type, or an id that is not this key's.
        """
        parts = vkey.split("+", 2)  # base64 may hold "+" too
        if len(parts) != 3 or not _KEY_ID.fullmatch(parts[1]):
            raise DecodeError("vkey", "name+8 hexadecimal digits+base64", repr(vkey[:120]))
        encoded = parse_base64(parts[2], "vkey")
        if not encoded:
            raise DecodeError("vkey", "a signature type and a public key", "nothing")
        key = cls(parts[0], encoded[0], encoded[1:])
        if key.id.hex() != parts[1]:
            raise DecodeError("vkey", f"key id {key.id.hex()}", parts[1])
        return key

    def verify(self, text: str, signature: bytes) -> None:
        """Check the bytes after the key id of a signature line.

        Raises:
            ProofError: they are not this key's signature of ``text``.
        """
        where = f"signature of {self.name}"
        if self.type == ED25519:
            verify(self.public, text.encode(), signature, where)
            return
        if len(signature) != _TIMESTAMP_BYTES + 64:
            raise ProofError(where, "a timestamp and 64 bytes", f"{len(signature)} bytes")
        message = cosignature_message(text, cosignature_time(signature))
        verify(self.public, message, signature[_TIMESTAMP_BYTES:], where)


@lru_cache(maxsize=4096)  # a note comes again with each new cosignature, and its old lines with it
def verify_line(key: NoteKey, text: str, signature: bytes) -> None:
    """:meth:`NoteKey.verify`, remembering what was good."""
    key.verify(text, signature)


@lru_cache(maxsize=1024)  # a log signs every batch with the same key
def _key_id(name: str, kind: int, public: bytes) -> bytes:
    encoded = name.encode() + b"\n" + bytes([kind]) + public
    return sha256(encoded).digest()[:_KEY_ID_BYTES]


def cosignature_message(text: str, timestamp_s: int) -> bytes:
    """What a type 04 signature signs.

    Raises:
        ProofError: the time does not fit.
    """
    if not 0 <= timestamp_s <= TREE_SIZE_MAX:
        raise ProofError("cosignature", "a time below 2^63 seconds", timestamp_s)
    return f"cosignature/v1\ntime {timestamp_s}\n{text}".encode()


def cosignature_time(signature: bytes) -> int:
    """The POSIX seconds at the front of the signature bytes of type 04."""
    return int.from_bytes(signature[:_TIMESTAMP_BYTES], "big")


def sign_note(text: str, name: str, signer: Signer) -> Signature:
    """The type 01 signature line of ``text`` by ``signer`` under ``name``."""
    key = NoteKey(name, ED25519, signer.public)
    return Signature(name, key.id, signer.sign(text.encode()))


def sign_cosignature(text: str, name: str, signer: Signer, timestamp_s: int) -> Signature:
    """The type 04 signature line of ``text`` at a time; ``text`` must be a checkpoint."""
    key = NoteKey(name, COSIGNATURE_V1, signer.public)
    signature = signer.sign(cosignature_message(text, timestamp_s))
    return Signature(name, key.id, timestamp_s.to_bytes(_TIMESTAMP_BYTES, "big") + signature)


@lru_cache(maxsize=512)  # on its way through a node a note is read a dozen times
def parse_note(data: bytes) -> Note:
    """The parts of a note; no signature is checked.

    Raises:
        DecodeError: too long, not UTF-8, control characters, no signature block, a malformed
            signature line, or more than 100 of them.
    """
    if len(data) > NOTE_BYTES_MAX:
        raise DecodeError("note", f"at most {NOTE_BYTES_MAX} bytes", len(data))
    try:
        whole = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DecodeError("note", "UTF-8", f"byte {error.start}") from error
    if _CONTROL.search(whole):
        raise DecodeError("note", "no control characters", repr(whole[:80]))
    text, blank, block = whole.rpartition("\n\n")
    if not blank or not block.endswith("\n"):
        raise DecodeError("note", "an empty line, then signature lines", repr(whole[-80:]))
    lines = block[:-1].split("\n")
    if len(lines) > NOTE_SIGNATURES_MAX:
        raise DecodeError("note", f"at most {NOTE_SIGNATURES_MAX} signatures", len(lines))
    return Note(text + "\n", tuple(parse_signature(line) for line in lines))


def parse_signature(line: str) -> Signature:
    """One signature line, without its newline.

    Raises:
        DecodeError: it is not one.
    """
    dash, name, encoded = line[: len(_DASH)], *line[len(_DASH) :].partition(" ")[::2]
    if dash != _DASH or not encoded:
        raise DecodeError("signature line", "— name base64", repr(line[:80]))
    _check_name(name, "signature line")
    raw = parse_base64(encoded, "signature line")
    if len(raw) <= _KEY_ID_BYTES:
        raise DecodeError("signature line", "a key id and a signature", f"{len(raw)} bytes")
    return Signature(name, raw[:_KEY_ID_BYTES], raw[_KEY_ID_BYTES:])


def open_note(data: bytes, keys: Iterable[NoteKey]) -> tuple[Note, tuple[Signature, ...]]:
    """A note and the signatures in it that one of ``keys`` made, one for each signer.

    Of several lines of one signer the first counts and the others are dropped, as the reference
    implementation does.

    Raises:
        DecodeError: not a note.
        ProofError: a known signer's signature is bad, or no known signer signed.
    """
    note = parse_note(data)
    return note, verify_signatures(note, keys)


def verify_signatures(note: Note, keys: Iterable[NoteKey]) -> tuple[Signature, ...]:
    """The verified signatures of a parsed note; see :func:`open_note`.

    Raises:
        ProofError: a known signer's signature is bad, or no known signer signed.
    """
    names = {signature.name for signature in note.signatures}
    known: dict[tuple[str, bytes], NoteKey] = {}
    for key in keys:
        if key.name in names and known.setdefault((key.name, key.id), key) != key:
            raise ProofError("note keys", f"one key named {key.name}+{key.id.hex()}", "two")
    verified: dict[tuple[str, bytes], Signature] = {}
    for signature in note.signatures:
        signer = (signature.name, signature.key_id)
        if signer in known and signer not in verified:
            verify_line(known[signer], note.text, signature.signature)
            verified[signer] = signature
    if not verified:
        raise ProofError("note", "a signature by a known key", f"only {sorted(names)[:5]}")
    return tuple(verified.values())


def _check_name(name: str, where: str) -> None:
    if not name or _NOT_IN_NAMES.search(name):
        raise DecodeError(where, "a key name without spaces or +", repr(name[:80]))
