"""Words that pinyin may stand for, against a scan of the pages."""

from __future__ import annotations

import random
from collections import Counter

from search_shard.candidates import words_of
from search_shard.shard import Shard
from search_shard.tables import Tables
from tests.unit.search_shard.pages import page, shard_of


def scan(texts: list[str], first: str, second: str, tables: Tables) -> Counter[str]:
    """Pages of every word that reads so."""
    found: Counter[str] = Counter()
    for text in texts:
        folded = tables.fold(text)
        words = {folded[at : at + 2] for at in range(len(folded) - 1)}
        for word in words:
            if first in tables.readings(word[0]) and second in tables.readings(word[1]):
                found[word] += 1
    return found


def test_words_are_counted_by_the_pages_that_may_be_found(tables: Tables) -> None:
    rng = random.Random(4)
    texts = ["".join(rng.choices("蘇宿素州周肃重庆六合", k=12)) for _ in range(60)]
    pages = [page(text, item=f"b{at % 3}", seq=at) for at, text in enumerate(texts)]
    shard = shard_of(tables, pages[:40], pages[40:])
    for first, second in [("su", "zhou"), ("chong", "qing"), ("lu", "he"), ("liu", "he")]:
        assert words_of(shard, first, second) == scan(texts, first, second, tables)
    hidden = Shard(shard.segments, frozenset({"b1"}))
    shown = [text for at, text in enumerate(texts) if at % 3 != 1]
    assert words_of(hidden, "su", "zhou") == scan(shown, "su", "zhou", tables)


def test_what_nobody_reads_so_is_no_word(tables: Tables) -> None:
    shard = shard_of(tables, [page("苏州")])
    assert words_of(shard, "su", "zhong") == words_of(shard, "x", "zhou") == Counter()
    assert words_of(Shard(()), "su", "zhou") == Counter()
