"""A shard: a snapshot of segments with some items hidden, and the records of those that are not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from pyroaring import BitMap

from search_shard.blocks import Array
from search_shard.facets import FacetCount
from search_shard.lattice import Filter
from search_shard.segment import Segment


class Selects(Protocol):
    """What a shard asks of :class:`search_shard.catalogue.Catalogue`."""

    def select(self, filters: Sequence[Filter]) -> BitMap | None: ...

    def items(self, numbers: Iterable[int]) -> list[str]: ...

    def facets(self, counts: Mapping[str, int]) -> tuple[FacetCount, ...]: ...


@dataclass(frozen=True, slots=True)
class Shard:
    """Immutable: a reader keeps the snapshot it has while newer ones are made."""

    segments: tuple[Segment, ...]
    deleted: frozenset[str] = frozenset()  # items that are hidden
    catalogue: Selects | None = None  # without one, filters let nothing through
    shown: tuple[Array | None, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        masks = tuple(_shown(segment, self.deleted) for segment in self.segments)
        object.__setattr__(self, "shown", masks)

    @property
    def pages(self) -> int:
        """Pages that can be found."""
        return sum(
            segment.pages if mask is None else int(mask.sum())
            for segment, mask in zip(self.segments, self.shown, strict=True)
        )

    def allowed(self, filters: Sequence[Filter], as_of: int) -> tuple[Array | None, ...]:
        """Of each segment the documents (bool) that may be found: not hidden, let through by every
        filter, in the log below ``as_of`` (0: whenever); None for all of them."""
        masks = self.shown
        if filters:
            chosen = self.catalogue.select(filters) if self.catalogue else BitMap()
            items = self.catalogue.items(chosen or ()) if self.catalogue else []
            masks = tuple(_both(mask, _of_items(s, items)) for s, mask in self._each(masks))
        if as_of:
            masks = tuple(_both(mask, _before(s, as_of)) for s, mask in self._each(masks))
        return masks

    def _each(self, masks: Sequence[Array | None]) -> Iterable[tuple[Segment, Array | None]]:
        return zip(self.segments, masks, strict=True)


def _shown(segment: Segment, deleted: frozenset[str]) -> Array | None:
    gone = deleted & segment.numbers.keys()
    return ~_of_items(segment, gone) if gone else None


def _of_items(segment: Segment, items: Iterable[str]) -> Array:
    chosen = np.zeros(len(segment.items), dtype=bool)
    chosen[[segment.numbers[item] for item in items if item in segment.numbers]] = True
    mask: Array = np.repeat(chosen, np.diff(segment.item_at))
    return mask


def _before(segment: Segment, as_of: int) -> Array:
    early: Array = (segment.arrays["logged"] < np.uint64(as_of))[segment.arrays["source_of"]]
    return early


def _both(left: Array | None, right: Array) -> Array:
    return right if left is None else left & right
