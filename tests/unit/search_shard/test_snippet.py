from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.limits import SNIPPET_CHARS
from search_shard.fold import is_skipped
from search_shard.rank import Hit
from search_shard.tables import Tables
from tests.unit.search_shard.pages import ONE, ask, page, shard_of


def first_hit(tables: Tables, text: str, typed: str, mode: str = "auto") -> Hit:
    return ask(shard_of(tables, [page(text)]), typed, tables, mode).hits[0]


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
    ("typed", "why"),
    [
        ("吴郡图经续记", "title:variant"),
        ("wujuntujing", "title:pinyin"),
        ("wjtjxj", "title:initials"),
        ("吴郡图精", "title:sound"),
        ("卷上", "title:exact"),
    ],
)
def test_a_match_of_the_title_shows_the_beginning_without_marks(
    tables: Tables, typed: str, why: str
) -> None:
    hit = ask(shard_of(tables, [ONE]), typed, tables).hits[0]
    assert (hit.matched_by, hit.snippet, hit.highlights) == (why, ONE.text, ())


def test_the_costliest_word_says_why(tables: Tables) -> None:
    shard = shard_of(tables, [page("蘇州虎丘素洲")])
    for typed, why in [
        ("蘇州 虎丘", "exact"), ("蘇州 苏州", "variant"), ("虎丘 suzhou", "pinyin"),
        ("虎丘 素舟", "sound"), ("虎兵 蘇州", "shape"),
    ]:  # fmt: skip
        assert ask(shard, typed, tables).hits[0].matched_by == why, typed


def test_a_hit_carries_what_a_reader_needs(tables: Tables) -> None:
    hit = ask(shard_of(tables, [ONE]), "虎丘", tables).hits[0]
    assert (hit.office, hit.item, hit.seq, hit.page) == ("320500", "a", 0, "1")
    assert (hit.title, hit.section) == ("吳郡圖經續記", "卷上")
    assert (hit.file, hit.log_index) == ("ab" * 32, 7)


@settings(max_examples=40, deadline=None)
@given(st.text("蘇州𠮷虎 ，\n\u3000", max_size=250), st.text("蘇州𠮷虎", min_size=1, max_size=3))
def test_what_is_marked_is_what_was_asked(tables: Tables, text: str, typed: str) -> None:
    answer = ask(shard_of(tables, [page(text)]), typed, tables, "exact")
    spoken = "".join(character for character in text if not is_skipped(character))
    assert answer.total == (typed in spoken)
    for hit in answer.hits:
        assert hit.snippet in text
        assert len(hit.snippet) <= 2 * SNIPPET_CHARS
        assert hit.highlights
        for mark in marked(hit)[:-1]:  # the last one may be cut
            assert "".join(c for c in mark if not is_skipped(c)) == typed
        assert list(hit.highlights) == sorted(hit.highlights)
        assert hit.highlights[-1][1] <= len(hit.snippet)
