"""Has this log signed two histories?  Evidence that convicts, made and verified.

Evidence is two standard objects in one canonical array: ``a``, a checkpoint of size s, and ``b``,

* ``same-size``: a checkpoint of the same size with another root; or a c2sp.org/tlog-proof under a
  longer checkpoint, whose ``extra`` line carries the entry that it proves:
* ``chain``: of the entry at index s, which does not name a's (size, root) as the checkpoint before
  it, as the next entry of a log that signed a does;
* ``prefix``: of the entry at index s − 1, when the hashes left of its path make another root of
  the first s entries than a's.

One key of the log signed both, and that is all that is looked at.  A log that keeps its rules can
never meet any of the three, wherever it crashed; of a log that broke them, whoever has the entries
of the longer tree can always make the first or the third.  Specification: docs/spec/evidence.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from ledger import logbook
from ledger.checkpoint import Checkpoint, log_key, open_checkpoint, parse_checkpoint
from ledger.events import Event
from ledger.members import Standing
from ledger.note import Note, NoteKey, parse_note
from ledger.roster import Roster, RosterHistory
from ledger.tlogproof import MAGIC, TlogProof
from protocol.errors import Corrupt, DecodeError, ProofError
from protocol.ids import OfficeCode, RootHash
from protocol.limits import EVENT_BYTES_MAX, EVIDENCE_BYTES_MAX
from protocol.merkle import leaf_hash, prefix_root, verify_inclusion
from protocol.ports import Reader
from protocol.shapes import pack, unpack

SAME_SIZE: Final = "same-size"
CHAIN: Final = "chain"
PREFIX: Final = "prefix"


@dataclass(frozen=True, slots=True)
class Evidence:
    """``a`` is a checkpoint note, ``b`` another or a tlog-proof; each note has one signature."""

    a: bytes
    b: bytes

    def encoded(self) -> bytes:
        return pack(self)

    @classmethod
    def decode(cls, data: bytes) -> Evidence:
        """Raises DecodeError when ``data`` is not the canonical array; nothing is verified."""
        return unpack(cls, data, bytes_max=EVIDENCE_BYTES_MAX, where="evidence")

    @property
    def has_proof(self) -> bool:
        """Whether ``b`` is a tlog-proof, not a note."""
        return self.b.startswith(MAGIC.encode())

    def files(self) -> dict[str, bytes]:
        """The two standard objects, under the names by which they are served and exported."""
        return {
            "a.checkpoint": self.a,
            f"b.{'tlog-proof' if self.has_proof else 'checkpoint'}": self.b,
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """What evidence proves: ``key`` signed ``root`` for ``size``, and for ``size_b`` a tree that
    says ``contradiction`` of it (None: an entry that names no checkpoint at all)."""

    shape: str
    key: NoteKey  # its name is the origin
    size: int
    root: RootHash
    size_b: int
    contradiction: tuple[int, RootHash] | None


def verify_evidence(data: bytes, log_keys: Iterable[NoteKey]) -> Verdict:
    """What the evidence proves against one of ``log_keys`` (whose names are the origin).

    Raises:
        DecodeError: not evidence of this format.
        ProofError: not signed by one of the keys, or it proves nothing.
    """
    evidence = Evidence.decode(data)
    proof = TlogProof.parse(evidence.b) if evidence.has_proof else None
    note_b = evidence.b if proof is None else proof.checkpoint
    keys = tuple(log_keys)
    key, a = _signed(evidence.a, keys)
    key_b, b = _signed(note_b, keys)
    if key != key_b:
        raise ProofError("evidence", f"two notes by {key.vkey}", f"one by {key_b.vkey}")
    if proof is None:
        if a.size != b.size or a.root.raw >= b.root.raw:
            raise ProofError("evidence", "one size, two roots in order", f"{a.size} and {b.size}")
        return Verdict(SAME_SIZE, key, a.size, a.root, b.size, (b.size, b.root))
    if proof.format() != evidence.b:
        raise DecodeError("evidence", "the canonical text of the proof", "another spelling")
    shape, contradiction = _contradiction(a, b, proof)
    return Verdict(shape, key, a.size, a.root, b.size, contradiction)


def _contradiction(
    a: Checkpoint, b: Checkpoint, proof: TlogProof
) -> tuple[str, tuple[int, RootHash] | None]:
    if proof.extra is None or b.size <= a.size:
        raise ProofError("evidence", "an entry under a longer checkpoint", f"size {b.size}")
    leaf = leaf_hash(proof.extra)
    verify_inclusion(leaf, proof.index, b.size, b.root.raw, proof.hashes)
    signed = (a.size, a.root)
    said: tuple[int, RootHash] | None
    if proof.index == a.size:
        shape, said = CHAIN, named_checkpoint(proof.extra)
    elif proof.index == a.size - 1:
        root = RootHash(prefix_root(leaf, proof.index, b.size, proof.hashes))
        shape, said = PREFIX, (a.size, root)
    else:
        raise ProofError("evidence", f"the entry at {a.size} or before it", proof.index)
    if said == signed:
        raise ProofError("evidence", "a contradiction", f"agreement about size {a.size}")
    return shape, said


def named_checkpoint(entry: bytes) -> tuple[int, RootHash] | None:
    """The (size, root) that an entry names as the checkpoint before its batch; None when it is no
    event.  Only the envelope is read, which is fixed for ever: a body of a later version accuses
    nobody."""
    try:
        event = unpack(Event, entry, bytes_max=EVENT_BYTES_MAX, where="entry")
    except DecodeError:
        return None
    return event.last_size, event.last_root


def evidence_of(
    reader: Reader, code: OfficeCode, held: bytes, note: bytes, log_keys: Iterable[NoteKey]
) -> bytes:
    """Evidence from the log we hold and a ``note`` that contradicts it.

    ``held`` is a note of the tree that we hold, not shorter than ``note``.

    Raises:
        ProofError: the two do not contradict each other, or one key did not sign both.
        Missing: the entries below ``held`` are not here.
    """
    size, longer = parse_checkpoint(note).size, parse_checkpoint(held).size
    if size == longer:
        return of_notes(held, note, log_keys)
    keys = tuple(log_keys)
    for index in indexes_to_prove(size):
        entry = logbook.entry(reader, code, index)
        hashes = logbook.prove_inclusion(reader, code, index, longer)
        try:
            return of_proof(note, held, index, entry, hashes, keys)
        except ProofError as error:
            refused = error
    raise refused


def indexes_to_prove(size: int) -> tuple[int, ...]:
    """Which entries of a longer tree can contradict a checkpoint of ``size``, best first."""
    return (size, size - 1) if size else (size,)


def of_notes(note_a: bytes, note_b: bytes, log_keys: Iterable[NoteKey]) -> bytes:
    """Evidence from two notes of one size.

    Raises:
        ProofError: they prove nothing.
    """
    keys = tuple(log_keys)
    a, b = sorted((note_a, note_b), key=lambda note: parse_checkpoint(note).root)
    return _proven(Evidence(_bare(a, keys), _bare(b, keys)), keys)


def of_proof(
    shorter: bytes,
    longer: bytes,
    index: int,
    entry: bytes,
    hashes: Sequence[bytes],
    log_keys: Iterable[NoteKey],
) -> bytes:
    """Evidence from two notes and the proof of one entry under the longer.

    Raises:
        ProofError: they prove nothing.
    """
    keys = tuple(log_keys)
    proof = TlogProof(index, tuple(hashes), _bare(longer, keys), entry)
    return _proven(Evidence(_bare(shorter, keys), proof.format()), keys)


def log_keys(history: RosterHistory, code: OfficeCode) -> tuple[NoteKey, ...]:
    """Every key under which the log of ``code`` has ever signed, the newest first."""
    genesis = history.newest.genesis
    first = {genesis.log_key: None} if code == genesis.province else {}
    named = [roster.members[code].log_key for roster in history if code in roster.members]
    origin = genesis.origin(code)
    return tuple(log_key(origin, public) for public in reversed({**first, **dict.fromkeys(named)}))


def signers_of(note: bytes, keys: Iterable[NoteKey]) -> tuple[NoteKey, ...]:
    """Which of ``keys`` have a line on a note whose lines were verified when it was stored."""
    lines = {(line.name, line.key_id) for line in parse_note(note).signatures}
    return tuple(key for key in keys if (key.name, key.id) in lines)


def lost_tail(roster: Roster, code: OfficeCode, key: NoteKey, size: int) -> bool:
    """Whether a checkpoint of ``size`` by ``key`` stands beyond a closure of that key: what the
    office signed there was lost with its disk or forged with its key, and accuses nobody."""
    return roster.standing(code, key.public, size) is Standing.TAIL


def check_goes_on(roster: Roster, code: OfficeCode, key: NoteKey, size: int) -> None:
    """Check that a key which was admitted after a closure signed a tree that reaches there.

    Raises:
        ProofError: the office began again below its closure.
    """
    member = roster.members.get(code)
    since = next((k.since for k in member.log_keys if k.key == key.public), 0) if member else 0
    for cut in roster.closures:
        if cut.code == code and cut.at < since and size < cut.log_size:
            raise ProofError(
                f"checkpoint of {code}", f"at least its closure's {cut.log_size}", size
            )


def cosigned(
    roster: Roster, code: OfficeCode, state: bytes | None, keys: Iterable[NoteKey]
) -> tuple[int, RootHash] | None:
    """The (size, root) below which a witness with this state must not co-sign: that of the note,
    or of the closure if a closed key signed it beyond.  None: it has co-signed nothing yet.

    Raises:
        Corrupt: the state is not the note of a checkpoint.
    """
    if state is None:
        return None
    try:
        checkpoint = parse_checkpoint(state)
    except DecodeError as error:
        raise Corrupt(f"witness state of {code}", error.expected, error.got) from error
    for key in signers_of(state, keys):
        closure = roster.closure(code)
        if closure is not None and lost_tail(roster, code, key, checkpoint.size):
            return closure.log_size, closure.log_root
    return checkpoint.size, checkpoint.root


def check_state(code: OfficeCode, state: bytes | None, keys: Sequence[NoteKey]) -> None:
    """Check that a witness state is a note of its log, as it was when it was stored: whoever signs
    by a damaged one could sign below what it has signed.

    Raises:
        Corrupt: no signature of the log's keys holds.
    """
    if state is not None:
        try:
            open_checkpoint(state, keys)
        except (DecodeError, ProofError) as error:
            raise Corrupt(f"witness state of {code}", error.expected, error.got) from error


def _proven(evidence: Evidence, keys: tuple[NoteKey, ...]) -> bytes:
    """Its bytes: nothing that does not hold leaves this module."""
    data = evidence.encoded()
    verify_evidence(data, keys)
    return data


def _bare(note: bytes, keys: tuple[NoteKey, ...]) -> bytes:
    """The note with the log's own signature only."""
    checkpoint, verified = open_checkpoint(note, keys)
    return Note(checkpoint.format(), verified[:1]).format()


def _signed(note: bytes, keys: tuple[NoteKey, ...]) -> tuple[NoteKey, Checkpoint]:
    """The key and the checkpoint of a note that has nothing but one good signature of the log."""
    checkpoint, verified = open_checkpoint(note, keys)
    if checkpoint.extensions or Note(checkpoint.format(), verified).format() != note:
        raise DecodeError("evidence", "notes of three lines and one signature", "more")
    key = next(key for key in keys if (key.name, key.id) == (verified[0].name, verified[0].key_id))
    if len(verified) != 1 or key.name != checkpoint.origin:
        raise ProofError("evidence", f"one signature by {checkpoint.origin}", key.name)
    return key, checkpoint
