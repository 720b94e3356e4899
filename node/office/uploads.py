"""The files of open reports on their way in: each one resumable, byte after byte.

A file's arrival survives cuts of the line and restarts of either side; it becomes a blob when its
last byte is here.  Of two who send the same file the later one goes on and the earlier one stops:
a line that died unseen must not keep its clerk out.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from hashlib import new
from typing import Final

from node.hands.turns import Turns
from node.hands.world import World
from node.office.catalog import BLOB
from node.office.drafts import Draft, Drafts
from protocol.errors import DecodeError, Missing, ProofError, Rejected
from protocol.ids import BlobId, UnixMs
from protocol.limits import CHECKED_BYTES_MAX, UPLOAD_IDLE_SECONDS_MAX, KiB
from protocol.ports import Arrival

CHECKSUMS: Final = ("sha256", "sha1")  # of a piece; the tus protocol wants sha1 as well
TOUCH_MS: Final = 10 * 60 * 1000  # how exactly it is known when a report was heard of last
SETTLE_SECONDS: Final = 0.25
SETTLE_LOOKS_MAX: Final = 20
PIECE_BYTES: Final = 256 * KiB  # a part of a chunk: what a cut may cost
_PREFIX: Final = "report-"


@dataclass(frozen=True, slots=True)
class Upload:
    """How far one file of a report is."""

    path: str
    size: int
    offset: int  # bytes that are here
    expires: UnixMs  # then the report is forgotten, if nothing more comes


@dataclass(frozen=True, slots=True)
class Checksum:
    algorithm: str  # one of CHECKSUMS
    digest: bytes


class Uploads:
    def __init__(
        self, world: World, drafts: Drafts, allow: Callable[[Draft], object], hours: int
    ) -> None:
        """``allow`` raises Forbidden when who began a report may hand in no more; it is asked
        before every piece of a chunk.  ``hours`` is how long a report waits for its next byte."""
        self._world = world
        self._drafts = drafts
        self._allow = allow
        self._hours = hours
        self._opening = asyncio.Lock()
        self._arrivals: dict[tuple[str, int], Arrival] = {}
        self._turns = Turns[tuple[str, int]]()
        self._senders: dict[tuple[str, int], object] = {}

    async def status(self, report: str, number: int) -> Upload:
        """How far a file is.  While bytes of a line that broke still come out of the system's
        buffers, it waits a little, or the clerk would send them twice.

        Raises:
            Missing: no such report or file.
            Forbidden: who began it may hand in no more.
        """
        draft = self._drafts.load(report)
        self._allow(draft)
        draft.file(number)
        for _ in range(SETTLE_LOOKS_MAX):
            if (report, number) not in self._senders:
                break
            before = await self._offset(draft, number)
            await asyncio.sleep(SETTLE_SECONDS)
            if await self._offset(draft, number) == before:
                break
        return await self._status(draft, number)

    async def _status(self, draft: Draft, number: int) -> Upload:
        file = draft.file(number)
        return Upload(file.path, file.size, await self._offset(draft, number), self.expires(draft))

    def expires(self, draft: Draft) -> UnixMs:
        return UnixMs(self._drafts.last_heard(draft) + self._hours * 3_600_000)

    async def offsets(self, draft: Draft) -> list[int]:
        """Bytes that are here of every file."""
        offsets = [0] * len(draft.files)
        for number in self._drafts.arrived(draft.report):
            offsets[number] = await self._offset(draft, number)
        return offsets

    async def receive(
        self,
        report: str,
        number: int,
        offset: int,
        body: AsyncIterator[bytes],
        checksum: Checksum | None = None,
    ) -> Upload:
        """Take ``body`` as what follows the first ``offset`` bytes of a file; what came of a
        body that breaks off is kept.

        Raises:
            Missing: no such report or file, or it was forgotten on the way.
            Forbidden: who began it may hand in no more.
            Rejected: the file stands at another offset, or somebody sends it anew.
            DecodeError: more bytes than were announced, or too many for a checksum.
            ProofError: the checksum is another; nothing of the body was kept.
            Full: no room; what came before is kept.
        """
        draft = self._drafts.load(report)
        self._allow(draft)
        file = draft.file(number)
        key, sender = (report, number), object()
        self._senders[key] = sender
        try:
            at = await self._offset(draft, number)
            if offset != at:
                where = f"file {file.path[:80]}"
                raise Rejected(where, f"what follows byte {at}", f"offset {offset}")
            if file.size > at:
                await self._touch(draft, number)
            if checksum is not None:
                body = _once(await _checked(body, checksum, file.size - at))
            await self._take(draft, number, at, body, sender)
            if await self._offset(draft, number) == file.size:
                await self.finish(draft, number)
        finally:
            if self._senders.get(key) is sender:
                del self._senders[key]
        return await self._status(draft, number)

    async def _touch(self, draft: Draft, number: int) -> None:
        now, begun = self._world.clock.now(), self._drafts.came(draft.report, number) is not None
        if not begun or now - self._drafts.last_heard(draft) > TOUCH_MS:
            await self._drafts.touch(draft.report, number, now)

    async def finish(self, draft: Draft, number: int) -> BlobId | None:
        """The blob of a file of which every byte is here; None while some are missing."""
        key, file = (draft.report, number), draft.file(number)
        async with self._turns.of(key):
            if came := self._drafts.came(draft.report, number):
                return BlobId(came)
            arrival = await self._arrival(draft, number)
            if arrival.end < file.size:
                return None
            blob = await arrival.commit()
            self._arrivals.pop(key, None)
            try:
                await self._drafts.set_blob(draft.report, number, blob)
            except Missing:  # forgotten meanwhile
                await self._delete_unused([blob])
                raise
        return blob

    async def discard(self, report: str, number: int) -> None:
        """Forget what came of a file."""
        draft = self._drafts.load(report)
        draft.file(number)
        async with self._turns.of((report, number)):
            came = self._drafts.came(report, number)
            await self._drafts.set_blob(report, number, None)
            await self._discard(draft, number, came)
        if came:
            await self._delete_unused([BlobId(came)])

    async def discard_all(self, draft: Draft, came: Mapping[int, bytes]) -> None:
        """Forget ``came`` (see :meth:`Drafts.arrived`) of a report that is closed already."""
        for number in came:
            async with self._turns.of((draft.report, number)):
                await self._discard(draft, number, came[number])
        await self._delete_unused([BlobId(raw) for raw in came.values() if raw])

    async def _discard(self, draft: Draft, number: int, came: bytes | None) -> None:
        self._senders.pop((draft.report, number), None)
        if came == b"":
            await (await self._arrival(draft, number)).discard()
        self._arrivals.pop((draft.report, number), None)

    async def _delete_unused(self, blobs: list[BlobId]) -> None:
        for blob in sorted(set(blobs) - self._drafts.wanted()):
            with self._world.state.read() as reader:
                used = next(reader.scan(BLOB, blob.raw), None) is not None
            if not used:
                await self._world.blobs.delete(blob)

    async def tidy(self) -> None:
        """Drop what a crash left of reports that are open no more."""
        names = {
            _name(draft.report, number)
            for draft in self._drafts.every()
            for number in self._drafts.arrived(draft.report)
        }
        await self._world.blobs.forget_arrivals(
            lambda name: not name.startswith(_PREFIX) or name in names
        )

    async def _take(
        self, draft: Draft, number: int, at: int, body: AsyncIterator[bytes], sender: object
    ) -> None:
        gathered, left = bytearray(), draft.file(number).size - at
        try:
            async for piece in _lively(body):
                left -= len(piece)
                if left < 0:
                    size = draft.file(number).size
                    raise DecodeError("file", f"{size} bytes as announced", "more")
                gathered += piece
                while 0 < (room := await self._room(draft, number, sender)) <= len(gathered):
                    await self._write(draft, number, gathered[:room], sender)
                    del gathered[:room]
        finally:
            # Where the line broke, the clerk need not send this again.
            if gathered and self._senders.get((draft.report, number)) is sender:
                await self._write(draft, number, gathered, sender)

    async def _room(self, draft: Draft, number: int, sender: object) -> int:
        """How much is worth a write now: up to the next end of a piece, or of the file; 0 behind
        that."""
        self._expect_wanted(draft, number, sender)
        arrival = await self._arrival(draft, number)
        return min(PIECE_BYTES - arrival.end % PIECE_BYTES, arrival.size - arrival.end)

    async def _write(self, draft: Draft, number: int, data: bytearray, sender: object) -> None:
        async with self._turns.of((draft.report, number)):
            self._expect_wanted(draft, number, sender)
            arrival = await self._arrival(draft, number)
            await arrival.write(arrival.end, bytes(data))

    def _expect_wanted(self, draft: Draft, number: int, sender: object) -> None:
        self._drafts.expect_open(draft.report)
        if self._senders.get((draft.report, number)) is not sender:
            raise Rejected("file", "one who sends it", "another request sends it anew")
        self._allow(draft)

    async def _offset(self, draft: Draft, number: int) -> int:
        came = self._drafts.came(draft.report, number)
        if came is None:
            return 0
        if came:
            return draft.files[number].size
        return (await self._arrival(draft, number)).end

    async def _arrival(self, draft: Draft, number: int) -> Arrival:
        key = (draft.report, number)
        async with self._opening:
            if key not in self._arrivals:
                name, size = _name(*key), draft.files[number].size
                self._arrivals[key] = await self._world.blobs.arrive(name, size)
            return self._arrivals[key]


def _name(report: str, number: int) -> str:
    return f"{_PREFIX}{report}-{number}"


async def _lively(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """``body``, which must not be silent for long."""
    while True:
        try:
            async with asyncio.timeout(UPLOAD_IDLE_SECONDS_MAX):
                piece = await anext(body)
        except StopAsyncIteration:
            return
        except TimeoutError as error:
            expected = f"bytes within {UPLOAD_IDLE_SECONDS_MAX} s"
            raise DecodeError("file", expected, "silence (send on from what is here)") from error
        if piece:
            yield piece


async def _checked(body: AsyncIterator[bytes], checksum: Checksum, left: int) -> bytes:
    """The whole body, which must be what its checksum says."""
    data, bytes_max = bytearray(), min(left, CHECKED_BYTES_MAX)
    async for piece in _lively(body):
        data += piece
        if len(data) > bytes_max:
            expected = f"at most {bytes_max} bytes with a checksum"
            raise DecodeError("file", expected, "more")
    if new(checksum.algorithm, data, usedforsecurity=False).digest() != checksum.digest:
        raise ProofError("Upload-Checksum", f"the {checksum.algorithm} of the body", "another")
    return bytes(data)


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
