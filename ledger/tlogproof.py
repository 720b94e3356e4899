"""Proof, in one file, that an entry is in a log and that witnesses saw it (c2sp.org/tlog-proof@v1).

Whoever holds the policy (log and witness keys) can check it offline; the usual suffix of the file
is ``.tlog-proof``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ledger.checkpoint import Checkpoint, open_checkpoint, parse_checkpoint
from ledger.fields import format_base64, parse_base64, parse_decimal, parse_hash
from ledger.policy import Policy, evaluate
from protocol.errors import DecodeError
from protocol.ids import LeafHash
from protocol.limits import PROOF_HASHES_MAX, TLOG_PROOF_BYTES_MAX
from protocol.merkle import verify_inclusion

MAGIC: Final = "c2sp.org/tlog-proof@v1"


@dataclass(frozen=True, slots=True)
class TlogProof:
    """``hashes`` run from the leaf's sibling up; ``checkpoint`` is the note as served; ``extra`` is
    authenticated by nothing."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None

    def format(self) -> bytes:
        extra = [] if self.extra is None else [f"extra {format_base64(self.extra)}"]
        hashes = map(format_base64, self.hashes)
        head = "\n".join([MAGIC, *extra, f"index {self.index}", *hashes, "", ""])
        return head.encode() + self.checkpoint

    @classmethod
    def parse(cls, data: bytes) -> TlogProof:
        """Raises DecodeError when ``data`` is no proof of this format; nothing is verified."""
        if len(data) > TLOG_PROOF_BYTES_MAX:
            raise DecodeError("tlog-proof", f"at most {TLOG_PROOF_BYTES_MAX} bytes", len(data))
        head, blank, checkpoint = data.partition(b"\n\n")
        try:
            lines = head.decode("ascii").split("\n")
        except UnicodeDecodeError as error:
            raise DecodeError("tlog-proof", "ASCII before the checkpoint", "other bytes") from error
        if not blank or lines.pop(0) != MAGIC:
            raise DecodeError("tlog-proof", f"{MAGIC} and an empty line", repr(head[:40]))
        extra = None
        if lines and lines[0].startswith("extra "):
            extra = parse_base64(lines.pop(0).removeprefix("extra "), "tlog-proof extra")
        if not lines or not lines[0].startswith("index "):
            raise DecodeError("tlog-proof", "an index line", repr(lines[:1]))
        index = parse_decimal(lines.pop(0).removeprefix("index "), "tlog-proof index")
        if len(lines) > PROOF_HASHES_MAX:
            raise DecodeError("tlog-proof", f"at most {PROOF_HASHES_MAX} hashes", len(lines))
        parse_checkpoint(checkpoint)
        hashes = tuple(parse_hash(line, "tlog-proof hash") for line in lines)
        return cls(index, hashes, checkpoint, extra)


def verify_proof(proof: TlogProof, leaf: LeafHash, policy: Policy) -> Checkpoint:
    """The checkpoint under which ``leaf`` is proven to stand at ``proof.index``.

    1. the checkpoint is signed by a log of the policy whose key name is the origin;
    2. the verified cosignatures make the policy's quorum;
    3. the hashes lead from the leaf to the checkpoint's root.

    Raises:
        DecodeError: the checkpoint is not one.
        ProofError: one of the three does not hold.
    """
    origin = parse_checkpoint(proof.checkpoint).origin
    log_keys = [log.key for log in policy.logs if log.key.name == origin]
    cosigners = [witness.key for witness in policy.witnesses]
    checkpoint, verified = open_checkpoint(proof.checkpoint, log_keys, cosigners)
    evaluate(policy, verified)
    verify_inclusion(leaf.raw, proof.index, checkpoint.size, checkpoint.root.raw, proof.hashes)
    return checkpoint
