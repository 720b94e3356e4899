"""What scans, old encodings and careless typing bring: kept whole, found, shown, and never slow."""

from __future__ import annotations

import time

import pytest

from protocol.errors import Rejected
from protocol.limits import QUERY_CHARS_MAX, SNIPPET_CHARS
from search_shard.fold import is_skipped
from search_shard.parse import Rules, parse_query
from search_shard.shard import Shard
from search_shard.tables import Tables
from tests.unit.search_shard.pages import answer, ask, page, segment_of, shard_of

BAD = {  # name: (text, what a person types, what is marked)
    "a lone surrogate beside": ("\ud800蘇州府\udfff", "苏州府", "蘇州府"),
    "halves the wrong way round": ("\udc00\ud840蘇州", "苏州", "蘇州"),
    "private use, a word": ("太\ue000湖", "太\ue000湖", "太\ue000湖"),
    "private use of plane 15": ("太\U000f0000湖", "\U000f0000湖", "\U000f0000湖"),
    "U+0000 within": ("蘇\0州\0", "苏州", "蘇\0州"),
    "U+0000 typed": ("蘇州", "苏\0州", "蘇州"),
    "right to left": ("\u202e蘇\u200f州\u2067府\u2069\u202c", "苏州府", "蘇\u200f州\u2067府"),
    "zero width": ("\ufeff蘇\u200b州\u2060府\u200d志", "苏州府志", "蘇\u200b州\u2060府\u200d志"),
    "zero width typed": ("蘇州", "\ufeff苏\u200b州", "蘇州"),
    "a variation selector": ("葛\U000e0100城", "葛城", "葛\U000e0100城"),
    "HTML around": ("<p>&lt;<b>蘇</b>州", "<b>苏</b>州", "<b>蘇</b>州"),
    "a script": ("<script>alert(1)</script>蘇州", "<script>alert(1)</script>", "<script>"),
    "an IDS": ("有⿰氵⿱艹日湖", "⿰氵⿱艹日", "⿰氵⿱艹日"),
    "a gaiji by its id": ("知&KR0001;州", "&KR0001;", "KR0001"),
    "a gaiji as a box": ("知〓州", "知〓州", "知〓州"),
    "Extension B": ("在𠮷𣺌野", "𠮷渺", "𠮷𣺌"),
    "Extension G and H": ("𰻝𱁬麵", "𰻝𱁬面", "𰻝𱁬麵"),
    "a compatibility form": ("蘇州\uf9dc", "苏州隆", "蘇州\uf9dc"),
    "marks heaped up": ("蘇" + "\u0301" * 50 + "州", "苏州", "蘇" + "\u0301" * 50 + "州"),
    "what Unicode has not": ("蘇\uffff\U0010ffff州", "\uffff", "\uffff"),
    "a replacement": ("蘇\ufffd州", "苏\ufffd州", "蘇\ufffd州"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_text_is_kept_found_and_shown(name: str, tables: Tables) -> None:
    text, typed, mark = BAD[name]
    for whole in (text, "序" * 500 + text + "跋" * 500):
        segment = segment_of([page("無", seq=0), page(whole, seq=1)], tables)
        assert segment.text(1) == whole
        given = ask(Shard((segment,)), typed, tables)
        assert [hit.seq for hit in given.hits] == [1]
        (hit,) = given.hits
        assert hit.snippet in whole
        assert len(hit.snippet) <= 2 * SNIPPET_CHARS
        start, end = hit.highlights[0]
        assert hit.snippet[start:end] == mark


@pytest.mark.parametrize(
    ("characters", "skipped"),
    [
        ("\ud800\udbff\udc00\udfff", False),  # each stands for a character that was lost
        ("\ue000\uf8ff\U000f0000\U0010fffd", False),  # characters that a scanner's font had
        ("\0\x01\x1f\x7f\x85", True),
        ("\u200e\u200f\u202a\u202e\u2066\u2069", True),
        ("\u200b\u200c\u200d\u2060\ufeff\u00ad\ufe0f\U000e0100", True),
        ("⿰⿱⿻〓□■●𠮷𰻝\ufffd\uffff<>", False),
        ("&;#/", True),
    ],
)
def test_each_is_skipped_or_a_word(characters: str, skipped: bool) -> None:
    assert {is_skipped(character) for character in characters} == {skipped}


def test_a_text_of_nothing_but_breaks_is_kept(tables: Tables) -> None:
    text = "\0\u200f\ufeff\n" * 1000
    shard = shard_of(tables, [page(text, title="蘇州府志")])
    assert shard.segments[0].text(0) == text
    (hit,) = ask(shard, "苏州府志", tables).hits
    assert (hit.snippet, hit.highlights) == (text[:SNIPPET_CHARS], ())


def test_three_megabytes_without_a_break_are_one_page(tables: Tables) -> None:
    text = "蘇州府志" * 130_000 + "𠮷野" + "卷第" * 240_000  # 3 MB in UTF-8
    assert len(text.encode()) > 3_000_000
    segment = segment_of([page(text)], tables)
    assert segment.text(0) == text
    shard = Shard((segment,))
    for typed, mark in {"𠮷野": "𠮷野", "苏州府志": "蘇州府志", "juandi": "卷第"}.items():
        query = parse_query(typed, Rules(tables))
        (hit,) = answer(shard, query, lines=True).hits
        start, end = hit.highlights[0]
        assert hit.snippet[start:end] == mark
        assert len(hit.snippet) <= 2 * SNIPPET_CHARS


ANSWERED = {
    "one character": "一",
    "the commonest, at the end": "一 NOT 的",
    "two letters": "zh",
    "pinyin as long as may be": "xian" * (QUERY_CHARS_MAX // 4),
    "toned syllables": "xi1" * (QUERY_CHARS_MAX // 3),
    "no syllable": "q" * QUERY_CHARS_MAX,
    "letters and characters in turn": "一a" * (QUERY_CHARS_MAX // 2),
    "brackets left open": "((((一",
    "brackets too many": "一))))((",
    "quotes left open": '「“『"一',
    "an expression": "(.*)+[^一]{9999}$",
    "a marked wildcard": "*一*",
    "mirrored": "\u202e一",
}
REFUSED = {
    "nothing but what to leave out": "NOT 的",
    "wildcards": "*" * 40,
    "wildcards apart": "* " * 40,
    "letters": "a" * 2000,
    "one more than may be": "一" * (QUERY_CHARS_MAX + 1),
    "nesting": "(" * 30 + "一" + ")" * 30,
    "brackets": ")(" * 100,
    "words": " ".join(chr(0x4E00 + n) for n in range(100)),
    "a lone surrogate": "一\ud840",
    "controls": "\0\x01\u200b\u202e",
}


@pytest.fixture(scope="module")
def rules(tables: Tables) -> Rules:
    return Rules.standard(tables)


@pytest.fixture(scope="module")
def crowded(tables: Tables) -> Shard:
    text = "一之的中國縣志卷第一" * 100
    return shard_of(tables, [page(text + chr(0x4E00 + n), seq=n) for n in range(1000)])


@pytest.mark.parametrize("name", ANSWERED)
def test_what_could_explode_is_answered_soon(name: str, rules: Rules, crowded: Shard) -> None:
    began = time.process_time()
    given = answer(crowded, parse_query(ANSWERED[name], rules))
    assert time.process_time() - began < 0.5
    assert given.ranking.exact
    assert all(len(hit.snippet) <= 2 * SNIPPET_CHARS for hit in given.hits)


@pytest.mark.parametrize("name", REFUSED)
def test_what_says_nothing_or_too_much_is_refused_soon(name: str, rules: Rules) -> None:
    began = time.process_time()
    with pytest.raises(Rejected):
        parse_query(REFUSED[name], rules)
    assert time.process_time() - began < 0.1
