"""One office as the roster knows it, and where its keys were closed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ledger.checkpoint import log_key
from ledger.events import MemberAdmit, MemberRotate
from ledger.genesis import Genesis
from ledger.note import COSIGNATURE_V1, NoteKey
from protocol.errors import ProofError
from protocol.ids import OfficeCode, RootHash
from protocol.limits import ADDRESS_CHARS_MAX, NAME_CHARS_MAX

TIERS: Final = ("province", "city", "county")
PARENT_TIER: Final = {"county": "city", "city": "province"}


@dataclass(frozen=True, slots=True)
class LogKey:
    """A log key and the index of the change that brought it."""

    since: int
    key: bytes


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
    revoked: bool = False  # its keys are closed
    successor: OfficeCode | None = None  # who acts for it since the state abolished the code
    turn: int = 1  # how many changes of it there were
    log_keys: tuple[LogKey, ...] = ()  # oldest first, with the present one
    former: frozenset[bytes] = frozenset()  # the signing keys it had before

    @property
    def always_on(self) -> bool:
        return self.tier != "county"

    @property
    def signing_keys(self) -> frozenset[bytes]:
        return frozenset((self.log_key, self.witness_key, self.mirror_key, self.event_key))

    def witness_name(self, genesis: Genesis) -> str:
        return f"{genesis.origin(self.code)}/witness"

    def mirror_name(self, genesis: Genesis) -> str:
        return f"{genesis.origin(self.code)}/mirror"

    def log_note_key(self, genesis: Genesis) -> NoteKey:
        return log_key(genesis.origin(self.code), self.log_key)

    def note_keys(self, genesis: Genesis) -> tuple[NoteKey, ...]:
        """With which it signs notes now."""
        return (
            self.log_note_key(genesis),
            self.witness_note_key(genesis),
            self.mirror_note_key(genesis),
        )

    def log_note_keys(self, genesis: Genesis) -> tuple[NoteKey, ...]:
        """Every log key it ever had, the present one last."""
        origin = genesis.origin(self.code)
        return tuple(log_key(origin, each.key) for each in self.log_keys)

    def witness_note_key(self, genesis: Genesis) -> NoteKey:
        return NoteKey(self.witness_name(genesis), COSIGNATURE_V1, self.witness_key)

    def mirror_note_key(self, genesis: Genesis) -> NoteKey:
        return NoteKey(self.mirror_name(genesis), COSIGNATURE_V1, self.mirror_key)


@dataclass(frozen=True, slots=True)
class Closure:
    """Where a log was cut: what stands at ``log_size`` or later and does not know of the change
    (at index ``at`` of the provincial log) counts for nothing.  ``log_key`` is the closed key."""

    code: OfficeCode
    at: int
    log_size: int
    log_root: RootHash
    log_key: bytes


class Standing(StrEnum):
    """What a checkpoint of some size by some log key is worth."""

    CURRENT = "current"  # by the present key
    ROTATED = "rotated"  # by an earlier key; good until a checkpoint of the present one is known
    CLOSED = "closed"  # by a closed key, within the closure: good
    TAIL = "tail"  # by a closed key, beyond the closure: a lost tail, never a fork
    UNKNOWN = "unknown"  # by a key that the office never had


def check_office(where: str, body: MemberAdmit | MemberRotate) -> None:
    """The form of an office's keys and addresses.

    Raises:
        ProofError: against a rule of docs/spec/membership.md, "Changes".
    """
    keys = signing_keys(body)
    for key in (*keys, body.tls_pin):
        if len(key) != 32:
            raise ProofError(where, "keys of 32 bytes", len(key))
    if len(set(keys)) != len(keys):
        raise ProofError(where, "four different keys", "one key for two purposes")
    for address in (body.peer_address, body.web_url):
        check_address(where, address)
    if body.web_url and not body.web_url.startswith(("http://", "https://")):
        raise ProofError(where, "a web address of http or https", body.web_url)


def signing_keys(body: MemberAdmit | MemberRotate | Member) -> tuple[bytes, bytes, bytes, bytes]:
    """Log, witness, mirror, event."""
    return body.log_key, body.witness_key, body.mirror_key, body.event_key


def check_name(where: str, name: str) -> None:
    """
    Raises:
        ProofError: empty, too long or not printable.
    """
    if not 0 < len(name) <= NAME_CHARS_MAX or not name.isprintable():
        raise ProofError(where, f"a printable name of 1–{NAME_CHARS_MAX} characters", name[:200])


def check_address(where: str, address: str) -> None:
    """
    Raises:
        ProofError: too long, or not printable ASCII without blanks.
    """
    is_plain = address.isascii() and address.isprintable() and " " not in address
    if len(address) > ADDRESS_CHARS_MAX or not is_plain:
        limit = f"ASCII addresses of at most {ADDRESS_CHARS_MAX} with no blanks"
        raise ProofError(where, limit, address[:80])
