"""A recall (调取) told to others: its receipt (调取回执), and the proof of that.

The receipt names the ``access.fetch`` events that the givers logged before they gave.  With a
proof of each (:mod:`ledger.proof`) and the reader's own genesis note it is checked without asking
anybody.
Specification: docs/spec/sealing.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from ledger.chain import step
from ledger.custody import AccessFetch
from ledger.genesis import read_genesis
from ledger.proof import Proof, decode_proofs, encode_proofs, parse_bundle
from ledger.proving import Opened, make_proof
from ledger.receipt import Said, proven_event
from ledger.roster import RosterHistory
from protocol.errors import DecodeError, ProofError
from protocol.ids import BlobId, EventRef, LeafHash, parse_item, parse_office
from protocol.limits import ACCESSES_PER_RECALL_MAX, RECALL_BYTES_MAX
from protocol.records import decode_json, encode_json

FORMAT: Final = "fangzhi/recall/1"
PROOF_FORMAT: Final = "fangzhi/recall-proof/1"


@dataclass(frozen=True, slots=True)
class RecalledFile:
    path: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class RecallReceipt:
    """Who fetched what of which revision, and where the givers logged it; ``time`` is when, in ms
    as the fetching node's clock had it."""

    network: str
    item: str
    manifest: str
    by: str
    time: int
    files: tuple[RecalledFile, ...]
    accesses: tuple[EventRef, ...]

    def members(self) -> dict[str, Any]:
        files = [{"path": f.path, "sha256": f.sha256, "size": f.size} for f in self.files]
        accesses = [
            {"index": ref.index, "leaf": ref.leaf.hex, "office": ref.origin}
            for ref in self.accesses
        ]
        return {
            "accesses": accesses,
            "by": self.by,
            "files": files,
            "format": FORMAT,
            "item": self.item,
            "manifest": self.manifest,
            "network": self.network,
            "time": self.time,
        }

    def encoded(self) -> bytes:
        return encode_json(self.members())

    @classmethod
    def decode(cls, data: bytes) -> RecallReceipt:
        """
        Raises:
            DecodeError: not such a receipt; white space around it is let pass.
        """
        told = decode_json(data.strip(), bytes_max=RECALL_BYTES_MAX, where="recall receipt")
        try:
            receipt = cls(
                network=_text(told["network"]),
                item=parse_item(told["item"]),
                manifest=BlobId.parse(told["manifest"]).hex,
                by=parse_office(told["by"]),
                time=_number(told["time"]),
                files=tuple(
                    RecalledFile(
                        _text(file["path"]), BlobId.parse(file["sha256"]).hex, _number(file["size"])
                    )
                    for file in told["files"]
                ),
                accesses=tuple(
                    EventRef(
                        parse_office(ref["office"]),
                        _number(ref["index"]),
                        LeafHash.parse(ref["leaf"]),
                    )
                    for ref in told["accesses"]
                ),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise DecodeError("recall receipt", "its members", repr(error)[:80]) from error
        if receipt.members() != told or not 0 < len(receipt.accesses) <= ACCESSES_PER_RECALL_MAX:
            raise DecodeError("recall receipt", f"a receipt {FORMAT}", "something else")
        return receipt

    def expect(self, ref: EventRef, said: EventRef, body: object) -> None:
        """Check that ``body``, which stands at ``said``, is the access named as ``ref``.

        Raises:
            ProofError: it is another event.
        """
        where = f"access {ref.origin} {ref.index}"
        if said != ref or not isinstance(body, AccessFetch):
            raise ProofError(where, f"the access with leaf {ref.leaf.short}", type(body).__name__)
        if (body.item, body.manifest.hex, body.by) != (self.item, self.manifest, self.by):
            raise ProofError(where, f"an access by {self.by} to {self.item}", body.item)


@dataclass(frozen=True, slots=True)
class RecallProof:
    """The receipt, and the proof of each access in its order."""

    receipt: RecallReceipt
    proofs: tuple[Proof, ...]

    def encoded(self) -> bytes:
        proofs = encode_proofs(self.proofs)
        bundle = {"format": PROOF_FORMAT, "receipt": self.receipt.members(), "proofs": proofs}
        return json.dumps(bundle, ensure_ascii=False).encode()

    @classmethod
    def decode(cls, data: bytes) -> RecallProof:
        """
        Raises:
            DecodeError: not such an object, or too long.
            Missing: a part is not there.
        """
        bundle = parse_bundle(data, PROOF_FORMAT, "recall proof")
        if not isinstance(bundle.get("receipt"), dict):
            raise DecodeError("recall proof", "a receipt", "none")
        receipt = RecallReceipt.decode(encode_json(bundle["receipt"]))
        proofs = decode_proofs(bundle, 1, ACCESSES_PER_RECALL_MAX, "recall proof")
        return cls(receipt, proofs)


@dataclass(frozen=True, slots=True)
class Recalled:
    """What follows from a proof."""

    receipt: RecallReceipt
    accesses: tuple[Said, ...]

    @property
    def witnessed(self) -> bool:
        return all(said.seen.witnessed for said in self.accesses)


def make_recall_proof(
    genesis_note: bytes,
    history: RosterHistory,
    receipt: RecallReceipt,
    enrolment: Callable[[EventRef], int | None],
    opened: Callable[[str], Opened],
) -> RecallProof:
    """The proof of a receipt, from logs at hand; ``enrolment`` as for
    :func:`ledger.receipt.make_receipt`.

    Raises:
        ProofError, DecodeError, Missing: of the logs.
    """
    return RecallProof(
        receipt,
        tuple(
            make_proof(
                genesis_note, history, b"", (ref.origin, ref.index), enrolment(ref), (), opened
            )
            for ref in receipt.accesses
        ),
    )


def check_recall(proof: RecallProof, genesis_note: bytes) -> Recalled:
    """What a receipt says, every access verified from the genesis note up.

    Raises:
        ProofError: a step does not hold; ``where`` names it.
    """
    receipt, genesis = proof.receipt, read_genesis(genesis_note)
    if receipt.network != genesis.id.hex:
        raise ProofError("network", genesis.id.hex, receipt.network)
    if len(proof.proofs) != len(receipt.accesses):
        raise ProofError("accesses", f"the {len(receipt.accesses)} named", len(proof.proofs))
    accesses = []
    for ref, one in zip(receipt.accesses, proof.proofs, strict=True):
        with step(f"access.fetch of {ref.origin}"):
            body, said, at = proven_event(one, genesis_note, AccessFetch)
            receipt.expect(ref, at, body)
            accesses.append(said)
    return Recalled(receipt, tuple(accesses))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _number(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise TypeError(value)
    return value
