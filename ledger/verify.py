"""Who recorded this file, when, witnessed and held by whom?  One file's chain of evidence.

The steps, each verified from the genesis note up; a step that fails is named by the error
(docs/spec/audit.md, "One file")::

    1 genesis      the note holds
    2 roster       the provincial log leads to its checkpoint; the rosters follow from it
    3 manifest     a manifest lists the file, and is the blob that an upload names
    4 event        the upload is signed by a key of its roster, and may be said by that office
    5 inclusion    it stands in the office's log under the office's checkpoint
    6 witnesses    whose co-signatures of that checkpoint hold
    7 anchors      roots that offices above recorded of the log are roots that it had
    8 state        reviews, withdrawal and holdings, each proven like the upload

Events are looked for where the caller's hint says, or in every log.  A hint can leave out an event,
for example a withdrawal, and so can a log that is not served or does not lead to its checkpoint:
:attr:`Chain.complete` says that neither was the case.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from ledger.authority import ITEM_BODIES, Broken, check_authority, item_named
from ledger.checkpoint import Checkpoint
from ledger.events import Anchor, Event, MemberAdmit, MemberRevoke, VersionUpload, parse_event
from ledger.events import verify_entry as verify_signature
from ledger.merkle import leaf_hash
from ledger.note import parse_note
from ledger.roster import Genesis, RosterHistory, read_genesis
from ledger.settlement import settle_item
from ledger.source import LogReader, LogSource, Signers, note_signers, verify_checkpoint
from ledger.tiles import bundles_of
from ledger.tlogproof import TlogProof
from ledger.views import Fact
from protocol.errors import DecodeError, Missing, ProofError
from protocol.ids import BlobId, EventRef, LeafHash, OfficeCode
from protocol.keys import key_id
from protocol.limits import TILE_WIDTH
from protocol.records import Manifest, parse_manifest

Place = tuple[str, int]  # office, index


@dataclass(frozen=True, slots=True)
class Step:
    """One proven event: who said it, where it stands, and the time that it claims (ms)."""

    kind: str
    office: str
    index: int
    time: int


@dataclass(frozen=True, slots=True)
class Chain:
    """What is proven of a file."""

    sha256: str
    size: int
    path: str  # within its package
    item: str
    title: str
    manifest: str
    office: str
    office_name: str
    signer: str  # key id, hexadecimal
    time: int  # claimed, ms
    index: int
    leaf: str
    log_size: int
    log_root: str
    witnesses_needed: int
    witnesses: tuple[tuple[str, int], ...]  # (office, POSIX seconds)
    anchors: tuple[Step, ...]  # of each office above, the first that covers the upload
    status: str  # of the item, or "superseded" when this is not its current revision
    public: bool
    holders: tuple[str, ...]
    events: tuple[Step, ...]  # all that is proven about the item
    complete: bool
    unsearched: tuple[str, ...]  # offices whose log was not served whole
    entry: bytes  # the upload event
    tlog_proof: bytes

    @property
    def witnessed(self) -> bool:
        return len(self.witnesses) >= self.witnesses_needed


@dataclass(frozen=True, slots=True)
class _Log:
    """A log under its verified checkpoint."""

    reader: LogReader
    note: bytes
    times: dict[OfficeCode, int]  # of good co-signatures


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
    the item stand (and anchors worth showing), None to search all logs.

    Raises:
        Missing: nobody recorded the file, as far as was searched.
        ProofError: a step does not hold; ``where`` names it.
    """
    with _step("1 genesis"):
        genesis = read_genesis(genesis_note)
    evidence = _Evidence(source, genesis)
    with _step("2 roster"):
        evidence.read_rosters()
    places = None if hint is None else sorted(set(hint))
    for place in evidence.find(places, b"version.upload"):
        found = _manifest_of(evidence, place, manifests, sha256, size)
        if found:
            return _chain(evidence, place, found, sha256, places)
    raise Missing("verify", f"an upload of {sha256.hex} with {size} bytes", "none in the logs")


@contextmanager
def _step(name: str) -> Iterator[None]:
    try:
        yield
    except Broken as broken:
        raise ProofError(f"step {name}", "the rules of events", str(broken)) from broken
    except (ProofError, DecodeError, Missing) as error:
        raise ProofError(f"step {name}: {error.where}", error.expected, error.got) from error


def _manifest_of(
    evidence: _Evidence,
    place: Place,
    manifests: Callable[[BlobId], bytes],
    sha256: BlobId,
    size: int,
) -> Manifest | None:
    """Step 3: the manifest of the upload at a place, if it lists the file."""
    try:
        body = parse_event(evidence.log(place[0]).reader.entry(place[1])).read_body()
        if not isinstance(body, VersionUpload):
            return None
        data = manifests(body.manifest)
    except (DecodeError, Missing):
        return None
    if sha256.hex.encode() not in data:
        return None
    with _step("3 manifest"):
        if BlobId.of(data) != body.manifest:
            raise ProofError("manifest", f"the blob {body.manifest.short}", BlobId.of(data).short)
        manifest = parse_manifest(data)
        said = (body.item, place[0], body.rights)
        written = (manifest.item, manifest.office, manifest.rights)
        if said != written:
            raise ProofError("manifest", f"{said} as the event says", written)
    listed = any(file.sha256 == sha256 and file.size == size for file in manifest.files)
    return manifest if listed else None


def _chain(
    evidence: _Evidence,
    place: Place,
    manifest: Manifest,
    sha256: BlobId,
    hint: list[Place] | None,
) -> Chain:
    """Steps 4 to 8 for the upload at ``place``."""
    office, index = place
    log = evidence.log(office)
    with _step("4 event"):
        upload = evidence.judge(place, log.reader.entry(index))
    with _step("5 inclusion"):
        _, path = log.reader.prove(index)
    with _step("6 witnesses"):
        needed, candidates = evidence.history.newest.witnesses(office)
    held = tuple((each.code, log.times[each.code]) for each in candidates if each.code in log.times)
    with _step("7 anchors"):
        anchors = evidence.anchors(place, hint)
    with _step("8 state"):
        about = evidence.about(manifest.item, hint)
        settled = settle_item(evidence.history.newest, upload.body.item, about.values())
        if place not in about or upload.ref in settled.broken:
            raise ProofError("upload", "an upload by the rules of events", "one against them")
        view = settled.view
    current = view is not None and view.upload == upload.ref
    roster = evidence.history.newest
    return Chain(
        sha256=sha256.hex,
        size=next(file.size for file in manifest.files if file.sha256 == sha256),
        path=next(file.path for file in manifest.files if file.sha256 == sha256),
        item=manifest.item,
        title=manifest.title,
        manifest=upload.body.manifest.hex,
        office=office,
        office_name=roster.member(office).name,
        signer=upload.event.signer.hex(),
        time=upload.event.time,
        index=index,
        leaf=upload.ref.leaf.hex,
        log_size=log.reader.size,
        log_root=log.reader.root.hex(),
        witnesses_needed=needed,
        witnesses=held,
        anchors=anchors,
        status=view.status if view and (current or view.withdrawn) else "superseded",
        public=bool(view and view.public and current),
        holders=view.holders if view and current else (),
        events=tuple(Step(fact.kind, *place, fact.time) for place, fact in about.items()),
        complete=hint is None and not evidence.unsearched,
        unsearched=tuple(sorted(evidence.unsearched)),
        entry=upload.entry,
        tlog_proof=TlogProof(index, path, log.note).format(),
    )


class _Evidence:
    """Logs under verified checkpoints, and events proven in them."""

    def __init__(self, source: LogSource, genesis: Genesis) -> None:
        self._source = source
        self._genesis = genesis
        self._logs: dict[str, _Log] = {}
        self._signers: Signers = {}
        self._searched: set[str] = set()
        self.unsearched: set[str] = set()
        self.history = RosterHistory(genesis)

    def read_rosters(self) -> None:
        """Step 2.  The roster comes from the log whose checkpoint only the roster can judge, so
        the entries are read first, and must lead to the root of a note that then verifies."""
        province = self._genesis.province
        note = parse_note(self._source.checkpoint(province))
        checkpoint = Checkpoint.parse(note.text)
        reader = LogReader(self._source, province, checkpoint.size, checkpoint.root.raw)
        reader.check_whole()
        for index in range(reader.size):
            entry = reader.entry(index)
            if b"member." in entry:
                self._take_member(index, entry, reader)
        self._signers = note_signers(self.history)
        self.log(province)

    def _take_member(self, index: int, entry: bytes, reader: LogReader) -> None:
        """As the fold does: a change that breaks a rule is skipped."""
        try:
            event = parse_event(entry)
            body = event.read_body()
            if isinstance(body, MemberAdmit | MemberRevoke):
                self._check_envelope(entry, event, reader, body)
                self.history.apply(index, body)
        except (DecodeError, ProofError):
            return

    def log(self, code: str) -> _Log:
        """The log of an office under its checkpoint, and who co-signed that.

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
            times = verify_checkpoint(self._signers, office, note, lambda code, signer: None)
            reader = LogReader(self._source, office, checkpoint.size, checkpoint.root.raw)
            self._logs[code] = _Log(reader, data, times)
        return self._logs[code]

    def find(self, hint: list[Place] | None, *needles: bytes) -> Iterator[Place]:
        """Where entries stand that have all these bytes in them."""
        for code, index in hint if hint is not None else self._everywhere():
            try:
                entry = self.log(code).reader.entry(index)
            except (Missing, DecodeError, ProofError):
                continue  # an audit names what is wrong there
            if all(needle in entry for needle in needles):
                yield code, index

    def _everywhere(self) -> Iterator[Place]:
        for code in sorted(self.history.newest.members):
            try:
                reader = self.log(code).reader
                self._check_whole(reader)
            except (Missing, DecodeError, ProofError):
                self.unsearched.add(code)
            if code in self._logs:
                yield from self._readable(self._logs[code].reader)

    def _readable(self, reader: LogReader) -> Iterator[Place]:
        """Where a log has entries, up to the first bundle that is not served."""
        for bundle in bundles_of(reader.size):
            first = bundle.number * TILE_WIDTH
            with suppress(DecodeError):
                try:
                    reader.entry(first)
                except Missing:
                    return
                yield from ((reader.code, first + at) for at in range(bundle.width))

    def _check_whole(self, reader: LogReader) -> None:
        if reader.code not in self._searched:
            reader.check_whole()
            self._searched.add(reader.code)

    def _valid(self, places: Iterator[Place]) -> Iterator[_Said]:
        """The events that hold; an office's bad event is skipped as in the fold, but one that does
        not stand in its log is a fault of the evidence."""
        for place in places:
            entry, _ = self.log(place[0]).reader.prove(place[1])
            with suppress(ProofError, DecodeError, Broken):
                yield self.judge(place, entry)

    def judge(self, place: Place, entry: bytes) -> _Said:
        """Step 4.

        Raises:
            ProofError, DecodeError, Broken: its envelope does not hold.
        """
        code, index = place
        event = parse_event(entry)
        body = event.read_body()
        if (event.network, event.origin) != (self._genesis.id, code):
            raise ProofError("event", f"one of {code} in this network", event.origin)
        self._check_envelope(entry, event, self.log(self._genesis.province).reader, body)
        if self.history.newest.is_void(code, index, event.roster_size):
            raise Broken("event.void")
        return _Said(place, event, body, entry)

    def _check_envelope(
        self, entry: bytes, event: Event, province: LogReader, body: object
    ) -> None:
        if event.roster_size > province.size:
            raise ProofError("event roster", f"at most {province.size}", event.roster_size)
        if province.root_at(event.roster_size) != event.roster_root.raw:
            raise ProofError("event roster", "a root of the provincial log", "another")
        public = self.history.at(event.roster_size).event_key(event.origin, event.signer)
        if public is None and isinstance(body, MemberAdmit) and body.code == event.origin:
            public = body.event_key if key_id(body.event_key) == event.signer else None
        if public is None:
            raise ProofError("event signer", "a key that counted then", event.signer.hex())
        verify_signature(entry, event, public)

    def anchors(self, place: Place, hint: list[Place] | None) -> tuple[Step, ...]:
        """Step 7: of each office above, the first anchor that covers the event at ``place``."""
        code, index = place
        log = self.log(code).reader
        steps: dict[str, Step] = {}
        for said in self._valid(self.find(hint, b"anchor", code.encode())):
            where = said.place
            if where[0] in steps or not self.history.newest.is_above(where[0], code):
                continue
            heads = said.body.heads if isinstance(said.body, Anchor) else ()
            for line in heads:
                if line.code == code and index < line.size <= log.size:
                    if log.root_at(line.size) != line.root.raw:
                        found = f"another in {where[0]} {where[1]}"
                        raise ProofError(f"anchor of {code}", f"its root at {line.size}", found)
                    steps[where[0]] = said.step
        return tuple(steps.values())

    def about(self, item: str, hint: list[Place] | None) -> dict[Place, Fact]:
        """Step 8: everything proven about an item; what breaks a rule is skipped, as in the
        fold."""
        facts: dict[Place, Fact] = {}
        for said in self._valid(self.find(hint, item.encode())):
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


def _fact(said: _Said) -> Fact:
    event = said.event
    return Fact(said.ref, event.kind, event.time, event.signer, event.roster_size, event.body)
