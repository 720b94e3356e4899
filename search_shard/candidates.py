"""What two syllables of pinyin may stand for in the text of a shard, and on how many pages."""

from __future__ import annotations

from collections import Counter

import numpy as np

from search_shard.segment import Segment
from search_shard.shard import Shard


def words_of(shard: Shard, first: str, second: str) -> Counter[str]:
    """Neighbouring (folded) characters that are read as the syllables ``first`` and ``second``, and
    how many pages that may be found have them.  Reads no text, only the table of pairs."""
    found: Counter[str] = Counter()
    for segment, mask in zip(shard.segments, shard.shown, strict=True):
        table = segment.pairs
        characters = _characters(segment)
        follows = np.zeros(len(characters), dtype=bool)
        for low, high in segment.codes_of_syllable(second):
            follows[low:high] = True
        seconds = np.asarray(table.seconds)
        for low, high in segment.codes_of_syllable(first):
            for code in range(low, high):
                start, end = table.first_at[code], table.first_at[code + 1]
                for pair in (np.flatnonzero(follows[seconds[start:end]]) + start).tolist():
                    pages = (
                        table.count(pair)
                        if mask is None
                        else int(np.count_nonzero(mask[table.documents(pair)]))
                    )
                    if pages:
                        word = characters[code] + characters[int(seconds[pair])]
                        found[word] += pages
    return found


def _characters(segment: Segment) -> str:
    """The folded characters of a segment by code; code 0 is none."""
    points = np.zeros(len(segment.arrays["points"]) + 1, dtype="<u4")
    points[segment.arrays["codes"]] = segment.arrays["points"]
    return points.tobytes().decode("utf-32-le", "surrogatepass")
