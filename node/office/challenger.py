"""Asks other holders to show that they have what their logs say (抽验).

Now and then a random file of which a copy is here too is drawn, and a random holder of it, which
must answer for random chunks under a fresh nonce (:mod:`protocol.possession`).  The answer is
compared with what the copy here gives, after that was checked against its tree.  Outcomes of a day
become one ``hold.check`` in the log of the office that asked; a wrong answer is logged at once,
with a salted blob that says what was asked.  A holder that cannot be reached is not accused: what
was not answered is counted as that.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate
from typing import Final

import structlog

from ledger.custody import HoldCheck
from ledger.keeping import is_kept_sealed
from ledger.roster import Roster
from ledger.views import ItemView
from node.hands.keys import OfficeKeys
from node.hands.world import World
from node.office.catalog import TALLIES, find, put_bytes, read_whole, record
from node.office.links import Links
from node.office.sequencer import Sequencer
from protocol.chunks import check_chunk, chunk_count, chunk_span
from protocol.errors import Corrupt, FangzhiError, Missing, Unavailable
from protocol.ids import BlobId, OfficeCode
from protocol.limits import CHALLENGE_CHUNKS_MAX, SEAL_BYTES_MAX
from protocol.messages import RemoteFault
from protocol.ports import BlobStore, Reader, Writer
from protocol.possession import NONCE_BYTES, ChallengeAsk, Possession, drawn_chunks, possession
from protocol.records import encode_json
from protocol.sealing import parse_seal
from protocol.shapes import pack, unpack

CHECK_FORMAT: Final = "fangzhi/check/1"
DAY_S: Final = 86_400
DRAWS: Final = 20  # of items, until one is held both here and elsewhere
ANSWER_SECONDS: Final = 10.0  # a holder that has to bring it over a common line takes longer
_FAILING: Final = frozenset({Missing.code, Corrupt.code})  # what a holder may not say

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Tally:
    """How a holder answered one office on one day; ``wrong`` says what it failed at."""

    day: int
    asked: int = 0
    passed: int = 0
    failed: int = 0
    wrong: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Question:
    """Chunks of a file of an item, of which ``asker`` (here) and ``holder`` have a copy."""

    asker: OfficeCode
    holder: OfficeCode
    item: str
    blob: BlobId
    chunks: tuple[int, ...]


class Challenger:
    """Challenges for the offices hosted here.  ``blobs`` has the sealed copies of own files beside
    what is stored; ``suspect`` is told of a damaged copy of our own."""

    def __init__(
        self,
        world: World,
        blobs: BlobStore,
        keys: Mapping[OfficeCode, OfficeKeys],
        links: Links,
        sequencer: Sequencer,
        roster: Callable[[], Roster],
        suspect: Callable[[BlobId], None],
        checks_per_day: int,
    ) -> None:
        self._world = world
        self._blobs = blobs
        self._keys = keys
        self._links = links
        self._sequencer = sequencer
        self._roster = roster
        self._suspect = suspect
        self._pause_s = DAY_S / checks_per_day
        self._asking: Question | None = None

    def is_asked(self, office: OfficeCode, blob: BlobId) -> bool:
        """Whether this holder is just being challenged about this file."""
        asking = self._asking
        return asking is not None and (asking.holder, asking.blob) == (office, blob)

    async def run(self) -> None:
        while True:
            await asyncio.sleep(self._pause_s * (0.5 + self._draw(1 << 16) / (1 << 16)))
            try:
                question = await self.question()
                if question is not None:
                    await self.ask(question)
                await self.report()
            except FangzhiError as error:
                self._links.count(f"challenge.{error.code}")

    async def question(self) -> Question | None:
        """A random one; None when little is held both here and elsewhere."""
        for _ in range(DRAWS):
            with self._world.state.read() as reader:
                view = self._random_item(reader)
            found = None if view is None else await self._question_of(view)
            if found is not None:
                return found
        return None

    async def ask(self, question: Question) -> str:
        """Put a question: ``passed``, ``failed`` or ``silent``; the outcome is kept for the
        report."""
        nonce = self._world.rng.random_bytes(NONCE_BYTES)
        expected = await self._expected(question, nonce)
        if expected is None:
            return "silent"
        ask, outcome = ChallengeAsk(question.blob, nonce, question.chunks), "failed"
        self._asking = question
        try:
            answer = await self._links.ask(question.holder, "hold.challenge", ask, ANSWER_SECONDS)
            assert isinstance(answer, Possession)
            if answer.digests == expected:
                outcome = "passed"
        except RemoteFault as fault:
            outcome = "failed" if fault.fault.code in _FAILING else "silent"
        except Unavailable:
            outcome = "silent"
        finally:
            self._asking = None
        self._links.count(f"challenge.{outcome}")
        await self._note(question, outcome)
        return outcome

    async def report(self) -> None:
        """Log the tallies of days that are over, and those with a wrong answer."""
        today = self._today()
        with self._world.state.read() as reader:
            rows = [(key, _tally(row)) for key, row in reader.scan(TALLIES)]
        for key, tally in rows:
            if tally.day == today and not tally.failed:
                continue
            asker, holder = OfficeCode(key[:6].decode()), key[6:12].decode()
            if asker in self._keys:
                detail = await self._detail(tally) if tally.wrong else None
                counts = (tally.asked, tally.passed, tally.failed)
                check = HoldCheck(holder, tally.day, *counts, detail)
                await self._sequencer.append(asker, (check,))
            # After the append: a crash between them tells one tally twice, and loses none.
            await self._world.state.write(partial(_forget, key))

    def _random_item(self, reader: Reader) -> ItemView | None:
        """An item drawn from that of a random office, by where a random id would stand."""
        offices = sorted(self._roster().members)
        if not offices:
            return None
        office = offices[self._draw(len(offices))]
        start = f"{office}-{self._world.rng.random_bytes(8).hex()}".encode()
        for begin in (start, b""):
            for key, _ in reader.scan("item", office.encode(), begin):
                return find(reader, key.decode())
        return None

    async def _question_of(self, view: ItemView) -> Question | None:
        holders = view.sealed_holders if is_kept_sealed(view) else view.holders
        mine = [c for c in sorted(self._keys) if c in holders or c in view.holders]
        others = [c for c in holders if c not in self._keys and self._roster().is_active(c)]
        if not mine or not others:
            return None
        files = [(blob, size) for blob, size in await self._files(view) if size]
        if not files:
            return None
        blob, size = self._drawn_file(files)
        drawn = drawn_chunks(
            self._world.rng.random_bytes(8 * CHALLENGE_CHUNKS_MAX),
            CHALLENGE_CHUNKS_MAX,
            chunk_count(size),
        )
        holder = others[self._draw(len(others))]
        return Question(mine[0], holder, view.item, blob, drawn)

    def _drawn_file(self, files: list[tuple[BlobId, int]]) -> tuple[BlobId, int]:
        """One of them, each in proportion to its chunks."""
        ends = list(accumulate(chunk_count(size) for _, size in files))
        return files[bisect_right(ends, self._draw(ends[-1]))]

    async def _files(self, view: ItemView) -> list[tuple[BlobId, int]]:
        """(file, bytes) of an item as its holders have it; none when its record is not here."""
        if is_kept_sealed(view):
            if view.seal is None or self._world.blobs.size(view.seal) is None:
                return []
            sealed = parse_seal(await read_whole(self._world.blobs, view.seal, SEAL_BYTES_MAX))
            return [(file.sealed, file.size) for file in sealed]
        with self._world.state.read() as reader:
            manifest = record(reader, view.manifest)
        return [(file.sha256, file.size) for file in manifest.files] if manifest else []

    async def _expected(self, question: Question, nonce: bytes) -> tuple[bytes, ...] | None:
        """The right answer, from the copy here; None when that is not sound."""
        blobs, blob = self._blobs, question.blob
        try:
            size, leaves = blobs.size(blob) or 0, await blobs.leaves(blob)
            digests = []
            for number in question.chunks:
                chunk = await blobs.read(blob, *chunk_span(size, number))
                check_chunk(leaves, number, chunk)
                digests.append(possession(nonce, blob, number, chunk))
        except Missing:
            return None
        except Corrupt:
            self._suspect(blob)
            return None
        return tuple(digests)

    async def _note(self, question: Question, outcome: str) -> None:
        key, today = f"{question.asker}{question.holder}".encode(), self._today()
        with self._world.state.read() as reader:
            row = reader.get(TALLIES, key)
        tally = _tally(row) if row is not None else Tally(today)
        if tally.day != today:
            await self.report()
            tally = Tally(today)
        wrong = (f"{question.item} {question.blob.hex} {' '.join(map(str, question.chunks))}",)
        tally = replace(
            tally,
            asked=tally.asked + 1,
            passed=tally.passed + (outcome == "passed"),
            failed=tally.failed + (outcome == "failed"),
            wrong=tally.wrong + (wrong if outcome == "failed" else ()),
        )
        if outcome == "failed":
            log.warning("challenge failed", holder=question.holder, item=question.item)
        await self._world.state.write(lambda writer: writer.put(TALLIES, key, pack(tally)))

    async def _detail(self, tally: Tally) -> BlobId:
        salt = self._world.rng.random_bytes(16).hex()
        said = {"format": CHECK_FORMAT, "salt": salt, "wrong": list(tally.wrong)}
        return await put_bytes(self._world.blobs, encode_json(said))

    def _draw(self, below: int) -> int:
        return int.from_bytes(self._world.rng.random_bytes(8), "big") % below

    def _today(self) -> int:
        return self._world.clock.now() // 1000 // DAY_S


def _forget(key: bytes, writer: Writer) -> None:
    writer.delete(TALLIES, key)


def _tally(row: bytes) -> Tally:
    return unpack(Tally, row, bytes_max=64 * 1024, where="tally of challenges")
