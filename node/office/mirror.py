"""Says what this node durably holds of other logs: the mirror of c2sp.org/tlog-mirror, read side.

A mirror's cosignature means "I hold every entry below this checkpoint".  It is made when asked for,
from rows that were verified and synced before they could be read; so there is no state to lose, and
the mirror checkpoint of a log never moves back (but by a closure in the roster).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from hashlib import sha256

from ledger import logbook
from ledger.checkpoint import Checkpoint, Cosigner, cosign
from ledger.genesis import Genesis
from ledger.note import Note, parse_note
from ledger.roster import Roster
from node.hands.keys import OfficeKeys
from protocol.errors import Missing
from protocol.ids import OfficeCode
from protocol.ports import Clock, KeyValueStore


def log_of(roster: Roster, origin_hash: str) -> OfficeCode:
    """The office whose log has an origin with this SHA-256 (hexadecimal).

    Raises:
        Missing: no log of the roster.
    """
    for code in roster.members:
        if sha256(roster.genesis.origin(code).encode()).hexdigest() == origin_hash:
            return code
    raise Missing("origin", "the SHA-256 of the origin of a log here", origin_hash[:64])


class Mirror:
    """The mirror of the first office of this node, for every log that another node writes."""

    def __init__(
        self,
        ledger: KeyValueStore,
        clock: Clock,
        genesis: Genesis,
        keys: Mapping[OfficeCode, OfficeKeys],
        roster: Callable[[], Roster],
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._genesis = genesis
        self._keys = keys
        self._roster = roster
        self._signed = lru_cache(maxsize=256)(self._sign)  # one signature per checkpoint held

    def log_of(self, origin_hash: str) -> OfficeCode:
        """The office whose log has an origin with this SHA-256 (hexadecimal).

        Raises:
            Missing: no log of the roster.
        """
        return log_of(self._roster(), origin_hash)

    def checkpoint(self, origin_hash: str) -> bytes:
        """The checkpoint below which everything is here: the log's line and the mirror's.

        Raises:
            Missing: no such log, or this very node writes it.
        """
        code = self.log_of(origin_hash)
        with self._ledger.read() as reader:
            note = reader.get("note", code.encode())
            size = logbook.head(reader, code).size
        if note is None or code in self._keys:
            raise Missing(f"log {code}", "a log that is mirrored here", "its own or nothing")
        parsed = parse_note(note)
        checkpoint = Checkpoint.parse(parsed.text)
        if checkpoint.size > size:
            raise Missing(f"log {code}", f"{checkpoint.size} entries", size)
        own = tuple(line for line in parsed.signatures if line.name == checkpoint.origin)
        return self._signed(Note(parsed.text, own))

    def _sign(self, note: Note) -> bytes:
        code = min(self._keys)
        cosigner = Cosigner(f"{self._genesis.origin(code)}/mirror", self._keys[code].mirror)
        line = cosign(note.text, cosigner, self._clock.now() // 1000)
        return Note(note.text, (*note.signatures, line)).format()
