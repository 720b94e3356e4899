"""The check of an exported folder, by ``docs/spec/audit.md``: rules 1 to 8 without items.

What is not looked at: rules of items (uploads, reviews, holdings), witness policy, claimed times.
Everything else of a folder is read, and every break has its place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.second import events, notes, trees
from tests.second.events import Event
from tests.second.members import (
    ORDER,
    ROLES,
    Genesis,
    Roster,
    User,
    is_sealing_key,
    key_id,
    read_genesis,
)
from tests.second.notes import COSIGNATURE, ED25519, Key
from tests.second.values import Bad

SYNONYMS_BYTES_MAX = 524_288

CRITICAL = ("member.admit", "member.rotate", "member.revoke", "member.move", "member.abolish")
MEMBERS_KINDS = (*CRITICAL, "policy.set", "recovery.set")
Place = tuple[str, int, str]  # office, index or -1, code of the finding


@dataclass
class Log:
    """What is known of one log: ``leaves`` are the hashes that the checkpoint's root covers."""

    size: int = 0
    leaves: list[bytes] = field(default_factory=list)
    roots: list[bytes] = field(default_factory=lambda: [trees.EMPTY])
    entries: list[bytes | None] = field(default_factory=list)
    note: notes.Note | None = None
    absent: bool = False
    whole: bool = False  # every entry is there


class Check:
    """One run over a folder; ``places`` afterwards, in the order of offices and indexes.

    ``sample`` says of which (office, index) the event's signature is checked: here an Ed25519
    verification takes milliseconds.
    """

    def __init__(
        self,
        folder: Path,
        genesis_note: bytes,
        sample: Callable[[str, int], bool] = lambda code, index: True,
    ) -> None:
        self.folder = folder
        self.sample = sample
        self.genesis: Genesis = read_genesis(genesis_note)
        self.rosters = [Roster(self.genesis)]  # by size of the provincial log
        self.logs: dict[str, Log] = {}
        self.users: dict[tuple[str, bytes], User] = {}  # by office and key id
        self.sealing: dict[str, int] = {}  # the version of each office's sealing key
        self.synonyms = 0  # the version of the table in force
        self.recorded: list[tuple[str, int, str, int, bytes]] = []
        self.found: list[Place] = []
        self._run()

    @property
    def places(self) -> list[Place]:
        order = {code: at for at, code in enumerate(self._order())}
        return sorted(set(self.found), key=lambda each: (order.get(each[0], 10**6), each))

    def _order(self) -> list[str]:
        members = self.rosters[-1].members
        known = sorted(members.values(), key=lambda each: (ORDER.index(each.tier), each.code))
        first = self.genesis.province
        return [first, *(each.code for each in known if each.code != first)]

    def _run(self) -> None:
        province = self.genesis.province
        folders = sorted(each.name for each in (self.folder / "log").iterdir())
        log = self._read_log(province)
        self._events(province, log)
        if not log.whole:
            rest = {*folders, *self.rosters[-1].members} - {province}
            self.found += [(code, -1, "log.unchecked") for code in rest]
            return
        for code in self._order()[1:]:
            self._events(code, self._read_log(code))
        strangers = set(folders) - set(self._order())
        self.found += [(code, -1, "log.stranger") for code in strangers]
        self._compare()

    # -- bytes ---------------------------------------------------------------------------------

    def _file(self, code: str, path: str) -> bytes | None:
        try:
            return (self.folder / "log" / code / path).read_bytes()
        except OSError:
            return None

    def _read_log(self, code: str) -> Log:
        log = self.logs[code] = Log()
        data = self._file(code, "checkpoint")
        if data is None:
            if code == self.genesis.province:
                self.found.append((code, -1, "log.missing"))
            log.absent = True
            return log
        try:
            note = notes.read_note(data)
            checkpoint = notes.read_checkpoint(note.text)
        except Bad:
            self.found.append((code, -1, "checkpoint.decode"))
            log.size = notes.SIZE_MAX
            return log
        if checkpoint.origin != self.genesis.origin(code):
            self.found.append((code, -1, "checkpoint.origin"))
        log.size = checkpoint.size
        self._leaves(code, log, checkpoint.root)
        log.whole = len(log.entries) == log.size and None not in log.entries
        log.roots = list(trees.roots(log.leaves))
        log.note = note
        if code != self.genesis.province:
            self._signatures(code, note)
        return log

    def _signatures(self, code: str, note: notes.Note) -> None:
        """The log's own line, then those of witnesses and mirrors of any roster."""
        origin = self.genesis.origin
        own, others = [], []
        if code == self.genesis.province:
            own.append(Key(origin(code), ED25519, self.genesis.log_key))
        for roster in self.rosters:
            for member in roster.members.values():
                log_key, witness, mirror, _ = member.keys
                if member.code == code:
                    own.append(Key(origin(code), ED25519, log_key))
                others.append(Key(f"{origin(member.code)}/witness", COSIGNATURE, witness))
                others.append(Key(f"{origin(member.code)}/mirror", COSIGNATURE, mirror))
        others += [key for roster in self.rosters for key in roster.outside]
        size = notes.read_checkpoint(note.text).size
        try:
            bounds = [self.rosters[-1].bound(code, key.public) for key in notes.signers(note, own)]
            if all(bound is not None and size > bound for bound in bounds):
                self.found.append((code, -1, "checkpoint.closed"))
        except Bad:
            self.found.append((code, -1, "checkpoint.signature"))
        known = {(key.name, key.id): key for key in others}
        mine = {(key.name, key.id) for key in own}
        for line in note.lines:
            key = known.get((line.name, line.id))
            if key and not key.good(note.text, line.signature):
                self.found.append((code, -1, "checkpoint.cosignature"))
            stranger = not key and (line.name, line.id) not in mine
            if stranger and self.logs[self.genesis.province].whole:
                self.found.append((code, -1, "checkpoint.stranger"))

    def _leaves(self, code: str, log: Log, root: bytes) -> None:
        entries = self._entries(code, log.size)
        tiles = self._level(code, 0, log.size)
        hashes = [trees.leaf(entry) if entry is not None else None for entry in entries]
        if None not in tiles and _root(tiles) == root:
            log.leaves = [each for each in tiles if each]
        else:
            log.leaves = [each for each in (tiles if None in hashes else hashes) if each]
            if None not in hashes and _root(hashes) != root:
                self.found.append((code, -1, "log.root"))
        if len(log.leaves) < log.size:
            return
        log.entries = [
            entry if hashes[at] == log.leaves[at] else None for at, entry in enumerate(entries)
        ]
        for at, entry in enumerate(log.entries):
            if entry is None:
                self.found.append((code, at, "entry.hash"))
        self._levels(code, log, tiles)

    def _levels(self, code: str, log: Log, tiles: list[bytes | None]) -> None:
        level, true = 0, log.leaves
        while true:
            told = tiles if level == 0 else self._level(code, level, len(true))
            for at, each in enumerate(true):
                if told[at] != each:
                    self.found.append((code, at * trees.WIDTH**level, "tile.hash"))
            full = range(0, len(true) - len(true) % trees.WIDTH, trees.WIDTH)
            true = [trees.perfect(true[at : at + trees.WIDTH]) for at in full]
            level += 1

    def _entries(self, code: str, size: int) -> list[bytes | None]:
        entries: list[bytes | None] = []
        for number, width in trees.widths(size):
            bundle = self._file(code, trees.path("entries", number, width))
            part, good = trees.entries_of(bundle or b"")
            if not good or len(part) != width:
                place = number * trees.WIDTH + min(len(part), width - 1)
                self.found.append((code, place, "bundle.decode"))
            entries += [*part[:width], *[None] * (width - len(part))]
        return entries

    def _level(self, code: str, level: int, count: int) -> list[bytes | None]:
        hashes: list[bytes | None] = []
        for number, width in trees.widths(count):
            tile = self._file(code, trees.path(level, number, width))
            if tile is not None and len(tile) == 32 * width:
                hashes += trees.hashes_of(tile, width)
            else:
                hashes += [None] * width
        return hashes

    # -- events --------------------------------------------------------------------------------

    def _events(self, code: str, log: Log) -> None:
        province = code == self.genesis.province
        batch: tuple[int, bytes] | None = None
        newest = 0
        for index, entry in enumerate(log.entries):
            event = None
            try:
                if entry is not None:
                    event = self._event(code, index, entry, log, (batch, newest))
                    batch, newest = event.last, max(newest, event.roster_size)
                    self._believe(code, index, event)
            except _Broken as broken:
                self.found.append((code, index, broken.args[0]))
            if province:
                self.rosters += [self.rosters[-1]] * (index + 2 - len(self.rosters))
        if province and log.note:
            self._signatures(code, log.note)

    def _event(
        self,
        code: str,
        index: int,
        entry: bytes,
        log: Log,
        before: tuple[tuple[int, bytes] | None, int],
    ) -> Event:
        try:
            event = events.read_event(entry)
        except Bad as error:
            raise _Broken("event.decode") from error
        if event.network != self.genesis.id:
            raise _Broken("event.network")
        if event.origin != code:
            raise _Broken("event.origin")
        if event.last not in ((index, log.roots[index]), before[0]):
            raise _Broken("event.chain")
        roots = self.logs[self.genesis.province].roots
        limit = index if code == self.genesis.province else len(roots) - 1
        if not before[1] <= event.roster_size <= limit:
            raise _Broken("event.roster")
        if event.roster_root != roots[event.roster_size]:
            raise _Broken("event.roster")
        self._signer(code, index, event)
        return event

    def _signer(self, code: str, index: int, event: Event) -> None:
        roster, user = self.rosters[event.roster_size], None
        try:
            public = roster.event_key(code, event.kind, event.body, event.signer)
        except Bad as error:
            user = self.users.get((code, event.signer))
            if user is None or not roster.counts(code, user):
                raise _Broken("event.signer") from error
            public = user.key
        if self.sample(code, index):
            try:
                event.check_signature(public)
            except Bad as error:
                raise _Broken("event.signature") from error
        if user and not any(event.kind in ROLES[role] for role in user.roles):
            raise _Broken("event.role")
        if self.rosters[-1].is_void(code, index, event.roster_size):
            raise _Broken("event.void")

    def _believe(self, code: str, index: int, event: Event) -> None:
        """What follows from a good event: a roster, a user's key, or roots of other logs."""
        if event.kind in ("key.enroll", "key.retire"):
            self._enroll(code, event)
        if event.kind in MEMBERS_KINDS:
            if code != self.genesis.province:
                raise _Broken("member.place")
            try:
                roster = self.rosters[-1].apply(index, event.kind, event.body)
            except Bad as error:
                raise _Broken("member.refused") from error
            self.rosters.append(roster)
            if len(roster.closures) > len(self.rosters[-2].closures):
                closure = roster.closures[-1]
                self.recorded.append((code, index, closure.code, closure.size, closure.root))
        if event.kind == "statistics.publish" and code != self.genesis.province:
            raise _Broken("statistics.office")
        if event.kind == "synonyms.put":
            if code != self.genesis.province:
                raise _Broken("synonyms.office")
            version, _, size = event.body
            assert isinstance(version, int)
            assert isinstance(size, int)
            if version != self.synonyms + 1 or not 0 < size <= SYNONYMS_BYTES_MAX:
                raise _Broken("synonyms.refused")
            self.synonyms = version
        self._keeping(code, event)
        if event.kind == "anchor":
            roster = self.rosters[event.roster_size]
            told = event.body[0]
            assert isinstance(told, tuple)
            for child, *_ in told:
                if code not in roster.above(child):
                    raise _Broken("anchor.office")
            self.recorded += [(code, index, *each) for each in told]

    def _keeping(self, code: str, event: Event) -> None:
        """What an office says of its own keeping, where it is not about an item."""
        members = self.rosters[event.roster_size].members
        if event.kind == "key.seal":
            version, key = event.body
            if version != self.sealing.get(code, 0) + 1 or not is_sealing_key(key):
                raise _Broken("key.refused")
            self.sealing[code] = version
        if event.kind == "hold.offer":
            domain = event.body[1]
            assert isinstance(domain, str)
            if len(domain) > 100 or (domain and not domain.isprintable()):
                raise _Broken("offer.refused")
        if event.kind == "hold.check":
            holder, _, asked, passed, failed, _ = event.body
            assert isinstance(asked, int)
            assert isinstance(passed, int)
            assert isinstance(failed, int)
            if holder == code or holder not in members or not asked or asked < passed + failed:
                raise _Broken("check.refused")

    def _enroll(self, code: str, event: Event) -> None:
        key = event.body[0]
        assert isinstance(key, bytes)
        enrols = event.kind == "key.enroll"
        place = (code, key_id(key) if enrols else key)
        old, roster = self.users.get(place), self.rosters[event.roster_size]
        if enrols:
            try:
                self.users[place] = roster.enrolled(code, event.body, event.roster_size, old)
            except Bad as error:
                raise _Broken("key.refused") from error
        elif old is None or old.retired:
            raise _Broken("key.refused")
        else:
            self.users[place] = replace(old, retired=True)

    def _compare(self) -> None:
        """Consistency of every log with every root that somebody above recorded of it."""
        for code, index, child, size, root in self.recorded:
            log = self.logs.get(child, Log(absent=True))
            if log.absent and size:
                self.found.append((child, -1, "log.missing"))
            elif size > log.size:
                self.found.append((code, index, "anchor.beyond"))
            elif size < len(log.roots) and log.roots[size] != root:
                self.found.append((code, index, "anchor.root"))
        anchored = [told[2:] for told in self.recorded if told[:2] not in self._closing()]
        for cut in self.rosters[-1].closures:
            if cut.size and (cut.code, cut.size, cut.root) not in anchored:
                self.found.append((self.genesis.province, cut.index, "member.unanchored"))

    def _closing(self) -> set[tuple[str, int]]:
        return {(self.genesis.province, cut.index) for cut in self.rosters[-1].closures}


class _Broken(Exception):
    """An event against a rule; the code of the finding."""


def _root(hashes: list[bytes | None]) -> bytes:
    tree = trees.Tree()
    for each in hashes:
        assert each is not None
        tree.add(each)
    return tree.root()
