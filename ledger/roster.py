"""Who belongs, and whose word counts for what.

The provincial log carries the roster.  :class:`Roster` is immutable; :meth:`Roster.apply` gives
the next one, so a node keeps every past roster and judges an event by the roster its envelope
names.  Changes are signed by a threshold of the provincial root keys of the genesis note.
docs/spec/membership.md.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

from ledger.changes import name_of, verify_change
from ledger.events import (
    MemberAbolish,
    MemberAdmit,
    MemberMove,
    MemberRevoke,
    MemberRotate,
    PolicySet,
    RecoverySet,
    RosterChange,
)
from ledger.genesis import Genesis
from ledger.members import (
    PARENT_TIER,
    TIERS,
    Closure,
    LogKey,
    Member,
    Standing,
    check_name,
    check_office,
    signing_keys,
)
from ledger.policy import Policy
from ledger.witness_policy import FIRST_RULES, check_rules, outside_keys, policy_of
from protocol.errors import ProofError
from protocol.ids import OfficeCode, RootHash, parse_office
from protocol.keys import key_id
from protocol.limits import NETWORK_OFFICES_MAX
from protocol.merkle import EMPTY_ROOT


@dataclass(frozen=True)
class Roster:
    """The members at one size of the provincial log."""

    genesis: Genesis
    size: int = 0  # provincial events folded so far
    members: Mapping[OfficeCode, Member] = field(default_factory=dict)
    closures: tuple[Closure, ...] = ()
    rules: PolicySet = FIRST_RULES
    recovery: RecoverySet | None = None  # None before the first recovery.set
    _policies: dict[str, Policy] = field(  # as far as asked for
        default_factory=dict, init=False, repr=False, compare=False
    )

    def apply(self, index: int, body: RosterChange) -> Roster:
        """The roster after the provincial event at ``index``.

        Raises:
            ProofError, DecodeError: not signed by enough root keys, or against a rule of
                membership.
        """
        verify_change(self.genesis, body)
        return self.after(index, body)

    def after(self, index: int, body: RosterChange) -> Roster:
        """:meth:`apply` for a change that is still to be signed.

        Raises:
            ProofError, DecodeError: against a rule of membership.
        """
        return replace(_NEXT[type(body)](self, index, body), size=index + 1)

    # who there is

    def member(self, code: str) -> Member:
        """
        Raises:
            ProofError: no such office in this roster.
        """
        member = self.members.get(OfficeCode(code))
        if member is None:
            raise ProofError("roster", f"office {code} among its {len(self.members)}", "no such")
        return member

    def turn(self, code: str) -> int:
        """The turn that the next change of this office has to name."""
        member = self.members.get(OfficeCode(code))
        return 0 if member is None else member.turn

    def is_active(self, code: str) -> bool:
        member = self.members.get(OfficeCode(code))
        return member is not None and not member.revoked

    def active(self) -> list[Member]:
        return list(self._active)

    def cities(self) -> list[OfficeCode]:
        """The active cities, which keep others' files and indexes."""
        return list(self._cities)

    # Asked for once an office, over and over: sorting every time would cost the square of them.

    @cached_property
    def _active(self) -> tuple[Member, ...]:
        return tuple(member for _, member in sorted(self.members.items()) if not member.revoked)

    @cached_property
    def _cities(self) -> tuple[OfficeCode, ...]:
        return tuple(member.code for member in self._active if member.tier == "city")

    def heir(self, code: str) -> OfficeCode:
        """Who acts for the items of ``code``: itself, or the last successor of an abolished one."""
        heir = OfficeCode(code)
        while (member := self.members.get(heir)) is not None and member.successor is not None:
            heir = member.successor
        return heir

    def above(self, code: str) -> Iterator[Member]:
        """The offices above, nearest first; heirs in the place of abolished ones."""
        at = self.members.get(self.heir(code))
        while at is not None and at.parent is not None:
            at = self.member(self.heir(at.parent))
            yield at

    def is_above(self, upper: str, lower: str) -> bool:
        """Whether ``upper`` is an ancestor of ``lower``."""
        return any(member.code == upper for member in self.above(lower))

    def reviewer_of(self, code: str) -> OfficeCode:
        """Who passes or returns what ``code`` reports: its parent, or the province itself."""
        acting = self.member(self.heir(code))
        return acting.code if acting.parent is None else self.heir(acting.parent)

    # whose word counts

    def event_key(self, code: str, signer: bytes) -> bytes | None:
        """The service key of ``code`` if this is its id and it counts."""
        member = self.members.get(OfficeCode(code))
        if member is None or member.revoked or key_id(member.event_key) != signer:
            return None
        return member.event_key

    def is_void(self, code: str, index: int, roster_size: int) -> bool:
        """Whether the event of ``code`` at ``index``, made under the roster of ``roster_size``,
        stands in a tail that a closure cut off."""
        return any(
            cut.code == code and index >= cut.log_size and roster_size <= cut.at
            for cut in self.closures
        )

    def has_closed(self, code: str, roster_size: int) -> bool:
        """Whether the keys of ``code`` were closed since the roster of ``roster_size``."""
        return any(cut.code == code and roster_size <= cut.at for cut in self.closures)

    def closure(self, code: str) -> Closure | None:
        """The latest closure of the office's keys."""
        return next((cut for cut in reversed(self.closures) if cut.code == code), None)

    def standing(self, code: str, key: bytes, size: int) -> Standing:
        """What a checkpoint of ``size`` by the log key ``key`` is worth.  A closure closes the
        present key and every one before it."""
        member = self.members.get(OfficeCode(code))
        if member is None:
            is_first = (code, key) == (self.genesis.province, self.genesis.log_key)
            return Standing.CURRENT if is_first else Standing.UNKNOWN
        since = next((each.since for each in member.log_keys if each.key == key), None)
        if since is None:
            return Standing.UNKNOWN
        for cut in self.closures:
            if cut.code == code and cut.at > since:
                return Standing.CLOSED if size <= cut.log_size else Standing.TAIL
        return Standing.CURRENT if key == member.log_key else Standing.ROTATED

    def uses(self, key: bytes) -> bool:
        """Whether this is or was a signing key of anybody here, or of an outside witness."""
        return key in self.genesis.root_keys().values() or (
            key in outside_keys(self.rules)
            or any(key in m.signing_keys or key in m.former for m in self.members.values())
        )

    # witnesses

    def witnesses(self, code: str) -> tuple[int, tuple[Member, ...]]:
        """How many of which members must co-sign a checkpoint of ``code``.

        Candidates are the always-on offices but itself.  With no candidate none is needed.
        """
        candidates = tuple(
            member for member in self.active() if member.always_on and member.code != code
        )
        needed = self.rules.city_county
        if self.member(code).tier == "province":
            needed = self.rules.province or len(candidates) // 2 + 1
        return min(needed, len(candidates)), candidates

    def policy(self, code: str) -> Policy:
        """The tlog-policy of the log of ``code``: who has to have co-signed its checkpoints."""
        if code not in self._policies:
            asked = self.member(code), *self.witnesses(code)
            self._policies[code] = policy_of(self.genesis, self.rules, *asked)
        return self._policies[code]


def _with(roster: Roster, member: Member, *closures: Closure) -> Roster:
    members = {**roster.members, member.code: member}
    return replace(roster, members=members, closures=roster.closures + closures)


def _admitted(roster: Roster, index: int, body: MemberAdmit) -> Roster:
    where = name_of(body)
    code = parse_office(body.code)
    known = roster.members.get(code)
    _check_turn(roster, body)
    if known is None and len(roster.members) >= NETWORK_OFFICES_MAX:
        raise ProofError(where, f"at most {NETWORK_OFFICES_MAX} offices", "one more")
    if known is not None and (not known.revoked or known.successor is not None):
        raise ProofError(where, "a new office or a revoked one", "an active or abolished one")
    if body.tier not in TIERS or (known is not None and known.tier != body.tier):
        raise ProofError(where, f"its tier, of {TIERS}", body.tier)
    if (body.tier == "province") != (code == roster.genesis.province):
        raise ProofError(where, f"the province {roster.genesis.province}", code)
    if known is None and body.tier == "province" and body.log_key != roster.genesis.log_key:
        raise ProofError(where, "the log key of the genesis note", body.log_key.hex())
    check_name(where, body.name)
    check_office(where, body)
    _check_fresh(roster, where, signing_keys(body))
    member = Member(
        code=code,
        name=body.name,
        tier=body.tier,
        parent=_parent(roster, where, body.tier, body.parent),
        log_key=body.log_key,
        witness_key=body.witness_key,
        mirror_key=body.mirror_key,
        event_key=body.event_key,
        tls_pin=body.tls_pin,
        peer_address=body.peer_address,
        web_url=body.web_url,
        turn=body.turn + 1,
        log_keys=(*(known.log_keys if known else ()), LogKey(index, body.log_key)),
        former=known.former | known.signing_keys if known else frozenset(),
    )
    return _with(roster, member)


def _rotated(roster: Roster, index: int, body: MemberRotate) -> Roster:
    where = name_of(body)
    member = _changing(roster, body)
    if member.revoked:
        raise ProofError(where, "an active office", "a revoked one")
    check_office(where, body)
    pairs = zip(signing_keys(body), signing_keys(member), strict=True)
    _check_fresh(roster, where, [new for new, old in pairs if new != old])
    log_keys = member.log_keys
    if body.log_key != member.log_key:
        log_keys += (LogKey(index, body.log_key),)
    rotated = replace(
        member,
        log_key=body.log_key,
        witness_key=body.witness_key,
        mirror_key=body.mirror_key,
        event_key=body.event_key,
        tls_pin=body.tls_pin,
        peer_address=body.peer_address,
        web_url=body.web_url,
        turn=body.turn + 1,
        log_keys=log_keys,
        former=(member.former | member.signing_keys) - set(signing_keys(body)),
    )
    return _with(roster, rotated)


def _revoked(roster: Roster, index: int, body: MemberRevoke) -> Roster:
    member = _changing(roster, body)
    if member.revoked:
        raise ProofError(name_of(body), "an active office", "a revoked one")
    cut = _cut(roster, index, member, body)
    return _with(roster, replace(member, revoked=True, turn=body.turn + 1), cut)


def _moved(roster: Roster, index: int, body: MemberMove) -> Roster:
    where = name_of(body)
    member = _changing(roster, body)
    check_name(where, body.name)
    parent = _parent(roster, where, member.tier, body.parent)
    moved = replace(member, parent=parent, name=body.name, turn=body.turn + 1)
    return _with(roster, moved)


def _abolished(roster: Roster, index: int, body: MemberAbolish) -> Roster:
    where = name_of(body)
    member = _changing(roster, body)
    successor = roster.member(body.successor)
    if successor.revoked or successor.code == member.code:
        raise ProofError(where, "another active office as successor", body.successor)
    if any(each.parent == member.code for each in roster.active()):
        raise ProofError(where, "no active office under it", "one that has to move first")
    cut = _cut(roster, index, member, body)
    gone = replace(member, revoked=True, successor=successor.code, turn=body.turn + 1)
    return _with(roster, gone, cut)


def _ruled(roster: Roster, index: int, body: PolicySet) -> Roster:
    where = name_of(body)
    if body.version != roster.rules.version + 1:
        raise ProofError(where, f"version {roster.rules.version + 1}", body.version)
    check_rules(where, body)
    _check_fresh(roster, where, outside_keys(body) - outside_keys(roster.rules))
    return replace(roster, rules=body)


def _recovering(roster: Roster, index: int, body: RecoverySet) -> Roster:
    where = name_of(body)
    before = roster.recovery.version if roster.recovery else 0
    if body.version != before + 1:
        raise ProofError(where, f"version {before + 1}", body.version)
    if len(body.key) != 32 or not any(body.key):
        raise ProofError(where, "a public key of 32 bytes", f"{len(body.key)} bytes")
    return replace(roster, recovery=body)


def _changing(
    roster: Roster, body: MemberRotate | MemberRevoke | MemberMove | MemberAbolish
) -> Member:
    """The office that a change is about, which must be there, by its turn."""
    member = roster.member(body.code)
    _check_turn(roster, body)
    if member.successor is not None:
        raise ProofError(name_of(body), "an office that the state has not abolished", "another")
    return member


def _check_turn(
    roster: Roster,
    body: MemberAdmit | MemberRotate | MemberRevoke | MemberMove | MemberAbolish,
) -> None:
    if body.turn != roster.turn(body.code):
        raise ProofError(name_of(body), f"turn {roster.turn(body.code)}", body.turn)


def _parent(roster: Roster, where: str, tier: str, code: str) -> OfficeCode | None:
    if tier == "province":
        if code:
            raise ProofError(where, "no parent for the province", code)
        return None
    parent = roster.member(code)
    if parent.tier != PARENT_TIER[tier] or parent.revoked:
        raise ProofError(where, f"an active {PARENT_TIER[tier]} as parent", code)
    return parent.code


def _check_fresh(roster: Roster, where: str, keys: Iterable[bytes]) -> None:
    for key in keys:
        if roster.uses(key):
            raise ProofError(where, "keys that nobody ever had", key.hex()[:16])


def _cut(roster: Roster, index: int, member: Member, body: MemberRevoke | MemberAbolish) -> Closure:
    """The closure that a change brings.  The province's keys are rotated, never closed: the
    change would stand in the log that it cuts."""
    where = name_of(body)
    if member.parent is None:
        raise ProofError(where, "an office below the province", member.code)
    if not body.log_size and body.log_root.raw != EMPTY_ROOT:
        raise ProofError(where, "the root of no events", body.log_root.hex[:16])
    last = roster.closure(member.code)
    if last is not None:
        same = (body.log_size, body.log_root) == (last.log_size, last.log_root)
        if not same and (member.revoked or body.log_size <= last.log_size):
            raise ProofError(where, f"the closure at {last.log_size} or beyond", body.log_size)
    return Closure(member.code, index, body.log_size, body.log_root, member.log_key)


_NEXT: Final[dict[type[Any], Callable[[Roster, int, Any], Roster]]] = {
    MemberAdmit: _admitted,
    MemberRotate: _rotated,
    MemberRevoke: _revoked,
    MemberMove: _moved,
    MemberAbolish: _abolished,
    PolicySet: _ruled,
    RecoverySet: _recovering,
}


@dataclass(frozen=True, slots=True)
class RosterRef:
    """A size of the provincial log and its root: the roster an event was made under."""

    size: int
    root: RootHash


class RosterHistory:
    """Every roster of a network so far, oldest first."""

    def __init__(self, genesis: Genesis) -> None:
        self._rosters = [Roster(genesis)]

    @property
    def newest(self) -> Roster:
        return self._rosters[-1]

    def __iter__(self) -> Iterator[Roster]:
        return iter(self._rosters)

    def at(self, size: int) -> Roster:
        """The roster after the first ``size`` events of the provincial log."""
        after = bisect_right(self._rosters, size, key=lambda roster: roster.size)
        return self._rosters[after - 1]

    def apply(self, index: int, body: RosterChange) -> Roster:
        """Take the change at ``index``.  Rosters of that index or later are forgotten first:
        they come from a transaction that was not committed.

        Raises:
            ProofError, DecodeError: see :meth:`Roster.apply`; the history is as before.
        """
        roster = self.at(index).apply(index, body)
        while self.newest.size > index:
            self._rosters.pop()
        self._rosters.append(roster)
        return roster
