"""Who belongs: the genesis note, the members, and whose word counts for what.

The provincial log carries the roster.  :class:`Roster` is immutable; :meth:`Roster.apply` gives
the next one, so a node keeps every past roster and judges an event by the roster its envelope
names.  Changes to members are signed by a threshold of the provincial root keys of the genesis
note, which is the only thing an auditor takes on trust.  docs/spec/membership.md.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

from ledger.checkpoint import log_key
from ledger.events import MemberAdmit, MemberRevoke, RootSignature
from ledger.fields import parse_decimal
from ledger.note import COSIGNATURE_V1, ED25519, Note, NoteKey, open_note, parse_note, sign_note
from protocol.canonical import encode
from protocol.errors import DecodeError, ProofError
from protocol.ids import NetworkId, OfficeCode, RootHash, parse_office
from protocol.keys import Signer, key_id, verify
from protocol.limits import (
    ADDRESS_CHARS_MAX,
    NAME_CHARS_MAX,
    NETWORK_OFFICES_MAX,
    ORIGIN_BYTES_MAX,
)
from protocol.shapes import to_value

GENESIS_TITLE: Final = "fangzhi genesis v1"
ROSTER_DOMAIN: Final = b"fangzhi/roster/v1\n"
TIERS: Final = ("province", "city", "county")
_HEX_KEY: Final = re.compile(r"[0-9a-f]{64}")
_PARENT_TIER: Final = {"county": "city", "city": "province"}


@dataclass(frozen=True)
class Genesis:
    """The founding text of a network: the trust anchor of every check."""

    network: str  # for example fzb.jiangsu.example
    province: OfficeCode
    threshold: int
    roots: tuple[NoteKey, ...]
    log_key: bytes  # the province's first log key: its roster is readable from here

    def text(self) -> str:
        lines = [
            GENESIS_TITLE,
            f"network {self.network}",
            f"province {self.province}",
            f"threshold {self.threshold}",
            *(f"root {root.vkey}" for root in self.roots),
            f"log {self.log_key.hex()}",
        ]
        return "\n".join(lines) + "\n"

    @cached_property
    def id(self) -> NetworkId:
        return NetworkId.of(self.text().encode())

    def root_keys(self) -> dict[bytes, bytes]:
        return {key_id(root.public): root.public for root in self.roots}

    def origin(self, code: str) -> str:
        """The origin line of an office's log."""
        return f"{self.network}/{code}"


def write_genesis(genesis: Genesis, signers: Mapping[str, Signer]) -> bytes:
    """The genesis note, signed by root keys given by key name."""
    text = genesis.text()
    signatures = (
        sign_note(text, root.name, signers[root.name])
        for root in genesis.roots
        if root.name in signers
    )
    return Note(text, tuple(signatures)).format()


def read_genesis(data: bytes) -> Genesis:
    """A genesis note whose own root keys have signed it often enough.

    Raises:
        DecodeError: not a genesis note.
        ProofError: fewer good signatures than its threshold.
    """
    genesis = _parse_genesis(parse_note(data).text)
    _, verified = open_note(data, genesis.roots)
    if len(verified) < genesis.threshold:
        raise ProofError("genesis note", f"{genesis.threshold} root signatures", len(verified))
    return genesis


def _parse_genesis(text: str) -> Genesis:
    lines = text.split("\n")
    if lines[0] != GENESIS_TITLE or len(lines) < 7:
        raise DecodeError("genesis note", repr(GENESIS_TITLE), repr(lines[0][:60]))
    words = [line.split(" ", 1) for line in lines[1:-1]]
    names = [word[0] for word in words]
    roots = len(words) - 4
    if names != ["network", "province", "threshold", *["root"] * roots, "log"]:
        raise DecodeError("genesis note", "network, province, threshold, root…, log", names)
    network, province, threshold, *root_lines, log = (word[-1] for word in words)
    needed = parse_decimal(threshold, "genesis threshold")
    if not 1 <= needed <= roots:
        raise DecodeError("genesis threshold", f"1 to {roots}", needed)
    if len(network.encode()) > ORIGIN_BYTES_MAX - 7 or not network.isascii() or " " in network:
        raise DecodeError("genesis network", "a short ASCII name", repr(network[:60]))
    if not _HEX_KEY.fullmatch(log):
        raise DecodeError("genesis log key", "64 hexadecimal digits", repr(log[:80]))
    genesis = Genesis(
        network=network,
        province=parse_office(province),
        threshold=needed,
        roots=tuple(NoteKey.parse(line) for line in root_lines),
        log_key=bytes.fromhex(log),
    )
    if len(genesis.root_keys()) != roots or any(root.type != ED25519 for root in genesis.roots):
        raise DecodeError(
            "genesis roots", "different keys of type 01", "a key twice or another type"
        )
    if genesis.text() != text:
        raise DecodeError("genesis note", "its canonical text", "another spelling")
    return genesis


@dataclass(frozen=True, slots=True)
class Member:
    """One office as the roster knows it."""

    code: OfficeCode
    name: str
    tier: str
    parent: OfficeCode | None
    log_key: bytes
    witness_key: bytes
    mirror_key: bytes
    event_key: bytes
    tls_pin: bytes
    peer_address: str
    web_url: str
    revoked: bool = False

    @property
    def always_on(self) -> bool:
        return self.tier != "county"

    def witness_name(self, genesis: Genesis) -> str:
        return f"{genesis.origin(self.code)}/witness"

    def mirror_name(self, genesis: Genesis) -> str:
        return f"{genesis.origin(self.code)}/mirror"

    def log_note_key(self, genesis: Genesis) -> NoteKey:
        return log_key(genesis.origin(self.code), self.log_key)

    def witness_note_key(self, genesis: Genesis) -> NoteKey:
        return NoteKey(self.witness_name(genesis), COSIGNATURE_V1, self.witness_key)

    def mirror_note_key(self, genesis: Genesis) -> NoteKey:
        return NoteKey(self.mirror_name(genesis), COSIGNATURE_V1, self.mirror_key)

    @property
    def signing_keys(self) -> frozenset[bytes]:
        return frozenset((self.log_key, self.witness_key, self.mirror_key, self.event_key))


@dataclass(frozen=True, slots=True)
class Closure:
    """Where a revocation cuts a log: what stands at ``log_size`` or later and does not know of the
    revocation (at index ``at`` of the provincial log) counts for nothing."""

    code: OfficeCode
    at: int
    log_size: int
    log_root: RootHash
    log_key: bytes  # the key that it closes


@dataclass(frozen=True)
class Roster:
    """The members at one size of the provincial log."""

    genesis: Genesis
    size: int = 0  # provincial events folded so far
    members: Mapping[OfficeCode, Member] = field(default_factory=dict)
    closures: tuple[Closure, ...] = ()

    def apply(self, index: int, body: MemberAdmit | MemberRevoke) -> Roster:
        """The roster after the provincial event at ``index``.

        Raises:
            ProofError: not signed by enough root keys, or against a rule of membership.
        """
        verify_change(self.genesis, body)
        closures = self.closures
        if isinstance(body, MemberRevoke):
            member = replace(self.member(body.code), revoked=True)
            closures += (Closure(member.code, index, body.log_size, body.log_root, member.log_key),)
        else:
            member = self._admitted(body)
        members = {**self.members, member.code: member}
        return replace(self, size=index + 1, members=members, closures=closures)

    def is_void(self, code: str, index: int, roster_size: int) -> bool:
        """Whether the event of ``code`` at ``index``, made under the roster of ``roster_size``,
        stands in a tail that a revocation cut off."""
        return any(
            cut.code == code and index >= cut.log_size and roster_size <= cut.at
            for cut in self.closures
        )

    def member(self, code: str) -> Member:
        """
        Raises:
            ProofError: no such office in this roster.
        """
        member = self.members.get(OfficeCode(code))
        if member is None:
            raise ProofError("roster", f"office {code} among its {len(self.members)}", "no such")
        return member

    def active(self) -> list[Member]:
        return [member for _, member in sorted(self.members.items()) if not member.revoked]

    def cities(self) -> list[OfficeCode]:
        """The active cities, which keep others' files and indexes."""
        return [member.code for member in self.active() if member.tier == "city"]

    def event_key(self, code: str, signer: bytes) -> bytes | None:
        """The public key that may sign events for ``code`` under this id, if there is one."""
        member = self.members.get(OfficeCode(code))
        if member is None or member.revoked or key_id(member.event_key) != signer:
            return None
        return member.event_key

    def is_above(self, upper: str, lower: str) -> bool:
        """Whether ``upper`` is an ancestor of ``lower``."""
        at = self.members.get(OfficeCode(lower))
        while at is not None and at.parent is not None:
            if at.parent == upper:
                return True
            at = self.members.get(at.parent)
        return False

    def reviewer_of(self, code: str) -> OfficeCode:
        """Who passes or returns what ``code`` reports: its parent, or the province itself."""
        member = self.member(code)
        return member.parent or member.code

    def witnesses(self, code: str) -> tuple[int, tuple[Member, ...]]:
        """How many of which members must co-sign a checkpoint of ``code`` (witness policy 1).

        Candidates are the always-on offices but itself; two of them for a city or county, a
        majority of the cities for the province.  With no candidate none is needed.
        """
        tier = self.member(code).tier
        candidates = tuple(
            member for member in self.active() if member.always_on and member.code != code
        )
        if tier == "province":
            return (len(candidates) // 2 + 1 if candidates else 0), candidates
        return min(2, len(candidates)), candidates

    def _admitted(self, body: MemberAdmit) -> Member:
        where = f"member.admit {body.code}"
        code = parse_office(body.code)
        parent = parse_office(body.parent) if body.parent else None
        if body.tier not in TIERS or len(self.members) >= NETWORK_OFFICES_MAX:
            raise ProofError(where, f"a tier among {TIERS}", body.tier)
        if not (parent is None) == (body.tier == "province") == (code == self.genesis.province):
            raise ProofError(where, "a parent for all but the province", body.parent)
        if code in self.members and self.members[code].tier != body.tier:
            raise ProofError(where, f"its tier {self.members[code].tier}", body.tier)
        if parent is not None:
            above = self.member(parent)
            if above.tier != _PARENT_TIER[body.tier] or above.revoked:
                raise ProofError(where, f"an active {_PARENT_TIER[body.tier]} as parent", parent)
        keys = (body.log_key, body.witness_key, body.mirror_key, body.event_key)
        for key in (*keys, body.tls_pin):
            if len(key) != 32:
                raise ProofError(where, "keys of 32 bytes", len(key))
        if len(set(keys)) != len(keys):
            raise ProofError(where, "four different keys", "one key for two purposes")
        if not 0 < len(body.name) <= NAME_CHARS_MAX or not body.name.isprintable():
            raise ProofError(where, f"a printable name of 1–{NAME_CHARS_MAX} characters", body.name)
        for address in (body.peer_address, body.web_url):
            if len(address) > ADDRESS_CHARS_MAX or not (
                address.isascii() and address.isprintable()
            ):
                raise ProofError(
                    where, f"ASCII addresses of at most {ADDRESS_CHARS_MAX}", "another"
                )
        if body.web_url and not body.web_url.startswith(("http://", "https://")):
            raise ProofError(where, "a web address of http or https", body.web_url)
        self._require_fresh_keys(where, code, body)
        return Member(
            code=code,
            name=body.name,
            tier=body.tier,
            parent=parent,
            log_key=body.log_key,
            witness_key=body.witness_key,
            mirror_key=body.mirror_key,
            event_key=body.event_key,
            tls_pin=body.tls_pin,
            peer_address=body.peer_address,
            web_url=body.web_url,
        )

    def _require_fresh_keys(self, where: str, code: str, body: MemberAdmit) -> None:
        keys = {body.log_key, body.witness_key, body.mirror_key, body.event_key}
        for member in self.members.values():
            if (member.code != code or member.revoked) and keys & member.signing_keys:
                raise ProofError(where, "new keys of its own", f"a key of {member.code}")


def change_statement(genesis: Genesis, body: MemberAdmit | MemberRevoke) -> bytes:
    """What root keys sign: the network and the change without its signatures."""
    kind = "member.admit" if isinstance(body, MemberAdmit) else "member.revoke"
    members = to_value(replace(body, signatures=()))
    return ROSTER_DOMAIN + encode((genesis.id.raw, kind, members))


def sign_change(
    genesis: Genesis, body: MemberAdmit | MemberRevoke, root: Signer
) -> MemberAdmit | MemberRevoke:
    """The change with one more root signature."""
    signature = RootSignature(key_id(root.public), root.sign(change_statement(genesis, body)))
    return replace(body, signatures=(*body.signatures, signature))


def verify_change(genesis: Genesis, body: MemberAdmit | MemberRevoke) -> None:
    """
    Raises:
        ProofError: fewer root keys have signed than the genesis note demands.
    """
    roots = genesis.root_keys()
    signers: set[bytes] = set()
    statement = change_statement(genesis, body)
    for line in body.signatures:
        if line.signer in roots:
            verify(roots[line.signer], statement, line.signature, f"root signature on {body.code}")
            signers.add(line.signer)
    if len(signers) < genesis.threshold:
        raise ProofError(
            f"change of member {body.code}",
            f"{genesis.threshold} root signatures",
            len(signers),
        )


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

    def apply(self, index: int, body: MemberAdmit | MemberRevoke) -> Roster:
        """Take the member event at ``index``.  Rosters of that index or later are forgotten first:
        they come from a transaction that was not committed.

        Raises:
            ProofError: see :meth:`Roster.apply`; the history is as before.
        """
        roster = self.at(index).apply(index, body)
        while self.newest.size > index:
            self._rosters.pop()
        self._rosters.append(roster)
        return roster
