"""Random changes of members against a model that knows the rules and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.events import (
    MemberAbolish,
    MemberMove,
    MemberRevoke,
    OutsideWitness,
    PolicySet,
)
from ledger.members import signing_keys
from ledger.note import COSIGNATURE_V1, NoteKey
from ledger.roster import RosterHistory
from protocol.errors import DecodeError, ProofError
from protocol.ids import RootHash
from protocol.merkle import EMPTY_ROOT
from tests.unit.ledger.conftest import PROVINCE, Network, key

CITIES = ("320500", "320600", "320700")
COUNTIES = ("320581", "320582", "320681")
CODES = (PROVINCE, *CITIES, *COUNTIES)
UPPER = {"county": "city", "city": "province"}
FIELDS = ("log_key", "witness_key", "mirror_key", "event_key")
KEYS = tuple(key(f"a key {number}").public for number in range(14))
ROOTS = (RootHash(EMPTY_ROOT), RootHash(b"a" * 32), RootHash(b"b" * 32))


def tier_of(code):
    return "province" if code == PROVINCE else "city" if code in CITIES else "county"


@dataclass
class Office:
    tier: str
    parent: str
    name: str
    keys: list
    turn: int = 1
    active: bool = True
    successor: str = ""


@dataclass
class Model:
    """What docs/spec/membership.md says, on dictionaries; ``None`` from a rule is a refusal."""

    first_log_key: bytes
    used: set  # every key that anybody has or had
    offices: dict = field(default_factory=dict)
    cuts: dict = field(default_factory=dict)  # office -> its last (size, root)
    version: int = 1
    outside: set = field(default_factory=set)

    def takes(self, body, roots):
        """Whether the change is accepted; then it is made."""
        if roots < 2:
            return False
        if isinstance(body, PolicySet):
            return self.policy(body)
        office = self.offices.get(body.code)
        if body.turn != (office.turn if office else 0):
            return False
        kind = type(body).__name__.removeprefix("Member").lower()
        if kind != "admit" and (office is None or office.successor):
            return False
        if not getattr(self, kind)(body, office):
            return False
        if office:
            self.offices[body.code].turn = body.turn + 1
        return True

    def is_active(self, code):
        return code in self.offices and self.offices[code].active

    def is_parent(self, tier, parent):
        if tier == "province":
            return parent == ""
        return self.is_active(parent) and self.offices[parent].tier == UPPER[tier]

    def are_new(self, keys, kept=()):
        others = self.used | self.outside
        return len(set(keys)) == 4 and not any(
            each in others and (not kept or kept[at] != each) for at, each in enumerate(keys)
        )

    def admit(self, body, office):
        keys = [getattr(body, name) for name in FIELDS]
        if office and (office.active or office.successor or office.tier != body.tier):
            return False
        is_first = body.code == PROVINCE
        if is_first != (body.tier == "province") or not self.is_parent(body.tier, body.parent):
            return False
        if is_first and keys[0] != self.first_log_key:
            return False
        if not self.are_new(keys):
            return False
        self.offices[body.code] = Office(body.tier, body.parent, body.name, keys)
        self.used |= set(keys)
        return True

    def rotate(self, body, office):
        keys = [getattr(body, name) for name in FIELDS]
        if not office.active or not self.are_new(keys, office.keys):
            return False
        office.keys = keys
        self.used |= set(keys)
        return True

    def close(self, body, office):
        cut, last = (body.log_size, body.log_root), self.cuts.get(body.code)
        if office.tier == "province" or (cut[0] == 0 and cut[1].raw != EMPTY_ROOT):
            return False
        if last and cut != last and (not office.active or cut[0] <= last[0]):
            return False
        self.cuts[body.code] = cut
        office.active = False
        return True

    def revoke(self, body, office):
        return office.active and self.close(body, office)

    def move(self, body, office):
        if not self.is_parent(office.tier, body.parent) or not body.name:
            return False
        office.parent, office.name = body.parent, body.name
        return True

    def abolish(self, body, office):
        if body.successor == body.code or not self.is_active(body.successor):
            return False
        if any(each.active and each.parent == body.code for each in self.offices.values()):
            return False
        if not self.close(body, office):
            return False
        office.successor = body.successor
        return True

    def policy(self, body):
        new = {NoteKey.parse(each.vkey).public for each in body.outside}
        if body.version != self.version + 1 or body.outside_needed > len(new):
            return False
        if body.city_county < 1 or (new - self.outside) & self.used:
            return False
        self.version, self.outside = body.version, new
        return True


codes, keys = st.sampled_from(CODES), st.sampled_from(KEYS)
four = st.lists(keys, min_size=4, max_size=4)
# Where there is an honest choice it is drawn most often, so that stories get somewhere.
cuts = st.one_of(st.none(), st.none(), st.tuples(st.integers(0, 3), st.sampled_from(ROOTS)))
parents = st.one_of(st.none(), st.none(), st.none(), codes)
masks = st.integers(0, 15)
changes = st.one_of(
    st.tuples(st.just("admit"), codes, parents, four),
    st.tuples(st.just("rotate"), codes, masks, four),
    st.tuples(st.just("revoke"), codes, cuts),
    st.tuples(st.just("move"), codes, parents, st.sampled_from(["", "name", "名"])),
    st.tuples(st.just("abolish"), codes, parents, cuts),
    st.tuples(st.just("policy"), st.integers(0, 2), st.lists(keys, max_size=2, unique=True)),
)
steps = st.tuples(
    changes,
    st.sampled_from([*[0] * 14, -1, 1]),  # how far off the turn is
    st.sampled_from([*[2] * 14, 3, 1, 0]),  # how many roots sign
)


class Story:
    """Bodies with fresh keys, unless a step asks for keys of the small pool."""

    def __init__(self):
        self.network = Network()
        self.minted = 0
        self.history = RosterHistory(self.network.genesis)
        self.model = Model(
            self.network.genesis.log_key, set(self.network.genesis.root_keys().values())
        )

    def fresh(self):
        self.minted += 1
        return key(f"fresh {self.minted}").public

    def keys(self, drawn):
        """Two of three times nobody has them."""
        if sum(KEYS.index(each) for each in drawn) % 3:
            return [self.fresh() for _ in FIELDS]
        return drawn

    def body(self, change, off):
        kind, about, *rest = change
        if kind == "policy":
            (outside,) = rest
            named = tuple(
                OutsideWitness(
                    f"w{at}", NoteKey(f"w{at}", COSIGNATURE_V1, each).vkey, "http://w.example"
                )
                for at, each in enumerate(outside)
            )
            return PolicySet(self.model.version + 1 + off, about, 0, named, about // 2, ())
        office = self.model.offices.get(about)
        turn = max((office.turn if office else 0) + off, 0)
        if kind == "admit":
            return self.admission(about, turn, *rest)
        if kind == "rotate":
            mask, drawn = rest
            drawn = self.keys(drawn)
            if office:
                drawn = [old if mask >> at & 1 else drawn[at] for at, old in enumerate(office.keys)]
            return replace(
                self.network.rotate_body(PROVINCE, turn),
                code=about,
                **dict(zip(FIELDS, drawn, strict=True)),
            )
        if kind == "move":
            return MemberMove(about, self.parent(about, rest[0]), rest[1], turn, ())
        cut = rest[-1] or self.honest_cut(about)
        if kind == "revoke":
            return MemberRevoke(about, *cut, turn, ())
        others = (each for each in CODES[::-1] if each != about and self.model.is_active(each))
        return MemberAbolish(about, rest[0] or next(others, PROVINCE), *cut, turn, ())

    def parent(self, code, drawn):
        """What was drawn, or the first that may be one."""
        honest = (each for each in CODES if self.model.is_parent(tier_of(code), each))
        return drawn or ("" if code == PROVINCE else next(honest, PROVINCE))

    def honest_cut(self, code):
        """The last closure of an office that is closed, or one beyond it."""
        size, root = self.model.cuts.get(code, (0, ROOTS[1]))
        return (size + 1, ROOTS[1]) if self.model.is_active(code) else (size, root)

    def admission(self, code, turn, parent, drawn):
        drawn = self.keys(drawn)
        if code == PROVINCE and not self.model.offices:
            drawn = [self.network.genesis.log_key, *drawn[1:]]
        return replace(
            self.network.admit_body(PROVINCE, turn),
            code=code,
            tier=tier_of(code),
            parent=self.parent(code, parent),
            **dict(zip(FIELDS, drawn, strict=True)),
        )

    def step(self, change, off=0, roots=2):
        """Whether both accepted it; they must agree."""
        body = self.body(change, off)
        before = self.history.newest
        try:
            self.history.apply(before.size, self.network.with_roots(body, roots))
            accepted = True
        except (ProofError, DecodeError):
            accepted = False
            assert self.history.newest is before
        assert self.model.takes(body, roots) == accepted, body
        return accepted

    def found(self):
        for code, parent in (
            (PROVINCE, ""),
            *((city, PROVINCE) for city in CITIES[:2]),
            *((county, CITIES[0]) for county in COUNTIES[:2]),
        ):
            drawn = [KEYS[0]] * 3 + [KEYS[1]]  # a sum of 1: fresh ones
            assert self.step(("admit", code, parent, drawn))
        return self

    def check(self):
        roster, model = self.history.newest, self.model
        assert roster.rules.version == model.version
        told = {
            code: Office(
                member.tier,
                member.parent or "",
                member.name,
                list(signing_keys(member)),
                member.turn,
                not member.revoked,
                member.successor or "",
            )
            for code, member in roster.members.items()
        }
        assert told == model.offices
        ever = [each for m in roster.members.values() for each in m.signing_keys | m.former]
        assert len(ever) == len(set(ever))
        assert set(ever) | set(self.network.genesis.root_keys().values()) == model.used
        last = {cut.code: (cut.log_size, cut.log_root) for cut in roster.closures}
        assert last == model.cuts
        for code, member in roster.members.items():
            heir = roster.member(roster.heir(code))
            assert heir.successor is None
            above = [each.code for each in roster.above(code)]
            assert len(above) == len(set(above)) <= len(roster.members)
            assert not above or above[-1] == PROVINCE
            assert all(roster.members[each].successor is None for each in above)
            if member.parent and not member.revoked:
                assert roster.member(member.parent).successor is None


@settings(max_examples=60, deadline=None)
@given(st.lists(steps, min_size=12, max_size=30))
def test_the_roster_follows_its_rules(story):
    both = Story().found()
    sizes = [(both.history.newest.size, dict(both.history.newest.members))]
    for change, off, roots in story:
        if both.step(change, off, roots):
            sizes.append((both.history.newest.size, dict(both.history.newest.members)))
        both.check()
    for size, members in sizes:
        assert both.history.at(size).members == members
