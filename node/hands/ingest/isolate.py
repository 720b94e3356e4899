"""Checks of files that come from anywhere, in a process that may die of them."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Sequence
from pathlib import Path
from typing import Final, TypeVar

import node
from node.hands.ingest.findings import Drawn, Inspection
from node.hands.ingest.orders import LENGTH, Order, PageOrder, failed, not_drawn
from protocol.errors import DecodeError
from protocol.limits import INSPECTION_BYTES_MAX, REQUEST_BYTES_MAX
from protocol.shapes import pack, unpack

IDLE_SECONDS: Final = 60.0
START_SECONDS_MAX: Final = 30.0
WORKER: Final = (sys.executable, "-m", "node.hands.ingest.worker")
DRAWER: Final = (*WORKER, "draw")
T = TypeVar("T")


class Failed(Exception):
    """The worker did not answer; the argument says why."""


class Isolated:
    """One worker process, started for the first order and ended after a minute without one.

    Orders are answered one after another; a worker that crashed, or was killed at the deadline, is
    replaced for the next one.  Belongs to one event loop; ``close`` it.
    """

    def __init__(self, command: Sequence[str], *, idle_seconds: float = IDLE_SECONDS) -> None:
        self._command = command
        self._idle_seconds = idle_seconds
        self._turn = asyncio.Lock()
        self._worker: Process | None = None
        self._idle: asyncio.TimerHandle | None = None

    async def close(self) -> None:
        """End the worker; the order that it is at fails."""
        if self._idle is not None:
            self._idle.cancel()
        await self._stop()

    async def _answered(self, order: object, answer: type[T], seconds_max: float) -> T:
        """What the worker answers within ``seconds_max``, which count from the order's turn.

        Raises:
            Failed: it crashed, was too slow or answered nonsense; says which.
        """
        async with self._turn:
            if self._idle is not None:
                self._idle.cancel()
            try:
                return await self._ask(pack(order), answer, seconds_max)
            except BaseException:
                await self._stop()  # cancelled half-way: its answer must not be taken for the next
                raise
            finally:
                loop = asyncio.get_running_loop()
                self._idle = loop.call_later(self._idle_seconds, self._dismiss)

    async def _ask(self, order: bytes, answer: type[T], seconds_max: float) -> T:
        if len(order) > REQUEST_BYTES_MAX:
            raise Failed("name too long")
        try:
            async with asyncio.timeout(START_SECONDS_MAX):
                worker = await self._ready()
            async with asyncio.timeout(seconds_max):
                data = await _exchange(worker, order)
            return unpack(answer, data, bytes_max=INSPECTION_BYTES_MAX, where="answer")
        except TimeoutError as error:
            await self._stop()
            raise Failed(f"> {seconds_max:g} s") from error
        except (OSError, EOFError, DecodeError) as error:
            status = await self._stop()
            raise Failed(f"{type(error).__name__}, worker {status}") from error

    async def _ready(self) -> Process:
        if self._worker is None or self._worker.returncode is not None:
            self._worker = await asyncio.create_subprocess_exec(
                *self._command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env=_environment()
            )
            await _read_frame(self._worker)
        return self._worker

    async def _stop(self) -> int | None:
        """Kill and reap the worker; its exit status (minus the signal)."""
        worker, self._worker = self._worker, None
        if worker is None:
            return None
        if worker.returncode is None:
            try:
                # One that is ending by itself tells why; one that is stuck is killed.
                async with asyncio.timeout(0.05):
                    return await worker.wait()
            except TimeoutError:
                worker.kill()
        return await worker.wait()

    def _dismiss(self) -> None:
        """Let an idle worker end by itself: its input ends."""
        worker, self._worker = self._worker, None
        if worker is not None and worker.stdin is not None:
            worker.stdin.close()


class IsolatedInspector(Isolated):
    """Looks into files."""

    def __init__(
        self, command: Sequence[str] = WORKER, *, idle_seconds: float = IDLE_SECONDS
    ) -> None:
        super().__init__(command, idle_seconds=idle_seconds)

    async def inspect(self, path: str, name: str, seconds_max: float) -> Inspection:
        """What is known of the file at ``path``, called ``name`` in its package.

        ``seconds_max`` counts from the file's turn.  A crash, a timeout or a nonsensical answer is
        the finding Q002, never an exception.
        """
        order = Order(os.fsencode(path), _encodable(name), max(1, round(seconds_max)))
        try:
            return await self._answered(order, Inspection, seconds_max)
        except Failed as failure:
            return failed(name, str(failure))


class IsolatedDrawer(Isolated):
    """Draws pages: another worker than the one that inspects, so that no report waits for it."""

    def __init__(
        self, command: Sequence[str] = DRAWER, *, idle_seconds: float = IDLE_SECONDS
    ) -> None:
        super().__init__(command, idle_seconds=idle_seconds)

    async def draw(self, path: str, name: str, page: int, mark: str, seconds_max: float) -> Drawn:
        """Page ``page`` (from 1) of a file, with the words ``mark`` beneath; what a crash, a
        timeout or a nonsensical answer leaves undrawn has the finding Q303."""
        seconds = max(1, round(seconds_max))
        order = PageOrder(os.fsencode(path), _encodable(name), page, mark, seconds)
        try:
            return await self._answered(order, Drawn, seconds_max)
        except Failed as failure:
            return not_drawn(name, page, str(failure))


async def _exchange(worker: Process, order: bytes) -> bytes:
    assert worker.stdin is not None
    worker.stdin.write(LENGTH.pack(len(order)) + order)
    await worker.stdin.drain()
    return await _read_frame(worker)


async def _read_frame(worker: Process) -> bytes:
    """
    Raises:
        EOFError: the worker ended.
        DecodeError: it says it will send more than INSPECTION_BYTES_MAX.
    """
    assert worker.stdout is not None
    (length,) = LENGTH.unpack(await worker.stdout.readexactly(LENGTH.size))
    if length > INSPECTION_BYTES_MAX:
        raise DecodeError("worker", f"at most {INSPECTION_BYTES_MAX} bytes", length)
    return await worker.stdout.readexactly(length)


def _environment() -> dict[str, str]:
    """Only what Python needs to find this very program: no secret reaches the worker."""
    kept = {key: os.environ[key] for key in ("PATH", "SYSTEMROOT") if key in os.environ}
    root = str(Path(node.__file__).parents[1])
    return {**kept, "PYTHONPATH": root, "PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1"}


def _encodable(name: str) -> str:
    return name.encode(errors="backslashreplace").decode()
