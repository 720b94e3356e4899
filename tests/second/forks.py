"""Evidence of a fork, re-checked by the page (docs/spec/evidence.md) with nothing but Python."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.second import notes, trees, values
from tests.second.notes import Checkpoint, Key
from tests.second.proofs import Proof, check_proof, read_proof
from tests.second.values import Bad


def check_fork(a: bytes, b: bytes, key: Key) -> str:
    """Which of the three shapes proves that ``key`` signed two histories; raises Bad for none."""
    first = _signed(a, key)
    if not b.startswith(b"c2sp.org/tlog-proof@v1\n"):
        second = _signed(b, key)
        if first.size != second.size or first.root == second.root:
            raise Bad("two checkpoints that agree")
        return "same-size"
    proof = read_proof(b)
    longer = check_proof(b, proof.extra or b"", (key,))
    if longer.origin != key.name or longer.size <= first.size:
        raise Bad("not a longer tree of this log")
    if proof.index == first.size and _names(proof.extra or b"") != (first.size, first.root):
        return "chain"
    if proof.index == first.size - 1 and _tree_before(proof, longer.size) != first.root:
        return "prefix"
    raise Bad("a proof that agrees")


def _signed(note: bytes, key: Key) -> Checkpoint:
    parsed = notes.read_note(note)
    notes.signers(parsed, (key,))
    checkpoint = notes.read_checkpoint(parsed.text)
    if checkpoint.origin != key.name:
        raise Bad("another log")
    return checkpoint


def _names(entry: bytes) -> object:
    """Members 5 and 6 of an event."""
    try:
        event = values.read(entry)
    except Bad:
        return None
    return event[5:7] if isinstance(event, tuple) and len(event) == 12 else None


def _tree_before(proof: Proof, size: int) -> bytes:
    """The root of the leaves up to the proven one: the hashes on its left, and nothing else."""
    start, end, sides = 0, size, []
    while end - start > 1:
        half = 1 << ((end - start - 1).bit_length() - 1)
        sides.append(proof.index >= start + half)
        start, end = (start + half, end) if sides[-1] else (start, start + half)
    root = trees.leaf(proof.extra or b"")
    for is_left, each in zip(reversed(sides), proof.hashes, strict=True):
        root = trees.pair(each, root) if is_left else root
    return root


if __name__ == "__main__":
    ours, theirs, vkey = sys.argv[1:]
    print(check_fork(Path(ours).read_bytes(), Path(theirs).read_bytes(), notes.read_vkey(vkey)))
