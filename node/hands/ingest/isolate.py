"""Checks of files that come from anywhere, in a process that may die of them."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import node
from node.hands.ingest.findings import Inspection
from node.hands.ingest.orders import LENGTH, Order, failed
from protocol.errors import DecodeError
from protocol.limits import INSPECTION_BYTES_MAX, REQUEST_BYTES_MAX
from protocol.shapes import pack, unpack

IDLE_SECONDS: Final = 60.0
START_SECONDS_MAX: Final = 30.0
WORKER: Final = (sys.executable, "-m", "node.hands.ingest.worker")


class IsolatedInspector:
    """One worker process, started for the first file and ended after a minute without one.

    Files are examined one after another; a worker that crashed, or was killed at the deadline, is
    replaced for the next file.  Belongs to one event loop; ``close`` it.
    """

    def __init__(
        self, command: Sequence[str] = WORKER, *, idle_seconds: float = IDLE_SECONDS
    ) -> None:
        self._command = command
        self._idle_seconds = idle_seconds
        self._turn = asyncio.Lock()
        self._worker: Process | None = None
        self._idle: asyncio.TimerHandle | None = None

    async def inspect(self, path: str, name: str, seconds_max: float) -> Inspection:
        """What is known of the file at ``path``, called ``name`` in its package.

        ``seconds_max`` counts from the file's turn.  A crash, a timeout or a nonsensical answer is
        the finding Q002, never an exception.
        """
        async with self._turn:
            if self._idle is not None:
                self._idle.cancel()
            try:
                return await self._ask(path, name, seconds_max)
            except BaseException:
                await self._stop()  # cancelled half-way: its answer must not be taken for the next
                raise
            finally:
                loop = asyncio.get_running_loop()
                self._idle = loop.call_later(self._idle_seconds, self._dismiss)

    async def close(self) -> None:
        """End the worker; what is being examined gets Q002."""
        if self._idle is not None:
            self._idle.cancel()
        await self._stop()

    async def _ask(self, path: str, name: str, seconds_max: float) -> Inspection:
        order = pack(Order(os.fsencode(path), _encodable(name), max(1, round(seconds_max))))
        if len(order) > REQUEST_BYTES_MAX:
            return failed(name, "name too long")
        try:
            async with asyncio.timeout(START_SECONDS_MAX):
                worker = await self._ready()
            async with asyncio.timeout(seconds_max):
                answer = await _exchange(worker, order)
            return unpack(Inspection, answer, bytes_max=INSPECTION_BYTES_MAX, where="inspection")
        except TimeoutError:
            await self._stop()
            return failed(name, f"> {seconds_max:g} s")
        except (OSError, EOFError, DecodeError) as error:
            status = await self._stop()
            return failed(name, f"{type(error).__name__}, worker {status}")

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
