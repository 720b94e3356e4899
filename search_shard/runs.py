"""Runs of an array: where values change, and indices run by run."""

from __future__ import annotations

import numpy as np

from search_shard.blocks import Array


def turns(values: Array) -> Array:
    """True where a value differs from the one before, and at the first."""
    turns = np.ones(len(values), bool)
    np.not_equal(values[1:], values[:-1], out=turns[1:])
    return turns


def sizes_of(starts: Array, end: int) -> Array:
    """How long each of several runs is, of which the last ends at ``end``; i64."""
    sizes = np.empty(len(starts), np.int64)
    np.subtract(starts[1:], starts[:-1], out=sizes[:-1])
    sizes[-1:] = end - starts[-1:]
    return sizes


def starts_of(sizes: Array) -> Array:
    """Where each of several runs begins, and the end of the last; u32."""
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.uint32)


def rows_of(starts: Array, sizes: Array) -> Array:
    """The indices start .. start + size of every run, one after another."""
    ends = np.cumsum(sizes)
    total = int(ends[-1]) if len(ends) else 0
    shift = starts.astype(np.int64) - (ends - sizes)
    indices: Array = np.arange(total, dtype=np.int64) + np.repeat(shift, sizes)
    return indices
