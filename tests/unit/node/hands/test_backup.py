"""A home copied away and back."""

from __future__ import annotations

import os
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from node.hands.backup import copy_home, restore_home
from node.hands.keys import load_office_keys, make_office_keys, save_office_keys
from node.hands.open_world import SystemClock, Threads
from node.hands.storage.durable import write_file
from node.hands.storage.file_blobs import listing
from node.hands.storage.home import Home
from node.hands.storage.lmdb_kv import LmdbStore
from node.hands.storage.vault import Vault, open_vault
from node.office.catalog import put_bytes
from protocol.errors import ConfigError, Corrupt
from protocol.ids import BlobId, OfficeCode
from protocol.limits import PACKED_BYTES_MAX

CODE = OfficeCode("320581")
TABLES = ("note", "spool")


SMALL, LARGE = b"blob", bytes(PACKED_BYTES_MAX) + b"large"


def quiet(*_: object) -> None:
    pass


def store_of(home: Home) -> AbstractAsyncContextManager[Vault]:
    return open_vault(home.vault, home.blobs, home.staging, Threads(), SystemClock())


async def restore(source: Path, root: Path) -> dict[str, Any]:
    return await restore_home(source, root, Threads(), SystemClock(), quiet)


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)


async def backed_up(tmp_path: Path) -> tuple[Home, Path]:
    home = Home.create(tmp_path / "home")
    save_office_keys(home.keys, make_office_keys(CODE, os.urandom))
    for path, text in ((home.config, b"[log]\n"), (home.token, b"t\n"), (home.genesis, b"g\n")):
        write_file(path, text)
    (home.cache / "derived").write_bytes(b"x")
    store = LmdbStore(home.ledger, TABLES, 2**24)
    await store.write(lambda writer: writer.put("note", b"k", b"v"))
    target = tmp_path / "backup"
    target.mkdir()
    async with store_of(home) as blobs:
        for data in (SMALL, LARGE):
            await put_bytes(blobs, data)
        told = await copy_home(home, store, blobs, target, Threads(), SystemClock(), quiet)
        assert (told["files"], told["damaged"]) == (2, [])
    await store.write(lambda writer: writer.put("note", b"k", b"later"))
    await store.close()
    return home, target


async def test_what_is_restored_is_what_was_backed_up(tmp_path: Path) -> None:
    home, backup = await backed_up(tmp_path)
    assert backup.stat().st_mode & 0o777 == 0o700
    assert sorted(path.name for path in backup.iterdir()) == [
        "FORMAT", "blobs", "genesis.note", "keys", "ledger", "node.toml", "token"
    ]  # fmt: skip
    assert (await restore(backup, tmp_path / "new"))["files"] == 2
    new = Home.open(tmp_path / "new")
    kept, restored = (load_office_keys(each.keys)[CODE][0] for each in (home, new))
    assert restored.log.seed == kept.log.seed
    assert {path.stat().st_mode & 0o777 for path in new.keys.rglob("*.pem")} == {0o600}
    for one, other in ((home.config, new.config), (home.token, new.token)):
        assert one.read_bytes() == other.read_bytes()
    async with store_of(new) as blobs:
        for data in (SMALL, LARGE):
            assert await blobs.read(BlobId.of(data), 0, len(data)) == data
    assert list(new.cache.iterdir()) == [], "what is derived is made again"
    store = LmdbStore(new.ledger, TABLES, 2**24)
    with store.read() as reader:
        assert reader.get("note", b"k") == b"v"
    await store.close()


@pytest.mark.parametrize(("bad", "good"), [(SMALL, LARGE), (LARGE, SMALL)])
async def test_a_damaged_file_of_a_backup_is_named_and_left_out(
    tmp_path: Path, bad: bytes, good: bytes
) -> None:
    _, backup = await backed_up(tmp_path)
    blob = BlobId.of(bad)
    path, at = next((p, at) for b, p, at in listing(backup / "blobs") if b == blob)
    flip(path, at + 2)
    with pytest.raises(Corrupt, match=f"1 damaged: .*{blob.hex}"):
        await restore(backup, tmp_path / "new")
    new = Home.open(tmp_path / "new")
    async with store_of(new) as blobs:
        assert list(blobs.scan()) == [BlobId.of(good)]
    assert new.config.exists()


async def test_a_damaged_file_of_the_home_is_named_and_not_copied(tmp_path: Path) -> None:
    home, _ = await backed_up(tmp_path)
    blob = BlobId.of(LARGE)
    flip(home.blobs / blob.hex[:2] / blob.hex[2:], 9)
    again = tmp_path / "again"
    again.mkdir()
    store = LmdbStore(home.ledger, TABLES, 2**24)
    async with store_of(home) as blobs:
        told = await copy_home(home, store, blobs, again, Threads(), SystemClock(), quiet)
    await store.close()
    assert (told["files"], told["damaged"]) == (1, [blob.hex])


async def test_where_nothing_can_be_restored(tmp_path: Path) -> None:
    home, backup = await backed_up(tmp_path)
    with pytest.raises(ConfigError, match="new or empty"):
        await restore(backup, home.root)
    with pytest.raises(ConfigError, match="made by fangzhi backup"):
        await restore(tmp_path, tmp_path / "new")
    assert not (tmp_path / "new").exists()
