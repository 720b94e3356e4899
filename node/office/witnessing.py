"""Who has witnessed what: how far the witness policy holds for each log, and by whose signatures.

The note kept under ``witnessed`` is the newest that met the policy; each of its lines is verified.
"""

from __future__ import annotations

from collections.abc import Callable

from ledger.checkpoint import parse_checkpoint
from ledger.genesis import Genesis
from ledger.note import parse_note
from ledger.roster import Roster
from protocol.ids import OfficeCode
from protocol.ports import Reader


class Witnessing:
    """Answers "pending, or witnessed by whom?" from a snapshot of the ledger."""

    def __init__(self, genesis: Genesis, roster: Callable[[], Roster]) -> None:
        self._genesis = genesis
        self._roster = roster
        self._offices: tuple[Roster, dict[str, OfficeCode]] | None = None

    def covered(self, ledger: Reader, code: str) -> tuple[int, tuple[str, ...]]:
        """How many entries of a log are witnessed, and by whom: office codes, and the key names of
        outside witnesses."""
        note = ledger.get("witnessed", code.encode())
        if note is None:
            return 0, ()
        offices, origin = self._witnesses(), self._genesis.origin(code)
        lines = parse_note(note).signatures
        signers = {offices.get(line.name, line.name) for line in lines if line.name != origin}
        return parse_checkpoint(note).size, tuple(sorted(signers))

    def of(self, ledger: Reader, code: str, index: int) -> tuple[str, ...]:
        """Who witnessed the entry at ``index``; nobody while it is pending."""
        size, signers = self.covered(ledger, code)
        return signers if size > index else ()

    def _witnesses(self) -> dict[str, OfficeCode]:
        """Office codes by the key name of their witness, for the roster of now."""
        roster = self._roster()
        if self._offices is None or self._offices[0] is not roster:
            names = {m.witness_name(self._genesis): m.code for m in roster.members.values()}
            self._offices = (roster, names)
        return self._offices[1]
