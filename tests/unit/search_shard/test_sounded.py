"""Texts as codes ordered by sound: every place, and no other."""

from __future__ import annotations

from search_shard.sounded import SoundedTexts, distinct
from search_shard.tables import Tables
from search_shard.typed import read_typed

TEXTS = ["苏州府志", "六合县志", "干隆江南通志", "吕城镇志", "苏", "重庆", "a股大事记", "略论"]


def read(typed: str, tables: Tables, at_start: bool = True) -> list[str]:
    """The parts of the texts that read so."""
    texts = SoundedTexts.build(TEXTS, tables)
    line = "\0".join(TEXTS) + "\0"
    found = []
    for match in texts.spelled(read_typed(typed, tables), at_start):
        found += [line[at : at + match.length] for at in match.starts.tolist()]
    return sorted(found)


def test_what_is_typed_is_found_at_a_beginning_or_anywhere(tables: Tables) -> None:
    assert read("苏", tables) == ["苏", "苏"]
    assert read("志", tables) == []
    assert read("志", tables, at_start=False) == ["志"] * 4
    assert read("zhi", tables, at_start=False) == ["志"] * 4
    assert read("苏zhoufu", tables) == ["苏州府"]
    assert read("苏州府志录", tables) == []
    assert read("苏苏", tables, at_start=False) == [], "no way leads over the end of a text"


def test_every_reading_counts(tables: Tables) -> None:
    assert read("luhe", tables) == read("liuhe", tables) == ["六合"]
    assert read("qianlong", tables) == ["干隆"], "乾 folds to 干 and lends it its reading"
    assert read("zhongq", tables) == read("chongq", tables) == ["重庆"]
    assert read("lvc", tables) == read("lüc", tables) == ["吕城"]
    assert read("lue", tables) == read("lve", tables) == read("lüè", tables) == ["略"]
    assert read("luel", tables) == ["略论"]


def test_letters_that_are_letters(tables: Tables) -> None:
    assert read("a股", tables) == ["a股"]
    assert read("agu", tables) == []


def test_initials_and_syllables_are_mixed_at_a_beginning_only(tables: Tables) -> None:
    assert read("szhoufz", tables) == ["苏州府志"]
    assert read("jntz", tables, at_start=False) == ["江南通志"]
    assert read("jnantz", tables, at_start=False) == []


def test_one_character_may_be_another(tables: Tables) -> None:
    texts = SoundedTexts.build(TEXTS, tables)
    assert texts.nearly("苏周府志", 1).tolist() == [0]
    assert texts.nearly("苏州府志", 1).tolist() == [], "the same is no other"
    assert texts.nearly("鑫州府志", 1).tolist() == []
    assert texts.nearly("鑫州府志", 0).tolist() == [0]
    assert texts.nearly("庆a", 0).tolist() == [], "nothing spans two texts"
    sound = texts.alike_in_sound("周")
    assert sound[texts.code_of["州"]]
    assert not sound[texts.code_of["苏"]]
    assert not sound[0]


def test_no_texts_at_all(tables: Tables) -> None:
    texts = SoundedTexts.build([], tables)
    assert list(texts.spelled(read_typed("suz", tables), at_start=False)) == []
    assert texts.nearly("苏州", 0).tolist() == []


def test_distinct_values_rise(tables: Tables) -> None:
    texts = SoundedTexts.build(["一一一"], tables)
    assert distinct(texts.codes).tolist() == [0, 1]
