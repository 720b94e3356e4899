"""What other nodes may read of the files here, and how this one shows that it has them.

A peer may read what it keeps by placement, what it was lent (node/office/access.py), what the
public may see, and what the province signed for everybody: the table of synonyms, statistics.  What
is read for keeping waits for its turn by the pace of this office.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from ledger.keeping import keeps, room
from ledger.roster import Roster
from ledger.views import ItemView, epochs, synonym_table
from node.office.catalog import uses
from node.office.links import Peer
from protocol.chunks import check_chunk, chunk_count, chunk_span
from protocol.errors import Corrupt, Forbidden, Missing, Unavailable
from protocol.ids import BlobId, OfficeCode
from protocol.limits import CHUNK_BYTES, TREE_LEAVES_MAX
from protocol.merkle import HASH_BYTES
from protocol.messages import BlobAsk, Chunk, TreeAsk, TreeLeaves
from protocol.pacing import Pace
from protocol.ports import BlobStore, Clock, KeyValueStore, Reader
from protocol.possession import ChallengeAsk, Possession, possession

WAIT_SECONDS_MAX = 10.0  # for the pace; then the asker hears that it is not now


class Lending:
    """Answers to ``blob.read``, ``blob.tree`` and ``hold.challenge``.  ``suspect`` is told of a
    file whose bytes are not what its card says; ``is_asked`` says whether an office is just being
    challenged from here about a file, which it may not read here meanwhile."""

    def __init__(
        self,
        state: KeyValueStore,
        blobs: BlobStore,
        clock: Clock,
        roster: Callable[[], Roster],
        lends: Callable[[ItemView, str, Sequence[OfficeCode]], bool],
        pace: Pace,
        suspect: Callable[[BlobId], None],
        is_asked: Callable[[OfficeCode, BlobId], bool],
    ) -> None:
        self._state = state
        self._blobs = blobs
        self._clock = clock
        self._roster = roster
        self._lends = lends
        self._pace = pace
        self._suspect = suspect
        self._is_asked = is_asked

    async def on_read(self, peer: Peer, ask: BlobAsk) -> Chunk:
        size = self._size(peer, ask.blob)
        if any(self._is_asked(office, ask.blob) for office in peer.offices):
            raise Unavailable("blob.read", "no challenge to show this very file", "one is open")
        length = min(ask.length, CHUNK_BYTES)
        at = asyncio.get_running_loop().time()
        wait = self._pace.wait_s(length, at, self._clock.now())
        if wait > WAIT_SECONDS_MAX:
            raise Unavailable("blob.read", "room in the pace of this office", f"{wait:.0f} s")
        await asyncio.sleep(wait)
        return Chunk(size, await self._blobs.read(ask.blob, ask.offset, length))

    async def on_tree(self, peer: Peer, ask: TreeAsk) -> TreeLeaves:
        size = self._size(peer, ask.blob)
        leaves = await self._blobs.leaves(ask.blob)
        start = ask.start * HASH_BYTES
        return TreeLeaves(size, leaves[start : start + TREE_LEAVES_MAX * HASH_BYTES])

    async def on_challenge(self, peer: Peer, ask: ChallengeAsk) -> Possession:
        size = self._size(peer, ask.blob)
        leaves = await self._blobs.leaves(ask.blob)
        digests = []
        for number in ask.chunks:
            if number >= chunk_count(size):
                raise Missing(f"file {ask.blob.short}", f"{chunk_count(size)} chunks", number)
            offset, length = chunk_span(size, number)
            chunk = await self._blobs.read(ask.blob, offset, length)
            try:
                check_chunk(leaves, number, chunk)
            except Corrupt:
                self._suspect(ask.blob)  # what the challenger finds, its holder repairs
                raise
            digests.append(possession(ask.nonce, ask.blob, number, chunk))
        return Possession(tuple(digests))

    def _size(self, peer: Peer, blob: BlobId) -> int:
        """
        Raises:
            Forbidden: it is none of the peer's business, whether it is here or not: nobody shall
                learn from us who has a file.
            Missing: not here.
        """
        with self._state.read() as reader:
            allowed = self._may(reader, peer, blob)
        if not allowed:
            raise Forbidden(f"file {blob.short}", "a keeper of it", ", ".join(peer.offices))
        size = self._blobs.size(blob)
        if size is None:
            raise Missing(f"file {blob.short}", "a file that is stored here", "not here")
        return size

    def _may(self, reader: Reader, peer: Peer, blob: BlobId) -> bool:
        roster = self._roster()
        synonyms = synonym_table(reader, roster.genesis.province)
        shared = {epoch.blob for epoch in epochs(reader, roster)}
        if blob in shared or (synonyms is not None and synonyms.table == blob):
            return bool(peer.offices)
        place = room(reader, roster)
        return any(
            view.public
            or any(kind in keeps(roster, place, view, office) for office in peer.offices)
            or self._lends(view, kind, peer.offices)
            for view, kind in uses(reader, blob)
        )
