"""What follows from a proof of one file?  The chain of evidence, checked offline.

The steps, each
verified from the genesis note up; a step that fails is named by the error::

    1 genesis      the proof is of the reader's network
    2 roster       changes of members stand in the provincial log, and enough roots signed each
    3 manifest     the manifest lists the file, and is the blob that the upload names
    4 event        the upload is signed by a key of its roster, and may be said by that office
    5 inclusion    it stands in the office's log under the office's checkpoint
    6 witnesses    whose co-signatures of that checkpoint hold
    7 anchors      offices above recorded roots of the log, up to the province

What a proof cannot show is that nothing was left out of it: a later change of members, a later
revision, a withdrawal.  :mod:`ledger.verify` reads the logs for that.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ledger.authority import ITEM_BODIES, Broken, check_authority, item_named, judge, user_after
from ledger.checkpoint import Checkpoint, parse_checkpoint
from ledger.custody import AccessFetch
from ledger.events import (
    CHANGES,
    Anchor,
    AnchorLine,
    Event,
    KeyEnroll,
    VersionUpload,
    parse_event,
)
from ledger.genesis import Genesis, read_genesis
from ledger.note import parse_note
from ledger.proof import Proof, entry_of
from ledger.roster import RosterHistory
from ledger.source import note_signers, verify_checkpoint
from ledger.tlogproof import TlogProof
from ledger.views import UserKey
from ledger.witness import Request
from ledger.witness_policy import witnessed
from protocol.errors import DecodeError, Missing, ProofError
from protocol.ids import BlobId, OfficeCode, RootHash
from protocol.keys import key_id
from protocol.merkle import leaf_hash, verify_consistency, verify_inclusion
from protocol.records import FileEntry, Manifest, parse_manifest


@dataclass(frozen=True, slots=True)
class Seen:
    """A log at the size under which something is proven, and who witnessed that."""

    office: str
    name: str
    size: int
    root: str  # hexadecimal
    needed: int  # co-signatures, by the policy
    witnesses: tuple[tuple[str, int], ...]  # (office or outside witness, POSIX seconds)
    witnessed: bool  # they are enough


@dataclass(frozen=True, slots=True)
class Anchored:
    """An office above recorded a size of a log, in its own log at ``index``."""

    office: str
    index: int
    time: int  # claimed, ms
    child: str
    size: int
    seen: Seen  # the log of ``office``


@dataclass(frozen=True, slots=True)
class Proven:
    """What follows from a proof."""

    network: str  # hexadecimal id of the genesis text
    file: FileEntry
    manifest: Manifest
    manifest_hash: str
    upload: VersionUpload
    event: Event
    user: UserKey | None  # whose key signed, if not the service key
    index: int
    leaf: bytes
    roots: int  # how many root keys must sign a change of members
    changes: int  # of members, in the proof
    province: Seen
    log: Seen
    anchors: tuple[Anchored, ...]  # from the office's log upwards


@contextmanager
def step(name: str) -> Iterator[None]:
    """Names the step in what is raised within.

    Raises:
        ProofError: instead of every refusal.
    """
    try:
        yield
    except Broken as broken:
        raise ProofError(f"step {name}", "the rules of events", str(broken)) from broken
    except (ProofError, DecodeError, Missing) as error:
        raise ProofError(f"step {name}: {error.where}", error.expected, error.got) from error


def check_proof(
    proof: Proof,
    genesis_note: bytes,
    sha256: BlobId,
    size: int,
    history: RosterHistory | None = None,
) -> Proven:
    """Steps 1 to 7 for the file with this hash and size.

    ``history`` is of who has read the whole provincial log; without it the changes in the proof
    are all that is known of members, and the provincial checkpoint must be witnessed.

    Raises:
        ProofError: a step does not hold; ``where`` names it.
    """
    with step("1 genesis"):
        genesis = read_genesis(genesis_note)
        if read_genesis(proof.genesis).id != genesis.id:
            other = read_genesis(proof.genesis).id
            raise ProofError("genesis.note", f"network {genesis.id.short}", other.short)
    with step("2 roster"):
        check = _Check(proof, genesis, history)
        province = check.province()
        if history is None and not province.witnessed:
            found = f"{len(province.witnesses)} co-signatures"
            raise ProofError("provincial checkpoint", f"{province.needed} witnesses", found)
    with step("3 manifest"):
        upload, manifest, file = _recorded(proof, sha256, size)
    with step("4 event"):
        event, user = check.upload(upload)
    with step("5 inclusion"):
        log = check.stands(event.origin, proof.upload)
    with step("6 witnesses"):
        check.policies(event.origin)
    with step("7 anchors"):
        anchors = tuple(check.anchored(event.origin, proof.upload.index))
    return Proven(
        network=genesis.id.hex,
        file=file,
        manifest=manifest,
        manifest_hash=upload.manifest.hex,
        upload=upload,
        event=event,
        user=user,
        index=proof.upload.index,
        leaf=leaf_hash(entry_of(proof.upload)),
        roots=genesis.threshold,
        changes=len(proof.changes),
        province=province,
        log=log,
        anchors=anchors,
    )


def check_event(
    proof: Proof, genesis_note: bytes, history: RosterHistory | None = None
) -> tuple[Event, Seen]:
    """The event about an item that a proof without a manifest is of, and the log it stands in
    (steps 1, 2, 4, 5).

    Raises:
        ProofError, DecodeError, Missing, Broken: it does not hold.
    """
    genesis = read_genesis(genesis_note)
    if read_genesis(proof.genesis).id != genesis.id:
        raise ProofError("genesis.note", f"network {genesis.id.short}", "another")
    check = _Check(proof, genesis, history)
    if history is None and not check.province().witnessed:
        raise ProofError("provincial checkpoint", "enough witnesses", "too few")
    body = parse_event(entry_of(proof.upload)).read_body()
    if not isinstance(body, (*ITEM_BODIES, AccessFetch)):
        raise ProofError("event", "one about an item", type(body).__name__)
    event, _ = check.upload(body)
    return event, check.stands(event.origin, proof.upload)


def _recorded(proof: Proof, sha256: BlobId, size: int) -> tuple[VersionUpload, Manifest, FileEntry]:
    """Step 3."""
    event = parse_event(entry_of(proof.upload))
    body = event.read_body()
    if not isinstance(body, VersionUpload):
        raise ProofError("upload.event", "a version.upload", event.kind)
    if BlobId.of(proof.manifest) != body.manifest:
        found = BlobId.of(proof.manifest).short
        raise ProofError("manifest.json", f"the blob {body.manifest.short}", found)
    manifest = parse_manifest(proof.manifest)
    said = (body.item, event.origin, body.rights)
    written = (manifest.item, manifest.office, manifest.rights)
    if said != written:
        raise ProofError("manifest.json", f"{said} as the event says", written)
    for file in manifest.files:
        if (file.sha256, file.size) == (sha256, size):
            return body, manifest, file
    raise ProofError("manifest.json", f"file {sha256.short} of {size} bytes", "none of its files")


class _Check:
    """The steps that need the roster."""

    def __init__(self, proof: Proof, genesis: Genesis, history: RosterHistory | None) -> None:
        self._proof = proof
        self._genesis = genesis
        self._note = _same_note(proof.changes)
        self._history = history or self._replayed()
        self._signers = note_signers(self._history)
        self._seen: dict[bytes, Seen] = {}

    def province(self) -> Seen:
        return self._see(self._genesis.province, self._note)

    def upload(self, body: object) -> tuple[Event, UserKey | None]:
        """Step 4: the event about an item, and the enrolment by which its signature counts."""
        proof = self._proof.upload
        entry = entry_of(proof)
        event = parse_event(entry)
        user = self._enrolled(event)
        judge(self._history, event.origin, proof.index, entry, user)
        province = self._genesis.province
        self._check_grown(province, event.roster_size, event.roster_root, self._note)
        roster = self._history.at(event.roster_size)
        if not isinstance(body, AccessFetch):  # of which every office says its own
            check_authority(roster, item_named(body), event, body)
        return event, user

    def _enrolled(self, event: Event) -> UserKey | None:
        """What the proof shows of the signer of the upload: its enrolment stands before the upload
        under the same checkpoint, on which step 5 decides."""
        proof, upload = self._proof.signer, self._proof.upload
        if proof is None:
            return None
        if proof.checkpoint != upload.checkpoint or proof.index >= upload.index:
            limit = f"the checkpoint of the upload, and an index below {upload.index}"
            raise ProofError("signer.tlog-proof", limit, f"#{proof.index}")
        entry, checkpoint = entry_of(proof), parse_checkpoint(proof.checkpoint)
        leaf, root = leaf_hash(entry), checkpoint.root.raw
        verify_inclusion(leaf, proof.index, checkpoint.size, root, proof.hashes)
        said, body = judge(self._history, event.origin, proof.index, entry)
        if not isinstance(body, KeyEnroll) or key_id(body.key) != event.signer:
            wanted = f"a key.enroll of {event.signer.hex()}"
            raise ProofError("signer.tlog-proof", wanted, said.kind)
        return user_after(self._history.at(said.roster_size), said, proof.index, body, None)

    def stands(self, code: str, proof: TlogProof) -> Seen:
        """The log of ``code``, in which the proof's entry stands under a signed checkpoint."""
        seen = self._see(OfficeCode(code), proof.checkpoint)
        leaf = leaf_hash(entry_of(proof))
        root = bytes.fromhex(seen.root)
        verify_inclusion(leaf, proof.index, seen.size, root, proof.hashes)
        return seen

    def policies(self, code: str) -> None:
        """Step 6: the policy for stock tools is the one that the roster gives."""
        if self._proof.policies.get(code) != self._history.newest.policy(code).format():
            raise ProofError(f"policy-{code}.txt", "the policy by the roster", "another or none")

    def anchored(self, code: str, index: int) -> Iterator[Anchored]:
        """Step 7: who recorded the log of ``code`` beyond ``index``, who recorded that, and so on
        up to the province or as far as the proof goes."""
        checkpoint = self._proof.upload.checkpoint
        while code != self._genesis.province:
            found = self._above(code)
            if found is None:
                return
            office, proof, line = found
            self.policies(office)
            seen = self.stands(office, proof)
            event, _ = judge(self._history, office, proof.index, entry_of(proof))
            if line.size <= index:
                found_at = f"size {line.size} in {office} #{proof.index}"
                raise ProofError(f"anchor of {code}", f"a size that covers #{index}", found_at)
            self._check_grown(code, line.size, line.root, checkpoint)
            yield Anchored(office, proof.index, event.time, code, line.size, seen)
            code, index, checkpoint = office, proof.index, proof.checkpoint

    def _above(self, code: str) -> tuple[str, TlogProof, AnchorLine] | None:
        """The anchor of ``code`` by the nearest office above that has one in the proof."""
        for above in self._history.newest.above(code):
            proof = self._proof.anchors.get(above.code)
            line = None if proof is None else _line_of(entry_of(proof), code)
            if proof is not None and line is not None:
                return above.code, proof, line
        return None

    def _replayed(self) -> RosterHistory:
        """The rosters by the changes in the proof, each in the provincial log."""
        history = RosterHistory(self._genesis)
        checkpoint = parse_checkpoint(self._note)
        for change in self._proof.changes:
            entry = entry_of(change)
            root = checkpoint.root.raw
            verify_inclusion(leaf_hash(entry), change.index, checkpoint.size, root, change.hashes)
            event = parse_event(entry)
            body = event.read_body()
            if (event.network, event.origin) != (self._genesis.id, self._genesis.province):
                raise ProofError(f"change-{change.index}", "of this network's province", "other")
            if not isinstance(body, CHANGES):
                raise ProofError(f"change-{change.index}", "a change of members", event.kind)
            history.apply(change.index, body)
        return history

    def _see(self, code: OfficeCode, note: bytes) -> Seen:
        """A log under its signed checkpoint, with the co-signatures that hold and count."""
        if note not in self._seen:
            parsed = parse_note(note)
            checkpoint = Checkpoint.parse(parsed.text)
            if checkpoint.origin != self._genesis.origin(code):
                raise ProofError("checkpoint", self._genesis.origin(code), checkpoint.origin)
            verify_checkpoint(self._signers, code, parsed, lambda found, signer: None)
            roster = self._history.newest
            seen = witnessed(roster.policy(code), parsed)
            name = roster.member(code).name
            size, root = checkpoint.size, checkpoint.root.hex
            self._seen[note] = Seen(code, name, size, root, seen.needed, seen.by, seen.holds)
        return self._seen[note]

    def _check_grown(self, code: str, size: int, root: RootHash, note: bytes) -> None:
        """Check that the log of ``code`` had ``root`` at ``size`` on its way to the checkpoint."""
        where = f"growth-{code}.txt"
        if code not in self._proof.growths:
            raise Missing(where, "a part of the proof", "none")
        grown = Request.parse(self._proof.growths[code])
        now = parse_checkpoint(note)
        if (grown.old, grown.checkpoint) != (size, now):
            raise ProofError(where, f"{size} to {now.size}", f"{grown.old} to {grown.checkpoint}")
        verify_consistency(size, root.raw, now.size, now.root.raw, grown.proof)


def _same_note(changes: tuple[TlogProof, ...]) -> bytes:
    notes = {change.checkpoint for change in changes}
    if len(notes) != 1:
        raise ProofError("changes of members", "all under one provincial checkpoint", len(notes))
    return notes.pop()


def _line_of(entry: bytes, code: str) -> AnchorLine | None:
    body = parse_event(entry).read_body()
    heads = body.heads if isinstance(body, Anchor) else ()
    return next((line for line in heads if line.code == code), None)
