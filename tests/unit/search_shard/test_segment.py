from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import Corrupt
from search_shard.blocks import open_blocks, pack_blocks
from search_shard.build import build_segment
from search_shard.layout import KINDS, MAGIC
from search_shard.segment import Segment, merge_segments
from search_shard.tables import SYLLABLE_SHIFT, Tables
from tests.unit.search_shard.pages import ONE, page, segment_of

PAGES = [ONE, page("虎丘虎丘，\n山", seq=1, section="卷下"), page("𠮷野〓", "b")]


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.text(max_size=20), st.text("卷上 ，", max_size=3)),
        max_size=6,
    )
)
def test_pages_are_read_back_as_they_were_handed_in(
    tables: Tables, rows: list[tuple[str, str, str]]
) -> None:
    pages = [page(text, item, seq, head, head[:1]) for seq, (item, text, head) in enumerate(rows)]
    segment = segment_of(pages, tables)
    assert list(segment.read_pages()) == sorted(pages, key=lambda p: (p.item, p.seq))
    assert segment.pages == len(pages)


def test_a_flipped_bit_in_any_region_is_corrupt(tables: Tables) -> None:
    data = build_segment(PAGES, tables)
    base = np.frombuffer(data, dtype=np.uint8).ctypes.data
    regions = {"magic": range(8), "length": range(8, 12), "checksum": range(12, 28)}
    regions["header"] = range(28, 28 + int.from_bytes(data[8:12], "little"))
    for name, view in open_blocks(data, MAGIC, "segment")[1].items():
        assert view.nbytes, f"{name} is empty: these pages do not show what they should"
        start = np.frombuffer(view, dtype=np.uint8).ctypes.data - base
        regions[name] = range(start, start + view.nbytes)
    assert regions.keys() >= KINDS.keys()
    for name, region in regions.items():
        for at in {region[0], region[len(region) // 2], region[-1]}:
            damaged = bytearray(data)
            damaged[at] ^= 1 << at % 8
            try:
                Segment.open(damaged, tables)
            except Corrupt:
                continue
            pytest.fail(f"byte {at} of {name} went unnoticed")


def test_a_cut_segment_is_corrupt(tables: Tables) -> None:
    data = build_segment(PAGES, tables)
    for cut in (0, 7, 27, 100, len(data) // 2, len(data) - 1):
        with pytest.raises(Corrupt):
            Segment.open(data[:cut], tables)


def test_a_segment_of_other_tables_or_with_other_blocks_is_refused(tables: Tables) -> None:
    data = build_segment(PAGES, tables)
    with pytest.raises(Corrupt, match="build it again"):
        Segment.open(data, replace(tables, digest=b"\0" * 16))
    header, blocks = open_blocks(data, MAGIC, "segment")
    for odd in (blocks | {"more": memoryview(b"")}, dict(list(blocks.items())[1:])):
        with pytest.raises(Corrupt, match="the blocks of this format"):
            Segment.open(pack_blocks(MAGIC, header, odd), tables)
    with pytest.raises(Corrupt):
        Segment.open(pack_blocks(MAGIC, (tables.digest, "1"), blocks), tables)


def test_fields_words_and_shape_of_a_page(tables: Tables) -> None:
    segment = segment_of(PAGES, tables)
    spoken = "吳郡圖經續記\0卷上\0知蘇州府事重脩虎丘山寺\0"
    characters = segment.arrays["chars"][segment.words(0)]
    assert "".join(map(chr, characters.tolist())) == spoken
    assert segment.fields(0) == (7, 10)
    assert segment.fields(1) == (0, 3)  # the title stands at the first page
    assert segment.fields(2) == (0, 0)
    skipped = [at for at, is_word in enumerate(segment.shape(0)) if not is_word]
    assert [ONE.text[at] for at in skipped] == ["，", "\n", "。"]


def test_where_items_and_pages_come_from(tables: Tables) -> None:
    segment = segment_of(PAGES, tables)
    assert segment.items == {"a": (0, 2), "b": (2, 3)}
    assert segment.label(1) == (1, "2")
    source = segment.source(1)
    assert (source.office, source.item, source.section) == ("320500", "a", "卷下")
    assert (source.file, source.log_index) == ("ab" * 32, 7)


def test_a_syllable_names_those_at_home_and_its_guests(tables: Tables) -> None:
    segment = segment_of([page("重中崇種乐")], tables)

    def spoken(syllable: str) -> set[str]:
        number = tables.syllable_number(syllable)
        assert number is not None
        ranges = segment.codes_of_syllable(number)
        return {chr(segment.arrays["chars"][c]) for low, high in ranges for c in range(low, high)}

    assert spoken("zhong") == set("重中種")
    assert spoken("chong") >= set("重崇")
    assert spoken("yue") == spoken("le") == {"乐"}
    assert spoken("su") == set()


def test_codes_of_keys_leaves_out_what_is_not_here(tables: Tables) -> None:
    segment = segment_of([page("苏蘇州")], tables)
    home = tables.keys(np.array([ord("苏"), ord("虎")], dtype=np.uint32)) >> SYLLABLE_SHIFT
    ranges = segment.codes_of_keys(home << SYLLABLE_SHIFT, 1 << int(SYLLABLE_SHIFT))
    assert [high - low for low, high in ranges] == [2]


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.lists(st.text("蘇州虎丘，a", max_size=8), max_size=3), max_size=4),
    st.sets(st.sampled_from("abcdx")),
)
def test_merging_is_building_over_what_remains(
    tables: Tables, batches: list[list[str]], deleted: set[str]
) -> None:
    by_item = [
        [page(text, item, seq, "志", "卷") for seq, text in enumerate(texts)]
        for item, texts in zip("abcd", batches, strict=False)
    ]
    kept = [p for batch in by_item for p in batch if p.item not in deleted]
    segments = [segment_of(batch, tables) for batch in by_item]
    wanted = build_segment(kept, tables)
    assert merge_segments(segments, frozenset(deleted), tables) == wanted
    assert merge_segments(segments[::-1], frozenset(deleted), tables) == wanted
