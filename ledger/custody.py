"""What offices say of copies: who keeps them, how they are sealed, who may use them, who did.

Bodies of events (ledger/events.py); docs/spec/event.md, "Kinds".  Purposes and details are salted
blobs that can be erased.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from protocol.ids import BlobId, EventRef

GRANTED: Final = ("file", "service")  # the original; service-level images and text (服务级)


@dataclass(frozen=True, slots=True)
class KeySeal:
    """``key.seal``: files sealed for this office are wrapped to this key from now on."""

    version: int  # one more than the version before; the first is 1
    key: bytes  # public, X25519


@dataclass(frozen=True, slots=True)
class SealMake:
    """``seal.make``: the sealed copies (加密保管) of a revision, and their keys."""

    item: str
    manifest: BlobId
    seal: BlobId  # the record of the ciphertexts, which holders have
    wraps: BlobId  # the wrapped keys, which can be erased
    files: int
    sealed_bytes: int  # of all ciphertexts


@dataclass(frozen=True, slots=True)
class SealRewrap:
    """``seal.rewrap``: the same ciphertexts, their keys wrapped anew (轮换)."""

    item: str
    manifest: BlobId
    wraps: BlobId


@dataclass(frozen=True, slots=True)
class HoldOffer:
    """``hold.offer``: what this office can keep for others; its last word counts."""

    capacity_bytes: int
    domain: str  # what fails together: a machine room, a grid; "" alone
    keeps_others: bool  # a county's consent


@dataclass(frozen=True, slots=True)
class HoldTake:
    """``hold.take``: this office now durably holds every file of a revision."""

    item: str
    manifest: BlobId
    files: int
    file_bytes: int
    seal: BlobId | None = None  # which sealed copies; None: the files as they are


@dataclass(frozen=True, slots=True)
class HoldLose:
    """``hold.lose``: files of a held revision are gone or damaged."""

    item: str
    manifest: BlobId
    files: int
    seal: BlobId | None = None


@dataclass(frozen=True, slots=True)
class HoldRepair:
    """``hold.repair``: damaged files of a held revision are whole again.  What was lost by a
    ``hold.lose`` is held again by another ``hold.take`` only."""

    item: str
    manifest: BlobId
    files: int
    source: str  # the office that had the good copy


@dataclass(frozen=True, slots=True)
class HoldCheck:
    """``hold.check``: how an office answered the challenges of one day (抽验)."""

    holder: str
    day: int  # since 1970-01-01, UTC
    asked: int
    passed: int
    failed: int  # wrong answers; asked − passed − failed were not answered
    detail: BlobId | None


@dataclass(frozen=True, slots=True)
class ReceiptIssue:
    """``receipt.issue``: the province says that the copies of a revision stand (入库回执)."""

    item: str
    manifest: BlobId
    upload: EventRef
    holds: tuple[EventRef, ...]  # the hold.take events that it counts


@dataclass(frozen=True, slots=True)
class RightsGrant:
    """``rights.grant``: another office may use the item, for a purpose, until a time."""

    item: str
    to: str
    what: str  # of GRANTED
    purpose: BlobId
    until: int  # milliseconds since 1970
    wraps: BlobId | None  # the keys of the sealed copies, wrapped for it


@dataclass(frozen=True, slots=True)
class RightsRevoke:
    """``rights.revoke``: a grant counts no more."""

    item: str
    grant: EventRef


@dataclass(frozen=True, slots=True)
class AccessFetch:
    """``access.fetch``: this office gave bytes of an item that not everybody may have (调取)."""

    item: str
    manifest: BlobId
    by: str  # the office that fetched
    grant: EventRef | None  # under which; None: by its own right
    what: str  # a derivative of ledger/rights.py
    detail: BlobId | None


ITEM_FACTS: Final = (
    SealMake,
    SealRewrap,
    HoldTake,
    HoldLose,
    ReceiptIssue,
    RightsGrant,
    RightsRevoke,
)
"""What changes the view of an item."""

ROWS: Final = (KeySeal, HoldOffer, HoldRepair, HoldCheck, AccessFetch)
"""What leaves a row of its own and changes no view (ledger/holdings.py)."""

Row = KeySeal | HoldOffer | HoldRepair | HoldCheck | AccessFetch
