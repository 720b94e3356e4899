"""Does the whole network hold, on no other word than the genesis note's?

The checks, in this order and under these numbers (docs/spec/audit.md):

1. the genesis note is signed by enough of its own root keys;
2. the provincial log comes first, for it carries the roster; then cities, then counties;
3. each checkpoint is of its log, and a log key of that office signed it;
4. each co-signature on it holds and is by a witness of the roster; the policy is counted;
5. the lowest tiles lead to the checkpoint's root;
6. each entry has the hash its tile says, and each higher tile follows from them;
7. each event keeps the rules of the fold (envelope, chain, roster, signature, authority);
8. what offices above recorded of the log (anchors, revocations) are roots that it had;
9. what reviews and withdrawals point at exists;
10. claimed times lie between the anchors around them: listed, not a fault.

A log is read once, in bundles of 256 entries; what must be remembered goes into the caller's
tables, so the size of a network does not matter.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from ledger.checkpoint import Checkpoint
from ledger.events import Anchor, MemberAbolish, MemberRevoke
from ledger.findings import WORDS
from ledger.genesis import Genesis, read_genesis
from ledger.log_audit import Leaf, LogAudit
from ledger.members import TIERS
from ledger.merkle import CompactRange
from ledger.note import Note, parse_note
from ledger.replay import Change, Fold, Run
from ledger.settlement import digest
from ledger.source import LogSource, Signers, note_signers, verify_checkpoint
from ledger.views import TABLES, Fact, number
from ledger.witness_policy import UNWITNESSED, witnessed
from protocol.errors import DecodeError, LostTailError, Missing, ProofError, Unavailable
from protocol.ids import EventRef, LeafHash, OfficeCode, parse_office
from protocol.limits import (
    AUDIT_FINDINGS_MAX,
    CLOCK_SKEW_MS_MAX,
    STATE_ROW_BYTES_MAX,
)
from protocol.ports import Writer
from protocol.shapes import unpack

AUDIT_TABLES: Final = (*TABLES, "seen")
"""``seen``: child, size, parent, index of the event -> root, claimed time (u64)."""

_FOREVER: Final = 2**63

Progress = Callable[[str, int, int], None]  # office, events done, events in its log


@dataclass(frozen=True, slots=True)
class AuditFinding:
    """What does not hold, and where.  ``index`` is -1 for a log as a whole."""

    office: str
    index: int
    code: str
    detail: str
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Lateness:
    """A claimed time (ms) that what others recorded around the event does not bear out."""

    office: str
    index: int
    claimed: int
    not_before: int
    not_after: int


@dataclass(frozen=True, slots=True)
class LogReport:
    """What was found of one log.  ``witnesses``: (office or outside witness, POSIX seconds) of good
    co-signatures."""

    office: str
    size: int
    root: str
    kinds: dict[str, int]
    witnesses_needed: int
    witnesses: tuple[tuple[str, int], ...]
    witnessed_size: int


@dataclass(frozen=True, slots=True)
class AuditReport:
    network: str
    genesis_id: str
    logs: tuple[LogReport, ...]
    findings: tuple[AuditFinding, ...]
    findings_left_out: int
    lateness: tuple[Lateness, ...]
    state_digest: str

    @property
    def ok(self) -> bool:
        return not self.findings


def audit(
    source: LogSource, genesis_note: bytes, writer: Writer, progress: Progress
) -> AuditReport:
    """Check everything that ``source`` gives; ``writer`` has empty AUDIT_TABLES.

    Raises:
        DecodeError, ProofError: the genesis note itself does not hold (check 1).
        Unavailable: the source cannot be reached.
    """
    return _Audit(source, read_genesis(genesis_note), writer, progress).run()


class _Audit:
    def __init__(
        self, source: LogSource, genesis: Genesis, writer: Writer, progress: Progress
    ) -> None:
        self._source = source
        self._genesis = genesis
        self._writer = writer
        self._progress = progress
        self._fold = Fold(genesis)
        self._logs: list[LogReport] = []
        self._findings: list[AuditFinding] = []
        self._left_out = 0
        self._lateness: list[Lateness] = []
        self._known_signers: Signers | None = None

    def run(self) -> AuditReport:
        province_complete = self._log(self._genesis.province)
        served = set(self._source.offices())
        members = self._fold.roster.members
        for code in sorted(members, key=lambda code: (TIERS.index(members[code].tier), code)):
            if code == self._genesis.province:
                continue
            if province_complete:
                self._log(code)
            else:
                self._find(code, -1, "log.unchecked")
        for name in sorted(served - {*members, self._genesis.province}):
            self._find(name, -1, "log.stranger" if province_complete else "log.unchecked")
        self._check_references()
        if province_complete:
            self._check_closures()
        return AuditReport(
            network=self._genesis.network,
            genesis_id=self._genesis.id.hex,
            logs=tuple(self._logs),
            findings=tuple(self._findings),
            findings_left_out=self._left_out,
            lateness=tuple(self._lateness),
            state_digest=digest(self._writer),
        )

    def _find(self, office: str, index: int, code: str, detail: str = "") -> None:
        if len(self._findings) < AUDIT_FINDINGS_MAX:
            self._findings.append(AuditFinding(office, index, code, detail, *WORDS[code]))
        else:
            self._left_out += 1

    def _log(self, code: OfficeCode) -> bool:
        """Checks 3 to 8 of one log.  Returns whether every entry of it could be read."""
        opened = self._open(code)
        if opened is None:
            return False
        note, checkpoint = opened
        hashes = LogAudit(
            self._source,
            code,
            checkpoint.size,
            checkpoint.root.raw,
            lambda index, finding: self._find(code, index, finding),
        )
        kinds: Counter[str] = Counter()
        lost = 0
        seen = _Seen(self._writer, code)
        for leaves in hashes.leaves():
            self._check_seen(seen, hashes.tree, leaves)
            for leaf in leaves:
                lost += leaf.entry is None
                change = self._apply(code, leaf)
                if change and change.event:
                    kinds[change.event.kind] += 1
                    self._check_time(seen, leaf.index, change.event.time, code)
            self._progress(code, leaves[-1].index + 1, checkpoint.size)
        for _, parent, index in seen.beyond(hashes.tree.size):
            self._find(parent, index, "anchor.beyond", detail=code)
        complete = hashes.tree.size == checkpoint.size and not lost
        self._conclude(code, note, checkpoint, kinds, complete)
        return complete

    def _open(self, code: OfficeCode) -> tuple[Note, Checkpoint] | None:
        try:
            data = self._source.checkpoint(code)
        except Missing:
            beyond = list(_Seen(self._writer, code).beyond(0))
            if beyond or code == self._genesis.province:
                self._find(code, -1, "log.missing")
            else:  # it never said anything
                self._logs.append(LogReport(code, 0, "", {}, 0, (), 0))
            return None
        try:
            note = parse_note(data)
            checkpoint = Checkpoint.parse(note.text)
        except DecodeError:
            self._find(code, -1, "checkpoint.decode")
            return None
        if note.format() != data:  # base64 has several spellings of one signature
            self._find(code, -1, "checkpoint.decode")
        if checkpoint.origin != self._genesis.origin(code):
            self._find(code, -1, "checkpoint.origin")
        return note, checkpoint

    def _apply(self, code: OfficeCode, leaf: Leaf) -> Change | None:
        """Check 7."""
        if leaf.entry is not None:
            try:
                change = self._fold.apply(self._writer, code, leaf.index, leaf.entry)
            except Unavailable:  # the provincial log is folded to its end
                self._find(code, leaf.index, "event.roster")
            else:
                self._judge(code, leaf.index, change)
                return change
        run = Run(self._fold, self._writer, code, leaf.index)
        run.skip(LeafHash(leaf.leaf))
        run.close()
        return None

    def _judge(self, code: OfficeCode, index: int, change: Change) -> None:
        if change.finding:
            self._find(code, index, change.finding)
            return
        event = change.event
        if event and self._fold.roster.is_void(code, index, event.roster_size):
            self._find(code, index, "event.void")
            return
        if event and isinstance(change.body, Anchor):
            for line in change.body.heads:
                _record(
                    self._writer, line.code, line.size, line.root.raw, (code, index), event.time
                )
        if event and isinstance(change.body, MemberRevoke | MemberAbolish):
            cut = change.body
            place = (code, index)
            _record(self._writer, cut.code, cut.log_size, cut.log_root.raw, place, event.time)

    def _check_seen(self, seen: _Seen, before: CompactRange, leaves: list[Leaf]) -> None:
        """Check 8 for the sizes that these leaves reach."""
        tree = before
        for size, parent, index, root in seen.advance(before.size + len(leaves)):
            tree = tree.extend(
                leaf.leaf for leaf in leaves[tree.size - before.size : size - before.size]
            )
            if tree.root() != root:
                self._find(parent, index, "anchor.root", detail=f"{seen.code} {size}")

    def _check_time(self, seen: _Seen, index: int, claimed: int, code: OfficeCode) -> None:
        """Check 10."""
        after, before = seen.bounds(index)
        early = claimed + CLOCK_SKEW_MS_MAX < after
        late = claimed > before + CLOCK_SKEW_MS_MAX
        if (early or late) and len(self._lateness) < AUDIT_FINDINGS_MAX:
            self._lateness.append(Lateness(code, index, claimed, after, before))

    def _conclude(
        self,
        code: OfficeCode,
        note: Note,
        checkpoint: Checkpoint,
        kinds: Counter[str],
        complete: bool,
    ) -> None:
        """Checks 3 and 4, now that the rosters that name the keys are known."""

        def report(finding: str, signer: str) -> None:
            if complete or finding != "checkpoint.stranger":  # a lost event may have admitted it
                self._find(code, -1, finding, detail=signer[:80])

        is_signed = False
        try:
            verify_checkpoint(self._signers(), code, note, report)
            is_signed = True
        except LostTailError:
            self._find(code, -1, "checkpoint.closed")
        except ProofError:
            self._find(code, -1, "checkpoint.signature")
        seen = UNWITNESSED
        if is_signed and code in self._fold.roster.members:
            seen = witnessed(self._fold.roster.policy(code), note)
        self._logs.append(
            LogReport(
                office=code,
                size=checkpoint.size,
                root=checkpoint.root.hex,
                kinds=dict(sorted(kinds.items())),
                witnesses_needed=seen.needed,
                witnesses=seen.by,
                witnessed_size=checkpoint.size if seen.holds else 0,
            )
        )

    def _signers(self) -> Signers:
        """Of the rosters, which are complete once the provincial log is read."""
        if self._known_signers is None:
            self._known_signers = note_signers(self._fold.history)
        return self._known_signers

    def _check_closures(self) -> None:
        """Check 8: keys are closed at a size and root that somebody above had recorded."""
        for cut in self._fold.roster.closures:
            own = self._genesis.province.encode() + number(cut.at)
            recorded = any(
                row[:32] == cut.log_root.raw and not key.endswith(own)
                for key, row in self._writer.scan("seen", cut.code.encode() + number(cut.log_size))
            )
            if cut.log_size and not recorded:
                self._find(self._genesis.province, cut.at, "member.unanchored", detail=cut.code)

    def _check_references(self) -> None:
        """Check 9."""
        for key, row in self._writer.scan("fact"):
            if b"review." not in row and b"version.withdraw" not in row:
                continue  # points at nothing, and need not be decoded
            fact = unpack(Fact, row, bytes_max=STATE_ROW_BYTES_MAX, where="fact")
            target = getattr(fact.read_body(), "upload", None)
            if isinstance(target, EventRef) and not self._is_upload(key[:20], target):
                self._find(fact.ref.origin, fact.ref.index, "item.reference")

    def _is_upload(self, item: bytes, ref: EventRef) -> bool:
        try:
            place = parse_office(ref.origin).encode() + number(ref.index)
        except DecodeError:
            return False
        row = self._writer.get("fact", item + place)
        if row is None:  # if the entry is lost it may well have been there
            return self._writer.get("finding", place) == b"entry.lost"
        fact = unpack(Fact, row, bytes_max=STATE_ROW_BYTES_MAX, where="fact")
        return fact.kind == "version.upload" and fact.ref.leaf == ref.leaf


def _record(
    writer: Writer, child: str, size: int, root: bytes, place: tuple[str, int], time: int
) -> None:
    parent, index = place
    key = child.encode() + number(size) + parent.encode() + number(index)
    writer.put("seen", key, root + number(time))


class _Seen:
    """What offices above recorded of one log, in order of size; read as the log streams by."""

    def __init__(self, writer: Writer, code: OfficeCode) -> None:
        self._writer = writer
        self.code = code
        self._reached = 0
        self._times: list[tuple[int, int]] = []  # (size, claimed time) of the running bundle
        self._after = 0  # latest claimed time of anchors before the running bundle

    def advance(self, size: int) -> list[tuple[int, str, int, bytes]]:
        """(size, parent, index, root) of what was recorded at sizes from the last one to this."""
        self._after = max([self._after, *(time for at, time in self._times if at < self._reached)])
        self._times.clear()
        rows = []
        for at, parent, index, value in self._rows(self._reached):
            self._times.append((at, int.from_bytes(value[32:], "big")))
            if at > size:
                break
            rows.append((at, parent, index, value[:32]))
        self._reached = size + 1
        return rows

    def bounds(self, index: int) -> tuple[int, int]:
        """Claimed times of anchors: the latest that had not seen the event, the first that had."""
        after = [time for at, time in self._times if at <= index]
        before = next((time for at, time in self._times if at > index), _FOREVER)
        return max([self._after, *after]), before

    def beyond(self, size: int) -> list[tuple[int, str, int]]:
        return [row[:3] for row in self._rows(size + 1)]

    def _rows(self, start: int) -> Iterator[tuple[int, str, int, bytes]]:
        prefix = self.code.encode()
        for key, value in self._writer.scan("seen", prefix, prefix + number(start)):
            size, index = int.from_bytes(key[6:14], "big"), int.from_bytes(key[20:], "big")
            yield size, key[14:20].decode(), index, value
