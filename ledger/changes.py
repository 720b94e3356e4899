"""Changes of the roster: what the root keys sign, and whether enough of them have.

A statement covers the network and the change without its signatures.  A change of an office
carries its turn, the next policy its version, so a signature is good for one place only.
docs/spec/membership.md, "Changes".
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, TypeVar

from ledger.events import (
    NETWORK_CHANGES,
    RootSignature,
    RosterChange,
    kind_of,
)
from ledger.genesis import Genesis
from protocol.canonical import encode
from protocol.errors import ProofError
from protocol.keys import Signer, key_id, verify
from protocol.shapes import to_value

ROSTER_DOMAIN: Final = b"fangzhi/roster/v1\n"

SomeChange = TypeVar("SomeChange", bound=RosterChange)


def change_statement(genesis: Genesis, body: RosterChange) -> bytes:
    """What root keys sign: the network and the change without its signatures."""
    members = to_value(replace(body, signatures=()))
    return ROSTER_DOMAIN + encode((genesis.id.raw, kind_of(body), members))


def sign_change(genesis: Genesis, body: SomeChange, root: Signer) -> SomeChange:
    """The change with one more root signature."""
    signature = RootSignature(key_id(root.public), root.sign(change_statement(genesis, body)))
    return replace(body, signatures=(*body.signatures, signature))


def verify_change(genesis: Genesis, body: RosterChange) -> None:
    """
    Raises:
        ProofError: fewer root keys have signed than the genesis note demands, or one did badly.
    """
    roots = genesis.root_keys()
    signers: set[bytes] = set()
    statement = change_statement(genesis, body)
    where = name_of(body)
    for line in body.signatures:
        if line.signer in roots:
            verify(roots[line.signer], statement, line.signature, f"root signature on {where}")
            signers.add(line.signer)
    if len(signers) < genesis.threshold:
        raise ProofError(where, f"{genesis.threshold} root signatures", len(signers))


def name_of(body: RosterChange) -> str:
    """How errors name a change: its kind and the office, or the version of what is everybody's."""
    about = body.version if isinstance(body, NETWORK_CHANGES) else body.code
    return f"{kind_of(body)} {about}"
