"""A receipt (入库回执): the province says that the copies of a revision stand.

Anyone checks it.  It is a bundle of proofs (:mod:`ledger.proof`), each of one signed event in the
log of its office: the ``receipt.issue`` of the province, the ``version.upload`` that it is about,
and every ``hold.take`` that it counts.  With the reader's own genesis note it is checked without
asking anybody.  It names item and manifest by hash, nothing of their content.
Specification: docs/spec/receipt.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from ledger.chain import Seen, check_event, step
from ledger.custody import HoldTake, ReceiptIssue
from ledger.events import Event, VersionUpload
from ledger.genesis import read_genesis
from ledger.proof import Proof, decode_proofs, encode_proofs, entry_of, parse_bundle
from ledger.proving import Opened, make_proof
from ledger.roster import RosterHistory
from protocol.errors import ProofError
from protocol.ids import EventRef, LeafHash, OfficeCode
from protocol.limits import HOLDS_PER_RECEIPT_MAX
from protocol.merkle import leaf_hash

FORMAT: Final = "fangzhi/receipt/1"


@dataclass(frozen=True, slots=True)
class Said:
    """One proven event: where it stands, the time that it claims (ms), and the log it stands in."""

    office: str
    name: str
    index: int
    time: int
    seen: Seen


@dataclass(frozen=True, slots=True)
class Copy:
    """A holding that the receipt counts; ``sealed``: as ciphertext."""

    said: Said
    files: int
    file_bytes: int
    sealed: bool


@dataclass(frozen=True, slots=True)
class Received:
    """What follows from a receipt."""

    network: str
    item: str
    manifest: str
    rights: str
    files: int
    file_bytes: int
    receipt: Said
    upload: Said
    copies: tuple[Copy, ...]

    @property
    def witnessed(self) -> bool:
        return all(said.seen.witnessed for said in (self.receipt, self.upload)) and all(
            copy.said.seen.witnessed for copy in self.copies
        )


@dataclass(frozen=True, slots=True)
class Receipt:
    """The proofs: of the receipt, of the upload, of each holding in the receipt's order."""

    proofs: tuple[Proof, ...]

    def encoded(self) -> bytes:
        return json.dumps({"format": FORMAT, "proofs": encode_proofs(self.proofs)}).encode()

    @classmethod
    def decode(cls, data: bytes) -> Receipt:
        """
        Raises:
            DecodeError: not such an object, or too long.
            Missing: a part is not there.
        """
        bundle = parse_bundle(data, FORMAT, "receipt")
        return cls(decode_proofs(bundle, 3, 2 + HOLDS_PER_RECEIPT_MAX, "receipt"))


def make_receipt(
    genesis_note: bytes,
    history: RosterHistory,
    receipt: EventRef,
    body: ReceiptIssue,
    enrolment: Callable[[EventRef], int | None],
    opened: Callable[[str], Opened],
) -> Receipt:
    """The bundle for a ``receipt.issue`` at a place, from logs at hand; ``enrolment`` gives the
    index of the key.enroll of a named user's key that signed an event.

    Raises:
        ProofError, DecodeError, Missing: of the logs.
    """
    return Receipt(
        tuple(
            make_proof(
                genesis_note, history, b"", (ref.origin, ref.index), enrolment(ref), (), opened
            )
            for ref in (receipt, body.upload, *body.holds)
        )
    )


def check_receipt(receipt: Receipt, genesis_note: bytes) -> Received:
    """What a receipt says, every step verified from the genesis note up.

    Raises:
        ProofError: a step does not hold; ``where`` names it.
    """
    genesis = read_genesis(genesis_note)
    first, second, *others = receipt.proofs
    with step("receipt.issue"):
        body, issued, _ = proven_event(first, genesis_note, ReceiptIssue)
    with step("version.upload"):
        upload, uploaded, at = proven_event(second, genesis_note, VersionUpload)
        _expect(upload, body)
        if at != body.upload:
            raise ProofError("upload", f"that of the receipt: {body.upload}", at)
    copies = []
    if len(others) != len(body.holds):
        raise ProofError("holdings", f"the {len(body.holds)} of the receipt", len(others))
    for proof, wanted in zip(others, body.holds, strict=True):
        with step(f"hold.take of {wanted.origin}"):
            hold, said, at = proven_event(proof, genesis_note, HoldTake)
            _expect(hold, body)
            if at != wanted:
                raise ProofError("holding", f"that of the receipt: {wanted}", at)
            sealed = hold.seal is not None
            copies.append(Copy(said, hold.files, hold.file_bytes, sealed))
    if len({copy.said.office for copy in copies}) != len(copies):
        raise ProofError("holdings", "each of another office", "one office twice")
    return Received(
        network=genesis.id.hex,
        item=body.item,
        manifest=body.manifest.hex,
        rights=upload.rights,
        files=upload.files,
        file_bytes=upload.file_bytes,
        receipt=issued,
        upload=uploaded,
        copies=tuple(copies),
    )


def proven_event(proof: Proof, genesis_note: bytes, kind: type) -> tuple[Any, Said, EventRef]:
    """The body, who said it, and where: of an event of ``kind`` that is proven.

    Raises:
        ProofError: a step does not hold, or it is of another kind.
    """
    event, seen = check_event(proof, genesis_note)
    body = event.read_body()
    if not isinstance(body, kind):
        raise ProofError("event", kind.__name__, event.kind)
    return body, _said(event, proof, seen), _place(event, proof)


def _said(event: Event, proof: Proof, seen: Seen) -> Said:
    return Said(event.origin, seen.name, proof.upload.index, event.time, seen)


def _place(event: Event, proof: Proof) -> EventRef:
    leaf = LeafHash(leaf_hash(entry_of(proof.upload)))
    return EventRef(OfficeCode(event.origin), proof.upload.index, leaf)


def _expect(body: VersionUpload | HoldTake, receipt: ReceiptIssue) -> None:
    if (body.item, body.manifest) != (receipt.item, receipt.manifest):
        about = f"{receipt.item}, revision {receipt.manifest.short}"
        raise ProofError("event", f"about {about}", f"{body.item}, {body.manifest.short}")
