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
10. claimed times lie between the anchors around them: listed, not a fault;
11. what others have seen of the logs agrees with what is here (ledger/cross_check.py);
12. no evidence that the sources give convicts a log (ledger/charges.py).

Runs of entries are examined by workers (ledger/examine.py), joined in order and committed
(ledger/log_join.py); items are settled at the end (ledger/item_ranges.py).  An audit that was cut
goes on behind its last commit, and a later one behind what was audited before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from ledger.audit_report import (
    AuditFinding,
    AuditReport,
    Lateness,
    LogReport,
    Timeline,
    finding,
)
from ledger.charges import Charges
from ledger.checkpoint import Checkpoint
from ledger.cross_check import SightedSource
from ledger.evidence import check_goes_on, log_keys, signers_of
from ledger.examine import SECOND_SHIFT, Known
from ledger.genesis import Genesis, read_genesis
from ledger.item_ranges import SettledRange, settle_all
from ledger.log_join import LogJoin, LogState
from ledger.members import TIERS
from ledger.note import Note, parse_note
from ledger.replay import Cursor, Fold
from ledger.seen import rows_of
from ledger.source import LogReader, Signers, note_signers, verify_checkpoint
from ledger.spool import Block, Tools
from ledger.views import TABLES, number
from ledger.witness_policy import UNWITNESSED, Witnessed, witnessed
from protocol.errors import DecodeError, LostTailError, Missing, ProofError
from protocol.ids import EventRef, OfficeCode
from protocol.limits import AUDIT_FINDINGS_MAX, STATE_ROW_BYTES_MAX
from protocol.ports import Writer
from protocol.shapes import pack, unpack

AUDIT_TABLES: Final = (*TABLES, "seen", "block", "log", "fault", "audit")
"""Beside the fold's: ``seen`` (ledger/seen.py); ``block``: offset -> Block of facts; ``log``:
office -> LogState; ``fault``: number -> AuditFinding; ``audit``: what the rows are bound to."""

_LEFT_OUT: Final = b"left out"


def audit(sources: Mapping[str, SightedSource], genesis_note: bytes, tools: Tools) -> AuditReport:
    """Check everything that the first source gives, and what all of them have seen.

    The store is empty, or what an earlier audit of the same network left.

    Raises:
        DecodeError, ProofError: the genesis note itself does not hold (check 1), or the store
            belongs to an audit of another network.
        Unavailable: a source cannot be reached.
    """
    return _Audit(sources, genesis_note, tools).run()


class _Audit:
    def __init__(self, sources: Mapping[str, SightedSource], note: bytes, tools: Tools) -> None:
        self._sources = sources
        self._source = next(iter(sources.values()))
        self._note = note
        self._genesis: Genesis = read_genesis(note)
        self._tools = tools
        self._fold = Fold(self._genesis)
        self._logs: list[LogReport] = []
        self._findings: list[AuditFinding] = []  # of this run, beside those in the store
        self._notes: list[AuditFinding] = []
        self._notes_left_out = 0
        self._lateness: list[Lateness] = []
        self._known: Known | None = None  # of the provincial log, at its end
        self._sizes: dict[str, int] = {}
        self._order: list[OfficeCode] = []
        self._sound: set[OfficeCode] = set()  # their tiles lead to their checkpoints
        self._known_signers: Signers | None = None

    def run(self) -> AuditReport:
        self._open_store()
        province = self._genesis.province
        province_complete = self._log(province)
        with self._tools.store.read() as reader:
            self._fold = Fold.load(self._genesis, reader)
        served = set(self._source.offices())
        members = self._fold.roster.members
        self._order = sorted(members, key=lambda code: (TIERS.index(members[code].tier), code))
        for code in self._order:
            if code == province:
                continue
            if province_complete:
                self._log(code)
            else:
                self._find(code, -1, "log.unchecked")
        for name in sorted(served - {*members, province}):
            self._find(name, -1, "log.stranger" if province_complete else "log.unchecked")
        statuses, digest = self._settle()
        evidence: dict[str, bytes] = {}
        if province_complete:
            self._check_closures()
            evidence = self._charges()
        findings, left_out = self._all_findings()
        return AuditReport(
            network=self._genesis.network,
            genesis_id=self._genesis.id.hex,
            sources=tuple(self._sources),
            logs=tuple(self._logs),
            findings=findings,
            findings_left_out=left_out,
            notes=tuple(self._notes),
            notes_left_out=self._notes_left_out,
            lateness=tuple(self._lateness),
            evidence=evidence,
            items=statuses,
            state_digest=digest,
        )

    def _all_findings(self) -> tuple[tuple[AuditFinding, ...], int]:
        """Those of entries, which the store keeps, and those of this run, by office in order."""
        with self._tools.store.read() as reader:
            left_out = int.from_bytes(reader.get("audit", _LEFT_OUT) or b"", "big")
            kept = [
                unpack(AuditFinding, row, bytes_max=STATE_ROW_BYTES_MAX, where="finding")
                for _, row in reader.scan("fault")
            ]
        found = [*kept, *self._findings]
        order: dict[str, int] = {
            code: at for at, code in enumerate([self._genesis.province, *self._order])
        }
        found.sort(
            key=lambda each: (order.get(each.office, len(order)), each.office, each.index % 2**64)
        )  # what is said of a log as a whole comes last
        return tuple(found[:AUDIT_FINDINGS_MAX]), left_out + max(0, len(found) - AUDIT_FINDINGS_MAX)

    def _open_store(self) -> None:
        def job(writer: Writer) -> int:
            bound = writer.get("audit", b"genesis")
            if bound is None:
                writer.put("audit", b"genesis", self._genesis.id.raw)
            elif bound != self._genesis.id.raw:
                raise ProofError("work folder", f"an audit of {self._genesis.id.short}", "another")
            ends = [0]
            for _, row in writer.scan("block", reverse=True):
                block = unpack(Block, row, bytes_max=STATE_ROW_BYTES_MAX, where="block")
                ends.append(block.offset + block.length)
                break
            return max(ends)

        spool = self._tools.spool
        spool.cut("fact", self._tools.store.run(job))
        spool.cut("by_manifest", 0)

    def _find(self, office: str, index: int, code: str, detail: str = "") -> None:
        self._findings.append(finding(office, index, code, detail))

    def _note_that(self, office: str, index: int, code: str, detail: str = "") -> None:
        if len(self._notes) < AUDIT_FINDINGS_MAX:
            self._notes.append(finding(office, index, code, detail))
        else:
            self._notes_left_out += 1

    def _log(self, code: OfficeCode) -> bool:
        """Checks 3 to 8 of one log.  Returns whether every entry of it could be read."""
        opened = self._open(code)
        if opened is None:
            return False
        note, checkpoint = opened
        join = self._start(code, checkpoint.size)
        if checkpoint.size < join.cursor.size:
            self._note_that(code, -1, "note.older", f"{checkpoint.size} < {join.cursor.size}")
        elif not self._goes_on(join, checkpoint):
            self._find(code, -1, "log.rewritten", str(join.cursor.size))
            return False
        else:
            known = join.join()
            if code == self._genesis.province:
                self._known = known
            if join.cursor.size == checkpoint.size and join.root != checkpoint.root.raw:
                self._find(code, -1, "log.root")
            elif join.cursor.size == checkpoint.size and known.trusted:
                self._sound.add(code)
        self._lateness += join.late[: AUDIT_FINDINGS_MAX - len(self._lateness)]
        self._sizes[code] = join.cursor.size
        self._beyond(code, note, join.cursor.size)
        complete = join.whole
        self._conclude(code, note, checkpoint, join.state, complete)
        return complete

    def _start(self, code: OfficeCode, size: int) -> LogJoin:
        with self._tools.store.read() as reader:
            row = reader.get("log", code.encode())
            cursor_row = reader.get("cursor", code.encode())
        state = LogState()
        if row is not None:
            state = unpack(LogState, row, bytes_max=STATE_ROW_BYTES_MAX, where="log state")
        cursor = Cursor() if cursor_row is None else Cursor.decode(cursor_row)

        def find(writer: Writer, index: int, word: str, detail: str, office: str) -> None:
            _keep(writer, finding(office or code, index, word, detail))

        known = self._known_of(code, size)
        return LogJoin(self._tools, self._genesis, known, state, cursor, find)

    def _known_of(self, code: OfficeCode, size: int) -> Known:
        province = self._known
        return Known(
            source=self._source,
            genesis=self._note,
            changes=province.changes if province else (),
            province_size=self._sizes.get(self._genesis.province, 0),
            province_root=province.province_root if province else b"",
            code=code,
            size=size,
            trusted=False,
        )

    def _goes_on(self, join: LogJoin, checkpoint: Checkpoint) -> bool:
        """Whether the log begins with what was audited before, and its old sights still hold."""
        trusted = join.survey(checkpoint.root.raw)
        before = join.cursor.size
        if not before or not trusted:
            return True
        reader = LogReader(self._source, join.code, checkpoint.size, checkpoint.root.raw)
        if reader.root_at(before) != join.cursor.tree.root():
            return False
        with self._tools.store.read() as rows:
            for size, parent, index, root, _ in rows_of(rows, join.code):
                if size > before:
                    break
                if reader.root_at(size) != root:
                    self._find(parent, index, "anchor.root", f"{join.code} {size}")
        return True

    def _open(self, code: OfficeCode) -> tuple[Note, Checkpoint] | None:
        try:
            data = self._source.checkpoint(code)
        except Missing:
            with self._tools.store.read() as reader:
                recorded = any(True for _ in rows_of(reader, code, 1))
            if recorded or code == self._genesis.province:
                self._find(code, -1, "log.missing")
            else:  # it never said anything
                self._report_log(code)
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

    def _beyond(self, code: OfficeCode, note: Note, size: int) -> None:
        """Check 8 beyond the end.  A log that was co-signed at this size after somebody recorded
        a larger one was cut; otherwise what is here may just be older."""
        seen = self._witnessed(code, note, lambda *_: None)
        latest = max((seconds for _, seconds in seen.by), default=0) * 1000
        with self._tools.store.read() as reader:
            for at, parent, index, _, time in rows_of(reader, code, size + 1):
                if latest >= time:
                    self._find(parent, index, "anchor.beyond", code)
                else:
                    self._note_that(code, at, "note.behind", f"{parent} #{index}")

    def _conclude(
        self,
        code: OfficeCode,
        note: Note,
        checkpoint: Checkpoint,
        state: LogState,
        complete: bool,
    ) -> None:
        """Checks 3 and 4, now that the rosters that name the keys are known."""

        def report(word: str, signer: str) -> None:
            if complete or word != "checkpoint.stranger":  # a lost event may have admitted it
                self._find(code, -1, word, signer[:80])

        seen = self._witnessed(code, note, report)
        with self._tools.store.read() as reader:
            moments = Counter(row[4] >> SECOND_SHIFT for row in rows_of(reader, code))
        anchors = Timeline().add(moments, SECOND_SHIFT)
        self._report_log(code, checkpoint.size, checkpoint.root.hex, state, seen, anchors)

    def _report_log(
        self,
        code: OfficeCode,
        size: int = 0,
        root: str = "",
        state: LogState = LogState(),  # noqa: B008 (frozen)
        seen: Witnessed = UNWITNESSED,
        anchors: Timeline = Timeline(),  # noqa: B008 (frozen)
    ) -> None:
        roster = self._fold.roster
        member = roster.members.get(code)
        self._logs.append(
            LogReport(
                office=code,
                name=member.name if member else "",
                tier=member.tier if member else "",
                parent=(member.parent or "") if member else "",
                size=size,
                root=root,
                kinds={each.kind: each.count for each in state.kinds},
                witnesses_needed=seen.needed,
                witnesses=seen.by,
                witnessed_size=size if seen.holds else 0,
                events=state.events,
                anchors=anchors,
                witnessed=state.witnessed,
            )
        )

    def _witnessed(
        self, code: OfficeCode, note: Note, report: Callable[[str, str], None]
    ) -> Witnessed:
        """Checks 3 and 4 of a note, and who has witnessed it."""
        try:
            verify_checkpoint(self._signers(), code, note, report)
        except LostTailError:
            report("checkpoint.closed", "")
        except ProofError:
            report("checkpoint.signature", "")
        else:
            self._check_goes_on(code, note, report)
            if code in self._fold.roster.members:
                return witnessed(self._fold.roster.policy(code), note)
        return UNWITNESSED

    def _check_goes_on(
        self, code: OfficeCode, note: Note, report: Callable[[str, str], None]
    ) -> None:
        history, size = self._fold.history, Checkpoint.parse(note.text).size
        for key in signers_of(note.format(), log_keys(history, code)):
            try:
                check_goes_on(history.newest, code, key, size)
            except ProofError:
                report("checkpoint.short", "")

    def _signers(self) -> Signers:
        """Of the rosters, which are complete once the provincial log is read."""
        if self._known_signers is None:
            with self._tools.store.read() as reader:
                self._fold = Fold.load(self._genesis, reader)
            self._known_signers = note_signers(self._fold.history)
        return self._known_signers

    def _settle(self) -> tuple[dict[str, int], str]:
        """Check 9, and the state that follows."""
        known = self._known
        if known is None:  # there is no provincial log
            known = self._known_of(self._genesis.province, 0)
        with self._tools.store.read() as reader:
            changes = tuple((int.from_bytes(key, "big"), row) for key, row in reader.scan("member"))
        known = replace(known, changes=changes)
        return settle_all(self._tools, known, self._note_range)

    def _note_range(self, found: SettledRange) -> None:
        for ref, word in found.broken:
            self._find(ref.origin, ref.index, word)
        for ref, target in found.astray:
            member = target.origin in self._fold.roster.members
            if member and target.index >= self._sizes.get(target.origin, 0):
                self._note_that(ref.origin, ref.index, "note.newer", place_of(target))
            elif not self._is_lost(target):
                self._find(ref.origin, ref.index, "item.reference", place_of(target))
        for ref, word in found.early:
            self._note_that(ref.origin, ref.index, word)

    def _is_lost(self, target: EventRef) -> bool:
        """If the entry is lost it may well have been what was meant."""
        with self._tools.store.read() as reader:
            place = target.origin.encode() + number(target.index)
            return reader.get("finding", place) == b"entry.lost"

    def _check_closures(self) -> None:
        """Check 8: keys are closed at a size and root that somebody above had recorded."""
        for cut in self._fold.roster.closures:
            own = (self._genesis.province, cut.at)
            with self._tools.store.read() as reader:
                recorded = any(
                    root == cut.log_root.raw and (parent, index) != own
                    for size, parent, index, root, _ in rows_of(reader, cut.code, cut.log_size)
                    if size == cut.log_size
                )
            if cut.log_size and not recorded:
                self._find(self._genesis.province, cut.at, "member.unanchored", cut.code)

    def _charges(self) -> dict[str, bytes]:
        """Checks 11 and 12: evidence that convicts, by its SHA-256."""
        charges = Charges(self._sources, self._fold.history, self._find, self._note_that)
        for code in sorted(self._sound):
            charges.compare(OfficeCode(code))
        charges.weigh_all()
        with self._tools.store.read() as reader:
            charges.check_reports(reader, self._order)
        return charges.evidence


def place_of(ref: EventRef) -> str:
    return f"{ref.origin} #{ref.index}"


def _keep(writer: Writer, found: AuditFinding) -> None:
    """One more finding in the store, or one more that is only counted."""
    count = int.from_bytes(writer.get("audit", b"faults") or b"", "big")
    if count < AUDIT_FINDINGS_MAX:
        writer.put("fault", number(count), pack(found))
        writer.put("audit", b"faults", number(count + 1))
    else:
        left_out = int.from_bytes(writer.get("audit", _LEFT_OUT) or b"", "big")
        writer.put("audit", _LEFT_OUT, number(left_out + 1))
