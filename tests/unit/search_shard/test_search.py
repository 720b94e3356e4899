from __future__ import annotations

import random
import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.limits import QUERY_CHARS_MAX, REQUEST_BYTES_MAX
from protocol.shapes import pack
from search_shard.lattice import (
    AND,
    NEAR,
    NOT,
    OR,
    SPOKEN,
    Filter,
    Phrase,
    Query,
    Word,
    check_query,
)
from search_shard.layout import Page
from search_shard.parse import Rules, parse_query
from search_shard.rank import NEAR_BELOW, HitKey
from search_shard.ranking import Ask, key_of
from search_shard.search import rank
from search_shard.segment import Segment
from search_shard.shard import Shard
from search_shard.tables import Tables
from tests.unit.search_shard.pages import LITERAL, ONE, ask, found, page, shard_of, why


@pytest.mark.parametrize(
    ("typed", "rule"),
    [
        ("蘇州", "typed"),
        ("苏州", "typed"),
        ("suzhou", "pinyin"),
        ("su zhou", "pinyin"),
        ("sū zhōu", "pinyin"),
        ("Su1zhou1", "pinyin"),
        ("苏zhou", "pinyin"),
        ("chongxiu", "pinyin"),  # 重 is at home in zhong
        ("素州府", "sound"),
        ("苏洲府", "sound"),
        ("虎兵山", "shape"),
        ("虎丘山寺", "typed"),  # across a line break
        ("州府事重", "typed"),  # across a comma
        ("府", "typed"),
        ("虎丘 苏州", "typed"),
        ("吴郡图经续记", "title:typed"),
        ("wujuntujing", "title:pinyin"),
        ("wjtjxj", "title:initials"),
        ("卷上", "heading:typed"),
    ],
)
def test_one_page_is_found(tables: Tables, typed: str, rule: str) -> None:
    assert found(shard_of(tables, [ONE]), typed, tables) == [(0, rule)]


@pytest.mark.parametrize("typed", ["苏州虎丘", "州苏", "苏州 无锡", "𠮷", "😀", "q", "记知"])
def test_what_is_not_there_is_not_found(tables: Tables, typed: str) -> None:
    answer = ask(shard_of(tables, [ONE]), typed, tables)
    assert (answer.total, answer.near_total, answer.hits) == (0, 0, ())
    assert answer.ranking.exact


def test_the_literal_rule_wants_these_very_characters(tables: Tables) -> None:
    pages = [page("蘇州蘇州", "a"), page("苏州", "b"), page("囯囻圀國国", "c")]
    shard = shard_of(tables, pages)
    for typed, items in {
        "苏州": "b",
        "蘇州": "a",
        "蘇": "a",
        "國": "c",
        "圀國": "c",
        "圀国": "",
    }.items():
        answer = ask(shard, typed, tables, LITERAL)
        assert "".join(hit.item for hit in answer.hits) == items, typed
        assert answer.total == len(items)
    assert ask(shard, "suzhou", tables, LITERAL).total == 0


def test_a_title_is_one_hit_and_comes_first(tables: Tables) -> None:
    pages = [page("虎丘志也", "a", seq, "虎丘志" if seq < 9 else "") for seq in range(3)]
    pages.append(page("虎丘虎丘虎丘", "b"))
    answer = ask(shard_of(tables, pages), "虎丘志", tables)
    assert answer.total == 3
    assert [hit.seq for hit in answer.hits[:3]] == [0, 1, 2]
    assert answer.hits[0].score > answer.hits[1].score == answer.hits[2].score


def test_a_phrase_stays_within_its_field(tables: Tables) -> None:
    shard = shard_of(tables, [page("寺在虎丘", title="太湖", section="山川"), page("之", seq=1)])
    for across in ("湖山", "川寺", "太湖山川", "丘之", "山川寺"):
        assert ask(shard, across, tables).total == 0, across


@pytest.mark.parametrize("typed", ["州", "苏州", "苏州府", "suzhou"])
def test_more_occurrences_rank_higher_and_count_alike(tables: Tables, typed: str) -> None:
    pages = [page("蘇州府" * n + "之" * (15 - 3 * n), "a", n) for n in (1, 2, 3, 5)]
    hits = ask(shard_of(tables, pages), typed, tables).hits
    assert [hit.seq for hit in hits] == [5, 3, 2, 1]
    damping = 600 + 600 * 16 // 500
    details = [1_000_000 * n // (1000 * n + damping) for n in (5, 3, 2, 1)]
    assert [hit.score % 10_000 for hit in hits] == details


def test_extension_b_and_placeholders(tables: Tables) -> None:
    shard = shard_of(tables, [page("𠮷野𣺌〓人&KR0001;😀")])
    for typed in ("𠮷野", "𣺌〓", "〓", "&KR0001;", "😀", "𠮷"):
        assert ask(shard, typed, tables).total == 1, typed


@pytest.mark.parametrize("typed", ["之" * QUERY_CHARS_MAX, "xian" * 50, "zh", "a" * 200, "i" * 12])
def test_long_and_vague_queries_are_answered(tables: Tables, typed: str) -> None:
    assert ask(shard_of(tables, [ONE]), typed, tables).ranking.exact


def test_a_deadline_cuts_short_and_says_so(tables: Tables) -> None:
    shard = shard_of(tables, [ONE], [page("蘇州山寺", "b")])
    query = parse_query("苏州 虎丘山寺", Rules(tables))
    clock = iter([False, True, True, True])
    ranking = rank(shard, query, Ask(late=lambda: next(clock, True), facets=True))
    assert not ranking.exact
    assert rank(shard, query, Ask(late=lambda: True, facets=True)).best == ()
    assert rank(shard, query, Ask(facets=True)).total == 1


def test_the_widest_lattice_that_travels_ends_with_the_deadline(tables: Tables) -> None:
    draw = random.Random(1)
    letters = [chr(point) for point in range(0x4E00, 0x5E00)]
    shard = shard_of(
        tables, [page("".join(draw.choices(letters, k=300)), seq=n) for n in range(200)]
    )
    every, apart = tables.syllables[:128], tables.syllables[::4]
    wide = Word("", (Phrase("pinyin", SPOKEN * 8, (every, apart) * 4),) * 2)
    query = Query("", (wide,) * 10, ("0", *(step for n in range(1, 10) for step in (str(n), AND))))
    check_query(query)
    assert REQUEST_BYTES_MAX // 2 < len(pack(query)) < REQUEST_BYTES_MAX
    started = time.process_time()
    ranking = rank(shard, query, Ask(late=lambda: time.process_time() > started + 0.01))
    assert not ranking.exact
    assert time.process_time() - started < 0.5


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("虎丘 太湖", "b"),
        ("虎丘 OR 太湖", "abc"),
        ("虎丘 -太湖", "a"),
        ("苏州 -虎丘", ""),
        ("(虎丘 OR 太湖) -苏州", "bc"),
        ("虎丘 -没有", "ab"),
    ],
)
def test_words_are_joined_as_asked(tables: Tables, text: str, items: str) -> None:
    shard = shard_of(
        tables, [page("蘇州虎丘", "a"), page("太湖虎丘", "b")], [page("太湖", "c"), page("無", "d")]
    )
    answer = ask(shard, text, tables)
    assert sorted(hit.item for hit in answer.hits) == list(items)
    assert answer.total == len(items)


def test_a_word_that_says_more_counts_more(tables: Tables) -> None:
    shard = shard_of(tables, [page("蘇州虎丘虎丘虎丘", "a"), page("蘇州蘇州蘇州虎丘", "b")])
    words = [
        Word("", (Phrase("typed", text),), weight) for text, weight in (("苏州", 9), ("虎丘", 1))
    ]
    for order, first in ((words, "b"), ([replace(w, weight=10 - w.weight) for w in words], "a")):
        best = rank(shard, Query("", tuple(order), ("0", "1", AND)), Ask()).best
        assert shard.segments[0].owner_of(best[0][2])[1] == first


def test_scopes_are_titles_and_headings_alone(tables: Tables) -> None:
    pages = [page("虎丘", "a"), page("之", "b", title="虎丘"), page("之", "c", section="虎丘志")]
    shard = shard_of(tables, pages)
    for scope, items in (("", "abc"), ("title", "b"), ("heading", "c")):
        query = Query("", (Word("", (Phrase("typed", "虎丘", (), scope),)),), ("0",))
        best = rank(shard, query, Ask()).best
        assert {shard.segments[0].owner_of(one[2])[1] for one in best} == set(items)


def test_pages_by_item_are_counted_where_asked_for(tables: Tables) -> None:
    batches = [[page("蘇州", item, seq) for seq in range(n)] for n, item in ((3, "a"), (2, "b"))]
    shard = shard_of(tables, *batches, [page("無", "c")])
    query = parse_query("苏州", Rules(tables))
    assert rank(shard, query, Ask(limit=1, facets=True)).items == {"a": 3, "b": 2}
    assert rank(shard, query, Ask(limit=1)).items == {}
    every = Query("", (), (), (Filter("item", ("x",), excluded=True),))
    assert rank(Shard(shard.segments), every, Ask()).total == 0  # filters need a catalogue


# Wrong characters: one to a word, and only while few pages match as asked.


def literal_and_near(tables: Tables, literal: int, *, hidden: int = 0) -> list[str]:
    """Reasons of the hits for 虎兵 where so many pages have it and one has 虎丘."""
    written = [page("虎兵", f"a{n}") for n in range(literal + hidden)]
    gone = frozenset(f"a{n}" for n in range(hidden))
    shard = shard_of(tables, written, [page("虎丘", "b")], deleted=gone)
    answer = ask(shard, "虎兵", tables, limit=50)
    assert answer.total + answer.near_total == len(answer.hits)
    return [why(hit) for hit in answer.hits]


def test_nearly_is_looked_for_while_few_pages_match_as_asked(tables: Tables) -> None:
    assert literal_and_near(tables, 0) == ["shape"]
    assert literal_and_near(tables, NEAR_BELOW - 1) == ["typed"] * (NEAR_BELOW - 1) + ["shape"]
    assert literal_and_near(tables, NEAR_BELOW) == ["typed"] * NEAR_BELOW
    assert literal_and_near(tables, 5, hidden=20) == ["typed"] * 5 + ["shape"]


@pytest.mark.parametrize(
    ("text", "typed", "rule"),
    [
        ("蘇州府志", "素州府志", "sound"),
        ("蘇州府志", "素洲府志", None),  # two wrong characters in one word
        ("蘇州 府志", "素州 俯志", "sound"),  # one in each of two words
        ("虎丘寺", "虎兵", "shape"),
        ("虎丘寺", "兵", None),  # one character alone is meant as typed
        ("蘇州府志卷一之一二三四五六", "素州府志卷一之一二三四五六", None),  # and long ones too
        ("己亥", "已亥", "shape"),
    ],
)
def test_one_wrong_character_to_a_word(
    tables: Tables, text: str, typed: str, rule: str | None
) -> None:
    wanted = [] if rule is None else [(0, rule)]
    assert found(shard_of(tables, [page(text)]), typed, tables) == wanted
    assert found(shard_of(tables, [page(text)]), typed, tables, LITERAL) == []


def test_a_page_that_matches_as_asked_is_not_also_a_near_one(tables: Tables) -> None:
    answer = ask(shard_of(tables, [page("虎兵虎丘")]), "虎兵", tables)
    assert (answer.total, answer.near_total) == (1, 0)
    assert len(answer.hits[0].highlights) == 1


def test_sounds_stand_before_shapes(tables: Tables) -> None:
    pages = [page("虎兵虎兵", "a", title="虎兵"), page("虎秋", "b")]
    hits = ask(shard_of(tables, pages), "虎丘", tables).hits
    assert [(hit.item, why(hit)) for hit in hits] == [("b", "sound"), ("a", "shape")]


# Properties.

ALPHABET = "苏蘇州洲虎丘重中国國a1 ，\n𠮷〓"
TEXTS = st.text(ALPHABET, max_size=30)
WORDS = st.text("苏州虎丘重中国a𠮷〓", min_size=1, max_size=4)


@st.composite
def libraries(draw: st.DrawFn) -> list[Page]:
    """Items of a few pages."""
    pages = []
    for item in draw(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=6, unique=True)):
        title = draw(st.text(ALPHABET, max_size=6))
        for seq, text in enumerate(draw(st.lists(TEXTS, min_size=1, max_size=5))):
            section = draw(st.sampled_from(["", "蘇州", "虎丘山"]))
            pages.append(page(text, item, seq, title, section))
    return pages


@st.composite
def queries(draw: st.DrawFn) -> Query:
    texts = draw(st.lists(WORDS, min_size=1, max_size=3))
    near, weights = st.sampled_from([(), NEAR, ("sound",)]), st.integers(0, 300)
    words = tuple(
        Word(text, (Phrase("typed", text, near=draw(near)),), draw(weights)) for text in texts
    )
    joins = [draw(st.sampled_from([AND, AND, OR, NOT])) for _ in texts[1:]]
    plan = ["0"]
    for number, join in enumerate(joins, 1):
        plan += [str(number), join]
    return Query("", words, tuple(plan))


def listed(
    shard: Shard, query: Query, given: Ask
) -> tuple[int, int, list[tuple[int, str, str, int]]]:
    ranking = rank(shard, query, given)
    return ranking.total, ranking.near_total, [key_of(shard, one) for one in ranking.best]


@settings(max_examples=60, deadline=None)
@given(libraries(), queries(), st.randoms())
def test_however_pages_are_batched_the_answer_is_one(
    tables: Tables, pages: list[Page], query: Query, dice: random.Random
) -> None:
    items = sorted({p.item for p in pages})
    whole = listed(shard_of(tables, pages), query, Ask(100))
    apart = shard_of(tables, *([p for p in pages if p.item == item] for item in items))
    assert whole == listed(apart, query, Ask(100))
    dice.shuffle(pages)
    assert whole == listed(shard_of(tables, pages), query, Ask(100))


@settings(max_examples=60, deadline=None)
@given(libraries(), queries(), st.integers(1, 4))
def test_page_after_page_is_the_whole_list(
    tables: Tables, pages: list[Page], query: Query, limit: int
) -> None:
    shard = shard_of(tables, pages[: len(pages) // 2], pages[len(pages) // 2 :])
    total, near_total, whole = listed(shard, query, Ask(100))
    read: list[HitKey] = []
    while some := listed(shard, query, Ask(limit, after=read[-1] if read else None))[2]:
        read += some
    assert read == whole
    assert len(whole) == total + near_total


def test_a_segment_is_searched_without_being_changed(tables: Tables) -> None:
    segment = shard_of(tables, [ONE]).segments[0]
    assert isinstance(segment, Segment)
    before = {name: block.tobytes() for name, block in segment.arrays.items()}
    for typed in ("苏州", "州", "素州府", "suzhou", "wjtjxj"):
        ask(Shard((segment,)), typed, tables)
    assert {name: block.tobytes() for name, block in segment.arrays.items()} == before
