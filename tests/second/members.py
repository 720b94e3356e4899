"""The genesis note, who belongs and who acts for whom, by ``docs/spec/membership.md``."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from tests.second import ed25519, notes, values
from tests.second.notes import Key
from tests.second.values import Bad, Value

ABOVE = {"city": "province", "county": "city"}
ORDER = ("province", "city", "county")
WORDS = ("members", "outside", "quorum", "none")
ROLES = {
    "administrator": ("version.withdraw", "rights.grant", "rights.revoke"),
    "clerk": ("version.upload", "text.derive"),
    "reviewer": ("review.accept", "review.return"),
}


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


@dataclass(frozen=True)
class Member:
    code: str
    tier: str
    parent: str
    keys: tuple[bytes, ...]
    log_keys: tuple[tuple[int, bytes], ...]  # since which change, oldest first
    active: bool = True
    successor: str = ""


@dataclass(frozen=True)
class User:
    """A named user's key, as the log of the office enrolled it."""

    key: bytes
    roles: tuple[str, ...]
    roster_size: int
    retired: bool = False


@dataclass(frozen=True)
class Roster:
    """Members and what was closed after some changes; ``apply`` gives the next."""

    genesis: Genesis
    members: dict[str, Member] = field(default_factory=dict)
    turns: dict[str, int] = field(default_factory=dict)
    used: frozenset[bytes] = frozenset()
    closures: tuple[Closure, ...] = ()
    version: int = 1
    recovery: int = 0  # the version of the recovery key
    outside: tuple[Key, ...] = ()

    def apply(self, index: int, kind: str, body: tuple[Value, ...]) -> Roster:
        """Raises Bad for a change that counts for nothing."""
        self._check_signatures(kind, body)
        if kind == "policy.set":
            return self._policy(body)
        if kind == "recovery.set":
            return self._recovery(body)
        *told, turn, _ = body
        code = told[0]
        assert isinstance(code, str)
        if turn != self.turns.get(code, 0):
            raise Bad("another turn")
        after = getattr(self, "_" + kind.removeprefix("member."))(index, *told)
        assert isinstance(after, Roster)
        return replace(after, turns={**self.turns, code: self.turns.get(code, 0) + 1})

    def heir(self, code: str) -> str:
        """Itself, or the last in the chain of successors."""
        member = self.members.get(code)
        return self.heir(member.successor) if member and member.successor else code

    def above(self, code: str) -> Iterator[str]:
        """The offices above the heir, the nearest first; heirs in the place of abolished ones."""
        member = self.members.get(self.heir(code))
        while member and member.parent:
            upper = self.heir(member.parent)
            yield upper
            member = self.members.get(upper)

    def event_key(self, code: str, kind: str, body: tuple[Value, ...], signer: bytes) -> bytes:
        """The service key of this id; the province's own admission or rotation may bring it.

        Raises Bad when the signer's key does not count.
        """
        member = self.members.get(code)
        keys = [member.keys[3]] if member and member.active else []
        first = {"member.admit": 4, "member.rotate": 1}.get(kind)
        if first and body[0] == code == self.genesis.province:
            brought = body[first + 3]
            assert isinstance(brought, bytes)
            keys.append(brought)
        for key in keys:
            if key_id(key) == signer:
                return key
        raise Bad("a signer who does not count")

    def has_lapsed(self, code: str, user: User) -> bool:
        """Whether a closure of the office lapsed the key."""
        return any(cut.code == code and user.roster_size <= cut.index for cut in self.closures)

    def counts(self, code: str, user: User | None) -> bool:
        """Whether a user's key may sign for the office."""
        member = self.members.get(code)
        good = user is not None and not user.retired and not self.has_lapsed(code, user)
        return good and member is not None and member.active

    def enrolled(self, code: str, body: tuple[Value, ...], size: int, old: User | None) -> User:
        """Raises Bad for a key or roles that cannot be enrolled."""
        key, _, roles = body
        assert isinstance(key, bytes)
        assert isinstance(roles, tuple)
        told = tuple(role for role in roles if isinstance(role, str))
        if len(key) != 32 or key in self.taken or (old and not self.has_lapsed(code, old)):
            raise Bad("a key of somebody, or of another length")
        if not told or list(told) != sorted(set(told)) or set(told) - set(ROLES):
            raise Bad("the roles")
        return User(key, told, size)

    @property
    def taken(self) -> frozenset[bytes]:
        """Keys that nobody new may have."""
        others = (*self.genesis.roots, *self.outside)
        return self.used | {each.public for each in others}

    def is_void(self, code: str, index: int, roster_size: int) -> bool:
        return any(
            cut.code == code and index >= cut.size and roster_size <= cut.index
            for cut in self.closures
        )

    def bound(self, code: str, key: bytes) -> int | None:
        """Up to which size a log key counts; None: it is not closed."""
        member = self.members.get(code)
        for since, each in member.log_keys if member else ():
            if each == key:
                sizes = [
                    cut.size for cut in self.closures if cut.code == code and cut.index > since
                ]
                return sizes[0] if sizes else None
        return None

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

    def _kept(self, code: str) -> Member:
        """An office that the state has not abolished."""
        member = self.members.get(code)
        if member is None or member.successor:
            raise Bad("no such office any more")
        return member

    def _active(self, code: str) -> Member:
        member = self._kept(code)
        if not member.active:
            raise Bad("not an active office")
        return member

    def _check_parent(self, tier: str, parent: str) -> None:
        if tier not in ORDER or (tier == "province") != (parent == ""):
            raise Bad("the tier, or its parent")
        if parent and self._active(parent).tier != ABOVE[tier]:
            raise Bad("a parent of another tier")

    def _new_keys(self, keys: tuple[bytes, ...], kept: tuple[bytes, ...] = ()) -> frozenset[bytes]:
        taken = self.taken - {old for old, new in zip(kept, keys, strict=False) if old == new}
        if len(set(keys)) != len(keys) or taken & set(keys) or {len(key) for key in keys} != {32}:
            raise Bad("a key that was used before, or of another length")
        return self.used | set(keys)

    def _admit(
        self, index: int, code: str, name: str, tier: str, parent: str, *rest: object
    ) -> Roster:
        keys = _keys_of(rest)
        old = self.members.get(code)
        if old and (old.active or old.successor or old.tier != tier):
            raise Bad("a member already, abolished, or of another tier")
        self._check_parent(tier, parent)
        if (tier == "province") != (code == self.genesis.province):
            raise Bad("another province")
        if old is None and tier == "province" and keys[0] != self.genesis.log_key:
            raise Bad("not the log key of the genesis note")
        if not re.fullmatch("[0-9]{6}", code):
            raise Bad("not a code")
        _check_name(name)
        log_keys = (*(old.log_keys if old else ()), (index, keys[0]))
        return self._with(Member(code, tier, parent, keys, log_keys), used=self._new_keys(keys))

    def _rotate(self, index: int, code: str, *rest: object) -> Roster:
        keys = _keys_of(rest)
        old = self._active(code)
        log_keys = old.log_keys if keys[0] == old.keys[0] else (*old.log_keys, (index, keys[0]))
        used = self._new_keys(keys, old.keys)
        return self._with(replace(old, keys=keys, log_keys=log_keys), used=used)

    def _revoke(self, index: int, code: str, size: int, root: bytes) -> Roster:
        return self._close(index, self._active(code), size, root)

    def _close(self, index: int, old: Member, size: int, root: bytes, heir: str = "") -> Roster:
        if old.tier == "province":
            raise Bad("keys of the province are never closed")
        if size == 0 and root != hashlib.sha256().digest():
            raise Bad("a root of nothing")
        before = [(cut.size, cut.root) for cut in self.closures if cut.code == old.code][-1:]
        for last in before:
            if (size, root) != last and (not old.active or size <= last[0]):
                raise Bad("before the last closure, or another one of a revoked office")
        closure = Closure(old.code, index, size, root)
        gone = replace(old, active=False, successor=heir)
        return self._with(gone, closures=(*self.closures, closure))

    def _move(self, _index: int, code: str, parent: str, name: str) -> Roster:
        old = self._kept(code)
        self._check_parent(old.tier, parent)
        _check_name(name)
        return self._with(replace(old, parent=parent))

    def _abolish(self, index: int, code: str, successor: str, size: int, root: bytes) -> Roster:
        if successor == code:
            raise Bad("its own successor")
        self._active(successor)
        if any(each.active and each.parent == code for each in self.members.values()):
            raise Bad("active offices below it")
        return self._close(index, self._kept(code), size, root, successor)

    def _recovery(self, body: tuple[Value, ...]) -> Roster:
        version, key, _ = body
        if version != self.recovery + 1 or not is_sealing_key(key):
            raise Bad("another version, or no key")
        return replace(self, recovery=self.recovery + 1)

    def _policy(self, body: tuple[Value, ...]) -> Roster:
        version, members, _, named, needed, _ = body
        assert isinstance(members, int)
        assert isinstance(needed, int)
        assert isinstance(named, tuple)
        names, keys = [], []
        for name, vkey, url in named:
            _check_name(name)
            _check_address(url, web=True)
            if not name[0].isalpha() or " " in name or name in WORDS or not url:
                raise Bad("the name or address of an outside witness")
            names.append(name)
            keys.append(notes.read_vkey(vkey))
        fresh = {key.public for key in keys}
        if len(set(names)) != len(names) or len(fresh) != len(keys) or len(keys) > 16:
            raise Bad("an outside witness twice, or too many")
        if any(key.kind != notes.COSIGNATURE for key in keys):
            raise Bad("a key of another type")
        if version != self.version + 1 or members < 1 or needed > len(keys):
            raise Bad("another version, or numbers that cannot be")
        taken = self.used | {root.public for root in self.genesis.roots}
        if (fresh - {key.public for key in self.outside}) & taken:
            raise Bad("a key of somebody here")
        return replace(self, version=self.version + 1, outside=tuple(keys))


def is_sealing_key(key: Value) -> bool:
    return isinstance(key, bytes) and len(key) == 32 and key != bytes(32)


def _keys_of(rest: tuple[object, ...]) -> tuple[bytes, ...]:
    """The signing keys; they are followed by a pin and two addresses."""
    *keys, pin, peer, web = rest
    told = tuple(key for key in keys if isinstance(key, bytes))
    if not isinstance(pin, bytes) or len(pin) != 32:
        raise Bad("the pin")
    _check_address(peer)
    _check_address(web, web=True)
    return told


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not 1 <= len(name) <= 100 or not name.isprintable():
        raise Bad("a name")


def _check_address(address: object, *, web: bool = False) -> None:
    if not isinstance(address, str) or not re.fullmatch("[!-~]{0,255}", address):
        raise Bad("an address")
    if web and address and not address.startswith(("http://", "https://")):
        raise Bad("an address of another scheme")
