from __future__ import annotations

import pytest

from search_shard import words
from search_shard.layout import MEMBERS
from search_shard.tables import Tables
from search_shard.words import characters_of, head_blocks, text_blocks

TEXTS = ["臺台颱檯 台，", "", " \n", "蘇州\0𠮷、ＡaÀ"]


def test_the_members_of_a_class_are_the_most_frequent_first(tables: Tables) -> None:
    known = characters_of(["ＡaaÀàＡＡaa"], tables)
    assert known.size == 2
    assert known.members.tolist() == [[0] * MEMBERS, [ord(c) for c in "aＡÀ"]]
    assert known.told[[ord(c) for c in "aＡÀà"]].tolist() == [
        1,
        1 | 1 << 16,
        1 | 2 << 16,
        1 | 3 << 16,
    ]


@pytest.mark.parametrize("chunk", [1, 5, 1 << 16])
def test_chunks_do_not_show(tables: Tables, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    known = characters_of(TEXTS, tables)
    whole = text_blocks(TEXTS, known) | head_blocks(TEXTS, known)
    monkeypatch.setattr(words, "_CHUNK_CHARS", chunk)
    monkeypatch.setattr(words, "_COUNTED_CHARS", chunk)
    again = characters_of(TEXTS, tables)
    assert again.told.tobytes() == known.told.tobytes()
    cut = text_blocks(TEXTS, again) | head_blocks(TEXTS, again)
    assert {name: block.tolist() for name, block in cut.items()} == {
        name: block.tolist() for name, block in whole.items()
    }
    assert whole["word_at"].tolist() == [0, 6, 7, 8, 15]
    assert whole["head_at"].tolist() == [0, 6, 13], "a head without words has no end"
