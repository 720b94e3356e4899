"""How fast are files taken in and checked, beside what the machine can do and what others do?

    python -m benchmarks.vault [--gib N] [--files N] [--rounds N] [--folder DIR]

* *ingest*: a stream of 1 GiB into the store of a node, durable; beside SHA-256 alone and a synced
  write of the same bytes.
* *small files*: 10,000 files of 20 kB from a folder, each durable when its ``put`` returns, 1,000
  at a time; beside ``git add`` and ``commit`` (as it comes, and with ``core.fsync=all``), borg and
  restic where they are installed.
* *scrub*: every byte of what was ingested read again and compared; beside a plain sequential read.
  Both begin with a cold page cache.
* *memory*: the largest resident set of our process in any of these.

Each round measures all of a row one after the other; a ratio is of one round, and the median of
the rounds counts.  Ours runs in a process of its own each time.  Exit status 1: a bar is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Final

import uvloop

from node.hands.open_world import SystemClock, Threads
from node.hands.storage.vault import Vault, open_vault
from protocol.limits import MiB

SMALL_BYTES: Final = 20_000
AT_ONCE: Final = 1000
BARS: Final = {
    "ingest": ("slower of SHA-256 and synced write", 0.75),
    "small": ("git", 3.0),
    "small, borg": ("borg", 2.0),
    "small, restic": ("restic", 2.0),
    "scrub": ("plain read", 0.8),
}
MEMORY_MIB_MAX: Final = 200

Figures = dict[str, float]


def chunks(mib: int, seed: int) -> Iterator[bytes]:
    """``mib`` pieces of 1 MiB, all different and not to be compressed."""
    pool = random.Random(seed).randbytes(17 * MiB)
    for number in range(mib):
        start = number * 4099 % (16 * MiB)
        yield number.to_bytes(8, "big") + pool[start : start + MiB - 8]


def timed(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


# ---- ours, in a process of its own


async def _ingest(vault: Vault, mib: int, seed: int) -> None:
    async def stream() -> AsyncIterator[bytes]:
        for chunk in chunks(mib, seed):
            yield chunk

    await vault.put(stream())


async def _small(vault: Vault, paths: list[Path]) -> None:
    left = iter(paths)

    async def put_some() -> None:
        for path in left:
            await vault.put(_once(path))

    await asyncio.gather(*(put_some() for _ in range(AT_ONCE)))


async def _once(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb", 0) as file:
        yield file.read()


async def _scrub(vault: Vault) -> None:
    for _, blob in vault.checks():
        await vault.verify(blob)


async def ours(what: str, home: Path, files: list[Path], mib: int, seed: int) -> Figures:
    parts = home / "vault", home / "blobs", home / "staging"
    async with open_vault(*parts, Threads(), SystemClock()) as vault:
        before, started = time.process_time(), time.perf_counter()
        if what == "ingest":
            await _ingest(vault, mib, seed)
        elif what == "small":
            await _small(vault, files)
        else:
            await _scrub(vault)
        seconds, cpu = time.perf_counter() - started, time.process_time() - before
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "cpu": cpu, "peak": peak}


def run_ours(what: str, home: Path, mib: int, seed: int) -> Figures:
    command = [sys.executable, "-m", "benchmarks.vault", "--ours", what, "--folder", str(home)]
    command += ["--mib", str(mib), "--seed", str(seed)]
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    figures: Figures = json.loads(told.stdout)
    return figures


# ---- what the machine can do


def sha256_alone(mib: int, seed: int) -> float:
    """Hashing only: making the bytes is not counted."""
    total, hasher = 0.0, hashlib.sha256()
    for chunk in chunks(mib, seed):
        started = time.perf_counter()
        hasher.update(chunk)
        total += time.perf_counter() - started
    return total


def synced_write(path: Path, mib: int, seed: int) -> float:
    """Writing and the sync; making the bytes is not counted."""
    total = 0.0
    with path.open("wb", 0) as file:
        for chunk in chunks(mib, seed):
            started = time.perf_counter()
            file.write(chunk)
            total += time.perf_counter() - started
        total += timed(lambda: os.fsync(file.fileno()))  # noqa: TID251  # the limit itself
    path.unlink()
    return total


def making(mib: int, seed: int) -> float:
    """What it costs to make the bytes, which our stream does while it is measured."""

    def work() -> None:
        for _ in chunks(mib, seed):
            pass

    return timed(work)


def plain_read(path: Path) -> float:
    buffer = bytearray(MiB)

    def work() -> None:
        with path.open("rb", 0) as file:
            while file.readinto(buffer):
                pass

    return timed(work)


def cool(folder: Path) -> None:
    """Drop what the page cache has of the files."""
    for path in folder.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


# ---- what others do with small files


def peers(files: Path, work: Path) -> Figures:
    found = {"git": _git(files, work, "committed"), "git, synced": _git(files, work, "all")}
    environment = os.environ | {"RESTIC_PASSWORD": "x", "BORG_BASE_DIR": str(work / "borg home")}
    for name, prepare, store in (
        ("borg", "init -e none borg", f"create borg::a {files}"),
        ("restic", "init -r restic", f"-r restic backup {files}"),
    ):
        if shutil.which(name):
            run([name, *prepare.split()], work, environment)
            os.sync()
            found[name] = timed(partial(run, [name, *store.split()], work, environment))
        else:
            print(f"{name} is not installed", file=sys.stderr)
    return found


def run(command: list[str], folder: Path, environment: dict[str, str]) -> None:
    subprocess.run(command, check=True, cwd=folder, env=environment, capture_output=True)


def _git(files: Path, work: Path, fsync: str) -> float:
    """``git add`` and ``commit`` of the files where they lie."""
    where = {"GIT_DIR": str(work / f"git {fsync}"), "GIT_WORK_TREE": str(files)}
    git = partial(run, folder=files, environment=os.environ | where)
    git(["git", "init", "-q"])
    for name, value in (("user.name", "x"), ("user.email", "x@x"), ("core.fsync", fsync)):
        git(["git", "config", name, value])
    os.sync()
    return timed(lambda: (git(["git", "add", "."]), git(["git", "commit", "-qm", "x"])))


# ---- rounds


def one_round(folder: Path, gib: float, count: int, seed: int) -> dict[str, Figures]:
    """Figures of one round, by row."""
    mib, home = round(gib * 1024), folder / "home"
    os.sync()
    mine = run_ours("ingest", home, mib, seed)
    row = {"ours": mine["seconds"] - making(mib, seed), "SHA-256": sha256_alone(mib, seed)}
    os.sync()
    row["synced write"] = synced_write(folder / "written", mib, seed)
    row[BARS["ingest"][0]] = max(row["SHA-256"], row["synced write"])
    rows = {"ingest": row}

    cool(home / "blobs")
    scrubbed = run_ours("scrub", home, mib, seed)
    [stored] = [path for path in (home / "blobs").glob("??/*") if path.is_file()]
    cool(home / "blobs")
    rows["scrub"] = {"ours": scrubbed["seconds"], "plain read": plain_read(stored)}
    shutil.rmtree(home)

    files = folder / "files"
    files.mkdir()
    for number in range(count):
        (files / f"{number:06}").write_bytes(random.Random(seed + number).randbytes(SMALL_BYTES))
    os.sync()
    small = run_ours("small", home, mib, seed)
    rows["small"] = {"ours": small["seconds"], **peers(files, folder)}
    rows["peak"] = {"ingest": mine["peak"], "scrub": scrubbed["peak"], "small": small["peak"]}
    rows["cpu"] = {"ingest": mine["cpu"], "scrub": scrubbed["cpu"], "small": small["cpu"]}
    return rows


def judge(rounds: list[dict[str, Figures]]) -> bool:
    """Print every row and its bars; whether all hold."""
    good = True
    for name in ("ingest", "scrub", "small"):
        row = {what: median(each[name][what] for each in rounds) for what in rounds[0][name]}
        print(f"{name:8}" + "  ".join(f"{what} {seconds:.2f} s" for what, seconds in row.items()))
    for name, (peer, bar) in BARS.items():
        row_name = name.split(",")[0]
        if peer in rounds[0][row_name]:
            ratio = median(each[row_name][peer] / each[row_name]["ours"] for each in rounds)
            good &= ratio >= bar
            print(f"{name:14} {ratio:5.2f} × {peer}, bar {bar} {'' if ratio >= bar else 'MISSED'}")
    for what in ("ingest", "scrub", "small"):
        peak = max(each["peak"][what] for each in rounds)
        cpu = median(each["cpu"][what] for each in rounds)
        good &= peak <= MEMORY_MIB_MAX
        print(f"{what:8} at most {peak:.0f} MiB resident, {cpu:.2f} s of processor time")
    return good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--gib", type=float, default=1.0)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where to write; default: a temporary folder")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--ours", help=argparse.SUPPRESS)
    parser.add_argument("--mib", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.ours:
        home = options.folder
        home.mkdir(exist_ok=True)
        files = sorted(home.with_name("files").glob("*"))
        figures = uvloop.run(ours(options.ours, home, files, options.mib, options.seed))
        print(json.dumps(figures))
        return 0
    rounds = []
    for number in range(options.rounds):
        folder = Path(tempfile.mkdtemp(dir=options.folder))
        try:
            rounds.append(one_round(folder, options.gib, options.files, options.seed + number))
        finally:
            shutil.rmtree(folder)
    return 0 if judge(rounds) else 1


if __name__ == "__main__":
    sys.exit(main())
