from __future__ import annotations

import pytest

from search_shard.rules.finder import Fold
from search_shard.tables import Tables


@pytest.fixture(scope="session")
def fold(tables: Tables) -> Fold:
    return tables.fold
