"""The province's changes of members: drafted here, signed elsewhere, appended here."""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import Iterable, Iterator
from typing import Any

from configs.offices import OfficeRow
from ledger import logbook
from ledger.events import (
    Anchor,
    AnchorLine,
    MemberAbolish,
    MemberMove,
    MemberRevoke,
    OutsideWitness,
    PolicySet,
    RecoverySet,
    RosterChange,
    parse_event,
)
from ledger.genesis import Genesis
from ledger.roster import Roster
from node.hands.world import World
from node.office.changefile import ChangeFile
from node.office.folding import Folding
from node.office.keyring import Keyring
from node.office.membership import JoinRequest, admissions, read_request, rotations, write_invite
from node.office.sequencer import Sequencer
from protocol.errors import ConfigError, DecodeError, Forbidden, Missing, Rejected, Unavailable
from protocol.ids import OfficeCode, RootHash
from protocol.merkle import EMPTY_ROOT
from protocol.ports import Reader

Json = dict[str, Any]
ENTRIES_READ = 256


class Registrar:
    """Changes of the roster at the node of the province."""

    def __init__(
        self,
        world: World,
        genesis: Genesis,
        genesis_note: bytes,
        keys: Keyring,
        sequencer: Sequencer,
        folding: Folding,
        wait_s: float,
    ) -> None:
        self._world = world
        self._genesis = genesis
        self._genesis_note = genesis_note
        self._keys = keys
        self._sequencer = sequencer
        self._folding = folding
        self._wait_s = wait_s

    def draft(self, what: Json, table: Iterable[OfficeRow]) -> ChangeFile:
        """The unsigned change file for one of ``{admit: [request]}``, ``{rotate: [request]}``,
        ``{revoke: code, at?}``, ``{move: code, parent}``, ``{rename: code, name}``, ``{abolish:
        code, successor, at?}``, ``{policy: TOML}``, ``{recovery: public key in
        hexadecimal}``.

        Raises:
            Missing: no such office, or no anchored checkpoint of it.
            ProofError: against a rule of membership.
            DecodeError: none of these.
        """
        roster = self._folding.roster
        changes = tuple(self._changes(roster, what, table))
        file = ChangeFile.draft(self._genesis_note, changes)
        for number, body in enumerate(changes):
            roster = roster.after(roster.size + number, body)
        return file

    def _changes(
        self, roster: Roster, what: Json, table: Iterable[OfficeRow]
    ) -> Iterable[RosterChange]:
        match what:
            case {"admit": [*texts]}:
                return admissions(roster, _requests(texts), table)
            case {"rotate": [*texts]}:
                return rotations(roster, _requests(texts))
            case {"revoke": str(code)}:
                size, root = self._anchored(roster, code, what.get("at"))
                return [MemberRevoke(code, size, root, roster.turn(code), ())]
            case {"abolish": str(code), "successor": str(successor)}:
                size, root = self._anchored(roster, code, what.get("at"))
                return [MemberAbolish(code, successor, size, root, roster.turn(code), ())]
            case {"move": str(code), "parent": str(parent)}:
                name = roster.member(code).name
                return [MemberMove(code, parent, name, roster.turn(code), ())]
            case {"rename": str(code), "name": str(name)}:
                parent = roster.member(code).parent or ""
                return [MemberMove(code, parent, name, roster.turn(code), ())]
            case {"policy": str(text)}:
                return [_policy(text, roster)]
            case {"recovery": str(key)}:
                return [_recovery(key, roster)]
        expected = "admit, rotate, revoke, move, rename, abolish, policy or recovery"
        raise DecodeError("draft", expected, "none")

    async def apply(self, file: ChangeFile) -> int:
        """Append the changes of a file (province); returns the provincial size after it.

        Raises:
            Forbidden: the province is not hosted here, or the file is of another network.
            ProofError: too few root keys have signed, or against a rule of membership.
            Rejected: another change came first; the file must be drafted again.
            Unavailable: the province may not sign now; nothing was kept.
        """
        province = self._genesis.province
        if province not in self._keys:
            raise Forbidden("roster", f"the provincial node {province}", sorted(self._keys))
        if file.genesis != self._genesis:
            raise Forbidden("change file", f"network {self._genesis.id.short}", "another network")
        file.require_signed()
        with self._world.ledger.read() as reader:
            size = logbook.head(reader, province).size
        gate = self._sequencer.gates[province]
        if not gate.is_open:
            expected = "an open gate of the province (is a city running?)"
            raise Unavailable("roster", expected, gate.why_shut(size))
        roster = self._folding.roster
        for number, body in enumerate(file.changes):
            _require_turn(roster, body)
            roster = roster.apply(size + number, body)  # refuses what every node would refuse
        refs = await self._sequencer.append(province, file.changes)
        if not refs:
            raise Unavailable("roster", "an open gate of the province", "it shut meanwhile: 待登记")
        size = refs[-1].index + 1
        async with asyncio.timeout(self._wait_s):
            await self._folding.until(province, size)
        await self._sequencer.drain(province)  # where the province itself has other keys now
        return size

    def invite(self, codes: Iterable[str]) -> bytes:
        """The invite for the node that hosts ``codes``."""
        with self._world.ledger.read() as ledger, self._world.state.read() as state:
            return write_invite(self._genesis_note, ledger, state, self._folding.roster, codes)

    def _anchored(self, roster: Roster, code: str, at: object) -> tuple[int, RootHash]:
        """(size, root) of the largest anchored checkpoint of a log, or of the one of size
        ``at``."""
        if at == 0:
            return 0, RootHash(EMPTY_ROOT)
        member = roster.member(code)
        with self._world.ledger.read() as reader:
            above = [m.code for m in roster.active() if roster.is_above(m.code, member.code)]
            lines = [line for upper in above for line in _anchors(reader, upper, member.code)]
        lines = [line for line in lines if at in (None, line.size)]
        if not lines:
            wanted = "an anchored checkpoint" if at is None else f"one of size {at}"
            raise Missing(f"log {code}", f"{wanted} (--at 0 keeps nothing of it)", "none")
        best = max(lines, key=lambda line: line.size)
        return best.size, best.root


def _requests(texts: Iterable[object]) -> list[JoinRequest]:
    return [read_request(str(text).encode()) for text in texts]


def _anchors(reader: Reader, upper: OfficeCode, code: str) -> Iterator[AnchorLine]:
    """What the log of ``upper`` has anchored of ``code``."""
    size = logbook.head(reader, upper).size
    for start in range(0, size, ENTRIES_READ):
        for entry in logbook.entries(reader, upper, start, min(start + ENTRIES_READ, size)):
            try:
                body = parse_event(entry).read_body()
            except DecodeError:
                continue
            if isinstance(body, Anchor):
                yield from (line for line in body.heads if line.code == code)


def _require_turn(roster: Roster, body: RosterChange) -> None:
    """That a change was drafted for this very place."""
    if isinstance(body, PolicySet):
        what, have, drafted = "witness policy", roster.rules.version + 1, body.version
    elif isinstance(body, RecoverySet):
        have = roster.recovery.version + 1 if roster.recovery else 1
        what, drafted = "recovery key", body.version
    else:
        what, have, drafted = f"office {body.code}", roster.turn(body.code), body.turn
    if have != drafted:
        expected = f"change no. {have} of it (another one came first: draft and sign again)"
        raise Rejected(what, expected, f"no. {drafted}")


def _recovery(text: str, roster: Roster) -> RecoverySet:
    """The next recovery key, from its public half in hexadecimal."""
    version = roster.recovery.version + 1 if roster.recovery else 1
    try:
        return RecoverySet(version, bytes.fromhex(text), ())
    except ValueError as error:
        raise DecodeError("recovery key", "64 hexadecimal digits", text[:80]) from error


def _policy(text: str, roster: Roster) -> PolicySet:
    """The next witness policy from a TOML file; keys as in PolicySet, ``[[outside]]`` tables."""
    where = "policy file"
    try:
        fields = tomllib.loads(text)
        outside = tuple(OutsideWitness(**each) for each in fields.pop("outside", ()))
        return PolicySet(version=roster.rules.version + 1, outside=outside, signatures=(), **fields)
    except (tomllib.TOMLDecodeError, TypeError) as error:
        expected = "city_county, province, outside_needed and [[outside]] of name, vkey, url"
        raise ConfigError(where, expected, str(error)[:80]) from error
