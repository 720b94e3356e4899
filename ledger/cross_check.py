"""Have others seen the same logs?  Checkpoints from every source, and those that witnesses keep.

Every checkpoint of a log that its key has signed, seen anywhere, is held against the tree of the
source that was audited: its root must be the root that the tree had at that size.  A longer one is
held against its own source's tiles, the other way round.  What contradicts is proven by two
standard objects where these can be had (ledger/evidence.py), and named in any case.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from ledger.checkpoint import Checkpoint, open_checkpoint, parse_checkpoint
from ledger.evidence import indexes_to_prove, of_notes, of_proof, signers_of
from ledger.note import NoteKey
from ledger.source import LogReader, LogSource
from protocol.errors import DecodeError, Missing, ProofError
from protocol.ids import OfficeCode


@dataclass(frozen=True, slots=True)
class Sight:
    """A checkpoint of a log, and where it was seen."""

    where: str  # a source, and which witness there
    source: str
    note: bytes


@dataclass(frozen=True, slots=True)
class Forks:
    """What came of comparing the sights of one log."""

    compared: int  # checkpoints that the log's key has signed
    contradictions: tuple[str, ...]  # where each was seen, and its size
    evidence: tuple[bytes, ...]
    longer: tuple[str, ...]  # consistent, and newer than what was audited
    tails: tuple[str, ...]  # by a closed key, beyond its closure: lost, whatever they say


class SightedSource(LogSource, Protocol):
    """A source that also gives what witnesses keep."""

    def witnessed(self, code: str, origin: str) -> dict[str, bytes]:
        """The notes of a log that witnesses keep and this source gives, by who keeps them; and
        those of lost tails."""

    def evidence(self) -> Iterable[tuple[str, bytes]]:
        """(office, evidence of a fork of its log), as ledger/evidence.py has it, not verified."""


def sights(sources: Mapping[str, SightedSource], code: OfficeCode, origin: str) -> Iterator[Sight]:
    """Every checkpoint of a log that the sources give."""
    for name, source in sources.items():
        with suppress(Missing):
            yield Sight(name, name, source.checkpoint(code))
        for witness, note in sorted(source.witnessed(code, origin).items()):
            yield Sight(f"{name} ({witness})", name, note)


class CrossCheck:
    """Holds sights of one log against the tree that was audited."""

    def __init__(
        self,
        sources: Mapping[str, SightedSource],
        code: OfficeCode,
        held: bytes,
        keys: tuple[NoteKey, ...],
        is_tail: Callable[[NoteKey, int], bool],
    ) -> None:
        """``held`` is the note of the audited tree, of the first source; ``is_tail`` says whether a
        key was closed below a size."""
        self._sources = sources
        self._code = code
        self._keys = keys
        self._is_tail = is_tail
        self._held = held
        self._tree = parse_checkpoint(held)
        self._reader = self._reader_of(next(iter(sources)), self._tree)

    def compare(self, seen: Iterator[Sight], bad: Callable[[str], None]) -> Forks:
        """``bad`` is told where a checkpoint was seen that the log's key has not signed."""
        compared = 0
        contradictions: list[str] = []
        evidence: list[bytes] = []
        longer: list[str] = []
        tails: list[str] = []
        known: set[tuple[int, bytes]] = {(self._tree.size, self._tree.root.raw)}
        for sight in seen:
            try:
                checkpoint, _ = open_checkpoint(sight.note, self._keys)
            except (DecodeError, ProofError):
                bad(sight.where)
                continue
            compared += 1
            if (checkpoint.size, checkpoint.root.raw) in known:
                continue
            known.add((checkpoint.size, checkpoint.root.raw))
            where = f"{sight.where}: {checkpoint.size}"
            signers = signers_of(sight.note, self._keys)
            if all(self._is_tail(key, checkpoint.size) for key in signers):
                tails.append(where)
                continue
            if self._agrees(sight, checkpoint):
                if checkpoint.size > self._tree.size:
                    longer.append(where)
                continue
            contradictions.append(where)
            proof = self._evidence(sight, checkpoint)
            if proof is not None:
                evidence.append(proof)
        return Forks(compared, tuple(contradictions), tuple(evidence), tuple(longer), tuple(tails))

    def _agrees(self, sight: Sight, checkpoint: Checkpoint) -> bool:
        try:
            if checkpoint.size <= self._tree.size:
                return self._reader.root_at(checkpoint.size) == checkpoint.root.raw
            other = self._reader_of(sight.source, checkpoint)
            whole = other.root_at(checkpoint.size) == checkpoint.root.raw
            return not whole or other.root_at(self._tree.size) == self._tree.root.raw
        except (Missing, ProofError):  # tiles of that size are not here: nothing contradicts
            return True

    def _evidence(self, sight: Sight, checkpoint: Checkpoint) -> bytes | None:
        """Two standard objects that prove it; None when what they need is not here."""
        shorter, longer, reader = sight.note, self._held, self._reader
        try:
            if checkpoint.size == self._tree.size:
                return of_notes(self._held, sight.note, self._keys)
            if checkpoint.size > self._tree.size:
                shorter, longer = self._held, sight.note
                reader = self._reader_of(sight.source, checkpoint)
            for index in indexes_to_prove(min(checkpoint.size, self._tree.size)):
                try:
                    entry, path = reader.prove(index)
                    return of_proof(shorter, longer, index, entry, path, self._keys)
                except ProofError:
                    continue
        except (ProofError, DecodeError, Missing):
            return None
        return None

    def _reader_of(self, source: str, tree: Checkpoint) -> LogReader:
        return LogReader(self._sources[source], self._code, tree.size, tree.root.raw)
