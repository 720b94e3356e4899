"""Catching up: fetching what longer notes of a log promise, from every peer that holds it.

A gap of at most a bundle is asked of whoever told the note, and is right if it leads to the signed
root.  For a longer one, or when that fails, the hash tiles come first, verified from the signed
root down, so it is known whether the log went on from where it ends here, and what each bundle must
hash to; then bundles, several at a time from several peers, each verified when it comes and stored
in order.  So what the rows hold is always a prefix of what the log has signed, and a crash costs
nothing but the bundles under way.

Bounds: BUNDLES_AHEAD bundles of one log in memory, few questions per peer, small commits, so that
neither the peers that serve nor the rest of this node wait long.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Final

from ledger import hash_rows, logbook
from ledger.checkpoint import Checkpoint, parse_checkpoint
from ledger.tile_tree import check_edge, check_tile, edge_of
from ledger.tiles import Tile, bundles_of, encode_bundle, tiles_of
from node.office.holders import Holders, PromisedTiles
from node.office.links import Links, Peer
from protocol.errors import (
    Corrupt,
    FangzhiError,
    Fatal,
    ForkError,
    Full,
    Missing,
    ProofError,
    Unavailable,
    WireError,
)
from protocol.ids import OfficeCode
from protocol.limits import CHUNK_BYTES, TILE_WIDTH
from protocol.merkle import HASH_BYTES, leaf_hash
from protocol.messages import Entries, EntriesAsk, TileAsk, TileHashes
from protocol.ports import KeyValueStore, Writer

BUNDLES_AHEAD: Final = 16
BUNDLES_PER_COMMIT_MAX: Final = 8
SHORT_GAPS_AT_ONCE: Final = 4


@dataclass(frozen=True, slots=True)
class _Promise:
    """A tree that the log has, by a verified ``note`` or (b"") by a closure, and the peer that told
    of it."""

    checkpoint: Checkpoint
    note: bytes
    peer: str


@dataclass(frozen=True, slots=True)
class _Bundle:
    """Entries from index ``start`` whose joined leaf hashes are those of a verified tile."""

    start: int
    entries: tuple[bytes, ...]
    leaves: bytes


class Catchup:
    """Makes the logs here as long as the longest note heard of them.

    Args:
        grown: told of every log that has new entries.
        reached: gets the note when all that it promises is stored.
        forked: gets the note, and its peer, when the tree it signs does not go on from ours, and
            the size up to which both are the same.
        goal: the tree at which the roster closed a log, if ours does not reach there: it comes
            first, so that whatever is stored beyond goes on from it.
        is_barred: of which logs nothing more may be stored.
        request_s: deadline of one question, seconds.
    """

    def __init__(
        self,
        store: KeyValueStore,
        province: OfficeCode,
        links: Links,
        grown: Callable[[OfficeCode], None],
        reached: Callable[[OfficeCode, bytes], Awaitable[None]],
        forked: Callable[[OfficeCode, bytes, str, int], Awaitable[object]],
        goal: Callable[[OfficeCode], Checkpoint | None],
        is_barred: Callable[[OfficeCode], bool],
        request_s: float,
    ) -> None:
        self._store = store
        self._province = province
        self._links = links
        self._grown = grown
        self._reached = reached
        self._forked = forked
        self._goal = goal
        self._is_barred = is_barred
        self._request_s = request_s
        self._longer: dict[OfficeCode, _Promise] = {}
        self._following: set[OfficeCode] = set()
        self._tasks: asyncio.TaskGroup | None = None
        self._short_turns = asyncio.Semaphore(SHORT_GAPS_AT_ONCE)
        self._long_turn = asyncio.Semaphore(1)
        self._promised: Mapping[OfficeCode, int] | None = None  # at the peer first compared with
        self._news = asyncio.Event()

    # what peers ask

    async def on_entries(self, _peer: Peer, ask: EntriesAsk) -> Entries:
        if not 0 < ask.end - ask.start <= TILE_WIDTH:
            raise WireError("log.entries", f"1 to {TILE_WIDTH} entries", repr(ask))
        with self._store.read() as reader:
            size = logbook.head(reader, ask.office).size
            if ask.end > size:
                raise Missing(f"log {ask.office}", f"entries up to {ask.end}", size)
            entries = logbook.sound_entries(reader, ask.office, ask.start, ask.end)
        return Entries(encode_bundle(_fitting(entries, CHUNK_BYTES)))

    async def on_tile(self, _peer: Peer, ask: TileAsk) -> TileHashes:
        if not (ask.level <= 7 and 0 < ask.width <= TILE_WIDTH):
            raise WireError("log.tile", f"levels 0 to 7, 1 to {TILE_WIDTH} hashes", repr(ask))
        with self._store.read() as reader:
            hashes = logbook.sound_tile(reader, ask.office, ask.level, ask.number, ask.width)
        return TileHashes(hashes)

    # what is to be fetched

    def longer(self, code: OfficeCode, size: int, note: bytes, peer: str) -> None:
        """``peer`` told a verified note of a tree of ``size``, longer than the log is here."""
        known = self._longer.get(code)
        if known is None or size > known.checkpoint.size:
            self._longer[code] = _Promise(parse_checkpoint(note), note, peer)
            self._start(code)

    def toward(self, code: OfficeCode, goal: Checkpoint, peer: str) -> None:
        """The roster closed the log at ``goal``, which ``peer`` has and we have not."""
        if code not in self._longer:
            self._longer[code] = _Promise(goal, b"", peer)
            self._start(code)

    def promised(self, sizes: Mapping[OfficeCode, int]) -> None:
        """A peer was compared with, and has that much; only the first one counts."""
        if self._promised is None:
            self._promised = sizes
            self._news.set()

    async def caught_up(self) -> None:
        """Wait until a peer was compared with, and everything that it has is here."""
        while self._promised is None or self._behind(self._promised):
            self._news.clear()
            await self._news.wait()

    async def run(self) -> None:
        """Fetch what longer notes promise, until cancelled.

        Raises:
            Full, Fatal: (in a group) the store's.
        """
        try:
            async with asyncio.TaskGroup() as self._tasks:
                for code in sorted(self._longer):
                    self._start(code)
                await asyncio.get_running_loop().create_future()
        finally:
            self._tasks = None

    def _behind(self, promised: Mapping[OfficeCode, int]) -> bool:
        with self._store.read() as reader:
            return any(logbook.head(reader, code).size < size for code, size in promised.items())

    def _start(self, code: OfficeCode) -> None:
        if self._tasks is not None and code not in self._following:
            self._following.add(code)
            self._tasks.create_task(self._follow(code))

    async def _follow(self, code: OfficeCode) -> None:
        try:
            while promise := self._longer.pop(code, None):
                try:
                    await self._fetch(code, promise)
                except (Full, Fatal):
                    raise
                except FangzhiError as error:  # comparing heads will bring it again
                    self._links.count(f"catchup.{error.code}")
                finally:
                    self._news.set()
        finally:
            self._following.discard(code)

    # fetching

    async def _fetch(self, code: OfficeCode, promise: _Promise) -> None:
        goal = self._goal(code)
        if goal is not None:
            await self._fetch_tree(code, _Promise(goal, b"", promise.peer))
        await self._fetch_tree(code, promise)
        if promise.note:
            await self._reached(code, promise.note)

    async def _fetch_tree(self, code: OfficeCode, promise: _Promise) -> None:
        checkpoint = promise.checkpoint
        holders = Holders(self._links, code, promise.peer, self._request_s)
        async with self._short_turns:
            done = await self._fetch_short(code, checkpoint, holders, promise.peer)
        if not done:
            async with self._turn(code):  # the roster waits for nobody
                await self._fetch_long(code, promise, checkpoint, holders)

    def _turn(self, code: OfficeCode) -> AbstractAsyncContextManager[object]:
        return nullcontext() if code == self._province else self._long_turn

    async def _fetch_short(
        self, code: OfficeCode, checkpoint: Checkpoint, holders: Holders, peer: str
    ) -> bool:
        """Whether the log is whole now; if not, the tiles will tell why."""
        start = self._size(code)
        if start < checkpoint.size <= start + TILE_WIDTH:
            try:
                entries = await holders.entries(start, checkpoint.size, peer)
                await self._keep(
                    code,
                    lambda writer: logbook.append_verified(
                        writer, code, start, entries, checkpoint
                    ),
                )
            except (WireError, Unavailable, ProofError):
                return False
        return self._size(code) >= checkpoint.size

    async def _fetch_long(
        self, code: OfficeCode, promise: _Promise, checkpoint: Checkpoint, holders: Holders
    ) -> None:
        tiles = PromisedTiles(holders, checkpoint.size, checkpoint.root)
        start, edge = self._edge_here(code)
        for tile, ours in edge.items():
            if not (await tiles.tile(tile.level, tile.number)).startswith(ours):
                agreed = await self._agreed(code, start, tiles)
                await self._forked(code, promise.note, promise.peer, agreed)
                raise ForkError(f"log {code}", "a tree that goes on from ours", "another one")
        before = next((ours for tile, ours in edge.items() if tile.level == 0), b"")
        window: deque[asyncio.Future[_Bundle]] = deque()
        try:
            while start < checkpoint.size:
                number = start // TILE_WIDTH
                end = min((number + 1) * TILE_WIDTH, checkpoint.size)
                over = (0, number) if end % TILE_WIDTH else (1, number // TILE_WIDTH)
                get = partial(_bundle, holders, start, end, before, await tiles.tile(*over))
                window.append(asyncio.ensure_future(holders.get(get)))
                if len(window) == BUNDLES_AHEAD:
                    await self._keep_ready(code, window)
                start, before = end, b""
            while window:
                await self._keep_ready(code, window)
        finally:
            for task in window:
                task.cancel()
            await asyncio.gather(*window, return_exceptions=True)

    async def _agreed(self, code: OfficeCode, size: int, tiles: PromisedTiles) -> int:
        """How many entries of the log here, of ``size``, the other tree begins with: down from the
        highest tile, always into the first hash that differs."""
        number = 0
        for level in reversed(range(-(-size.bit_length() // 8))):
            width = min((size >> 8 * level) - number * TILE_WIDTH, TILE_WIDTH)
            same = 0
            if width:
                theirs = await tiles.tile(level, number)
                with self._store.read() as reader:
                    ours = logbook.tile_hashes(reader, code, level, number, width)
                while (
                    same < len(ours)
                    and ours[same : same + HASH_BYTES] == (theirs[same : same + HASH_BYTES])
                ):
                    same += HASH_BYTES
            number = number * TILE_WIDTH + same // HASH_BYTES
        return number

    async def mend(self, code: OfficeCode) -> None:
        """Fetch again, from whoever has them, all rows of a log that do not lead to its head.

        Raises:
            Corrupt: the head itself is damaged.
            Unavailable: nobody who can be reached has what is missing.
        """
        with self._store.read() as reader:
            head = logbook.head(reader, code)
        holders = Holders(self._links, code, "", self._request_s)
        tiles = PromisedTiles(holders, head.size, head.root)
        for tile in reversed(list(tiles_of(head.size))):  # a tile is checked by the one above
            where = (code, tile.level, tile.number)
            if not self._is_sound(logbook.sound_tile, *where, tile.width):
                hashes = await tiles.tile(tile.level, tile.number)
                await self._store.write(partial(_put_tile, *where, hashes))
        for each in bundles_of(head.size):
            start, end = each.number * TILE_WIDTH, each.number * TILE_WIDTH + each.width
            if not self._is_sound(logbook.sound_entries, code, start, end):
                over = (0, each.number) if end % TILE_WIDTH else (1, each.number // TILE_WIDTH)
                get = partial(_bundle, holders, start, end, b"", await tiles.tile(*over))
                bundle = await holders.get(get)
                await self._store.write(partial(_put_entries, code, start, bundle.entries))
            await asyncio.sleep(0)

    def _is_sound(self, look: Callable[..., object], *where: object) -> bool:
        try:
            with self._store.read() as reader:
                look(reader, *where)
        except (Corrupt, Missing):
            return False
        return True

    def _edge_here(self, code: OfficeCode) -> tuple[int, dict[Tile, bytes]]:
        """The size of the log here and its partial tiles.

        Raises:
            Corrupt: they do not give the root of the head; that is nobody's fault but the disk's.
        """
        with self._store.read() as reader:
            head = logbook.head(reader, code)
            edge = {
                tile: logbook.tile_hashes(reader, code, tile.level, tile.number, tile.width)
                for tile in edge_of(head.size)
            }
        try:
            by_level = {tile.level: hashes for tile, hashes in edge.items()}
            check_edge(head.size, head.root, by_level)
        except ProofError as error:
            raise Corrupt(f"log {code}, {error.where}", error.expected, error.got) from error
        return head.size, edge

    async def _keep_ready(self, code: OfficeCode, window: deque[asyncio.Future[_Bundle]]) -> None:
        """Store the first bundle of the window, and those after it that are there already."""
        bundles = [await window.popleft()]
        while window and window[0].done() and len(bundles) < BUNDLES_PER_COMMIT_MAX:
            bundles.append(window.popleft().result())
        entries = [entry for bundle in bundles for entry in bundle.entries]
        leaves = b"".join(bundle.leaves for bundle in bundles)

        def job(writer: Writer) -> None:
            before = logbook.head_at(writer, code, bundles[0].start)
            logbook.append_hashed(writer, code, before, entries, leaves)

        await self._keep(code, job)

    async def _keep(self, code: OfficeCode, job: Callable[[Writer], object]) -> None:
        if self._is_barred(code):
            raise ForkError(f"log {code}", "one history", "two signed ones")
        await self._store.write(job)
        self._grown(code)

    def _size(self, code: OfficeCode) -> int:
        with self._store.read() as reader:
            return logbook.head(reader, code).size


async def _bundle(
    holders: Holders, start: int, end: int, before: bytes, above: bytes, peer: str
) -> _Bundle:
    """Entries [start, end) of one bundle, verified: ``before`` are the leaf hashes of the bundle
    that stand before them, ``above`` is the tile over the bundle or, when the log ends within it,
    the bundle's own tile."""
    entries = await holders.entries(start, end, peer)
    leaves = b"".join([leaf_hash(entry) for entry in entries])
    number = start // TILE_WIDTH
    if end % TILE_WIDTH == 0:
        check_tile(before + leaves, 0, number, above)
    elif before + leaves != above:
        raise ProofError(f"bundle {number}", "the leaf hashes of its tile", "others")
    return _Bundle(start, entries, leaves)


def _put_tile(code: OfficeCode, level: int, number: int, hashes: bytes, writer: Writer) -> None:
    hash_rows.put_tile(writer, code, level, number, hashes)


def _put_entries(code: OfficeCode, start: int, entries: tuple[bytes, ...], writer: Writer) -> None:
    logbook.put_entries(writer, code, start, entries)


def _fitting(entries: tuple[bytes, ...], bytes_max: int) -> tuple[bytes, ...]:
    total = 0
    for count, entry in enumerate(entries):
        total += len(entry) + 2
        if total > bytes_max and count:
            return entries[:count]
    return entries
