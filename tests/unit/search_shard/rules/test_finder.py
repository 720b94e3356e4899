from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from search_shard.rules.finder import Finder, digest

names = st.sets(st.text("甲乙丙", min_size=2, max_size=4), min_size=1, max_size=12)


@given(names, st.text("甲乙丙丁", max_size=12))
def test_finds_the_longest_name_at_each_free_place(known: set[str], word: str) -> None:
    expected, done = [], 0
    for start in range(len(word)):
        ends = [end for end in range(start + 2, len(word) + 1) if word[start:end] in known]
        if start >= done and ends:
            expected.append((start, done := max(ends)))
    assert list(Finder(known).find(word)) == expected


def test_a_digest_tells_tables_apart() -> None:
    assert digest("苏州") != digest("蘇州")
    assert len(digest("")) == 8
