"""Whoever has a log helps: one question at a time to one of the peers, and what comes is verified.

Nobody knows beforehand which peers hold a log, so all are asked; who has not got it says so and is
asked no more.  Neither is who is gone, slow, or wrong.  This holds for one round of catching up;
the next one begins with everybody again, for damage is repaired and links come back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from ledger.tile_tree import check_edge, check_tile, edge_of
from ledger.tiles import split_bundle
from node.office.links import Links
from protocol.errors import DecodeError, ProofError, Unavailable
from protocol.ids import OfficeCode, RootHash
from protocol.limits import TILE_WIDTH
from protocol.merkle import HASH_BYTES
from protocol.messages import EntriesAsk, RemoteFault, TileAsk

T = TypeVar("T")
ASKED_PER_PEER_MAX: Final = 4  # so that a peer has room for everybody else's questions


class Holders:
    """The peers that may hold the log of ``code``; ``first`` is preferred while it is as free."""

    def __init__(self, links: Links, code: OfficeCode, first: str, seconds: float) -> None:
        self._links, self._code, self._seconds = links, code, seconds
        known = [peer.key for peer in links.peers() if peer.offices]  # guests come to learn
        keys = sorted(known, key=lambda key: key != first)
        self._asked = dict.fromkeys(keys, 0)  # peer -> questions that wait for its answer
        self._changed = asyncio.Condition()

    async def get(self, ask: Callable[[str], Awaitable[T]]) -> T:
        """What ``ask(peer)`` returns for the first peer for whom it raises nothing.

        Raises:
            Unavailable: nobody is left who could have it.
        """
        while True:
            peer = await self._free_peer()
            try:
                return await ask(peer)
            except (Unavailable, RemoteFault):
                self._asked.pop(peer, None)  # gone, slow, or it has not got it
            except (ProofError, DecodeError) as error:
                self._links.count(f"catchup.{error.code}")
                self._asked.pop(peer, None)
            finally:
                async with self._changed:
                    if peer in self._asked:
                        self._asked[peer] -= 1
                    self._changed.notify_all()

    async def entries(self, start: int, end: int, peer: str) -> tuple[bytes, ...]:
        """Entries [start, end), at most 256, of one peer; not verified.

        Raises:
            Unavailable, RemoteFault, DecodeError: they did not come.
        """
        entries: tuple[bytes, ...] = ()
        while len(entries) < end - start:
            ask = EntriesAsk(self._code, start + len(entries), end)
            answer = await self._links.ask_peer(peer, "log.entries", ask, self._seconds)
            part = split_bundle(answer.data)
            if not 0 < len(part) <= end - ask.start:
                raise DecodeError("log.entries", f"1 to {end - ask.start} entries", len(part))
            entries += part
        return entries

    async def tile(self, level: int, number: int, width: int, peer: str) -> bytes:
        """The first hashes of a tile, from one peer; not verified.

        Raises:
            Unavailable, RemoteFault, DecodeError: they did not come.
        """
        ask = TileAsk(self._code, level, number, width)
        answer = await self._links.ask_peer(peer, "log.tile", ask, self._seconds)
        hashes: bytes = answer.hashes
        if len(hashes) != width * HASH_BYTES:
            raise DecodeError("log.tile", f"{width} hashes", f"{len(hashes)} bytes")
        return hashes

    async def _free_peer(self) -> str:
        """The peer with the fewest questions, one more now."""
        async with self._changed:
            while self._asked:
                peer = min(self._asked, key=self._asked.__getitem__)
                if self._asked[peer] < ASKED_PER_PEER_MAX:
                    self._asked[peer] += 1
                    return peer
                await self._changed.wait()
        raise Unavailable(f"log {self._code}", "a peer that holds it", "none")


class PromisedTiles:
    """The tiles of the tree with this root: fetched when asked for, verified from the top
    down.  One full tile per level is kept, so go through a level in order."""

    def __init__(self, holders: Holders, size: int, root: RootHash) -> None:
        self._holders, self._size, self._root = holders, size, root
        self._edge: dict[int, bytes] = {}
        self._kept: dict[int, tuple[int, bytes]] = {}  # level -> number and hashes of a full tile

    async def tile(self, level: int, number: int) -> bytes:
        """All hashes that the tile has in this tree; none beyond its end.

        Raises:
            Unavailable: nobody is left who could have it.
        """
        if not self._edge:
            self._edge = await self._holders.get(self._get_edge)
        if number == self._size >> 8 * (level + 1):
            return self._edge.get(level, b"")
        kept = self._kept.get(level)
        if kept is None or kept[0] != number:
            above = await self.tile(level + 1, number // TILE_WIDTH)

            async def get(peer: str) -> bytes:
                hashes = await self._holders.tile(level, number, TILE_WIDTH, peer)
                check_tile(hashes, level, number, above)
                return hashes

            kept = self._kept[level] = (number, await self._holders.get(get))
        return kept[1]

    async def _get_edge(self, peer: str) -> dict[int, bytes]:
        edge = {
            tile.level: await self._holders.tile(tile.level, tile.number, tile.width, peer)
            for tile in edge_of(self._size)
        }
        check_edge(self._size, self._root, edge)
        return edge
