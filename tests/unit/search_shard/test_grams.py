from __future__ import annotations

import random

import pytest

from search_shard import grams, match
from search_shard.postings import LONG
from search_shard.tables import Tables
from tests.unit.search_shard.pages import ask, page, shard_of


def test_longer_runs_and_best_pages_are_those_of_a_scan(
    tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grams, "COMMON_PAGES", LONG)  # a pair in a long list, at least
    monkeypatch.setattr(match, "COMMON_PAGES", LONG)
    dice = random.Random(1)
    texts = ["".join(dice.choices("蘇州府志虎丘", (9, 9, 5, 3, 1, 1), k=30)) for _ in range(400)]
    shard = shard_of(tables, [page(text, seq=seq) for seq, text in enumerate(texts)])
    assert [len(level.common) > 0 for level in shard.segments[0].levels] == [True] * 2 + [False] * 5
    spoken = [tables.fold(text) for text in texts]
    for typed in ("苏州府", "州府志", "苏州苏", "州州州", "府志虎", "苏", "丘", "苏州府志"):
        answer = ask(shard, typed, tables, limit=20)
        often = [sum(t.startswith(typed, at) for at in range(30)) for t in spoken]
        wanted = sorted((-count, seq) for seq, count in enumerate(often) if count)
        assert answer.total == len(wanted), typed
        assert [hit.seq for hit in answer.hits][: len(wanted)] == [seq for _, seq in wanted[:20]], (
            typed
        )
