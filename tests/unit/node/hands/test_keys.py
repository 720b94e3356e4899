"""Private keys on disk: mode, purpose, never overwritten."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from node.hands.keys import (
    PURPOSES,
    load_key,
    load_office_keys,
    make_office_keys,
    save_key,
    save_office_keys,
)
from protocol.errors import ConfigError, Missing
from protocol.ids import OfficeCode
from protocol.keys import SigningKey

CITY, COUNTY = OfficeCode("320500"), OfficeCode("320581")


def test_keys_come_back_and_nobody_else_reads_them(tmp_path: Path) -> None:
    made = {code: make_office_keys(code, os.urandom) for code in (COUNTY, CITY)}
    for keys in made.values():
        save_office_keys(tmp_path, keys)
    loaded = load_office_keys(tmp_path)
    assert list(loaded) == [CITY, COUNTY]
    for code, keys in loaded.items():
        seeds = [getattr(keys, purpose).seed for purpose in PURPOSES]
        assert seeds == [getattr(made[code], purpose).seed for purpose in PURPOSES]
        assert len(set(seeds)) == 4
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    assert made[CITY].log.seed.hex() not in repr(made[CITY])


def test_keys_are_never_overwritten(tmp_path: Path) -> None:
    first = make_office_keys(CITY, os.urandom)
    save_office_keys(tmp_path, first)
    with pytest.raises(ConfigError, match="never overwritten"):
        save_office_keys(tmp_path, make_office_keys(CITY, os.urandom))
    assert load_office_keys(tmp_path)[CITY].log.seed == first.log.seed


def test_a_key_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    save_key(tmp_path / "320500.event.pem", SigningKey.from_seed(bytes(32)))
    with pytest.raises(Missing, match=r"320500\.log\.pem"):
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
