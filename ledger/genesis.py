"""The founding text of a network: which root keys may change who belongs.

It is the only thing an auditor takes on trust.  docs/spec/membership.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from ledger.fields import parse_decimal
from ledger.note import ED25519, Note, NoteKey, open_note, parse_note, sign_note
from protocol.errors import DecodeError, ProofError
from protocol.ids import NetworkId, OfficeCode, parse_office
from protocol.keys import Signer, key_id
from protocol.limits import ORIGIN_BYTES_MAX

GENESIS_TITLE: Final = "fangzhi genesis v1"
_HEX_KEY: Final = re.compile(r"[0-9a-f]{64}")


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
    genesis = parse_genesis(parse_note(data).text)
    _, verified = open_note(data, genesis.roots)
    if len(verified) < genesis.threshold:
        raise ProofError("genesis note", f"{genesis.threshold} root signatures", len(verified))
    return genesis


def parse_genesis(text: str) -> Genesis:
    """The genesis in the text of a note or draft, whoever has signed it.

    Raises:
        DecodeError: not its one spelling, or against its rules.
    """
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
