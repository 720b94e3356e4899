from __future__ import annotations

from dataclasses import replace

from search_shard.lattice import Phrase
from search_shard.match import NONE
from search_shard.matched import Matched
from search_shard.postings import NOTHING
from search_shard.rank import CLASSES, spoken_class


def test_what_a_match_is_worth_is_its_rule_and_more() -> None:
    one = Matched(Phrase("pinyin", "苏州"), "pinyin", [1, 2], NONE, NOTHING, NOTHING)
    assert one.base == CLASSES["pinyin"]
    assert replace(one, more=spoken_class(3)).base == CLASSES["pinyin"] + spoken_class(3)
