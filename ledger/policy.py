"""Whose cosignatures are enough?  The trust policy of c2sp.org/tlog-policy.

A policy lists logs, witnesses and groups of them, and names the witness or group that is the
quorum.  A checkpoint is good when one of the logs signed it and the quorum has witnessed it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ledger.fields import parse_decimal
from ledger.note import COSIGNATURE_V1, ED25519, NoteKey, Signature
from protocol.errors import DecodeError, ProofError
from protocol.limits import POLICY_BYTES_MAX

NO_QUORUM: Final = "none"

_FORBIDDEN = re.compile(rb"[^\t\n\x20-\x7e\x80-\xff]")
_BLANKS = re.compile(r"[ \t]+")


@dataclass(frozen=True, slots=True)
class PolicyLog:
    key: NoteKey
    url: str = ""


@dataclass(frozen=True, slots=True)
class PolicyWitness:
    name: str
    key: NoteKey
    url: str = ""


@dataclass(frozen=True, slots=True)
class PolicyGroup:
    """Witnesses a checkpoint when at least ``threshold`` of its members do."""

    name: str
    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """``quorum`` names a witness or a group, or is "none".  Names mean nothing outside the policy.

    Raises DecodeError for anything a policy file may not say; a group's members are witnesses or
    earlier groups.
    """

    logs: tuple[PolicyLog, ...]
    witnesses: tuple[PolicyWitness, ...]
    groups: tuple[PolicyGroup, ...]
    quorum: str

    def __post_init__(self) -> None:
        _check_keys([log.key for log in self.logs], ED25519, "policy log")
        _check_keys([witness.key for witness in self.witnesses], COSIGNATURE_V1, "policy witness")
        defined: set[str] = {NO_QUORUM}
        for witness in self.witnesses:
            _define(witness.name, defined)
        member_of: set[str] = {NO_QUORUM}
        for group in self.groups:
            if not 1 <= group.threshold <= len(group.members):
                limit = f"a threshold of 1 to {len(group.members)}"
                raise DecodeError(f"policy group {group.name}", limit, group.threshold)
            for member in group.members:
                if member not in defined or member in member_of:
                    raise DecodeError(
                        f"policy group {group.name}",
                        "members defined before and in no other group",
                        member,
                    )
                member_of.add(member)
            _define(group.name, defined)
        if self.quorum not in defined:
            raise DecodeError("policy quorum", "a witness or group defined before", self.quorum)

    def format(self) -> bytes:
        lines = [["log", log.key.vkey, log.url] for log in self.logs]
        lines += [["witness", each.name, each.key.vkey, each.url] for each in self.witnesses]
        for group in self.groups:
            words = {len(group.members): "all", 1: "any"}
            threshold = words.get(group.threshold, str(group.threshold))
            lines.append(["group", group.name, threshold, *group.members])
        lines.append(["quorum", self.quorum])
        text = "".join(" ".join(filter(None, line)) + "\n" for line in lines)
        return text.encode("utf-8", "surrogateescape")

    @classmethod
    def parse(cls, data: bytes) -> Policy:
        """A policy file.  Octets from 80 up are opaque: they survive even when not UTF-8.

        Raises:
            DecodeError: naming the line that does not fit.
        """
        if len(data) > POLICY_BYTES_MAX:
            raise DecodeError("policy", f"at most {POLICY_BYTES_MAX} bytes", len(data))
        if _FORBIDDEN.search(data):
            raise DecodeError("policy", "no control characters but tab and newline", "another")
        draft = _Draft()
        for number, line in enumerate(data.decode("utf-8", "surrogateescape").split("\n"), 1):
            items = _BLANKS.split(line.strip(" \t"))
            if items[0] and not items[0].startswith("#"):
                draft.take(items, f"policy line {number}")
        if draft.quorum is None:
            raise DecodeError("policy", "a quorum line", "none")
        return cls(tuple(draft.logs), tuple(draft.witnesses), tuple(draft.groups), draft.quorum)


def evaluate(policy: Policy, verified: Iterable[Signature]) -> None:
    """Check that the signers of ``verified`` signatures make the quorum.

    Raises:
        ProofError: they do not.
    """
    signers = {(line.name, line.key_id) for line in verified}
    held = {w.name for w in policy.witnesses if (w.key.name, w.key.id) in signers}
    for group in policy.groups:
        if len(held.intersection(group.members)) >= group.threshold:
            held.add(group.name)
    if policy.quorum not in held | {NO_QUORUM}:
        raise ProofError("witness policy", f"quorum {policy.quorum}", f"only {sorted(held)[:10]}")


class _Draft:
    """A policy while its file is read; names must be defined on earlier lines."""

    def __init__(self) -> None:
        self.logs: list[PolicyLog] = []
        self.witnesses: list[PolicyWitness] = []
        self.groups: list[PolicyGroup] = []
        self.quorum: str | None = None
        self._defined = {NO_QUORUM}

    def take(self, items: list[str], where: str) -> None:
        match items:
            case ["log", vkey, *url] if len(url) < 2:
                self.logs.append(PolicyLog(NoteKey.parse(vkey), *url))
            case ["witness", name, vkey, *url] if len(url) < 2:
                self.witnesses.append(PolicyWitness(name, NoteKey.parse(vkey), *url))
                self._defined.add(name)
            case ["group", name, threshold, *members] if members:
                self._check_defined(members, where)
                words = {"all": len(members), "any": 1}
                count = words[threshold] if threshold in words else parse_decimal(threshold, where)
                self.groups.append(PolicyGroup(name, count, tuple(members)))
                self._defined.add(name)
            case ["quorum", name] if self.quorum is None:
                self._check_defined([name], where)
                self.quorum = name
            case _:
                raise DecodeError(where, "log, witness, group or one quorum", " ".join(items)[:80])

    def _check_defined(self, names: list[str], where: str) -> None:
        for name in names:
            if name not in self._defined:
                raise DecodeError(where, "names defined on earlier lines", name)


def _define(name: str, defined: set[str]) -> None:
    if not name or name in defined or _BLANKS.search(name) or "\n" in name:
        raise DecodeError("policy", "names without blanks, each defined once", repr(name))
    defined.add(name)


def _check_keys(keys: list[NoteKey], kind: int, where: str) -> None:
    if len({key.public for key in keys}) != len(keys):
        raise DecodeError(where, "each public key once", "a key twice")
    for key in keys:
        if key.type != kind:
            raise DecodeError(where, f"a key of type {kind:02x}", f"{key.type:02x}")
