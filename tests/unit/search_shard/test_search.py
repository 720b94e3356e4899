from __future__ import annotations

import json
import lzma
import random
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from search_shard.query import Cell, Choice, Phrase, Query, Word, parse_query

from protocol.errors import DecodeError, Rejected
from protocol.limits import HITS_MAX, QUERY_CHARS_MAX, REQUEST_BYTES_MAX
from protocol.shapes import pack
from search_shard.layout import Page
from search_shard.rank import NEAR_BELOW, ShardAnswer, is_near
from search_shard.search import search
from search_shard.tables import Tables
from tests.unit.search_shard.judge import Judge
from tests.unit.search_shard.pages import ONE, ask, found, never, page, shard_of


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("蘇州", "exact"),
        ("苏州", "variant"),
        ("suzhou", "pinyin"),
        ("su zhou", "pinyin"),
        ("sū zhōu", "pinyin"),
        ("Su1zhou1", "pinyin"),
        ("苏zhou", "pinyin"),
        ("chongxiu", "pinyin"),  # 重 is at home in zhong
        ("素州府", "sound"),
        ("苏洲府", "sound"),
        ("虎兵山", "shape"),
        ("虎丘山寺", "exact"),  # across a line break
        ("州府事重", "exact"),  # across a comma
        ("府", "exact"),
        ("虎丘 苏州", "variant"),
        ("吴郡图经续记", "title:variant"),
        ("wujuntujing", "title:pinyin"),
        ("wjtjxj", "title:initials"),
        ("卷上", "title:exact"),
    ],
)
def test_one_page_is_found(tables: Tables, typed: str, why: str) -> None:
    assert found(shard_of(tables, [ONE]), typed, tables) == [(0, why)]


@pytest.mark.parametrize("typed", ["苏州虎丘", "sz", "州苏", "苏州 无锡", "𠮷", "😀", "q", "记知"])
def test_what_is_not_there_is_not_found(tables: Tables, typed: str) -> None:
    assert ask(shard_of(tables, [ONE]), typed, tables) == ShardAnswer(0, True, ())


def test_modes(tables: Tables) -> None:
    shard = shard_of(tables, [ONE])
    assert found(shard, "苏州", tables, "exact") == []
    assert found(shard, "蘇州", tables, "exact") == [(0, "exact")]
    assert found(shard, "suzhou", tables, "exact") == []
    assert found(shard, "素周", tables, "pinyin") == [(0, "pinyin")]


def test_a_title_is_one_hit_and_comes_first(tables: Tables) -> None:
    pages = [page("虎丘志也", "a", seq, "虎丘志" if seq < 9 else "") for seq in range(3)]
    pages.append(page("虎丘虎丘虎丘", "b"))
    answer = ask(shard_of(tables, pages), "虎丘志", tables)
    assert answer.total == 3
    assert [hit.seq for hit in answer.hits] == [0, 1, 2]
    assert answer.hits[0].score > answer.hits[1].score == answer.hits[2].score


def test_a_phrase_stays_within_its_field(tables: Tables) -> None:
    shard = shard_of(tables, [page("寺在虎丘", title="太湖", section="山川"), page("之", seq=1)])
    for across in ("湖山", "川寺", "太湖山川", "丘之", "山川寺"):
        assert ask(shard, across, tables, "exact").total == 0, across


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


def test_a_lattice_out_of_bounds_is_refused(tables: Tables) -> None:
    query = parse_query("苏州", "auto", tables)
    wide = replace(query.words[0].phrases[0].cells[0], choices=(Choice("exact", "苏" * 999, ()),))
    word = replace(query.words[0], phrases=(replace(query.words[0].phrases[0], cells=(wide,)),))
    for bad in (replace(query, words=()), replace(query, words=(word,))):
        with pytest.raises(DecodeError):
            search(shard_of(tables, [ONE]), bad, 10, never)


@pytest.mark.parametrize("typed", ["之" * QUERY_CHARS_MAX, "xian" * 50, "zh", "a" * 200, "i" * 12])
def test_long_and_vague_queries_are_answered(tables: Tables, typed: str) -> None:
    assert ask(shard_of(tables, [ONE]), typed, tables).total_is_exact


def test_a_deadline_cuts_short_and_says_so(tables: Tables) -> None:
    shard = shard_of(tables, [ONE], [page("蘇州", "b")])
    query = parse_query("苏州", "auto", tables)
    clock = iter([False, True, True, True])
    answer = search(shard, query, 10, lambda: next(clock, True))
    assert (answer.total, answer.total_is_exact) == (1, False)
    assert [hit.item for hit in answer.hits] == ["a"]
    assert search(shard, query, 10, lambda: True) == ShardAnswer(0, False, ())


def test_the_widest_lattice_that_travels_ends_with_the_deadline(tables: Tables) -> None:
    draw = random.Random(1)
    letters = [chr(point) for point in range(0x4E00, 0x5E00)]
    shard = shard_of(
        tables, [page("".join(draw.choices(letters, k=300)), seq=n) for n in range(200)]
    )
    every = Cell((Choice("pinyin", "", tables.syllables[:128]),))
    apart = Cell((Choice("pinyin", "", tables.syllables[::4]),))
    wide = Word((Phrase((every, apart) * 4, titles_only=False),) * 2)
    query = Query("", "auto", (wide,) * 10)
    assert REQUEST_BYTES_MAX // 2 < len(pack(query)) < REQUEST_BYTES_MAX
    started = time.process_time()
    answer = search(shard, query, 10, lambda: time.process_time() > started + 0.01)
    assert not answer.total_is_exact
    assert time.process_time() - started < 0.5


def test_limit_holds_and_totals_do_not_depend_on_it(tables: Tables) -> None:
    shard = shard_of(tables, [page("蘇州", "a", seq) for seq in range(200)])
    answer = ask(shard, "苏州", tables, limit=10_000)
    assert (answer.total, len(answer.hits)) == (200, HITS_MAX)
    for limit in (1, 12, 50):
        fewer = ask(shard, "苏州", tables, limit=limit)
        assert fewer == replace(answer, hits=answer.hits[: max(limit, NEAR_BELOW)])


# Wrong characters: one to a word, and only while few pages match as asked.


def literal_and_near(tables: Tables, literal: int, *, hidden: int = 0) -> list[str]:
    """Reasons of the hits for 虎兵 where so many pages have it and one has 虎丘."""
    written = [page("虎兵", f"a{n}") for n in range(literal + hidden)]
    gone = frozenset(f"a{n}" for n in range(hidden))
    shard = shard_of(tables, written, [page("虎丘", "b")], deleted=gone)
    answer = ask(shard, "虎兵", tables, limit=50)
    assert answer.total == len(answer.hits)
    return [hit.matched_by for hit in answer.hits]


def test_nearly_is_looked_for_while_few_pages_match_as_asked(tables: Tables) -> None:
    assert literal_and_near(tables, 0) == ["shape"]
    assert literal_and_near(tables, NEAR_BELOW - 1) == ["exact"] * (NEAR_BELOW - 1) + ["shape"]
    assert literal_and_near(tables, NEAR_BELOW) == ["exact"] * NEAR_BELOW
    assert literal_and_near(tables, 5, hidden=20) == ["exact"] * 5 + ["shape"]


@pytest.mark.parametrize(
    ("text", "typed", "why"),
    [
        ("蘇州府志", "素州府志", "sound"),
        ("蘇州府志", "苏州府老", None),  # neither sounds nor looks like 志
        ("蘇州府志", "素洲府志", None),  # two wrong characters in one word
        ("蘇州 府志", "素州 俯志", "sound"),  # one in each of two words
        ("虎丘寺", "虎兵", "shape"),
        ("虎丘寺", "兵", None),  # one character alone is meant as typed
        ("蘇州府志卷一之一二三四五六", "素州府志卷一之一二三四五六", None),  # and long ones too
        ("己亥", "已亥", "shape"),
    ],
)
def test_one_wrong_character_to_a_word(
    tables: Tables, text: str, typed: str, why: str | None
) -> None:
    wanted = [] if why is None else [(0, why)]
    assert found(shard_of(tables, [page(text)]), typed, tables) == wanted
    assert found(shard_of(tables, [page(text)]), typed, tables, "exact") == []


def test_a_page_that_matches_as_asked_is_not_also_a_near_one(tables: Tables) -> None:
    answer = ask(shard_of(tables, [page("虎兵虎丘")]), "虎兵", tables)
    assert (answer.total, [hit.matched_by for hit in answer.hits]) == (1, ["exact"])
    assert len(answer.hits[0].highlights) == 1


def test_sounds_stand_before_shapes(tables: Tables) -> None:
    pages = [page("虎兵虎兵", "a", title="虎兵"), page("虎秋", "b")]
    hits = ask(shard_of(tables, pages), "虎丘", tables).hits
    assert [(hit.item, hit.matched_by) for hit in hits] == [("b", "sound"), ("a", "shape")]


# Properties: the scan is the judge.

ALPHABET = "苏蘇州洲虎丘重中国國a1 ，\n𠮷〓"
TEXTS = st.text(ALPHABET, max_size=30)


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


QUERIES = st.one_of(
    st.text("苏蘇州虎丘重中国a1𠮷〓 ，", min_size=1, max_size=5),
    st.sampled_from(["suzhou", "su zhou", "zhong", "chong", "huqiu", "szhq", "苏zhou", "zhongguo"]),
)


@settings(max_examples=40, deadline=None)
@given(libraries(), QUERIES, st.sampled_from(["auto", "exact", "pinyin"]), st.randoms())
def test_totals_are_those_of_a_scan_however_pages_are_batched(
    tables: Tables, pages: list[Page], typed: str, mode: str, dice: random.Random
) -> None:
    try:
        query = parse_query(typed, mode, tables)
    except Rejected:
        return
    literal = Judge(pages, tables).matching(query)
    items = sorted({p.item for p in pages})
    whole = search(shard_of(tables, pages), query, HITS_MAX, never)
    apart = shard_of(tables, *([p for p in pages if p.item == item] for item in items))
    asked = {(hit.office, hit.item, hit.seq) for hit in whole.hits if not is_near(hit)}
    assert asked == literal
    assert whole.total == len(whole.hits) >= len(literal)
    assert whole == search(apart, query, HITS_MAX, never)
    shuffled = list(pages)
    dice.shuffle(shuffled)
    assert whole == search(shard_of(tables, shuffled), query, HITS_MAX, never)


def test_real_pages_against_a_scan(tables: Tables, data_dir: Path) -> None:
    pages: list[Page] = []
    numbers: Counter[str] = Counter()
    with lzma.open(data_dir / "jiangsu" / "pages.jsonl.xz", "rt") as lines:
        for line, _ in zip(lines, range(1200), strict=False):
            row = json.loads(line)
            item = row["work"] + row["office"]
            pages.append(
                Page(
                    item, row["office"], numbers[item], row["page"], row["title"],
                    row["section"], row["text"], "", 0,
                )
            )  # fmt: skip
            numbers[item] += 1
    shard, judge = shard_of(tables, pages), Judge(pages, tables)
    for typed in ("蘇州", "苏州府", "虎丘 寺", "suzhou", "之", "吳郡圖經", "太湖", "1", "姑苏台"):
        query = parse_query(typed, "auto", tables)
        answer = search(shard, query, HITS_MAX, never)
        near = [hit for hit in answer.hits if is_near(hit)]
        assert answer.total - len(near) == len(judge.matching(query)), typed
