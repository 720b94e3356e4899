from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.events import KINDS
from node.faces import wording
from node.faces.wording import Wording, byte_size, item_path, marked, moment, phrases
from protocol import errors
from protocol.records import FILE_ROLES, RECORD_ELEMENTS
from search_shard.facets import PERIODS, range_value
from search_shard.lattice import FIELDS, NEAR, RULES

FACES = Path(wording.__file__).parent
TEMPLATES = {path.name: path.read_text(encoding="utf-8") for path in FACES.glob("templates/*.html")}
ZH, EN = Wording("zh"), Wording("en")


def test_every_phrase_is_there_in_both_languages() -> None:
    for key, columns in phrases().items():
        assert len(columns) == 2, key
        assert all(column.strip() == column != "" for column in columns), key
        blanks = [set(re.findall(r"{(\w+)}", column)) for column in columns]
        assert blanks[0] == blanks[1], f"{key} fills in other things in another language"
        assert not re.search(r"[\u4e00-\u9fff]", re.sub(r"运河", "", columns[1])), key


def test_templates_say_only_phrases_that_exist_and_all_of_them() -> None:
    said = set()
    for text in TEMPLATES.values():
        for call in re.findall(r"\b(?:t|both|say)\(([^)]*)\)", text):
            said |= set(re.findall(r'["\']([a-z_]+\.[\w.]+?)["\'](?! ~)', call))
    assert said <= set(phrases())
    computed = (
        "search.view.",
        "search.other.",
        "problem.",
        "item.status.",
        "item.rights.",
        "office.tier.",
    )
    computed += ("matched.", "severity.", "event.", "role.", "record.", "network.gate.")
    computed += ("evidence.shape.", "field.", "period.", "explain.step.", "refused.")
    computed += ("suggest.", "fixity.reason.", "error.", "reader.turn_")
    computed += ("proof.verdict.", "proof.step.", "proof.what.")
    unsaid = {key for key in phrases() if key not in said and not key.startswith(computed)}
    assert unsaid == set()


def test_closed_sets_have_a_phrase_for_each_value() -> None:
    for element in RECORD_ELEMENTS:
        assert f"record.{element}" in phrases()
    for error in vars(errors).values():
        if isinstance(error, type) and issubclass(error, errors.FangzhiError):
            assert f"error.{error.code}" in phrases()
    for role in FILE_ROLES:
        assert f"role.{role}" in phrases()
    for rule in (*RULES, *NEAR):
        assert f"matched.{rule}" in phrases()
    for field in FIELDS:
        assert f"field.{field}" in phrases()
    for low, high in PERIODS:
        assert f"period.{range_value(low, high)}" in phrases()
    others = ("member", "anchor", "policy", "recovery", "key", "fork", "statistics", "synonyms")
    about_items = {kind for kind in KINDS if kind.split(".")[0] not in others}
    assert {key.removeprefix("event.") for key in phrases() if key.startswith("event.")} == (
        about_items
    )


def test_a_value_without_phrase_stands_for_itself() -> None:
    assert EN.name_of("event", "notice.publish") == "notice.publish"


def test_reasons_say_the_rule_only_where_one_was_needed() -> None:
    reasons = [("typed", "運河"), ("typed", "运河"), ("sound", "云河"), ("sound", "云河")]
    assert ZH.why(reasons, "运河 大旱") == "運河（繁简异体）、运河（原文）、云河（同音字）"
    assert EN.why([("pinyin", "")], "yunhe") == "title (pinyin)"


def test_values_of_facets_have_names() -> None:
    names = {"320500": "苏州市"}
    assert ZH.facet("place", "320500", names) == "苏州市"
    assert ZH.facet("place", "320400", names) == "320400"
    assert ZH.facet("rights", "open", names) == "公开使用"
    assert ZH.facet("span", "1644-1911", names) == "清"
    assert EN.facet("published", "1990-1999", names) == "1990—1999"
    assert ZH.facet("kind", "旧志-补", names) == "旧志-补"


def test_links_keep_the_language() -> None:
    assert ZH.link("/search", q="运河") == "/search?q=%E8%BF%90%E6%B2%B3"
    assert ZH.link("/search", q="a", without=("x", "y")) == "/search?q=a&without=x&without=y"
    assert EN.link("/search", q="a&b", without=()) == "/search?q=a%26b&lang=en"


def test_an_office_has_its_english_name_only_when_the_table_means_it() -> None:
    assert EN.office("320500", "苏州市") == "Suzhou City"
    assert ZH.office("320500", "苏州市") == "苏州市"
    assert EN.office("320500", "平江府") == "平江府"
    assert EN.office("999999", "别处") == "别处"


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (3 * 1024**3, "3.0 GiB"),
        (2**50, "1024 TiB"),
    ],
)
def test_sizes(count: int, text: str) -> None:
    assert byte_size(count) == text.replace(" ", "\u00a0")


def test_moments_are_beijing_time_and_never_fail() -> None:
    assert moment(0) == "1970-01-01 08:00"
    assert moment(2**62) == f"{2**62} ms"


def test_the_check_characters_of_ids_survive_in_addresses() -> None:
    assert item_path("320582-000000000001*", 3) == "/items/320582-000000000001*/pages/3"


@given(
    st.text(max_size=30),
    st.lists(st.tuples(st.integers(-5, 40), st.integers(-5, 40)), max_size=6),
)
def test_marking_loses_no_character_and_marks_what_was_asked(
    text: str, highlights: list[tuple[int, int]]
) -> None:
    parts = marked(text, highlights)
    assert "".join(part for part, _ in parts) == text
    asked = {at for start, end in highlights for at in range(max(start, 0), min(end, len(text)))}
    shown, at = set(), 0
    for part, is_marked in parts:
        shown |= set(range(at, at + len(part))) if is_marked else set()
        at += len(part)
    assert shown == asked
