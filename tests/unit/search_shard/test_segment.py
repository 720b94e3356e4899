from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import Corrupt
from search_shard.blocks import open_blocks, pack_blocks
from search_shard.build import build_segment
from search_shard.layout import LEVEL_KINDS, MAGIC
from search_shard.segment import Segment, merge_segments
from search_shard.tables import Tables
from tests.unit.search_shard.pages import ONE, page, segment_of

# nearly every block holds something: repeats, forms of a class beyond those told in two bits
PAGES = [ONE, page("虎丘虎丘，\n山", seq=1, section="卷下"), page("𠮷野〓國国囯囻圀", "b")]


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
        rare = name.startswith(("grams", "heads.")) or name.endswith((".gaps", *LEVEL_KINDS))
        assert view.nbytes or rare, f"{name} is empty: these pages do not show what they should"
        if not view.nbytes:
            continue  # a pair is common on hundreds of pages: see test_build
        start = np.frombuffer(view, dtype=np.uint8).ctypes.data - base
        regions[name] = range(start, start + view.nbytes)
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


def characters(segment: Segment) -> dict[int, str]:
    points, codes = segment.arrays["points"].tolist(), segment.arrays["codes"].tolist()
    return {code: chr(point) for point, code in zip(points, codes, strict=True)}


def test_heads_words_and_shape_of_a_page(tables: Tables) -> None:
    segment = segment_of(PAGES, tables)
    names = characters(segment)

    def plain(codes: str) -> str:
        return "".join(names[ord(code)] for code in codes)

    assert plain(segment.spoken(0)) == "知苏州府事重修虎丘山寺"
    assert [*map(plain, segment.title_and_heading(0))] == ["吴郡图经续记", "卷上"]
    assert [*map(plain, segment.title_and_heading(1))] == ["", "卷下"]  # the title stands once
    assert segment.title_and_heading(2) == ("", "")
    skipped = [at for at, is_word in enumerate(segment.shape(0)) if not is_word]
    assert [ONE.text[at] for at in skipped] == ["，", "\n", "。"]


def test_where_items_and_pages_come_from(tables: Tables) -> None:
    segment = segment_of(PAGES, tables)
    assert segment.items == (("320500", "a"), ("320500", "b"))
    assert [segment.owner_of(document)[1] for document in range(3)] == ["a", "a", "b"]
    assert (segment.label(1), segment.seq(1)) == ("2", 1)
    source = segment.source(1)
    assert (source.office, source.item, source.section) == ("320500", "a", "卷下")
    assert (source.file, source.log_index) == ("ab" * 32, 7)


def test_a_syllable_names_those_at_home_and_its_guests(tables: Tables) -> None:
    segment = segment_of([page("重中崇種乐")], tables)
    names = characters(segment)

    def spoken(syllable: str) -> set[str]:
        ranges = segment.codes_of_syllable(syllable)
        return {names[code] for low, high in ranges for code in range(low, high)}

    assert spoken("zhong") == set("重中种")
    assert spoken("chong") >= set("重崇")
    assert spoken("yue") == spoken("le") == {"乐"}
    assert spoken("su") == spoken("nonsense") == set()


def test_codes_of_what_is_here_and_of_what_is_not(tables: Tables) -> None:
    segment = segment_of([page("蘇州虎丘")], tables)
    names = characters(segment)
    assert [names.get(code, "") for code in segment.codes("苏无州")] == ["苏", "", "州"]
    assert sorted(names[code] for code in segment.codes_of("无苏丘锡").tolist()) == ["丘", "苏"]
    assert segment.codes_of("").tolist() == segment_of([], tables).codes_of("苏").tolist() == []


@pytest.mark.parametrize(
    "text",
    [
        "a\0b\0",
        "\ud800苏\udfff",
        "\ue000\uf8ff\U000f0000",
        "\u202e蘇州\u200f\ufeff",
        "<b>&lt;蘇州</b>&KR0001;〓",
        "é\u0301ﬁＡ㈠",
        "國国囯囻圀" * 3,
        "\n" * 100,
    ],
)
def test_whatever_was_handed_in_is_read_back(tables: Tables, text: str) -> None:
    pages = [page("蘇州", seq=0), page(text, seq=1), page(text, seq=2)]
    segment = segment_of(pages, tables)
    assert [segment.text(document) for document in range(3)] == ["蘇州", text, text]


def test_three_megabytes_without_a_break(tables: Tables) -> None:
    text = "蘇州府志卷第一" * 150_000
    segment = segment_of([page(text)], tables)
    assert segment.text(0) == text
    counts = segment.pairs.counted(segment.pairs.find(*segment.codes("苏州")))[1]
    assert counts.tolist() == [255]  # as far as it is counted


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
