"""May I co-sign this checkpoint?  The decision of ``POST add-checkpoint`` (c2sp.org/tlog-witness).

The rules, in the order of their answers:

    1  request, note or checkpoint malformed          400
    2  origin unknown                                 404
    3  no good signature of a trusted log key         403
    4  old size above the checkpoint's                400
    5  old size is not the size I last co-signed      409, with that size
    6  size 0 with another root than the empty one    422
    7  old size 0 with a proof                        422
    8  same size, another root                        422: the log has signed two histories
    9  consistency proof does not hold                422
   10  accepted                                       200, with my cosignature

The caller runs the decision and stores the new state in one transaction, durable before the reply
leaves (step 10), so that no race can move the state back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ledger.checkpoint import Checkpoint, Cosigner, cosign
from ledger.fields import format_base64, parse_decimal, parse_hash
from ledger.note import Note, NoteKey, parse_note, verify_signatures
from protocol.errors import DecodeError, ProofError
from protocol.ids import RootHash
from protocol.limits import PROOF_HASHES_MAX, WITNESS_REQUEST_BYTES_MAX
from protocol.merkle import EMPTY_ROOT, verify_consistency

TEXT: Final = "text/plain; charset=utf-8"
SIZE: Final = "text/x.tlog.size"


@dataclass(frozen=True, slots=True)
class WitnessState:
    """The last checkpoint co-signed for an origin.  ``note`` has the log's own signature, which
    makes it evidence, the witness's, and no line that was not verified."""

    size: int
    root: RootHash
    note: bytes


@dataclass(frozen=True, slots=True)
class Request:
    """A parsed add-checkpoint body."""

    old: int
    proof: tuple[bytes, ...]
    note: Note
    checkpoint: Checkpoint

    @classmethod
    def parse(cls, body: bytes) -> Request:
        """Raises DecodeError when the body, its note or its checkpoint is malformed."""
        if len(body) > WITNESS_REQUEST_BYTES_MAX:
            raise DecodeError("request", f"at most {WITNESS_REQUEST_BYTES_MAX} bytes", len(body))
        head, blank, rest = body.partition(b"\n\n")
        try:
            old, *proof = head.decode("ascii").split("\n")
        except UnicodeDecodeError as error:
            raise DecodeError("request", "ASCII before the note", "other bytes") from error
        if not blank or not old.startswith("old "):
            raise DecodeError("request", "old <size>, hashes, an empty line", repr(old[:40]))
        size = parse_decimal(old.removeprefix("old "), "old size")
        if len(proof) > PROOF_HASHES_MAX:
            raise DecodeError("request", f"at most {PROOF_HASHES_MAX} hashes", len(proof))
        hashes = tuple(parse_hash(line, "proof hash") for line in proof)
        note = parse_note(rest)
        return cls(size, hashes, note, Checkpoint.parse(note.text))


@dataclass(frozen=True, slots=True)
class Accepted:
    """Store ``state`` for ``origin`` durably, then answer 200 with ``body``."""

    origin: str
    state: WitnessState
    body: bytes


@dataclass(frozen=True, slots=True)
class Refused:
    """``evidence``: two notes signed by the log for one size with different roots; keep them."""

    status: int
    content_type: str
    body: bytes
    evidence: tuple[bytes, bytes] | None = None


def format_request(old: int, proof: tuple[bytes, ...], note: bytes) -> bytes:
    """The add-checkpoint body that a log sends to its witnesses."""
    lines = [f"old {old}", *map(format_base64, proof), "", ""]
    return "\n".join(lines).encode() + note


def add_checkpoint(
    body: bytes,
    log_keys: Callable[[str], tuple[NoteKey, ...] | None],
    stored: Callable[[str], WitnessState | None],
    witness: Cosigner,
    now_s: int,
) -> Accepted | Refused:
    """Decide about a request.

    ``log_keys`` gives the trusted keys of an origin, None when it is unknown; ``stored`` what was
    last co-signed for it; ``now_s`` is POSIX seconds.
    """
    try:
        request = Request.parse(body)
    except DecodeError as error:
        return _refuse(400, error)
    checkpoint = request.checkpoint
    trusted = log_keys(checkpoint.origin)
    if trusted is None:
        return _refuse(404, ProofError("origin", "a log I witness", repr(checkpoint.origin)))
    try:
        signatures = verify_signatures(request.note, trusted)
    except ProofError as error:
        return _refuse(403, error)
    signed = Note(request.note.text, signatures)
    state = stored(checkpoint.origin)
    evidence = _contradiction(state, checkpoint, signed)
    last = state.size if state else 0
    if request.old > checkpoint.size:
        too_old = DecodeError("old size", f"at most {checkpoint.size}", request.old)
        return _refuse(400, too_old, evidence)
    if request.old != last:
        return Refused(409, SIZE, f"{last}\n".encode(), evidence)
    try:
        _check_growth(request, state)
    except ProofError as error:
        return _refuse(422, error, evidence)
    mine = cosign(signed.text, witness, now_s)
    note = Note(signed.text, (*signatures, mine)).format()
    new_state = WitnessState(checkpoint.size, checkpoint.root, note)
    return Accepted(checkpoint.origin, new_state, mine.format().encode())


def _check_growth(request: Request, state: WitnessState | None) -> None:
    """Rules 6 to 9; the verifier of consistency knows them all."""
    old_root = state.root.raw if state else EMPTY_ROOT
    checkpoint = request.checkpoint
    verify_consistency(request.old, old_root, checkpoint.size, checkpoint.root.raw, request.proof)


def _contradiction(
    state: WitnessState | None, checkpoint: Checkpoint, signed: Note
) -> tuple[bytes, bytes] | None:
    """Both notes, if the log has signed another root for the size I co-signed.

    The log's signature is verified by now, so this holds whatever old size the request names.
    """
    if state and state.size == checkpoint.size and state.root != checkpoint.root:
        return state.note, signed.format()
    return None


def _refuse(status: int, error: Exception, evidence: tuple[bytes, bytes] | None = None) -> Refused:
    return Refused(status, TEXT, f"{error}\n".encode(), evidence)
