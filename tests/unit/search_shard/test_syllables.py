from __future__ import annotations

import random
from itertools import pairwise

import pytest

from search_shard import buckets, syllables
from search_shard.tables import Tables
from tests.unit.search_shard.pages import page, segment_of

LETTERS = "重行乐长州洲周虎Q數"  # several have further readings, one has none


@pytest.mark.parametrize("piece", [3, 1 << 17])
def test_every_reading_stands_beside_every_reading_of_the_next(
    tables: Tables, monkeypatch: pytest.MonkeyPatch, piece: int
) -> None:
    monkeypatch.setattr(buckets, "RANGE_ROWS", piece)
    monkeypatch.setattr(syllables, "PIECE_ROWS", piece)
    dice = random.Random(3)
    texts = ["".join(dice.choices(LETTERS, k=dice.randrange(30))) for _ in range(20)]
    segment = segment_of([page(text, seq=seq) for seq, text in enumerate(texts)], tables)
    number = {syllable: at for at, syllable in enumerate(tables.syllables, start=1)}
    wanted: dict[tuple[int, int], dict[int, int]] = {}
    for document, text in enumerate(texts):
        read = [[number[way] for way in tables.readings(tables.fold(c))] or [0] for c in text]
        for firsts, seconds in pairwise([*read, [0]]):
            for first in filter(None, firsts):
                for second in seconds:
                    listed = wanted.setdefault((first, second), {})
                    listed[document] = listed.get(document, 0) + 1
    table = segment.syllables
    assert sum(map(len, wanted.values())) > 400
    for (first, second), listed in wanted.items():
        documents, counts = table.counted(table.find(first, second))
        assert dict(zip(documents.tolist(), counts.tolist(), strict=True)) == listed
    assert len(table.sizes) == len(wanted)
