from __future__ import annotations

import random
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import Rejected
from search_shard.build import SEGMENT_PAGES_MAX, build_segment
from search_shard.fold import is_skipped
from search_shard.layout import CODES_MAX
from search_shard.segment import Segment
from search_shard.tables import Tables
from tests.unit.search_shard.pages import ask, page, segment_of, shard_of


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text("蘇州虎丘 ，\na𠮷", max_size=12), min_size=1, max_size=8), st.randoms())
def test_equal_pages_in_any_order_give_equal_bytes(
    tables: Tables, texts: list[str], random: random.Random
) -> None:
    pages = [page(text, "ab"[seq % 2], seq, "題", "蘇州") for seq, text in enumerate(texts)]
    data = build_segment(pages, tables)
    random.shuffle(pages)
    assert build_segment(pages, tables) == data


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text("蘇州虎丘虎 ，", max_size=30), min_size=1, max_size=6))
def test_postings_are_the_pairs_of_a_scan(tables: Tables, texts: list[str]) -> None:
    segment = segment_of([page(text, seq=seq) for seq, text in enumerate(texts)], tables)
    wanted: dict[tuple[str, str], dict[int, int]] = {}
    for document, text in enumerate(texts):
        words = [tables.fold(c) for c in text if not is_skipped(c)] + ["\0"]
        for first, second in pairwise(words):
            listed = wanted.setdefault((first, second), {})
            listed[document] = listed.get(document, 0) + 1
    assert postings(segment) == wanted


def postings(segment: Segment) -> dict[tuple[str, str], dict[int, int]]:
    """Pair → document → how often."""
    points, codes = segment.arrays["points"].tolist(), segment.arrays["codes"].tolist()
    names = {0: "\0"} | {code: chr(point) for point, code in zip(points, codes, strict=True)}
    table = segment.pairs
    held: dict[tuple[str, str], dict[int, int]] = {}
    for first in names:
        for pair in range(table.first_at[first], table.first_at[first + 1]):
            documents, counts = table.counted(pair)
            key = names[first], names[table.seconds[pair]]
            assert key not in held
            held[key] = dict(zip(documents.tolist(), counts.tolist(), strict=True))
    return held


def test_codes_stand_in_the_global_order(tables: Tables) -> None:
    segment = segment_of([page("重蘇州，素苏𠮷a〓 虎")], tables)
    points, codes = segment.arrays["points"], segment.arrays["codes"]
    assert sorted(codes.tolist()) == list(range(1, len(codes) + 1))
    classes = points[np.argsort(codes)]
    keys = tables.keys(classes)
    assert np.all(keys[1:] > keys[:-1])
    names = "".join(map(chr, classes.tolist()))
    assert "蘇" not in names, "a class has one code"
    assert abs(names.index("素") - names.index("苏")) == 1, "homophones are neighbours"
    assert segment.arrays["skipped"].tolist() == [0, ord(" "), ord("，")]


def test_a_title_stands_once_an_item_and_a_heading_once_a_section(tables: Tables) -> None:
    pages = [page("之", item, seq, "志", "卷一" if seq < 2 else "卷二")
             for item in "ab" for seq in range(3)]  # fmt: skip
    segment = segment_of(pages, tables)
    assert segment.arrays["title_words"].tolist() == [2, 0, 0, 2, 0, 0]
    sizes = np.diff(segment.arrays["head_at"]) - segment.arrays["title_words"]
    assert sizes.tolist() == [3, 0, 3, 3, 0, 3]


def test_as_many_pages_as_a_document_number_can_name(tables: Tables) -> None:
    pages = [page("州" if seq else "蘇州", seq=seq) for seq in range(SEGMENT_PAGES_MAX)]
    shard = shard_of(tables, pages)
    assert ask(shard, "州", tables).total == SEGMENT_PAGES_MAX
    assert [hit.seq for hit in ask(shard, "蘇州", tables).hits] == [0]
    with pytest.raises(Rejected, match="segment: expected at most 65536 pages, got 65537"):
        build_segment([*pages, page("")], tables)


def test_no_pages_make_an_empty_segment(tables: Tables) -> None:
    segment = segment_of([], tables)
    assert (segment.pages, list(segment.read_pages())) == (0, [])
    for blank in ("", " \n，"):
        assert segment_of([page(blank)], tables).text(0) == blank


def test_beyond_the_codes_the_rarest_are_kept_but_not_found(tables: Tables) -> None:
    points = [p for p in range(0x3400, 0x3400 + 70_000) if not 0xD800 <= p < 0xE000]
    every = "".join(map(chr, points))
    often = every[:40_000]
    shard = shard_of(tables, [page(every), page(often, seq=1)])
    segment = shard.segments[0]
    assert len(segment.arrays["codes"]) <= CODES_MAX
    assert [segment.text(0), segment.text(1)] == [every, often]
    assert ask(shard, often[:3], tables).total == 2


def test_only_the_beginning_of_an_endless_title_is_searchable(tables: Tables) -> None:
    long = "志" * 70_000 + "終"
    segment = segment_of([page("之", title=long)], tables)
    assert segment.arrays["title_words"].tolist() == [60_001]
    assert segment.source(0).title == long
    assert ask(shard_of(tables, [page("之", title=long)]), "終", tables).total == 0
