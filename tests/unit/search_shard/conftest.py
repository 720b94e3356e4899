"""The reading tables, derived once for all tests of this room and all processes that run them."""

from __future__ import annotations

import fcntl

import pytest

from search_shard.tables import Tables, build_tables


@pytest.fixture(scope="session")
def tables_bytes(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> bytes:
    folder = tmp_path_factory.getbasetemp()
    if hasattr(request.config, "workerinput"):  # under xdist the folder above is one for all
        folder = folder.parent
    kept = folder / "tables.bin"
    with (folder / "tables.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            kept.write_bytes(build_tables())
    return kept.read_bytes()


@pytest.fixture(scope="session")
def tables(tables_bytes: bytes) -> Tables:
    return Tables.from_bytes(tables_bytes)
