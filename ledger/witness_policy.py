"""The witness policy that the roster sets, as a tlog-policy of one log."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from ledger.events import PolicySet
from ledger.genesis import Genesis
from ledger.members import Member, check_address, check_name
from ledger.note import COSIGNATURE_V1, Note, NoteKey, Signature, cosignature_time, verify_line
from ledger.policy import NO_QUORUM, Policy, PolicyGroup, PolicyLog, PolicyWitness, evaluate
from protocol.errors import ProofError
from protocol.limits import OUTSIDE_WITNESSES_MAX

FIRST_RULES: Final = PolicySet(1, 2, 0, (), 0, ())  # version 1, before any policy.set
MEMBERS: Final = "members"
OUTSIDE: Final = "outside"
QUORUM: Final = "quorum"
_RESERVED: Final = frozenset({MEMBERS, OUTSIDE, QUORUM, NO_QUORUM})


def check_rules(where: str, rules: PolicySet) -> None:
    """
    Raises:
        ProofError, DecodeError: against a rule of docs/spec/membership.md, "Witness policy".
    """
    if rules.city_county < 1 or rules.outside_needed > len(rules.outside):
        raise ProofError(where, "at least one member, no more outside witnesses than named", "else")
    if len(rules.outside) > OUTSIDE_WITNESSES_MAX:
        raise ProofError(where, f"at most {OUTSIDE_WITNESSES_MAX} outside", len(rules.outside))
    names = [outside.name for outside in rules.outside]
    if len(set(names)) != len(names) or len(outside_keys(rules)) != len(names):
        raise ProofError(where, "each outside witness once", names)
    for outside in rules.outside:
        check_name(where, outside.name)
        check_address(where, outside.url)
        if outside.name in _RESERVED or not outside.name[0].isalpha() or " " in outside.name:
            raise ProofError(where, "names of one word that begin with a letter", outside.name)
        if not outside.url.startswith(("http://", "https://")):
            raise ProofError(where, "a web address of http or https", outside.url)
        if NoteKey.parse(outside.vkey).type != COSIGNATURE_V1:
            raise ProofError(where, f"a key of type {COSIGNATURE_V1:02x}", outside.vkey)


@lru_cache(maxsize=64)
def outside_keys(rules: PolicySet) -> frozenset[bytes]:
    """The public keys of the outside witnesses.

    Raises:
        DecodeError: what is given for one is no key.
    """
    return frozenset(NoteKey.parse(outside.vkey).public for outside in rules.outside)


@dataclass(frozen=True, slots=True)
class Witnessed:
    """Who co-signed a checkpoint, and whether that is enough."""

    needed: int  # how many have to, of members and outside witnesses together
    by: tuple[tuple[str, int], ...]  # name in the policy, POSIX seconds
    holds: bool


UNWITNESSED: Final = Witnessed(0, (), False)


def witnessed(policy: Policy, note: Note) -> Witnessed:
    """What the good co-signatures on a note amount to under a policy of the roster.  Lines that do
    not hold, or are by nobody in the policy, are passed over; the log's own is not looked at."""
    lines = {(line.name, line.key_id): line for line in note.signatures}
    good: list[tuple[str, Signature]] = []
    for witness in policy.witnesses:
        line = lines.get((witness.key.name, witness.key.id))
        if line is not None:
            with suppress(ProofError):
                verify_line(witness.key, note.text, line.signature)
                good.append((witness.name, line))
    holds = True
    try:
        evaluate(policy, [line for _, line in good])
    except ProofError:
        holds = False
    needed = sum(group.threshold for group in policy.groups if group.name != QUORUM)
    by = tuple((name, cosignature_time(line.signature)) for name, line in good)
    return Witnessed(needed, by, holds)


def policy_of(
    genesis: Genesis, rules: PolicySet, member: Member, needed: int, candidates: Iterable[Member]
) -> Policy:
    """The policy of the log of ``member``: ``needed`` of ``candidates``, and the outside witnesses
    that the rules demand."""
    inside = [
        PolicyWitness(each.code, each.witness_note_key(genesis), _below(each.web_url, "witness"))
        for each in candidates
    ]
    outside = [
        PolicyWitness(each.name, NoteKey.parse(each.vkey), each.url) for each in rules.outside
    ]
    groups = [
        PolicyGroup(name, threshold, tuple(witness.name for witness in witnesses))
        for name, threshold, witnesses in (
            (MEMBERS, needed, inside),
            (OUTSIDE, rules.outside_needed, outside),
        )
        if threshold
    ]
    if len(groups) == 2:
        groups.append(PolicyGroup(QUORUM, 2, (MEMBERS, OUTSIDE)))
    log = PolicyLog(member.log_note_key(genesis), _below(member.web_url, f"log/{member.code}"))
    return Policy(
        logs=(log,),
        witnesses=(*inside, *outside),
        groups=tuple(groups),
        quorum=groups[-1].name if groups else NO_QUORUM,
    )


def _below(web_url: str, path: str) -> str:
    return f"{web_url.rstrip('/')}/{path}" if web_url else ""
