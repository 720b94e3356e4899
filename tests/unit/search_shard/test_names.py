"""Suggestions against a scan over all names, and what people type against what they mean."""

from __future__ import annotations

import random
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_shard.names import Name, Names, Suggestion
from search_shard.tables import Tables

BOOKS = {
    "苏州府志": 300,
    "蘇州府志": 20,
    "苏州年鉴": 40,
    "吴郡志": 120,
    "六合县志": 60,
    "盱眙县志": 50,
    "江南通志（乾隆）": 900,
    "重修扬州府志": 70,
    "浙江通志": 30,
}
PLACES = {"苏州市": ("320500", 10), "姑苏": ("320500", 10), "宿迁市": ("321300", 4)}
HEADINGS = {"卷一": 40, "卷一 沿革": 12, "苏州考": 2, "风俗": 9}


def names_of(tables: Tables, entries: list[Name] | None = None) -> Names:
    made = [Name("title", text, f"book-{text}", count) for text, count in BOOKS.items()]
    made += [Name("place", text, code, count) for text, (code, count) in PLACES.items()]
    made += [Name("heading", text, "book-吴郡志", count) for text, count in HEADINGS.items()]
    return Names.build(made if entries is None else entries, tables)


def texts(found: list[Suggestion]) -> list[str]:
    return [suggestion.text for suggestion in found]


@pytest.mark.parametrize(
    "typed",
    "蘇州府志 苏州府志 suzhoufuzhi suzhoufuz suzhoufz szfz 苏zhou·f苏zhoufz su1zhou1fu3zhi4"
    " sūzhōufǔzhì SuZhouFuZhi".replace("·f", " ").split(),
)
def test_a_title_is_found_however_it_is_typed(typed: str, tables: Tables) -> None:
    (first, *_) = names_of(tables).suggest(typed, 10)
    assert (first.kind, first.text, first.count) == ("title", "苏州府志", 320)
    assert first.sources == ("book-苏州府志", "book-蘇州府志")


def test_the_order_of_suggestions(tables: Tables) -> None:
    names = names_of(tables)
    assert texts(names.suggest("su", 10)) == [
        "苏州府志",
        "苏州年鉴",
        "苏州市",
        "宿迁市",
        "苏州考",
        "姑苏",  # anywhere in the name
        "风俗",
    ]
    assert texts(names.suggest("卷一", 10)) == ["卷一", "卷一 沿革"], "the whole name first"
    assert texts(names.suggest("苏州", 2)) == ["苏州府志", "苏州年鉴"]
    assert [s.rule for s in names.suggest("szn", 2)] == ["initials"]


def test_what_was_typed_is_marked_in_the_text(tables: Tables) -> None:
    names = names_of(tables)
    for typed, marked in [("qianlong", "乾隆"), ("卷一yan", "卷一 沿"), ("fz", "府志")]:
        found = names.suggest(typed, 1)[0]
        assert found.text[slice(*found.marked)] == marked


@pytest.mark.parametrize(
    ("typed", "text", "rule"),
    [
        ("吴群志", "吴郡志", "shape"),
        ("浙将通志", "浙江通志", "sound"),
        ("苏州福志", "苏州府志", "sound"),
        ("江南通鉴", "江南通志（乾隆）", "other"),
        ("年监", "苏州年鉴", "sound"),
    ],
)
def test_one_character_may_be_wrong(typed: str, text: str, rule: str, tables: Tables) -> None:
    found = names_of(tables).suggest(typed, 10)
    assert (text, rule) in [(suggestion.text, suggestion.rule) for suggestion in found]


def test_too_little_is_typed_to_be_wrong(tables: Tables) -> None:
    assert names_of(tables).suggest("鑫州", 10) == [], "neither sounds nor looks like 苏"
    assert names_of(tables).suggest("鑫", 10) == []


@pytest.mark.parametrize("typed", ["", "  ", "《》", "\udc80", "x" * 64, "𠀀", "1'2", "a" * 64])
def test_what_means_nothing_finds_nothing(typed: str, tables: Tables) -> None:
    assert names_of(tables).suggest(typed, 10) == []
    assert Names.build([], tables).suggest(typed, 10) == []
    assert Names.build([], tables).words(typed, 10) == []


def test_words_that_pinyin_may_stand_for(tables: Tables) -> None:
    names = names_of(tables)
    assert names.words("suzhou", 10) == [("苏州", 372)]
    assert names.words("su", 10) == [("苏", 382), ("俗", 9), ("宿", 4)]
    assert names.words("luhe", 1) == [("六合", 60)]
    assert names.words("suzh", 10) == [], "a syllable that is not typed to its end"
    assert names.words("苏州", 10) == [], "no pinyin"
    assert names.words("苏zhou", 10) == [("苏州", 372)]


def test_what_is_hidden_is_gone_at_once(tables: Tables) -> None:
    names = names_of(tables)
    hidden = names.without(frozenset({"book-苏州府志", "book-吴郡志"}))
    (twin, other, *_) = hidden.suggest("suzhou", 10)
    assert (twin.count, twin.sources) == (20, ("book-蘇州府志",))
    assert (other.text, other.count) == ("苏州年鉴", 40)
    assert hidden.suggest("wujun", 10) == hidden.suggest("fengsu", 10) == []
    assert hidden.words("suzhou", 10) == [("苏州", 70)]
    assert hidden.without(frozenset()).suggest("suzhou", 10) == names.suggest("suzhou", 10)


def test_a_name_without_pages_is_still_a_name(tables: Tables) -> None:
    names = names_of(tables, [Name("title", "空志", "a", 0), Name("title", "空志", "b", 0)])
    assert names.suggest("空志", 1)[0].count == 0
    assert names.without(frozenset("a")).suggest("空志", 1)[0].sources == ("b",)
    assert names.without(frozenset("ab")).suggest("空志", 1) == []


def test_the_order_of_entries_is_no_matter(tables: Tables) -> None:
    rng = random.Random(5)
    letters = "苏州府志宿迁"
    entries = [
        Name(rng.choice(("title", "heading")), "".join(rng.choices(letters, k=3)), f"b{at}", at % 5)
        for at in range(60)
    ]
    one = names_of(tables, entries)
    rng.shuffle(entries)
    other = names_of(tables, entries)
    for typed in ("s", "su", "苏州", "zhi", "szf"):
        assert one.suggest(typed, 10) == other.suggest(typed, 10)


# A judge who tries every way to read every name, one letter after another.

ALPHABET = "苏宿州周府志知重中虫"
LETTERS = ("su", "s", "zhou", "zh", "zhong", "chong", "c", "z", "fu", "f", "zhi", "x", "ou")
SPELLED = st.lists(st.sampled_from((*ALPHABET, *LETTERS)), min_size=1, max_size=4).map("".join)


def reads(text: str, typed: str, tables: Tables) -> tuple[bool, bool] | None:
    """(by initials, not whole) in the best way that ``text`` begins with what was typed."""

    def ways(at: int, left: str) -> list[tuple[bool, int]]:
        if not left:
            return [(False, at)]
        if at == len(text):
            return []
        found = ways(at + 1, left[1:]) if left[0] == text[at] else []
        for reading in tables.every_reading(text[at]):
            if reading.startswith(left):
                found.append((False, at + 1))
            elif left.startswith(reading):
                found += ways(at + 1, left[len(reading) :])
            for initial in {reading[:1], reading[:2] if reading[1:2] == "h" else ""} - {""}:
                if left.startswith(initial) and left != initial:
                    found += [(True, end) for _, end in ways(at + 1, left[len(initial) :])]
        return found

    return min(((brief, end < len(text)) for brief, end in ways(0, typed)), default=None)


@settings(max_examples=60)
@given(
    st.lists(st.text(ALPHABET, min_size=1, max_size=4), min_size=1, max_size=12, unique=True),
    SPELLED,
)
def test_all_that_begin_so_are_found_in_order(
    tables: Tables, titles: list[str], typed: str
) -> None:
    entries = [Name("title", text, text, at % 3) for at, text in enumerate(titles)]
    found = names_of(tables, entries).suggest(typed, 100)
    ranks = {e.text: (reads(e.text, typed, tables), -e.count, len(e.text)) for e in entries}
    begin = [text for text in titles if ranks[text][0] is not None]
    assert {text for text in texts(found) if ranks[text][0]} == set(begin)
    order = [ranks[text] for text in texts(found)[: len(begin)]]
    assert order == sorted(ranks[text] for text in begin)


@settings(max_examples=40)
@given(st.lists(st.text(ALPHABET, min_size=2, max_size=5), min_size=1, max_size=8), SPELLED)
def test_all_that_have_the_characters_are_found(
    tables: Tables, titles: list[str], typed: str
) -> None:
    entries = [Name("title", text, text, 1) for text in titles]
    found = set(texts(names_of(tables, entries).suggest(typed, 100)))
    assert {text for text in titles if typed in text} <= found


def test_every_division_of_syllables_is_followed(tables: Tables) -> None:
    names = names_of(
        tables, [Name("title", text, text, 1) for text in ("先", "西安", "方案", "翻干")]
    )
    for joined, both in {"xian": {"先", "西安"}, "fangan": {"方案", "翻干"}}.items():
        assert set(texts(names.suggest(joined, 10))) == both
    assert texts(names.suggest("xi'an", 10)) == ["西安"]


def test_work_is_bounded_whatever_is_typed(tables: Tables) -> None:
    """A corpus of one syllable, and letters that may be divided in very many ways."""
    entries = [
        Name("heading", "".join(p), str(n), 1) for n, p in enumerate(product("是事市", repeat=6))
    ]
    names = names_of(tables, entries)
    for typed in ("shi" * 21, "sh" * 32, "s" * 64, "是" * 64):
        assert len(names.suggest(typed, 10)) <= 10
