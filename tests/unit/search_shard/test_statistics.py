from __future__ import annotations

import zlib
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import DecodeError
from protocol.ids import NetworkId
from search_shard.lattice import SPOKEN, WEIGHT_MAX, Phrase, Query, Word
from search_shard.statistics import (
    CELLS,
    WEIGHT_MIN,
    Counts,
    Statistics,
    cell,
    level,
    read_statistics,
    weigh,
)

NETWORK = NetworkId(bytes(32))
PAGES = st.lists(st.text("虎丘山寺\0", max_size=12), max_size=6)


def counts_of(*pages: str) -> Counts:
    counts = Counts()
    points = np.array([ord(each) for page in pages for each in page], np.uint32)
    counts.add(points, np.cumsum([0, *map(len, pages)]))
    return counts


def epoch_of(*pages: str) -> Statistics:
    return counts_of(*pages).epoch(NETWORK)


def truth(pages: list[str], part: str) -> int:
    return sum(part in page for page in pages)


@settings(max_examples=50, deadline=None)
@given(PAGES)
def test_a_sketch_counts_the_pages_of_each_character_and_pair(pages: list[str]) -> None:
    epoch = epoch_of(*pages)
    assert epoch.pages == len(pages)
    parts = {text for page in pages for text in page} | {
        first + second for page in pages for first, second in pairwise(page)
    }
    told = {part: truth(pages, part) for part in parts if "\0" not in part}
    assert {part: epoch.levels[cell(part)] for part in told} == {
        part: level(count) for part, count in told.items()
    }
    assert sum(map(bool, epoch.levels)) == len({cell(part) for part in told})


@settings(max_examples=25, deadline=None)
@given(PAGES, PAGES)
def test_sketches_add_up(ours: list[str], theirs: list[str]) -> None:
    counts, other = counts_of(*ours), counts_of(*theirs)
    counts.join(other.pages, other.encoded())
    assert counts.epoch(NETWORK) == epoch_of(*ours, *theirs)


def test_a_page_does_not_run_into_the_next() -> None:
    epoch = epoch_of("虎", "丘")
    assert epoch.levels[cell("虎丘")] == 0
    assert epoch.levels[cell("虎")] == epoch.levels[cell("丘")] == level(1)


@pytest.mark.parametrize(
    ("pages", "counts"),
    [
        (9, b""),
        (9, b"no deflate"),
        (9, zlib.compress(bytes(4 * CELLS - 4))),
        (9, zlib.compress(bytes(4 * CELLS + 4))),
        (9, zlib.compress(bytes(10**8))),
        (9, zlib.compress(bytes(4 * CELLS)) + b"more"),
        (9, zlib.compress(bytes(4 * CELLS))[:-3]),
        (9, zlib.compress((10).to_bytes(4, "little") + bytes(4 * CELLS - 4))),
    ],
)
def test_what_is_no_sketch_is_refused_and_not_counted(pages: int, counts: bytes) -> None:
    total = counts_of("虎丘")
    before = total.epoch(NETWORK)
    with pytest.raises(DecodeError, match="sketch"):
        total.join(pages, counts)
    assert total.epoch(NETWORK) == before


def test_an_epoch_is_read_strictly() -> None:
    epoch = epoch_of("虎丘山")
    assert read_statistics(epoch.encoded(), NETWORK) == epoch
    others = [
        replace(epoch, format="fangzhi/statistics/2"),
        replace(epoch, levels=epoch.levels[1:]),
        replace(epoch, network=NetworkId(b"n" * 32)),
    ]
    for data in (b"", epoch.encoded() + b"\0", *(other.encoded() for other in others)):
        with pytest.raises(DecodeError, match="statistics"):
            read_statistics(data, NETWORK)


def word(*phrases: Phrase | str) -> Word:
    made = tuple(Phrase("typed", p) if isinstance(p, str) else p for p in phrases)
    return Word("", made)


def weights(epoch: Statistics, *words: Word) -> list[int]:
    query = Query("", words, tuple(map(str, range(len(words)))))
    return [each.weight for each in weigh(query, epoch, lambda c: "户" if c == "戶" else c).words]


def test_the_rarer_word_weighs_more() -> None:
    epoch = epoch_of(*["虎丘"] * 99, "丘山寺", "户口")
    words = (word("丘山"), word("虎丘"), word("龍鳳"), word("寺"))
    rare, frequent, absent, alone = weights(epoch, *words)
    assert absent > rare > frequent == WEIGHT_MIN
    assert rare == alone
    assert 360 < rare < 420, "ln(102/2) = 3.93 nats"
    assert 430 < absent < 470, "ln(102/1) = 4.62 nats"
    assert weights(epoch, word("虎丘山")) == [rare], "the rarest pair of a phrase"
    assert weights(epoch, word("丘山", "虎丘")) == [frequent], "the most frequent alternative"
    assert weights(epoch, word(Phrase("literal", "戶口"))) == weights(epoch, word("户口"))
    huge = replace(epoch, pages=2**62)
    assert weights(huge, word("丘山"))[0] <= WEIGHT_MAX


def test_what_is_told_by_its_sounds_alone_weighs_half() -> None:
    epoch = epoch_of(*["虎丘"] * 100)
    spoken = Phrase("pinyin", SPOKEN * 2, (("hu",), ("qiu",)))
    mixed = Phrase("pinyin", SPOKEN + "丘", (("hu",), ()))
    unknown, known, absent = weights(epoch, word(spoken), word(mixed), word("龍鳳"))
    assert known == WEIGHT_MIN
    assert unknown == pytest.approx(absent / 2, abs=10)


def test_without_an_epoch_nothing_changes() -> None:
    query = Query("虎", (word("虎"),), ("0",))
    assert weigh(query, None, str) is query
