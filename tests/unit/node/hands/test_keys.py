"""Private keys on disk: mode, purpose, never overwritten."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from node.hands.keys import (
    PURPOSES,
    HomeKeys,
    OfficeKeys,
    load_key,
    load_office_keys,
    load_sealing_key,
    make_office_keys,
    save_key,
    save_office_keys,
    save_sealing_key,
)
from protocol.errors import ConfigError, Full, Missing
from protocol.ids import OfficeCode
from protocol.keys import SigningKey, key_id

CITY, COUNTY = OfficeCode("320500"), OfficeCode("320581")


def seeds(keys: OfficeKeys) -> list[bytes]:
    return [getattr(keys, purpose).seed for purpose in PURPOSES]


def test_keys_come_back_and_nobody_else_reads_them(tmp_path: Path) -> None:
    made = {code: make_office_keys(code, os.urandom) for code in (COUNTY, CITY)}
    for keys in made.values():
        save_office_keys(tmp_path, keys)
    loaded = load_office_keys(tmp_path)
    assert list(loaded) == [CITY, COUNTY]
    for code, (keys,) in loaded.items():
        assert seeds(keys) == seeds(made[code])
        assert len(set(seeds(keys))) == 4
    modes = {path.stat().st_mode & 0o777 for path in tmp_path.rglob("*.pem")}
    assert modes == {0o600}
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o700}
    assert made[CITY].log.seed.hex() not in repr(made[CITY])


def test_generations_stand_side_by_side_in_order(tmp_path: Path) -> None:
    made = [make_office_keys(CITY, os.urandom) for _ in range(11)]
    for keys in made:
        save_office_keys(tmp_path, keys)
    assert list(map(seeds, load_office_keys(tmp_path)[CITY])) == list(map(seeds, made))


def test_a_generation_that_a_crash_left_half_is_not_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (make_office_keys(CITY, os.urandom) for _ in range(2))
    save_office_keys(tmp_path, first)
    for good in range(len(PURPOSES)):  # the disk fills after so many files
        left = [good]

        def fails(path: Path, key: SigningKey, left: list[int] = left) -> None:
            if not left[0]:
                raise Full(str(path), "room", "none")
            left[0] -= 1
            save_key(path, key)

        with monkeypatch.context() as patch:
            patch.setattr("node.hands.keys.save_key", fails)
            with pytest.raises(Full):
                save_office_keys(tmp_path, second)
        assert list(map(seeds, load_office_keys(tmp_path)[CITY])) == [seeds(first)]
    save_office_keys(tmp_path, second)
    both = list(map(seeds, load_office_keys(tmp_path)[CITY]))
    assert both == [seeds(first), seeds(second)]


def test_a_users_key_is_kept_by_its_id(tmp_path: Path) -> None:
    keys, key = HomeKeys(tmp_path), SigningKey.from_seed(bytes(range(32)))
    with pytest.raises(Missing):
        keys.user(key_id(key.public))
    keys.keep_user(key)
    assert keys.user(key_id(key.public)).seed == key.seed
    assert keys.offices() == {}


def test_keys_are_never_overwritten(tmp_path: Path) -> None:
    save_key(tmp_path / "root.pem", SigningKey.from_seed(bytes(32)))
    with pytest.raises(ConfigError, match="never overwritten"):
        save_key(tmp_path / "root.pem", SigningKey.from_seed(bytes(32)))


def test_a_key_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    kept = save_office_keys(tmp_path, make_office_keys(CITY, os.urandom))
    (kept / "log.pem").unlink()
    with pytest.raises(Missing, match=r"log\.pem"):
        load_office_keys(tmp_path)
    (tmp_path / "bad.pem").write_bytes(b"-----BEGIN PRIVATE KEY-----\nAAAA\n")
    with pytest.raises(ConfigError, match=r"bad\.pem"):
        load_key(tmp_path / "bad.pem")
    rsa = subprocess.run(
        ["openssl", "genpkey", "-algorithm", "X25519"], capture_output=True, check=False
    )
    if rsa.returncode == 0:
        (tmp_path / "x.pem").write_bytes(rsa.stdout)
        with pytest.raises(ConfigError, match="an Ed25519 key"):
            load_key(tmp_path / "x.pem")


def test_sealing_keys_count_up_and_are_private(tmp_path: Path) -> None:
    keys = HomeKeys(tmp_path)
    assert keys.sealing(COUNTY) == ()
    for private in (bytes([1]) * 32, bytes([2]) * 32):
        keys.keep_sealing(COUNTY, private)
    assert keys.sealing(COUNTY) == (bytes([1]) * 32, bytes([2]) * 32)
    path = tmp_path / f"{COUNTY}.seal.2.pem"
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(ConfigError, match="never overwritten"):
        save_sealing_key(path, bytes([3]) * 32)
    assert keys.offices() == {}  # they are no generation of signing keys


def test_a_signing_key_is_no_sealing_key(tmp_path: Path) -> None:
    save_key(tmp_path / "event.pem", SigningKey.from_seed(bytes(32)))
    with pytest.raises(ConfigError, match="X25519"):
        load_sealing_key(tmp_path / "event.pem")
    save_sealing_key(tmp_path / "seal.pem", bytes([3]) * 32)
    with pytest.raises(ConfigError, match="Ed25519"):
        load_key(tmp_path / "seal.pem")
    with pytest.raises(Missing):
        load_sealing_key(tmp_path / "none.pem")
