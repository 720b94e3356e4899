"""Copies a home away and back: keys, configuration, ledger, files; what is derived is left out.

A backup is as secret as the home: it holds the keys.  A restored home does not sign until a peer
has confirmed how far its logs had gone (node/office/gate.py).
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from node.hands.storage.durable import sync_directory, write_file
from node.hands.storage.home import Home
from node.hands.storage.lmdb_kv import LmdbStore
from protocol.errors import ConfigError, Corrupt
from protocol.ports import KeyValueStore

SMALL_FILES = ("node.toml", "genesis.note", "invite.json", "token", "FORMAT")
Progress = Callable[[str, int, int], None]


def copy_home(
    home: Home, ledger: KeyValueStore, target: Path, progress: Progress
) -> dict[str, Any]:
    """Back the home of a running node up into the empty folder ``target``.

    The ledger is copied as of one moment, before the files: every file that an event in the copy
    names is in the copy.
    """
    assert isinstance(ledger, LmdbStore)
    target.chmod(0o700)
    (target / "ledger").mkdir(mode=0o700)
    ledger.copy(target / "ledger")
    shutil.copytree(home.keys, target / "keys")
    blobs = [path for path in home.blobs.rglob("*") if path.is_file()]
    for number, path in enumerate(blobs):
        progress("file", number, len(blobs))
        copy = target / path.relative_to(home.root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy)
    for name in SMALL_FILES:
        if (home.root / name).exists():
            write_file(target / name, (home.root / name).read_bytes())
    sync_directory(target)
    return {"folder": str(target), "files": len(blobs)}


def restore_home(source: Path, root: Path, progress: Progress) -> dict[str, Any]:
    """Make a home in ``root`` from a backup; every file is checked against its name.

    Raises:
        ConfigError: ``source`` is no backup, or ``root`` is not empty.
        Corrupt: files of the backup that are damaged; nothing else is wrong with the new home.
    """
    if not (source / "ledger" / "data.mdb").exists() or not (source / "keys").is_dir():
        raise ConfigError(str(source), "a folder made by fangzhi backup", "something else")
    home = Home.create(root)
    shutil.copytree(source / "ledger", home.ledger, dirs_exist_ok=True)
    shutil.copytree(source / "keys", home.keys, dirs_exist_ok=True)
    damaged = []
    blobs = [path for path in (source / "blobs").rglob("*") if path.is_file()]
    for number, path in enumerate(blobs):
        progress("file", number, len(blobs))
        copy = root / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy)
        if _hash(copy) != path.parent.name + path.name:
            damaged.append(path.name)
            copy.unlink()
    for name in SMALL_FILES:
        if (source / name).exists() and name != "FORMAT":
            write_file(root / name, (source / name).read_bytes())
    if damaged:
        expected = "every file as its name says (other holders will repair the rest)"
        raise Corrupt(str(source), expected, f"{len(damaged)} damaged: {damaged[:3]}")
    return {"home": str(root), "files": len(blobs)}


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
