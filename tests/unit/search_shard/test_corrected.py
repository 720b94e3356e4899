from __future__ import annotations

import numpy as np
import pytest

from search_shard.corrected import Corrected, corrected
from search_shard.lattice import NEAR, Phrase, Word
from search_shard.match import Late
from search_shard.rank import CLASS_STEP, HEADING_SCORE, TITLE_SCORE
from search_shard.segment import Segment
from search_shard.tables import Tables
from search_shard.trace import SILENT
from tests.unit.search_shard.pages import never, page, segment_of

WORD = Word("虎秋", (Phrase("typed", "虎秋", near=NEAR),))
PAGES = ["虎丘虎丘", "虎丘", "虎球", "苏州", "丘虎"]


def instead(segments: list[Segment], masks: list[np.ndarray] | None = None) -> list[Corrected]:
    found = corrected(segments, [WORD], masks or [None] * len(segments), never, SILENT)
    return [one for [each] in found for one in each]


def test_every_document_has_the_class_of_its_likeliest_word(tables: Tables) -> None:
    segment = segment_of([page(text, seq=n) for n, text in enumerate(PAGES)], tables)
    (one,) = instead([segment])
    assert one.documents.tolist() == [0, 1, 2]
    classes = (one.scores // CLASS_STEP).tolist()
    assert classes[0] == classes[1] == classes[2] + 2  # two pages have 虎丘, one 虎球
    assert one.scores[0] > one.scores[1]
    assert [spotted.cells for spotted in one.at(0)] == [segment.codes("虎丘")]
    assert [(s.rule, s.titled, s.headed) for s in one.at(0)] == [("sound", False, False)]
    assert one.at(3) == []


def test_a_class_follows_from_the_pages_of_all_segments_that_may_be_found(tables: Tables) -> None:
    made = [page(text, str(n)) for n, text in enumerate(PAGES)]
    (whole,) = instead([segment_of(made, tables)])
    parts = instead([segment_of([one], tables) for one in made])
    assert [int(part.scores[0]) for part in parts] == whole.scores.tolist()
    hidden = np.array([False, True, True, True, True])
    (less,) = instead([segment_of(made, tables)], [hidden])
    assert (less.scores[:2] == whole.scores[:2] - 2 * CLASS_STEP).all()
    assert less.scores[2] == whole.scores[2]


def test_title_heading_and_text_add_up_and_count_one_page(tables: Tables) -> None:
    plain = segment_of([page("虎丘")], tables)
    headed = segment_of([page("虎丘", title="虎丘", section="虎丘")], tables)
    (text,), (all_three,) = instead([plain]), instead([headed])
    assert all_three.scores - text.scores == TITLE_SCORE + HEADING_SCORE
    assert [(s.titled, s.headed) for s in all_three.at(0)] == [(True, True)]


def test_time_over(tables: Tables) -> None:
    with pytest.raises(Late):
        corrected([segment_of([page("虎丘")], tables)], [WORD], [None], lambda: True, SILENT)


def test_a_shard_without_segments_has_none() -> None:
    assert corrected([], [WORD], [], never, SILENT) == []
