"""The compiled kernel against the long way, which defines the answers."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_shard.blocks import open_blocks
from search_shard.build import build_segment
from search_shard.lattice import AND, NEAR, Phrase, Query, Word
from search_shard.layout import KINDS, LEVELS, MAGIC, Page
from search_shard.likeness import Alike
from search_shard.postings import pair_filter
from search_shard.quick import plain_words
from search_shard.rank import HitKey, damping
from search_shard.ranking import Ask, key_of
from search_shard.search import rank
from search_shard.segment import _KERNEL_BLOCKS, Kernel, Segment
from search_shard.shard import Shard
from search_shard.tables import Tables
from tests.unit.search_shard.pages import never, page, segment_of, shard_of

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
    size = len(arrays["points"]) + 1
    beside = pair_filter(
        *((arrays[f"{name}.first_at"], arrays[f"{name}.seconds"]) for name in ("pairs", "heads"))
    )

    def alike(_: int) -> Alike:
        return ((1, size, 4),), "苏", "丘"

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
            kernel = Kernel((*named[:4], dampings, *named[4:11], beside, *named[11:]))
            for question in questions:
                kernel.find(question, 10, None, 2**64 - 1, True, 0)
            for text, anything in (("苏丘", 0), ("州虎志", 0), ("府志兵丘", 15), ("无州府苏州", 3)):
                kernel.near(text, alike, never, anything, 7, None)
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
    none: Alike = (), "", ""
    assert kernel.near("苏丘", lambda _: none, never, 0, 7, None) == (b"",) * 9
    assert kernel.near("苏丘", lambda _: none, lambda: True, 0, 7, None) is None
    for text, alike, mask in (
        ("苏", none, None),
        ("苏" * 33, none, None),
        ("苏丘", (((0, 1, 4),), "", ""), None),
        ("苏丘", (((1, 9, 4),), "", ""), None),
        ("苏丘", (((1, 2, -1),), "", ""), None),
        ("苏丘", none, np.ones(2, bool)),
    ):
        with pytest.raises(ValueError, match=r"bounds|block|size"):
            kernel.near(text, lambda _, told=alike: told, never, 0, 7, mask)  # type: ignore[misc]
    for broken in (lambda _: 1 // 0, lambda _: 3, lambda _: ((3,), "", ""), lambda: none):
        with pytest.raises((ZeroDivisionError, TypeError)):
            kernel.near("苏丘", broken, never, 0, 7, None)  # type: ignore[arg-type]
    with pytest.raises(ZeroDivisionError):
        kernel.near("苏丘", lambda _: none, lambda: bool(1 // 0), 0, 7, None)
    with pytest.raises(TypeError):
        kernel.find(fine, 10)  # type: ignore[call-arg]
    assert len(LEVELS) == 7, "as LEVELS in kernel.c"
