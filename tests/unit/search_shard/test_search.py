from __future__ import annotations

import json
import lzma
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
from judge import Judge

from protocol.errors import DecodeError, Rejected
from protocol.limits import HITS_MAX, QUERY_CHARS_MAX, SNIPPET_CHARS
from protocol.shapes import pack, unpack
from search_shard.federate import merge
from search_shard.query import Choice, Query, check_query, parse_query
from search_shard.rank import Hit, ShardAnswer, is_near
from search_shard.search import search
from search_shard.segment import Page, Segment, build_segment, merge_segments
from search_shard.shard import Shard
from search_shard.tables import Tables

NEVER = lambda: False  # noqa: E731


def page(text: str, item: str = "a", seq: int = 0, title: str = "", section: str = "") -> Page:
    return Page(item, "320500", seq, str(seq + 1), title, section, text, "ab" * 32, 7)


def shard_of(
    tables: Tables, *batches: Sequence[Page], deleted: frozenset[str] = frozenset()
) -> Shard:
    built = (Segment.open(build_segment(batch, tables), tables) for batch in batches)
    return Shard(tuple(built), deleted)


def ask(
    shard: Shard, text: str, tables: Tables, mode: str = "auto", limit: int = 10
) -> ShardAnswer:
    query = parse_query(text, mode, tables)
    assert unpack(Query, pack(query), bytes_max=2**20, where="query") == query
    return search(shard, query, limit, NEVER)


def found(shard: Shard, text: str, tables: Tables, mode: str = "auto") -> list[tuple[int, str]]:
    return [(hit.seq, hit.matched_by) for hit in ask(shard, text, tables, mode).hits]


ONE = page("知蘇州府事，重脩虎丘\n山寺。", title="吳郡圖經續記", section="卷上")


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


def test_snippet_and_highlights_are_of_the_original(tables: Tables) -> None:
    text = "序。" + "中吳紀聞" * 40 + "（蘇\n　州）府志" + "之" * 100
    hit = ask(shard_of(tables, [page(text)]), "苏州府", tables).hits[0]
    (start, end), *rest = hit.highlights
    assert hit.snippet in text
    assert hit.snippet[start:end] == "蘇\n　州）府"
    assert not rest
    assert len(hit.snippet) <= 2 * SNIPPET_CHARS


def test_hit_carries_what_a_reader_needs(tables: Tables) -> None:
    hit = ask(shard_of(tables, [ONE]), "虎丘", tables).hits[0]
    assert (hit.office, hit.item, hit.seq, hit.page) == ("320500", "a", 0, "1")
    assert (hit.title, hit.section) == ("吳郡圖經續記", "卷上")
    assert (hit.file, hit.log_index) == ("ab" * 32, 7)
    assert unpack(Hit, pack(hit), bytes_max=2**16, where="hit") == hit


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


@pytest.mark.parametrize("typed", ["", "  \n", "，。！", "蘇" * 10_000, "\ud840", "一 " * 50])
def test_refused_queries_say_why(tables: Tables, typed: str) -> None:
    with pytest.raises(Rejected, match="query: expected"):
        parse_query(typed, "auto", tables)
    with pytest.raises(Rejected, match="search mode"):
        parse_query("苏州", "fuzzy", tables)


@pytest.mark.parametrize("typed", ["之" * QUERY_CHARS_MAX, "xian" * 50, "zh", "a" * 200, "i" * 12])
def test_long_and_vague_queries_are_bounded(tables: Tables, typed: str) -> None:
    query = parse_query(typed, "auto", tables)
    check_query(query)
    assert len(pack(query)) < 100_000
    assert ask(shard_of(tables, [ONE]), typed, tables).total_is_exact


def test_a_lattice_out_of_bounds_is_refused(tables: Tables) -> None:
    query = parse_query("苏州", "auto", tables)
    wide = replace(query.words[0].phrases[0].cells[0], choices=(Choice("exact", "苏" * 999, ()),))
    word = replace(query.words[0], phrases=(replace(query.words[0].phrases[0], cells=(wide,)),))
    for bad in (replace(query, words=()), replace(query, words=(word,))):
        with pytest.raises(DecodeError):
            search(shard_of(tables, [ONE]), bad, 10, NEVER)


def test_a_deadline_cuts_short_and_says_so(tables: Tables) -> None:
    shard = shard_of(tables, [ONE], [page("蘇州", "b")])
    query = parse_query("苏州", "auto", tables)
    clock = iter([False, True, True, True])
    answer = search(shard, query, 10, lambda: next(clock, True))
    assert (answer.total, answer.total_is_exact) == (1, False)
    assert search(shard, query, 10, lambda: True) == ShardAnswer(0, False, ())


def test_deleted_items_are_gone(tables: Tables) -> None:
    pages = [page("蘇州", item, seq) for item in "abc" for seq in range(2)]
    shard = shard_of(tables, pages, deleted=frozenset({"b", "unknown"}))
    answer = ask(shard, "苏州", tables)
    assert (answer.total, shard.pages) == (4, 4)
    assert {hit.item for hit in answer.hits} == {"a", "c"}
    merged = merge_segments(shard.segments, shard.deleted, tables)
    assert merged == build_segment([p for p in pages if p.item != "b"], tables)


def test_nearly_is_dropped_where_enough_matches_as_asked(tables: Tables) -> None:
    near = ask(shard_of(tables, [page("虎丘寺", "a")]), "虎兵", tables)
    asked = ask(shard_of(tables, [page("虎兵", "b", seq) for seq in range(12)]), "虎兵", tables)
    few = ask(shard_of(tables, [page("虎兵", "c", seq) for seq in range(3)]), "虎兵", tables)
    assert (near.total, asked.total, few.total) == (1, 12, 3)
    both = merge([near, asked], 20)
    assert both.total == 12
    assert {hit.matched_by for hit in both.hits} == {"exact"}
    mixed = merge([near, few], 20)
    assert mixed.total == 4
    assert [hit.matched_by for hit in mixed.hits] == ["exact"] * 3 + ["shape"]


def test_limit_holds_and_totals_do_not_depend_on_it(tables: Tables) -> None:
    shard = shard_of(tables, [page("蘇州", "a", seq) for seq in range(200)])
    answer = ask(shard, "苏州", tables, limit=10_000)
    assert (answer.total, len(answer.hits)) == (200, HITS_MAX)
    assert len(ask(shard, "苏州", tables, limit=12).hits) == 12
    assert len(merge([answer], 3).hits) == 3


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


@settings(max_examples=80, deadline=None)
@given(libraries(), QUERIES, st.sampled_from(["auto", "exact", "pinyin"]), st.randoms())
def test_totals_are_those_of_a_scan_however_pages_are_batched(
    tables: Tables, pages: list[Page], typed: str, mode: str, random: object
) -> None:
    try:
        query = parse_query(typed, mode, tables)
    except Rejected:
        return
    literal = Judge(pages, tables).matching(query)
    items = sorted({p.item for p in pages})
    whole = search(shard_of(tables, pages), query, HITS_MAX, NEVER)
    apart = shard_of(tables, *([p for p in pages if p.item == item] for item in items))
    asked = {(hit.office, hit.item, hit.seq) for hit in whole.hits if not is_near(hit)}
    assert asked == literal
    assert whole.total == len(whole.hits) >= len(literal)
    assert whole == search(apart, query, HITS_MAX, NEVER)
    shuffled = list(pages)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    data = build_segment(pages, tables)
    assert build_segment(shuffled, tables) == data
    assert merge_segments(apart.segments, frozenset(), tables) == data
    assert list(Segment.open(data, tables).read_pages()) == sorted(
        pages, key=lambda p: (p.item, p.seq)
    )


def test_real_pages_against_a_scan(tables: Tables, data_dir: Path) -> None:
    pages: list[Page] = []
    numbers: Counter[str] = Counter()
    with lzma.open(data_dir / "jiangsu" / "pages.jsonl.xz", "rt") as lines:
        for line, _ in zip(lines, range(3000), strict=False):
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
        answer = search(shard, query, HITS_MAX, NEVER)
        near = [hit for hit in answer.hits if is_near(hit)]
        assert answer.total - len(near) == len(judge.matching(query)), typed
