"""How large was the log, with which root, and who saw that?

Checkpoints (c2sp.org/tlog-checkpoint) are notes whose text is origin, size and root; the log signs
them with type 01, witnesses and mirrors with type 04 (c2sp.org/tlog-cosignature).  A log never
signs two inconsistent checkpoints.  Specification: docs/spec/log.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from ledger.fields import format_base64, parse_decimal, parse_hash
from ledger.note import (
    COSIGNATURE_V1,
    ED25519,
    Note,
    NoteKey,
    Signature,
    open_note,
    parse_note,
    sign_cosignature,
    sign_note,
    verify_signatures,
)
from protocol.errors import DecodeError, ProofError
from protocol.ids import RootHash
from protocol.keys import Signer
from protocol.limits import NOTE_SIGNATURES_MAX, ORIGIN_BYTES_MAX, TREE_SIZE_MAX


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The text of a checkpoint.  Our logs write no extension lines; those of other logs are kept,
    because signatures cover them."""

    origin: str
    size: int
    root: RootHash
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.origin or "\n" in self.origin:
            raise DecodeError("checkpoint origin", "one line", repr(self.origin[:80]))
        if len(self.origin.encode()) > ORIGIN_BYTES_MAX:
            raise DecodeError("checkpoint origin", f"at most {ORIGIN_BYTES_MAX} bytes", "more")
        if not 0 <= self.size <= TREE_SIZE_MAX:
            raise DecodeError("checkpoint size", "a size below 2^63", self.size)
        if any(not line or "\n" in line for line in self.extensions):
            raise DecodeError("checkpoint", "extension lines that are not empty", "another")

    def format(self) -> str:
        """The text that is signed."""
        root = format_base64(self.root.raw)
        return "\n".join([self.origin, str(self.size), root, *self.extensions, ""])

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Raises DecodeError when ``text`` is not exactly what :meth:`format` writes."""
        return _parse(text)


@lru_cache(maxsize=512)  # as notes are
def _parse(text: str) -> Checkpoint:
    lines = text.split("\n")
    if len(lines) < 4 or lines[-1]:
        raise DecodeError("checkpoint", "lines: origin, size, root", f"{len(lines) - 1} lines")
    origin, size, root, *extensions = lines[:-1]
    checkpoint = Checkpoint(
        origin,
        parse_decimal(size, "checkpoint size"),
        RootHash(parse_hash(root, "checkpoint root")),
        tuple(extensions),
    )
    if checkpoint.format() != text:
        raise DecodeError("checkpoint root", "canonical base64", repr(root))
    return checkpoint


@dataclass(frozen=True, slots=True)
class Cosigner:
    """A witness or mirror that can sign.  Its key is used for nothing else, since a cosignature
    does not name the role of who made it."""

    name: str
    signer: Signer

    @property
    def key(self) -> NoteKey:
        return NoteKey(self.name, COSIGNATURE_V1, self.signer.public)


def log_key(origin: str, public: bytes) -> NoteKey:
    """The key under which a log signs: its name is the origin."""
    return NoteKey(origin, ED25519, public)


def sign_checkpoint(checkpoint: Checkpoint, signer: Signer) -> bytes:
    """The note of a checkpoint with the log's own signature and no other.

    Ed25519 is deterministic, so a crash between signing and storing can only re-make the same note.
    """
    text = checkpoint.format()
    return Note(text, (sign_note(text, checkpoint.origin, signer),)).format()


def cosign(text: str, cosigner: Cosigner, timestamp_s: int) -> Signature:
    """The cosignature of a checkpoint's text: "the largest consistent tree I have seen".

    Raises:
        DecodeError: ``text`` is no checkpoint.
        ProofError: the time is not in 1 .. 2^63-1 (0 means "not a checkpoint").
    """
    Checkpoint.parse(text)
    if timestamp_s < 1:
        raise ProofError("cosignature", "a time after 1970", timestamp_s)
    return sign_cosignature(text, cosigner.name, cosigner.signer, timestamp_s)


def parse_checkpoint(data: bytes) -> Checkpoint:
    """The checkpoint that a note claims; no signature is checked.

    Raises:
        DecodeError: not a note, or its text is no checkpoint.
    """
    return Checkpoint.parse(parse_note(data).text)


def open_checkpoint(
    data: bytes, log_keys: Iterable[NoteKey], cosigners: Iterable[NoteKey] = ()
) -> tuple[Checkpoint, tuple[Signature, ...]]:
    """A checkpoint that one of ``log_keys`` signed, and every verified signature on it.

    Raises:
        DecodeError: not a note, or its text is no checkpoint.
        ProofError: no log key signed, or the signature of a known key (of the log or a cosigner)
            is bad.
    """
    note = parse_note(data)
    checkpoint = Checkpoint.parse(note.text)
    trusted = tuple(log_keys)
    verified = verify_signatures(note, (*trusted, *cosigners))
    signers = {(line.name, line.key_id) for line in verified}
    if signers.isdisjoint((key.name, key.id) for key in trusted):
        raise ProofError("checkpoint", "a signature by the log", "cosignatures only")
    return checkpoint, verified


def merge_signatures(note_a: bytes, note_b: bytes, keys: Iterable[NoteKey]) -> bytes:
    """One note with every signature of the two that verifies under ``keys``.

    A join: commutative, associative, and idempotent on its own results.  The log's line comes
    first, the others by name and key id; of two lines of one signer the greater signature bytes
    stay, which for a cosigner is the later time.  Lines beyond 100 fall off at the end.

    Raises:
        DecodeError: not notes of checkpoints.
        ProofError: different texts, a bad signature of a known key, or none of a known key.
    """
    known = tuple(keys)
    (a, signed_a), (b, signed_b) = open_note(note_a, known), open_note(note_b, known)
    if a.text != b.text:
        raise ProofError("merged notes", "two notes of one checkpoint", "different texts")
    origin = Checkpoint.parse(a.text).origin
    best: dict[tuple[bool, str, bytes], Signature] = {}
    for line in (*signed_a, *signed_b):
        place = (line.name != origin, line.name, line.key_id)
        if place not in best or best[place].signature < line.signature:
            best[place] = line
    ordered = [best[place] for place in sorted(best)]
    return Note(a.text, tuple(ordered[:NOTE_SIGNATURES_MAX])).format()
