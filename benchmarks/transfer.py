"""How fast does a file go from node to node, verified, beside what others do on the same machine?

    python -m benchmarks.transfer [--mib N]

A city with a file serves it over a real TLS link on loopback; the province, in another process,
fetches it by chunk, verifies each by the tree and the whole by its SHA-256, and syncs it.  Beside:
rsync (whole file, its own daemon on loopback) and restic (backup into a folder), where they are
installed.  Memory is the largest resident set of the fetching process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from statistics import median

import uvloop

from benchmarks.replication import CITY, PROVINCE, assembled, found, free_address
from node.hands.allocator import keep_freed_memory
from node.office.transfer import Wanted
from protocol.ids import BlobId, ChunkRoot
from protocol.limits import MiB

SEED_BYTES = 17 * MiB
ROUNDS = 3  # of each; the median is told


def content(mib: int) -> AsyncIterator[bytes]:
    """``mib`` pieces of 1 MiB, all different."""
    pool = random.Random(1).randbytes(SEED_BYTES)

    async def pieces() -> AsyncIterator[bytes]:
        for number in range(mib):
            start = number * 4099 % (SEED_BYTES - MiB)
            yield number.to_bytes(8, "big") + pool[start : start + MiB - 8]

    return pieces()


async def serve(folder: Path, mib: int) -> None:
    """The city: stores the file, says what it is, and lends it to whoever asks."""
    async with assembled(folder / CITY) as node, asyncio.TaskGroup() as group:
        blob = await node.world.blobs.put(content(mib))
        chunks = (await node.world.blobs.card(blob)).chunks
        node.vault.lending._may = lambda *_: True  # noqa: SLF001  (rights are not measured)
        await node.world.wire.listen(node.config.peer.listen, node.links.accept)
        for service in (node.links, node.folding, node.replicator):
            group.create_task(service.run())
        print(json.dumps({"blob": blob.hex, "chunks": chunks.hex}), flush=True)


async def fetch(folder: Path, blob: str, chunks: str) -> None:
    """The province."""
    wanted = Wanted(BlobId.parse(blob), ChunkRoot.parse(chunks))
    async with assembled(folder / PROVINCE) as node, asyncio.TaskGroup() as group:
        await node.folding.advance()
        node.links.keep([CITY])
        tasks = [group.create_task(each.run()) for each in (node.links, node.replicator)]
        while CITY not in node.links.live():  # noqa: ASYNC110  (nobody tells us)
            await asyncio.sleep(0.01)
        await asyncio.sleep(1)  # the roster reaches the city
        seconds, cpu = [], time.process_time()
        for _ in range(ROUNDS):
            await node.world.blobs.delete(wanted.blob)
            begun = time.monotonic()
            await node.vault.transfer.fetch(wanted, [CITY])
            seconds.append(time.monotonic() - begun)
        cpu = (time.process_time() - cpu) / ROUNDS
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"seconds": median(seconds), "cpu": cpu, "peak_mib": peak}), flush=True)
        for task in tasks:
            task.cancel()


def rsync(source: Path, folder: Path) -> float:
    """Seconds of a whole-file copy from an rsync daemon, synced."""
    address = free_address().rpartition(":")[2]
    config = folder / "rsyncd.conf"
    who = f"uid = {os.getuid()}\ngid = {os.getgid()}\n"
    config.write_text(f"use chroot = no\n{who}[from]\npath = {source.parent}\n")
    daemon = subprocess.Popen(
        ["rsync", "--daemon", "--no-detach", f"--port={address}", f"--config={config}"]
    )
    try:
        time.sleep(0.5)
        begun = time.monotonic()
        where = f"rsync://127.0.0.1:{address}/from/{source.name}"
        subprocess.run(["rsync", "--whole-file", "--fsync", where, str(folder)], check=True)
        return time.monotonic() - begun
    finally:
        daemon.terminate()
        daemon.wait()


def restic(source: Path, folder: Path) -> float:
    environment = {**os.environ, "RESTIC_PASSWORD": "benchmark"}
    common = ["restic", "-q", "-r", str(folder / "restic")]
    subprocess.run([*common, "init"], check=True, env=environment)
    begun = time.monotonic()
    subprocess.run([*common, "backup", "--no-cache", str(source)], check=True, env=environment)
    return time.monotonic() - begun


def _once(peer: Callable[[Path, Path], float], source: Path, folder: Path) -> float:
    work = Path(tempfile.mkdtemp(dir=folder))
    try:
        return peer(source, work)
    finally:
        shutil.rmtree(work)


def run(folder: Path, mib: int) -> None:
    found(folder)
    me = [sys.executable, "-m", "benchmarks.transfer", "--home", str(folder), "--mib", str(mib)]
    city = subprocess.Popen([*me, "--role", "serve"], stdout=subprocess.PIPE, text=True)
    assert city.stdout is not None
    try:
        said = json.loads(city.stdout.readline())
        names = ["--blob", said["blob"], "--chunks", said["chunks"]]
        done = subprocess.run([*me, "--role", "fetch", *names], check=True, capture_output=True)
    finally:
        city.terminate()
        city.wait()
    ours = json.loads(done.stdout)
    print(f"ours    {mib / ours['seconds']:7.0f} MiB/s, {ours['cpu']:.1f} s of processor, "
          f"{ours['peak_mib']:.0f} MiB resident at most")  # fmt: skip
    source = next(path for path in (folder / CITY / "blobs").rglob("*") if path.is_file())
    for name, peer in (("rsync", rsync), ("restic", restic)):
        if shutil.which(name):
            seconds = median(_once(peer, source, folder) for _ in range(ROUNDS))
            print(f"{name:7} {mib / seconds:7.0f} MiB/s: ours is {seconds / ours['seconds']:.2f} ×")
        else:
            print(f"{name:7} is not installed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--role", choices=("serve", "fetch"), help=argparse.SUPPRESS)
    parser.add_argument("--home", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--blob", help=argparse.SUPPRESS)
    parser.add_argument("--chunks", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role == "serve":
        keep_freed_memory()
        uvloop.run(serve(options.home, options.mib))
    elif options.role == "fetch":
        keep_freed_memory()
        uvloop.run(fetch(options.home, options.blob, options.chunks))
    else:
        folder = Path(tempfile.mkdtemp())
        try:
            run(folder, options.mib)
        finally:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
