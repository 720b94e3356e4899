"""A home copied away and back."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from node.hands.backup import copy_home, restore_home
from node.hands.keys import load_office_keys, make_office_keys, save_office_keys
from node.hands.storage.durable import write_file
from node.hands.storage.home import Home
from node.hands.storage.lmdb_kv import LmdbStore
from protocol.errors import ConfigError, Corrupt
from protocol.ids import OfficeCode

CODE = OfficeCode("320581")
TABLES = ("note", "spool")


def quiet(*_: object) -> None:
    pass


async def backed_up(tmp_path: Path) -> tuple[Home, Path, str]:
    home = Home.create(tmp_path / "home")
    save_office_keys(home.keys, make_office_keys(CODE, os.urandom))
    for path, text in ((home.config, b"[log]\n"), (home.token, b"t\n"), (home.genesis, b"g\n")):
        write_file(path, text)
    sha = hashlib.sha256(b"blob").hexdigest()
    (home.blobs / sha[:2]).mkdir()
    (home.blobs / sha[:2] / sha[2:]).write_bytes(b"blob")
    (home.cache / "derived").write_bytes(b"x")
    store = LmdbStore(home.ledger, TABLES, 2**24)
    await store.write(lambda writer: writer.put("note", b"k", b"v"))
    target = tmp_path / "backup"
    target.mkdir()
    copy_home(home, store, target, quiet)
    await store.write(lambda writer: writer.put("note", b"k", b"later"))
    await store.close()
    return home, target, sha


async def test_what_is_restored_is_what_was_backed_up(tmp_path: Path) -> None:
    home, backup, sha = await backed_up(tmp_path)
    assert backup.stat().st_mode & 0o777 == 0o700
    assert restore_home(backup, tmp_path / "new", quiet)["files"] == 1
    new = Home.open(tmp_path / "new")
    kept, restored = (load_office_keys(each.keys)[CODE][0] for each in (home, new))
    assert restored.log.seed == kept.log.seed
    assert {path.stat().st_mode & 0o777 for path in new.keys.rglob("*.pem")} == {0o600}
    for one, other in ((home.config, new.config), (home.token, new.token)):
        assert one.read_bytes() == other.read_bytes()
    assert (new.blobs / sha[:2] / sha[2:]).read_bytes() == b"blob"
    assert list(new.cache.iterdir()) == [], "what is derived is made again"
    store = LmdbStore(new.ledger, TABLES, 2**24)
    with store.read() as reader:
        assert reader.get("note", b"k") == b"v"
    await store.close()


async def test_a_damaged_file_of_a_backup_is_named_and_left_out(tmp_path: Path) -> None:
    _, backup, sha = await backed_up(tmp_path)
    (backup / "blobs" / sha[:2] / sha[2:]).write_bytes(b"blub")
    with pytest.raises(Corrupt, match="1 damaged"):
        restore_home(backup, tmp_path / "new", quiet)
    new = Home.open(tmp_path / "new")
    assert not (new.blobs / sha[:2] / sha[2:]).exists()
    assert new.config.exists()


async def test_where_nothing_can_be_restored(tmp_path: Path) -> None:
    home, backup, _ = await backed_up(tmp_path)
    with pytest.raises(ConfigError, match="new or empty"):
        restore_home(backup, home.root, quiet)
    with pytest.raises(ConfigError, match="made by fangzhi backup"):
        restore_home(tmp_path, tmp_path / "new", quiet)
    assert not (tmp_path / "new").exists()
