"""Change files: roster changes on their way to the root keys that must sign them.

A file holds the genesis note with its signatures so far and the changes with theirs, so whoever
has a root key can read and sign it on a machine without network or node.  The founding of a network
is a change file whose genesis note is not signed often enough yet and whose changes admit the
province: root holders sign both at once.  docs/spec/membership.md.
"""

from __future__ import annotations

import typing
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Final, cast

from ledger.changes import change_statement, sign_change
from ledger.events import CHANGES, KINDS, MemberAdmit, RosterChange, kind_of
from ledger.genesis import Genesis, parse_genesis
from ledger.note import Note, parse_note, parse_signature, sign_note, verify_signatures
from ledger.note import Signature as NoteSignature
from protocol.canonical import Value
from protocol.errors import DecodeError, Forbidden, ProofError
from protocol.ids import Digest
from protocol.keys import Signer, key_id, verify
from protocol.limits import BATCH_EVENTS_MAX, MiB
from protocol.records import decode_json, encode_json
from protocol.shapes import from_value

CHANGE_FORMAT: Final = "fangzhi/change/1"
CHANGE_BYTES_MAX: Final = 8 * MiB
_WHERE: Final = "change file"


@dataclass(frozen=True, slots=True)
class ChangeFile:
    """``changes`` carry the root signatures that they have so far."""

    genesis: Genesis
    genesis_signatures: tuple[NoteSignature, ...]
    changes: tuple[RosterChange, ...]

    @classmethod
    def draft(cls, genesis_note: bytes, changes: tuple[RosterChange, ...]) -> ChangeFile:
        """Changes of a founded network that nobody has signed yet."""
        note = parse_note(genesis_note)
        return cls(parse_genesis(note.text), note.signatures, changes)

    @property
    def founds(self) -> bool:
        """Whether it founds the network: the genesis note is signed together with it."""
        first = self.changes[0]
        return isinstance(first, MemberAdmit) and (first.code, first.turn) == (
            self.genesis.province,
            0,
        )

    @property
    def genesis_note(self) -> bytes:
        return Note(self.genesis.text(), self.genesis_signatures).format()

    def signed_by(self) -> list[str]:
        """Names of the root keys that have signed every change."""
        return [
            root.name
            for root in self.genesis.roots
            if all(key_id(root.public) in _signers(body) for body in self.changes)
        ]

    def still_needed(self) -> int:
        """How many more root keys must sign."""
        fewest = min(len(_signers(body)) for body in self.changes)
        return max(self.genesis.threshold - min(fewest, len(self.genesis_signatures)), 0)

    def require_signed(self) -> None:
        """
        Raises:
            ProofError: too few root keys have signed; names those that could.
        """
        if needed := self.still_needed():
            others = [r.name for r in self.genesis.roots if r.name not in self.signed_by()]
            expected = f"{self.genesis.threshold} root signatures"
            raise ProofError(_WHERE, expected, f"{needed} missing, of {', '.join(others)}")


def add_signature(file: ChangeFile, root: Signer) -> ChangeFile:
    """The file with the signature of one more root key on everything in it.

    Raises:
        Forbidden: the key is no root key of this network, or has signed already.
    """
    names = {r.public: r.name for r in file.genesis.roots}
    if root.public not in names:
        raise Forbidden(_WHERE, f"a root key of {file.genesis.network}", "another key")
    name = names[root.public]
    if name in file.signed_by():
        raise Forbidden(_WHERE, "a root key that has not signed yet", f"{name}, which has")
    lines = file.genesis_signatures
    if file.founds and name not in [line.name for line in lines]:
        lines = (*lines, sign_note(file.genesis.text(), name, root))
    changes = tuple(
        body if key_id(root.public) in _signers(body) else sign_change(file.genesis, body, root)
        for body in file.changes
    )
    return ChangeFile(file.genesis, lines, changes)


def write_change_file(file: ChangeFile) -> bytes:
    return encode_json(
        {
            "changes": [{"kind": kind_of(body), **_plain(body)} for body in file.changes],
            "format": CHANGE_FORMAT,
            "genesis": file.genesis.text(),
            "genesis_signatures": [line.format() for line in file.genesis_signatures],
        }
    )


def read_change_file(data: bytes) -> ChangeFile:
    """
    Raises:
        DecodeError: not a change file in its one spelling.
        ProofError: a signature in it that does not hold.
    """
    json = decode_json(data.strip(), bytes_max=CHANGE_BYTES_MAX, where=_WHERE)
    if json.get("format") != CHANGE_FORMAT:
        raise DecodeError(_WHERE, CHANGE_FORMAT, repr(json.get("format"))[:40])
    try:
        genesis = parse_genesis(str(json["genesis"]))
        lines = tuple(
            parse_signature(line.removesuffix("\n")) for line in json["genesis_signatures"]
        )
        changes = tuple(_body(fields) for fields in json["changes"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DecodeError(_WHERE, "its fields", repr(error)[:80]) from error
    if not 0 < len(changes) <= BATCH_EVENTS_MAX:
        raise DecodeError(_WHERE, f"1 to {BATCH_EVENTS_MAX} changes", len(changes))
    file = ChangeFile(genesis, lines, changes)
    if write_change_file(file) != data.strip():
        raise DecodeError(_WHERE, "its canonical fields and no others", "another spelling")
    _check_signatures(file)
    return file


def _check_signatures(file: ChangeFile) -> None:
    lines = file.genesis_signatures
    if lines and verify_signatures(Note(file.genesis.text(), lines), file.genesis.roots) != lines:
        raise ProofError("genesis draft", "one signature of each root key", "another line")
    roots = file.genesis.root_keys()
    for body in file.changes:
        signers = _signers(body)
        if len(signers) != len(body.signatures) or not signers <= set(roots):
            raise ProofError(_WHERE, "one signature of each root key", "another one")
        statement = change_statement(file.genesis, body)
        for line in body.signatures:
            verify(roots[line.signer], statement, line.signature, _WHERE)


def _signers(body: RosterChange) -> set[bytes]:
    return {line.signer for line in body.signatures}


# bodies as JSON: fields by name, bytes in hexadecimal


def _plain(thing: Any) -> Any:
    if isinstance(thing, Digest):
        return thing.hex
    if isinstance(thing, bytes):
        return thing.hex()
    if isinstance(thing, tuple):
        return [_plain(member) for member in thing]
    if is_dataclass(thing):
        return {field.name: _plain(getattr(thing, field.name)) for field in fields(thing)}
    return thing


def _body(json: dict[str, Any]) -> RosterChange:
    kind = KINDS.get(json.pop("kind"))
    if kind not in CHANGES:
        raise DecodeError(_WHERE, "changes of the roster", "another kind")
    return cast(RosterChange, from_value(kind, _value(kind, json), _WHERE))


def _value(kind: Any, json: Any) -> Value:
    """The canonical value of what :func:`_plain` wrote of a ``kind``."""
    if typing.get_origin(kind) is tuple:
        return tuple(_value(typing.get_args(kind)[0], member) for member in json)
    if kind is bytes or (isinstance(kind, type) and issubclass(kind, Digest)):
        return bytes.fromhex(json)
    if is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        return tuple(_value(hints[field.name], json[field.name]) for field in fields(kind))
    return cast(Value, json)
