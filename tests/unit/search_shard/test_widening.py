from __future__ import annotations

from collections.abc import Iterator

from search_shard.lattice import PHRASES_MAX, Note
from search_shard.widening import Alternative, Widened, notes_of, widen


class Table:
    """Words and what else they may be written as."""

    sign = "."

    def __init__(self, rule: str, words: dict[str, tuple[str, ...]], note: str = "") -> None:
        self.rule, self.words, self.note = rule, words, note

    def alternatives(self, text: str) -> Iterator[Alternative]:
        for word, others in self.words.items():
            if (at := text.find(word)) >= 0:
                for other in others:
                    yield Alternative(self.rule, other, at, at + len(word), self.note)


PLACES = Table("place", {"平江": ("苏州",), "姑苏": ("苏州", "吴郡")}, "古称")
YEARS = Table("year", {"康熙三十年": ("1691年", "辛未")})


def forms(text: str, *wideners: Table, off: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    return [(each.rule, each.text) for each in widen(text, wideners, off)]


def test_a_part_of_a_word_is_replaced_and_told() -> None:
    (form,) = widen("平江府志", (PLACES,))
    assert form == Widened("place", "苏州府志", (Alternative("place", "苏州", 0, 2, "古称"),))
    assert notes_of("平江府志", [form]) == [Note("place", "平江", "苏州（古称）")]
    assert not widen("虎丘", (PLACES, YEARS))


def test_every_form_of_a_part_is_tried() -> None:
    assert forms("姑苏志", PLACES) == [("place", "苏州志"), ("place", "吴郡志")]
    told = notes_of("姑苏志", widen("姑苏志", (PLACES,)))
    assert told == [Note("place", "姑苏", "苏州、吴郡（古称）")]


def test_each_form_comes_once_by_its_first_rule() -> None:
    numbers = Table("number", {"三十": ("30",), "年": ("年",)})
    years = Table("year", {"康熙三十年": ("康熙30年", "1691")})
    assert forms("康熙三十年", years, numbers) == [("year", "康熙30年"), ("year", "1691")]


def test_several_parts_are_replaced_by_their_least_sure_rule() -> None:
    assert forms("康熙三十年平江", PLACES, YEARS) == [
        ("place", "康熙三十年苏州"),
        ("year", "1691年平江"),
        ("year", "辛未平江"),
        ("place", "1691年苏州"),
        ("place", "辛未苏州"),
    ]


def test_a_rule_that_is_off_says_nothing() -> None:
    assert forms("康熙三十年平江", PLACES, YEARS, off=("place",)) == [
        ("year", "1691年平江"),
        ("year", "辛未平江"),
    ]


def test_forms_are_bounded_whatever_a_table_says() -> None:
    many = Table("synonym", {"甲": tuple("子丑寅卯辰巳午未申酉戌亥"), "乙": tuple("一二三四五六")})
    assert len(widen("甲乙", (many,))) == PHRASES_MAX
    empty = Alternative("synonym", "无", 1, 1)

    class Nothing:
        def alternatives(self, text: str) -> list[Alternative]:
            return [empty]

    assert not widen("甲乙", (Nothing(),))
