"""The compiled kernel against the long way, which defines the answers."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_shard import near
from search_shard.blocks import open_blocks
from search_shard.build import build_segment
from search_shard.lattice import AND, NEAR, Phrase, Query, Word
from search_shard.layout import KINDS, LEVELS, MAGIC, Page
from search_shard.quick import plain_words
from search_shard.rank import HitKey, damping
from search_shard.ranking import Ask, key_of
from search_shard.search import rank
from search_shard.segment import _KERNEL_BLOCKS, Kernel, Segment
from search_shard.shard import Shard
from search_shard.tables import Tables
from tests.unit.search_shard.pages import page, segment_of, shard_of

pytestmark = pytest.mark.skipif(Kernel is None, reason="search_shard/kernel.c is not compiled here")

LETTERS = "蘇州府志虎丘"
RULES = ("typed", "number", "place")


def long_way(shard: Shard) -> Shard:
    return replace(shard, segments=tuple(replace(each, kernel=None) for each in shard.segments))


def told(
    shard: Shard, query: Query, ask: Ask
) -> tuple[int, int, bool, list[HitKey], dict[str, int]]:
    ranking = rank(shard, query, ask)
    best = [key_of(shard, one) for one in ranking.best]
    return ranking.total, ranking.near_total, ranking.exact, best, dict(ranking.items)


texts = st.text(LETTERS + "，", max_size=30)
heads = st.sampled_from(["", "", "虎丘志", "蘇州府志", "州"])
libraries = st.lists(st.tuples(st.sampled_from("abcd"), texts, heads, heads), max_size=12)
phrases = st.builds(
    Phrase, st.sampled_from(RULES), st.text("苏州府志虎丘无", min_size=1, max_size=6)
)
words = st.lists(phrases, min_size=1, max_size=3).map(lambda some: Word("", tuple(some)))
weighted = st.builds(replace, words, weight=st.sampled_from([0, 1, 100, 2500]))


def query_of(some: list[Word]) -> Query:
    plan = ("0", *(step for at in range(1, len(some)) for step in (str(at), AND)))
    return Query("", tuple(some), plan)


@settings(max_examples=200, deadline=None)
@given(
    libraries,
    st.lists(weighted, min_size=1, max_size=3).map(query_of),
    st.sampled_from([1, 3, 64]),
    st.frozensets(st.sampled_from("abcd"), max_size=2),
    st.booleans(),
)
def test_it_finds_what_the_long_way_does(
    tables: Tables,
    library: list[tuple[str, str, str, str]],
    query: Query,
    limit: int,
    hidden: frozenset[str],
    facets: bool,
) -> None:
    pages = [page(text, item, seq, *head) for seq, (item, text, *head) in enumerate(library)]
    shard = shard_of(tables, pages, deleted=hidden)
    ask = Ask(limit, facets=facets)
    assert plain_words(query, ask) is not None
    wanted = told(long_way(shard), query, ask)
    assert told(shard, query, ask) == wanted
    if wanted[3]:
        after = replace(ask, after=wanted[3][len(wanted[3]) // 2])
        assert told(shard, query, after) == told(long_way(shard), query, after)


@settings(max_examples=100, deadline=None)
@given(libraries, st.text("苏州府志虎丘无洲兵", min_size=2, max_size=6))
def test_wrong_characters_are_found_alike(
    tables: Tables, library: list[tuple[str, str, str, str]], text: str
) -> None:
    pages = [page(text, item, seq, *head) for seq, (item, text, *head) in enumerate(library)]
    shard = shard_of(tables, pages)
    query = query_of([Word("", (Phrase("typed", text, (), "", NEAR),))])
    with pytest.MonkeyPatch.context() as patch:
        for read in (0, 400):  # documents that are read rather than like characters looked for
            patch.setattr(near, "_READ_MAX", read)
            ask = Ask(100, facets=True)
            assert told(shard, query, ask) == told(long_way(shard), query, ask)


def frequent(tables: Tables) -> Shard:
    """Pages on which runs of every length are common, rare and in between."""
    dice = random.Random(5)
    runs = ["".join(dice.choices(LETTERS, k=size)) for size in (9, 9, 6, 5, 4, 3)]
    pages: list[Page] = []
    for seq in range(2500):
        text = "".join(dice.choices([*runs, *LETTERS], k=dice.randint(1, 7)))
        pages.append(page(text, f"i{seq % 9}", seq, title="虎丘志" if seq % 700 == 3 else ""))
    return shard_of(tables, pages)


def test_common_runs_of_every_length(tables: Tables) -> None:
    shard = frequent(tables)
    assert all(len(level.common) for level in shard.segments[0].levels)
    dice = random.Random(6)
    folded = [tables.fold(segment_text) for segment_text in _texts(shard.segments[0])]
    hidden = replace(shard, deleted=frozenset({"i3"}))
    for _ in range(300):
        some = []
        for _ in range(dice.choice([1, 1, 1, 2, 3])):
            text = dice.choice(folded)
            start = dice.randrange(len(text))
            some.append(Word("", (Phrase("typed", text[start : start + dice.randint(1, 10)]),)))
        query = query_of(some)
        for each in (shard, hidden):
            for ask in (Ask(10), Ask(100, facets=True)):
                assert told(each, query, ask) == told(long_way(each), query, ask), query


def _texts(segment: Segment) -> list[str]:
    return [segment.text(document) for document in range(segment.pages)]


def test_nothing_in_a_segment_is_believed(tables: Tables) -> None:
    """Blocks with random damage, which no checksum tells: an answer or an error, never a crash."""
    dice = random.Random(7)
    texts = ["".join(dice.choices(LETTERS, (9, 9, 4, 4, 1, 1), k=30)) for _ in range(700)]
    pages = [page(text, seq=seq, title=text[:4]) for seq, text in enumerate(texts)]
    blocks = open_blocks(build_segment(pages, tables), MAGIC, "segment")[1]
    arrays = {name: np.frombuffer(block, KINDS[name]) for name, block in blocks.items()}
    dampings = damping(np.diff(arrays["word_at"]))
    questions = [
        ((100, ((70_000, text),)),) * many
        for text in ("苏", "丘", "苏州", "虎丘", "苏州苏", "府志虎丘", "州府苏州府志")
        for many in (1, 2)
    ]
    answered = refused = 0
    for _ in range(600):
        name = dice.choice(_KERNEL_BLOCKS)
        damaged = bytearray(blocks[name])
        for _ in range(dice.randint(1, 6) if damaged else 0):
            damaged[dice.randrange(len(damaged))] = dice.choice([0, 1, 127, 255])
        named = [bytes(damaged) if each == name else blocks[each] for each in _KERNEL_BLOCKS]
        try:
            kernel = Kernel((*named[:4], dampings, *named[4:]))
            for question in questions:
                kernel.find(question, 10, None, 2**64 - 1, True, 0)
            pattern = np.array([3, 1, 2], np.uint16)
            kernel.around(pattern, 1, np.arange(700, dtype=np.uint16))
            kernel.often(pattern, 2, pattern, np.arange(700, dtype=np.uint64))
            answered += 1
        except ValueError:
            refused += 1
    assert answered
    assert refused


def test_what_it_cannot_be_asked(tables: Tables) -> None:
    kernel = segment_of([page("蘇州")], tables).kernel
    assert kernel is not None
    fine = ((100, ((70_000, "苏州"),)),)
    assert kernel.find(fine, 10, None, 2**64 - 1, False, 3) == (1, [(70_623, 3, 0)], None)
    for bad in (
        ((), 10, None, 2**64 - 1, False, 0),
        (fine, -1, None, 2**64 - 1, False, 0),
        (fine, 10**6, None, 2**64 - 1, False, 0),
        (fine, 10, np.ones(2, bool), 2**64 - 1, False, 0),
        (((100, ((0, "苏州"),)),), 10, None, 2**64 - 1, False, 0),
    ):
        with pytest.raises(ValueError, match=r"bounds|size|class"):
            kernel.find(*bad)  # type: ignore[arg-type]
    codes = np.array([1, 2], np.uint16)
    for at, documents in ((2, [0]), (-1, [0]), (1, [1])):
        with pytest.raises(ValueError, match=r"bounds|block"):
            kernel.around(codes, at, np.array(documents, np.uint16))
        with pytest.raises(ValueError, match=r"bounds|block"):
            kernel.often(codes, at, codes, np.array(documents, np.uint64) | np.uint64(2 << 16))
    with pytest.raises(TypeError):
        kernel.find(fine, 10)  # type: ignore[call-arg]
    assert len(LEVELS) == 7, "as LEVELS in kernel.c"
