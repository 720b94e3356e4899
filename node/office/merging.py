"""Which segments of a shard are merged, so that they stay few and each page is written seldom."""

from __future__ import annotations

from collections.abc import Sequence

# A segment stays apart only while it is this many times as large as all that came after it: every
# query pays for every segment, and merging 1 MB takes 60 ms.
MERGE_RATIO = 4


def merge_from(pages: Sequence[int]) -> int:
    """Which of the segments with so many pages, oldest first, are merged: this one and all after
    it (only the last one: none is)."""
    start, tail = len(pages) - 1, pages[-1]
    while start and pages[start - 1] < MERGE_RATIO * tail:
        start -= 1
        tail += pages[start]
    return start
