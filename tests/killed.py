"""Processes that acknowledge on standard output what they have stored, until kill -9 hits them."""

from __future__ import annotations

import asyncio
import importlib
import os
import random
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def acknowledged_until_killed(program: str, folder: Path, lines: int) -> list[str]:
    """What a child process acknowledged before kill -9 hit it in the middle of its work."""
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(folder)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout
    seen = [child.stdout.readline() for _ in range(lines)]
    child.send_signal(signal.SIGKILL)
    seen += child.stdout.readlines()
    assert child.wait() == -signal.SIGKILL
    return [line.strip() for line in seen if line.endswith("\n")]


@dataclass(frozen=True, slots=True)
class Death:
    """What a killed life left behind: its folder, and what it had acknowledged."""

    folder: Path
    acknowledged: list[str]


def deaths(life: str, folder: Path, count: int, seed: int = 0) -> list[Death]:
    """Lives of ``life`` (``module:function``), each killed at another point.

    The function is given a folder of its own, what to call when death may come, and what to
    acknowledge with.  A first life is counted and not killed; of the changes that it made to the
    disk ``count`` are drawn, and each of as many lives dies before, within or after one of these.
    They are forked from one process, which has imported everything and started nothing.
    """
    told = subprocess.run(
        [sys.executable, "-m", "tests.killed", life, str(folder), str(count), str(seed)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    lines = [line.split(" ", 1) for line in told.stdout.splitlines()]
    return [
        Death(folder / name, [line for own, line in lines if own == name])
        for name in dict.fromkeys(own for own, _ in lines)
    ]


class _Reaper:
    """Counts what changes the disk, and ends the process at one of these calls: before it, after
    it, or in the middle of what it writes."""

    def __init__(self, point: int | None) -> None:
        self._point = point
        self._lock = threading.Lock()
        self.calls = 0

    def begin(self) -> None:
        for name in ("fsync", "replace", "rename", "unlink", "ftruncate", "mkdir"):
            setattr(os, name, self._watched(getattr(os, name)))
        for name in ("write", "pwrite"):
            setattr(os, name, self._watched(getattr(os, name), torn=True))

    def _watched(self, call: Callable[..., Any], torn: bool = False) -> Callable[..., Any]:
        def watched(*given: Any, **named: Any) -> Any:
            with self._lock:
                self.calls += 1
                due = self._point is not None and self.calls - 1 == self._point // 3
            if due and torn and self._point % 3 == 1:
                call(given[0], bytes(given[1])[: len(given[1]) // 2], *given[2:])
            if due and self._point % 3 < 2:
                os.kill(os.getpid(), signal.SIGKILL)
            result = call(*given, **named)
            if due:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return watched


def _live(life: Callable[..., Coroutine[Any, Any, None]], folder: Path, point: int | None) -> int:
    """Live once in a process of its own; how many changes of the disk there were if it was not to
    be killed, or -1."""
    folder.mkdir(parents=True)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        reaper, write = _Reaper(point), os.write  # what is said is said whole

        def say(line: str) -> None:
            write(1, f"{folder.name} {line}\n".encode())

        say("born")
        try:
            asyncio.run(life(folder, reaper.begin, say))
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        write(writer, str(reaper.calls).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        calls = pipe.read()
    _, status = os.waitpid(child, 0)
    if os.waitstatus_to_exitcode(status) not in (0, -signal.SIGKILL):
        raise SystemExit(f"a life ended by itself: {status}")
    return int(calls or -1)


def main() -> None:
    name, folder, count, seed = sys.argv[1:]
    module, function = name.split(":")
    life = getattr(importlib.import_module(module), function)
    calls = _live(life, Path(folder) / "whole", None)
    points = random.Random(int(seed)).sample(range(3 * calls), min(int(count), 3 * calls))
    for point in points:
        _live(life, Path(folder) / f"{point}", point)


if __name__ == "__main__":
    main()
