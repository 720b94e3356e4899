from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest

from search_shard import buckets
from search_shard.buckets import Buckets, Rows, by_first, documents_of, neighbours

TEXTS = [[3, 1, 4, 1, 0], [0], [5, 9, 2, 6, 5, 0], [3, 5, 0]]
WORDS = np.array([word for text in TEXTS for word in text], np.uint16)
WORD_AT = np.array([0, 5, 6, 12, 15], np.uint32)


def lists(rows: Rows) -> list[tuple[int, ...]]:
    return list(zip(*(column.tolist() for column in rows), strict=True))


def test_neighbours_name_their_document(monkeypatch: pytest.MonkeyPatch) -> None:
    of = [document for document, text in enumerate(TEXTS) for _ in text]
    wanted = list(zip(WORDS.tolist(), WORDS.tolist()[1:], of, strict=False))
    for size in (1, 2, 5, 100):
        monkeypatch.setattr(buckets, "PIECE_ROWS", size)
        found = [row for piece in neighbours(WORDS, WORD_AT)() for row in lists(piece)]
        assert found == wanted
    assert not list(neighbours(WORDS[:0], WORD_AT[:1])())


def test_documents_without_words_are_passed_over() -> None:
    word_at = np.array([0, 0, 3, 3, 4, 4], np.uint32)
    assert documents_of(word_at, 0, 4).tolist() == [1, 1, 1, 3]
    assert documents_of(word_at, 2, 3).tolist() == [1]
    assert documents_of(word_at, 0, 0).tolist() == []


@pytest.mark.parametrize("held", [1, 30, 10**6])
@pytest.mark.parametrize("piece", [7, 1000])
@pytest.mark.parametrize("ends", [None, [5, 6, 20, 50], [50]])
def test_every_row_is_in_the_bucket_of_its_first_in_the_order_it_came(
    monkeypatch: pytest.MonkeyPatch, held: int, piece: int, ends: list[int] | None
) -> None:
    monkeypatch.setattr(buckets, "RANGE_ROWS", held)
    dice = random.Random(5)
    rows = [(dice.randrange(50) // (n % 3 + 1), dice.randrange(9), n) for n in range(400)]
    found: dict[int, list[int]] = {}
    low = 1
    for one in by_first(pieces_of(rows, piece), 50, ends and np.array(ends)):
        assert one.low == low
        low += one.size
        assert ends is None or low in ends
        for at, (start, end) in enumerate(zip(one.starts, one.starts[1:], strict=False)):
            found[one.low + at] = one.keys[start:end].tolist()
    assert low == 50
    assert found == {
        first: [second << 16 | n for f, second, n in rows if f == first] for first in range(1, 50)
    }


def pieces_of(rows: list[tuple[int, int, int]], size: int) -> Callable[[], list[Rows]]:
    columns = np.array(rows, np.uint16)
    cut = [columns[at : at + size] for at in range(0, len(columns), size)]
    return lambda: [(part[:, 0], part[:, 1], part[:, 2]) for part in cut]


def test_groups_are_whole_buckets_and_hold_about_a_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buckets, "PIECE_ROWS", 10)
    sizes = [4, 0, 6, 1, 30, 0, 0, 2]
    starts = np.concatenate([[0], np.cumsum(sizes)])
    held = Buckets(7, starts, np.arange(starts[-1], dtype=np.uint32)[::-1].copy())
    groups = list(held.groups())
    assert [sum(sizes[low:high]) for low, high in groups] == [10, 1, 30, 2]
    assert [at for low, high in groups for at in range(low, high)] == list(range(8))
    part = held.part(*groups[0])
    assert (part.low, part.starts.tolist()) == (7, [0, 4, 4, 10])
    part.sort()
    assert held.keys[:10].tolist() == [39, 40, 41, 42, 33, 34, 35, 36, 37, 38], "in place"
