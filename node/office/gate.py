"""May this office sign?  A log must never go on from a past its witnesses have outgrown.

A home restored from a backup does not know what it signed after the backup was made.  So after
every start the gate of an office is shut until its parent, or n−k+1 of the n candidates of its
witness policy, has told the size it has seen of this log, and that size is not beyond ours
(any k co-signers of a lost checkpoint would be among them).  That covers what was witnessed; what
was signed and had come to one mirror alone is as little to be signed again.  So even then the gate
opens only when every other candidate has said its size, too, or could not be reached.  A log
without candidates is open: its network is just being founded.

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
    unreachable: set[str] = field(default_factory=set)  # candidates that were asked in vain
    seen: dict[str, int] = field(default_factory=dict)  # by each peer; "" is a note by our key
    barred: str = ""  # why no key of this home may sign, whatever the peers confirm

    @property
    def seen_size(self) -> int:
        """The largest size anyone has told us."""
        return max(self.seen.values(), default=0)

    def bar(self, why: str) -> None:
        """No key of this home counts now; "" when one does again: then confirm anew."""
        if why:
            self.is_open = False
            self._forget_words()
        self.barred = why

    def look(self, roster: Roster) -> None:
        """Open when nobody could know more than we do."""
        if not self.barred and self.code in roster.members and not self._others(roster):
            self.is_open = True

    def hear(self, roster: Roster, peer: str, their_size: int, our_size: int) -> None:
        """``peer`` has ``their_size`` entries of our log, we have ``our_size``."""
        # after a closure a peer first tells what it has not cut yet, then takes it back
        may_correct = any(closure.code == self.code for closure in roster.closures)
        self.seen[peer] = max(their_size, 0 if may_correct else self.seen.get(peer, 0))
        if self.seen_size <= our_size:
            self.confirmed.add(peer)
            self._settle(roster)

    def unheard(self, roster: Roster) -> frozenset[str]:
        """Whom to ask yet, once enough have confirmed."""
        if self.is_open or self.barred or not self._has_enough(roster):
            return frozenset()
        return self._others(roster) - self.confirmed - self.unreachable

    def cannot_ask(self, roster: Roster, office: str, our_size: int) -> None:
        """A candidate could not be reached, or gives no answer."""
        self.unreachable.add(office)
        if self.seen_size <= our_size:
            self._settle(roster)

    def _settle(self, roster: Roster) -> None:
        """Open if enough have confirmed, and everybody else who can be asked was."""
        if not self.is_open and not self.barred and self._has_enough(roster):
            self.is_open = self._others(roster) <= self.confirmed | self.unreachable

    def _has_enough(self, roster: Roster) -> bool:
        if self.code not in roster.members:
            return False
        needed, candidates = roster.witnesses(self.code)
        others = self._others(roster)
        enough = len(others) - max(needed - (len(candidates) - len(others)), 1) + 1
        return self._above(roster) in self.confirmed or len(others & self.confirmed) >= enough

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
        self._forget_words()
        self.seen[""] = max(self.seen.get("", 0), seen_size)

    def forget(self) -> None:
        """The log was closed below what was seen of it: everybody has to confirm anew."""
        self.is_open = False
        self._forget_words()
        self.seen.clear()

    def _forget_words(self) -> None:
        self.confirmed.clear()
        self.unreachable.clear()

    def why_shut(self, our_size: int) -> str:
        """A sentence for the operator."""
        if self.barred:
            return self.barred
        if self.seen_size > our_size:
            return f"a peer has {self.seen_size} entries of this log, we have {our_size}: refilling"
        return "the parent or enough witnesses must first confirm the last signed size"
