from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_shard.build import build_segment
from search_shard.grammar import parts_of
from search_shard.lattice import FIELDS, Filter, Phrase, Query, Word
from search_shard.layout import Page
from search_shard.parse import Rules, parse_query
from search_shard.ranking import Ask
from search_shard.search import rank
from search_shard.segment import Segment
from search_shard.shard import Shard
from search_shard.snippet import show
from search_shard.spelling import (
    CORRECTIONS_MAX,
    Correction,
    did_you_mean,
    explain,
    filter_text,
    render,
)
from search_shard.tables import Tables


@pytest.fixture(scope="module")
def rules(tables: Tables) -> Rules:
    return Rules(tables)


@dataclass(frozen=True)
class Reason:
    word: int
    rule: str
    found: str


RENDERED = {
    "苏州": "苏州",
    "苏州　 虎丘": "苏州 虎丘",
    "苏州 AND 虎丘 OR 山 NOT 塔": "苏州 虎丘 或 山 -塔",
    "苏州 (虎丘|山)": "苏州 (虎丘 或 山)",
    "-山 苏州 -(塔 寺)": "苏州 -山 -(塔 寺)",
    "(苏州 山 或 塔": "苏州 山 或 塔",
    "苏州 -(塔 -寺)": "苏州 -(塔 -寺)",
    "su zhou 与 shan x": "su zhou 与 shan 与 x",
    "su zhou 虎丘 shan": "su zhou 虎丘 shan",
    "标题：虎丘 “苏州 府": "标题:虎丘 “苏州 府”",
    "kind：旧志，年鉴 志": "志 类型:「旧志」|「年鉴」",
    "类型:旧志": "类型:旧志",
    "(苏州|山) 类型:旧志": "(苏州 或 山) 类型:旧志",
    "-published:1990- 志 span:1911": "志 -出版:1990.. 断限:1911",
    "题名:「蘇州 府志」 断限:..1949": "题名:苏州府志 断限:..1949",
    "编号:320583-cqdxgwz81tkk2": "编号:320583-cqdxgwz81tkk2",
    "rights:open": "权限:公开",
    "与": "与",
}


@pytest.mark.parametrize("typed", RENDERED)
def test_a_query_is_written_as_one_would_type_it(rules: Rules, typed: str) -> None:
    assert render(parse_query(typed, rules)) == RENDERED[typed]


@given(st.sampled_from(FIELDS), st.text("苏州（） 1-|,，、", min_size=1, max_size=9))
def test_a_filter_written_out_is_one_part(field: str, value: str) -> None:
    (part,) = parts_of(filter_text(field, value))
    assert part.field == field


def test_a_plan_of_another_node_keeps_its_meaning() -> None:
    words = tuple(Word(each, (Phrase("typed", each),)) for each in "甲乙丙")
    for plan, shown in {
        "0 1 2 and or": "甲 或 乙 丙",
        "0 1 2 or and": "甲 (乙 或 丙)",
        "0 1 or 2 and": "(甲 或 乙) 丙",
        "0 1 or 2 not": "(甲 或 乙) -丙",
        "0 1 not 2 and": "甲 -乙 丙",
        "0 1 2 or or": "甲 或 乙 或 丙",
    }.items():
        assert render(Query("", words, tuple(plan.split()))) == shown
    assert render(Query("", (), (), (Filter("kind", ("a b",)),))) == "类型:「a b」"


def test_all_of_the_lattice_is_explained(rules: Rules) -> None:
    assert explain(parse_query("苏zhou 与 szfz “志” 题:山 类型:旧志 (", rules)) == (
        "query 苏zhou 与 szfz “志” 题:山 类型:旧志",
        "word 0 苏zhou (weight 100)",
        "  typed 苏zhou",
        "  pinyin 苏[zhou]",
        "word 1 szfz (weight 100)",
        "  typed szfz",
        "  initials [sa|sai|san…][za|zai|zan…][fa|fan|fang…][za|zai|zan…] in title",
        "word 2 “志” (weight 100)",
        "  typed 志",
        "word 3 题:山 (weight 100)",
        "  typed 山 in title",
        "  typed 山 in heading",
        "plan 0 1 and 2 and 3 and",
        "filter 类型:旧志",
        "note closed ( → )",
    )
    assert explain(parse_query("虎丘", rules))[2:] == ("  typed 虎丘 ~ sound shape other",)


def test_corrections_are_what_near_hits_have(rules: Rules) -> None:
    query = parse_query("虎兵 苏州 -扬州 类型:旧志", rules)
    hits = [
        [Reason(0, "shape", "虎丘"), Reason(1, "typed", "蘇州")],
        [Reason(0, "shape", "虎\n丘"), Reason(1, "typed", "苏州")],
        [Reason(0, "sound", "湖兵")],
        [Reason(0, "sound", "湖兵"), Reason(1, "sound", "蘇洲")],
        [Reason(1, "typed", "苏州")],
        [],
    ]
    assert did_you_mean(query, hits, rules.fold) == (
        Correction("虎丘 苏州 -扬州 类型:旧志", 2),
        Correction("湖兵 苏州 -扬州 类型:旧志", 1),
    )  # not 蘇洲: hits have 苏州, as it was typed


def test_variants_of_a_correction_count_together(rules: Rules) -> None:
    query = parse_query("苏舟", rules)
    found = ["蘇州", "苏州", "蘇州", "素舟"]
    corrections = did_you_mean(query, [[Reason(0, "sound", each)] for each in found], rules.fold)
    assert corrections == (Correction("蘇州", 3), Correction("素舟", 1))


def test_corrections_are_few_and_never_of_nothing(rules: Rules) -> None:
    query = parse_query("苏舟", rules)
    many = [[Reason(0, "sound", "苏" + chr(0x5DDE + at))] for at in range(9)]
    assert len(did_you_mean(query, many, rules.fold)) == CORRECTIONS_MAX
    strange = [
        [Reason(7, "sound", "苏州")],
        [Reason(0, "shape", "")],
        [Reason(0, "pinyin", "苏州")],
    ]
    assert did_you_mean(query, strange, rules.fold) == ()


@pytest.mark.parametrize(("others", "offered"), [(4, ()), (5, ("姑苏 水里",))])
def test_a_word_that_hits_have_is_no_slip(
    rules: Rules, others: int, offered: tuple[str, ...]
) -> None:
    query = parse_query("姑苏 水利", rules)
    place = Reason(0, "typed", "姑苏")
    asked, other = [place, Reason(1, "typed", "水利")], [place, Reason(1, "sound", "水里")]
    both = [Reason(0, "shape", "一蘇"), Reason(1, "shape", "水水")]
    found = did_you_mean(query, [asked, both, *[other] * others], rules.fold)
    assert tuple(each.text for each in found) == offered


def test_another_number_is_no_correction(rules: Rules) -> None:
    query = parse_query("康熙三十年", rules)
    found = ["康熙三十五", "康熙三十三年", "康熙三拾年", "康熙王十年"]
    hits = [[Reason(0, "shape", each)] for each in found]
    offered = {each.text for each in did_you_mean(query, hits, rules.fold)}
    assert offered == {"康熙三拾年", "康熙王十年"}


def test_what_a_shard_finds_nearly_is_offered(rules: Rules) -> None:
    def page(item: str, title: str, section: str, text: str) -> Page:
        return Page(item, "320500", 1, "1", title, section, text, "", 1)

    pages = [
        page("a", "［同治］蘇州·府志", "卷首", "序"),
        page("b", "", "虎\n丘", "蘇州府志，虎丘"),
    ]
    shard = Shard((Segment.open(build_segment(pages, rules.tables), rules.tables),))
    for typed, meant in {"苏州附志": "蘇州府志", "虎兵": "虎丘", "苏州府志": ""}.items():
        query = parse_query(typed, rules)
        ranking = rank(shard, query, Ask())
        hits = show(shard, ranking, ranking.best)
        corrections = did_you_mean(query, [hit.reasons for hit in hits], rules.fold)
        assert [each.text for each in corrections] == [meant] * bool(meant)
        assert sum(each.count for each in corrections) == ranking.near_total
