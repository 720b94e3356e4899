"""Who recorded this file, when, witnessed and held by whom?  One file's chain of evidence.

The steps of :mod:`ledger.chain`, over logs instead of a proof's files: the provincial log is read
whole, so that no change of members can be left out, and one more step follows::

    8 state        reviews, withdrawal and holdings, each proven like the upload

Events are looked for where the caller's hint says, or in every log, each read once.  A hint can
leave out an event, for example a withdrawal, and so can a log that is not served or does not lead
to its checkpoint: :attr:`Chain.complete` says that neither was the case.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ledger.authority import ITEM_BODIES, Broken, check_authority, item_named, judge, user_after
from ledger.chain import Proven, check_proof, step
from ledger.checkpoint import Checkpoint
from ledger.entry_index import EntryIndex
from ledger.events import CHANGES, Event, KeyEnroll, KeyRetire, parse_event
from ledger.genesis import Genesis, read_genesis
from ledger.note import parse_note
from ledger.proof import Proof
from ledger.proving import Opened, Place, make_proof
from ledger.roster import RosterHistory
from ledger.settlement import settle_item
from ledger.source import LogReader, LogSource, note_signers, verify_checkpoint
from ledger.tiles import Bundle, bundles_of
from ledger.views import Fact, UserKey
from protocol.errors import DecodeError, Missing, ProofError
from protocol.ids import BlobId, EventRef, LeafHash, OfficeCode
from protocol.limits import TILE_WIDTH
from protocol.merkle import CompactRange, leaf_hash
from protocol.records import parse_manifest


@dataclass(frozen=True, slots=True)
class Step:
    """One proven event: who said it, where it stands, and the time that it claims (ms)."""

    kind: str
    office: str
    index: int
    time: int


@dataclass(frozen=True, slots=True)
class Chain:
    """What is proven of a file, and the proof to take home."""

    proven: Proven
    proof: Proof
    status: str  # of the item, or "superseded" when this is not its current revision
    public: bool
    holders: tuple[str, ...]
    events: tuple[Step, ...]  # all that is proven about the item
    complete: bool
    unsearched: tuple[str, ...]  # offices whose log was not served whole


@dataclass(frozen=True, slots=True)
class _Said:
    """A proven event."""

    place: Place
    event: Event
    body: Any
    entry: bytes

    @property
    def step(self) -> Step:
        return Step(self.event.kind, *self.place, self.event.time)

    @property
    def ref(self) -> EventRef:
        office, index = self.place
        return EventRef(OfficeCode(office), index, LeafHash(leaf_hash(self.entry)))


def verify_file(
    sha256: BlobId,
    size: int,
    source: LogSource,
    manifests: Callable[[BlobId], bytes],
    hint: Iterable[Place] | None,
    genesis_note: bytes,
) -> Chain:
    """The chain of evidence of the file with this hash and size.

    ``manifests`` gives a manifest's bytes or raises Missing; ``hint`` says where all events about
    the item stand (and anchors of the logs in question), None to search all logs.

    Raises:
        Missing: nobody recorded the file, as far as was searched.
        ProofError: a step does not hold; ``where`` names it.
    """
    with step("1 genesis"):
        genesis = read_genesis(genesis_note)
    evidence = _Evidence(source, genesis)
    with step("2 roster"):
        evidence.read_rosters()
    if hint is None:
        evidence.search()
    else:
        evidence.look_at(hint)
    place, manifest = _recorded(evidence.found, manifests, sha256, size)
    with step("7 anchors"):
        anchors = evidence.anchors(place)
    with step("5 inclusion"):
        user = evidence.signer(place)
        enrolment = user.index if user else None
        proof = make_proof(
            genesis_note, evidence.history, manifest, place, enrolment, anchors, evidence.opened
        )
    proven = check_proof(proof, genesis_note, sha256, size, evidence.history)
    with step("8 state"):
        about = evidence.about(proven.upload.item)
        settled = settle_item(
            evidence.history.newest, item_named(proven.upload), list(about.values())
        )
        if place not in about or about[place].ref in settled.broken:
            raise ProofError("upload", "an upload by the rules of events", "one against them")
        view = settled.view
    current = view is not None and view.upload == about[place].ref
    return Chain(
        proven=proven,
        proof=proof,
        status=view.status if view and (current or view.withdrawn) else "superseded",
        public=bool(view and view.public and current),
        holders=view.holders if view and current else (),
        events=tuple(Step(fact.kind, *where, fact.time) for where, fact in about.items()),
        complete=hint is None and not evidence.unsearched,
        unsearched=tuple(sorted(evidence.unsearched)),
    )


def _recorded(
    found: EntryIndex, manifests: Callable[[BlobId], bytes], sha256: BlobId, size: int
) -> tuple[Place, bytes]:
    """Where an upload stands whose manifest lists the file, and that manifest's bytes."""
    unread = 0
    for place, blob in found.uploads():
        try:
            data = manifests(blob)
        except Missing:
            unread += 1
            continue
        if sha256.hex.encode() not in data:
            continue
        with step("3 manifest"):
            files = parse_manifest(data).files
        if any((file.sha256, file.size) == (sha256, size) for file in files):
            return place, data
    got = f"none in the logs ({unread} uploads have manifests that are not shown here)"
    raise Missing("verify", f"an upload of {sha256.hex} with {size} bytes", got)


def _indices(bundle: Bundle) -> range:
    first = bundle.number * TILE_WIDTH
    return range(first, first + bundle.width)


class _Evidence:
    """Logs under verified checkpoints, and events proven in them."""

    def __init__(self, source: LogSource, genesis: Genesis) -> None:
        self._source = source
        self._genesis = genesis
        self._logs: dict[str, Opened] = {}
        self._signers = note_signers(RosterHistory(genesis))
        self.found = EntryIndex()
        self.unsearched: set[str] = set()
        self.history = RosterHistory(genesis)

    def read_rosters(self) -> None:
        """Step 2.  The roster comes from the log whose checkpoint only the roster can judge, so
        the entries are read first, and must lead to the root of a note that then verifies."""
        province = self._genesis.province
        note = parse_note(self._source.checkpoint(province))
        checkpoint = Checkpoint.parse(note.text)
        reader = LogReader(self._source, province, checkpoint.size, checkpoint.root.raw)
        if self._read_province(reader) != reader.root:
            raise ProofError(f"log {province}", f"root {reader.root.hex()[:16]}", "another")
        self._signers = note_signers(self.history)
        self.opened(province)

    def _read_province(self, reader: LogReader) -> bytes:
        """The root to which the entries lead."""
        tree = CompactRange()
        for bundle in bundles_of(reader.size):
            hashes = []
            for index in _indices(bundle):
                entry = reader.entry(index)
                hashes.append(leaf_hash(entry))
                self.found.add((reader.code, index), entry)
                if b"member." in entry or b"policy." in entry:
                    self._take_member(index, entry, reader)
            tree = tree.extend(hashes)
        return tree.root()

    def _take_member(self, index: int, entry: bytes, reader: LogReader) -> None:
        """As the fold does: a change that breaks a rule is skipped."""
        try:
            event, body = judge(self.history, reader.code, index, entry)
            if isinstance(body, CHANGES):
                _check_roster(event, reader)
                self.history.apply(index, body)
        except (DecodeError, ProofError, Broken):
            return

    def opened(self, code: str) -> Opened:
        """The log of an office under its checkpoint.

        Raises:
            ProofError: no key of its office signed its checkpoint, or it is another log's.
            Missing: there is none.
        """
        if code not in self._logs:
            data = self._source.checkpoint(code)
            note = parse_note(data)
            checkpoint = Checkpoint.parse(note.text)
            origin = self._genesis.origin(code)
            if checkpoint.origin != origin:
                raise ProofError(f"checkpoint of {code}", origin, checkpoint.origin)
            office = OfficeCode(code)
            verify_checkpoint(self._signers, office, note, lambda found, signer: None)
            reader = LogReader(self._source, office, checkpoint.size, checkpoint.root.raw)
            self._logs[code] = Opened(reader, data)
        return self._logs[code]

    def look_at(self, hint: Iterable[Place]) -> None:
        """Read the entries at these places; the provincial log is known already."""
        for place in sorted(set(hint)):
            if place[0] != self._genesis.province:
                with suppress(Missing, DecodeError, ProofError):  # an audit names what is wrong
                    self.found.add(place, self.opened(place[0]).reader.entry(place[1]))

    def search(self) -> None:
        """Read every log but the provincial one, which is known already, as far as it is served."""
        for code in sorted(self.history.newest.members):
            if code == self._genesis.province:
                continue
            try:
                whole = self._read_whole(self.opened(code).reader)
            except (Missing, DecodeError, ProofError):
                whole = False
            if not whole:
                self.unsearched.add(code)

    def _read_whole(self, reader: LogReader) -> bool:
        """Whether the entries lead to the root of the log; a damaged bundle is passed over."""
        tree = CompactRange()
        for bundle in bundles_of(reader.size):
            with suppress(DecodeError):
                entries = [reader.entry(index) for index in _indices(bundle)]
                tree = tree.extend(map(leaf_hash, entries))
                for index, entry in zip(_indices(bundle), entries, strict=True):
                    self.found.add((reader.code, index), entry)
        return tree.root() == reader.root

    def _valid(self, places: Iterable[Place], by_users: bool = True) -> Iterator[_Said]:
        """The events that hold; an office's bad event is skipped as in the fold, but one that does
        not stand in its log is a fault of the evidence."""
        province = self.opened(self._genesis.province).reader
        for place in places:
            entry, _ = self.opened(place[0]).reader.prove(place[1])
            user = self.signer(place) if by_users else None
            with suppress(ProofError, DecodeError, Broken):
                event, body = judge(self.history, *place, entry, user)
                _check_roster(event, province)
                yield _Said(place, event, body, entry)

    def signer(self, place: Place) -> UserKey | None:
        """What the log of the event at ``place`` said before of its signer as a user's key."""
        code, index = place
        try:
            key = parse_event(self.opened(code).reader.entry(index)).signer
        except DecodeError:
            return None
        known: UserKey | None = None
        for said in self._valid(self.found.keys(code, key, index), by_users=False):
            with suppress(Broken):
                if isinstance(said.body, KeyEnroll | KeyRetire):
                    roster = self.history.at(said.event.roster_size)
                    known = user_after(roster, said.event, said.place[1], said.body, known)
        return known

    def anchors(self, place: Place) -> list[Place]:
        """Step 7: where the log of the event at ``place`` was first anchored beyond it by the
        nearest office above, where that office's log was anchored beyond this, and so on."""
        chain: list[Place] = []
        roster = self.history.newest
        code, index = place
        while (covering := self._covering(code, index)) and code != self._genesis.province:
            nearest = (member.code for member in roster.above(code) if member.code in covering)
            above = next(nearest, None)
            if above is None:
                break
            chain.append(covering[above])
            code, index = covering[above]
        return chain

    def _covering(self, code: str, index: int) -> dict[str, Place]:
        """Of each office above, the first anchor of ``code`` that covers ``index``."""
        log = self.opened(code).reader
        found: dict[str, Place] = {}
        above = (
            place
            for place in self.found.anchors(code, index)
            if place[0] not in found and self.history.newest.is_above(place[0], code)
        )
        for said in self._valid(above):
            by = said.place[0]
            for line in said.body.heads:
                if line.code == code and index < line.size <= log.size:
                    if log.root_at(line.size) != line.root.raw:
                        where = f"another in {by} {said.place[1]}"
                        raise ProofError(f"anchor of {code}", f"its root at {line.size}", where)
                    found[by] = said.place
        return found

    def about(self, item: str) -> dict[Place, Fact]:
        """Step 8: everything proven about an item; what breaks a rule is skipped, as in the
        fold."""
        facts: dict[Place, Fact] = {}
        for said in self._valid(self.found.about(item)):
            if not isinstance(said.body, ITEM_BODIES):
                continue
            try:
                roster = self.history.at(said.event.roster_size)
                item_id = item_named(said.body)
                if item_id == item:
                    check_authority(roster, item_id, said.event, said.body)
                    facts[said.place] = _fact(said)
            except Broken:
                continue
        return facts


def _check_roster(event: Event, province: LogReader) -> None:
    if event.roster_size > province.size:
        raise ProofError("event roster", f"at most {province.size}", event.roster_size)
    if province.root_at(event.roster_size) != event.roster_root.raw:
        raise ProofError("event roster", "a root of the provincial log", "another")


def _fact(said: _Said) -> Fact:
    event = said.event
    return Fact(said.ref, event.kind, event.time, event.signer, event.roster_size, event.body)
