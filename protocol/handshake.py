"""Who is at the other end of a link?

Each side proves each of its offices by a signature over the transcript: the network, both hellos
byte for byte (so both nonces and both lists of offices), the listener's certificate, the signer's
role and the office.  What a proof proves is that the holder of this office's key meant this very
session: recorded, reflected or relayed through another listener, it is a bad signature.
Specification: docs/spec/peer-link.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from protocol.canonical import encode
from protocol.errors import DecodeError, Missing, ProofError
from protocol.ids import NetworkId, OfficeCode, parse_office
from protocol.keys import Signer, key_id, verify
from protocol.limits import OFFICES_PER_NODE_MAX
from protocol.messages import NONCE_BYTES, VERSION, Hello, OfficeProof, Proof

_DOMAIN: Final = "fangzhi/peer-link/v1"  # a text first: no event begins with one


class Role(StrEnum):
    INITIATOR = "initiator"
    RESPONDER = "responder"

    @property
    def other(self) -> Role:
        return Role.RESPONDER if self is Role.INITIATOR else Role.INITIATOR


class Refusal(StrEnum):
    """Stable codes of what a session refuses; each is a counter in the node."""

    VERSION = "link.version"
    NETWORK = "link.network"
    OFFICES = "link.offices"  # none, one twice, too many, not a code
    OFFICE_UNKNOWN = "link.office.unknown"
    OFFICE_OURS = "link.office.ours"
    ROSTER = "link.roster"  # other offices of the peer count now than it proved: greet again
    KEY = "link.key"  # never that office's, or of a guest who has stayed long enough
    SIGNATURE = "link.signature"  # forged, replayed, or through another listener
    REFLECTED = "link.reflected"
    LATE = "link.late"
    OVERSIZED = "link.frame.oversized"
    MALFORMED = "link.frame.malformed"
    UNKNOWN = "link.frame.unknown"
    UNEXPECTED = "link.frame.unexpected"
    REPEATED = "link.request.repeated"
    TOO_MANY = "link.request.too-many"
    UNASKED = "link.response.unasked"
    UNANSWERED = "link.response.late"


class Refused(Exception):
    """How the checks of a session stop it; :class:`protocol.session.Session` turns it into
    Closed and a Goodbye, so it is never seen outside."""

    def __init__(self, code: Refusal, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this node is: its network and the event key of each office it hosts."""

    network: NetworkId
    offices: Mapping[OfficeCode, Signer]


@dataclass(frozen=True, slots=True)
class HelloKey:
    """A key that is an office's event key, or (``counts`` is False) was one before it was closed
    or rotated away."""

    public: bytes
    counts: bool = True


class Lookup(Protocol):
    """The roster's answer, as this node knows it now."""

    def __call__(self, office: OfficeCode, signer: bytes, /) -> HelloKey | None:
        """The key of ``office`` with the id ``signer``; None if it never had such a key.

        Raises:
            Missing: the roster has no such office.
        """


@dataclass(frozen=True, slots=True)
class Transcript:
    """What both sides have said before the proofs; the initiator's hello first."""

    network: NetworkId
    initiator_hello: bytes
    responder_hello: bytes
    binding: bytes

    def signed_by(self, role: Role, office: OfficeCode) -> bytes:
        """The bytes that ``role`` signs with the event key of ``office``."""
        hellos = (self.initiator_hello, self.responder_hello)
        return encode((_DOMAIN, self.network.raw, *hellos, self.binding, role.value, office))


def check_hello(hello: Hello, ours: Hello) -> None:
    """Whether the peer's ``hello`` may be answered with a proof.

    Raises:
        Refused: another version or network, our own hello, or offices that cannot be.
    """
    if hello.version != VERSION:
        raise Refused(Refusal.VERSION, f"version {hello.version}, we speak {VERSION}")
    if hello.network != ours.network:
        raise Refused(Refusal.NETWORK, f"network {hello.network.short}")
    if hello.nonce == ours.nonce:
        raise Refused(Refusal.REFLECTED, "our own nonce came back")
    if len(hello.nonce) != NONCE_BYTES:
        raise Refused(Refusal.MALFORMED, f"a nonce of {len(hello.nonce)} bytes")
    if not 0 < len(hello.offices) <= OFFICES_PER_NODE_MAX:
        raise Refused(Refusal.OFFICES, f"{len(hello.offices)} offices")
    if len(set(hello.offices)) != len(hello.offices):
        raise Refused(Refusal.OFFICES, "an office twice")
    for office in hello.offices:
        try:
            parse_office(office)
        except DecodeError as error:
            raise Refused(Refusal.OFFICES, str(error)) from error
        if office in ours.offices:
            raise Refused(Refusal.OFFICE_OURS, f"{office} is hosted here")


def prove(me: Identity, role: Role, transcript: Transcript) -> Proof:
    """Our proof for each of our offices, in the order of our hello (by code)."""
    lines = []
    for office in sorted(me.offices):
        signer = me.offices[office]
        signature = signer.sign(transcript.signed_by(role, office))
        lines.append(OfficeProof(office, key_id(signer.public), signature))
    return Proof(tuple(lines))


def known_keys(proof: Proof, lookup: Lookup) -> dict[OfficeCode, HelloKey]:
    """The key of each office of ``proof`` that the roster has.

    A node may host offices that were admitted after our roster ends, and it is only from such a
    peer that we learn of them: they are left out, as if the peer had not named them.

    Raises:
        Refused: none of the offices is in the roster, or a key was never that office's.
    """
    keys: dict[OfficeCode, HelloKey] = {}
    missing = ""
    for line in proof.signatures:
        try:
            public = lookup(line.office, line.signer)
        except Missing as error:
            missing = str(error)
            continue
        if public is None:
            raise Refused(Refusal.KEY, f"{line.office} has no key {line.signer.hex()[:8]}")
        keys[line.office] = public
    if not keys:
        raise Refused(Refusal.OFFICE_UNKNOWN, missing)
    return keys


def counting(keys: Mapping[OfficeCode, HelloKey]) -> tuple[OfficeCode, ...]:
    """The offices whose key counts."""
    return tuple(office for office, key in keys.items() if key.counts)


def check_proof(
    proof: Proof, hello: Hello, role: Role, transcript: Transcript, lookup: Lookup
) -> tuple[OfficeCode, ...]:
    """The offices that the peer, in its ``role``, has proven to be: all that its ``hello`` named,
    our roster knows, and whose key counts.  None: the peer is a guest, who may learn here that its
    keys count no more.

    Raises:
        Refused: other offices, none we know, a key that the office never had, a signature that
            does not hold.
    """
    if tuple(line.office for line in proof.signatures) != hello.offices:
        raise Refused(Refusal.OFFICES, "proofs of other offices than the hello named")
    keys = known_keys(proof, lookup)  # before the signatures: a stranger costs us little
    for line in proof.signatures:
        if line.office not in keys:
            continue
        message = transcript.signed_by(role, line.office)
        try:
            verify(keys[line.office].public, message, line.signature, f"proof of {line.office}")
        except ProofError as error:
            raise Refused(Refusal.SIGNATURE, str(error)) from error
    return counting(keys)
