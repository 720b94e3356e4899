from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.limits import SNIPPET_CHARS
from search_shard.fold import is_skipped
from search_shard.parse import Rules, parse_query
from search_shard.rank import Hit
from search_shard.snippet import LINES_MAX
from search_shard.tables import Tables
from tests.unit.search_shard.pages import LITERAL, ONE, answer, ask, page, shard_of, why


def first_hit(tables: Tables, text: str, typed: str) -> Hit:
    return ask(shard_of(tables, [page(text)]), typed, tables).hits[0]


def marked(hit: Hit) -> list[str]:
    return [hit.snippet[start:end] for start, end in hit.highlights]


@pytest.mark.parametrize(
    ("text", "typed", "marks"),
    [
        ("知（蘇\n\u3000州）府志", "苏州府", ["蘇\n\u3000州）府"]),  # across a line break
        ("𠮷野𣺌〓，蘇州", "苏州", ["蘇州"]),  # after two of Extension B
        ("𠮷野，\n𣺌〓人", "野渺〓", ["野，\n𣺌〓"]),
        ("在😀\u0301𠮷", "𠮷", ["𠮷"]),
        ("蘇州、蘇洲、素州，蘇州", "苏州", ["蘇州", "蘇州"]),  # as asked, so not as sounds
        ("素州。蘇洲", "苏州", ["素州", "蘇洲"]),
        ("虎兵", "虎丘", ["虎兵"]),
        ("重修寺", "chongxiu", ["重修"]),
        ("虎丘與蘇州。虎丘", "虎丘 苏州", ["虎丘", "蘇州", "虎丘"]),
        ("&KR0001;字", "&KR0001;", ["KR0001"]),
    ],
)
def test_marks_are_of_the_original_text(
    tables: Tables, text: str, typed: str, marks: list[str]
) -> None:
    hit = first_hit(tables, text, typed)
    assert hit.snippet == text
    assert marked(hit) == marks


def test_a_snippet_is_cut_around_the_first_match(tables: Tables) -> None:
    text = "序。" + "中吳紀聞" * 40 + "（蘇\n\u3000州）府志" + "之" * 100 + "蘇州府"
    hit = first_hit(tables, text, "苏州府")
    assert hit.snippet in text
    assert marked(hit) == ["蘇\n\u3000州）府"]
    assert len(hit.snippet) == SNIPPET_CHARS
    assert hit.highlights[0][0] == SNIPPET_CHARS // 4


def test_a_snippet_at_the_end_of_a_page_is_whole(tables: Tables) -> None:
    hit = first_hit(tables, "之" * 300 + "蘇州", "蘇州")
    assert (len(hit.snippet), marked(hit)) == (SNIPPET_CHARS, ["蘇州"])
    assert hit.highlights == ((SNIPPET_CHARS - 2, SNIPPET_CHARS),)


def test_a_match_stretched_over_blank_space_is_shown_up_to_a_bound(tables: Tables) -> None:
    hit = first_hit(tables, "蘇" + " " * 100 + "州", "蘇州")
    assert marked(hit) == ["蘇" + " " * 100 + "州"]
    endless = first_hit(tables, "蘇" + " " * 5000 + "州", "蘇州")
    assert len(endless.snippet) == 2 * SNIPPET_CHARS
    assert marked(endless) == [endless.snippet]


def test_marks_are_bounded_in_number(tables: Tables) -> None:
    hit = first_hit(tables, "州府" * 500, "州")
    assert marked(hit) == ["州"] * 20


@pytest.mark.parametrize(
    ("typed", "rule"),
    [
        ("吴郡图经续记", "title:typed"),
        ("wujuntujing", "title:pinyin"),
        ("wjtjxj", "title:initials"),
        ("吴郡图精", "title:sound"),
        ("卷上", "heading:typed"),
    ],
)
def test_a_match_of_the_title_shows_the_beginning_without_marks(
    tables: Tables, typed: str, rule: str
) -> None:
    hit = ask(shard_of(tables, [ONE]), typed, tables).hits[0]
    assert (why(hit), hit.snippet, hit.highlights) == (rule, ONE.text, ())


def test_every_word_says_why_it_is_here(tables: Tables) -> None:
    shard = shard_of(tables, [page("蘇州虎丘素洲", title="府志")])
    for typed, reasons in {
        "蘇州 虎丘": [(0, "typed", "text", "蘇州"), (1, "typed", "text", "虎丘")],
        "虎丘 suzhou": [(0, "typed", "text", "虎丘"), (1, "pinyin", "text", "蘇州")],
        "虎兵 府志": [(0, "shape", "text", "虎丘"), (1, "typed", "title", "")],
        "虎丘 OR 没有": [(0, "typed", "text", "虎丘")],
        "虎丘 -没有": [(0, "typed", "text", "虎丘")],
    }.items():
        hit = ask(shard, typed, tables).hits[0]
        assert [(r.word, r.rule, r.field, r.found) for r in hit.reasons] == reasons, typed


def test_lines_are_every_occurrence_in_its_context(tables: Tables) -> None:
    text = "之" * 30 + "蘇，\n州府" + "也" * 30 + "蘇州。"
    query = parse_query("苏州", Rules(tables))
    shard = shard_of(tables, [page(text)])
    (hit,) = answer(shard, query, lines=True).hits
    assert [line.match for line in hit.lines] == ["蘇，\n州", "蘇州"]
    assert [line.left + line.match + line.right in text for line in hit.lines] == [True, True]
    assert [len(line.left) for line in hit.lines] == [20, 20]
    assert hit.lines[1].right == "。"
    assert answer(shard, query).hits[0].lines == ()
    many = answer(shard_of(tables, [page("蘇州" * 99)]), query, lines=True).hits[0]
    assert len(many.lines) == LINES_MAX


def test_a_hit_carries_what_a_reader_needs(tables: Tables) -> None:
    hit = ask(shard_of(tables, [ONE]), "虎丘", tables).hits[0]
    assert (hit.office, hit.item, hit.seq, hit.page) == ("320500", "a", 0, "1")
    assert (hit.title, hit.section) == ("吳郡圖經續記", "卷上")
    assert (hit.file, hit.log_index) == ("ab" * 32, 7)


@settings(max_examples=40, deadline=None)
@given(st.text("蘇州𠮷虎 ，\n\u3000", max_size=250), st.text("蘇州𠮷虎", min_size=1, max_size=3))
def test_what_is_marked_is_what_was_asked(tables: Tables, text: str, typed: str) -> None:
    given = ask(shard_of(tables, [page(text)]), typed, tables, LITERAL)
    spoken = "".join(character for character in text if not is_skipped(character))
    assert given.total == (typed in spoken)
    for hit in given.hits:
        assert hit.snippet in text
        assert len(hit.snippet) <= 2 * SNIPPET_CHARS
        assert hit.highlights
        for mark in marked(hit)[:-1]:  # the last one may be cut
            assert "".join(c for c in mark if not is_skipped(c)) == typed
        assert list(hit.highlights) == sorted(hit.highlights)
        assert hit.highlights[-1][1] <= len(hit.snippet)
