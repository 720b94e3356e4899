"""Who is who: by the roster as folded, or by the invite while the roster does not reach so far."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ledger.members import Member
from ledger.roster import Roster
from protocol.errors import Missing
from protocol.handshake import HelloKey
from protocol.ids import OfficeCode
from protocol.keys import key_id


class Directory:
    """``newcomer`` is the part of the roster that came with the invite."""

    def __init__(self, roster: Callable[[], Roster], newcomer: Roster) -> None:
        self._roster = roster
        self._newcomer = newcomer
        self._placed: dict[OfficeCode, tuple[OfficeCode, ...]] = {}
        self._addressed = -1, frozenset[OfficeCode]()  # by the roster of this size

    @property
    def roster(self) -> Roster:
        """The one that is of use now."""
        return self._roster() if self._roster().members else self._newcomer

    def member(self, code: OfficeCode) -> Member | None:
        return self._roster().members.get(code) or self._newcomer.members.get(code)

    def hello_key(self, office: OfficeCode, signer: bytes) -> HelloKey | None:
        """
        Raises:
            Missing: no such office.
        """
        member = self.member(office)
        if member is None:
            raise Missing("roster", f"office {office}", "no such office")
        if key_id(member.event_key) == signer:
            return HelloKey(member.event_key, counts=not member.revoked)
        former = (key for key in member.former if key_id(key) == signer)
        return next((HelloKey(key, counts=False) for key in former), None)

    def where(self, office: OfficeCode) -> tuple[str, bytes] | None:
        """Address and pin, if it can be dialled."""
        member = self.member(office)
        if member is None or member.revoked or not member.peer_address:
            return None
        return member.peer_address, member.tls_pin

    def addressed(self) -> frozenset[OfficeCode]:
        """Every office that can be dialled."""
        size, known = self._addressed
        if size != self._roster().size:
            members = {*self._newcomer.members, *self._roster().members}
            known = frozenset(code for code in members if self.where(code) is not None)
            self._addressed = self._roster().size, known
        return known

    def parents(self, codes: Iterable[OfficeCode]) -> set[OfficeCode]:
        """The offices right above these, and none of these."""
        inside = set(codes)
        members = [self.member(code) for code in inside]
        return {m.parent for m in members if m is not None and m.parent is not None} - inside

    def moved(self) -> list[OfficeCode]:
        """The offices for which others act, or above which others stand, since this was asked
        last."""
        roster, before = self._roster(), self._placed
        self._placed = {
            code: (roster.heir(code), *(member.code for member in roster.above(code)))
            for code in roster.members
        }
        return [code for code, place in before.items() if self._placed.get(code) != place]
