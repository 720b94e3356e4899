from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from ledger.audit_report import (
    TIMELINE_BINS_MAX,
    WITNESSED_ROWS_MAX,
    Timeline,
    Witnessed,
    finding,
    thinned,
)

MOMENTS = st.lists(st.integers(0, 2**45), max_size=300)


@given(parts=st.lists(MOMENTS, max_size=5))
def test_a_timeline_counts_every_moment_in_few_bins(parts):
    line = Timeline()
    for part in parts:
        line = line.add(Counter(moment >> 10 for moment in part), 10)
    assert len(line.bins) <= TIMELINE_BINS_MAX
    expected = Counter(moment >> line.shift for part in parts for moment in part)
    assert {each.at: each.count for each in line.bins} == expected


@given(count=st.integers(0, 700))
def test_thinned_rows_still_cover_everything(count):
    rows = tuple(Witnessed(at, at + 1, at, at + 5, 10 * at, "320500") for at in range(count))
    few = thinned(rows)
    assert len(few) <= WITNESSED_ROWS_MAX
    assert [each.start for each in few][1:] == [each.end for each in few][:-1]
    assert [(few[0].start, few[-1].end)] == [(0, count)] if count else few == ()
    assert all(each.seen_at == 10 * (each.end - 1) for each in few)
    assert all(each.claimed_last == each.end + 4 for each in few)


def test_a_finding_has_words_and_a_short_detail():
    found = finding("320500", 3, "log.fork", "x" * 999)
    assert found.zh
    assert found.en
    assert len(found.detail) == 200
