"""Joining: requests, admissions, invites, as files that people carry.

A request says which keys and addresses the offices of a node will use.  Every key in it has signed
it, and so have the event keys that these offices had before, as far as they are not lost: the
province takes the first as proof of possession and the second as the office's own word that these
are its next keys.  The root keys sign the change that follows; what a newcomer then needs is the
invite: the genesis note and all changes of the offices that it must know, each with its inclusion
proof under a provincial checkpoint.  docs/spec/membership.md.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from configs.offices import OfficeRow
from ledger import logbook
from ledger.checkpoint import open_checkpoint, parse_checkpoint
from ledger.events import (
    CHANGES,
    NETWORK_CHANGES,
    MemberAdmit,
    MemberRotate,
    RosterChange,
    parse_event,
)
from ledger.genesis import read_genesis
from ledger.members import TIERS
from ledger.roster import Roster
from ledger.tlogproof import TlogProof
from node.hands.keys import PURPOSES, OfficeKeys
from protocol.errors import DecodeError, Missing, ProofError
from protocol.ids import OfficeCode, parse_office
from protocol.keys import Signer, verify
from protocol.limits import OFFICES_PER_NODE_MAX, MiB
from protocol.merkle import leaf_hash, verify_inclusion
from protocol.ports import Reader
from protocol.records import decode_json, encode_json

REQUEST_FORMAT: Final = "fangzhi/request/1"
INVITE_FORMAT: Final = "fangzhi/invite/1"
REQUEST_DOMAIN: Final = b"fangzhi/request/v1\n"
REQUEST_BYTES_MAX: Final = 1 * MiB
INVITE_BYTES_MAX: Final = 4 * MiB
SIGNATURES_MAX: Final = 16  # of one office: its four keys, and event keys it had before


@dataclass(frozen=True, slots=True)
class OfficeRequest:
    """The keys that one office asks for."""

    code: OfficeCode
    log_key: bytes
    witness_key: bytes
    mirror_key: bytes
    event_key: bytes


@dataclass(frozen=True, slots=True)
class JoinRequest:
    """What the offices of one node ask for; ``signers`` are the public keys that signed it."""

    offices: tuple[OfficeRequest, ...]
    tls_pin: bytes
    peer_address: str
    web_url: str
    signers: frozenset[bytes]

    @property
    def codes(self) -> list[OfficeCode]:
        return [office.code for office in self.offices]


def write_request(
    keys: Mapping[OfficeCode, OfficeKeys],
    tls_pin: bytes,
    peer_address: str,
    web_url: str,
    before: Iterable[Signer] = (),
) -> bytes:
    """The request of a node for ``keys``; ``before`` are event keys that its offices had."""
    offices = [
        {
            "code": code,
            **{f"{purpose}_key": getattr(keys[code], purpose).public.hex() for purpose in PURPOSES},
        }
        for code in sorted(keys)
    ]
    fields: dict[str, Any] = {
        "format": REQUEST_FORMAT,
        "offices": offices,
        "peer_address": peer_address,
        "tls_pin": tls_pin.hex(),
        "web_url": web_url,
    }
    message = REQUEST_DOMAIN + encode_json(fields)
    new = [getattr(keys[code], purpose) for code in keys for purpose in PURPOSES]
    signatures = {signer.public.hex(): signer.sign(message).hex() for signer in (*new, *before)}
    return encode_json({**fields, "signatures": signatures})


def read_request(data: bytes) -> JoinRequest:
    """
    Raises:
        DecodeError: not a request.
        ProofError: not signed by every key in it, or with a signature that does not hold.
    """
    fields = decode_json(data.strip(), bytes_max=REQUEST_BYTES_MAX, where="request to join")
    if fields.get("format") != REQUEST_FORMAT:
        raise DecodeError("request to join", REQUEST_FORMAT, repr(fields.get("format"))[:40])
    try:
        signatures = {
            bytes.fromhex(key): bytes.fromhex(signature)
            for key, signature in fields.pop("signatures").items()
        }
        request = JoinRequest(
            tuple(_office_request(office) for office in fields["offices"]),
            bytes.fromhex(fields["tls_pin"]),
            str(fields["peer_address"]),
            str(fields["web_url"]),
            frozenset(signatures),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DecodeError("request to join", "its fields", repr(error)[:80]) from error
    codes = request.codes
    if not 0 < len(set(codes)) == len(codes) <= OFFICES_PER_NODE_MAX:
        raise DecodeError("request to join", f"1 to {OFFICES_PER_NODE_MAX} offices", len(codes))
    if len(signatures) > SIGNATURES_MAX * len(codes):
        raise DecodeError("request to join", f"{SIGNATURES_MAX} keys of an office", "more")
    for office in request.offices:
        _require_signers(request, office)
    message = REQUEST_DOMAIN + encode_json(fields)
    for key, signature in signatures.items():
        verify(key, message, signature, f"request of {codes[0]}")
    return request


def _office_request(fields: Mapping[str, str]) -> OfficeRequest:
    keys = {f"{purpose}_key": bytes.fromhex(fields[f"{purpose}_key"]) for purpose in PURPOSES}
    return OfficeRequest(parse_office(fields["code"]), **keys)


def _require_signers(request: JoinRequest, office: OfficeRequest) -> None:
    keys = {office.log_key, office.witness_key, office.mirror_key, office.event_key}
    if not keys <= request.signers:
        raise ProofError(f"request of {office.code}", "a signature by each of its keys", "fewer")


def admissions(
    roster: Roster, requests: Iterable[JoinRequest], table: Iterable[OfficeRow]
) -> tuple[MemberAdmit, ...]:
    """The roster changes, unsigned, that admit what is requested; parents before children.

    An office that was a member before comes back under its name and parent.

    Raises:
        Missing: an office that is neither a member nor in the table of offices.
    """
    rows = {row.code: row for row in table}
    bodies: list[MemberAdmit] = []
    for request, office in _each(requests):
        code, known, row = office.code, roster.members.get(office.code), rows.get(office.code)
        if known is None and row is None:
            raise Missing(f"office {code}", "an office of the table of offices", "none")
        at = known or row
        assert at is not None
        bodies.append(
            MemberAdmit(
                code=code,
                name=at.name,
                tier=at.tier,
                parent=at.parent or "",
                **_asked_for(request, office),
                turn=roster.turn(code),
                signatures=(),
            )
        )
    return tuple(sorted(bodies, key=lambda body: (TIERS.index(body.tier), body.code)))


def rotations(roster: Roster, requests: Iterable[JoinRequest]) -> tuple[MemberRotate, ...]:
    """The roster changes, unsigned, that give active members the keys and addresses asked for.

    Raises:
        ProofError: an office that is no member, or whose present event key has not signed.
    """
    bodies = []
    for request, office in _each(requests):
        if roster.member(office.code).event_key not in request.signers:
            expected = "its present event key among the signers (lost? revoke, then admit)"
            raise ProofError(f"rotation of {office.code}", expected, "other keys only")
        asked = _asked_for(request, office)
        turn = roster.turn(office.code)
        bodies.append(MemberRotate(code=office.code, **asked, turn=turn, signatures=()))
    return tuple(bodies)


def _each(requests: Iterable[JoinRequest]) -> Iterator[tuple[JoinRequest, OfficeRequest]]:
    for request in requests:
        for office in request.offices:
            yield request, office


def _asked_for(request: JoinRequest, office: OfficeRequest) -> dict[str, Any]:
    return {
        "log_key": office.log_key,
        "witness_key": office.witness_key,
        "mirror_key": office.mirror_key,
        "event_key": office.event_key,
        "tls_pin": request.tls_pin,
        "peer_address": request.peer_address,
        "web_url": request.web_url,
    }


def write_invite(
    genesis_note: bytes, ledger: Reader, state: Reader, roster: Roster, codes: Iterable[str]
) -> bytes:
    """The invite for the node that hosts ``codes``, from the provincial log and its fold.

    Raises:
        ProofError: an office of them has not been admitted.
    """
    province = roster.genesis.province
    note = ledger.get("note", province.encode()) or b""
    size = parse_checkpoint(note).size
    changes = list(_changes(state))
    wanted = _needed(changes, {province, *(roster.member(code).code for code in codes)})
    members = []
    for index, entry, body in changes:
        if isinstance(body, NETWORK_CHANGES) or body.code not in wanted:
            continue
        hashes = logbook.prove_inclusion(ledger, province, index, size)
        proof = TlogProof(index, tuple(hashes), note).format()
        members.append({"entry": base64.b64encode(entry).decode(), "proof": proof.decode()})
    return encode_json(
        {"format": INVITE_FORMAT, "genesis": genesis_note.decode(), "members": members}
    )


def _changes(state: Reader) -> Iterator[tuple[int, bytes, RosterChange]]:
    """Every change that took effect, in order, with its index in the provincial log."""
    for key, entry in state.scan("member"):
        body = parse_event(entry).read_body()
        assert isinstance(body, CHANGES)
        yield int.from_bytes(key, "big"), entry, body


def _needed(changes: Iterable[tuple[int, bytes, RosterChange]], codes: set[str]) -> set[str]:
    """``codes`` and every office that the changes of these name: parents, present and former,
    and successors."""
    named: dict[str, set[str]] = {}
    for _, _, body in changes:
        if not isinstance(body, NETWORK_CHANGES):
            others = {getattr(body, name, "") for name in ("parent", "successor")}
            named.setdefault(body.code, set()).update(others - {""})
    waiting, needed = set(codes), set[str]()
    while waiting:
        code = waiting.pop()
        needed.add(code)
        waiting |= named.get(code, set()) - needed
    return needed


def read_invite(data: bytes) -> tuple[bytes, Roster]:
    """(genesis note, the part of the roster a newcomer needs), every step verified.

    Raises:
        DecodeError: not an invite.
        ProofError: a change that the root keys did not sign or that is not in the log.
    """
    fields = decode_json(data.strip(), bytes_max=INVITE_BYTES_MAX, where="invite")
    if fields.get("format") != INVITE_FORMAT:
        raise DecodeError("invite", INVITE_FORMAT, repr(fields.get("format"))[:40])
    try:
        note = str(fields["genesis"]).encode()
        members = [
            (base64.b64decode(member["entry"], validate=True), str(member["proof"]).encode())
            for member in fields["members"]
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise DecodeError("invite", "its fields", repr(error)[:80]) from error
    genesis = read_genesis(note)
    roster = Roster(genesis)
    proofs = []
    for number, (entry, proof_text) in enumerate(members):
        body = parse_event(entry).read_body()
        if not isinstance(body, CHANGES) or isinstance(body, NETWORK_CHANGES):
            raise DecodeError(f"invite.members[{number}]", "a change of a member", "another event")
        proof = TlogProof.parse(proof_text)
        if proof.index < roster.size:
            raise ProofError("invite", "changes in the order of the log", proof.index)
        roster = roster.apply(proof.index, body)
        proofs.append((entry, proof))
    if genesis.province not in roster.members:
        raise ProofError("invite", f"the province {genesis.province} in it", "others only")
    for entry, proof in proofs:
        _check_included(roster, entry, proof)
    return note, roster


def _check_included(roster: Roster, entry: bytes, proof: TlogProof) -> None:
    genesis = roster.genesis
    key = roster.member(genesis.province).log_note_key(genesis)
    checkpoint, _ = open_checkpoint(proof.checkpoint, (key,))
    if checkpoint.origin != genesis.origin(genesis.province):
        raise ProofError("invite", genesis.origin(genesis.province), checkpoint.origin)
    verify_inclusion(
        leaf_hash(entry), proof.index, checkpoint.size, checkpoint.root.raw, proof.hashes
    )
