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

    @property
    def numbers(self) -> Mapping[str, int]: ...  # item → record number

    def select(self, filters: Sequence[Filter]) -> BitMap | None: ...

    def facets(self, counts: Mapping[str, int]) -> tuple[FacetCount, ...]: ...


@dataclass(frozen=True, slots=True)
class Shard:
    """Immutable: a reader keeps the snapshot it has while newer ones are made."""

    segments: tuple[Segment, ...]
    deleted: frozenset[str] = frozenset()  # items that are hidden
    catalogue: Selects | None = None  # without one, filters let nothing through
    shown: tuple[Array | None, ...] = field(init=False, repr=False, compare=False)
    # Of each segment the record numbers (i64) of its items, -1 for an item without a record.
    records: tuple[Array, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        masks = tuple(_shown(segment, self.deleted) for segment in self.segments)
        object.__setattr__(self, "shown", masks)
        known = self.catalogue.numbers if self.catalogue else {}
        numbers = ([known.get(item, -1) for _, item in segment.items] for segment in self.segments)
        records = tuple(np.array(row, dtype=np.int64) for row in numbers)
        object.__setattr__(self, "records", records)

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
            passes = self._let_through(filters)
            chosen = (passes[numbers] for numbers in self.records)
            pairs = zip(self._each(masks), chosen, strict=True)
            masks = tuple(_both(mask, _pages(segment, of)) for (segment, mask), of in pairs)
        if as_of:
            masks = tuple(_both(mask, _before(s, as_of)) for s, mask in self._each(masks))
        return masks

    def _let_through(self, filters: Sequence[Filter]) -> Array:
        """By record number (bool); the last one, of an item without a record, is False."""
        passes = np.zeros(len(self.catalogue.numbers) + 1 if self.catalogue else 1, dtype=bool)
        if self.catalogue and (chosen := self.catalogue.select(filters)):
            passes[np.frombuffer(chosen.to_array(), dtype=np.uint32)] = True
        return passes

    def _each(self, masks: Sequence[Array | None]) -> Iterable[tuple[Segment, Array | None]]:
        return zip(self.segments, masks, strict=True)


def _shown(segment: Segment, deleted: frozenset[str]) -> Array | None:
    gone = deleted & segment.numbers.keys()
    if not gone:
        return None
    kept = np.ones(len(segment.items), dtype=bool)
    kept[[segment.numbers[item] for item in gone]] = False
    return _pages(segment, kept)


def _pages(segment: Segment, chosen: Array) -> Array:
    """The documents of the items that are chosen (bool)."""
    mask: Array = np.repeat(chosen, np.diff(segment.item_at))
    return mask


def _before(segment: Segment, as_of: int) -> Array | None:
    if segment.newest < as_of:
        return None
    early: Array = (segment.arrays["logged"] < np.uint64(as_of))[segment.arrays["source_of"]]
    return early


def _both(left: Array | None, right: Array | None) -> Array | None:
    if left is None or right is None:
        return right if left is None else left
    return left & right
