"""What can happen, and its bytes: one signed envelope for ever, a table of kinds of body.

An event is a canonical array of fixed positions (docs/spec/event.md)::

    version, network, origin, signer, time, last_size, last_root, roster_size, roster_root,
    kind, body, signature

The signature covers ``DOMAIN`` and the same array without its last member.  ``last_size`` and
``last_root`` are the log's own checkpoint that was current when the event was appended: the first
event of a batch stands exactly at index ``last_size``, so a fork shows in one inclusion proof.
The leaf of the log is the whole encoded event.

A kind that this node does not know is stored, witnessed and replicated, and skipped by the fold.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from ledger.custody import (
    AccessFetch,
    HoldCheck,
    HoldLose,
    HoldOffer,
    HoldRepair,
    HoldTake,
    KeySeal,
    ReceiptIssue,
    RightsGrant,
    RightsRevoke,
    SealMake,
    SealRewrap,
)
from protocol.canonical import Value, decode, encode
from protocol.errors import DecodeError
from protocol.ids import BlobId, EventRef, NetworkId, OfficeCode, RootHash, UnixMs
from protocol.keys import Signer, key_id, verify, verify_once
from protocol.limits import EVENT_BYTES_MAX
from protocol.shapes import from_value, pack, to_value, unpack

VERSION: Final = 1
DOMAIN: Final = b"fangzhi/event/v1\n"

_ENVELOPE_BYTES_MAX: Final = 222  # of an event without kind and body
DRAFT_BYTES_MAX: Final = EVENT_BYTES_MAX - _ENVELOPE_BYTES_MAX


@dataclass(frozen=True, slots=True)
class RootSignature:
    """One provincial root key's signature on a roster change."""

    signer: bytes  # key id
    signature: bytes


@dataclass(frozen=True, slots=True)
class MemberAdmit:
    """``member.admit``: an office joins, or comes back after a closure with new keys."""

    code: str
    name: str
    tier: str  # province | city | county
    parent: str  # "" for the province
    log_key: bytes
    witness_key: bytes
    mirror_key: bytes
    event_key: bytes
    tls_pin: bytes  # SHA-256 of the peer listener's certificate (DER)
    peer_address: str  # host:port, "" when nobody can dial in
    web_url: str  # "" when it has no public window
    turn: int  # how many changes of this office came before
    signatures: tuple[RootSignature, ...]


@dataclass(frozen=True, slots=True)
class MemberRotate:
    """``member.rotate``: other keys or addresses of an active office, whose log goes on."""

    code: str
    log_key: bytes
    witness_key: bytes
    mirror_key: bytes
    event_key: bytes
    tls_pin: bytes
    peer_address: str
    web_url: str
    turn: int
    signatures: tuple[RootSignature, ...]


@dataclass(frozen=True, slots=True)
class MemberRevoke:
    """``member.revoke``: the keys of an office are closed at its last anchored checkpoint."""

    code: str
    log_size: int
    log_root: RootHash
    turn: int
    signatures: tuple[RootSignature, ...]


@dataclass(frozen=True, slots=True)
class MemberMove:
    """``member.move``: an office stands under another parent, or has another name."""

    code: str
    parent: str
    name: str
    turn: int
    signatures: tuple[RootSignature, ...]


@dataclass(frozen=True, slots=True)
class MemberAbolish:
    """``member.abolish``: the state abolished the code; ``successor`` acts for its items."""

    code: str
    successor: str
    log_size: int
    log_root: RootHash
    turn: int
    signatures: tuple[RootSignature, ...]


@dataclass(frozen=True, slots=True)
class OutsideWitness:
    """Somebody else's C2SP witness, such as an archive's or an audit office's."""

    name: str  # in policy files
    vkey: str  # verifier key of type 04
    url: str  # below which ``add-checkpoint`` stands


@dataclass(frozen=True, slots=True)
class PolicySet:
    """``policy.set``: the next version of the witness policy of every log."""

    version: int
    city_county: int  # how many members must co-sign a city's or county's checkpoint
    province: int  # how many the province's; 0: a majority of the cities
    outside: tuple[OutsideWitness, ...]
    outside_needed: int  # how many of ``outside`` too, for every log
    signatures: tuple[RootSignature, ...]


@dataclass(frozen=True, slots=True)
class RecoverySet:
    """``recovery.set``: to this key of the province, kept offline, every sealed file is wrapped."""

    version: int  # one more than the version before; the first is 1
    key: bytes  # public, X25519
    signatures: tuple[RootSignature, ...]


NetworkChange = PolicySet | RecoverySet
OfficeChange = MemberAdmit | MemberRotate | MemberRevoke | MemberMove | MemberAbolish
RosterChange = OfficeChange | NetworkChange
NETWORK_CHANGES: Final = (PolicySet, RecoverySet)
CHANGES: Final = (
    MemberAdmit,
    MemberRotate,
    MemberRevoke,
    MemberMove,
    MemberAbolish,
    *NETWORK_CHANGES,
)


@dataclass(frozen=True, slots=True)
class KeyEnroll:
    """``key.enroll``: a named user's key may sign events of this log from the next index on."""

    key: bytes  # public
    person: BlobId  # of a salted blob that can be erased
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KeyRetire:
    """``key.retire``: a user's key may sign no more."""

    key: bytes  # its id


@dataclass(frozen=True, slots=True)
class ForkReport:
    """``fork.report``: this office holds evidence that the log of ``code`` forked."""

    code: str
    evidence: BlobId
    size_a: int  # of the two checkpoints in the evidence
    size_b: int


@dataclass(frozen=True, slots=True)
class SynonymsPut:
    """``synonyms.put``: the next version of the province's table of synonyms (同义词表)."""

    version: int  # one more than the version before; the first is 1
    table: BlobId  # of its canonical text, docs/spec/rules.md
    table_bytes: int


@dataclass(frozen=True, slots=True)
class VersionUpload:
    """``version.upload``: an office reports an item (报送), or a new revision of it."""

    item: str
    manifest: BlobId  # salted inside, so the hash tells nothing
    rights: str  # one of RIGHTS_CLASSES
    files: int
    file_bytes: int
    supersedes: BlobId | None  # the manifest of the revision before
    report: BlobId | None  # findings of the checks


@dataclass(frozen=True, slots=True)
class VersionWithdraw:
    """``version.withdraw``: 下架. Hides the item everywhere; the log keeps that it was there."""

    item: str
    upload: EventRef
    reason: BlobId


@dataclass(frozen=True, slots=True)
class TextDerive:
    """``text.derive``: the page texts of a revision, committed page by page."""

    item: str
    manifest: BlobId
    pages: int
    pages_root: RootHash  # RFC 6962 root over the lines of the pages blob
    pages_blob: BlobId
    pages_bytes: int


@dataclass(frozen=True, slots=True)
class ImageDerive:
    """``image.derive``: the service-level images (服务级) of a revision; the last word counts."""

    item: str
    manifest: BlobId
    made: int  # version of how they are drawn
    pages: int
    images_root: RootHash  # RFC 6962 root over the lines of the images blob
    images_blob: BlobId
    images_bytes: int


@dataclass(frozen=True, slots=True)
class ReviewAccept:
    """``review.accept``: the tier above passes a revision (审核通过 → 已审)."""

    item: str
    manifest: BlobId
    upload: EventRef


@dataclass(frozen=True, slots=True)
class ReviewReturn:
    """``review.return``: the tier above returns a revision (退回返工); the reason is a blob."""

    item: str
    manifest: BlobId
    upload: EventRef
    reason: BlobId


@dataclass(frozen=True, slots=True)
class AnchorLine:
    code: str
    size: int
    root: RootHash


@dataclass(frozen=True, slots=True)
class Anchor:
    """``anchor``: a parent records its children's checkpoints, which orders events of offices."""

    heads: tuple[AnchorLine, ...]


@dataclass(frozen=True, slots=True)
class StatisticsPublish:
    """``statistics.publish``: an epoch of statistics of the public text, by which every node weighs
    the words of a query (docs/spec/statistics.md)."""

    blob: BlobId
    blob_bytes: int
    pages: int
    shards: int  # in the sum


KINDS: Final[dict[str, type[Any]]] = {
    "member.admit": MemberAdmit,
    "member.rotate": MemberRotate,
    "member.revoke": MemberRevoke,
    "member.move": MemberMove,
    "member.abolish": MemberAbolish,
    "policy.set": PolicySet,
    "recovery.set": RecoverySet,
    "key.enroll": KeyEnroll,
    "key.retire": KeyRetire,
    "key.seal": KeySeal,
    "version.upload": VersionUpload,
    "version.withdraw": VersionWithdraw,
    "text.derive": TextDerive,
    "image.derive": ImageDerive,
    "review.accept": ReviewAccept,
    "review.return": ReviewReturn,
    "seal.make": SealMake,
    "seal.rewrap": SealRewrap,
    "hold.offer": HoldOffer,
    "hold.take": HoldTake,
    "hold.lose": HoldLose,
    "hold.repair": HoldRepair,
    "hold.check": HoldCheck,
    "receipt.issue": ReceiptIssue,
    "rights.grant": RightsGrant,
    "rights.revoke": RightsRevoke,
    "access.fetch": AccessFetch,
    "anchor": Anchor,
    "fork.report": ForkReport,
    "statistics.publish": StatisticsPublish,
    "synonyms.put": SynonymsPut,
}
_KIND_OF: Final = {body: kind for kind, body in KINDS.items()}
_ENCODED_KIND: Final = {body: encode(kind) for kind, body in KINDS.items()}


def kind_of(body: object) -> str:
    """The kind under which a body is logged."""
    return _KIND_OF[type(body)]


@dataclass(frozen=True, slots=True)
class Event:
    """The envelope. ``body`` is the undecoded value; see :meth:`read_body`."""

    version: int
    network: NetworkId
    origin: OfficeCode
    signer: bytes
    time: UnixMs  # claimed
    last_size: int
    last_root: RootHash
    roster_size: int
    roster_root: RootHash
    kind: str
    body: Value
    signature: bytes

    def read_body(self) -> object | None:
        """The typed body, or None for a kind this version does not know.

        Raises:
            DecodeError: a known kind with a body of another shape.
        """
        body = KINDS.get(self.kind)
        return None if body is None else from_value(body, self.body, f"event {self.kind}")

    def signed_bytes(self) -> bytes:
        members = to_value(self)
        assert isinstance(members, tuple)
        return DOMAIN + encode(members[:-1])

    def encoded(self) -> bytes:
        return encode(to_value(self))


@dataclass(frozen=True, slots=True)
class Context:
    """What every event of one batch shares."""

    network: NetworkId
    origin: OfficeCode
    last_size: int
    last_root: RootHash
    roster_size: int
    roster_root: RootHash


def draft_event(body: object) -> bytes:
    """Kind and body, encoded as they will stand in the envelope.

    Raises:
        DecodeError: too long for an event; put the large part into a blob.
    """
    draft = _ENCODED_KIND[type(body)] + pack(body)
    if len(draft) > DRAFT_BYTES_MAX:
        expected = f"at most {EVENT_BYTES_MAX} bytes with its envelope"
        raise DecodeError(f"event {kind_of(body)}", expected, len(draft) + _ENVELOPE_BYTES_MAX)
    return draft


def read_draft(draft: bytes) -> object:
    """The body that :func:`draft_event` encoded.

    Raises:
        DecodeError: none of a kind that this version knows.
    """
    # 92 opens an array of two: kind and body
    value = decode(b"\x92" + draft, bytes_max=DRAFT_BYTES_MAX + 1, where="draft")
    kind, body = value if isinstance(value, tuple) and len(value) == 2 else (None, None)
    if not isinstance(kind, str) or kind not in KINDS:
        raise DecodeError("draft", "a known kind and its body", repr(kind)[:40])
    return from_value(KINDS[kind], body, f"draft {kind}")


def sign_drafts(
    context: Context, drafts: Iterable[bytes], time: UnixMs, signer: Signer
) -> list[bytes]:
    """The entries of one batch: each draft in its envelope, signed."""
    shared = (
        VERSION,
        context.network.raw,
        context.origin,
        key_id(signer.public),
        time,
        context.last_size,
        context.last_root.raw,
        context.roster_size,
        context.roster_root.raw,
    )
    # Canonical bytes are put together rather than encoded anew for each event: 9N opens an array
    # of N, c4 40 the 64 bytes of a signature.
    start = encode(shared)[1:]
    to_sign, to_store, end = DOMAIN + b"\x9b" + start, b"\x9c" + start, b"\xc4\x40"
    return [b"".join((to_store, draft, end, signer.sign(to_sign + draft))) for draft in drafts]


def sign_event(context: Context, body: object, time: UnixMs, signer: Signer) -> Event:
    """The signed event that says ``body``.

    Raises:
        DecodeError: longer than EVENT_BYTES_MAX; put the large part into a blob.
    """
    (entry,) = sign_drafts(context, (draft_event(body),), time, signer)
    return unpack(Event, entry, bytes_max=EVENT_BYTES_MAX, where="event")


def parse_event(entry: bytes) -> Event:
    """The event in a log entry, strictly decoded; its signature is not checked here.

    Raises:
        DecodeError: not canonical, too long, another version or a body of a wrong shape.
    """
    return parse_whole(entry)[0]


def parse_whole(entry: bytes) -> tuple[Event, object | None]:
    """:func:`parse_event` together with what :meth:`Event.read_body` gives."""
    event = unpack(Event, entry, bytes_max=EVENT_BYTES_MAX, where="event")
    if event.version != VERSION:
        raise DecodeError("event version", str(VERSION), event.version)
    if len(event.signer) != 16 or len(event.signature) != 64:
        raise DecodeError("event signer and signature", "16 and 64 bytes", "other lengths")
    return event, event.read_body()


def verify_event(event: Event, public: bytes) -> None:
    """Check that ``public`` signed the event.

    Raises:
        ProofError: another key, or the signature does not hold.
    """
    verify(public, event.signed_bytes(), event.signature, f"event of {event.origin}")


def verify_entry(entry: bytes, event: Event, public: bytes) -> None:
    """:func:`verify_event` for the event just parsed from ``entry``, without encoding it again.

    Raises:
        ProofError: another key, or the signature does not hold.
    """
    verify_once(public, signed_part(entry), event.signature, f"event of {event.origin}")


def signed_part(entry: bytes) -> bytes:
    """What the signature of a canonical entry covers."""
    # 9c opens the array of 12, c4 40 and 64 bytes are the signature at its end.
    return DOMAIN + b"\x9b" + entry[1:-66]
