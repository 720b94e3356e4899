"""A shard: a snapshot of segments with some items hidden."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from search_shard.blocks import Array
from search_shard.segment import Segment

_FANOUT = 4


@dataclass(frozen=True, slots=True)
class Shard:
    """Immutable: a reader keeps the snapshot it has while newer ones are made."""

    segments: tuple[Segment, ...]
    deleted: frozenset[str]  # items that are hidden
    hidden: tuple[Array | None, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        masks = tuple(_hidden(segment, self.deleted) for segment in self.segments)
        object.__setattr__(self, "hidden", masks)

    @property
    def pages(self) -> int:
        """Pages that can be found."""
        return sum(
            segment.pages - (0 if mask is None else int(mask.sum()))
            for segment, mask in zip(self.segments, self.hidden, strict=True)
        )


def plan_merge(pages: Sequence[int], pages_max: int) -> range | None:
    """Which neighbouring segments to merge next so that their number stays logarithmic.

    ``pages``: pages of each segment, oldest first.  The newest run of ``4`` or more segments of
    like size is merged, if the result has at most ``pages_max`` pages.
    """
    for start in range(len(pages)):
        tail = pages[start:]
        if len(tail) < _FANOUT or sum(tail) > pages_max:
            continue
        if tail[0] <= sum(tail[1:]):
            return range(start, len(pages))
    return None


def _hidden(segment: Segment, deleted: frozenset[str]) -> Array | None:
    gone = [segment.items[item] for item in segment.items.keys() & deleted]
    if not gone:
        return None
    mask = np.zeros(segment.pages, dtype=bool)
    for start, end in gone:
        mask[start:end] = True
    return mask
