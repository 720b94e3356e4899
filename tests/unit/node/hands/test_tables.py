from __future__ import annotations

from pathlib import Path

import pytest

from node.hands import tables
from node.hands.storage.home import Home
from search_shard.tables import Tables


@pytest.fixture
def derived(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[int]:
    """A user of one's own; grows by one whenever tables are derived."""
    calls: list[int] = []

    def derive() -> tuple[Tables, bytes]:
        calls.append(1)
        return real, data

    data = tables._derived()[1] if not _cached else _cached[0]
    _cached[:] = [data]
    real = Tables.from_bytes(data)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    monkeypatch.setattr(tables, "_derived", derive)
    return calls


_cached: list[bytes] = []


def test_homes_of_one_user_derive_once(derived: list[int], tmp_path: Path) -> None:
    for name in "abc":
        tables.cached_tables(Home.create(tmp_path / name))
    assert len(derived) == 1


def test_a_home_keeps_its_copy(derived: list[int], tmp_path: Path) -> None:
    home = Home.create(tmp_path / "a")
    tables.cached_tables(home)
    next((tmp_path / "user/fangzhi").glob("tables-*.bin")).unlink()
    tables.cached_tables(home)
    assert len(derived) == 1


def test_damaged_caches_are_not_believed(derived: list[int], tmp_path: Path) -> None:
    home = Home.create(tmp_path / "a")
    tables.cached_tables(home)
    for folder in (home.cache, tmp_path / "user/fangzhi"):
        path = next(folder.glob("tables-*.bin"))
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    tables.cached_tables(home)
    assert len(derived) == 2


def test_without_a_user_cache_it_still_works(
    derived: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    tables.cached_tables(Home.create(tmp_path / "a"))
    assert len(derived) == 1
