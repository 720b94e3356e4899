"""Copies a home away and back: keys, configuration, ledger, files; what is derived is left out.

A backup is as secret as the home: it holds the keys.  A restored home does not sign until a peer
has confirmed how far its logs had gone (node/office/gate.py).
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from node.hands.storage.durable import sync_directory, write_file
from node.hands.storage.file_blobs import listing
from node.hands.storage.home import Home
from node.hands.storage.lmdb_kv import LmdbStore
from node.hands.storage.vault import open_vault
from protocol.errors import ConfigError, Corrupt, Missing
from protocol.ids import BlobId
from protocol.limits import CHUNK_BYTES
from protocol.ports import BlobStore, BlockingWork, Clock, KeyValueStore

SMALL_FILES = ("node.toml", "genesis.note", "invite.json", "token", "FORMAT")
AT_ONCE = 32  # files on their way: small ones share their syncs
Progress = Callable[[str, int, int], None]


async def copy_home(
    home: Home,
    ledger: KeyValueStore,
    blobs: BlobStore,
    target: Path,
    work: BlockingWork,
    clock: Clock,
    progress: Progress,
) -> dict[str, Any]:
    """Back the home of a running node up into the empty folder ``target``.

    The ledger is copied as of one moment, before the files: every file that an event in the copy
    names is in the copy, but for damaged ones.
    """
    await work.run(_copy_all_but_files, home, ledger, target)
    wanted = list(blobs.scan())
    damaged: list[BlobId] = []
    left = iter(enumerate(wanted))

    async def copy_some(copy: BlobStore) -> None:
        for number, blob in left:
            progress("file", number, len(wanted))
            try:
                await copy.put(_content(blobs, blob), blob)
            except Corrupt:
                damaged.append(blob)
            except Missing:
                pass  # forgotten meanwhile

    cards, staging = target / "vault", target / "staging"
    async with open_vault(cards, target / "blobs", staging, work, clock) as copy:
        await asyncio.gather(*(copy_some(copy) for _ in range(AT_ONCE)))
        files = len(list(copy.scan()))
    shutil.rmtree(cards)
    shutil.rmtree(staging)
    sync_directory(target)
    return {"folder": str(target), "files": files, "damaged": [blob.hex for blob in damaged]}


async def restore_home(
    source: Path, root: Path, work: BlockingWork, clock: Clock, progress: Progress
) -> dict[str, Any]:
    """Make a home in ``root`` from a backup; every file is checked against its name.

    Raises:
        ConfigError: ``source`` is no backup, or ``root`` is not empty.
        Corrupt: files of the backup that are damaged; nothing else is wrong with the new home.
    """
    home = await work.run(_restore_all, source, root)
    wanted = sorted({blob for blob, _, _ in listing(home.blobs)})
    damaged = []
    async with open_vault(home.vault, home.blobs, home.staging, work, clock) as blobs:
        for number, blob in enumerate(wanted):
            progress("file", number, len(wanted))
            try:
                await blobs.verify(blob)
            except (Corrupt, Missing):  # missing: a damaged one of those that share a file
                damaged.append(blob.hex)
                await blobs.delete(blob)
    if damaged:
        expected = "every file as its name says (other holders will repair the rest)"
        raise Corrupt(str(source), expected, f"{len(damaged)} damaged: {damaged[:3]}")
    return {"home": str(root), "files": len(wanted)}


def _copy_all_but_files(home: Home, ledger: KeyValueStore, target: Path) -> None:
    assert isinstance(ledger, LmdbStore)
    target.chmod(0o700)
    (target / "ledger").mkdir(mode=0o700)
    ledger.copy(target / "ledger")
    shutil.copytree(home.keys, target / "keys")
    for name in SMALL_FILES:
        if (home.root / name).exists():
            write_file(target / name, (home.root / name).read_bytes())


def _restore_all(source: Path, root: Path) -> Home:
    if not (source / "ledger" / "data.mdb").exists() or not (source / "keys").is_dir():
        raise ConfigError(str(source), "a folder made by fangzhi backup", "something else")
    home = Home.create(root)
    shutil.copytree(source / "ledger", home.ledger, dirs_exist_ok=True)
    shutil.copytree(source / "keys", home.keys, dirs_exist_ok=True)
    shutil.copytree(source / "blobs", home.blobs, dirs_exist_ok=True)
    for name in SMALL_FILES:
        if (source / name).exists() and name != "FORMAT":
            write_file(root / name, (source / name).read_bytes())
    return home


async def _content(blobs: BlobStore, blob: BlobId) -> AsyncIterator[bytes]:
    offset = 0
    while data := await blobs.read(blob, offset, CHUNK_BYTES):
        yield data
        offset += len(data)
