from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_shard.lattice import NEAR, Phrase
from search_shard.likeness import Likeness, alike_codes
from search_shard.segment import Segment
from search_shard.tables import Tables
from tests.unit.search_shard.pages import page, segment_of

# Homophones, guests of several readings, look-alikes, both, what is neither read nor drawn.
LETTERS = "苏素塑州洲舟重钟虫长张乐六陆鹿路干幹乾清请情睛晴青己已巳未末a9🐯"


@pytest.fixture(scope="module")
def segment(tables: Tables) -> Segment:
    return segment_of([page(LETTERS)], tables)


@settings(max_examples=60, deadline=None)
@given(st.text(LETTERS, min_size=1, max_size=3), st.sampled_from([NEAR, NEAR[:1], NEAR[1:2]]))
def test_all_that_are_alike_are_told_as_each_is(
    segment: Segment, text: str, near: tuple[str, ...]
) -> None:
    phrase = Phrase("typed", segment.tables.fold(text), near=near)
    likeness = Likeness(segment.tables, phrase)
    for at in range(len(text)):
        given = {
            segment.folded[code]: ("sound" if sounds else "shape", bits)
            for code, bits, sounds in zip(
                *(one.tolist() for one in alike_codes(segment, phrase, at)), strict=True
            )
        }
        of = {other: likeness.of(at, other) for other in segment.folded[1:]}
        assert given == {other: told for other, told in of.items() if told[0] != "other"}


def test_what_sounds_and_looks_alike_is_likelier_than_either(tables: Tables) -> None:
    def of(typed: str, other: str) -> tuple[str, int]:
        return Likeness(tables, Phrase("typed", typed, near=NEAR)).of(0, other)

    (both, most), (sound, heard), (shape, looks) = of("清", "请"), of("清", "轻"), of("清", "猜")
    assert (both, sound, shape) == ("sound", "sound", "shape")
    assert most > heard > of("适", "括")[1] > of("清", "虎")[1]  # 适 is 适 and 適; 括 is rarely kuo
    assert most > looks > of("清", "虎")[1]
    assert of("清", "虎")[0] == "other"
