"""May this office sign?  A log must never go on from a past its witnesses have outgrown.

A home restored from a backup does not know what it signed after the backup was made.  So after
every start the gate of an office is shut until its parent, or n−k+1 of the n candidates of its
witness policy, has told the size it has seen of this log, and that size is not beyond ours
(any k co-signers of a lost checkpoint would be among them).  A log without candidates is open: its
network is just being founded.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ledger.roster import Roster


@dataclass(slots=True)
class Gate:
    """The gate of one own log."""

    code: str
    is_open: bool = False
    confirmed: set[str] = field(default_factory=set)
    seen_size: int = 0  # the largest size anyone has told us

    def look(self, roster: Roster) -> None:
        """Open when nobody could know more than we do."""
        if self.code in roster.members and not roster.witnesses(self.code)[1]:
            self.is_open = True

    def hear(self, roster: Roster, peer: str, their_size: int, our_size: int) -> None:
        """``peer`` has ``their_size`` entries of our log, we have ``our_size``."""
        self.seen_size = max(self.seen_size, their_size)
        if self.is_open or self.seen_size > our_size or self.code not in roster.members:
            return
        self.confirmed.add(peer)
        needed, candidates = roster.witnesses(self.code)
        enough = len(candidates) - needed + 1
        known = sum(1 for member in candidates if member.code in self.confirmed)
        parent = roster.member(self.code).parent
        self.is_open = parent in self.confirmed or known >= enough

    def outgrown(self, seen_size: int) -> None:
        """A checkpoint of ours that we never signed here: the key is used elsewhere, or this home
        is an old copy.  Sign nothing until the log is refilled and confirmed."""
        self.is_open = False
        self.confirmed.clear()
        self.seen_size = max(self.seen_size, seen_size)

    def why_shut(self, our_size: int) -> str:
        """A sentence for the operator."""
        if self.seen_size > our_size:
            return f"a peer has {self.seen_size} entries of this log, we have {our_size}: refilling"
        return "waiting for the parent or enough witnesses to confirm the last signed size"
