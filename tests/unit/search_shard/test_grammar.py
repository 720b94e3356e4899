from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import Rejected
from search_shard.grammar import (
    DEPTH_MAX,
    FILTER_NAMES,
    JOINS,
    SCOPE_NAMES,
    Condition,
    Joined,
    Negated,
    Node,
    parts_of,
    read,
)
from search_shard.lattice import FIELDS, SCOPES

ROOT = Path(__file__).resolve().parents[3]
SYLLABLES = frozenset({"su", "zhou", "shan", "sū"})


def says(text: str) -> bool:
    return not set(text) <= set(" ，·*")


def tree(text: str) -> str:
    node, _ = read(text, SYLLABLES.__contains__, says)
    return shown(node)


def notes(text: str) -> list[tuple[str, str, str]]:
    return [(n.rule, n.typed, n.taken_for) for n in read(text, SYLLABLES.__contains__, says)[1]]


def shown(node: Node | None) -> str:
    """In prefix form: (and 苏州 (not 扬州))."""
    if node is None:
        return ""
    if isinstance(node, Negated):
        return f"(not {shown(node.part)})"
    if isinstance(node, Joined):
        return f"({node.how} {' '.join(map(shown, node.parts))})"
    if isinstance(node, Condition):
        return f"{node.field}={','.join(v + '!' * quoted for v, quoted in node.values)}"
    scopes = "".join(f"@{scope}" for scope in node.scopes if scope)
    return f"{node.text}{'!' * node.quoted}{scopes}"


TREES = {
    "": "",
    "苏州": "苏州",
    " 苏州　虎丘\n": "(and 苏州 虎丘)",
    "蘇州，府": "蘇州，府",
    # joins in words and signs, Chinese and English
    "苏州 与 虎丘": "(and 苏州 虎丘)",
    "苏州 和 虎丘 且 山 并且 塔": "(and 苏州 虎丘 山 塔)",
    "苏州 AND 虎丘 and 山 & 塔 && 寺": "(and 苏州 虎丘 山 塔 寺)",
    "苏州 + 虎丘 +山": "(and 苏州 虎丘 山)",
    "苏州 或 扬州 或者 徐州": "(or 苏州 扬州 徐州)",
    "苏州 OR 扬州 or 徐州": "(or 苏州 扬州 徐州)",
    "苏州|扬州 ｜ 徐州||泰州": "(or 苏州 扬州 徐州 泰州)",
    "苏州 非 扬州": "(and 苏州 (not 扬州))",
    "苏州 NOT 扬州 不含 徐州": "(and 苏州 (not 扬州) (not 徐州))",
    "苏州 -扬州 －徐州": "(and 苏州 (not 扬州) (not 徐州))",
    "苏州 与 非 扬州": "(and 苏州 (not 扬州))",
    "非 非 苏州": "苏州",
    "---苏州": "(not 苏州)",
    # joined to other characters they are text
    "与民休息 或问 是非": "(and 与民休息 或问 是非)",
    "1990-1999": "1990-1999",
    "C++": "C++",
    "苏州 - 扬州": "(and 苏州 扬州)",
    # not before and before or
    "a 与 b 或 c d 非 e": "(or (and a b) (and c d (not e)))",
    "a (b 或 c) d": "(and a (or b c) d)",
    "a（b｜c）": "(and a (or b c))",
    "a (b c) (d (e))": "(and a b c d e)",
    "a 或 (b 或 c)": "(or a b c)",
    "-(a b)": "(not (and a b))",
    # quotes
    "「苏州 府」": "苏州 府!",
    '『苏州』 “虎丘” "山" ＂塔＂': "(and 苏州! 虎丘! 山! 塔!)",
    "'苏州 府' ‘虎丘’": "(and 苏州 府! 虎丘!)",
    "「他说『苏州』与(扬州)」": "他说『苏州』与(扬州)!",
    "他说「苏州」": "(and 他说 苏州!)",
    "-「苏州」": "(not 苏州!)",
    "「与」 「a:b」": "(and 与! a:b!)",
    "xi'an o’er": "(and xi'an o’er)",
    "'tis": "'tis",
    # syllables one after another
    "su zhou shan": "su'zhou'shan",
    "su zhou 虎丘 shan": "(and su'zhou 虎丘 shan)",
    "su 与 zhou": "(and su zhou)",
    "(su) zhou": "(and su zhou)",
    "-su zhou": "(not su'zhou)",
    "sū zhou": "sū'zhou",
    # filters and scopes
    "类型:旧志": "kind=旧志",
    "类型：旧志 志": "(and kind=旧志 志)",
    "KIND: 旧志，年鉴、a|b": "kind=旧志,年鉴,a,b",
    "-类型:旧志 非 地:徐州": "(and (not kind=旧志) (not place=徐州))",
    "地:徐州 地区:a 地方:b": "(and place=徐州 place=a place=b)",
    "题名:「苏州 府志」 书名:'a b'": "(and title=苏州 府志! title=a b!)",
    "(类型:旧志)志": "(and kind=旧志 志)",
    "题:虎丘 标题：“山”": "(and 虎丘@title@heading 山!@heading)",
    "题:虎丘|山": "(or 虎丘@title@heading 山@title@heading)",
    "出版:1990..1999": "published=1990..1999",
    "某地:徐州 foo:bar": "(and 某地:徐州 foo:bar)",
    # gaiji
    "&KR0001;": "&KR0001;",
    "苏&KR0001;〓⿰氵來": "苏&KR0001;〓⿰氵來",
    # a joining word alone is the character
    "与": "与",
    " 或 ": "或",
    "(非)": "(非)",
    "「」 ()": "",
    "- ， ·": "",
    "苏 (山 寺 或 「」)": "(and 苏 山 寺)",
    "题:「」|山 -“”": "山@title@heading",
}


@pytest.mark.parametrize("text", TREES)
def test_what_is_typed_has_one_reading(text: str) -> None:
    assert tree(text) == TREES[text]


LENIENT = {
    "「苏州 府": ("苏州 府!", [("closed", "「苏州 府", "」")]),
    '志 "苏州': ("(and 志 苏州!)", [("closed", '"苏州', '"')]),
    "“": ("", [("closed", "“", "”")]),
    "苏州 或 「」": ("苏州", [("ignored", "或", "")]),
    "题名:「苏州": ("title=苏州!", [("closed", "「苏州", "」")]),
    "(苏州 (扬州": ("(and 苏州 扬州)", [("closed", "(", ")"), ("closed", "(", ")")]),
    "（苏州": ("苏州", [("closed", "（", "）")]),
    "苏州) 或 扬州）": ("(or 苏州 扬州)", [("ignored", ")", ""), ("ignored", "）", "")]),
    "」苏州』": ("苏州", []),
    "苏州 与": ("苏州", [("ignored", "与", "")]),
    "与 苏州 和 且 虎丘": ("(and 苏州 虎丘)", [("ignored", "与", ""), ("ignored", "且", "")]),
    "或 苏州 或 或 扬州 或": (
        "(or 苏州 扬州)",
        [("ignored", "或", ""), ("ignored", "或", ""), ("ignored", "或", "")],
    ),
    "苏州 非": ("苏州", [("ignored", "非", "")]),
    "苏州 或 (与)": ("苏州", [("ignored", "与", ""), ("ignored", "或", "")]),
}


@pytest.mark.parametrize("text", LENIENT)
def test_what_does_not_fit_is_passed_over_and_told(text: str) -> None:
    assert (tree(text), notes(text)) == LENIENT[text]


def test_a_filter_wants_a_value() -> None:
    for text in ("题名:", "题名： ", "题名:(苏州)", "志 kind: | 苏州"):
        with pytest.raises(Rejected, match="query: expected a value after the colon, as in"):
            tree(text)


def test_brackets_go_so_deep_and_no_deeper() -> None:
    assert tree("(" * DEPTH_MAX + "a" + ")" * DEPTH_MAX) == "a"
    assert tree("()" * 999 + "a") == "a"
    with pytest.raises(Rejected, match=f"brackets at most {DEPTH_MAX} deep"):
        tree("(" * 9999)


def test_every_field_and_scope_has_names_of_its_own() -> None:
    assert tuple(FILTER_NAMES) == FIELDS
    names = [name for each in (*FILTER_NAMES.values(), *SCOPE_NAMES.values()) for name in each]
    assert len(names) == len(set(names)) == len(set(names) - set(JOINS))
    assert all(name == name.casefold() for name in (*names, *JOINS))
    for field, each in FILTER_NAMES.items():
        assert field in each
        assert all(tree(f"{name}:甲") == f"{field}=甲" for name in each)
    assert {scope for scopes in SCOPE_NAMES for scope in scopes} < set(SCOPES)


PARTS = {
    "运河 地区:苏州": [("运河", "", True), ("地区:苏州", "place", False)],
    "「东 西」 kind：旧志": [("「东 西」", "", True), ("kind：旧志", "kind", False)],
    '题名:"a b" x': [('题名:"a b"', "title", False), ("x", "", True)],
    "-类型:年鉴 -山": [("-类型:年鉴", "kind", False), ("-山", "", True)],
    "子曰:学而": [("子曰:学而", "", True)],
    "地区: 苏州": [("地区: 苏州", "place", False)],
    "标题:虎丘": [("标题:虎丘", "", True)],
    '"没有 合上': [('"没有 合上', "", True)],
    "甲 AND 乙 或 (丙)": [
        ("甲", "", True),
        ("AND", "", False),
        ("乙", "", True),
        ("或", "", False),
        ("(", "", False),
        ("丙", "", True),
        (")", "", False),
    ],
    " ": [],
}


@pytest.mark.parametrize("text", PARTS)
def test_a_query_has_parts_that_can_be_taken_out(text: str) -> None:
    assert [(part.text, part.field, part.is_word) for part in parts_of(text)] == PARTS[text]


@settings(max_examples=100, deadline=None)
@given(st.text('甲乙"「」 :：-()|地区与', max_size=20))
def test_nothing_but_spaces_stands_between_parts(text: str) -> None:
    at = 0
    for part in parts_of(text):
        assert text[at : part.start].strip() == ""
        assert text[part.start : part.end] == part.text
        at = part.end
    assert text[at:].strip() == ""


SIGNS = [*"苏a 　()（）|-+「」“”\"'‘’:：,&;*?\0\ud800", "与", " 或 ", " 非 ", "题:", "kind:", "su "]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(SIGNS), max_size=30).map("".join))
def test_anything_is_read_or_refused(text: str) -> None:
    with suppress(Rejected):
        read(text, SYLLABLES.__contains__, says)


def test_the_specification_has_every_name() -> None:
    page = (ROOT / "docs" / "spec" / "query.md").read_text(encoding="utf-8")
    filters = page[page.index("### Filters") : page.index("## Lattice")]
    rows = re.findall(r"^\| `(\w+)` \| ([^|`]+) \|", filters, re.MULTILINE)
    assert {field: tuple(names.split()) for field, names in rows} == FILTER_NAMES
    scopes = re.findall(r"^\| (`题`.*|`标题`.*) \|.*\|$", page, re.MULTILINE)
    assert [tuple(re.findall("`(.+?)`", row)) for row in scopes] == list(SCOPE_NAMES.values())
    signs = page[: page.index("### Words")]
    assert all(f"`{join}`" in signs or f"`{join.upper()}`" in signs for join in JOINS)
