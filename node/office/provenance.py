"""Makes the proof of an item's present revision (docs/spec/proof.md) from what is stored here."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from ledger import logbook, views
from ledger.checkpoint import parse_checkpoint
from ledger.events import parse_event
from ledger.proof import Proof
from ledger.proving import Opened, Place, anchored_size, make_proof
from ledger.roster import Roster, RosterHistory
from ledger.source import LogReader
from node.hands.world import World
from node.office.answers import Asker
from node.office.reading import Reading
from protocol.errors import Missing, Unavailable
from protocol.ids import EventRef, OfficeCode, parse_office
from protocol.limits import TILE_WIDTH
from protocol.ports import Reader

_BUNDLES_SEARCHED_MAX = 64  # of a busy parent's log, for the anchor before its latest


class Provenance:
    """Proofs under the newest checkpoints that are witnessed."""

    def __init__(
        self,
        world: World,
        genesis_note: bytes,
        reading: Reading,
        history: Callable[[], RosterHistory],
    ) -> None:
        self._world = world
        self._genesis_note = genesis_note
        self._reading = reading
        self._history = history

    async def proof(self, item: str, asker: Asker) -> Proof:
        """
        Raises:
            Missing: no such item, as far as this asker may know, or its record is not here.
            Unavailable: nothing can be proven of it yet.
        """
        upload, manifest = self._reading.revision(item, asker)
        return await self._world.work.run(self._make, upload, manifest)

    def _make(self, upload: EventRef, manifest: bytes) -> Proof:
        history = self._history()
        with self._world.ledger.read() as ledger, self._world.state.read() as state:
            logs = StoredLogs(ledger)
            anchors = _anchors(state, logs, history.newest, upload)
            place = (upload.origin, upload.index)
            try:
                signer = parse_event(logs.opened(upload.origin).reader.entry(upload.index)).signer
                enrolment = views.enrolment(state, upload.origin, signer, upload.index)
                return make_proof(
                    self._genesis_note,
                    history,
                    manifest,
                    place,
                    enrolment,
                    anchors,
                    logs.opened,
                )
            except Missing as error:
                raise Unavailable("proof", "what it takes to be logged here", error) from error


class StoredLogs:
    """A LogSource over the store, at the newest witnessed checkpoints, else the newest."""

    def __init__(self, ledger: Reader) -> None:
        self.ledger = ledger
        self._opened: dict[str, Opened] = {}

    def opened(self, code: str) -> Opened:
        if code not in self._opened:
            office = parse_office(code)
            note = self.checkpoint(office)
            checkpoint = parse_checkpoint(note)
            reader = LogReader(self, office, checkpoint.size, checkpoint.root.raw)
            self._opened[code] = Opened(reader, note)
        return self._opened[code]

    def offices(self) -> list[str]:
        return [key.decode() for key, _ in self.ledger.scan("note")]

    def checkpoint(self, code: str) -> bytes:
        for table in ("witnessed", "note"):
            note = self.ledger.get(table, code.encode())
            if note is not None:
                return note
        raise Missing(f"log {code}", "a log with a checkpoint", "none here")

    def tile(self, code: str, level: int, number: int, width: int) -> bytes:
        return logbook.tile_hashes(self.ledger, parse_office(code), level, number, width)

    def bundle(self, code: str, number: int, width: int) -> bytes:
        return logbook.bundle(self.ledger, parse_office(code), number, width)


def _anchors(state: Reader, logs: StoredLogs, roster: Roster, upload: EventRef) -> list[Place]:
    """Where the upload's log was anchored, then that log, and so on up to the province; or less far
    up while the province has not anchored that much."""
    above = [member.code for member in roster.above(upload.origin)]
    for top in range(len(above), 0, -1):
        places = _chain(state, logs, roster, [upload.origin, *above[:top]], upload.index)
        if places:
            return places
    return []


def _chain(
    state: Reader, logs: StoredLogs, roster: Roster, offices: list[OfficeCode], index: int
) -> list[Place]:
    """An anchor by each of ``offices`` but the first, of the log of the one before it.  Made from
    the top: of a log only what is anchored above it can be used below."""
    limit = logs.opened(offices[-1]).reader.size
    places: list[Place] = []
    for child, by in reversed(list(pairwise(offices))):
        found = _newest(state, logs, roster, by, child, limit)
        if found is None:
            return []
        at, limit = found
        places.insert(0, (by, at))
    return places if index < limit else []


def _newest(
    state: Reader, logs: StoredLogs, roster: Roster, by: str, child: str, limit: int
) -> tuple[int, int] | None:
    """(index, size) of the newest anchor of ``child`` in the log of ``by`` below ``limit``."""
    latest = [each.index for each in views.anchors(state, roster, child) if each.by == by]
    stop = max(0, limit - _BUNDLES_SEARCHED_MAX * TILE_WIDTH)
    reader, known = logs.opened(by).reader, logs.opened(child).reader.size
    for at in (*(index for index in latest if index < limit), *range(limit - 1, stop - 1, -1)):
        entry = reader.entry(at)
        size = anchored_size(entry, child) if b"anchor" in entry else 0
        if 0 < size <= known:
            return at, size
    return None
