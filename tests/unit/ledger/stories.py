"""Lives of small networks in which everything is done by the rules of membership.

An act that the rules do not allow at its time is left out, so any list of acts is a life.
"""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from ledger.changes import SomeChange
from ledger.custody import HoldTake
from ledger.events import (
    Anchor,
    AnchorLine,
    KeyEnroll,
    KeyRetire,
    MemberAbolish,
    MemberMove,
    MemberRevoke,
    PolicySet,
    ReviewAccept,
    VersionUpload,
    sign_event,
)
from ledger.roster import Roster
from protocol.errors import ProofError
from protocol.ids import BlobId, EventRef, ItemId, OfficeCode, RootHash
from protocol.keys import SigningKey, key_id
from tests.unit.ledger.conftest import CITY, CITY2, COUNTY, COUNTY2, PROVINCE, TIERS, Network, key

OFFICES = (PROVINCE, CITY, CITY2, COUNTY, COUNTY2)
BLOB = BlobId.of(b"x")

offices = st.sampled_from(OFFICES)
cities = st.sampled_from([PROVINCE, CITY, CITY2])
below = st.sampled_from(OFFICES[1:])
acts = st.one_of(
    st.tuples(st.just("report"), offices, st.booleans()),
    st.tuples(st.just("report"), offices, st.booleans()),
    st.tuples(st.just("review"), st.integers(0, 5)),
    st.tuples(st.just("inherit"), st.integers(0, 5)),
    st.tuples(st.just("hold"), offices, st.integers(1, 3)),
    st.tuples(st.just("enroll"), offices),
    st.tuples(st.just("retire"), offices),
    st.tuples(st.just("rotate"), offices),
    st.tuples(st.just("revoke"), below, st.integers(0, 2)),
    st.tuples(st.just("come_back"), below, cities),
    st.tuples(st.just("come_back"), below, cities),
    st.tuples(st.just("move"), offices, cities),
    st.tuples(st.just("abolish"), below, offices),
    st.tuples(st.just("policy"), st.integers(1, 3)),
)


class Story:
    """A network of five offices; ``order`` tells in which logs its events stand, as they came."""

    def __init__(self) -> None:
        self.network = Network()
        self.roster = Roster(self.network.genesis)
        self.order: list[OfficeCode] = []
        self.clerks: dict[str, list[SigningKey]] = {}
        self.uploads: list[tuple[ItemId, VersionUpload, EventRef]] = []
        for code in OFFICES:
            self.change(self.network.admit_body(code))

    def live(self, life: list[tuple[str, ...]]) -> Story:
        for name, *arguments in life:
            getattr(self, name)(*arguments)
        return self

    def say(self, code: OfficeCode, *bodies: object) -> EventRef:
        self.order += [code] * len(bodies)
        return self.network.append(code, *bodies)

    def change(self, body: SomeChange, renew: str = "") -> bool:
        """Whether the change keeps the rules; then it is in the provincial log.  ``renew`` is the
        office that has another generation of keys from here on."""
        signed = self.network.with_roots(body)
        try:
            self.roster = self.roster.apply(len(self.network.logs.get(PROVINCE, [])), signed)
        except ProofError:
            if renew:
                self.network.generation[renew] -= 1
            return False
        self.say(PROVINCE, signed)
        return True

    # what offices say

    def report(self, code: OfficeCode, by_clerk: bool) -> None:
        """A new item, said by the service key or by the last clerk."""
        if not self.roster.is_active(code):
            return
        item = self.network.mint(code)
        body = self.network.upload(code, item, f"manifest {item}")
        if by_clerk and self.clerks.get(code):
            context, clerk = self.network.context(code), self.clerks[code][-1]
            event = sign_event(context, body, self.network.now, clerk)
            self.order.append(code)
            self.network.append_raw(code, event.encoded())
            ref = self.network.ref(code, context.last_size)
        else:
            ref = self.say(code, body)
        self.uploads.append((item, body, ref))

    def review(self, at: int) -> None:
        if not self.uploads:
            return
        item, body, ref = self.uploads[at % len(self.uploads)]
        reviewer = self.roster.reviewer_of(item[:6])
        if self.roster.is_active(reviewer):
            self.say(reviewer, ReviewAccept(item, body.manifest, ref))

    def inherit(self, at: int) -> None:
        """A successor reports an item of an abolished office anew."""
        if not self.uploads:
            return
        item, body, _ = self.uploads[at % len(self.uploads)]
        heir = self.roster.heir(item[:6])
        first = all(each[0] != item or each[2].origin != heir for each in self.uploads)
        if first and heir != item[:6] and self.roster.is_active(heir):
            manifest = BlobId.of(f"{item} by {heir}".encode())
            newer = replace(body, manifest=manifest, supersedes=body.manifest)
            self.uploads.append((item, newer, self.say(heir, newer)))

    def hold(self, code: OfficeCode, count: int) -> None:
        if count and self.roster.is_active(code):
            item = self.uploads[-1][0] if self.uploads else self.network.mint(code)
            self.say(code, *(HoldTake(item, BLOB, 1, at) for at in range(count)))

    def enroll(self, code: OfficeCode) -> None:
        if self.roster.is_active(code):
            clerks = self.clerks.setdefault(code, [])
            clerks.append(key(f"clerk {code} {len(self.order)}"))
            self.say(code, KeyEnroll(clerks[-1].public, BLOB, ("clerk",)))

    def retire(self, code: OfficeCode) -> None:
        if self.clerks.get(code) and self.roster.is_active(code):
            self.say(code, KeyRetire(key_id(self.clerks[code].pop().public)))

    def anchor(self, code: OfficeCode) -> None:
        """The nearest active office above records what it saw of a log."""
        above = (each.code for each in self.roster.above(code) if not each.revoked)
        tree = self.network.tree(code)
        line = AnchorLine(code, tree.size, RootHash(tree.root()))
        self.say(next(above), Anchor((line,)))

    # what the roots sign

    def rotate(self, code: OfficeCode) -> None:
        self.network.generation[code] = self.network.generation.get(code, 0) + 1
        self.change(self.network.rotate_body(code, self.roster.turn(code)), renew=code)

    def revoke(self, code: OfficeCode, lost: int) -> None:
        """At the last anchor; ``lost`` events came later and are lost when the office is back."""
        if self.roster.is_active(code):
            self.anchor(code)
            tree = self.network.tree(code)
            self.hold(code, lost)
            turn = self.roster.turn(code)
            assert self.change(MemberRevoke(code, tree.size, RootHash(tree.root()), turn, ()))

    def come_back(self, code: OfficeCode, parent: OfficeCode) -> None:
        cut = self.roster.closure(code)
        self.network.generation[code] = self.network.generation.get(code, 0) + 1
        body = replace(self.network.admit_body(code, self.roster.turn(code)), parent=parent)
        if self.change(body, renew=code) and cut is not None:
            self.clerks.pop(code, None)
            log = self.network.logs.get(code, [])
            for _ in log[cut.log_size :]:
                at = len(self.order) - 1 - self.order[::-1].index(code)
                del self.order[at]
            del log[cut.log_size :]

    def move(self, code: OfficeCode, parent: OfficeCode) -> None:
        above = "" if TIERS[code] == "province" else parent
        self.change(MemberMove(code, above, f"moved {code}", self.roster.turn(code), ()))

    def abolish(self, code: OfficeCode, successor: OfficeCode) -> None:
        """Where its keys are closed already, or at an anchor of all that it said."""
        cut, tree = self.roster.closure(code), self.network.tree(code)
        turn = self.roster.turn(code)
        body = MemberAbolish(code, successor, tree.size, RootHash(tree.root()), turn, ())
        if not self.roster.is_active(code) and cut is not None:
            body = replace(body, log_size=cut.log_size, log_root=cut.log_root)
        try:
            self.roster.apply(self.roster.size, self.network.with_roots(body))
        except ProofError:
            return
        if self.roster.is_active(code):
            self.anchor(code)
        assert self.change(body)

    def policy(self, count: int) -> None:
        self.change(PolicySet(self.roster.rules.version + 1, count, count, (), 0, ()))
