"""The reading tables, derived once for all tests of this room."""

from __future__ import annotations

import pytest

from search_shard.tables import Tables, build_tables


@pytest.fixture(scope="session")
def tables_bytes() -> bytes:
    return build_tables()


@pytest.fixture(scope="session")
def tables(tables_bytes: bytes) -> Tables:
    return Tables.from_bytes(tables_bytes)
