"""Forks and lost tails as people and programs see them: lists, and plain files to check again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict

from ledger.evidence import Evidence, verify_evidence
from ledger.roster import Roster
from ledger.views import reported_forks
from node.office.accuser import Accuser, Held
from node.office.answers import EvidenceAnswer, ForkLine, ForkReportLine, LostTailLine
from node.office.closing import Closing
from protocol.errors import Missing
from protocol.ids import BlobId, OfficeCode
from protocol.ports import KeyValueStore

Sink = Callable[[str, bytes], None]  # relative path, content


class Exhibits:
    """What this node can show."""

    def __init__(
        self,
        state: KeyValueStore,
        accuser: Accuser,
        closing: Closing,
        roster: Callable[[], Roster],
    ) -> None:
        self._state = state
        self._accuser = accuser
        self._closing = closing
        self._roster = roster

    def answer(self) -> EvidenceAnswer:
        return EvidenceAnswer(
            tuple(self._fork(*each) for each in self._accuser.evidence()),
            tuple(
                LostTailLine(
                    office=code,
                    office_name=self._name(code),
                    closed_at=at,
                    log_size=row.log_size,
                    lost_size=row.lost_size,
                    file=f"/evidence/{code}/lost/{at}.checkpoint" if row.lost_note else "",
                )
                for code, at, row in self._closing.lost_tails()
            ),
        )

    def file(self, path: str) -> bytes:
        """One of the files that the answer names.

        Raises:
            Missing: no such file.
        """
        files = self._files()
        if path not in files:
            raise Missing("evidence", "a file that /api/v1/evidence names", path[:120])
        return files[path]

    def export(self, sink: Sink) -> None:
        """Every file, and the list of them; nothing when there is none."""
        files = self._files()
        for path, data in files.items():
            sink(path.removeprefix("/"), data)
        if files:
            index = json.dumps(asdict(self.answer()), ensure_ascii=False, indent=1, sort_keys=True)
            sink("evidence/index.json", index.encode())

    def _files(self) -> dict[str, bytes]:
        files: dict[str, bytes] = {}
        for code, digest, held in self._accuser.evidence():
            files |= _files_of(code, digest, held)
        for code, at, row in self._closing.lost_tails():
            if row.lost_note:
                files[f"/evidence/{code}/lost/{at}.checkpoint"] = row.lost_note
        return files

    def _fork(self, code: OfficeCode, digest: BlobId, held: Held) -> ForkLine:
        keys = self._accuser.log_keys(code)
        verdict = verify_evidence(held.evidence, keys)
        said = verdict.contradiction
        a, b = _files_of(code, digest, held)
        with self._state.read() as reader:
            reports = [line for line in reported_forks(reader, code) if line.evidence == digest]
        return ForkLine(
            office=code,
            office_name=self._name(code),
            evidence=digest.hex,
            shape=verdict.shape,
            log_key=verdict.key.vkey,
            size_a=verdict.size,
            root_a=verdict.root.hex,
            size_b=verdict.size_b,
            size_said=-1 if said is None else said[0],
            root_said="" if said is None else said[1].hex,
            standing=verdict.key == keys[0],
            learned=held.learned,
            files=(a, b),
            reports=tuple(
                ForkReportLine(line.origin, self._name(line.origin), line.index, line.time)
                for line in reports
            ),
        )

    def _name(self, code: OfficeCode) -> str:
        member = self._roster().members.get(code)
        return member.name if member else code


def _files_of(code: OfficeCode, digest: BlobId, held: Held) -> dict[str, bytes]:
    files = Evidence.decode(held.evidence).files()
    return {f"/evidence/{code}/{digest.hex}/{name}": data for name, data in files.items()}
