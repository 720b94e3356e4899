"""Catching up: fetching what longer notes of a log promise.

Every part is verified against the signed checkpoint before it is stored, so what the rows hold is
always a prefix of what the log has signed, and a crash costs nothing but the part under way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from ledger import logbook
from ledger.checkpoint import Checkpoint, parse_checkpoint
from node.office.links import Links, Peer
from protocol.errors import FangzhiError, ProofError, WireError
from protocol.ids import OfficeCode
from protocol.limits import CHUNK_BYTES
from protocol.messages import Entries, EntriesAsk
from protocol.ports import KeyValueStore, Writer

ENTRIES_ASKED_MAX = 256


class Catchup:
    """Makes the logs here as long as the longest note heard of them.

    ``grown`` is told of every log that has new entries; ``reached`` gets the note when all that it
    promises is stored.
    """

    def __init__(
        self,
        store: KeyValueStore,
        province: OfficeCode,
        links: Links,
        grown: Callable[[OfficeCode], None],
        reached: Callable[[OfficeCode, bytes], Awaitable[None]],
        request_s: float,
    ) -> None:
        self._store = store
        self._province = province
        self._links = links
        self._grown = grown
        self._reached = reached
        self._request_s = request_s
        self._longer: dict[OfficeCode, tuple[int, bytes, str]] = {}  # size, note, peer
        self._wake = asyncio.Event()
        self._promised: Mapping[OfficeCode, int] | None = None  # at the peer first compared with
        self._news = asyncio.Event()

    async def on_entries(self, _peer: Peer, ask: EntriesAsk) -> Entries:
        with self._store.read() as reader:
            size = logbook.head(reader, ask.office).size
            if not ask.start <= ask.end <= ask.size <= size:
                raise WireError("log.entries", f"start ≤ end ≤ size ≤ {size}", repr(ask))
            end = min(ask.end, ask.start + ENTRIES_ASKED_MAX)
            entries = logbook.entries(reader, ask.office, ask.start, end)
            entries = _fitting(entries, CHUNK_BYTES)
            end = ask.start + len(entries)
            proof = logbook.prove_consistency(reader, ask.office, end, ask.size)
        return Entries(entries, tuple(proof))

    def longer(self, code: OfficeCode, size: int, note: bytes, peer: str) -> None:
        """``peer`` told a verified note of a tree of ``size``, longer than the log is here."""
        if size > self._longer.get(code, (0, b"", ""))[0]:
            self._longer[code] = (size, note, peer)
            self._wake.set()

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
        """Fetch what longer notes promise, one log after the other."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._longer:
                code = min(self._longer, key=lambda c: (c != self._province, c))
                _, note, peer = self._longer.pop(code)
                try:
                    await self._fetch(code, note, peer)
                except (ProofError, WireError) as error:
                    self._links.count(error.code)
                except FangzhiError:
                    pass  # gone, or busy: comparing heads will bring it again
                finally:
                    self._news.set()

    async def _fetch(self, code: OfficeCode, note: bytes, peer: str) -> None:
        checkpoint = parse_checkpoint(note)
        while True:
            with self._store.read() as reader:
                start = logbook.head(reader, code).size
            if start >= checkpoint.size:
                break
            ask = EntriesAsk(code, start, checkpoint.size, checkpoint.size)
            answer = await self._links.ask_peer(peer, "log.entries", ask, self._request_s)
            assert isinstance(answer, Entries)
            if not answer.entries:
                raise WireError(f"log.entries {code}", "at least one entry", "none")
            await self._store.write(partial(_extend, code, start, answer, checkpoint))
            self._grown(code)
        await self._reached(code, note)

    def _behind(self, promised: Mapping[OfficeCode, int]) -> bool:
        with self._store.read() as reader:
            return any(logbook.head(reader, code).size < size for code, size in promised.items())


def _extend(
    code: OfficeCode, start: int, got: Entries, checkpoint: Checkpoint, writer: Writer
) -> None:
    logbook.append_verified(writer, code, start, got.entries, checkpoint, proof=got.proof)


def _fitting(entries: tuple[bytes, ...], bytes_max: int) -> tuple[bytes, ...]:
    total = 0
    for count, entry in enumerate(entries):
        total += len(entry) + 5
        if total > bytes_max and count:
            return entries[:count]
    return entries
