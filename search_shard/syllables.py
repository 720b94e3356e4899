"""Pairs of characters to pairs of syllables: every reading of a character with every one of its
neighbour.

Codes are ordered by syllable, so the rows of a syllable are those of a range of codes, and of the
few codes that are read so beside (guests).
"""

from __future__ import annotations

import numpy as np

from search_shard.blocks import Array
from search_shard.buckets import PIECE_ROWS, Buckets, Pieces
from search_shard.lists import TableBuilder
from search_shard.runs import rows_of, starts_of
from search_shard.tables import SYLLABLE_SHIFT, Tables

_SIXTEEN = np.uint32(16)
_DOCUMENTS = 1 << 16


class Syllables:
    """Takes the rows of the texts by rising codes, and gives the table of their syllables.

    Syllables are numbered from 1; 0 is a character that is not read.
    """

    def __init__(self, points: Array, tables: Tables, pieces: Pieces, rows: int) -> None:
        self._width = len(tables.syllables) + 1
        homes = (tables.keys(points) >> SYLLABLE_SHIFT).astype(np.int64)  # rising
        self._codes_at = 1 + homes.searchsorted(np.arange(-1, self._width))  # of each syllable
        home = np.where(homes == len(tables.syllables), 0, homes + 1)
        self._home = np.concatenate([[0], home]).astype(np.uint32) << _SIXTEEN
        codes, syllables = tables.guests_of(points)
        self._guest_count = np.bincount(codes + 1, minlength=len(points) + 1)
        self._guest_at = starts_of(self._guest_count)
        self._guests = (syllables + 1).astype(np.uint32)
        self._is_guest = self._guest_count > 0
        self._guest_starts, self._guest_keys = self._guest_rows(pieces)
        self._next = 1
        most = 2 + int(self._guest_count.max())  # more rows for one with a guest
        self._table = TableBuilder(rows + most * len(self._guest_keys), self._width)

    @property
    def ends(self) -> Array:
        """The codes at which a range of rows may end: no syllable is divided."""
        size = len(self._home)
        return np.union1d(self._codes_at[2:], np.arange(self._codes_at[-1], size + 1))

    def add(self, rows: Buckets) -> None:
        """The next rows, up to one of :attr:`ends`."""
        low, end = (
            self._next,
            int(self._codes_at[2:].searchsorted(rows.low + rows.size, "right")) + 1,
        )
        homes = rows.starts[self._codes_at[low : end + 1] - rows.low]
        guests = self._guest_starts[low : end + 1]
        before = homes + guests
        while low < end:
            at = low - self._next
            most = int(before.searchsorted(before[at] + PIECE_ROWS, side="right")) - 1
            size = max(1, min(most - at, _DOCUMENTS // self._width))
            here = slice(at, at + size + 1)
            self._add(low, homes[here], guests[here], rows.keys)
            low += size
        self._next = end

    def end(self) -> dict[str, Array]:
        return self._table.end()

    def _add(self, low: int, homes: Array, guests: Array, keys: Array) -> None:
        """Syllables from ``low``, whose rows stand in ``keys`` and among the guests' from where the
        two others say."""
        count = len(homes) - 1
        keys = np.concatenate(
            [keys[homes[0] : homes[-1]], self._guest_keys[guests[0] : guests[-1]]]
        )
        steps = np.arange(count, dtype=np.uint32) * np.uint32(self._width) << _SIXTEEN
        step = np.repeat(np.tile(steps, 2), np.concatenate([np.diff(homes), np.diff(guests)]))
        seconds, documents = keys >> _SIXTEEN, keys & np.uint32(0xFFFF)
        documents |= step
        at = np.flatnonzero(self._is_guest.take(seconds))
        counts = self._guest_count[seconds[at]]
        further = self._guests[rows_of(self._guest_at[seconds[at]], counts)] << _SIXTEEN
        further += np.repeat(documents[at], counts)
        documents += self._home.take(seconds)
        made = np.concatenate([documents, further])
        made.sort()
        starts = np.append(made.searchsorted(steps), len(made))
        self._table.add(Buckets(low, starts, made), self._width)

    def _guest_rows(self, pieces: Pieces) -> tuple[Array, Array]:
        """The rows whose first is read as a guest: where those of each syllable begin, and they."""
        found = [np.empty(0, np.uint64)]
        for firsts, seconds, documents in pieces():
            at = np.flatnonzero(self._is_guest.take(firsts))
            counts = self._guest_count[firsts[at]]
            key = self._guests[rows_of(self._guest_at[firsts[at]], counts)].astype(np.uint64)
            key <<= np.uint64(16)
            key |= np.repeat(seconds[at], counts)
            key <<= np.uint64(16)
            key |= np.repeat(documents[at], counts)
            found.append(key)
        keys = np.concatenate(found)
        keys.sort()
        syllables = np.arange(self._width + 1, dtype=np.uint64) << np.uint64(32)
        return keys.searchsorted(syllables), keys.astype(np.uint32)
