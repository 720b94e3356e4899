"""Killed processes, full disks and second processes: nothing acknowledged is lost, nothing is
half-stored.  What this does not check: power cuts (the kernel keeps what a killed process wrote);
that syncs come before acknowledgements is checked by their order below."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest

from node.hands.storage.durable import StagedFile, SyncFailed, write_file
from node.hands.storage.home import FORMAT, Home
from node.hands.storage.lmdb_kv import LmdbStore
from protocol.errors import ConfigError, Fatal, Full, Locked
from protocol.limits import GiB
from protocol.ports import Writer
from tests.killed import acknowledged_until_killed

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[2]


def put(writer: Writer, key: bytes) -> None:
    writer.put("a", key, bytes(3000))


# What the killed processes run: acknowledge on standard output, for ever.

WRITE_TABLES = """
import asyncio, itertools, sys
from pathlib import Path
from node.hands.storage.lmdb_kv import LmdbStore

async def main():
    store = LmdbStore(Path(sys.argv[1]), ["a"], 2**30)
    async def clerk(name):
        for number in itertools.count():
            key = b"%d-%06d" % (name, number)
            await store.write(lambda writer: writer.put("a", key, key * 20))
            sys.stdout.write(key.decode() + "\\n")
            sys.stdout.flush()
    await asyncio.gather(*map(clerk, range(8)))

asyncio.run(main())
"""


def test_a_killed_process_loses_no_acknowledged_write(tmp_path: Path) -> None:
    folder = tmp_path / "kv"
    for _ in range(2):  # the second one opens what the first one left
        acknowledged = acknowledged_until_killed(WRITE_TABLES, folder, 300)
        assert len(acknowledged) >= 300

        async def check(acknowledged: list[str]) -> None:
            store = LmdbStore(folder, ["a"], GiB)
            with store.read() as reader:
                for line in acknowledged:
                    key = line.encode()
                    assert reader.get("a", key) == key * 20
                assert all(value == key * 20 for key, value in reader.scan("a"))
            await store.close()

        asyncio.run(check(acknowledged))


# Order of the syncs: the calls that durable.py lists at its top.


def test_a_file_is_synced_renamed_and_its_name_synced(tmp_path: Path, calls: list[str]) -> None:
    write_file(tmp_path / "f", b"data")
    assert calls == ["fsync f.tmp", "rename f.tmp f", f"fsync {tmp_path.name}"]
    assert (tmp_path / "f").read_bytes() == b"data"


@pytest.mark.parametrize("fail_at", [0, 1])
def test_the_first_failed_sync_is_fatal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fail_at: int
) -> None:
    (tmp_path / "f").write_bytes(b"old")
    results: Iterator[int] = iter([errno.EIO if n == fail_at else 0 for n in range(2)])

    def fsync(descriptor: int) -> None:
        if number := next(results):
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr("os.fsync", fsync)
    with pytest.raises(SyncFailed) as caught:
        write_file(tmp_path / "f", b"new")
    assert isinstance(caught.value, Fatal)
    assert (tmp_path / "f").read_bytes() == (b"new" if fail_at else b"old")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_no_room_before_the_sync_removes_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    real_write = os.write
    with_room = iter([True, False])

    def write(descriptor: int, data: bytes) -> int:
        if next(with_room):
            return real_write(descriptor, data[:3])  # a short write, as full disks make them
        raise OSError(number, os.strerror(number))

    file = StagedFile(tmp_path / "x.tmp")
    monkeypatch.setattr("os.write", write)
    with pytest.raises(Full):
        file.write(b"123456")
    monkeypatch.undo()
    file.discard()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_loses_no_acknowledged_write(small_disk: Path) -> None:
    kept: list[bytes] = []

    async def story() -> None:
        store = LmdbStore(small_disk / "kv", ["a"], GiB, reserve_bytes=256 * 1024)

        async def fill() -> None:
            for number in range(10_000):
                key = b"%05d" % number
                await store.write(partial(put, key=key))
                kept.append(key)

        with pytest.raises(Full):
            await fill()
        with pytest.raises(Full):  # still, and still alive
            await store.write(lambda writer: writer.put("a", b"more", bytes(3000)))
        with store.read() as reader:
            assert [key for key, _ in reader.scan("a")] == kept
        assert len(kept) > 300
        await store.close()

    async def again() -> None:
        store = LmdbStore(small_disk / "kv", ["a"], GiB)
        with store.read() as reader:
            assert [key for key, _ in reader.scan("a")] == kept
        await store.close()

    asyncio.run(story())
    asyncio.run(again())


def test_a_disk_that_fills_under_a_commit_ends_the_store_and_loses_nothing(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        store = LmdbStore(small_disk / "kv", ["a"], GiB, reserve_bytes=0)
        await store.write(lambda writer: writer.put("a", b"k", b"v"))
        started = threading.Event()
        filled = threading.Event()

        def fill() -> None:
            started.wait()
            with contextlib.suppress(OSError), (small_disk / "other").open("wb", 0) as other:
                while True:
                    other.write(bytes(4096))
            filled.set()

        def job(writer: Writer) -> None:
            for number in range(300):
                writer.put("a", b"%d" % number, bytes(2000))

        def check_room_then_fill(written_bytes: int) -> None:
            started.set()
            filled.wait()

        monkeypatch.setattr(store, "_check_room", check_room_then_fill)
        filler = threading.Thread(target=fill)
        filler.start()
        with pytest.raises(Fatal):
            await store.write(job)
        filler.join()
        with pytest.raises(Fatal):
            await store.write(lambda writer: None)
        await store.close()

    async def again() -> None:
        (small_disk / "other").unlink()
        store = LmdbStore(small_disk / "kv", ["a"], GiB, reserve_bytes=0)
        with store.read() as reader:
            assert list(reader.scan("a")) == [(b"k", b"v")]
        await store.write(lambda writer: writer.put("a", b"l", b""))
        await store.close()

    asyncio.run(story())
    asyncio.run(again())


# Homes.

HOLD_LOCK = """
import sys
from pathlib import Path
from node.hands.storage.home import Home

with Home.open(Path(sys.argv[1])).lock():
    print("in", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_in_a_home_is_refused_and_told_who_is_in(tmp_path: Path) -> None:
    home = Home.create(tmp_path / "home")
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD_LOCK, str(home.root)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert child.stdin
    assert child.stdout
    assert child.stdout.readline() == b"in\n"
    with pytest.raises(Locked, match=f"process {child.pid}"), home.lock():
        pass
    child.kill()
    child.communicate()
    with home.lock(), pytest.raises(Locked, match=f"process {os.getpid()}"), home.lock():
        pass
    with home.lock():
        pass


def test_a_home_is_private_and_knows_its_format(tmp_path: Path) -> None:
    home = Home.create(tmp_path / "deep" / "home")
    assert home.root.stat().st_mode & 0o777 == 0o700
    for folder in (home.keys, home.ledger, home.state, home.blobs, home.index, home.staging):
        assert folder.stat().st_mode & 0o777 == 0o700
    home.cache.rmdir()
    assert Home.open(home.root) == home
    assert home.cache.is_dir()
    with pytest.raises(ConfigError, match="empty folder"):
        Home.create(home.root)


@pytest.mark.parametrize(
    ("text", "advice"),
    [(str(FORMAT + 1), "install that version"), ("", "restore a backup"), ("1x", "restore")],
)
def test_a_home_of_another_format_is_refused_with_advice(
    tmp_path: Path, text: str, advice: str
) -> None:
    home = Home.create(tmp_path / "home")
    (home.root / "FORMAT").write_text(text + "\n")
    with pytest.raises(ConfigError, match=advice):
        Home.open(home.root)


def test_no_home_at_all(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="fangzhi init"):
        Home.open(tmp_path)
    with pytest.raises(ConfigError, match="fangzhi init"):
        Home.open(tmp_path / "absent")
