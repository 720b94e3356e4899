"""Signed notes, keys, checkpoints and cosignatures (C2SP signed-note, tlog-checkpoint, …)."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tests.second import ed25519
from tests.second.values import Bad

ED25519, COSIGNATURE = 1, 4
LINES_MAX = 100
BYTES_MAX = 64 * 1024
SIZE_MAX = 2**63 - 1


def unbase64(text: str, strict: bool = True) -> bytes:
    """RFC 4648 §4 with padding; ``strict`` refuses stray bits in the last character."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise Bad("not base64") from error
    if len(text) % 4 or (strict and base64.b64encode(data).decode() != text):
        raise Bad("not canonical base64")
    return data


def decimal(text: str) -> int:
    """A size as checkpoints write it."""
    if not text or text.strip("0123456789") or (text[0] == "0" and text != "0"):
        raise Bad(f"not a decimal: {text!r}")
    if len(text) > 19 or int(text) > SIZE_MAX:
        raise Bad("a number of 2^63 or more")
    return int(text)


def well_named(name: str) -> bool:
    half = any("\ud800" <= c <= "\udfff" for c in name)  # of a surrogate pair: not UTF-8
    return bool(name) and "+" not in name and not half and not any(c.isspace() for c in name)


@dataclass(frozen=True)
class Key:
    name: str
    kind: int
    public: bytes

    @property
    def id(self) -> bytes:
        kind = bytes([self.kind])
        return hashlib.sha256(self.name.encode() + b"\n" + kind + self.public).digest()[:4]

    def good(self, text: bytes, signature: bytes) -> bool:
        """Whether ``signature``, without its key id, is this key's over the note text."""
        if self.kind == ED25519:
            return ed25519.verifies(self.public, text, signature)
        if self.kind != COSIGNATURE or len(signature) != 72:
            return False
        time = int.from_bytes(signature[:8], "big")
        message = b"cosignature/v1\ntime %d\n" % time + text
        return time <= SIZE_MAX and ed25519.verifies(self.public, message, signature[8:])


def read_vkey(text: str) -> Key:
    parts = text.split("+", 2)
    if len(parts) != 3 or not well_named(parts[0]):
        raise Bad("not name+id+key")
    data = unbase64(parts[2])
    if len(data) != 33 or data[0] not in (ED25519, COSIGNATURE):
        raise Bad("not a key of 32 bytes of a known type")
    key = Key(parts[0], data[0], data[1:])
    if parts[1] != key.id.hex():
        raise Bad("another key id")
    return key


@dataclass(frozen=True)
class Line:
    name: str
    id: bytes
    signature: bytes


@dataclass(frozen=True)
class Note:
    text: bytes
    lines: tuple[Line, ...]


def read_note(data: bytes) -> Note:
    if len(data) > BYTES_MAX:
        raise Bad("too long")
    try:
        whole = data.decode()
    except UnicodeDecodeError as error:
        raise Bad("not UTF-8") from error
    if any(char < " " and char != "\n" for char in whole):
        raise Bad("a control character")
    text, blank, tail = whole.rpartition("\n\n")
    if not blank or not tail.endswith("\n"):
        raise Bad("no signatures, or an unfinished line")
    rows = tail[:-1].split("\n")
    if len(rows) > LINES_MAX:
        raise Bad("too many lines")
    return Note((text + "\n").encode(), tuple(map(_line, rows)))


def _line(row: str) -> Line:
    dash, space, rest = row[:1], row[1:2], row[2:]
    name, between, signature = rest.partition(" ")
    if (dash, space, between) != ("—", " ", " ") or not well_named(name):
        raise Bad("not a signature line")
    raw = unbase64(signature, strict=False)
    if len(raw) < 5:
        raise Bad("a signature of no bytes")
    return Line(name, raw[:4], raw[4:])


def signers(note: Note, keys: Iterable[Key]) -> list[Key]:
    """The keys that signed a note; raises Bad for a bad signature of one of them, or for none."""
    known: Mapping[tuple[str, bytes], Key] = {(key.name, key.id): key for key in keys}
    good: list[Key] = []
    for line in note.lines:
        key = known.get((line.name, line.id))
        if key is None or key in good:
            continue
        if not key.good(note.text, line.signature):
            raise Bad(f"a bad signature of {key.name}")
        good.append(key)
    if not good:
        raise Bad("signed by nobody known")
    return good


@dataclass(frozen=True)
class Checkpoint:
    origin: str
    size: int
    root: bytes


def read_checkpoint(text: bytes) -> Checkpoint:
    rows = text.decode().split("\n")
    if len(rows) < 4 or rows[-1] or not all(rows[:-1]):
        raise Bad("not three lines and extensions")
    root = unbase64(rows[2])
    if len(root) != 32 or len(rows[0].encode()) > 255:
        raise Bad("a root of another length, or a long origin")
    return Checkpoint(rows[0], decimal(rows[1]), root)
