"""Records children's checkpoints in the parent's own log (``anchor``), now and then.

That is what orders events between offices.  Only checkpoints that grew since the last anchor are
recorded, and only of children, so anchors never cause anchors for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from ledger.checkpoint import parse_checkpoint
from ledger.events import Anchor, AnchorLine
from ledger.roster import Roster
from ledger.views import anchors
from node.hands.keys import OfficeKeys
from node.office.sequencer import Sequencer
from protocol.ids import OfficeCode
from protocol.ports import KeyValueStore

LINES_MAX = 50  # of one event, which holds at most 4 kB


class Notary:
    """Anchors for the offices hosted here that have children."""

    def __init__(
        self,
        ledger: KeyValueStore,
        state: KeyValueStore,
        keys: Mapping[OfficeCode, OfficeKeys],
        sequencer: Sequencer,
        roster: Callable[[], Roster],
        every_s: float,
    ) -> None:
        self._ledger = ledger
        self._state = state
        self._keys = keys
        self._sequencer = sequencer
        self._roster = roster
        self._every_s = every_s
        self._news = asyncio.Event()
        self._anchored: dict[OfficeCode, int] = {}  # child -> size, perhaps not folded yet

    async def run(self) -> None:
        self._news.set()
        while True:
            await self._news.wait()
            await asyncio.sleep(self._every_s)  # what comes meanwhile goes into the same anchor
            self._news.clear()
            await self.anchor_all()
            if not self._sequencer.is_open:
                self._news.set()

    def look(self) -> None:
        """A log may have grown."""
        self._news.set()

    async def anchor_all(self) -> None:
        """Anchor now what has grown, for every office here that may sign."""
        for code in sorted(self._keys):
            if self._sequencer.gates[code].is_open:
                await self._anchor(code)

    async def _anchor(self, parent: OfficeCode) -> None:
        lines = []
        roster = self._roster()
        with self._ledger.read() as ledger, self._state.read() as state:
            for member in roster.active():
                note = ledger.get("note", member.code.encode())
                if member.parent != parent or note is None:
                    continue
                checkpoint = parse_checkpoint(note)
                folded = [a.size for a in anchors(state, roster, member.code)]
                if checkpoint.size > max([self._anchored.get(member.code, 0), *folded]):
                    lines.append(AnchorLine(member.code, checkpoint.size, checkpoint.root))
        for start in range(0, len(lines), LINES_MAX):
            part = tuple(lines[start : start + LINES_MAX])
            await self._sequencer.append(parent, (Anchor(part),))
            self._anchored.update((OfficeCode(line.code), line.size) for line in part)
