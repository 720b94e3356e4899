from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import Rejected
from protocol.limits import QUERY_CHARS_MAX, REQUEST_BYTES_MAX
from protocol.shapes import pack, unpack
from search_shard.lattice import (
    FILTERS_MAX,
    NEAR,
    NEAR_LENGTHS,
    PHRASES_MAX,
    RULES,
    SPOKEN,
    WORDS_MAX,
    Filter,
    Note,
    Phrase,
    Query,
    Word,
    check_query,
)
from search_shard.parse import Rules, parse_query
from search_shard.rules.synonyms import Group, Synonyms
from search_shard.spelling import render
from search_shard.tables import Tables
from search_shard.widening import Alternative

ROOT = Path(__file__).resolve().parents[3]


class Table:
    sign = "."

    def __init__(self, rule: str, words: dict[str, tuple[str, ...]]) -> None:
        self.rule, self.words = rule, words

    def alternatives(self, text: str) -> Iterator[Alternative]:
        for word, others in self.words.items():
            if (at := text.find(word)) >= 0:
                yield from (Alternative(self.rule, o, at, at + len(word)) for o in others)


WIDENERS = (
    Table("place", {"平江": ("蘇州",), "多名": tuple(f"名{at}" for at in range(40))}),
    Table("year", {"民国二十三年": ("1934年",)}),
    Table("synonym", {"同": ("同",), "长": ("长" * (QUERY_CHARS_MAX + 1),), "空": ("，",)}),
)


@pytest.fixture(scope="module")
def rules(tables: Tables) -> Rules:
    return Rules(tables)


@pytest.fixture(scope="module")
def wide(tables: Tables) -> Rules:
    return Rules(tables, WIDENERS)


def lines(query: Query) -> list[list[str]]:
    """Of each word its phrases: rule text scope, ~ where near, [zhou] for a sound."""
    return [[line(phrase) for phrase in word.phrases] for word in query.words]


def line(phrase: Phrase) -> str:
    text = "".join(
        f"[{phrase.sounds[at][0]}]" if character == SPOKEN else character
        for at, character in enumerate(phrase.text)
    )
    return " ".join(filter(None, (phrase.rule, text, phrase.scope, "~" * bool(phrase.near))))


def words(query: Query) -> list[str]:
    return [word.phrases[0].text for word in query.words]


REFUSED = {
    "": "at least one character to look for, got ''",
    "  \n\u3000": "at least one character to look for",
    "，。！《》……": "at least one character to look for",
    "\u200b\u0301\ufeff": "at least one character to look for",
    "「」 () -": "at least one character to look for",
    "*" * 40: "at least one character to look for",
    "? " * 40: "at least one character to look for",
    "蘇" * 10_000: f"at most {QUERY_CHARS_MAX} characters, got 10000",
    "xi" * 1000: f"at most {QUERY_CHARS_MAX} characters, got 2000",
    "苏\ud840": "text, got half of a surrogate pair",
    " ".join("东南西北中上下左右前后里外天地山水火木金土日月星辰"): f"at most {WORDS_MAX} words",
    " ".join(f"甲{at}" for at in range(WORDS_MAX + 1)): f"at most {WORDS_MAX} words",
    "非 的": "a word to look for besides what to leave out",
    "NOT 的": "a word to look for besides what to leave out",
    "-苏州 -扬州": "a word to look for besides",
    "苏州 或 非 扬州": "a word to look for besides",
    "类型:旧志 -苏州": "a word to look for besides",
    "苏州 或 类型:旧志": "filters beside all words, and 名称:甲|乙 for one of several values",
    "-(苏州 类型:旧志)": "filters beside all words",
    "类型:旧志 或 地:徐州": "filters beside all words",
    "类型:，": "a value after the colon, as in 类型:苏州, got '类型:'",
    "类型:「，」": "1 to 64 values of kind, got 0",
    "出版:昨天": "published as a year or years",
    "(" * 20 + "苏": "brackets at most 16 deep",
    " ".join(f"题名:{at}" for at in range(FILTERS_MAX + 1)): f"at most {FILTERS_MAX} filters, got",
    "|".join(f"(a -{at} b)" for at in range(1, 22)): "at most 48 words and joins",
}


@pytest.mark.parametrize("typed", REFUSED)
def test_refused_queries_say_what_to_do(rules: Rules, typed: str) -> None:
    with pytest.raises(Rejected) as refusal:
        parse_query(typed, rules)
    assert str(refusal.value).startswith(f"query: expected {REFUSED[typed]}")
    assert len(str(refusal.value)) < 150


PHRASES = {
    "州": [["typed 州"]],
    "蘇州": [["typed 苏州 ~"]],
    "苏，州": [["typed 苏州 ~"]],
    "苏\u200b州": [["typed 苏州 ~"]],
    "「蘇 州」": [["typed 苏州"]],
    "「」苏州": [["typed 苏州 ~"]],
    "𠮷": [["typed 𠮷"]],
    "😀": [["typed 😀"]],
    "2010年": [["typed 2010年"]],
    "苏州2010": [["typed 苏州2010"]],
    "1990-1999": [["typed 19901999"]],
    # gaiji
    "〓": [["typed 〓"]],
    "&KR0001;": [["typed kr0001"]],
    "苏&an;州": [["typed 苏an州"]],
    "⿰氵來": [["typed ⿰氵来"]],
    "\ue000": [["typed \ue000"]],
    # pinyin
    "suzhou": [["typed suzhou", "pinyin [su][zhou]"]],
    "su zhou": [["typed suzhou", "pinyin [su][zhou]"]],
    "xian": [
        [
            "typed xian",
            "pinyin [xian]",
            "pinyin [xi][an]",
        ]
    ],
    "苏zhou": [["typed 苏zhou", "pinyin 苏[zhou]"]],
    "「suzhou」": [["typed suzhou"]],
    "szfz": [["typed szfz", "initials [sa][za][fa][za] title"]],
    "苏z志": [["typed 苏z志", "initials 苏[za]志 title"]],
    "zh": [["typed zh", "initials [za][ha] title"]],
    "x": [["typed x"]],
    # scopes
    "标题:虎丘": [["typed 虎丘 heading"]],
    "题:虎丘": [["typed 虎丘 title", "typed 虎丘 heading"]],
    "题:hu": [
        [
            "typed hu title",
            "typed hu heading",
            "pinyin [hu] title",
            "pinyin [hu] heading",
        ]
    ],
    "题:hq": [["typed hq title", "typed hq heading", "initials [ha][qi] title"]],
    "标题:hq": [["typed hq heading"]],
}


@pytest.mark.parametrize("typed", PHRASES)
def test_a_word_is_alternative_phrases(rules: Rules, typed: str) -> None:
    assert lines(parse_query(typed, rules)) == PHRASES[typed]


PLANS = {
    "苏州": "0",
    "苏州 虎丘 山": "0 1 and 2 and",
    "苏州　虎丘": "0 1 and",
    "苏州 或 虎丘 山": "0 1 2 and or",
    "苏州 -虎丘": "0 1 not",
    "-虎丘 苏州 -山": "1 0 not 2 not",
    "苏州 -(虎丘 或 山)": "0 1 2 or not",
    "苏州 (-虎丘 -山)": "0 1 not 2 not",
    "苏州 (虎丘 -山)": "0 1 and 2 not",
    "苏州 -(-虎丘 -山)": "0 1 2 or and",
    "苏州 -(虎丘 -山)": "0 1 2 not not",
    "苏州 (非 虎丘 或 非 山)": "0 1 2 and not",
    "苏州 (非 虎丘 或 山)": "0 1 2 not not",
    "苏州 蘇州 苏，州": "0",
    "苏州 -苏州": "0 0 not",
    "苏州 -「」": "0",
    "一 " * 100: "0",
    "题:虎丘 虎丘": "0 1 and",
}


@pytest.mark.parametrize("typed", PLANS)
def test_joins_are_a_postfix_plan(rules: Rules, typed: str) -> None:
    query = parse_query(typed, rules)
    check_query(query)
    assert " ".join(query.plan) == PLANS[typed]


def test_filters_hold_for_the_whole_query(rules: Rules) -> None:
    query = parse_query("类型:旧志|年鉴 苏州 -地:「徐州」 (出版：1990..) 类型:旧志|年鉴", rules)
    assert words(query) == ["苏州"]
    assert query.plan == ("0",)
    assert query.filters == (
        Filter("kind", ("旧志", "年鉴")),
        Filter("place", ("徐州",), excluded=True),
        Filter("published", (), 1990, 0),
    )


def test_filters_of_one_field_join(rules: Rules) -> None:
    query = parse_query("类型:旧志 或 类型:年鉴", rules)
    assert (query.words, query.plan) == ((), ())
    assert query.filters == (Filter("kind", ("旧志", "年鉴")),)
    query = parse_query("志 -(类型:旧志 或 类型:年鉴)", rules)
    assert query.filters == (Filter("kind", ("旧志", "年鉴"), excluded=True),)


def test_words_are_told_as_they_were_typed(rules: Rules) -> None:
    query = parse_query("蘇州, “虎 丘 su zhou 」 题：山", rules)
    assert query.text == "蘇州, “虎 丘 su zhou 」 题：山"
    assert [word.typed for word in query.words] == ["蘇州,", "“虎 丘 su zhou 」 题：山”"]
    query = parse_query("su zhou 题：山", rules)
    assert [word.typed for word in query.words] == ["su zhou", "题:山"]


@pytest.mark.parametrize("length", [1, 2, 12, 13])
def test_wrong_characters_are_for_words_of_usual_length(rules: Rules, length: int) -> None:
    for typed in ("州" * length, "「a」 " + "州" * length):  # the fast way, and the other
        near = parse_query(typed, rules).words[-1].phrases[0].near
        assert near == (NEAR if length in NEAR_LENGTHS else ())


def test_words_are_widened_whole_and_in_parts(wide: Rules) -> None:
    for also in ("", " 「a」"):
        query = parse_query("平江民國二十三年" + also, wide)
        assert lines(query)[0] == [
            "typed 平江民国二十三年 ~",
            "place 苏州民国二十三年",
            "year 平江1934年",
            "place 苏州1934年",
        ]
        assert query.notes == (
            Note("place", "平江", "蘇州"),
            Note("year", "民国二十三年", "1934年"),
        )


def test_widening_is_bounded_and_says_something_new(wide: Rules) -> None:
    query = parse_query("多名", wide)
    assert len(query.words[0].phrases) == PHRASES_MAX
    check_query(query)
    for typed in ("同", "长", "空"):
        query = parse_query(typed, wide)
        assert (len(query.words[0].phrases), query.notes) == (1, ())
    assert lines(parse_query("「平江」", wide)) == [["typed 平江"]]


GAIJI = {
    "平江&KR0001;民国二十三年": [
        "typed 平江kr0001民国二十三年",
        "place 苏州kr0001民国二十三年",
        "year 平江kr00011934年",
        "place 苏州kr00011934年",
    ],
    "平&KR0001;江": ["typed 平kr0001江"],
    "&平江;平江": ["typed 平江平江 ~", "place 平江苏州"],
    "&a;su&KR0001;zhou&b;": ["typed asukr0001zhoub", "pinyin a[su]kr0001[zhou]b"],
    "s&a;z&b;": ["typed sazb", "initials [sa]a[za]b title"],
}


@pytest.mark.parametrize("typed", GAIJI)
def test_a_gaiji_by_its_id_stays_and_the_rest_of_its_word_is_widened(
    wide: Rules, typed: str
) -> None:
    assert lines(parse_query(typed, wide)) == [GAIJI[typed]]


def test_the_number_of_a_gaiji_is_no_number(tables: Tables) -> None:
    (word,) = parse_query("第三&1691;卷", Rules.standard(tables)).words
    assert {phrase.text for phrase in word.phrases} == {"第三1691卷", "第31691卷"}


def test_widened_words_stand_where_the_word_must(wide: Rules) -> None:
    assert lines(parse_query("标题:平江", wide)) == [["typed 平江 heading", "place 苏州 heading"]]


OFF = {
    frozenset(NEAR): ["typed 平江", "place 苏州"],
    frozenset({"place"}): ["typed 平江 ~"],
    frozenset({"literal", "pinyin"}): ["typed 平江 ~", "place 苏州"],
    frozenset({"typed"}): ["literal 平江", "place 苏州"],
    frozenset({"typed", "literal"}): ["place 苏州"],
    frozenset({*RULES, *NEAR}) - {"literal"}: ["literal 平江"],
}


@pytest.mark.parametrize("off", OFF, ids=lambda off: "-".join(sorted(off)))
def test_rules_can_be_switched_off(wide: Rules, off: frozenset[str]) -> None:
    assert lines(parse_query("平江", wide, off)) == [OFF[off]]


def test_ways_to_be_wrong_are_switched_apart(rules: Rules) -> None:
    for off in NEAR:
        left = tuple(way for way in NEAR if way != off)
        assert parse_query("苏州", rules, frozenset({off})).words[0].phrases[0].near == left


def test_the_literal_query_folds_nothing(rules: Rules) -> None:
    off = frozenset({*RULES, *NEAR}) - {"literal"}
    assert lines(parse_query("蘇·州 Su 「Zhōu」", rules, off)) == [
        ["literal 蘇州"],
        ["literal Su"],
        ["literal Zhōu"],
    ]
    assert lines(parse_query("szfz", rules, frozenset({"initials"}))) == [["typed szfz"]]
    assert lines(parse_query("suzhou", rules, frozenset({"pinyin"}))) == [["typed suzhou"]]


def test_a_word_without_a_rule_is_refused(rules: Rules) -> None:
    with pytest.raises(Rejected, match="a rule for 苏州, got every one switched off"):
        parse_query("苏州", rules, frozenset({"typed", "literal"}))
    with pytest.raises(Rejected, match=r"query rules: expected literal or typed .*, got magic"):
        parse_query("苏州", rules, frozenset({"magic", "typed"}))


LONG = [
    "之" * QUERY_CHARS_MAX,
    "xian" * (QUERY_CHARS_MAX // 4),
    "a " * (QUERY_CHARS_MAX // 2),
    "z" * QUERY_CHARS_MAX,
    " ".join(chr(0x61 + at) + "z" * 11 for at in range(WORDS_MAX)),
    " ".join(["xianai", "ziana", "fangan"] * 14),
    "多名" * (QUERY_CHARS_MAX // 2),
    "-" * (QUERY_CHARS_MAX - 2) + "a",
    "苏*" * 40,
    "一 或 " * (QUERY_CHARS_MAX // 4),
]


@pytest.mark.parametrize("typed", LONG)
def test_the_largest_queries_are_within_bounds_and_fit_a_request(wide: Rules, typed: str) -> None:
    query = parse_query(typed[:QUERY_CHARS_MAX], wide)
    check_query(query)
    assert len(pack(query)) < REQUEST_BYTES_MAX // 2


PIECES = [
    *"苏蘇𠮷😀〓 ，\nszix1ü'é()（）|-+「」“\"’:：&;\0\ud800\u200b",
    *(
        "suzhou ",
        "xian",
        " 与 ",
        " 或 ",
        " 非 ",
        "题:",
        "类型:",
        "出版:1990",
        "..",
        "平江",
        "&KR0001;",
        "ﷺ" * 20,
        "编号:",
    ),
]
QUERIES = st.lists(st.sampled_from(PIECES), max_size=24).map("".join)
SWITCHES = st.sampled_from(
    [frozenset[str](), frozenset({"typed"}), frozenset({*RULES, *NEAR}) - {"literal"}]
)


@settings(max_examples=400, deadline=None)
@given(typed=QUERIES, off=SWITCHES)
def test_whatever_is_typed_is_refused_or_travels(
    wide: Rules, typed: str, off: frozenset[str]
) -> None:
    try:
        query = parse_query(typed, wide, off)
    except Rejected:
        return
    check_query(query)
    assert unpack(Query, pack(query), bytes_max=2**20, where="query") == query


@settings(max_examples=400, deadline=None)
@given(typed=QUERIES)
def test_a_query_written_out_is_the_same_query(wide: Rules, typed: str) -> None:
    try:
        query = parse_query(typed, wide)
    except Rejected:
        return
    again = parse_query(render(query), wide)
    assert meaning(again) == meaning(query)


def meaning(query: Query) -> tuple[list[object], set[Filter]]:
    """The plan over phrases, whatever the numbers of the words, and the filters."""
    steps: list[object] = [
        query.words[int(step)].phrases if step.isdecimal() else step for step in query.plan
    ]
    return steps, set(query.filters)


@settings(max_examples=100, deadline=None)
@given(typed=st.text("苏州平江府志 虎丘", min_size=1, max_size=10))
def test_the_fast_way_and_the_other_agree(wide: Rules, typed: str) -> None:
    """A sign that says nothing sends a query the other way."""
    try:
        fast = parse_query(typed, wide)
    except Rejected:
        return
    assert meaning(parse_query(typed + " +", wide)) == meaning(fast)


def test_a_word_is_folded_by_the_tables(rules: Rules, tables: Tables) -> None:
    text = "蘇㑹Ａé，𠮷\u0301x"
    assert rules.fold(text) == tables.fold("蘇㑹Ａé𠮷x") == rules.fold(text)
    assert Word("x", ()).weight == 100


def test_the_tables_of_the_project_and_those_of_the_province(tables: Tables) -> None:
    synonyms = Synonyms((Group(("虎丘", "海涌山")),), 7, tables.fold)
    rules = Rules.standard(tables).beside(synonyms)
    assert [each.split()[0] for each in rules.versions] == ["year", "number", "place", "synonym"]
    assert rules.versions[-1] == f"synonym {synonyms.version}"
    found = {
        (phrase.rule, phrase.text)
        for typed in ("平江府志", "康熙三十年", "一百二十", "虎丘")
        for phrase in parse_query(typed, rules).words[0].phrases
    }
    assert found > {
        ("place", "苏州府志"),
        ("year", "1691"),
        ("number", "120"),
        ("synonym", "海涌山"),
    }
    assert len(parse_query("&KR1234;", rules).words[0].phrases) == 1
    assert parse_query("断限:康熙", rules).filters == (Filter("span", (), 1662, 1722),)


def test_every_example_of_the_help_can_be_typed(tables: Tables) -> None:
    page = (ROOT / "docs" / "searching.md").read_text(encoding="utf-8")
    asking = page.partition("\n## ")[0]
    typed = [each.replace("\\|", "|") for each in re.findall("`([^`]+)`", asking)]
    rules = Rules.standard(tables)
    assert len(typed) > 30
    for example in typed:
        whole = example + "320500" * example.endswith(":")  # a name shown without a value
        query = parse_query(whole, rules)
        check_query(query)
        assert not any(note.rule in ("ignored", "closed") for note in query.notes), example
