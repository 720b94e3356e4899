"""Joining: requests, admissions, invites, as files that people carry.

A request says which keys and addresses an office will use, signed by its event key.  The province
admits it by a roster event that its root keys sign, and answers with an invite: the genesis note,
and the admissions of the province, the parent and the office itself, each with its inclusion proof
under a provincial checkpoint.  docs/spec/membership.md.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from configs.offices import OfficeRow
from ledger import logbook
from ledger.changes import sign_change
from ledger.checkpoint import open_checkpoint, parse_checkpoint
from ledger.events import CHANGES, MemberAdmit, PolicySet, RosterChange, parse_event
from ledger.genesis import Genesis, read_genesis
from ledger.members import TIERS
from ledger.merkle import leaf_hash, verify_inclusion
from ledger.roster import Roster
from ledger.tlogproof import TlogProof
from node.hands.keys import OfficeKeys
from protocol.errors import DecodeError, Missing, ProofError
from protocol.ids import OfficeCode, parse_office
from protocol.keys import Signer, verify
from protocol.limits import OFFICES_PER_NODE_MAX, MiB
from protocol.ports import Reader
from protocol.records import decode_json, encode_json

REQUEST_FORMAT = "fangzhi/request/1"
INVITE_FORMAT = "fangzhi/invite/1"
REQUEST_DOMAIN = b"fangzhi/request/v1\n"
REQUEST_BYTES_MAX = 1 * MiB
INVITE_BYTES_MAX = 4 * MiB


@dataclass(frozen=True, slots=True)
class JoinRequest:
    """What the offices of one node ask to be admitted with."""

    offices: tuple[
        tuple[OfficeCode, bytes, bytes, bytes, bytes], ...
    ]  # log, witness, mirror, event
    tls_pin: bytes
    peer_address: str
    web_url: str


def write_request(
    keys: Mapping[OfficeCode, OfficeKeys], tls_pin: bytes, peer_address: str, web_url: str
) -> bytes:
    """The request of a node, signed by the event key of each of its offices."""
    fields: dict[str, Any] = {
        "format": REQUEST_FORMAT,
        "offices": [
            {
                "code": code,
                "event_key": keys[code].event.public.hex(),
                "log_key": keys[code].log.public.hex(),
                "mirror_key": keys[code].mirror.public.hex(),
                "witness_key": keys[code].witness.public.hex(),
            }
            for code in sorted(keys)
        ],
        "peer_address": peer_address,
        "tls_pin": tls_pin.hex(),
        "web_url": web_url,
    }
    message = REQUEST_DOMAIN + encode_json(fields)
    signatures = [keys[code].event.sign(message).hex() for code in sorted(keys)]
    return encode_json({**fields, "signatures": signatures})


def read_request(data: bytes) -> JoinRequest:
    """
    Raises:
        DecodeError: not a request.
        ProofError: not signed by the event key of every office in it.
    """
    fields = decode_json(data.strip(), bytes_max=REQUEST_BYTES_MAX, where="request to join")
    if fields.get("format") != REQUEST_FORMAT:
        raise DecodeError("request to join", REQUEST_FORMAT, repr(fields.get("format"))[:40])
    try:
        signatures = [bytes.fromhex(line) for line in fields.pop("signatures")]
        request = JoinRequest(
            tuple(
                (
                    parse_office(office["code"]),
                    bytes.fromhex(office["log_key"]),
                    bytes.fromhex(office["witness_key"]),
                    bytes.fromhex(office["mirror_key"]),
                    bytes.fromhex(office["event_key"]),
                )
                for office in fields["offices"]
            ),
            bytes.fromhex(fields["tls_pin"]),
            str(fields["peer_address"]),
            str(fields["web_url"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DecodeError("request to join", "its fields", repr(error)[:80]) from error
    if not 0 < len(request.offices) == len(signatures) <= OFFICES_PER_NODE_MAX:
        raise DecodeError("request to join", "a signature for each office", len(signatures))
    message = REQUEST_DOMAIN + encode_json(fields)
    for (code, *_, event_key), signature in zip(request.offices, signatures, strict=True):
        verify(event_key, message, signature, f"request of {code}")
    return request


def admissions(
    genesis: Genesis,
    roster: Roster,
    request: JoinRequest,
    table: Iterable[OfficeRow],
    roots: Iterable[Signer],
) -> tuple[MemberAdmit, ...]:
    """The roster changes that admit a request, signed by ``roots``, parents before children.

    Raises:
        Missing: an office that is not in the table of offices.
        ProofError: against a rule of membership, or too few root keys.
    """
    rows = {row.code: row for row in table}
    signers = list(roots)
    bodies: list[MemberAdmit] = []
    for code, *_ in request.offices:
        if code not in rows:
            raise Missing(f"office {code}", "an office of the table of offices", "none")
    for code, log_key, witness_key, mirror_key, event_key in sorted(
        request.offices, key=lambda office: (TIERS.index(rows[office[0]].tier), office[0])
    ):
        row = rows[code]
        body = MemberAdmit(
            code=code,
            name=row.name,
            tier=row.tier,
            parent=row.parent or "",
            log_key=log_key,
            witness_key=witness_key,
            mirror_key=mirror_key,
            event_key=event_key,
            tls_pin=request.tls_pin,
            peer_address=request.peer_address,
            web_url=request.web_url,
            turn=roster.turn(code),
            signatures=(),
        )
        for root in signers:
            body = sign_change(genesis, body, root)
        roster = roster.apply(roster.size, body)  # refuses here what every node would refuse
        bodies.append(body)
    return tuple(bodies)


def write_invite(
    genesis: Genesis, genesis_note: bytes, reader: Reader, roster: Roster, codes: Iterable[str]
) -> bytes:
    """The invite for the node that hosts ``codes``, from the provincial log.

    Raises:
        ProofError: an office of them has not been admitted.
    """
    wanted = {genesis.province, *(roster.member(code).code for code in codes)}
    note = reader.get("note", genesis.province.encode()) or b""
    size = parse_checkpoint(note).size
    members = []
    for index in _changes_about(genesis, reader, wanted):
        entry = logbook.entry(reader, genesis.province, index)
        hashes = logbook.prove_inclusion(reader, genesis.province, index, size)
        proof = TlogProof(index, tuple(hashes), note).format()
        members.append({"entry": base64.b64encode(entry).decode(), "proof": proof.decode()})
    return encode_json(
        {"format": INVITE_FORMAT, "genesis": genesis_note.decode(), "members": members}
    )


def read_invite(data: bytes) -> tuple[bytes, Roster]:
    """(genesis note, the part of the roster a newcomer needs), every step verified.

    Raises:
        DecodeError: not an invite.
        ProofError: an admission that the root keys did not sign or that is not in the log.
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
        if not isinstance(body, CHANGES):
            raise DecodeError(f"invite.members[{number}]", "a change of members", "another event")
        proofs.append((leaf_hash(entry), TlogProof.parse(proof_text)))
        roster = roster.apply(proofs[-1][1].index, body)
    province = roster.member(genesis.province).log_note_key(genesis)
    for leaf, proof in proofs:
        checkpoint, _ = open_checkpoint(proof.checkpoint, (province,))
        if checkpoint.origin != genesis.origin(genesis.province):
            raise ProofError("invite", genesis.origin(genesis.province), checkpoint.origin)
        verify_inclusion(leaf, proof.index, checkpoint.size, checkpoint.root.raw, proof.hashes)
    return note, roster


def _changes_about(genesis: Genesis, reader: Reader, wanted: set[OfficeCode]) -> list[int]:
    """Where every change of these offices stands, and of whoever they ever stood under."""
    roster, changes = Roster(genesis), list[tuple[int, RosterChange]]()
    for index, entry in _entries(
        reader, genesis.province, logbook.head(reader, genesis.province).size
    ):
        with suppress(DecodeError, ProofError):  # as the fold does: such a change never was
            body = parse_event(entry).read_body()
            if isinstance(body, CHANGES):
                roster = roster.apply(index, body)
                changes.append((index, body))
    about = {str(code) for code in wanted}
    while more := {
        office
        for _, body in changes
        if not isinstance(body, PolicySet) and body.code in about
        for office in (getattr(body, "parent", ""), getattr(body, "successor", ""))
        if office and office not in about
    }:
        about |= more
    return [
        index for index, body in changes if not isinstance(body, PolicySet) and body.code in about
    ]


def _entries(reader: Reader, code: OfficeCode, size: int) -> Iterable[tuple[int, bytes]]:
    for start in range(0, size, 256):
        yield from enumerate(logbook.entries(reader, code, start, min(start + 256, size)), start)
