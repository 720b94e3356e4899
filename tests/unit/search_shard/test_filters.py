from __future__ import annotations

from collections.abc import Iterator

import pytest

from protocol.errors import Rejected
from search_shard.filters import Filters
from search_shard.grammar import Condition
from search_shard.lattice import FILTER_VALUES_MAX, Filter, Note
from search_shard.parse import Rules
from search_shard.tables import Tables
from search_shard.widening import Alternative

ERAS = {
    "康熙": (1662, 1722),
    "民国二十年": (1931, 1931),
    "二十三年": (23, 23),
    "民国二十三年": (1934, 1934),
    "至正三年": (1343, 1343),
    "汉": (-206, 220),
    "前一年": (-1, -1),
}


class Eras:
    def years(self, text: str) -> tuple[int, int] | None:
        return ERAS.get(text)


class Places:
    sign = "."

    def alternatives(self, text: str) -> Iterator[Alternative]:
        for rule, word, other in (("place", "姑苏", "苏州"), ("synonym", "姑苏", "吴门")):
            if (at := text.find(word)) >= 0:
                yield Alternative(rule, other, at, at + 2, "古称")

    def codes(self, text: str) -> tuple[str, ...]:
        return {"姑苏": ("320508", "320500"), "320524": ("320506", "320507")}.get(text, ())


@pytest.fixture(scope="module")
def rules(tables: Tables) -> Rules:
    return Rules(tables, (Places(),), Eras(), Places())


def make(rules: Rules, field: str, *values: str, quoted: bool = False, off: str = "") -> Filter:
    made = Filters(rules.fold, rules.wideners, rules.calendar, rules.gazetteer, [off])
    return made.filter(Condition(field, tuple((each, quoted) for each in values)), excluded=False)


YEARS = {
    "1934": (1934, 1934),
    "１９３４年": (1934, 1934),
    "公元1934年": (1934, 1934),
    "民国二十三年": (1934, 1934),
    "民國二十三年": (1934, 1934),
    "康熙": (1662, 1722),
    "1990-1999": (1990, 1999),
    "1990—1999年": (1990, 1999),
    "1990年～1999年": (1990, 1999),
    "1990至1999": (1990, 1999),
    "1990 .. 1999": (1990, 1999),
    "1999-1990": (1990, 1999),
    "1990-99": (1990, 1999),
    "民国二十年至二十三年": (1931, 1934),
    "1990..": (1990, 0),
    "1990-": (1990, 0),
    "..1949": (0, 1949),
    "……1949": (0, 1949),
    "康熙-1800": (1662, 1800),
    "1300-康熙": (1300, 1722),
    "至正三年": (1343, 1343),
    "至正三年至康熙": (1343, 1722),
    "960": (960, 960),
    "汉": (1, 220),
}


@pytest.mark.parametrize("typed", YEARS)
@pytest.mark.parametrize("field", ["published", "span"])
def test_years_are_one_or_a_range(rules: Rules, typed: str, field: str) -> None:
    assert make(rules, field, typed) == Filter(field, (), *YEARS[typed])


@pytest.mark.parametrize(
    "typed",
    [
        "0",
        "3000",
        "19999",
        "abc",
        "..",
        "-",
        "",
        "1990-abc",
        "江苏人民出版社",
        "\0",
        "1-2-3",
        "前一年",
    ],
)
def test_nonsense_is_no_year(rules: Rules, typed: str) -> None:
    with pytest.raises(Rejected, match="query: expected published as a year or years from 1 to"):
        make(rules, "published", typed)


def test_several_years_are_several_filters(rules: Rules) -> None:
    with pytest.raises(Rejected, match="got '1990,1995'"):
        make(rules, "span", "1990", "1995")


def test_without_a_calendar_years_are_arabic(tables: Tables) -> None:
    with pytest.raises(Rejected):
        make(Rules(tables), "span", "康熙")
    assert make(Rules(tables), "span", "1662") == Filter("span", (), 1662, 1662)


def test_text_is_folded_and_what_is_skipped_left_out(rules: Rules) -> None:
    assert make(rules, "title", "蘇州·府志", "ＡＢ c") == Filter("title", ("苏州府志", "abc"))
    assert make(rules, "office", "320500") == Filter("office", ("320500",))


def test_an_item_keeps_its_hyphen(rules: Rules) -> None:
    typed = " 320583－CQDXGWZ81TKK2"
    assert make(rules, "item", typed) == Filter("item", ("320583-cqdxgwz81tkk2",))


def test_rights_are_classes(rules: Rules) -> None:
    assert make(rules, "rights", "公开", "SEALED").values == ("open", "sealed")
    with pytest.raises(Rejected, match="rights as 公开"):
        make(rules, "rights", "秘密")


def test_a_place_is_meant_by_its_other_names(rules: Rules) -> None:
    filters = Filters(rules.fold, rules.wideners, rules.calendar, rules.gazetteer, ())
    condition = Condition("place", (("姑蘇", False),))
    assert filters.filter(condition, excluded=True) == Filter(
        "place", ("姑苏", "320508", "320500", "苏州"), excluded=True
    )
    assert filters.notes == [Note("place", "姑苏", "苏州（古称）")]
    for same in (
        make(rules, "place", "姑苏", quoted=True),
        make(rules, "place", "姑苏", off="place"),
    ):
        assert same == Filter("place", ("姑苏",))
    assert make(rules, "place", "320524").values == ("320524", "320506", "320507")
    assert make(rules, "office", "姑苏区") == Filter("office", ("姑苏区",))  # a name of its own
    assert make(rules, "title", "姑苏") == Filter("title", ("姑苏",))


def test_values_are_some_and_not_too_many(rules: Rules) -> None:
    many = [chr(0x4E00 + at) for at in range(FILTER_VALUES_MAX + 40)]
    for values in ([], ["", "，"], many):
        with pytest.raises(Rejected, match=f"1 to {FILTER_VALUES_MAX} values of kind"):
            make(rules, "kind", *values)
