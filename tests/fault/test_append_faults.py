"""Every step of an append, killed or failed: a sweep over the store's system calls, not a sample.

After each: the log is a prefix with a signed checkpoint, what was acknowledged is there, and no two
checkpoints that anybody has seen contradict, also when the office goes on with other events.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.appender import BATCHES, BEFORE, FAILED, append, check_whole, open_store

ROOT = Path(__file__).resolve().parents[2]
CALLS = ("write", "writev", "pwrite64", "pwritev", "fsync", "fdatasync", "msync", "ftruncate")
STEPS_MAX = 60  # of one kind


@dataclass(frozen=True, slots=True)
class Outcome:
    status: int
    published: list[bytes]


class Nursery:
    """Children that append, one at a time, each with one fault at one system call."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self._lines = ours.makefile("rb")
        self._channel = ours
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.appender"], stdin=theirs, cwd=ROOT
        )
        theirs.close()

    def close(self) -> None:
        self._channel.shutdown(socket.SHUT_RDWR)
        self._process.wait()

    def run(self, store: Path, fault: str) -> Outcome:
        self._channel.send(f"{store}\n".encode())
        ready, number = self._lines.readline().split()
        assert ready == b"ready"
        tracer = subprocess.Popen(
            ["strace", "-f", "-qq", "-o", "/dev/null", "-e", fault, "-p", str(int(number))],
            stderr=subprocess.PIPE,
        )
        while not traced(int(number)):
            if tracer.poll() is not None:
                self._channel.send(b"go\n")
                pytest.skip(f"FAULTS IN SYSTEM CALLS NOT TESTED: {tracer.communicate()[1]!r}")
            time.sleep(0.001)
        self._channel.send(b"go\n")
        published = []
        while (line := self._lines.readline().split())[0] == b"published":
            published.append(bytes.fromhex(line[1].decode()))
        tracer.communicate()
        return Outcome(int(line[1]), published)


def traced(process: int) -> bool:
    """Whether a tracer holds every thread of a process."""
    threads = Path(f"/proc/{process}/task").iterdir()
    return all("TracerPid:\t0\n" not in (thread / "status").read_text() for thread in threads)


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    if shutil.which("strace") is None:
        pytest.skip("FAULTS IN SYSTEM CALLS NOT TESTED: they need strace")
    made = Nursery()
    yield made
    made.close()


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[bytes]]:
    """A store with a log in it, and what was published of it."""
    folder = tmp_path_factory.mktemp("begun") / "store"
    published: list[bytes] = []

    async def story() -> None:
        store = open_store(folder)
        await append(store, BEFORE, "before", published.append)
        await store.close()

    asyncio.run(story())
    return folder, published


async def look_and_go_on(folder: Path, published: list[bytes]) -> int:
    """The size at which a log was found; then the office goes on with other events."""
    store = open_store(folder)
    found = check_whole(store, published).size
    await append(store, (2, 260), "after", published.append)
    assert check_whole(store, published).size == found + 262
    await store.close()
    return found


def sweep(
    nursery: Nursery, begun: tuple[Path, list[bytes]], folder: Path, fault: str, status: int
) -> tuple[set[int], Counter[str]]:
    """Every step in turn, until none is left; the sizes that were found, and how many steps."""
    sizes: set[int] = set()
    steps: Counter[str] = Counter()
    for call in CALLS:
        for step in range(1, STEPS_MAX):
            store = folder / f"{call}-{step}"
            shutil.copytree(begun[0], store)
            outcome = nursery.run(store, f"inject={call}:{fault}:when={step}")
            published = [*begun[1], *outcome.published]
            sizes.add(asyncio.run(look_and_go_on(store, published)))
            if outcome.status == 0:  # no such step: everything went well
                assert len(outcome.published) == len(BATCHES)
                break
            assert outcome.status == status
            steps[call] += 1
    return sizes, steps


def expected_sizes() -> set[int]:
    sizes = [sum(BEFORE)]
    for count in BATCHES:
        sizes.append(sizes[-1] + count)
    return set(sizes)


def check_thorough(sizes: set[int], steps: Counter[str]) -> None:
    """The sweep met the log before and after every append, and the steps of a commit in each."""
    assert sizes == expected_sizes()
    assert steps["fdatasync"] == len(BATCHES)  # pages first,
    assert steps["pwrite64"] >= len(BATCHES)  # then the one that names the new root
    assert steps["pwrite64"] + steps["writev"] >= 2 * len(BATCHES)


@pytest.mark.slow
def test_killed_at_every_step_of_an_append(
    nursery: Nursery, begun: tuple[Path, list[bytes]], tmp_path: Path
) -> None:
    check_thorough(*sweep(nursery, begun, tmp_path, "signal=KILL", -signal.SIGKILL))


@pytest.mark.slow
@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
def test_every_write_and_sync_of_an_append_failing_once_ends_the_process(
    nursery: Nursery, begun: tuple[Path, list[bytes]], tmp_path: Path, error: str
) -> None:
    check_thorough(*sweep(nursery, begun, tmp_path, f"error={error}", FAILED))
