"""What is a log charged with?  Every source's sights compared, every source's evidence weighed.

Evidence that a source gives is verified like one's own: it convicts a key, or it shows what a
closed key signed beyond its closure (a lost tail, and nobody's fault), or it proves nothing.  An
event that reports a fork whose evidence nobody gives is only somebody's word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from hashlib import sha256

from ledger.cross_check import CrossCheck, SightedSource, sights
from ledger.evidence import log_keys, lost_tail, verify_evidence
from ledger.roster import RosterHistory
from ledger.views import reported_forks
from protocol.errors import DecodeError, Missing, ProofError
from protocol.ids import OfficeCode
from protocol.ports import Reader

Say = Callable[[str, int, str, str], None]  # office, index, code, detail


class Charges:
    """Of one audit.  ``find`` hears findings, ``note`` what is no fault."""

    def __init__(
        self,
        sources: Mapping[str, SightedSource],
        history: RosterHistory,
        find: Say,
        note: Say,
    ) -> None:
        self._sources = sources
        self._history = history
        self._find = find
        self._note = note
        self.evidence: dict[str, bytes] = {}  # that convicts, by SHA-256
        self._shown: set[str] = set()  # everything that was given and holds

    def compare(self, code: OfficeCode) -> None:
        """Hold everybody's checkpoints of a log against the tree that was audited."""
        keys = log_keys(self._history, code)
        try:
            held = next(iter(self._sources.values())).checkpoint(code)
            is_tail = partial(lost_tail, self._history.newest, code)
            check = CrossCheck(self._sources, code, held, keys, is_tail)
        except (DecodeError, Missing):
            return
        origin = self._history.newest.genesis.origin(code)
        bad = partial(self._find, code, -1, "checkpoint.signature")
        forks = check.compare(sights(self._sources, code, origin), bad)
        for where in forks.longer:
            self._note(code, -1, "note.behind", where)
        for where in forks.tails:
            self._note(code, -1, "note.tail", where)
        for where in forks.contradictions:
            self._find(code, -1, "log.contradiction", where)
        for data in forks.evidence:
            self._weigh(code, data, "")

    def weigh_all(self) -> None:
        """What the sources give as evidence."""
        for name, source in self._sources.items():
            for office, data in source.evidence():
                self._weigh(office, data, name)

    def check_reports(self, reader: Reader, codes: Iterable[OfficeCode]) -> None:
        """The reports of forks in the logs, by what was given."""
        for code in codes:
            for said in reported_forks(reader, code):
                if said.evidence.hex not in self._shown:
                    detail = f"{code} {said.evidence.hex}"
                    self._note(said.origin, said.index, "note.unproven", detail)

    def _weigh(self, office: str, data: bytes, where: str) -> None:
        name, code = sha256(data).hexdigest(), OfficeCode(office)
        if name in self._shown:
            return
        roster = self._history.newest
        try:
            verdict = verify_evidence(data, log_keys(self._history, code))
        except (DecodeError, ProofError):
            self._note(office, -1, "note.evidence", f"{where}: {name}")
            return
        self._shown.add(name)
        if lost_tail(roster, code, verdict.key, max(verdict.size, verdict.size_b)):
            self._note(office, -1, "note.tail", name)
        else:
            self._find(office, -1, "log.fork", name)
            self.evidence[name] = data
