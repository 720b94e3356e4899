"""Disks that forget: what was not yet durable is lost in a crash.

A :class:`SimDisk` outlives the process that uses it.  Stores are opened on it;
:meth:`SimDisk.crash` kills every open one (its callers get Unavailable, as nobody would answer them
in a dead process) and the next process opens new ones on what is left.

As on the real disk, readers see only what is durable.  A change becomes durable after one drawn
delay and is acknowledged after another, so a crash also leaves work that was done but never
reported.  Segments show at once and may be lost, because their loss is allowed.

Worse disks: one that is :attr:`~SimDisk.full`, one whose syncs fail, one that promises syncs and
does not keep them (:meth:`~SimDisk.lie`), one that rots, and one that is replaced by an older copy
of itself or by nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, TypeVar

from node.hands.storage.file_segments import check_segment_name
from node.hands.storage.memory_kv import Dump, MemoryStore
from protocol.errors import Fatal, Full, Missing, Unavailable
from protocol.ids import BlobId
from protocol.ports import Reader, Writer
from simulations.blobs import Blobs, SimBlobStore
from simulations.clock import draws
from simulations.sync import REPORT_SECONDS, SYNC_SECONDS, Life, answer

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Backup:
    """What was durable on a disk at one moment."""

    tables: Mapping[str, Dump]
    blobs: Blobs
    segments: Mapping[str, bytes]


class SimDisk:
    """The disk of one machine.  ``full``: nothing more fits.  ``broken``: every sync fails, and the
    process that asked for one must end."""

    def __init__(self, seed: int, name: str, capacity_bytes: int = 2**40) -> None:
        """``name`` tells the delays of this disk from those of others of the same seed.
        ``capacity_bytes`` bounds the blobs; a put that does not fit gets Full."""
        self.capacity_bytes = capacity_bytes
        self.full = self.broken = False
        self._promised: Backup | None = None  # what a lying disk really has
        self._random = draws(seed, f"disk {name}")
        self._tables: dict[str, MemoryStore] = {}
        self._blobs = Blobs()
        self._segments: dict[str, bytes] = {}
        self._open: list[Life] = []

    def key_value(self, name: str, tables: Iterable[str]) -> SimKeyValueStore:
        if name not in self._tables:
            self._tables[name] = MemoryStore(tables)
        return SimKeyValueStore(self._tables[name], self._life())

    def durable(self, name: str) -> MemoryStore | None:
        """A key-value store as it stands on the disk, whoever has it open."""
        return self._tables.get(name)

    def blobs(self) -> SimBlobStore:
        return SimBlobStore(self._blobs, self._life(), self.capacity_bytes)

    def keeps(self, blob: BlobId) -> bool:
        """Whether a blob is durable here."""
        return blob in self._blobs.content

    def segments(self) -> SimSegmentStore:
        return SimSegmentStore(self._segments, self._life())

    def crash(self) -> bool:
        """Lose what is not durable; stores opened so far are dead.  Whether the disk has forgotten
        what it had called durable."""
        for life in self._open:
            life.end()
        self._open.clear()
        if self._promised is None:
            return False
        promised = self._promised
        self.replace(promised)
        self._promised = promised
        return True

    def lie(self) -> None:
        """From now on a crash goes back to this moment."""
        self._promised = self.backup()

    def keep_word(self) -> None:
        """What was promised is durable now."""
        self._promised = None

    def backup(self) -> Backup:
        tables = {name: store.dump() for name, store in self._tables.items()}
        return Backup(tables, self._blobs.copy(), dict(self._segments))

    def replace(self, backup: Backup | None) -> None:
        """Put in another disk while no process runs: an old copy, or an empty one."""
        self.full = self.broken = False
        self._promised = None
        tables = backup.tables if backup else {}
        self._tables = {name: MemoryStore(dump, dump) for name, dump in tables.items()}
        self._blobs = backup.blobs.copy() if backup else Blobs()
        self._segments = dict(backup.segments) if backup else {}

    def rot(self, chance: random.Random) -> str:
        """Damage one bit of what is stored; where, or "" if there is nothing.  Key-value stores are
        left alone: :meth:`rot_row`."""
        if chance.random() < 0.25 and self._segments:
            name = chance.choice(sorted(self._segments))
            self._segments[name] = _flipped(self._segments[name], chance)
            return f"segment {name}"
        blobs = sorted(blob for blob, data in self._blobs.content.items() if data)
        if not blobs:
            return ""
        blob = chance.choice(blobs)
        self._blobs.content[blob] = _flipped(self._blobs.content[blob], chance)
        return f"blob {blob.short}"

    def rot_row(self, store: str, table: str, chance: random.Random) -> str:
        """Damage one bit of a row; its key in hexadecimal, or "" if there is none."""
        content = self._tables.get(store)
        rows = content.dump().get(table, {}) if content else {}
        keys = sorted(key for key, value in rows.items() if value)
        if content is None or not keys:
            return ""
        key = chance.choice(keys)
        content.run(lambda writer: writer.put(table, key, _flipped(rows[key], chance)))
        return key.hex()

    def content(self) -> Iterator[bytes]:
        """Every byte on the disk, in pieces: blobs and what has come of others, keys and rows of
        tables, segments."""
        yield from self._blobs.content.values()
        for pieces in self._blobs.arrivals.values():
            yield b"".join(data for _, data in sorted(pieces.chunks.items()))
        for store in self._tables.values():
            for rows in store.dump().values():
                for key, row in rows.items():
                    yield from (key, row)
        yield from self._segments.values()

    def flip(self, blob: BlobId, offset: int) -> None:
        """Damage one bit of a stored blob."""
        damaged = bytearray(self._blobs.content[blob])
        damaged[offset] ^= 1
        self._blobs.content[blob] = bytes(damaged)

    def refuse(self) -> None:
        """
        Raises:
            Full: nothing more fits.
            Fatal: the sync failed.
        """
        if self.broken:
            raise Fatal("simulated disk", "a durable commit", "an error of the device")
        if self.full:
            raise Full("simulated disk", "free space", "none")

    def _life(self) -> Life:
        life = Life(self._random, self.refuse)
        self._open.append(life)
        return life


def _flipped(data: bytes, chance: random.Random) -> bytes:
    damaged = bytearray(data)
    damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
    return bytes(damaged)


class SimKeyValueStore:
    """KeyValueStore with the group commit of the real one, in virtual time."""

    def __init__(self, durable: MemoryStore, life: Life) -> None:
        self._durable = durable
        self._life = life
        self._waiting: list[_Job] = []
        self._committing = False

    def read(self) -> AbstractContextManager[Reader]:
        self._life.refuse_if_over()
        return self._durable.read()

    async def write(self, job: Callable[[Writer], T]) -> T:
        self._life.refuse_if_over()
        waiting = _Job(job, self._life.caller())
        self._waiting.append(waiting)
        self._start_commit()
        result: T = await waiting.future
        return result

    async def close(self) -> None:
        with contextlib.suppress(Unavailable, Full, Fatal):  # over already, or nothing can be kept
            await self.write(lambda writer: None)  # all that waited before it is durable then
        self._life.end()

    def _start_commit(self) -> None:
        if self._waiting and not self._committing:
            self._committing = True
            self._life.later(SYNC_SECONDS, self._commit)

    def _commit(self) -> None:
        batch, self._waiting = self._waiting, []
        for waiting in batch:
            try:
                self._life.refuse()
                waiting.value = self._durable.run(waiting.job)
            except Exception as error:
                waiting.error = error
        self._life.later(REPORT_SECONDS, lambda: self._report(batch))

    def _report(self, batch: list[_Job]) -> None:
        for waiting in batch:
            answer(waiting.future, waiting.value, waiting.error)
        self._committing = False
        self._start_commit()


@dataclass(slots=True, eq=False)
class _Job:
    job: Callable[[Writer], Any]
    future: asyncio.Future[Any]
    value: Any = None
    error: Exception | None = None


class SimSegmentStore:
    """SegmentStore that shows a segment at once and makes it durable later."""

    def __init__(self, durable: dict[str, bytes], life: Life) -> None:
        self._durable = durable
        self._life = life
        self._shown = dict(durable)

    def put(self, name: str, data: bytes) -> None:
        self._life.refuse_if_over()
        kept = self._shown[check_segment_name(name)] = bytes(data)

        def sync() -> None:
            if self._shown.get(name) is kept:  # neither replaced nor deleted since
                self._durable[name] = kept

        self._life.later(SYNC_SECONDS, sync)

    def open(self, name: str) -> memoryview:
        self._life.refuse_if_over()
        if check_segment_name(name) not in self._shown:
            raise Missing("segment store", f"segment {name}", "nothing")
        return memoryview(self._shown[name])

    def page_out(self, buffer: memoryview) -> None:
        """Nothing: what is held is all there is."""

    def delete(self, name: str) -> None:
        self._life.refuse_if_over()
        self._shown.pop(check_segment_name(name), None)
        self._durable.pop(name, None)

    def names(self) -> list[str]:
        self._life.refuse_if_over()
        return sorted(self._shown)
