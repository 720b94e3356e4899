"""Making a proof of one file from logs that are at hand; :mod:`ledger.chain` checks it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ledger.events import Anchor, parse_event
from ledger.proof import Proof
from ledger.roster import RosterHistory
from ledger.source import LogReader
from ledger.tlogproof import TlogProof
from ledger.witness import format_request
from protocol.errors import DecodeError
from protocol.merkle import prove_consistency

Place = tuple[str, int]  # office, index


@dataclass(frozen=True, slots=True)
class Opened:
    """A log at the size of the checkpoint in ``note``."""

    reader: LogReader
    note: bytes

    def prove(self, index: int) -> TlogProof:
        """Raises ProofError where the log does not lead to its root, Missing where it has gaps."""
        entry, path = self.reader.prove(index)
        return TlogProof(index, path, self.note, entry)

    def grown_from(self, size: int) -> bytes:
        """That the log of that size is a prefix of this one, as an add-checkpoint body."""
        hashes = prove_consistency(size, self.reader.size, self.reader.subtree)
        return format_request(size, hashes, self.note)


def make_proof(
    genesis_note: bytes,
    history: RosterHistory,
    manifest: bytes,
    upload: Place,
    enrolment: int | None,
    anchors: Sequence[Place],
    opened: Callable[[str], Opened],
) -> Proof:
    """The proof of the upload at a place.

    ``enrolment`` is the index of the ``key.enroll`` in the same log, if a named user's key signed
    the upload; ``anchors`` are where the log, and then the log of each office above, was anchored
    next, from the upload's office upwards; ``opened`` gives a log and may refuse as sources do.

    Raises:
        ProofError, DecodeError, Missing: of the logs.
    """
    office, index = upload
    genesis = history.newest.genesis
    province = opened(genesis.province)
    proven = opened(office).prove(index)
    event = parse_event(proven.extra or b"")
    growths: dict[str, bytes] = {genesis.province: province.grown_from(event.roster_size)}
    said: dict[str, TlogProof] = {}
    child = office
    for by, at in anchors:
        said[by] = opened(by).prove(at)
        growths[child] = opened(child).grown_from(anchored_size(said[by].extra or b"", child))
        child = by
    return Proof(
        genesis=genesis_note,
        manifest=manifest,
        upload=proven,
        signer=None if enrolment is None else opened(office).prove(enrolment),
        changes=tuple(province.prove(at) for at in changes_for(history, office)),
        growths=growths,
        anchors=said,
        policies={
            code: history.newest.policy(code).format() for code in {office, genesis.province, *said}
        },
    )


def changes_for(history: RosterHistory, office: str) -> Iterator[int]:
    """Where in the provincial log the changes stand that a check of ``office`` needs: its own and
    those of whom it succeeds or who succeeds it, those of offices that are above somebody or may be
    witnesses, and those of the policy."""
    newest = history.newest
    line = {code for code in newest.members if newest.heir(code) == newest.heir(office)}
    for before, after in pairwise(history):
        changed = [m for code, m in after.members.items() if before.members.get(code) is not m]
        if after.rules is not before.rules or any(m.always_on or m.code in line for m in changed):
            yield after.size - 1


def anchored_size(entry: bytes, child: str) -> int:
    """The size of the log of ``child`` that an entry records, 0 if it is no anchor of it."""
    try:
        body = parse_event(entry).read_body()
    except DecodeError:
        return 0
    heads = body.heads if isinstance(body, Anchor) else ()
    return max((line.size for line in heads if line.code == child), default=0)
