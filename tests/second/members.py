"""The genesis note and who belongs, by ``docs/spec/membership.md``: the basics, no addresses."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from tests.second import ed25519, notes, values
from tests.second.notes import Key
from tests.second.values import Bad, Value

ABOVE = {"city": "province", "county": "city"}
ORDER = ("province", "city", "county")
KEYS = ("log", "witness", "mirror", "event")


@dataclass(frozen=True)
class Genesis:
    network: str
    province: str
    threshold: int
    roots: tuple[Key, ...]
    log_key: bytes
    id: bytes

    def origin(self, code: str) -> str:
        return f"{self.network}/{code}"


def read_genesis(data: bytes) -> Genesis:
    note = notes.read_note(data)
    rows = note.text.decode().split("\n")
    try:
        title, network, province, threshold, *roots, log, end = rows
        words = [row.split(" ") for row in (network, province, threshold, *roots, log)]
        names = [name for name, _ in words]
        told = [value for _, value in words]
    except ValueError as error:
        raise Bad("another number of lines or words") from error
    if (
        (title, end) != ("fangzhi genesis v1", "")
        or not roots
        or names
        != [
            "network",
            "province",
            "threshold",
            *["root"] * len(roots),
            "log",
        ]
    ):
        raise Bad("not the lines of a genesis note")
    keys = tuple(map(notes.read_vkey, told[3:-1]))
    if len({key.public for key in keys}) != len(keys) or {key.kind for key in keys} != {1}:
        raise Bad("one root key twice, or of another type")
    needed, log_key = notes.decimal(told[2]), told[-1]
    if not 1 <= needed <= len(keys) or len(log_key) != 64 or log_key.strip("0123456789abcdef"):
        raise Bad("the threshold or the log key")
    if len(notes.signers(note, keys)) < needed:
        raise Bad("too few root signatures")
    network_id = hashlib.sha256(note.text).digest()
    return Genesis(told[0], told[1], needed, keys, bytes.fromhex(log_key), network_id)


def key_id(public: bytes) -> bytes:
    """``docs/spec/keys.md``: 16 bytes."""
    return b"\1" + hashlib.sha256(b"\1" + public).digest()[:15]


@dataclass(frozen=True)
class Closure:
    code: str
    index: int
    size: int
    root: bytes
    log_key: bytes


@dataclass(frozen=True)
class Member:
    code: str
    tier: str
    parent: str
    keys: tuple[bytes, ...]
    active: bool = True


@dataclass(frozen=True)
class Roster:
    """Members and what was closed after some changes; ``apply`` gives the next."""

    genesis: Genesis
    members: dict[str, Member] = field(default_factory=dict)
    turns: dict[str, int] = field(default_factory=dict)
    used: frozenset[bytes] = frozenset()
    closures: tuple[Closure, ...] = ()
    version: int = 1

    def apply(self, index: int, kind: str, body: tuple[Value, ...]) -> Roster:
        """Raises Bad for a change that counts for nothing."""
        self._check_signatures(kind, body)
        *told, turn, _ = body
        if kind == "policy.set":
            return self._policy(body)
        code = told[0]
        assert isinstance(code, str)
        if turn != self.turns.get(code, 0):
            raise Bad("another turn")
        after = getattr(self, "_" + kind.removeprefix("member."))(index, *told)
        assert isinstance(after, Roster)
        return replace(after, turns={**self.turns, code: self.turns.get(code, 0) + 1})

    def above(self, code: str) -> Iterator[str]:
        """The offices above one, the nearest first."""
        member = self.members.get(code)
        while member and member.parent:
            yield member.parent
            member = self.members.get(member.parent)

    def _check_signatures(self, kind: str, body: tuple[Value, ...]) -> None:
        signed = (self.genesis.id, kind, (*body[:-1], ()))
        message = b"fangzhi/roster/v1\n" + values.write(signed)
        roots = {key_id(root.public): root.public for root in self.genesis.roots}
        good = set()
        signatures = body[-1]
        assert isinstance(signatures, tuple)
        for each in signatures:
            assert isinstance(each, tuple)
            name, signature = each
            assert isinstance(name, bytes)
            assert isinstance(signature, bytes)
            if name not in roots:
                continue
            if not ed25519.verifies(roots[name], message, signature):
                raise Bad("a bad root signature")
            good.add(name)
        if len(good) < self.genesis.threshold:
            raise Bad("too few root signatures")

    def _with(self, member: Member, **changes: object) -> Roster:
        members = {**self.members, member.code: member}
        return replace(self, members=members, **changes)

    def _active(self, code: str) -> Member:
        member = self.members.get(code)
        if member is None or not member.active:
            raise Bad("not an active office")
        return member

    def _check_parent(self, tier: str, parent: str) -> None:
        if tier not in ORDER or (tier == "province") != (parent == ""):
            raise Bad("the tier, or its parent")
        if parent and self._active(parent).tier != ABOVE[tier]:
            raise Bad("a parent of another tier")

    def _new_keys(self, keys: tuple[bytes, ...], kept: tuple[bytes, ...] = ()) -> frozenset[bytes]:
        taken = self.used - {old for old, new in zip(kept, keys, strict=False) if old == new}
        if len(set(keys)) != len(keys) or taken & set(keys) or {len(key) for key in keys} != {32}:
            raise Bad("a key that was used before, or of another length")
        return self.used | set(keys)

    def _admit(
        self, _index: int, code: str, _name: str, tier: str, parent: str, *rest: object
    ) -> Roster:
        keys = tuple(key for key in rest[:4] if isinstance(key, bytes))
        old = self.members.get(code)
        if old and (old.active or old.tier != tier):
            raise Bad("a member already, or of another tier")
        self._check_parent(tier, parent)
        if (tier == "province") != (code == self.genesis.province):
            raise Bad("another province")
        if old is None and tier == "province" and keys[0] != self.genesis.log_key:
            raise Bad("not the log key of the genesis note")
        return self._with(Member(code, tier, parent, keys), used=self._new_keys(keys))

    def _rotate(self, _index: int, code: str, *rest: object) -> Roster:
        keys = tuple(key for key in rest[:4] if isinstance(key, bytes))
        old = self._active(code)
        return self._with(replace(old, keys=keys), used=self._new_keys(keys, old.keys))

    def _revoke(self, index: int, code: str, size: int, root: bytes) -> Roster:
        old = self._active(code)
        closure = Closure(code, index, size, root, old.keys[0])
        return self._with(replace(old, active=False), closures=(*self.closures, closure))

    def _move(self, _index: int, code: str, parent: str, _name: str) -> Roster:
        old = self._active(code)
        self._check_parent(old.tier, parent)
        return self._with(replace(old, parent=parent))

    def _abolish(self, index: int, code: str, successor: str, size: int, root: bytes) -> Roster:
        if successor == code or self._active(successor).tier != self._active(code).tier:
            raise Bad("no successor")
        return self._revoke(index, code, size, root)

    def _policy(self, body: tuple[Value, ...]) -> Roster:
        if body[0] != self.version + 1:
            raise Bad("not the next version")
        return replace(self, version=self.version + 1)
