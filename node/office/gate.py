"""May this office sign?  A log must never go on from a past its witnesses have outgrown.

A home restored from a backup does not know what it signed after the backup was made.  So after
every start the gate of an office is shut until its parent, or n−k+1 of the n candidates of its
witness policy, has told the size it has seen of this log, and that size is not beyond ours
(any k co-signers of a lost checkpoint would be among them).  A log without candidates is open: its
network is just being founded.

Offices of our own node lost what we lost, so they confirm nothing: in the place of a parent hosted
here stands the nearest office above it that is not, and of k co-signers some may be ours.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ledger.roster import Roster


@dataclass(slots=True)
class Gate:
    """The gate of one own log."""

    code: str
    ours: frozenset[str] = frozenset()  # the offices of this node
    is_open: bool = False
    confirmed: set[str] = field(default_factory=set)
    seen_size: int = 0  # the largest size anyone has told us
    accused: bool = False  # the log's key has signed two histories

    def look(self, roster: Roster) -> None:
        """Open when nobody could know more than we do."""
        if self.code in roster.members and not self._others(roster) and not self.accused:
            self.is_open = True

    def hear(self, roster: Roster, peer: str, their_size: int, our_size: int) -> None:
        """``peer`` has ``their_size`` entries of our log, we have ``our_size``."""
        self.seen_size = max(self.seen_size, their_size)
        if (
            self.is_open
            or self.accused
            or self.seen_size > our_size
            or self.code not in roster.members
        ):
            return
        self.confirmed.add(peer)
        needed, candidates = roster.witnesses(self.code)
        others = self._others(roster)
        enough = len(others) - max(needed - (len(candidates) - len(others)), 1) + 1
        known = len(others & self.confirmed)
        self.is_open = self._above(roster) in self.confirmed or known >= enough

    def _others(self, roster: Roster) -> frozenset[str]:
        """The candidates of the witness policy at other nodes."""
        return frozenset(member.code for member in roster.witnesses(self.code)[1]) - self.ours

    def _above(self, roster: Roster) -> str | None:
        """The nearest office above that is at another node."""
        above = roster.member(self.code).parent
        while above is not None and above in self.ours:
            above = roster.member(above).parent
        return above

    def outgrown(self, seen_size: int) -> None:
        """A checkpoint of ours that we never signed here: the key is used elsewhere, or this home
        is an old copy.  Sign nothing until the log is refilled and confirmed."""
        self.is_open = False
        self.confirmed.clear()
        self.seen_size = max(self.seen_size, seen_size)

    def accuse(self, accused: bool) -> None:
        """Whether evidence stands against the key of this log."""
        if accused and not self.accused:
            self.is_open = False
            self.confirmed.clear()
        self.accused = accused

    def why_shut(self, our_size: int) -> str:
        """A sentence for the operator."""
        if self.accused:
            return "its key has signed two histories: ask the province to revoke and admit again"
        if self.seen_size > our_size:
            return f"a peer has {self.seen_size} entries of this log, we have {our_size}: refilling"
        return "waiting for the parent or enough witnesses to confirm the last signed size"
