from __future__ import annotations

import random

import numpy as np

from search_shard.layout import CHAMPIONS
from search_shard.rank import HEADING_SCORE, TITLE_SCORE, damping, text_scores
from search_shard.tables import Tables
from tests.unit.search_shard.pages import page, segment_of


def test_the_best_documents_of_a_character_are_those_of_a_scan(tables: Tables) -> None:
    """Some characters are in texts only, some in titles only, some in all three; one nowhere in
    more documents than are kept."""
    dice = random.Random(2)
    letters = "州府志虎丘寺山塘"
    pages = [
        page(
            "".join(dice.choices(letters[:5], (9, 5, 3, 1, 0.1), k=dice.randrange(40))),
            f"{seq % 40:02}",
            seq // 40,
            "".join(dice.choices(letters, k=2)),
            "寺" if seq > 60 else "",
        )
        for seq in range(120)
    ]
    segment = segment_of(pages, tables)
    arrays = segment.arrays
    dampings = damping(arrays["word_at"][1:] - arrays["word_at"][:-1])
    for letter in letters:
        scores: dict[int, int] = {}
        for document in range(segment.pages):
            title, heading = segment.title_and_heading(document)
            mark = chr(segment.code(letter))
            count = segment.spoken(document).count(mark)
            score = TITLE_SCORE * (mark in title) + HEADING_SCORE * (mark in heading)
            score += int(text_scores(np.array(count), dampings[document]))
            if score:
                scores[document] = score
        code = segment.code(letter)
        low, high = arrays["champion_at"][code : code + 2]
        best = zip(arrays["champions"][low:high], arrays["champion_scores"][low:high], strict=True)
        wanted = sorted((-score, document) for document, score in scores.items())
        assert [(-int(score), int(document)) for document, score in best] == wanted[:CHAMPIONS]
        assert arrays["totals"][code] == len(scores) - 1
        assert letter != "州" or len(scores) > CHAMPIONS
